/*
 * fake_kvm.c: the scripted fake that takes the place of vmm/kvm/ in unit tests.
 */
#include "fake_kvm.h"

#include "kvm/probe.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake_kvm fake_kvm;

struct kvm_vm {
    bool irqchip;
};

struct kvm_vcpu {
    unsigned index;
    atomic_bool immediate_exit;
};

int kvm_vm_create(struct kvm_vm **vm, const struct kvm_listener *listener, struct error *err)
{
    (void)listener;
    if (fake_kvm.fail_create)
        return error_set(err, STATUS_NO_KVM, "fake: no KVM");
    *vm = calloc(1, sizeof **vm);
    fake_kvm.live_vms++;
    return 0;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
    if (vm)
        fake_kvm.live_vms--;
    free(vm);
}

int kvm_vm_add_stats(const struct kvm_vm *vm, struct kvm_stats *stats)
{
    (void)vm;
    (void)stats;
    return -ENOTTY;
}

int kvm_vcpu_add_stats(const struct kvm_vcpu *vcpu, struct kvm_stats *stats)
{
    (void)vcpu;
    (void)stats;
    return -ENOTTY;
}

int kvm_vm_create_irqchip(struct kvm_vm *vm, bool pit)
{
    (void)pit;
    vm->irqchip = true;
    return 0;
}

int kvm_vm_map(struct kvm_vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly)
{
    (void)vm;
    (void)readonly;
    if (gpa % 4096 || size % 4096 || (uintptr_t)host % 4096)
        return -EINVAL;
    fake_kvm.maps++;
    return fake_kvm.fail_map;
}

int kvm_vm_irq(struct kvm_vm *vm, unsigned gsi, bool level)
{
    (void)vm;
    fake_kvm.irqs++;
    fake_kvm.last_gsi = gsi;
    fake_kvm.last_level = level;
    return 0;
}

int kvm_vm_ioeventfd(struct kvm_vm *vm, uint64_t gpa, uint32_t value, int fd)
{
    (void)vm;
    if (fake_kvm.ioeventfds == FAKE_EVENTFDS)
        return -ENOSPC;
    fake_kvm.ioeventfd[fake_kvm.ioeventfds++] = (struct fake_ioeventfd){gpa, value, fd};
    return fake_kvm.fail_ioeventfd;
}

int kvm_vm_irqfd(struct kvm_vm *vm, unsigned gsi, int fd)
{
    if (!vm->irqchip || gsi >= FAKE_EVENTFDS)
        return -EINVAL;
    fake_kvm.irqfd[gsi] = fd;
    return fake_kvm.fail_irqfd;
}

int kvm_vcpu_create(struct kvm_vm *vm, unsigned index, struct kvm_vcpu **vcpu, struct error *err)
{
    (void)vm;
    if (fake_kvm.fail_vcpu == index + 1)
        return error_set(err, STATUS_NO_KVM, "fake: no vCPU %u", index);
    *vcpu = calloc(1, sizeof **vcpu);
    (*vcpu)->index = index;
    fake_kvm.live_vcpus++;
    return 0;
}

void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
    if (vcpu)
        fake_kvm.live_vcpus--;
    free(vcpu);
}

int kvm_vm_read_cpuid(struct kvm_vm *vm, struct error *err)
{
    (void)vm;
    return fake_kvm.fail_cpuid ? error_set(err, STATUS_NO_KVM, "fake: no CPUID") : 0;
}

int kvm_vcpu_set_cpuid(struct kvm_vcpu *vcpu, unsigned index, unsigned count,
                       const struct cpu_features *features, struct error *err)
{
    (void)features;
    if (vcpu->index != index || index >= count)
        return error_set(err, STATUS_INTERNAL, "fake: vCPU %u is not %u", vcpu->index, index);
    fake_kvm.cpuids++;
    return 0;
}

static void run_until_kicked(struct kvm_vcpu *vcpu)
{
    if (fake_kvm.before_wait)
        fake_kvm.before_wait(fake_kvm.opaque, vcpu->index);
    while (!atomic_load(&vcpu->immediate_exit))
        usleep(100);
}

int kvm_vcpu_run(struct kvm_vcpu *vcpu, struct vm_exit *exit)
{
    struct fake_vcpu_script *script = &fake_kvm.script[vcpu->index];

    if (!atomic_load(&vcpu->immediate_exit)) {
        if (script->played < script->count) {
            *exit = script->exit[script->played++];
            return 0;
        }
        if (script->run_error)
            return script->run_error;
        run_until_kicked(vcpu);
    }
    *exit = (struct vm_exit){.kind = VM_EXIT_INTR, .raw_name = "EINTR"};
    return 0;
}

void kvm_vcpu_set_immediate_exit(struct kvm_vcpu *vcpu, bool on)
{
    atomic_store(&vcpu->immediate_exit, on);
}

bool kvm_vcpu_exit_registers(const struct kvm_vcpu *vcpu, uint64_t gpr[16], uint64_t *rflags)
{
    memcpy(gpr, fake_kvm.state[vcpu->index].gpr, sizeof(fake_kvm.state[0].gpr));
    *rflags = fake_kvm.state[vcpu->index].rflags;
    return true;
}

int kvm_vcpu_get_state(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    *state = fake_kvm.state[vcpu->index];
    return 0;
}

int kvm_vcpu_set_state(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    fake_kvm.state[vcpu->index] = *state;
    return 0;
}

int kvm_vcpu_get_activity(struct kvm_vcpu *vcpu, enum vcpu_activity *activity)
{
    (void)vcpu;
    *activity = VCPU_RUNS;
    return 0;
}

enum kvm_backend kvm_backend(void)
{
    return KVM_BACKEND_UNKNOWN;
}
