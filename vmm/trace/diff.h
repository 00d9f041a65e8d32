/*
 * diff.h: what changed between two traces, by kind of exit and by device register.
 */
#ifndef KVMLENS_TRACE_DIFF_H
#define KVMLENS_TRACE_DIFF_H

#include "item.h"

#include <stdbool.h>
#include <stdio.h>

#define DIFF_ROWS_MAX 1024 /* kinds and registers; those beyond share a line */

struct diff;

struct diff *diff_create(void);       /* NULL: out of memory */
void diff_destroy(struct diff *diff); /* NULL: nothing */

/* Counts ITEM to the first trace (SIDE 0) or the second (1). Its kind, device and register must live
 * as long as DIFF, and equal names of one side should be the same pointer, for then it is fast.
 * Notes do not count. -ENOMEM, or 0. */
int diff_add(struct diff *diff, unsigned side, const struct trace_item *item);

/* Prints what changed to OUT. NAME says which traces they are. */
void diff_print(FILE *out, bool colour, struct diff *diff, const char *const name[2],
                const struct trace_footer *const footer[2]);

#endif
