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

/* Runs the guest to its next exit. False: KVM failed, and the VM ends. */
static inline bool run_once(struct vcpu *vcpu, struct vm_exit *exit)
{
    int r = kvm_vcpu_run(vcpu->kvm, exit);

    if (r < 0)
        vm_end(vcpu->vm, &(struct vm_end){
                             .kind = VM_END_RUN_ERROR, .vcpu = vcpu->index, .value = (uint32_t)-r});
    return r == 0;
}

static inline void handle(struct vcpu *vcpu, struct vm_exit *exit)
{
    /* Cleared before `stopping` is read again: who kicks sets them in the opposite order. */
    if (exit->kind == VM_EXIT_INTR)
        kvm_vcpu_set_immediate_exit(vcpu->kvm, false);
    vm_handle_exit(vcpu, exit);
}

static void run(struct vcpu *vcpu)
{
    struct vm_exit exit;

    while (!atomic_load(&vcpu->vm->stopping) && run_once(vcpu, &exit))
        handle(vcpu, &exit);
}

static void run_traced(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct vm_exit exit;
    bool registers = trace_wants_registers(vm->trace);
    uint64_t entered = trace_now(vm->trace);

    while (!atomic_load(&vm->stopping) && run_once(vcpu, &exit)) {
        uint64_t left = trace_now(vm->trace);
        struct trace_event *event = &vcpu->last[vcpu->exits % VCPU_LAST_EXITS];

        handle(vcpu, &exit);
        if (registers)
            event->has_registers =
                kvm_vcpu_exit_registers(vcpu->kvm, event->registers.gpr, &event->registers.rflags);
        entered = vm_trace_exit(vcpu, entered, left);
    }
}

/* Chosen once, so that without a trace an exit costs nothing for it. */
void vcpu_run(struct vcpu *vcpu)
{
    if (vcpu->vm->trace)
        run_traced(vcpu);
    else
        run(vcpu);
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
