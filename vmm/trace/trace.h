/*
 * trace.h: the exit trace: from the threads that make events to the files that show them.
 *
 * Each vCPU's thread has a ring of its own, and whoever holds the device lock has one more, for
 * notes. The writer's thread (writer.c) takes the records out in the order of time, finds names for
 * them, and hands them to each output's sink (item.h).
 */
#ifndef KVMLENS_TRACE_H
#define KVMLENS_TRACE_H

#include "../error.h"
#include "../options.h"
#include "code.h"
#include "item.h"
#include "source.h"

#include <stdbool.h>
#include <stdint.h>

struct trace;

/* All is borrowed for the life of the trace. */
struct trace_config {
    const struct trace_option *option; /* what to trace, and where to */
    unsigned option_count;
    unsigned vcpus;
    struct code *code;           /* or NULL */
    struct trace_source *kernel; /* or NULL */
    const char *command, *guest; /* for the header (item.h); NULL: "" */
    uint32_t ring_capacity;      /* records, a power of two; 0: TRACE_RING_CAPACITY */
};

#define TRACE_RING_CAPACITY 32768

/* Opens the outputs and starts the writer's thread, which no signal disturbs. -1 with *err if a file
 * cannot be opened. */
int trace_create(struct trace **trace, const struct trace_config *config, struct error *err);

/* Nanoseconds since the trace was made, at least 1. */
uint64_t trace_now(const struct trace *trace);

/* True if an output shows the guest's registers: then its events should have them. */
bool trace_wants_registers(const struct trace *trace);

/* From the thread of VCPU, before it does anything: the kernel's events are told apart by thread. */
void trace_vcpu_starts(struct trace *trace, unsigned vcpu);

/* True if an output tells how the VM is made. */
bool trace_wants_setup(const struct trace *trace);

/* A copy of TEXT for such an event, until trace_finish(); equal texts are kept once. From any
 * thread. */
const char *trace_keep(struct trace *trace, const char *text);

/* Records EVENT: from the thread of event->vcpu; or, with TRACE_NO_VCPU, from any thread with the
 * device lock held. Never blocks; what finds no room is dropped and counted. */
void trace_emit(struct trace *trace, const struct trace_event *event);

/* Where lines go to stderr, waits until all that VCPU's thread has emitted is written there, so that
 * it stands in order beside what the guest prints. From that thread, without the device lock. True
 * if it had to wait: then the clock has moved on. */
bool trace_wait(struct trace *trace, unsigned vcpu);

/* kvmlens is about to be stopped (Ctrl-Z), and goes on: the time between is no cost of the exits that
 * it falls in. Both from one thread. TRACE may be NULL. */
void trace_stops(struct trace *trace);
void trace_goes_on(struct trace *trace);

/* Writes what is still in the rings, ends the outputs, and fills in what the trace knows of *FOOTER:
 * all but end, status and stats, which are the caller's. No event may come any more. -1 with *err
 * naming the first output that could not be written (full disk, closed pipe); the others are
 * whole. TRACE may be NULL. */
int trace_finish(struct trace *trace, struct trace_footer *footer, struct error *err);

#endif
