/*
 * kvm.h: /dev/kvm as the rest of kvmlens sees it.  vmm/kvm/ is the only code that includes
 * <linux/kvm.h>; unit tests link a scripted fake of these functions in its place.
 * Source: the kernel's Documentation/virt/kvm/api.rst.
 *
 * Functions return 0 or -errno unless they say otherwise. The handles are owned by who makes
 * them; destroy accepts NULL.
 */
#ifndef KVMLENS_KVM_H
#define KVMLENS_KVM_H

#include "../cpu_state.h"
#include "../error.h"
#include "../vm_exit.h"

#include <stdbool.h>
#include <stdint.h>

struct kvm_vm;
struct kvm_vcpu;
struct cpu_features; /* cpuid.h */

/* An ioctl on one of KVM's files. */
struct kvm_call {
    const char *name; /* "KVM_CREATE_VM"; static */
    const char *text; /* on which file, with what, and the result; until the call returns */
    const char *why;  /* one line on its purpose; static */
    uint64_t ns;      /* how long it took */
    unsigned vcpu;    /* the vCPU whose thread made it; ~0u: another thread */
};

/* Is told of each, after it, by the thread that made it. */
struct kvm_listener {
    void (*called)(void *opaque, const struct kvm_call *call);
    void *opaque;
};

/* Opens /dev/kvm (or $KVMLENS_DEV_KVM), checks the API version and the capabilities that kvmlens
 * cannot do without, and creates a VM. LISTENER, borrowed for its life, is told of all ioctls but
 * those of each exit; or NULL. Fills in *err and returns -1 on failure (STATUS_NO_KVM). */
int kvm_vm_create(struct kvm_vm **vm, const struct kvm_listener *listener, struct error *err);
void kvm_vm_destroy(struct kvm_vm *vm);

/* In-kernel PIC, I/O APIC, local APICs, and the PIT if PIT. Before any vCPU is created. */
int kvm_vm_create_irqchip(struct kvm_vm *vm, bool pit);

/* Backs [gpa, gpa+size) with HOST memory; both are multiples of 4096 bytes. */
int kvm_vm_map(struct kvm_vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly);

/* Drives GSI's input of the in-kernel interrupt controllers. Safe from any thread. */
int kvm_vm_irq(struct kvm_vm *vm, unsigned gsi, bool level);

/* From now on a 4-byte write of VALUE to the MMIO register at GPA is no exit: KVM adds 1 to the
 * eventfd FD. Other values still exit. KVM keeps the file open by itself. */
int kvm_vm_ioeventfd(struct kvm_vm *vm, uint64_t gpa, uint32_t value, int fd);

/* From now on each write to the eventfd FD makes an edge of GSI. Needs the in-kernel interrupt
 * controllers. */
int kvm_vm_irqfd(struct kvm_vm *vm, unsigned gsi, int fd);

/* Creates vCPU INDEX, whose APIC ID is INDEX, from the thread that will run it. Its registers are
 * those after reset (SDM vol. 3A, table 9-1). -1 with *err on failure. */
int kvm_vcpu_create(struct kvm_vm *vm, unsigned index, struct kvm_vcpu **vcpu, struct error *err);
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);

/* Asks KVM what CPUID it offers; once, before kvm_vcpu_set_cpuid(). It takes as long as creating a
 * vCPU, and can be done at the same time. -1 with *err on failure. */
int kvm_vm_read_cpuid(struct kvm_vm *vm, struct error *err);

/* Gives vCPU INDEX of COUNT the offered CPUID, less the FEATURES masked off. Before it runs. */
int kvm_vcpu_set_cpuid(struct kvm_vcpu *vcpu, unsigned index, unsigned count,
                       const struct cpu_features *features, struct error *err);

/* Runs the guest until something needs userspace, and says what in *exit. -errno only for
 * failures that KVM_RUN should never have; EINTR and EAGAIN become VM_EXIT_INTR and _AGAIN. */
int kvm_vcpu_run(struct kvm_vcpu *vcpu, struct vm_exit *exit);

/* With ON, the next (or current, when a signal arrives) kvm_vcpu_run returns VM_EXIT_INTR at
 * once; any thread may set it. The vCPU's own thread clears it before it looks at what was asked,
 * so a kick between look and run is not lost (api.rst, "immediate_exit"). */
void kvm_vcpu_set_immediate_exit(struct kvm_vcpu *vcpu, bool on);

/* The registers as the last exit left them, without a system call: gpr by enum cpu_gpr. False: this
 * KVM does not hand them over (KVM_CAP_SYNC_REGS). */
bool kvm_vcpu_exit_registers(const struct kvm_vcpu *vcpu, uint64_t gpr[16], uint64_t *rflags);

int kvm_vcpu_get_state(struct kvm_vcpu *vcpu, struct cpu_state *state);
int kvm_vcpu_set_state(struct kvm_vcpu *vcpu, const struct cpu_state *state);

/* What a vCPU that is not in KVM_RUN was doing (KVM_GET_MP_STATE). */
enum vcpu_activity { VCPU_RUNS, VCPU_HALTED, VCPU_WAITS_FOR_SIPI };
int kvm_vcpu_get_activity(struct kvm_vcpu *vcpu, enum vcpu_activity *activity);

#define KVM_STATS_MAX     128
#define KVM_STAT_NAME_MAX 48 /* with its NUL */

/* Counters of KVM's own: "exits", "io_exits", "halt_exits", ... Zero-initialise. */
struct kvm_stats {
    unsigned count;
    struct {
        char name[KVM_STAT_NAME_MAX];
        uint64_t value;
    } stat[KVM_STATS_MAX];
};

/* Add the counters of a VM, or of a vCPU, to *STATS, by name. At any time, from any thread. -ENOTTY
 * or -EINVAL: this KVM has none (KVM_CAP_BINARY_STATS_FD). */
int kvm_vm_add_stats(const struct kvm_vm *vm, struct kvm_stats *stats);
int kvm_vcpu_add_stats(const struct kvm_vcpu *vcpu, struct kvm_stats *stats);

enum kvm_backend { KVM_BACKEND_VMX, KVM_BACKEND_SVM, KVM_BACKEND_SOFTWARE, KVM_BACKEND_UNKNOWN };

/* Which backend /dev/kvm seems to have, from the loaded modules and the processor's flags. */
enum kvm_backend kvm_backend(void);

#endif
