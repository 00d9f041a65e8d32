/*
 * filter.h: which events an output shows: filter=EXPR of -trace, and of `kvmlens report`.
 *
 *   EXPR  = TERM {"+" TERM}            all of them hold
 *   TERM  = ["!"] NAME "=" VALUE {"|" VALUE} | ["!"] "cost>=" TIME
 *   NAME  = cpu | exit | device | reg | port | gpa | symbol
 *   VALUE = a number or range (cpu, port, gpa), or a shell pattern (glob(7)) of the name, in upper
 *           or lower case
 *   TIME  = a number and ns, us, ms or s
 */
#ifndef KVMLENS_TRACE_FILTER_H
#define KVMLENS_TRACE_FILTER_H

#include "../error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_TERMS_MAX  16
#define FILTER_RANGES_MAX 32
#define FILTER_TEXT_MAX   256

#define FILTER_SYNTAX                                                                              \
    "cpu=N, exit=KIND, device=NAME, reg=NAME, port=FROM-TO, gpa=FROM-TO, symbol=PATTERN, "         \
    "cost>=TIME"

struct trace_item;

struct filter_range {
    uint64_t from, to; /* both belong to it */
};

struct filter_term {
    uint8_t what; /* filter.c */
    bool negated;
    uint16_t first, count; /* its values: of range[], or the first one's place in text[] */
};

/* All zero: every event passes. */
struct filter {
    unsigned terms, ranges;
    struct filter_term term[FILTER_TERMS_MAX];
    struct filter_range range[FILTER_RANGES_MAX];
    char text[FILTER_TEXT_MAX]; /* the expression, cut into strings */
};

/* -1 with *err (STATUS_USAGE) if EXPR, which is copied, is no filter. */
int filter_parse(struct filter *filter, const char *expr, struct error *err);

/* What has no such property (a note has no port) does not pass, and passes its negation. A port or
 * GPA is in a range if any byte of the access is; the cost is the time in the guest, KVM and
 * kvmlens together. */
bool filter_match(const struct filter *filter, const struct trace_item *item);

#endif
