/*
 * cpuid.h: what CPUID tells the guest: KVM's offer, less the features masked off, with the APIC ID
 * and the topology of each vCPU. Internal to vmm/kvm/.
 * Source: the kernel's Documentation/virt/kvm/api.rst, 4.20 (KVM_SET_CPUID2) and 4.46
 * (KVM_GET_SUPPORTED_CPUID).
 */
#ifndef KVMLENS_KVM_CPUID_H
#define KVMLENS_KVM_CPUID_H

#include "../cpu_features.h"
#include "../error.h"

#include <stdbool.h>

struct kvm_cpuid_table;
struct kvm_listener;

/* Reads what KVM offers: once for a VM, since it takes KVM longer than all else at start. IRQCHIP:
 * the VM has in-kernel local APICs. Fills in *err and returns -1 on failure. The caller frees
 * *TABLE (free() of NULL is allowed). */
int kvm_cpuid_read(struct kvm_cpuid_table **table, const struct kvm_listener *listener, int kvm_fd,
                   bool irqchip, struct error *err);
void kvm_cpuid_free(struct kvm_cpuid_table *table);

/* Sets the CPUID of vCPU INDEX of COUNT, whose APIC ID is INDEX. A wanted feature that KVM does
 * not offer is a STATUS_USAGE error that names all such. */
int kvm_cpuid_set(const struct kvm_cpuid_table *table, const struct kvm_listener *listener,
                  int vcpu_fd, unsigned index, unsigned count, const struct cpu_features *features,
                  struct error *err);

#endif
