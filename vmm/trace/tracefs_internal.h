/*
 * tracefs_internal.h: what the files of the kernel's events share: tracefs.c (the instance's life),
 * tracefs_library.c (loading the libraries), tracefs_read.c (events out of the kernel's buffers).
 */
#ifndef KVMLENS_TRACEFS_INTERNAL_H
#define KVMLENS_TRACEFS_INTERNAL_H

#include "../options.h"
#include "tracefs.h"

#include <stdbool.h>
#include <stddef.h>
#include <traceevent/event-parse.h>
#include <traceevent/kbuffer.h>
#include <tracefs/tracefs.h>

/* X(NAME): the functions that are used of the two libraries. */
#define TRACEFS_FUNCTIONS(X)                                                                       \
    X(tracefs_set_loglevel)                                                                        \
    X(tracefs_tracing_dir)                                                                         \
    X(tracefs_instance_create)                                                                     \
    X(tracefs_instance_destroy)                                                                    \
    X(tracefs_instance_free)                                                                       \
    X(tracefs_instance_file_open)                                                                  \
    X(tracefs_instance_file_write)                                                                 \
    X(tracefs_local_events_system)
#define TRACEEVENT_FUNCTIONS(X)                                                                    \
    X(tep_set_loglevel)                                                                            \
    X(tep_free)                                                                                    \
    X(tep_data_type)                                                                               \
    X(tep_data_pid)                                                                                \
    X(tep_find_event)                                                                              \
    X(tep_find_field)                                                                              \
    X(tep_read_number_field)                                                                       \
    X(tep_print_event)                                                                             \
    X(trace_seq_init)                                                                              \
    X(trace_seq_reset)                                                                             \
    X(trace_seq_terminate)                                                                         \
    X(trace_seq_destroy)                                                                           \
    X(kbuffer_alloc)                                                                               \
    X(kbuffer_free)                                                                                \
    X(kbuffer_load_subbuffer)                                                                      \
    X(kbuffer_read_event)                                                                          \
    X(kbuffer_next_event)                                                                          \
    X(kbuffer_event_size)                                                                          \
    X(kbuffer_missed_events)

struct tracefs_functions {
#define X(name) __typeof__(name) *name;
    TRACEFS_FUNCTIONS(X) TRACEEVENT_FUNCTIONS(X)
#undef X
};

#define SUB_BUFFER_MAX (64 * 1024)

/* One processor's buffer. */
struct cpu_buffer {
    int fd; /* trace_pipe_raw, non-blocking */
    struct kbuffer *kbuf;
    char *page;        /* SUB_BUFFER_MAX bytes: the sub-buffer being read */
    void *data;        /* the next event of it; NULL: the sub-buffer is read to its end */
    uint64_t time;     /* its CLOCK_MONOTONIC */
    uint64_t known_to; /* all events before this moment have been read from the kernel */
    uint64_t missed;   /* events lost just before the next one */
};

/* What is known of a kind of event. */
struct event_type {
    int id;
    struct tep_event *event;
    bool marker; /* what a thread wrote to trace_marker */
    struct tep_format_field *rip, *vcpu;
    enum vm_exit_kind access;      /* VM_EXIT_PIO, VM_EXIT_MMIO; else: none */
    struct tep_format_field *addr; /* of an access */
};

#define EVENT_TYPES 128

struct tracefs {
    struct trace_source source; /* first member */
    struct tracefs_functions call;
    struct tracefs_devices devices;
    char name[32]; /* of the instance */
    int lock_fd;   /* its folder, locked while this process lives */
    struct tracefs_instance *instance;
    int marker_fd;
    struct tep_handle *tep;
    struct event_type type[EVENT_TYPES]; /* by ID modulo their number */

    unsigned cpus;
    struct cpu_buffer *cpu;
    int vcpu_pid[SMP_MAX]; /* as the kernel sees them; 0: not known */

    struct trace_event event; /* what peek() gave; its text is in TEXT */
    struct cpu_buffer *from;  /* where it came from; NULL: there is none */
    struct trace_seq text;
    uint64_t lost;
};

/* --- tracefs_library.c --- */

/* Loads the libraries. -1 with *err. */
int tracefs_load(struct tracefs_functions *call, struct error *err);

/* --- tracefs_read.c --- */

/* Opens the instance's buffers. 0 or -errno. */
int tracefs_open_buffers(struct tracefs *fs);
void tracefs_close_buffers(struct tracefs *fs);

/* The calling thread's number in the kernel, which in a container differs from gettid(); -errno. */
int tracefs_own_pid(struct tracefs *fs);

const struct trace_event *tracefs_peek(struct trace_source *source, uint64_t zero_ns,
                                       uint64_t upto_ns);
void tracefs_release(struct trace_source *source);
void tracefs_vcpu_starts(struct trace_source *source, unsigned index);

#endif
