/*
 * vm_exit.c: exits by name.
 */
#include "vm_exit.h"

const char *vm_exit_kind_name(const struct vm_exit *exit)
{
    switch (exit->kind) {
    case VM_EXIT_PIO:
        if (exit->count > 1)
            return exit->write ? "outs" : "ins";
        return exit->write ? "out" : "in";
    case VM_EXIT_MMIO:
        return exit->write ? "mmio write" : "mmio read";
    case VM_EXIT_HLT:
        return "hlt";
    case VM_EXIT_SHUTDOWN:
        return "shutdown";
    case VM_EXIT_SYSTEM_EVENT:
        return "system";
    case VM_EXIT_INTERNAL_ERROR:
        return "kvm error";
    case VM_EXIT_FAIL_ENTRY:
        return "fail entry";
    case VM_EXIT_DEBUG:
        return "debug";
    case VM_EXIT_INTR:
        return "intr";
    case VM_EXIT_AGAIN:
        return "again";
    case VM_EXIT_NOTE:
        return "note";
    case VM_EXIT_KERNEL:
        return "kernel";
    case VM_EXIT_OTHER:
    case VM_EXIT_KINDS:
        break;
    }
    return "other";
}
