/*
 * vm.c: the life of a virtual machine: made, started, ended, stopped.
 */
#include "vm.h"

#include <stdlib.h>
#include <string.h>

int vm_create(struct vm *vm, unsigned count, struct trace *trace, struct error *err)
{
    *vm = (struct vm){.trace = trace, .end_claimed = ATOMIC_FLAG_INIT};
    pthread_mutex_init(&vm->device_lock, NULL);
    vm->vcpu = calloc(count, sizeof *vm->vcpu);
    if (!vm->vcpu)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    vm->vcpu_count = count;
    for (unsigned i = 0; i < count; i++) {
        vm->vcpu[i].vm = vm;
        vm->vcpu[i].index = i;
    }
    return kvm_vm_create(&vm->kvm, err);
}

void vm_destroy(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        kvm_vcpu_destroy(vm->vcpu[i].kvm);
    kvm_vm_destroy(vm->kvm);
    free(vm->vcpu);
    pthread_mutex_destroy(&vm->device_lock);
}

int vm_map(struct vm *vm, uint64_t gpa, uint64_t size, uint8_t *host, bool readonly,
           struct error *err)
{
    int r = mem_add(&vm->mem, gpa, size, host, readonly);

    if (r == 0)
        r = kvm_vm_map(vm->kvm, gpa, size, host, readonly);
    if (r < 0)
        return error_set(err, STATUS_INTERNAL,
                         "cannot map %llu bytes of guest memory at 0x%llx: %s",
                         (unsigned long long)size, (unsigned long long)gpa, strerror(-r));
    return 0;
}

int vm_create_irqchip(struct vm *vm, bool pit, struct error *err)
{
    int r = kvm_vm_create_irqchip(vm->kvm, pit);

    if (r < 0)
        return error_set(err, STATUS_NO_KVM,
                         "cannot create the in-kernel interrupt controllers: %s; "
                         "-M microvm,kernel-irqchip=off runs guests that need none",
                         strerror(-r));
    return 0;
}

int vm_create_vcpus(struct vm *vm, const struct cpu_features *features, struct error *err)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (kvm_vcpu_create(vm->kvm, i, vm->vcpu_count, features, &vm->vcpu[i].kvm, err) < 0)
            return -1;
    return 0;
}

static void *vcpu_thread(void *vcpu)
{
    vcpu_run(vcpu);
    return NULL;
}

int vm_start(struct vm *vm, struct error *err)
{
    int r = 0;

    vcpu_accept_kicks();
    for (unsigned i = 0; i < vm->vcpu_count && r == 0; i++) {
        r = pthread_create(&vm->vcpu[i].thread, NULL, vcpu_thread, &vm->vcpu[i]);
        vm->vcpu[i].started = r == 0;
    }
    if (r == 0)
        return 0;
    vm_stop(vm);
    return error_set(err, STATUS_INTERNAL, "cannot start a vCPU's thread: %s", strerror(r));
}

void vm_end(struct vm *vm, const struct vm_end *end)
{
    if (atomic_flag_test_and_set(&vm->end_claimed))
        return;
    vm->end = *end;
    vm->end.exit.data = NULL; /* it was borrowed from the vCPU */
    atomic_store(&vm->stopping, true);
    if (vm->on_end)
        vm->on_end(vm->on_end_opaque);
}

void vm_stop(struct vm *vm)
{
    atomic_store(&vm->stopping, true);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].started)
            vcpu_kick(&vm->vcpu[i]);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vm->vcpu[i].started)
            pthread_join(vm->vcpu[i].thread, NULL);
        vm->vcpu[i].started = false;
    }
}
