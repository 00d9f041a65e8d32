/*
 * zoo.c: each kind of VM exit once, announced before it happens.  "VMM" exits reach userspace
 * (KVM api.rst section 5); "KVM" exits stay in the kernel, which does the work itself.
 */
#include "kernel.h"
#include "x86.h"

#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <uart16550.h>

#define PORT_SCRATCH   (PORT_SERIAL + UART_SCR)
#define PORT_UNCLAIMED 0x2a0
#define GPA_UNCLAIMED  0xfd000000
#define PATTERN        0x5a

#define KVM_HC_VAPIC_POLL_IRQ  1          /* does nothing but leave the guest */
#define CPUID_KVM_EBX          0x4b4d564b /* "KVMK", the signature's begin */
#define CPUID_1_ECX_VMX        (1u << 5)
#define CPUID_80000001_ECX_SVM (1u << 2)

enum outcome { DONE, UNEXPECTED, SKIPPED };

static enum outcome check(bool right)
{
    return right ? DONE : UNEXPECTED;
}

static enum outcome pio_out(void)
{
    out8(PORT_SCRATCH, PATTERN);
    return DONE;
}

static enum outcome pio_in(void)
{
    return check(in8(PORT_SCRATCH) == PATTERN);
}

static enum outcome string_out(void)
{
    static const char text[] = "  rep outsb\r\n"; /* fits into the transmit FIFO */
    _Static_assert(sizeof(text) <= UART_FIFO_DEPTH, "the FIFO takes the text at once");
    out8_string(PORT_SERIAL, text, sizeof(text) - 1);
    return DONE;
}

static enum outcome string_in(void)
{
    uint8_t bytes[4] = {0};
    in8_string(PORT_SCRATCH, bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        if (bytes[i] != PATTERN)
            return UNEXPECTED;
    }
    return DONE;
}

static enum outcome post_code(void)
{
    out8(PORT_POST, 0x42);
    return DONE;
}

static enum outcome unclaimed_port(void)
{
    return check(in8(PORT_UNCLAIMED) == 0xff);
}

static enum outcome mmio_read(void)
{
    return check(*(volatile uint8_t *)map_device(POWER_GPA + POWER_SLEEP_STATUS) == 0);
}

static enum outcome mmio_write(void)
{
    *(volatile uint32_t *)map_window(GPA_UNCLAIMED) = 0x12345678;
    return DONE;
}

static enum outcome first_touch(void)
{
    return check(*(uint64_t *)page_alloc() == 0);
}

static enum outcome cpuid_leaf(void)
{
    return check(cpuid(0, 0).eax >= 1);
}

static enum outcome msr_read(void)
{
    uint64_t value;
    return check(try_rdmsr(MSR_APIC_BASE, &value));
}

static enum outcome msr_write(void)
{
    uint64_t value;
    return check(try_rdmsr(MSR_APIC_BASE, &value) && try_wrmsr(MSR_APIC_BASE, value));
}

static enum outcome pit_port(void)
{
    in8(PORT_PIT);
    return DONE;
}

static enum outcome local_apic(void)
{
    return apic_present() ? check(apic_id() == 0) : SKIPPED;
}

static enum outcome halt(void)
{
    if (!apic_present())
        return SKIPPED;
    uint64_t start = timer_ticks();
    while (timer_ticks() == start)
        wait_for_interrupt();
    return DONE;
}

static enum outcome ipi(void)
{
    if (machine_cpus() < 2 || !apic_present())
        return SKIPPED;
    return check(smp_start() > 1 && smp_report(cpu_get(1)));
}

/* A software KVM has the same signature, but cannot offer VMX or SVM to its guests. */
static enum outcome hypercall(void)
{
    uint64_t answer = KVM_HC_VAPIC_POLL_IRQ;
    if (cpuid(CPUID_HYPERVISOR, 0).ebx != CPUID_KVM_EBX)
        return SKIPPED;
    if (cpuid(0x80000001, 0).ecx & CPUID_80000001_ECX_SVM)
        __asm__ volatile("vmmcall" : "+a"(answer) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
    else if (cpuid(1, 0).ecx & CPUID_1_ECX_VMX)
        __asm__ volatile("vmcall" : "+a"(answer) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
    else
        return SKIPPED;
    return check(answer == 0);
}

static const struct {
    const char *name, *handler, *what, *why_skipped;
    enum outcome (*run)(void);
} animals[] = {
    {"PIO out", "VMM", "outb 0x5a to the UART's scratch register", "", pio_out},
    {"PIO in", "VMM", "inb from it", "", pio_in},
    {"string PIO out", "VMM", "rep outsb of 13 bytes to the UART", "", string_out},
    {"string PIO in", "VMM", "rep insb of 4 bytes from the scratch register", "", string_in},
    {"POST code", "VMM", "outb 0x42 to port 0x80", "", post_code},
    {"unclaimed port", "VMM", "inb from port 0x2a0, where no device is", "", unclaimed_port},
    {"MMIO read", "VMM", "one byte of the power registers", "", mmio_read},
    {"unclaimed MMIO", "VMM", "write of four bytes where no device is", "", mmio_write},
    {"page fault", "KVM", "first touch of a page of RAM", "", first_touch},
    {"CPUID", "KVM", "leaf 0", "", cpuid_leaf},
    {"MSR read", "KVM", "rdmsr of the APIC base", "", msr_read},
    {"MSR write", "KVM", "wrmsr of the APIC base, unchanged", "", msr_write},
    {"PIT port", "KVM", "inb from port 0x40", "", pit_port},
    {"local APIC", "KVM", "read of its ID register", "no local APIC", local_apic},
    {"HLT", "KVM", "until the timer wakes it", "no local APIC, so nothing wakes it", halt},
    {"IPI", "KVM", "an interrupt to CPU 1", "there is one CPU only", ipi},
    {"hypercall", "KVM", "vmcall or vmmcall, KVM_HC_VAPIC_POLL_IRQ",
     "CPUID shows no KVM with VMX or SVM, and a software one hangs on it", hypercall},
};

bool command_zoo(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    unsigned count[3] = {0};
    for (unsigned i = 0; i < sizeof(animals) / sizeof(animals[0]); i++) {
        print("zoo: %-15s %s  %s\n", animals[i].name, animals[i].handler, animals[i].what);
        serial_flush();
        enum outcome outcome = animals[i].run();
        count[outcome]++;
        if (outcome == SKIPPED)
            print("  skipped: %s\n", animals[i].why_skipped);
        else if (outcome == UNEXPECTED)
            print("  the answer is not the expected one\n");
    }
    print("zoo: %u done, %u unexpected, %u skipped\n", count[DONE], count[UNEXPECTED],
          count[SKIPPED]);
    print("zoo: these end the machine: fault triple, reboot, poweroff\n");
    return true;
}
