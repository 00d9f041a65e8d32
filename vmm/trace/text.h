/*
 * text.h: one exit as an aligned line of text.
 */
#ifndef KVMLENS_TRACE_TEXT_H
#define KVMLENS_TRACE_TEXT_H

#include "event.h"
#include "symbols.h"

#include <stdbool.h>
#include <stddef.h>

#define TRACE_LINE_MAX 512 /* bytes, enough for any line with its colours */

/* Write the header, or EVENT, with a newline and a NUL into LINE (TRACE_LINE_MAX bytes), with
 * terminal colours if COLOUR. SYMBOLS may be NULL. Return the length in bytes. */
size_t trace_format_header(char *line, bool colour);
size_t trace_format_event(char *line, bool colour, const struct trace_event *event,
                          const struct symbols *symbols);

#endif
