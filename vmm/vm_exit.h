/*
 * vm_exit.h: why a vCPU came back from the guest, in neutral terms.  vmm/kvm/ makes it from
 * struct kvm_run; the exit handler, the trace and the tests see only this.
 */
#ifndef KVMLENS_VM_EXIT_H
#define KVMLENS_VM_EXIT_H

#include <stdbool.h>
#include <stdint.h>

enum vm_exit_kind {
    VM_EXIT_PIO,            /* IN, OUT, INS, OUTS on an I/O port */
    VM_EXIT_MMIO,           /* access to a GPA that no memslot backs (or a write to ROM) */
    VM_EXIT_HLT,            /* HLT without an in-kernel local APIC */
    VM_EXIT_SHUTDOWN,       /* triple fault */
    VM_EXIT_SYSTEM_EVENT,   /* the guest asked the kernel for shutdown, reset, crash, ... */
    VM_EXIT_INTERNAL_ERROR, /* KVM gave up: an instruction it cannot emulate, and such */
    VM_EXIT_FAIL_ENTRY,     /* the processor refused to enter the guest */
    VM_EXIT_DEBUG,          /* breakpoint or single step */
    VM_EXIT_INTR,           /* KVM_RUN was interrupted: kick, or a signal */
    VM_EXIT_AGAIN,          /* nothing to do: EAGAIN (the vCPU waits for INIT/SIPI), SET_TPR */
    VM_EXIT_OTHER,          /* any other reason; raw_reason tells which */
    VM_EXIT_NOTE,           /* no exit: a device's remark, in the trace alone */
    VM_EXIT_KERNEL,         /* no exit: an event of KVM's own, in the trace alone */
    VM_EXIT_KINDS
};

/* What a SYSTEM_EVENT asks for. */
enum system_event {
    SYSTEM_EVENT_SHUTDOWN,
    SYSTEM_EVENT_RESET,
    SYSTEM_EVENT_CRASH,
    SYSTEM_EVENT_OTHER
};

struct vm_exit {
    enum vm_exit_kind kind;
    uint32_t raw_reason;  /* KVM_EXIT_... (KVM api.rst section 5) */
    const char *raw_name; /* "KVM_EXIT_IO"; static */

    /* PIO and MMIO */
    uint64_t addr;  /* port, or GPA */
    uint8_t size;   /* bytes an access: 1, 2, 4, 8 */
    bool write;     /* by the guest */
    uint32_t count; /* accesses; more than 1 for string I/O (REP INS, REP OUTS) */
    void *data;     /* size * count bytes: what was written, or room for what is read.
                       Borrowed from the vCPU until it next runs */

    /* SYSTEM_EVENT: its type. INTERNAL_ERROR: the suberror. FAIL_ENTRY: the hardware reason.
     * DEBUG: the exception. OTHER: 0 */
    uint64_t detail;
    enum system_event event; /* SYSTEM_EVENT */
    const char *detail_name; /* "shutdown", "emulation", ...; static, or NULL */
    uint64_t info[8];        /* what KVM gave with it (INTERNAL_ERROR data, DEBUG pc/dr6/dr7) */
    uint8_t info_count;
    uint8_t insn[15]; /* INTERNAL_ERROR, emulation: the instruction's bytes, if KVM told them */
    uint8_t insn_len; /* or 0 */

    uint64_t rip; /* as KVM left it: at, or behind, the instruction (docs/exits.md) */
};

/* "out", "in", "mmio write", "hlt", "shutdown", ...; static. */
const char *vm_exit_kind_name(const struct vm_exit *exit);

#endif
