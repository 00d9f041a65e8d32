/*
 * live.h: what -trace live shows: live.c keeps the figures and reads the keys, live_draw.c makes the
 * picture.
 */
#ifndef KVMLENS_TRACE_LIVE_H
#define KVMLENS_TRACE_LIVE_H

#include "summary_internal.h"

#define LIVE_ENTRIES                                                                               \
    (SUMMARY_KINDS + SUMMARY_ROWS + SUMMARY_SYMBOLS) /* more than a table can have */

/* What came in the last period, and how far the counting was at its end. */
struct live_figures {
    uint64_t seen_count, seen_guest_ns, seen_vmm_ns;
    uint64_t count, guest_ns, vmm_ns;
};

enum live_view { LIVE_ALL, LIVE_KINDS, LIVE_REGISTERS, LIVE_SYMBOLS, LIVE_VIEWS };

struct live_entry {
    char name[SUMMARY_NAME];
    uint64_t total; /* exits since the start */
    uint64_t count, guest_ns, vmm_ns;
};

struct live {
    struct trace_sink sink;
    struct trace_header header;
    struct summary *summary;
    bool colour;
    const char *no_keys; /* why there are none; NULL: there are */
    int keys;            /* -1: none */
    int fd;
    bool begun, left, paused;
    enum live_view view;
    char sort; /* 'r', 'c', 'n' */
    unsigned columns, lines;
    uint64_t start_ns, refreshed_ns, drawn_ns, looked_ns; /* CLOCK_MONOTONIC */
    uint64_t stopped_ns; /* for how long kvmlens was stopped, at refreshed_ns */
    uint64_t period_ns;  /* what the figures are of */
    uint64_t exits;      /* at the end of that period */
    struct live_figures row[SUMMARY_KINDS + SUMMARY_ROWS];
    struct live_figures symbol[SUMMARY_SYMBOLS + 1]; /* the last one: other_code */
    struct live_entry entry[LIVE_ENTRIES];           /* scratch for a table */
};

/* Ends a period of PERIOD_NS nanoseconds. */
void live_count(struct live *live, uint64_t period_ns);

/* The picture: lines of at most COLUMNS characters, LINES of them at most, with what a terminal needs
 * to show them in place of the last one. The caller frees it; NULL: out of memory. */
char *live_picture(struct live *live, size_t *len);

#endif
