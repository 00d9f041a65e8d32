/*
 * kernel.h: what each file of the kernel offers the others, in the order in which main.c calls
 * them up.
 */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include <pvh.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE  0x1000ull
#define CPUS_MAX   64
#define MAPPED_MAX 0x40000000ull /* RAM is mapped, and so is used, up to here (paging.c) */

/* boot.S */
_Noreturn void call_on_stack(void *stack_top, void (*function)(void));
extern const uint8_t ap_trampoline[], ap_trampoline_end[];
extern uint64_t boot_cr3, boot_stack, boot_entry, boot_argument;

/* main.c */
_Noreturn void kernel_main(const struct hvm_start_info *start_info);

/* string.c: the compiler calls the first three of its own accord */
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int byte, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
/* The first place of NEEDLE in TEXT, or NULL. */
const char *find(const char *text, const char *needle);
/* Reads a decimal or 0x number at TEXT. Returns what follows it; NULL if there is none, or it does
 * not fit into 64 bits. */
const char *scan_number(const char *text, uint64_t *value);

/* print.c: %d %u %x %c %s %%, with -, 0, width, l and ll */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* SIZE bytes, 16 a line, the first one's number being AT; a * stands for lines like the one before. */
void dump(uint64_t at, const uint8_t *bytes, uint32_t size);

/* serial.c: COM1. Before serial_interrupts(), and after serial_poll(), it is polled. */
void serial_init(void);
void serial_interrupts(void);
void serial_poll(void);
void serial_interrupt(void);
void serial_put(char c);
char serial_get(void);     /* waits */
bool serial_waiting(void); /* serial_get() would not wait */
void serial_flush(void);   /* returns when all has left the UART */

/* memory.c: what the VMM tells in the start info. All of it is copied before it is used. */
#define MEMORY_RANGES_MAX 32
struct memory {
    struct hvm_memmap_entry range[MEMORY_RANGES_MAX];
    unsigned range_count;
    uint64_t initrd, initrd_size; /* GPA, bytes; 0: none */
    const char *command_line;
};
void memory_init(const struct hvm_start_info *start_info);
const struct memory *memory(void);
uint64_t memory_top(void);  /* end of the RAM that the kernel lies in (GPA) */
uint64_t memory_free(void); /* bytes that are left for pages_alloc() */
/* A zeroed page of RAM, or COUNT of them one behind the other, at the same address in the kernel's
 * page tables. Never given back. */
void *page_alloc(void);
void *pages_alloc(uint64_t count);

/* paging.c */
void paging_init(void);
/* The device registers at GPA, uncached. The page stays mapped, at its own address. */
volatile void *map_device(uint64_t gpa);
/* The same through a window that the next call moves elsewhere; for SIZE bytes up to 8. */
volatile void *map_window(uint64_t gpa);
/* Top of a stack of CPU: 0 to run on, 1 and 2 for the IST (double fault, NMI). */
void *stack_top(unsigned cpu, unsigned which);
bool on_stack(uint64_t address); /* in any stack that is mapped */

/* cpu.c: one for each processor; GS points to it */
struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
struct cpu {
    struct cpu *self;
    unsigned index;
    uint32_t apic_id;
    uint64_t gdt[6];
    struct tss tss;
    uint32_t up;      /* it runs; atomic */
    uint32_t reports; /* interrupts of other CPUs that it has answered; atomic */
};
struct cpu *cpu_make(unsigned index, uint32_t apic_id);
void cpu_load(struct cpu *cpu); /* called on that processor */
struct cpu *cpu_this(void);
struct cpu *cpu_get(unsigned index); /* NULL: not made */

/* traps.c */
#define IST_DOUBLE_FAULT 1
#define IST_NMI          2
#define VECTOR_TIMER     0x20
#define VECTOR_SERIAL    0x21
#define VECTOR_REPORT    0x22
#define VECTOR_SPURIOUS  0x2f
#define VECTOR_VIRTIO    0x30 /* and those behind it, one for each slot (virtio.c) */
#define VECTORS          0x50

/* As trap_entry.S pushes it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
void traps_init(void);
void traps_load(void);              /* called on each processor */
void trap(struct trap_frame *trap); /* called by trap_entry.S */

/* try.S: accesses that may fault. True if they did not. SIZE is 1, 2, 4 or 8. */
bool try_rdmsr(uint32_t msr, uint64_t *value);
bool try_wrmsr(uint32_t msr, uint64_t value);
bool try_read(const volatile void *from, unsigned size, uint64_t *value);
bool try_write(volatile void *to, unsigned size, uint64_t value);

/* panic.c */
_Noreturn void panic(const char *text);
_Noreturn void panic_trap(const struct trap_frame *trap);

/* end.c: ways for the machine to end */
#define PANIC_VALUE 0x11 /* isa-debug-exit makes it exit status 0x23 (35) */
bool debug_exit_present(void);
_Noreturn void power_off(uint8_t value);
_Noreturn void reboot(void);
_Noreturn void end_crashed(void);
_Noreturn void triple_fault(void);

/* apic.c */
bool apic_init(void); /* false: this machine has none; once on each processor */
bool apic_present(void);
uint32_t apic_id(void);
void apic_end_of_interrupt(void);
void apic_send(uint32_t apic_id, uint32_t command); /* APIC_... or a vector */
void apic_timer_start(uint32_t count);              /* periodic, VECTOR_TIMER */
uint32_t apic_timer_left(void);
unsigned ioapic_pins(void);
void ioapic_route(unsigned pin, uint8_t vector); /* edge-triggered, to the boot processor */
#define APIC_NMI     0x4400u
#define APIC_INIT    0x4500u
#define APIC_STARTUP 0x4600u /* plus the page's number */
#define APIC_FIXED   0x4000u /* plus the vector */

/* timer.c */
#define TIMER_HZ 100
void timer_init(void);
void timer_interrupt(void);
uint64_t timer_ticks(void);
/* Has it been so many ticks? Without a local APIC: so many calls that it may well have been. */
struct timeout {
    uint64_t start, ticks, calls;
};
struct timeout timeout_start(uint64_t ticks);
bool timeout_passed(struct timeout *timeout);
/* Halts until the next interrupt; without a local APIC it pauses and returns. */
void wait_for_interrupt(void);

/* clock.c: from the beginning of the processor, and of the ticks */
uint64_t clock_us(void);
uint64_t clock_ms(void); /* cheaper, and no finer than a tick */

/* fdt.c */
struct fdt {
    const uint8_t *blob;
    uint32_t structs, structs_end, strings, strings_end; /* offsets in the blob */
};
enum fdt_token { FDT_NODE = 1, FDT_NODE_END = 2, FDT_PROPERTY = 3, FDT_END = 9 };
struct fdt_item {
    enum fdt_token token;
    const char *name;    /* of the node or property */
    const uint8_t *data; /* of the property */
    uint32_t size;       /* bytes */
};
bool fdt_open(struct fdt *fdt, const uint8_t *blob, uint32_t capacity);
/* Reads the item at *OFFSET (from 0) and moves on. FDT_END also for a malformed tree. */
struct fdt_item fdt_next(const struct fdt *fdt, uint32_t *offset);
bool fdt_is_text(const struct fdt_item *property);
uint32_t fdt_cell(const struct fdt_item *property, uint32_t index); /* 0 past the end */

/* machine.c: what the machine is made of */
void machine_init(void);
unsigned machine_cpus(void); /* counted anew in each call */
/* Calls FOUND for each place where a virtio-mmio device may be. Who says it: the command line; else
 * the device tree; else nobody, and all places are looked through. */
#define MACHINE_NO_IRQ UINT32_MAX /* nobody knows its interrupt line */
typedef void machine_slot(uint64_t gpa, uint32_t irq);
void machine_virtio_slots(machine_slot *found);
void machine_print(void);

/* smp.c */
unsigned smp_start(void); /* returns how many processors run */
bool smp_report(struct cpu *cpu);
void smp_interrupt(void);

/* shell.c */
struct command {
    const char *name, *usage, *help;
    /* ARGV[0] is the command itself. False: the arguments are wrong, and the usage is printed. */
    bool (*run)(int argc, char **argv);
};
_Noreturn void shell(void);
bool parse_number(const char *text, uint64_t max, uint64_t *value); /* says what is wrong */

/* commands.c, commands_cpu.c, commands_net.c, commands_virtio.c, commands_blk.c, fwcfg.c, zoo.c */
extern const struct command commands[];
extern const unsigned command_count;
bool command_cpuid(int argc, char **argv);
bool command_fwcfg(int argc, char **argv);
bool command_msr(int argc, char **argv);
bool command_pio(int argc, char **argv);
bool command_mmio(int argc, char **argv);
bool command_fault(int argc, char **argv);
bool command_zoo(int argc, char **argv);
bool command_net(int argc, char **argv);
bool command_blk(int argc, char **argv);
bool command_rng(int argc, char **argv);
bool command_balloon(int argc, char **argv);
bool command_con(int argc, char **argv);

#endif
