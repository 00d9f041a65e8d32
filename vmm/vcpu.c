/*
 * vcpu.c: one vCPU's thread: enter the guest, handle why it left, again.
 *
 * It is stopped by a flag, KVM's immediate_exit and a signal together, so that no kick is lost
 * (the kernel's Documentation/virt/kvm/api.rst, section 5, "immediate_exit"; and vcpu-requests.rst):
 * a signal that comes before KVM_RUN would be forgotten, but immediate_exit, set before it, is not.
 */
#include "trace/trace.h"
#include "vm.h"

#include <errno.h>
#include <signal.h>

/* Any signal whose default action we replace will do; the C library keeps the first real-time
 * signals for itself, so SIGRTMIN is the first free one. */
#define KICK_SIGNAL SIGRTMIN

static void ignore_kick(int signal)
{
    (void)signal; /* its arrival alone makes KVM_RUN return EINTR */
}

void vcpu_accept_kicks(void)
{
    struct sigaction action = {.sa_handler = ignore_kick}; /* no SA_RESTART: ioctl must return */
    sigset_t kick;

    sigaction(KICK_SIGNAL, &action, NULL);
    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL); /* whoever started kvmlens may have blocked it */
}

void vcpu_run(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct vm_exit exit;
    uint64_t entered = vm->trace ? trace_now(vm->trace) : 0;

    while (!atomic_load(&vm->stopping)) {
        int r = kvm_vcpu_run(vcpu->kvm, &exit);

        if (r < 0) {
            vm_end(vm, &(struct vm_end){
                           .kind = VM_END_RUN_ERROR, .vcpu = vcpu->index, .value = (uint32_t)-r});
            return;
        }

        uint64_t left = vm->trace ? trace_now(vm->trace) : 0;

        /* Cleared before `stopping` is read again: who kicks sets them in the opposite order. */
        if (exit.kind == VM_EXIT_INTR)
            kvm_vcpu_set_immediate_exit(vcpu->kvm, false);
        entered = vm_handle_exit(vcpu, &exit, entered, left);
    }
}

void vcpu_kick(struct vcpu *vcpu)
{
    kvm_vcpu_set_immediate_exit(vcpu->kvm, true);
    pthread_kill(vcpu->thread, KICK_SIGNAL);
}

unsigned vcpu_last_exits(const struct vcpu *vcpu, struct trace_event events[VCPU_LAST_EXITS])
{
    uint64_t count = vcpu->exits < VCPU_LAST_EXITS ? vcpu->exits : VCPU_LAST_EXITS;

    for (uint64_t i = 0; i < count; i++)
        events[i] = vcpu->last[(vcpu->exits - count + i) % VCPU_LAST_EXITS];
    return (unsigned)count;
}
