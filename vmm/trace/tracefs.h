/*
 * tracefs.h: the kernel's own trace events of KVM (kvm:*), of this process alone: what never
 * reaches userspace.
 */
#ifndef KVMLENS_TRACEFS_H
#define KVMLENS_TRACEFS_H

#include "../error.h"
#include "source.h"

struct tracefs;

/* Which devices KVM has in the kernel: accesses to them are named. */
struct tracefs_devices {
    bool irqchip; /* PIC, I/O APIC, local APICs */
    bool pit;
};

/* Makes a private instance of the kernel's tracing, which records the events of the calling thread
 * and of all threads that it starts from now on. What a run that was killed has left is removed.
 * -1 with *err saying what is missing, and how to get it. */
int tracefs_open(struct tracefs **fs, struct tracefs_devices devices, struct error *err);

/* Its events, borrowed. */
struct trace_source *tracefs_source(struct tracefs *fs);

/* How many events the kernel had no room for, as far as its events have been read. */
uint64_t tracefs_lost(const struct tracefs *fs);

/* Removes the instance, which takes the kernel a tenth of a second. Names of events are no longer
 * valid. FS may be NULL. */
void tracefs_close(struct tracefs *fs);

#endif
