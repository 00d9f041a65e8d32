/*
 * source.h: events of a trace that do not come through a ring: the kernel's.
 */
#ifndef KVMLENS_TRACE_SOURCE_H
#define KVMLENS_TRACE_SOURCE_H

#include "event.h"

struct trace_source {
    /* The oldest event, or NULL if there is none before UPTO_NS (later ones may be given as well).
     * All times count from ZERO_NS of CLOCK_MONOTONIC. The event is valid until release(), which
     * gives its place back. By one thread alone. */
    const struct trace_event *(*peek)(struct trace_source *source, uint64_t zero_ns,
                                      uint64_t upto_ns);
    void (*release)(struct trace_source *source);
    /* From the thread of vCPU INDEX, before it does anything: the kernel knows threads only. */
    void (*vcpu_starts)(struct trace_source *source, unsigned index);
};

#endif
