/*
 * narrate.c: what each ioctl on KVM's files asks for, in words (-trace setup).
 * Source: the kernel's Documentation/virt/kvm/api.rst; section numbers of it are in brackets.
 *
 * KVM_RUN is left out, and so are registers that are read with each exit: they are the exits.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define VCPU_NONE (~0u)

/* Why each ioctl is made. */
static const struct {
    unsigned long request;
    const char *name, *why;
} reasons[] = {
#define CALL(request) request, #request
    {CALL(KVM_GET_API_VERSION),
     "is it KVM, and the interface of 2007 that all have since [api.rst 4.1]"},
    {CALL(KVM_CHECK_EXTENSION), "does this KVM have what kvmlens uses [api.rst 4.4]"},
    {CALL(KVM_CREATE_VM),
     "a VM: an address space of its own, still without memory and vCPUs [api.rst 4.2]"},
    {CALL(KVM_GET_VCPU_MMAP_SIZE),
     "how large struct kvm_run is, where each exit will be told [api.rst 4.5]"},
    {CALL(KVM_SET_USER_MEMORY_REGION),
     "memory of this process becomes guest-physical memory: no exit there [api.rst 4.35]"},
    {CALL(KVM_SET_IDENTITY_MAP_ADDR),
     "a page for Intel processors that cannot run real mode: page tables [api.rst 4.40]"},
    {CALL(KVM_SET_TSS_ADDR),
     "three pages for the same processors: a task state segment [api.rst 4.36]"},
    {CALL(KVM_CREATE_IRQCHIP),
     "two PICs, an I/O APIC and local APICs: interrupts without exits [api.rst 4.24]"},
    {CALL(KVM_CREATE_PIT2), "the 8254 timer in the kernel: ticks without exits [api.rst 4.71]"},
    {CALL(KVM_CREATE_VCPU), "a vCPU, by the thread that will run it [api.rst 4.7]"},
    {CALL(KVM_GET_SUPPORTED_CPUID), "what CPUID may tell a guest on this host [api.rst 4.46]"},
    {CALL(KVM_SET_CPUID2),
     "what CPUID tells this vCPU: that, less what -cpu masks off [api.rst 4.20]"},
    {CALL(KVM_GET_SREGS), "segments and control registers as they are [api.rst 4.13]"},
    {CALL(KVM_GET_REGS), "general registers as they are [api.rst 4.11]"},
    {CALL(KVM_SET_SREGS),
     "segments and control registers as the boot protocol wants them [api.rst 4.14]"},
    {CALL(KVM_SET_REGS),
     "where the guest begins, and what it finds in its registers [api.rst 4.12]"},
    {CALL(KVM_GET_MP_STATE), "does the vCPU run, halt, or wait for its start [api.rst 4.38]"},
    {CALL(KVM_IRQ_LINE),
     "a device's interrupt line, told the first time that it rises and falls [api.rst 4.25]"},
    {CALL(KVM_IOEVENTFD),
     "writes of this value there wake a thread instead of making an exit [api.rst 4.59]"},
    {CALL(KVM_IRQFD),
     "a write to the eventfd is an interrupt, without a call of KVM [api.rst 4.75]"},
    {CALL(KVM_GET_STATS_FD), "KVM's own counters, for the end of the trace [api.rst 4.133]"},
#undef CALL
};

static const char *why_of(unsigned long request, unsigned long arg)
{
    const char *purpose;

    if (request == KVM_CHECK_EXTENSION && kvm_capability((int)arg, &purpose))
        return purpose;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].request == request)
            return reasons[i].why;
    return "";
}

struct text {
    char bytes[256];
    size_t len;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text->bytes + text->len, sizeof(text->bytes) - text->len, format, args);
    va_end(args);
    if (n > 0)
        text->len += (size_t)n;
    if (text->len >= sizeof(text->bytes))
        text->len = sizeof(text->bytes) - 1;
}

static void put_region(struct text *text, const struct kvm_userspace_memory_region *region)
{
    put(text, " slot %u, gpa 0x%llx, size 0x%llx, host 0x%llx%s", region->slot,
        (unsigned long long)region->guest_phys_addr, (unsigned long long)region->memory_size,
        (unsigned long long)region->userspace_addr,
        region->flags & KVM_MEM_READONLY ? ", KVM_MEM_READONLY" : "");
}

static void put_sregs(struct text *text, const struct kvm_sregs *sregs)
{
    put(text, " cr0 0x%llx, cr3 0x%llx, cr4 0x%llx, efer 0x%llx, cs 0x%x base 0x%llx",
        (unsigned long long)sregs->cr0, (unsigned long long)sregs->cr3,
        (unsigned long long)sregs->cr4, (unsigned long long)sregs->efer, sregs->cs.selector,
        (unsigned long long)sregs->cs.base);
}

static void put_regs(struct text *text, const struct kvm_regs *regs)
{
    put(text, " rip 0x%llx, rsp 0x%llx, rbx 0x%llx, rflags 0x%llx", (unsigned long long)regs->rip,
        (unsigned long long)regs->rsp, (unsigned long long)regs->rbx,
        (unsigned long long)regs->rflags);
}

static void put_ioeventfd(struct text *text, const struct kvm_ioeventfd *event)
{
    put(text, " gpa 0x%llx, len %u, value %llu, eventfd %d", (unsigned long long)event->addr,
        event->len, (unsigned long long)event->datamatch, event->fd);
}

/* What is asked for, by name; after the call, so that answers in structures are told as well. */
static void put_arguments(struct text *text, unsigned long request, unsigned long arg)
{
    const void *at = (const void *)arg;

    switch (request) {
    case KVM_CHECK_EXTENSION: {
        const char *purpose, *name = kvm_capability((int)arg, &purpose);

        put(text, " %s", name ? name : "of another program");
        break;
    }
    case KVM_CREATE_VM:
        put(text, " type %lu", arg);
        break;
    case KVM_CREATE_VCPU:
        put(text, " id %lu", arg);
        break;
    case KVM_SET_IDENTITY_MAP_ADDR:
        put(text, " gpa 0x%" PRIx64, *(const uint64_t *)at);
        break;
    case KVM_SET_TSS_ADDR:
        put(text, " gpa 0x%lx", arg);
        break;
    case KVM_CREATE_PIT2:
        put(text, " flags 0x%x", ((const struct kvm_pit_config *)at)->flags);
        break;
    case KVM_SET_USER_MEMORY_REGION:
        put_region(text, at);
        break;
    case KVM_GET_SUPPORTED_CPUID:
    case KVM_SET_CPUID2:
        put(text, " %u entries", ((const struct kvm_cpuid2 *)at)->nent);
        break;
    case KVM_GET_SREGS:
    case KVM_SET_SREGS:
        put_sregs(text, at);
        break;
    case KVM_GET_REGS:
    case KVM_SET_REGS:
        put_regs(text, at);
        break;
    case KVM_GET_MP_STATE:
        put(text, " mp_state %u", ((const struct kvm_mp_state *)at)->mp_state);
        break;
    case KVM_IRQ_LINE:
        put(text, " gsi %u, level %u", ((const struct kvm_irq_level *)at)->irq,
            ((const struct kvm_irq_level *)at)->level);
        break;
    case KVM_IOEVENTFD:
        put_ioeventfd(text, at);
        break;
    case KVM_IRQFD:
        put(text, " gsi %u, eventfd %u", ((const struct kvm_irqfd *)at)->gsi,
            ((const struct kvm_irqfd *)at)->fd);
        break;
    default:
        break;
    }
}

static bool returns_fd(unsigned long request)
{
    return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU || request == KVM_GET_STATS_FD;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int kvm_ioctl_told(const struct kvm_listener *listener, int fd, unsigned long request,
                   const char *name, unsigned long arg)
{
    struct text text = {.len = 0};
    uint64_t start = now_ns();
    int result = ioctl(fd, request, arg), error = errno;
    struct kvm_call call = {
        .name = name,
        .text = text.bytes,
        .why = why_of(request, arg),
        .ns = now_ns() - start,
        .vcpu = request == KVM_CREATE_VCPU ? (unsigned)arg : VCPU_NONE,
    };

    put(&text, "fd %d:", fd);
    put_arguments(&text, request, arg);
    if (result < 0)
        put(&text, " = -1, %s", strerror(error));
    else
        put(&text, " = %s%d", returns_fd(request) ? "fd " : "", result);
    listener->called(listener->opaque, &call);
    errno = error;
    return result;
}
