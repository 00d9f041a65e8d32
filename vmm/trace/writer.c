/*
 * writer.c: the thread that takes records out of the rings and makes output of them.
 *
 * Each ring is in order; the oldest of their first records comes next. A vCPU that has looked at the
 * clock may be a moment late with its record, so the youngest ones wait for the next round.
 */
#include "trace_internal.h"

#include <errno.h>
#include <time.h>

#define ROUND_NS 100000000 /* the longest sleep */
#define HOLD_NS  1000000   /* younger records wait */

/* Where an event stands in the order: when its handling was over. */
static uint64_t done_at(const struct trace_event *event)
{
    return event->start_ns + event->guest_ns + event->vmm_ns;
}

/* The oldest record of all, and the lane that it is in; NULL for the kernel's. None before UPTO_NS is
 * missed. */
static const struct trace_event *oldest(struct trace *trace, uint64_t upto_ns, struct lane **lane)
{
    struct trace_source *kernel = trace->config.kernel;
    const struct trace_event *best = kernel ? kernel->peek(kernel, trace->zero_ns, upto_ns) : NULL;

    *lane = NULL;
    for (unsigned i = 0; i < trace->lanes; i++) {
        const struct trace_event *event = trace_ring_peek(&trace->lane[i].ring);
        if (event && (!best || done_at(event) < done_at(best))) {
            best = event;
            *lane = &trace->lane[i];
        }
    }
    return best;
}

static void show(struct trace *trace, const struct trace_event *event)
{
    char remark[TRACE_REMARK_MAX];
    struct trace_item item;
    const struct code_place *place =
        event->kind == VM_EXIT_NOTE || (event->kind == VM_EXIT_KERNEL && event->rip == 0)
            ? NULL
            : code_find(trace->config.code, event);

    trace_item_make(&item, event, place, remark);
    if (event->start_ns > 0) {
        uint64_t left_ns = event->start_ns + event->guest_ns;
        item.stopped_guest_ns = trace_stopped_in(trace, event->start_ns, left_ns);
        item.stopped_vmm_ns = trace_stopped_in(trace, left_ns, done_at(event));
    }
    outputs_item(trace, &item);
}

/* Writes all events that were over before UPTO_NS. */
static void drain(struct trace *trace, uint64_t upto_ns)
{
    const struct trace_event *event;
    struct lane *lane;

    while ((event = oldest(trace, upto_ns, &lane)) && done_at(event) < upto_ns) {
        show(trace, event);
        /* A record goes back after its line is out: somebody may wait for it. */
        if (atomic_load_explicit(&trace->in_step, memory_order_relaxed))
            outputs_flush(trace);
        if (lane)
            trace_ring_release(&lane->ring);
        else
            trace->config.kernel->release(trace->config.kernel);
    }
}

static void wake_waiting(struct trace *trace)
{
    pthread_mutex_lock(&trace->lock);
    pthread_cond_broadcast(&trace->written);
    pthread_mutex_unlock(&trace->lock);
}

static void sleep_until_woken(struct trace *trace)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ROUND_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (sem_clockwait(&trace->wake, CLOCK_MONOTONIC, &until) < 0 && errno == EINTR)
        ;
}

void *writer_run(void *opaque)
{
    struct trace *trace = opaque;

    outputs_begin(trace);
    wake_waiting(trace);
    while (!atomic_load(&trace->ending)) {
        sleep_until_woken(trace);
        uint64_t now = trace_now(trace);
        /* In step, who has emitted an event is waiting for it. */
        drain(trace, atomic_load(&trace->in_step) ? UINT64_MAX : now > HOLD_NS ? now - HOLD_NS : 0);
        outputs_flush(trace);
        wake_waiting(trace);
    }
    drain(trace, UINT64_MAX);
    outputs_end(trace, trace->footer);
    return NULL;
}
