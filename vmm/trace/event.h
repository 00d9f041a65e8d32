/*
 * event.h: one handled exit, as the trace sees it, made at one place, the end of vm_handle_exit();
 * or a note, what a device said of work that it did besides (vm_remark()).  Plain data with strings
 * that outlive the trace, so that it can be copied and kept.
 */
#ifndef KVMLENS_TRACE_EVENT_H
#define KVMLENS_TRACE_EVENT_H

#include "../vm_exit.h"

#define TRACE_DATA_MAX 16
#define TRACE_NO_VCPU  (~0u)

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
    const char *raw_name;    /* static */

    const char *device; /* outlives the trace; NULL: nobody claimed the access */
    const char *reg;    /* static; NULL: no such register */
    uint64_t rip;

    const char *remark; /* what the device said of it: static, a printf format for remark_arg as
                           unsigned long long; or NULL */
    uint64_t remark_arg[3];
};

#endif
