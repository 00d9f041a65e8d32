/*
 * trace.c: the life of the trace, and what the threads that make events see of it.
 */
#include "trace_internal.h"

#include "../kvm/kvm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of looking at the clock and recording, at start: batches, and how often in each. */
#define COST_BATCHES 5
#define COST_ROUNDS  100

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t trace_now(const struct trace *trace)
{
    return clock_ns(CLOCK_MONOTONIC) - trace->zero_ns;
}

uint64_t trace_dropped(struct trace *trace)
{
    uint64_t dropped = 0;

    for (unsigned i = 0; i < trace->lanes; i++)
        dropped += atomic_load_explicit(&trace->lane[i].ring.dropped, memory_order_relaxed);
    return dropped;
}

void trace_stops(struct trace *trace)
{
    if (!trace)
        return;
    trace_goes_on(trace);
    uint64_t last_ns = trace_stopped_in(trace, 0, UINT64_MAX);
    /* In this order, so that a reader in between finds too short a stop rather than too long a one. */
    atomic_store(&trace->stop_start, trace_now(trace));
    atomic_fetch_add(&trace->stops_before_ns, last_ns);
    atomic_store(&trace->stop_end, UINT64_MAX);
}

void trace_goes_on(struct trace *trace)
{
    uint64_t not_yet = UINT64_MAX;

    if (trace) /* SIGCONT may come without a stop */
        atomic_compare_exchange_strong(&trace->stop_end, &not_yet, trace_now(trace));
}

uint64_t trace_stopped_in(struct trace *trace, uint64_t start_ns, uint64_t end_ns)
{
    uint64_t from = atomic_load(&trace->stop_start), to = atomic_load(&trace->stop_end);

    from = from > start_ns ? from : start_ns;
    to = to < end_ns ? to : end_ns;
    return to > from ? to - from : 0;
}

uint64_t trace_stopped(struct trace *trace)
{
    return atomic_load(&trace->stops_before_ns) + trace_stopped_in(trace, 0, trace_now(trace));
}

bool trace_wants_registers(const struct trace *trace)
{
    for (unsigned i = 0; i < trace->outputs; i++) {
        if (output_wants_registers(trace->output[i].option))
            return true;
    }
    return false;
}

bool trace_wants_setup(const struct trace *trace)
{
    return trace->names != NULL;
}

const char *trace_keep(struct trace *trace, const char *text)
{
    pthread_mutex_lock(&trace->names_lock);

    const char *kept = names_keep(trace->names, text, strlen(text));

    pthread_mutex_unlock(&trace->names_lock);
    return kept;
}

void trace_vcpu_starts(struct trace *trace, unsigned vcpu)
{
    struct trace_source *kernel = trace->config.kernel;

    if (kernel)
        kernel->vcpu_starts(kernel, vcpu);
}

/* --- the threads that make events --------------------------------------------------------------- */

static void copy_event(struct trace_event *to, const struct trace_event *from)
{
    memcpy(to, from, from->has_registers ? sizeof(*to) : TRACE_EVENT_PLAIN);
}

void trace_emit(struct trace *trace, const struct trace_event *event)
{
    struct lane *lane = &trace->lane[event->vcpu < trace->lanes ? event->vcpu : trace->lanes - 1];
    struct trace_event *record = trace_ring_reserve(&lane->ring);

    if (event->kind != VM_EXIT_NOTE)
        lane->exits++;
    if (!record)
        return;
    copy_event(record, event);
    uint64_t count = trace_ring_publish(&lane->ring);
    if ((count & trace->wake_every) == 0 ||
        atomic_load_explicit(&trace->in_step, memory_order_relaxed))
        sem_post(&trace->wake);
}

bool trace_wait(struct trace *trace, unsigned vcpu)
{
    struct trace_ring *ring = &trace->lane[vcpu].ring;

    if (!atomic_load_explicit(&trace->in_step, memory_order_relaxed))
        return false;

    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    pthread_mutex_lock(&trace->lock);
    while (atomic_load_explicit(&ring->tail, memory_order_acquire) != head &&
           atomic_load(&trace->in_step))
        pthread_cond_wait(&trace->written, &trace->lock);
    pthread_mutex_unlock(&trace->lock);
    return true;
}

/* --- life --------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* What one exit's measurement costs: the clock is looked at twice, and a record filled in. The median
 * of some batches: the first one finds cold caches, and another program may interrupt one. */
static uint32_t measure_cost(struct trace *trace)
{
    struct trace_event event = {.has_registers = trace_wants_registers(trace)};
    uint64_t ns[COST_BATCHES];

    for (unsigned batch = 0; batch < COST_BATCHES; batch++) {
        uint64_t start = trace_now(trace);
        for (unsigned i = 0; i < COST_ROUNDS; i++) {
            event.start_ns = trace_now(trace);
            event.guest_ns = trace_now(trace) - event.start_ns;
            copy_event(trace_ring_reserve(&trace->lane[0].ring), &event);
        }
        ns[batch] = (trace_now(trace) - start) / COST_ROUNDS;
    }
    qsort(ns, COST_BATCHES, sizeof(ns[0]), ascending);
    return (uint32_t)ns[COST_BATCHES / 2];
}

static void make_header(struct trace *trace)
{
    static const char *const backend[] = {
        [KVM_BACKEND_VMX] = "vmx",
        [KVM_BACKEND_SVM] = "svm",
        [KVM_BACKEND_SOFTWARE] = "software",
        [KVM_BACKEND_UNKNOWN] = "unknown",
    };
    struct utsname *host = &trace->host;

    uname(host);
    snprintf(trace->host_text, sizeof(trace->host_text), "%s %s %s", host->sysname, host->release,
             host->machine);
    trace->zero_ns = clock_ns(CLOCK_MONOTONIC) - 1; /* so that no event begins at 0, "not timed" */
    trace->header = (struct trace_header){
        .command = trace->config.command ? trace->config.command : "",
        .guest = trace->config.guest ? trace->config.guest : "",
        .host = trace->host_text,
        .backend = backend[kvm_backend()],
        .started_ns = clock_ns(CLOCK_REALTIME),
        .clock_ns = measure_cost(trace),
        .vcpus = trace->config.vcpus,
        .kernel = trace->config.kernel != NULL,
    };
}

static int make_lanes(struct trace *trace)
{
    uint32_t capacity =
        trace->config.ring_capacity ? trace->config.ring_capacity : TRACE_RING_CAPACITY;
    unsigned count = trace->config.vcpus + 1;

    trace->wake_every = capacity / 4 - 1;
    trace->lane = aligned_alloc(_Alignof(struct lane), count * sizeof(*trace->lane));
    while (trace->lane && trace->lanes < count) {
        struct lane *lane = &trace->lane[trace->lanes];
        lane->exits = 0;
        if (trace_ring_init(&lane->ring, capacity) < 0)
            return -1;
        trace->lanes++;
    }
    return trace->lane ? 0 : -1;
}

/* The writer inherits a mask without any signal: they are for the thread of the event loop. */
static int start_writer(struct trace *trace)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    trace->thread_started = pthread_create(&trace->thread, NULL, writer_run, trace) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return trace->thread_started ? 0 : -1;
}

/* Ends the thread and closes the outputs; returns the first that failed, or NULL. */
static const struct output *destroy(struct trace *trace, struct output *failed)
{
    const struct output *first = NULL;

    if (trace->thread_started) {
        atomic_store(&trace->ending, true);
        sem_post(&trace->wake);
        pthread_join(trace->thread, NULL);
    }
    for (unsigned i = 0; i < trace->outputs; i++) {
        if (output_close(&trace->output[i]) != 0 && !first) {
            *failed = trace->output[i];
            first = failed;
        }
    }
    for (unsigned i = 0; i < trace->lanes; i++)
        trace_ring_destroy(&trace->lane[i].ring);
    free(trace->lane);
    names_destroy(trace->names);
    pthread_mutex_destroy(&trace->names_lock);
    pthread_cond_destroy(&trace->written);
    pthread_mutex_destroy(&trace->lock);
    sem_destroy(&trace->wake);
    free(trace);
    return first;
}

int trace_create(struct trace **out, const struct trace_config *config, struct error *err)
{
    struct trace *trace = calloc(1, sizeof(*trace));
    struct output failed;

    *out = NULL;
    if (!trace)
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace");
    trace->config = *config;
    sem_init(&trace->wake, 0, 0);
    pthread_mutex_init(&trace->lock, NULL);
    pthread_mutex_init(&trace->names_lock, NULL);
    pthread_cond_init(&trace->written, NULL);
    while (trace->outputs < config->option_count && trace->outputs < TRACE_MAX) {
        struct output *output = &trace->output[trace->outputs++];
        if (output_open(output, &config->option[trace->outputs - 1], err) < 0) {
            destroy(trace, &failed);
            return -1;
        }
        if (output->in_step)
            atomic_store(&trace->in_step, true);
        if (output->option->kind == TRACE_SETUP && !trace->names)
            trace->names = names_create(); /* without memory for it, that output stays empty */
    }
    if (make_lanes(trace) < 0) {
        destroy(trace, &failed);
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace");
    }
    make_header(trace);
    if (start_writer(trace) < 0) {
        destroy(trace, &failed);
        return error_set(err, STATUS_INTERNAL, "cannot start the trace's thread");
    }
    *out = trace;
    return 0;
}

int trace_finish(struct trace *trace, struct trace_footer *footer, struct error *err)
{
    struct output failed;

    if (!trace)
        return 0;
    footer->wall_ns = trace_now(trace);
    footer->exits = footer->filtered = 0;
    for (unsigned i = 0; i < trace->lanes; i++)
        footer->exits += trace->lane[i].exits;
    footer->dropped = trace_dropped(trace);
    trace->footer = footer;
    if (!destroy(trace, &failed))
        return 0;
    return error_set(err, STATUS_INTERNAL, "the trace to %s%s%s is incomplete: %s",
                     failed.option->file ? "'" : "",
                     failed.option->file ? failed.option->file : "stderr",
                     failed.option->file ? "'" : "", strerror(failed.error));
}
