/*
 * event.h: one handled exit, as the trace sees it, made at one place, the end of vm_handle_exit();
 * or a note, what a device said of work that it did besides (vm_remark()); or an event of KVM's own,
 * from the kernel.  Plain data of fixed size with strings that outlive the trace, so that it can be
 * copied and kept.
 */
#ifndef KVMLENS_TRACE_EVENT_H
#define KVMLENS_TRACE_EVENT_H

#include "../cpu_state.h"
#include "../vm_exit.h"

#include <stddef.h>

#define TRACE_DATA_MAX 16
#define TRACE_NO_VCPU  (~0u)

/* What the guest's registers were when it left. */
struct trace_registers {
    uint64_t gpr[16]; /* by enum cpu_gpr */
    uint64_t rflags;
};

struct trace_event {
    uint64_t start_ns; /* when the vCPU entered the guest, since the trace began; 0: not timed */
    uint64_t guest_ns; /* from there to the exit: guest and KVM */
    uint64_t vmm_ns;   /* from the exit to the end of its handling */
    unsigned vcpu;     /* TRACE_NO_VCPU: a note from another thread */

    enum vm_exit_kind kind;
    bool write;
    uint8_t size; /* bytes an access */
    uint32_t count;
    uint64_t addr;                /* port or GPA */
    uint8_t data[TRACE_DATA_MAX]; /* the first bytes that went either way */
    uint8_t data_len;             /* how many of them there are */
    uint64_t detail;
    const char *detail_name; /* static, or NULL */
    const char *raw_name;    /* static; VM_EXIT_KERNEL: its name, "kvm_exit" (interned) */

    const char *device; /* outlives the trace; NULL: nobody claimed the access */
    const char *reg;    /* static; NULL: no such register */
    uint64_t rip;

    const char *remark; /* what the device said of it: static, a printf format for remark_arg as
                           unsigned long long; or NULL */
    uint64_t remark_arg[3];

    const char *text; /* VM_EXIT_KERNEL: its fields, "vector 48". VM_EXIT_NOTE: it is an ioctl, reg
                         its name; what it was given and gave. Owned by who made the event, until
                         it is released; or NULL */

    bool has_registers;
    struct trace_registers registers; /* the last member; undefined unless has_registers */
};

/* How much of an event there is without the registers. */
#define TRACE_EVENT_PLAIN offsetof(struct trace_event, registers)

#endif
