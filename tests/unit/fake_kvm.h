/*
 * fake_kvm.h: a scripted /dev/kvm for unit tests.  Each vCPU plays its list of exits; at the end of
 * the list it "runs the guest" until it is kicked.
 */
#ifndef KVMLENS_FAKE_KVM_H
#define KVMLENS_FAKE_KVM_H

#include "kvm/kvm.h"

#define FAKE_VCPUS 8

struct fake_vcpu_script {
    struct vm_exit *exit; /* played in order; data points to the test's own bytes */
    unsigned count;
    unsigned played;
    int run_error; /* after the last exit, kvm_vcpu_run() fails with this -errno */
};

#define FAKE_EVENTFDS 64

struct fake_ioeventfd {
    uint64_t gpa;
    uint32_t value;
    int fd; /* borrowed: the test writes to it as KVM would */
};

struct fake_kvm {
    struct fake_vcpu_script script[FAKE_VCPUS];
    void (*before_wait)(void *opaque,
                        unsigned vcpu); /* just before a vCPU enters its endless run */
    void *opaque;
    bool fail_create;   /* kvm_vm_create() fails */
    unsigned fail_vcpu; /* kvm_vcpu_create() of vCPU fail_vcpu - 1 fails; 0: none */
    bool fail_cpuid;    /* kvm_vm_read_cpuid() fails */
    int fail_map;       /* kvm_vm_map() fails with this -errno */
    struct cpu_state state[FAKE_VCPUS];
    unsigned maps, irqs, live_vms, live_vcpus, cpuids;
    unsigned last_gsi;
    bool last_level;
    struct fake_ioeventfd ioeventfd[FAKE_EVENTFDS];
    unsigned ioeventfds;
    int irqfd[FAKE_EVENTFDS];       /* by GSI; 0: none; borrowed */
    int fail_ioeventfd, fail_irqfd; /* they fail with this -errno */
};

/* The one fake; a test sets it up before it makes a VM. */
extern struct fake_kvm fake_kvm;

#endif
