/*
 * event.h: one handled exit, as the trace sees it.  Made at one place, the end of
 * vm_handle_exit(); plain data with static strings only, so that it can be copied and kept.
 */
#ifndef KVMLENS_TRACE_EVENT_H
#define KVMLENS_TRACE_EVENT_H

#include "../vm_exit.h"

#define TRACE_DATA_MAX 16

struct trace_event {
    uint64_t start_ns; /* when the vCPU entered the guest, since the trace began; 0: not timed */
    uint64_t guest_ns; /* from there to the exit: guest and KVM */
    uint64_t vmm_ns;   /* from the exit to the end of its handling */
    unsigned vcpu;

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

    const char *device; /* static; NULL: nobody claimed the access */
    const char *reg;    /* static; NULL: no such register */
    uint64_t rip;
};

#endif
