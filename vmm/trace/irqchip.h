/*
 * irqchip.h: the names of the devices that KVM has in the kernel, for accesses that never leave it
 * (events kvm_pio and kvm_mmio).
 */
#ifndef KVMLENS_TRACE_IRQCHIP_H
#define KVMLENS_TRACE_IRQCHIP_H

#include "../vm_exit.h"

/* Sets *device and *reg (static) to what ADDR is, a port (VM_EXIT_PIO) or a guest physical address
 * (VM_EXIT_MMIO), of a VM with all of KVM's devices; or to NULL: none of them. */
void irqchip_name(enum vm_exit_kind kind, uint64_t addr, const char **device, const char **reg);

#endif
