/*
 * summary.h: where the exits went, added up by kind of exit and by device register.
 */
#ifndef KVMLENS_TRACE_SUMMARY_H
#define KVMLENS_TRACE_SUMMARY_H

#include "event.h"

#include <stddef.h>
#include <stdint.h>

struct summary;

/* All memory that a summary ever needs is reserved here. NULL: out of memory. */
struct summary *summary_create(void);
void summary_destroy(struct summary *summary);

/* Counts EVENT in (notes are no exits), in constant time and without allocating. */
void summary_add(struct summary *summary, const struct trace_event *event);

/* The report as text, WALL_NS after the start. The caller frees it; NULL: out of memory. *LEN gets
 * its length in bytes. */
char *summary_text(const struct summary *summary, uint64_t wall_ns, size_t *len);

#endif
