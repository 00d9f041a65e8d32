/*
 * internal.h: what the files of vmm/kvm/ share; nothing outside of it includes this.
 */
#ifndef KVMLENS_KVM_INTERNAL_H
#define KVMLENS_KVM_INTERNAL_H

#include "cpuid.h"
#include "kvm.h"

#include <linux/kvm.h>
#include <stddef.h>

struct kvm_vm {
    int kvm_fd, vm_fd;
    size_t run_size; /* bytes of struct kvm_run and what follows it */
    unsigned slots;  /* memory slots in use */
    bool irqchip;
    bool sync_regs;                /* KVM_CAP_SYNC_REGS: registers come with each exit */
    struct kvm_cpuid_table *cpuid; /* what KVM supports, read once; or NULL */
};

struct kvm_vcpu {
    struct kvm_vm *vm;
    int fd;
    bool again;          /* KVM_RUN said EAGAIN, and the vCPU waits for nothing */
    struct kvm_run *run; /* shared with the kernel */
};

/* Where KVM is: /dev/kvm, or $KVMLENS_DEV_KVM. */
const char *kvm_device_path(void);

/* STATUS_NO_KVM, or STATUS_INTERNAL if ERROR (an errno) says that the host is short of something. */
enum status kvm_blame(int error);

/* The name of the first capability that kvmlens needs and this KVM lacks, or NULL. */
const char *kvm_missing_capability(int kvm_fd);

/* Turns what KVM_RUN left in *RUN into *EXIT, but for its rip. */
void kvm_decode_exit(struct kvm_run *run, struct vm_exit *exit);

#endif
