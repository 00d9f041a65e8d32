/*
 * vm.c: the life of a virtual machine: made, started, ended, stopped.
 */
#include "vm.h"

#include "trace/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An ioctl of the VM's becomes an event: from a thread that may emit one (trace_emit()), since the
 * VM is made by one thread, each vCPU by its own, and lines are driven with the device lock held. */
static void tell_setup(void *opaque, const struct kvm_call *call)
{
    struct vm *vm = opaque;
    uint64_t now = trace_now(vm->trace);

    trace_emit(vm->trace, &(struct trace_event){
                              .kind = VM_EXIT_NOTE,
                              .start_ns = now > call->ns ? now - call->ns : 1,
                              .vmm_ns = call->ns,
                              .vcpu = call->vcpu,
                              .device = "kvm",
                              .reg = call->name,
                              .text = trace_keep(vm->trace, call->text),
                              .remark = call->why,
                          });
}

int vm_create(struct vm *vm, unsigned count, struct trace *trace, struct error *err)
{
    *vm = (struct vm){.trace = trace, .end_claimed = ATOMIC_FLAG_INIT};
    pthread_mutex_init(&vm->device_lock, NULL);
    pthread_mutex_init(&vm->start_lock, NULL);
    pthread_cond_init(&vm->start_change, NULL);
    vm->vcpu = calloc(count, sizeof *vm->vcpu);
    if (!vm->vcpu)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    vm->vcpu_count = count;
    for (unsigned i = 0; i < count; i++) {
        vm->vcpu[i].vm = vm;
        vm->vcpu[i].index = i;
    }
    vm->setup = (struct kvm_listener){.called = tell_setup, .opaque = vm};
    return kvm_vm_create(&vm->kvm, trace && trace_wants_setup(trace) ? &vm->setup : NULL, err);
}

void vm_destroy(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        kvm_vcpu_destroy(vm->vcpu[i].kvm);
    kvm_vm_destroy(vm->kvm);
    free(vm->vcpu);
    pthread_cond_destroy(&vm->start_change);
    pthread_mutex_destroy(&vm->start_lock);
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

/* The first half of a vCPU's thread: creates the vCPU, and waits until it may run. False: it never
 * may. */
static bool create_and_wait(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct error err;

    pthread_mutex_lock(&vm->start_lock);
    if (!atomic_load(&vm->stopping) && !vm->create_failed &&
        kvm_vcpu_create(vm->kvm, vcpu->index, &vcpu->kvm, &err) < 0) {
        vm->create_failed = true;
        vm->create_error = err;
    }
    vm->vcpus_created++;
    pthread_cond_broadcast(&vm->start_change);
    while (!vm->may_run && !atomic_load(&vm->stopping))
        pthread_cond_wait(&vm->start_change, &vm->start_lock);
    pthread_mutex_unlock(&vm->start_lock);
    return vcpu->kvm && vm->may_run;
}

static void *vcpu_thread(void *opaque)
{
    struct vcpu *vcpu = opaque;
    char name[16];

    snprintf(name, sizeof name, "vcpu %u", vcpu->index);
    pthread_setname_np(pthread_self(), name); /* for top -H, gdb and perf */
    if (vcpu->vm->trace)
        trace_vcpu_starts(vcpu->vm->trace, vcpu->index);
    if (create_and_wait(vcpu))
        vcpu_run(vcpu);
    return NULL;
}

int vm_create_vcpus(struct vm *vm, struct error *err)
{
    vcpu_accept_kicks();
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        int r = pthread_create(&vm->vcpu[i].thread, NULL, vcpu_thread, &vm->vcpu[i]);

        if (r != 0)
            return error_set(err, STATUS_INTERNAL, "cannot start the thread of vCPU %u: %s", i,
                             strerror(r));
        vm->vcpu[i].started = true;
    }
    return 0;
}

int vm_finish_vcpus(struct vm *vm, const struct cpu_features *features, struct error *err)
{
    if (kvm_vm_read_cpuid(vm->kvm, err) < 0)
        return -1;
    pthread_mutex_lock(&vm->start_lock);
    while (vm->vcpus_created < vm->vcpu_count)
        pthread_cond_wait(&vm->start_change, &vm->start_lock);
    pthread_mutex_unlock(&vm->start_lock);
    if (vm->create_failed) {
        *err = vm->create_error;
        return -1;
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (kvm_vcpu_set_cpuid(vm->vcpu[i].kvm, i, vm->vcpu_count, features, err) < 0)
            return -1;
    return 0;
}

void vm_run(struct vm *vm)
{
    pthread_mutex_lock(&vm->start_lock);
    vm->may_run = true;
    pthread_cond_broadcast(&vm->start_change);
    pthread_mutex_unlock(&vm->start_lock);
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

const char *vm_end_name(enum vm_end_kind kind)
{
    static const char *const name[] = {
        [VM_END_NONE] = "error",      [VM_END_POWEROFF] = "power-off",
        [VM_END_RESET] = "reset",     [VM_END_DEBUG_EXIT] = "debug-exit",
        [VM_END_CRASH] = "crash",     [VM_END_KVM_FAIL] = "kvm-error",
        [VM_END_RUN_ERROR] = "error", [VM_END_TIMEOUT] = "timeout",
        [VM_END_SIGNAL] = "signal",   [VM_END_QUIT] = "quit",
    };

    return name[kind];
}

void vm_stop(struct vm *vm)
{
    /* With the lock, so that no vCPU misses it on its way into the wait for vm_run(), and none is
     * being created. */
    pthread_mutex_lock(&vm->start_lock);
    atomic_store(&vm->stopping, true);
    pthread_cond_broadcast(&vm->start_change);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].started && vm->vcpu[i].kvm)
            vcpu_kick(&vm->vcpu[i]);
    pthread_mutex_unlock(&vm->start_lock);

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vm->vcpu[i].started)
            pthread_join(vm->vcpu[i].thread, NULL);
        vm->vcpu[i].started = false;
    }
}

int vm_add_stats(const struct vm *vm, struct kvm_stats *stats)
{
    int r = kvm_vm_add_stats(vm->kvm, stats);

    for (unsigned i = 0; r == 0 && i < vm->vcpu_count; i++)
        if (vm->vcpu[i].kvm)
            r = kvm_vcpu_add_stats(vm->vcpu[i].kvm, stats);
    return r;
}
