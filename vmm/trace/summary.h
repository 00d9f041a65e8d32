/*
 * summary.h: where the exits went, added up by kind of exit, by device register and by guest symbol.
 */
#ifndef KVMLENS_TRACE_SUMMARY_H
#define KVMLENS_TRACE_SUMMARY_H

#include "item.h"

#include <stddef.h>
#include <stdint.h>

struct summary;

/* All memory that a summary ever needs is reserved here. NULL: out of memory. */
struct summary *summary_create(void);
void summary_destroy(struct summary *summary);

/* Counts ITEM in (notes are no exits; KVM's events are counted apart), in constant time and without
 * allocating. */
void summary_add(struct summary *summary, const struct trace_item *item);

/* The report as text, at most 120 columns wide. The caller frees it; NULL: out of memory. *LEN gets
 * its length in bytes. */
char *summary_text(const struct summary *summary, const struct trace_header *header,
                   const struct trace_footer *footer, bool colour, size_t *len);

#endif
