/*
 * trace_internal.h: what the files of the running trace share: trace.c (its life, and the threads
 * that make events), writer.c (the writer's thread), outputs.c (where it writes).
 */
#ifndef KVMLENS_TRACE_INTERNAL_H
#define KVMLENS_TRACE_INTERNAL_H

#include "names.h"
#include "ring.h"
#include "trace.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/utsname.h>

struct output {
    const struct trace_option *option;
    int fd;
    bool in_step;      /* lines on stderr */
    int error;         /* errno of the first failure: nothing more goes there; 0: good */
    uint64_t filtered; /* events that its filter kept out */
    struct trace_sink *sink;
};

/* One producer's way to the writer. */
struct lane {
    struct trace_ring ring;
    uint64_t exits; /* emitted or dropped; the producer's */
};

struct trace {
    struct trace_config config;
    uint64_t zero_ns; /* CLOCK_MONOTONIC */
    struct utsname host;
    char host_text[sizeof(struct utsname)];
    struct trace_header header;

    unsigned lanes; /* the vCPUs', and the last one for notes from other threads */
    struct lane *lane;
    uint32_t wake_every; /* records after which a producer wakes the writer, less one */

    /* The writer sleeps on WAKE. A vCPU in step sleeps on WRITTEN. */
    sem_t wake;
    pthread_mutex_t lock;
    pthread_cond_t written;
    atomic_bool in_step; /* an output is, and is good */
    atomic_bool ending;
    pthread_t thread;
    bool thread_started;
    struct trace_footer *footer; /* set before ending */

    /* The last stop of kvmlens (trace_now(); UINT64_MAX: until it goes on), and how long those before
     * it were together. */
    _Atomic uint64_t stop_start, stop_end, stops_before_ns;

    /* Texts of events, under names_lock; NULL: no output shows such events. */
    pthread_mutex_t names_lock;
    struct names *names;

    unsigned outputs;
    struct output output[TRACE_MAX];
};

/* Records that all rings together had no room for, so far. */
uint64_t trace_dropped(struct trace *trace);

/* For how long kvmlens was stopped between START_NS and END_NS, by its last stop. */
uint64_t trace_stopped_in(struct trace *trace, uint64_t start_ns, uint64_t end_ns);

/* For how long it was stopped so far. */
uint64_t trace_stopped(struct trace *trace);

/* --- writer.c --- */

/* The body of the writer's thread. */
void *writer_run(void *trace);

/* --- outputs.c --- */

/* -1 with *err if it cannot be opened. */
int output_open(struct output *output, const struct trace_option *option, struct error *err);
/* 0, or the errno of the first failure, which may show only now, on a network file system. */
int output_close(struct output *output);

bool output_wants_registers(const struct trace_option *option);

/* What the writer does to all outputs that are good. */
void outputs_begin(struct trace *trace);
void outputs_item(struct trace *trace, const struct trace_item *item);
void outputs_flush(struct trace *trace);
void outputs_end(struct trace *trace, struct trace_footer *footer);

#endif
