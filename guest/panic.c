/*
 * panic.c: the kernel's last words: what happened, the registers, how it came there.
 * Error codes: Intel SDM vol. 3A, 6.13 and 4.7.
 */
#include "kernel.h"
#include "x86.h"

#define BACKTRACE_MAX 16
#define STOP_PAUSES   1000 /* time for the others to stop; their output would mix with ours */

static const char *const exception_names[32] = {
    "#DE divide error",
    "#DB debug",
    "NMI",
    "#BP breakpoint",
    "#OF overflow",
    "#BR bound range exceeded",
    "#UD invalid opcode",
    "#NM device not available",
    "#DF double fault",
    "coprocessor segment overrun",
    "#TS invalid TSS",
    "#NP segment not present",
    "#SS stack-segment fault",
    "#GP general protection",
    "#PF page fault",
    "reserved exception 15",
    "#MF x87 floating-point error",
    "#AC alignment check",
    "#MC machine check",
    "#XM SIMD floating-point error",
    "#VE virtualization exception",
    "#CP control protection",
    "reserved exception 22",
    "reserved exception 23",
    "reserved exception 24",
    "reserved exception 25",
    "reserved exception 26",
    "reserved exception 27",
    "#HV hypervisor injection",
    "#VC VMM communication",
    "#SX security exception",
    "reserved exception 31",
};

/* An NMI brings the other processors to begin_panic(), even with their interrupts off. */
static void stop_others(void)
{
    if (!apic_present())
        return;
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        struct cpu *cpu = cpu_get(i);
        if (cpu && cpu->up && cpu != cpu_this())
            apic_send(cpu->apic_id, APIC_NMI);
    }
    for (unsigned i = 0; i < STOP_PAUSES; i++)
        pause();
}

/* The first processor to panic speaks; another one waits for the end. */
static void begin_panic(void)
{
    static uint32_t panicking;
    irq_off();
    if (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL)) {
        for (;;)
            __asm__ volatile("hlt");
    }
    stop_others();
    serial_poll();
}

static void print_page_fault(uint64_t error)
{
    const char *access = error & 2 ? "write" : "read";
    if (error & 16)
        access = "fetch";
    print(": %s of %s page at 0x%lx, from ring %d%s", access,
          error & 1 ? "a protected" : "an unmapped", read_cr2(), error & 4 ? 3 : 0,
          error & 8 ? ", reserved bit set" : "");
}

static void print_selector(uint64_t error)
{
    const char *table = error & 4 ? "LDT" : "GDT";
    if (error & 2)
        table = "IDT";
    print(": selector 0x%lx of the %s%s", error & 0xfff8, table,
          error & 1 ? ", by an outside event" : "");
}

static void print_error_code(uint64_t vector, uint64_t error)
{
    print("error code 0x%lx", error);
    if (vector == 14)
        print_page_fault(error);
    else if (vector >= 10 && vector <= 13 && error) /* #TS, #NP, #SS, #GP */
        print_selector(error);
    print("\n");
}

static void print_registers(const struct trap_frame *trap)
{
    print("rip %016lx  cs %04lx  rflags %08lx\n", trap->rip, trap->cs,
          trap->rflags & ~(uint64_t)RFLAGS_RF); /* QEMU TCG does not set it on a fault */
    print("rax %016lx  rbx %016lx  rcx %016lx\n", trap->rax, trap->rbx, trap->rcx);
    print("rdx %016lx  rsi %016lx  rdi %016lx\n", trap->rdx, trap->rsi, trap->rdi);
    print("rbp %016lx  rsp %016lx  ss  %04lx\n", trap->rbp, trap->rsp, trap->ss);
    print("r8  %016lx  r9  %016lx  r10 %016lx\n", trap->r8, trap->r9, trap->r10);
    print("r11 %016lx  r12 %016lx  r13 %016lx\n", trap->r11, trap->r12, trap->r13);
    print("r14 %016lx  r15 %016lx\n", trap->r14, trap->r15);
    print("cr0 %016lx  cr2 %016lx\n", read_cr0(), read_cr2());
    print("cr3 %016lx  cr4 %016lx\n", read_cr3(), read_cr4());
}

/* Each frame is the caller's RBP, and above it the return address. */
static void print_backtrace(uint64_t rip, uint64_t rbp)
{
    print("backtrace: %lx", rip);
    for (unsigned i = 0; i < BACKTRACE_MAX && rbp % 8 == 0 && on_stack(rbp); i++) {
        uint64_t next, from;
        if (!try_read((void *)rbp, 8, &next) || !try_read((void *)(rbp + 8), 8, &from))
            break;
        print(" %lx", from);
        if (next <= rbp) /* callers are further up; 0 is the end */
            break;
        rbp = next;
    }
    print("\n");
}

void panic(const char *text)
{
    begin_panic();
    print("\nPANIC: %s\n", text);
    print_backtrace((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
    end_crashed();
}

void panic_trap(const struct trap_frame *trap)
{
    begin_panic();
    if (trap->vector < 32)
        print("\nPANIC: cpu %u: %s\n", cpu_this()->index, exception_names[trap->vector]);
    else
        print("\nPANIC: cpu %u: unexpected interrupt, vector 0x%lx\n", cpu_this()->index,
              trap->vector);
    print_error_code(trap->vector, trap->error);
    print_registers(trap);
    print_backtrace(trap->rip, trap->rbp);
    end_crashed();
}
