/*
 * trace.h: the exit trace: each exit as a line of text, or a summary at the end, or both.
 */
#ifndef KVMLENS_TRACE_H
#define KVMLENS_TRACE_H

#include "../error.h"
#include "../options.h"
#include "event.h"
#include "symbols.h"

#include <stdio.h>

struct trace;

/* Makes the outputs that OPTIONS ask for. SYMBOLS is borrowed and may be NULL. -1 with *err if a
 * file cannot be opened. */
int trace_create(struct trace **trace, const struct trace_option *options, unsigned count,
                 const struct symbols *symbols, struct error *err);

/* Nanoseconds since the trace was made. */
uint64_t trace_now(const struct trace *trace);

/* Records one exit. Safe from any vCPU's thread. A write error on an output (full disk, closed
 * pipe) is remembered and ends that output; the VM goes on. Returns trace_now(): looked at again
 * only if a line was written, for else the event's end is near enough. */
uint64_t trace_emit(struct trace *trace, const struct trace_event *event);

/* Prints the summaries and closes the outputs. Returns 0, or -1 with *err naming the first output
 * that could not be written. TRACE may be NULL. */
int trace_finish(struct trace *trace, struct error *err);

/* One event as an aligned line, with newline; the same form in a trace and in a post-mortem. */
void trace_print_header(FILE *out, bool colour);
void trace_print_event(FILE *out, bool colour, const struct trace_event *event,
                       const struct symbols *symbols);

#endif
