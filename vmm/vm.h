/*
 * vm.h: a running virtual machine: its memory, buses, vCPUs, and how it ends.
 *
 * The device lock is held whenever a device is called: by vm_handle_exit() on a vCPU's thread, and
 * by the event loop.  Whoever wants the VM to end calls vm_end() from any thread; the first one
 * wins, and the owner, woken through on_end, calls vm_stop().
 */
#ifndef KVMLENS_VM_H
#define KVMLENS_VM_H

#include "bus.h"
#include "kvm/kvm.h"
#include "mem.h"
#include "trace/event.h"
#include "vm_exit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define VCPU_LAST_EXITS 16 /* kept for the post-mortem */
#define VCPU_NOTES_MAX  16 /* remarks on one exit that wait for its line */

struct trace;

struct vcpu {
    struct vm *vm;
    unsigned index;
    struct kvm_vcpu *kvm;
    pthread_t thread;
    bool started;
    struct trace_event last[VCPU_LAST_EXITS]; /* a ring; written by the vCPU's thread alone */
    uint64_t exits;                           /* handled so far; last[exits % N] is next */
    struct trace_event note[VCPU_NOTES_MAX];  /* on the exit being handled */
    unsigned notes;
};

enum vm_end_kind {
    VM_END_NONE,       /* still running */
    VM_END_POWEROFF,   /* the guest powered off, or halted for good */
    VM_END_RESET,      /* the guest asked for a reset */
    VM_END_DEBUG_EXIT, /* isa-debug-exit: value */
    VM_END_CRASH,      /* triple fault, or the guest said that it crashed: vcpu, exit */
    VM_END_KVM_FAIL,   /* KVM cannot run the guest: vcpu, exit */
    VM_END_RUN_ERROR,  /* KVM_RUN itself failed: vcpu, value = errno */
    VM_END_TIMEOUT,    /* the time limit passed */
    VM_END_SIGNAL,     /* value = signal number */
    VM_END_QUIT,       /* Ctrl-A x */
};

struct vm_end {
    enum vm_end_kind kind;
    unsigned vcpu;
    struct vm_exit exit;
    uint32_t value;
};

struct vm {
    struct kvm_vm *kvm;
    struct mem mem;
    struct bus pio, mmio;
    pthread_mutex_t device_lock;
    struct trace *trace;       /* borrowed; NULL: off */
    struct kvm_listener setup; /* for the trace */

    /* Under the device lock: who is calling a device because of an exit, and on which thread. */
    struct vcpu *handling;
    pthread_t handler;

    struct vcpu *vcpu;
    unsigned vcpu_count;

    /* Between vm_create_vcpus() and vm_run(), under start_lock. */
    pthread_mutex_t start_lock;
    pthread_cond_t start_change;
    unsigned vcpus_created;
    bool may_run, create_failed;
    struct error create_error;

    struct vm_end end; /* written once, by the first vm_end(); read after vm_stop() */
    atomic_flag end_claimed;
    atomic_bool stopping;
    void (*on_end)(void *opaque); /* called once, on the thread that ends the VM */
    void *on_end_opaque;
};

/* Makes a VM of COUNT vCPUs without memory or devices. TRACE is borrowed, NULL for none. -1 with
 * *err on failure. vm_destroy() takes a VM in any state, but not a running one. */
int vm_create(struct vm *vm, unsigned count, struct trace *trace, struct error *err);
void vm_destroy(struct vm *vm);

/* Backs guest memory with HOST (borrowed) for the guest and for devices; gpa and size are
 * multiples of 4096. -1 with *err on failure. */
int vm_map(struct vm *vm, uint64_t gpa, uint64_t size, uint8_t *host, bool readonly,
           struct error *err);

/* Creates the in-kernel interrupt controllers, and the PIT if PIT. Before the vCPUs. */
int vm_create_irqchip(struct vm *vm, bool pit, struct error *err);

/* Starts a thread for each vCPU, which creates it, in its state after reset, and waits for
 * vm_run(): KVM wants a vCPU's ioctls from the thread that made it (api.rst, section 2), and the
 * caller can go on meanwhile. The threads inherit the caller's signal mask. */
int vm_create_vcpus(struct vm *vm, struct error *err);

/* Waits until all vCPUs are created, and gives them their CPUID. -1 with *err on failure. */
int vm_finish_vcpus(struct vm *vm, const struct cpu_features *features, struct error *err);

/* Lets the vCPUs run the guest. */
void vm_run(struct vm *vm);

/* Ends the VM, unless somebody did already; *end is copied. From any thread, never blocks. */
void vm_end(struct vm *vm, const struct vm_end *end);

/* "power-off", "crash", ...; static. */
const char *vm_end_name(enum vm_end_kind kind);

/* Adds KVM's counters of the VM and of all vCPUs. 0 or -errno, as kvm_vm_add_stats(). */
int vm_add_stats(const struct vm *vm, struct kvm_stats *stats);

/* Makes every vCPU leave the guest (or give up waiting for it) and its thread end. Not from a
 * vCPU's thread, and without the device lock. */
void vm_stop(struct vm *vm);

/* Handles one exit: the device answers, and the exit is the newest of those kept. (exit.c) */
void vm_handle_exit(struct vcpu *vcpu, struct vm_exit *exit);

/* Tells the trace of the exit just handled. ENTERED_NS and LEFT_NS are trace_now() when the vCPU
 * entered and left the guest. Returns when it was done: looking at the clock is what a trace costs,
 * and this is when the guest is entered next. (exit.c) */
uint64_t vm_trace_exit(struct vcpu *vcpu, uint64_t entered_ns, uint64_t left_ns);

/* DEVICE says something of its work: TEXT is static, a printf format for ARG as unsigned long long.
 * The first remark while an exit to that device is handled becomes part of the exit's event; others,
 * and those made outside of exits, become notes of the trace. With the device lock held, from any
 * thread. (exit.c) */
void vm_remark(struct vm *vm, const char *device, const char *text, const uint64_t arg[3]);

/* The body of a vCPU's thread: runs it until the VM is stopped. (vcpu.c) */
void vcpu_run(struct vcpu *vcpu);

/* Lets the threads that are started from now on receive the signal that vcpu_kick() sends.
 * (vcpu.c) */
void vcpu_accept_kicks(void);

/* Makes a vCPU leave KVM_RUN, or not enter it. From any thread. (vcpu.c) */
void vcpu_kick(struct vcpu *vcpu);

/* Copies the exits kept of a stopped vCPU, oldest first; returns how many. (vcpu.c) */
unsigned vcpu_last_exits(const struct vcpu *vcpu, struct trace_event events[VCPU_LAST_EXITS]);

#endif
