/*
 * summary_internal.h: what is added up: summary.c counts, summary_print.c and live.c show.
 */
#ifndef KVMLENS_TRACE_SUMMARY_INTERNAL_H
#define KVMLENS_TRACE_SUMMARY_INTERNAL_H

#include "histogram.h"
#include "summary.h"

#include <stdio.h>

#define SUMMARY_KINDS   (VM_EXIT_KINDS * 4) /* kind of exit, read or write, single or string */
#define SUMMARY_ROWS    256                 /* registers told apart */
#define SUMMARY_SLOTS   1024                /* hash table: a power of two, well above the rows */
#define SUMMARY_SYMBOLS 4096                /* hash table of symbols: a power of two */
#define SUMMARY_NAME    80                  /* the longest name, with its NUL */

struct summary_row {
    unsigned kind; /* below SUMMARY_KINDS */
    bool others;   /* what found no row of its own */
    const char *device, *reg;
    struct histogram guest, vmm;
};

struct summary_symbol {
    const char *name; /* interned; NULL: free */
    uint64_t count, ns;
};

struct summary {
    uint16_t slot[SUMMARY_SLOTS]; /* number of a row; 0: free */
    unsigned rows;                /* used; the first SUMMARY_KINDS rows are each kind's "others" */
    struct summary_row row[SUMMARY_KINDS + SUMMARY_ROWS];
    unsigned symbols; /* used */
    struct summary_symbol symbol[SUMMARY_SYMBOLS];
    struct summary_symbol other_code; /* no symbol, or no room for one more */
};

const char *summary_kind_name(unsigned kind);

/* The row is about exits (not events of KVM). */
bool summary_is_exit(const struct summary_row *row);

/* True if the row stands for a device register: other kinds have no register to tell apart, unless
 * KVM has no name of ours for them. */
bool summary_has_register(const struct summary_row *row);

/* "serial THR, out", "nobody, in" */
void summary_row_name(const struct summary_row *row, char name[SUMMARY_NAME]);

/* NAME and, to the right, COUNT, in WIDTH characters; a name that is longer takes a line more. */
void summary_print_name(FILE *out, const char *name, uint64_t count, int width);

/* VALUE, rounded to DIGITS significant ones, in one of four units, each 1000 of the last. */
void summary_format(char *out, size_t size, double value, int digits, const char *const unit[4]);
void summary_format_rate(char *out, size_t size, double rate);

#endif
