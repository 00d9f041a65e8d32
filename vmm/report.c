/*
 * report.c: the end of a guest in words, and as an exit status.
 */
#include "report.h"

#include "diagnose.h"
#include "insn.h"
#include "log.h"
#include "pagewalk.h"
#include "postmortem.h"
#include "trace/symbols.h"

#include <debug_exit.h>
#include <string.h>

#define RFLAGS_IF 0x200

/* The hypercall instruction that a software KVM executes without end (docs/backends.md). */
static bool hangs(const struct vm *vm, const struct cpu_state *state, struct insn *insn)
{
    uint8_t bytes[INSN_MAX_BYTES];
    uint64_t len = pagewalk_read(&vm->mem, state, code_address(state), bytes, sizeof bytes);

    *insn = insn_decode(bytes, (unsigned)len, code_is_64bit(state));
    return kvm_backend() == KVM_BACKEND_SOFTWARE &&
           (strcmp(insn->name, "vmcall") == 0 || strcmp(insn->name, "vmmcall") == 0);
}

static bool read_vcpu(const struct vm *vm, unsigned i, struct cpu_state *state,
                      enum vcpu_activity *activity)
{
    return kvm_vcpu_get_state(vm->vcpu[i].kvm, state) == 0 &&
           kvm_vcpu_get_activity(vm->vcpu[i].kvm, activity) == 0;
}

static void print_whereabouts(const struct vm *vm, const struct symbols *symbols, FILE *out)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct cpu_state state;
        enum vcpu_activity activity;
        struct insn insn;

        if (!read_vcpu(vm, i, &state, &activity))
            continue;

        uint64_t offset = 0;
        const char *name = symbols_find(symbols, state.rip, &offset);

        if (activity == VCPU_WAITS_FOR_SIPI) {
            fprintf(out, "vCPU %u was never started (it waits for INIT and SIPI)\n", i);
            continue;
        }
        fprintf(out, "vCPU %u %s at RIP 0x%llx", i,
                activity == VCPU_RUNS      ? "was running"
                : state.rflags & RFLAGS_IF ? "was halted, waiting for an interrupt,"
                                           : "was halted with interrupts off, for good,",
                (unsigned long long)state.rip);
        if (name)
            fprintf(out, " (%s+0x%llx)", name, (unsigned long long)offset);
        fprintf(out, ", after %llu exits\n", (unsigned long long)vm->vcpu[i].exits);
        if (activity == VCPU_RUNS && hangs(vm, &state, &insn))
            fprintf(out,
                    "  `%s` there never returns: this KVM is a software one, and loops in the "
                    "kernel;\n  " A_BETTER_KVM " can run it\n",
                    insn.name);
    }
}

static bool any_hangs(const struct vm *vm)
{
    struct cpu_state state;
    enum vcpu_activity activity;
    struct insn insn;

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (read_vcpu(vm, i, &state, &activity) && activity == VCPU_RUNS &&
            hangs(vm, &state, &insn))
            return true;
    }
    return false;
}

static void print_postmortem(const struct vm *vm, const struct symbols *symbols, FILE *out)
{
    const struct vcpu *vcpu = &vm->vcpu[vm->end.vcpu];
    struct trace_event last[VCPU_LAST_EXITS];
    struct cpu_state state;

    if (kvm_vcpu_get_state(vcpu->kvm, &state) < 0) {
        log_say("vCPU %u died, and its registers cannot be read", vcpu->index);
        return;
    }
    postmortem_print(out, log_colour(out),
                     &(struct postmortem){
                         .vcpu = vcpu->index,
                         .exit = &vm->end.exit,
                         .state = &state,
                         .mem = &vm->mem,
                         .symbols = symbols,
                         .last = last,
                         .last_count = vcpu_last_exits(vcpu, last),
                         .software_backend = kvm_backend() == KVM_BACKEND_SOFTWARE,
                     });
}

/* Symbols are read only now that they are wanted: most guests end without a report. */
static void explain(const struct vm *vm, int kernel_fd, FILE *out,
                    void (*print)(const struct vm *, const struct symbols *, FILE *))
{
    struct symbols *symbols = kernel_fd < 0 ? NULL : symbols_read(kernel_fd);

    print(vm, symbols, out);
    symbols_free(symbols);
}

/* A person who ends a guest knows why, unless it is KVM that hangs. */
static void explain_if_hanging(const struct vm *vm, int kernel_fd, FILE *out)
{
    if (any_hangs(vm))
        explain(vm, kernel_fd, out, print_whereabouts);
}

enum status report_end(const struct vm *vm, int kernel_fd, FILE *out)
{
    const struct vm_end *end = &vm->end;

    switch (end->kind) {
    case VM_END_POWEROFF:
    case VM_END_RESET:
        return STATUS_POWEROFF;
    case VM_END_DEBUG_EXIT:
        return (enum status)DEBUG_EXIT_STATUS(end->value);
    case VM_END_CRASH:
        explain(vm, kernel_fd, out, print_postmortem);
        return STATUS_CRASH;
    case VM_END_KVM_FAIL:
        explain(vm, kernel_fd, out, print_postmortem);
        return STATUS_KVM_FAIL;
    case VM_END_RUN_ERROR:
        log_say("KVM_RUN of vCPU %u: %s", end->vcpu, strerror((int)end->value));
        explain(vm, kernel_fd, out, print_whereabouts);
        return STATUS_KVM_FAIL;
    case VM_END_TIMEOUT:
        log_say("the time limit has passed");
        explain(vm, kernel_fd, out, print_whereabouts);
        return STATUS_TIMEOUT;
    case VM_END_SIGNAL:
        log_say("ended by signal %u (%s)", end->value, strsignal((int)end->value));
        explain_if_hanging(vm, kernel_fd, out);
        return STATUS_SIGNAL;
    case VM_END_QUIT:
        log_say("ended from the terminal");
        explain_if_hanging(vm, kernel_fd, out);
        return STATUS_SIGNAL;
    case VM_END_NONE:
        break;
    }
    return STATUS_INTERNAL;
}
