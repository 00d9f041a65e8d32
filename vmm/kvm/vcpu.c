/*
 * vcpu.c: one vCPU: running it, and its registers.
 * Source: the kernel's Documentation/virt/kvm/api.rst, sections 4.10 (KVM_RUN), 4.11 to 4.14
 * (registers), 5 (struct kvm_run).
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int kvm_vcpu_create(struct kvm_vm *vm, unsigned index, struct kvm_vcpu **out, struct error *err)
{
    struct kvm_vcpu *vcpu = calloc(1, sizeof *vcpu);

    if (!vcpu)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    vcpu->vm = vm;
    vcpu->run = MAP_FAILED;
    vcpu->fd = kvm_ioctl(vm->listener, vm->vm_fd, KVM_CREATE_VCPU, index);
    if (vcpu->fd < 0) {
        error_set(err, kvm_blame(errno), "KVM_CREATE_VCPU %u: %s", index, strerror(errno));
        goto fail;
    }
    vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        error_set(err, STATUS_INTERNAL, "mapping struct kvm_run of vCPU %u: %s", index,
                  strerror(errno));
        goto fail;
    }
    if (vm->sync_regs)
        vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    *out = vcpu;
    return 0;
fail:
    kvm_vcpu_destroy(vcpu);
    return -1;
}

void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
    if (!vcpu)
        return;
    if (vcpu->run != MAP_FAILED)
        munmap(vcpu->run, vcpu->vm->run_size);
    if (vcpu->fd >= 0)
        close(vcpu->fd);
    free(vcpu);
}

int kvm_vcpu_set_cpuid(struct kvm_vcpu *vcpu, unsigned index, unsigned count,
                       const struct cpu_features *features, struct error *err)
{
    return kvm_cpuid_set(vcpu->vm->cpuid, vcpu->vm->listener, vcpu->fd, index, count, features,
                         err);
}

static int get_activity(struct kvm_vcpu *vcpu, const struct kvm_listener *listener,
                        enum vcpu_activity *activity)
{
    struct kvm_mp_state mp;

    if (kvm_ioctl(listener, vcpu->fd, KVM_GET_MP_STATE, &mp) < 0)
        return -errno;
    switch (mp.mp_state) {
    case KVM_MP_STATE_UNINITIALIZED:
    case KVM_MP_STATE_INIT_RECEIVED:
        *activity = VCPU_WAITS_FOR_SIPI;
        break;
    case KVM_MP_STATE_HALTED:
        *activity = VCPU_HALTED;
        break;
    default:
        *activity = VCPU_RUNS;
        break;
    }
    return 0;
}

int kvm_vcpu_get_activity(struct kvm_vcpu *vcpu, enum vcpu_activity *activity)
{
    return get_activity(vcpu, vcpu->vm->listener, activity);
}

/* EAGAIN is normal where INIT or SIPI ends a vCPU's wait. From a vCPU that waits for nothing, time
 * after time, it is an error: KVM starts a thread of its own, and the host may have none left. */
static bool again_is_normal(struct kvm_vcpu *vcpu)
{
    enum vcpu_activity activity;
    bool before = vcpu->again;

    vcpu->again = get_activity(vcpu, NULL, &activity) == 0 && activity == VCPU_RUNS;
    return !before || !vcpu->again;
}

int kvm_vcpu_run(struct kvm_vcpu *vcpu, struct vm_exit *exit)
{
    int error = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;

    if (error != EAGAIN)
        vcpu->again = false;
    else if (!again_is_normal(vcpu))
        return -EAGAIN;
    if (error == 0) {
        kvm_decode_exit(vcpu->run, exit);
    } else if (error != EINTR && error != EAGAIN) {
        return -error;
    } else {
        *exit = (struct vm_exit){
            .kind = error == EINTR ? VM_EXIT_INTR : VM_EXIT_AGAIN,
            .raw_reason = KVM_EXIT_INTR,
            .raw_name = error == EINTR ? "EINTR" : "EAGAIN",
        };
    }

    if (vcpu->vm->sync_regs) {
        exit->rip = vcpu->run->s.regs.regs.rip;
    } else {
        struct kvm_regs regs;

        exit->rip = ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
    }
    return 0;
}

void kvm_vcpu_set_immediate_exit(struct kvm_vcpu *vcpu, bool on)
{
    /* An exchange is a full barrier: what was asked for is read only after the flag is cleared. */
    __atomic_exchange_n(&vcpu->run->immediate_exit, (uint8_t)on, __ATOMIC_SEQ_CST);
}

/* Both directions go through one list of fields, so that they cannot disagree. */
#define GPRS(X)                                                                                    \
    X(RAX, rax)                                                                                    \
    X(RCX, rcx)                                                                                    \
    X(RDX, rdx)                                                                                    \
    X(RBX, rbx)                                                                                    \
    X(RSP, rsp)                                                                                    \
    X(RBP, rbp)                                                                                    \
    X(RSI, rsi)                                                                                    \
    X(RDI, rdi)                                                                                    \
    X(R8, r8)                                                                                      \
    X(R9, r9)                                                                                      \
    X(R10, r10)                                                                                    \
    X(R11, r11)                                                                                    \
    X(R12, r12)                                                                                    \
    X(R13, r13)                                                                                    \
    X(R14, r14)                                                                                    \
    X(R15, r15)
#define SEGMENTS(X)                                                                                \
    X(SEG_ES, es)                                                                                  \
    X(SEG_CS, cs)                                                                                  \
    X(SEG_SS, ss)                                                                                  \
    X(SEG_DS, ds)                                                                                  \
    X(SEG_FS, fs)                                                                                  \
    X(SEG_GS, gs)                                                                                  \
    X(SEG_LDT, ldt)                                                                                \
    X(SEG_TR, tr)

bool kvm_vcpu_exit_registers(const struct kvm_vcpu *vcpu, uint64_t gpr[16], uint64_t *rflags)
{
    const struct kvm_regs *regs = &vcpu->run->s.regs.regs;

    if (!vcpu->vm->sync_regs)
        return false;
#define GET(NAME, field) gpr[NAME] = regs->field;
    GPRS(GET)
#undef GET
    *rflags = regs->rflags;
    return true;
}

static struct cpu_segment segment_from_kvm(const struct kvm_segment *s)
{
    return (struct cpu_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type & 0xf,
        .dpl = s->dpl & 3,
        .s = s->s,
        .present = s->present,
        .avl = s->avl,
        .l = s->l,
        .db = s->db,
        .g = s->g,
        .unusable = s->unusable,
    };
}

static struct kvm_segment segment_to_kvm(const struct cpu_segment *s)
{
    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type,
        .dpl = s->dpl,
        .s = s->s,
        .present = s->present,
        .avl = s->avl,
        .l = s->l,
        .db = s->db,
        .g = s->g,
        .unusable = s->unusable,
    };
}

int kvm_vcpu_get_state(struct kvm_vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    if (kvm_ioctl(vcpu->vm->listener, vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
        kvm_ioctl(vcpu->vm->listener, vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    *state = (struct cpu_state){
        .rip = regs.rip,
        .rflags = regs.rflags,
        .gdt = {sregs.gdt.base, sregs.gdt.limit},
        .idt = {sregs.idt.base, sregs.idt.limit},
        .cr0 = sregs.cr0,
        .cr2 = sregs.cr2,
        .cr3 = sregs.cr3,
        .cr4 = sregs.cr4,
        .cr8 = sregs.cr8,
        .efer = sregs.efer,
        .apic_base = sregs.apic_base,
    };
#define GET(NAME, field) state->gpr[NAME] = regs.field;
    GPRS(GET)
#undef GET
#define GET(NAME, field) state->seg[NAME] = segment_from_kvm(&sregs.field);
    SEGMENTS(GET)
#undef GET
    return 0;
}

int kvm_vcpu_set_state(struct kvm_vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_regs regs = {.rip = state->rip, .rflags = state->rflags};
    struct kvm_sregs sregs = {
        .gdt = {.base = state->gdt.base, .limit = state->gdt.limit},
        .idt = {.base = state->idt.base, .limit = state->idt.limit},
        .cr0 = state->cr0,
        .cr2 = state->cr2,
        .cr3 = state->cr3,
        .cr4 = state->cr4,
        .cr8 = state->cr8,
        .efer = state->efer,
        .apic_base = state->apic_base,
    };

#define SET(NAME, field) regs.field = state->gpr[NAME];
    GPRS(SET)
#undef SET
#define SET(NAME, field) sregs.field = segment_to_kvm(&state->seg[NAME]);
    SEGMENTS(SET)
#undef SET
    if (kvm_ioctl(vcpu->vm->listener, vcpu->fd, KVM_SET_SREGS, &sregs) < 0 ||
        kvm_ioctl(vcpu->vm->listener, vcpu->fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    return 0;
}
