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

/* How lines that follow each other look: with terminal colours or not, and how wide, in characters,
 * the columns are that grow with what has been in them. */
struct trace_columns {
    bool colour;
    int device, code;
};

/* As the header has them. */
struct trace_columns trace_columns(bool colour);

/* Write the header, or ITEM, with a newline and a NUL into LINE (TRACE_LINE_MAX bytes). Return the
 * length in bytes. */
size_t trace_format_header(char *line, bool colour);
size_t trace_format_item(char *line, struct trace_columns *columns, const struct trace_item *item);

/* The same lines, for a post-mortem. SYMBOLS may be NULL. */
void trace_print_header(FILE *out, bool colour);
void trace_print_event(FILE *out, struct trace_columns *columns, const struct trace_event *event,
                       const struct symbols *symbols);

#endif
