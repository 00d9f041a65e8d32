/*
 * decode.c: struct kvm_run into struct vm_exit.
 * Source: the kernel's Documentation/virt/kvm/api.rst, section 5; include/uapi/linux/kvm.h.
 */
#include "internal.h"

#include <string.h>

#define NAMED(reason) [reason] = #reason

/* Every reason of the x86 and of the other architectures, so that none is ever just a number. */
static const char *const reason_name[] = {
    NAMED(KVM_EXIT_UNKNOWN),
    NAMED(KVM_EXIT_EXCEPTION),
    NAMED(KVM_EXIT_IO),
    NAMED(KVM_EXIT_HYPERCALL),
    NAMED(KVM_EXIT_DEBUG),
    NAMED(KVM_EXIT_HLT),
    NAMED(KVM_EXIT_MMIO),
    NAMED(KVM_EXIT_IRQ_WINDOW_OPEN),
    NAMED(KVM_EXIT_SHUTDOWN),
    NAMED(KVM_EXIT_FAIL_ENTRY),
    NAMED(KVM_EXIT_INTR),
    NAMED(KVM_EXIT_SET_TPR),
    NAMED(KVM_EXIT_TPR_ACCESS),
    NAMED(KVM_EXIT_S390_SIEIC),
    NAMED(KVM_EXIT_S390_RESET),
    NAMED(KVM_EXIT_DCR),
    NAMED(KVM_EXIT_NMI),
    NAMED(KVM_EXIT_INTERNAL_ERROR),
    NAMED(KVM_EXIT_OSI),
    NAMED(KVM_EXIT_PAPR_HCALL),
    NAMED(KVM_EXIT_S390_UCONTROL),
    NAMED(KVM_EXIT_WATCHDOG),
    NAMED(KVM_EXIT_S390_TSCH),
    NAMED(KVM_EXIT_EPR),
    NAMED(KVM_EXIT_SYSTEM_EVENT),
    NAMED(KVM_EXIT_S390_STSI),
    NAMED(KVM_EXIT_IOAPIC_EOI),
    NAMED(KVM_EXIT_HYPERV),
    NAMED(KVM_EXIT_ARM_NISV),
    NAMED(KVM_EXIT_X86_RDMSR),
    NAMED(KVM_EXIT_X86_WRMSR),
    NAMED(KVM_EXIT_DIRTY_RING_FULL),
    NAMED(KVM_EXIT_AP_RESET_HOLD),
    NAMED(KVM_EXIT_X86_BUS_LOCK),
    NAMED(KVM_EXIT_XEN),
    NAMED(KVM_EXIT_RISCV_SBI),
    [36] = "KVM_EXIT_RISCV_CSR", /* these came after Linux 5.15, whose headers still suffice */
    [37] = "KVM_EXIT_NOTIFY",
    [38] = "KVM_EXIT_LOONGARCH_IOCSR",
    [39] = "KVM_EXIT_MEMORY_FAULT",
    [40] = "KVM_EXIT_TDX",
};

static void decode_io(struct kvm_run *run, struct vm_exit *exit)
{
    exit->kind = VM_EXIT_PIO;
    exit->addr = run->io.port;
    exit->size = run->io.size;
    exit->count = run->io.count;
    exit->write = run->io.direction == KVM_EXIT_IO_OUT;
    exit->data = (uint8_t *)run + run->io.data_offset;
}

static void decode_mmio(struct kvm_run *run, struct vm_exit *exit)
{
    exit->kind = VM_EXIT_MMIO;
    exit->addr = run->mmio.phys_addr;
    exit->size = (uint8_t)run->mmio.len;
    exit->count = 1;
    exit->write = run->mmio.is_write;
    exit->data = run->mmio.data;
}

static void decode_internal_error(const struct kvm_run *run, struct vm_exit *exit)
{
    static const char *const suberror[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "emulation failure",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "error while delivering an event",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "unexpected exit reason",
    };
    uint32_t code = run->internal.suberror;

    exit->kind = VM_EXIT_INTERNAL_ERROR;
    exit->detail = code;
    exit->detail_name = code < sizeof suberror / sizeof *suberror ? suberror[code] : NULL;

    uint32_t ndata = run->internal.ndata;

    for (uint32_t i = 0; i < ndata && i < sizeof exit->info / sizeof *exit->info; i++)
        exit->info[exit->info_count++] = run->internal.data[i];

    if (code == KVM_INTERNAL_ERROR_EMULATION && run->emulation_failure.ndata >= 3 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        uint8_t len = run->emulation_failure.insn_size;

        exit->insn_len = len > sizeof exit->insn ? sizeof exit->insn : len;
        memcpy(exit->insn, run->emulation_failure.insn_bytes, exit->insn_len);
    }
}

static void decode_system_event(const struct kvm_run *run, struct vm_exit *exit)
{
    exit->kind = VM_EXIT_SYSTEM_EVENT;
    exit->detail = run->system_event.type;
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        exit->event = SYSTEM_EVENT_SHUTDOWN;
        exit->detail_name = "shutdown";
        break;
    case KVM_SYSTEM_EVENT_RESET:
        exit->event = SYSTEM_EVENT_RESET;
        exit->detail_name = "reset";
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        exit->event = SYSTEM_EVENT_CRASH;
        exit->detail_name = "crash";
        break;
    default:
        exit->event = SYSTEM_EVENT_OTHER;
        break;
    }
}

static void decode_debug(const struct kvm_run *run, struct vm_exit *exit)
{
    exit->kind = VM_EXIT_DEBUG;
    exit->detail = run->debug.arch.exception;
    exit->detail_name = exit->detail == 1 ? "#DB" : exit->detail == 3 ? "#BP" : NULL;
    exit->info[0] = run->debug.arch.pc;
    exit->info[1] = run->debug.arch.dr6;
    exit->info[2] = run->debug.arch.dr7;
    exit->info_count = 3;
}

void kvm_decode_exit(struct kvm_run *run, struct vm_exit *exit)
{
    uint32_t reason = run->exit_reason;
    const char *name =
        reason < sizeof reason_name / sizeof *reason_name ? reason_name[reason] : NULL;

    *exit = (struct vm_exit){
        .kind = VM_EXIT_OTHER,
        .raw_reason = reason,
        .raw_name = name ? name : "an exit reason newer than kvmlens",
    };
    switch (reason) {
    case KVM_EXIT_IO:
        decode_io(run, exit);
        break;
    case KVM_EXIT_MMIO:
        decode_mmio(run, exit);
        break;
    case KVM_EXIT_HLT:
        exit->kind = VM_EXIT_HLT;
        break;
    case KVM_EXIT_SHUTDOWN:
        exit->kind = VM_EXIT_SHUTDOWN;
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        decode_system_event(run, exit);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        decode_internal_error(run, exit);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        exit->kind = VM_EXIT_FAIL_ENTRY;
        exit->detail = run->fail_entry.hardware_entry_failure_reason;
        break;
    case KVM_EXIT_DEBUG:
        decode_debug(run, exit);
        break;
    case KVM_EXIT_INTR:
        exit->kind = VM_EXIT_INTR;
        break;
    case KVM_EXIT_SET_TPR: /* CR8 went down: of use to those who emulate the local APIC */
        exit->kind = VM_EXIT_AGAIN;
        break;
    case KVM_EXIT_UNKNOWN:
        exit->detail = run->hw.hardware_exit_reason;
        exit->detail_name = "hardware exit reason";
        break;
    default:
        break;
    }
}
