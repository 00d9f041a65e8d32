/*
 * text.h: one exit as an aligned line of text.
 */
#ifndef KVMLENS_TRACE_TEXT_H
#define KVMLENS_TRACE_TEXT_H

#include "item.h"
#include "symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TRACE_LINE_MAX 1024 /* bytes, enough for any line with its colours */

/* Write the header, or ITEM, with a newline and a NUL into LINE (TRACE_LINE_MAX bytes), with
 * terminal colours if COLOUR. Return the length in bytes. */
size_t trace_format_header(char *line, bool colour);
size_t trace_format_item(char *line, bool colour, const struct trace_item *item);

/* The same lines, for a post-mortem. SYMBOLS may be NULL. */
void trace_print_header(FILE *out, bool colour);
void trace_print_event(FILE *out, bool colour, const struct trace_event *event,
                       const struct symbols *symbols);

#endif
