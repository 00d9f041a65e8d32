/*
 * explain.h: each kind of exit, each event of KVM and each device register in words, for
 * `kvmlens explain`, for the page that -trace format=html makes, and for docs/exits.md.
 */
#ifndef KVMLENS_TRACE_EXPLAIN_H
#define KVMLENS_TRACE_EXPLAIN_H

#include "../status.h"

struct explanation {
    const char
        *topic;       /* "exits", "kvm events", "serial", "rtc", "virtio-mmio", "virtio-blk", ... */
    const char *name; /* "out", "KVM_EXIT_IO", "THR", "QueueNotify", "capacity" */
    const char *cause;  /* what makes it happen: one or two sentences */
    const char *effect; /* what kvmlens (or KVM) does about it; or NULL */
    const char
        *source; /* "KVM api.rst section 5", "PC16550D data sheet, 8.1", "virtio 1.2, 4.2.2" */
};

/* Ends with a NULL name. */
extern const struct explanation explanations[];

/* The explanation of NAME, which may be "serial THR" or "THR", in any case; NULL: there is none. */
const struct explanation *explain_find(const char *name);

/* `kvmlens explain [NAME]`: prints NAME's (all that match it), or the list of names, to stdout;
 * unknown: a suggestion on stderr. */
enum status explain_run(const char *name);

#endif
