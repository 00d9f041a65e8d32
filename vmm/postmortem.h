/*
 * postmortem.h: why a guest died, for a person: registers, the code, the page tables, the IDT,
 * the stack, the last exits, and the likely cause in one sentence.
 */
#ifndef KVMLENS_POSTMORTEM_H
#define KVMLENS_POSTMORTEM_H

#include "cpu_state.h"
#include "mem.h"
#include "trace/event.h"
#include "trace/symbols.h"
#include "vm_exit.h"

#include <stdbool.h>
#include <stdio.h>

struct postmortem {
    unsigned vcpu;
    const struct vm_exit *exit;    /* the one that ended it */
    const struct cpu_state *state; /* the vCPU's registers then */
    const struct mem *mem;
    const struct symbols *symbols;  /* or NULL */
    const struct trace_event *last; /* the exits before it, oldest first */
    unsigned last_count;
    bool software_backend; /* KVM is a software one: some instructions cannot be emulated */
};

/* Prints the whole report. Reads guest memory only through MEM, whatever the registers say. */
void postmortem_print(FILE *out, bool colour, const struct postmortem *dead);

#endif
