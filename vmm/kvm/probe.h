/*
 * probe.h: what /dev/kvm is and can do on this host, as plain facts; ../doctor.c puts them into
 * words.
 */
#ifndef KVMLENS_KVM_PROBE_H
#define KVMLENS_KVM_PROBE_H

#include "kvm.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_CAPABILITIES_MAX 16

struct probe_capability {
    const char *name;    /* "KVM_CAP_IRQCHIP"; static */
    const char *purpose; /* what kvmlens does with it; static */
    bool required;       /* no guest runs without it */
    bool present;
};

struct kvm_probe {
    const char *path; /* /dev/kvm, or $KVMLENS_DEV_KVM */

    /* The file. stat_errno 0: the next ones are valid. */
    int stat_errno;
    bool char_device;
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
    int open_errno; /* 0: it opens for reading and writing */

    /* The host around it. */
    bool cpu_vmx, cpu_svm; /* the processor says so */
    bool in_vm;            /* the processor says that a hypervisor runs it */
    bool in_container;
    bool module_loaded; /* the kernel has KVM */
    enum kvm_backend backend;

    /* KVM itself; valid if it opens. */
    int api_version; /* -1: it does not answer */
    struct probe_capability capability[PROBE_CAPABILITIES_MAX];
    unsigned capability_count;
    int max_vcpus, max_memslots;

    /* A guest of one page. run_errno 0: it ran, and the figures are valid. */
    const char *run_step; /* what failed ("KVM_CREATE_VM"); static */
    int run_errno;
    unsigned exits;      /* how many were timed */
    uint64_t exit_ns;    /* median of a port-I/O exit: guest, KVM, kvmlens and back */
    uint64_t insn_per_s; /* guest instructions a second, in a loop without exits */
};

/* Looks at everything and runs the small guest; takes a tenth of a second or two. */
void kvm_probe(struct kvm_probe *probe);

#endif
