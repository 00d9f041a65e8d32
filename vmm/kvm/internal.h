/*
 * internal.h: what the files of vmm/kvm/ share; nothing outside of it includes this.
 */
#ifndef KVMLENS_KVM_INTERNAL_H
#define KVMLENS_KVM_INTERNAL_H

#include "cpuid.h"
#include "kvm.h"

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/ioctl.h>

struct kvm_vm {
    int kvm_fd, vm_fd;
    size_t run_size; /* bytes of struct kvm_run and what follows it */
    unsigned slots;  /* memory slots in use */
    bool irqchip;
    bool sync_regs;                      /* KVM_CAP_SYNC_REGS: registers come with each exit */
    const struct kvm_listener *listener; /* or NULL */
    atomic_ullong told[2];               /* by level: GSIs whose line the listener has heard of */
    struct kvm_cpuid_table *cpuid;       /* what KVM supports, read once; or NULL */
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
const char *kvm_missing_capability(const struct kvm_listener *listener, int kvm_fd);

/* The name ("KVM_CAP_IRQCHIP") of a capability that kvmlens uses, and what for; NULL, if it does not. */
const char *kvm_capability(int number, const char **purpose);

/* ioctl(2) on one of KVM's files, which LISTENER, if there is one, is told of (narrate.c). */
int kvm_ioctl_told(const struct kvm_listener *listener, int fd, unsigned long request,
                   const char *name, unsigned long arg);
static inline int kvm_ioctl_named(const struct kvm_listener *listener, int fd,
                                  unsigned long request, const char *name, unsigned long arg)
{
    return __builtin_expect(listener != NULL, 0) ? kvm_ioctl_told(listener, fd, request, name, arg)
                                                 : ioctl(fd, request, arg);
}
#define kvm_ioctl(listener, fd, request, arg)                                                      \
    kvm_ioctl_named(listener, fd, request, #request, (unsigned long)(arg))

/* Turns what KVM_RUN left in *RUN into *EXIT, but for its rip. */
void kvm_decode_exit(struct kvm_run *run, struct vm_exit *exit);

#endif
