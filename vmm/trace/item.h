/*
 * item.h: one event with all that is known of it, and where it goes.
 *
 *   vCPU threads --records--> rings --writer thread--> filter --> names --> sinks
 *                                        FILE.jsonl --report.c--> filter ----^
 *
 * The writer's thread (or, offline, `kvmlens report`) makes a struct trace_item of each record: names,
 * symbol, source line, instruction, texts. A sink (text, jsonl, chrome, html, summary, live) makes
 * output of it, and never knows whether the guest is running now or ran last year.
 */
#ifndef KVMLENS_TRACE_ITEM_H
#define KVMLENS_TRACE_ITEM_H

#include "../error.h"
#include "event.h"

#include <stdbool.h>
#include <stdint.h>

/* What all events of a trace have in common. Strings are borrowed for the life of the sink. */
struct trace_header {
    const char *command; /* the command line, one string */
    const char *guest;   /* the kernel's or ROM's file */
    const char *host;    /* "Linux 6.1.0-18-cloud-amd64" */
    const char *backend; /* "vmx", "svm", "software" (docs/backends.md) */
    uint64_t started_ns; /* CLOCK_REALTIME at the trace's time 0 */
    uint32_t clock_ns;   /* what reading the clock twice and recording cost at start, an exit */
    unsigned vcpus;
    bool kernel; /* there are events of KVM's own (VM_EXIT_KERNEL) */
};

/* A counter of KVM's own (KVM_GET_STATS_FD), all vCPUs together. */
struct trace_stat {
    const char *name; /* "exits", "io_exits", "halt_exits", ... */
    uint64_t value;
};

#define TRACE_STATS_MAX 128

/* What is known at the end. */
struct trace_footer {
    uint64_t wall_ns;    /* from time 0 */
    uint64_t exits;      /* that userspace saw, whether or not they are in the trace */
    uint64_t dropped;    /* records lost because a ring was full */
    uint64_t filtered;   /* events that the filter kept out */
    const char *end;     /* how the guest ended: "power-off", "reset", "crash", ... */
    int status;          /* exit status */
    bool cut;            /* a trace that was read had no end: what follows is not known */
    unsigned stat_count; /* 0: this KVM has no statistics */
    struct trace_stat stat[TRACE_STATS_MAX];
};

/* Strings live until the trace's end unless said otherwise; equal names of one trace are the same
 * pointer only where the comment says "interned". */
struct trace_item {
    const struct trace_event *event; /* until the call returns */
    const char *kind;                /* "out", "mmio write", "note", "kvm_exit" */
    const char *symbol;              /* interned; NULL: none */
    uint64_t symbol_offset;          /* bytes from its start */
    const char *file;                /* interned; the source file, NULL: not known */
    unsigned line;                   /* in it */
    const char *insn;                /* "out dx, al"; NULL: not known */
    const char *remark;              /* the device's words, until the call returns; NULL: none */
    uint64_t stopped_guest_ns; /* of the event's guest_ns, while kvmlens was stopped (Ctrl-Z) */
    uint64_t stopped_vmm_ns;   /* of its vmm_ns */
};

/* The counter NAME of FOOTER, or NULL. */
const struct trace_stat *trace_find_stat(const struct trace_footer *footer, const char *name);

#define TRACE_REMARK_MAX 256 /* the longest remark, with its NUL */

struct code_place;

/* Makes ITEM of EVENT and of what its RIP leads to (NULL: not known; code.h), both borrowed.
 * REMARK has room for the device's words. */
void trace_item_make(struct trace_item *item, const struct trace_event *event,
                     const struct code_place *place, char remark[TRACE_REMARK_MAX]);

struct trace_sink;

struct trace_sink_ops {
    const char *name; /* "jsonl" */
    /* Each returns 0 or -errno; after an error nothing more but destroy() is called. */
    int (*begin)(struct trace_sink *sink, const struct trace_header *header);
    int (*item)(struct trace_sink *sink, const struct trace_item *item);
    int (*flush)(
        struct trace_sink *sink); /* at least every 100 ms, whether or not there were items,
                                              and when nothing more has come; may be NULL */
    int (*end)(struct trace_sink *sink, const struct trace_footer *footer);
    void (*destroy)(struct trace_sink *sink);
};

/* Embedded as the first member of each sink. All calls come from one thread. */
struct trace_sink {
    const struct trace_sink_ops *ops;
    uint64_t dropped;    /* records lost so far, as of the last flush() */
    uint64_t stopped_ns; /* for how long kvmlens was stopped so far, as of the last flush() */
};

/* The sinks. FD is borrowed and written to with write(2); NULL: out of memory. */
struct trace_sink *trace_text_sink(int fd, bool colour);
struct trace_sink *trace_summary_sink(int fd, bool colour);
struct trace_sink *trace_jsonl_sink(int fd);
struct trace_sink *trace_chrome_sink(int fd);
struct trace_sink *trace_html_sink(int fd);
/* FD is a terminal. KEYS: its keys may be read (from /dev/tty). */
struct trace_sink *trace_live_sink(int fd, bool colour, bool keys);

#endif
