/*
 * interrupts.c: a device calls the processor.
 *
 *     build/kvmlens -kernel build/guest/lessons/interrupts.elf -trace summary
 *
 * The timer (8254 PIT) pulls its line 100 times a second; the interrupt controller (8259A PIC) turns
 * line 0 into vector 0x20; the processor looks up gate 0x20 in the IDT and calls the handler. Between
 * two ticks the processor halts, and the host can do something else.
 * Specification: Intel SDM vol. 3A, chapters 6 and 10; Intel 8254 and 8259A data sheets.
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <stdint.h>
#include <uart16550.h>

/* From PVH's 32-bit start to long mode, as the lesson longmode explains; the first 4 GiB are mapped
 * to themselves. */
__asm__(".section .note.pvh, \"a\", @note; .long 4, 8, 18; .asciz \"Xen\"; .quad start\n"
        ".text; .code32; .globl start\n"
        "start: movl %cr4, %eax; orl $0x20, %eax; movl %eax, %cr4\n"
        "       movl $pml4, %eax; movl %eax, %cr3\n"
        "       movl $0xc0000080, %ecx; rdmsr; orl $0x100, %eax; wrmsr\n"
        "       movl %cr0, %eax; orl $0x80000000, %eax; movl %eax, %cr0\n"
        "       lgdtl gdt_register; ljmpl $8, $long_mode\n"
        ".code64\n"
        "long_mode: movw $16, %ax; movw %ax, %ss; movw %ax, %ds; movw %ax, %es\n"
        "       movq $stack_top, %rsp; xorl %ebp, %ebp; call lesson; hlt\n"
        ".data; .balign 8\n"
        "gdt:   .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "gdt_register: .word 23; .long gdt\n"
        ".balign 4096\n"
        "pml4:  .quad pdpt + 3; .fill 511, 8, 0\n"
        "pdpt:  .quad pd + 0x3, pd + 0x1003, pd + 0x2003, pd + 0x3003; .fill 508, 8, 0\n"
        "pd:    .set gpa, 0; .rept 2048; .quad gpa + 0x83; .set gpa, gpa + 0x200000; .endr\n"
        ".bss; .balign 16; .skip 4096\n"
        "stack_top: .text");

#define VECTOR_TIMER 0x20
#define TICK_HZ      100
#define PIT_HZ       1193182

void lesson(void); /* called from the assembly above */

static void out(unsigned port, unsigned value)
{
    __asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port) : "memory");
}

static void print(const char *text)
{
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %w1, %0" : "=a"(status) : "d"(PORT_SERIAL + UART_LSR));
        while (!(status & UART_LSR_THRE));
        out(PORT_SERIAL + UART_THR, (unsigned char)*text);
    }
}

static volatile unsigned ticks; /* volatile: it changes behind the compiler's back */

/* The attribute makes the compiler save every register and return by IRETQ. */
__attribute__((interrupt)) static void timer(void *frame)
{
    (void)frame;
    ticks++;
    /* End of interrupt: the controller may send the next one. */
    __asm__ volatile("outb %b0, %w1" : : "a"(0x20), "d"(PORT_PIC_MASTER));
}

/* The four initialisation words of the controllers: vectors from 0x20 (below are the exceptions),
 * the slave at line 2 of the master, then the mask: all lines but the timer's are shut. */
static void pic_init(void)
{
    out(PORT_PIC_MASTER, 0x11); /* ICW1: initialise, ICW4 follows */
    out(PORT_PIC_SLAVE, 0x11);
    out(PORT_PIC_MASTER + 1, VECTOR_TIMER); /* ICW2: the first vector */
    out(PORT_PIC_SLAVE + 1, VECTOR_TIMER + 8);
    out(PORT_PIC_MASTER + 1, 1 << 2); /* ICW3: who is where */
    out(PORT_PIC_SLAVE + 1, 2);
    out(PORT_PIC_MASTER + 1, 1); /* ICW4: 8086 mode */
    out(PORT_PIC_SLAVE + 1, 1);
    out(PORT_PIC_MASTER + 1, 0xff & ~(1u << IRQ_PIT));
    out(PORT_PIC_SLAVE + 1, 0xff);
    /* Its output goes through the local APIC's input LINT0, which a firmware may have shut. */
    *(volatile uint32_t *)(LAPIC_GPA + 0xf0ull) = 0x1ff;  /* APIC on; spurious vector 0xff */
    *(volatile uint32_t *)(LAPIC_GPA + 0x350ull) = 0x700; /* LINT0: ask the 8259A */
}

static void pit_init(void)
{
    out(PORT_PIT + 3, 0x34); /* channel 0, low then high byte, mode 2: a pulse every N counts */
    out(PORT_PIT, PIT_HZ / TICK_HZ & 0xff);
    out(PORT_PIT, PIT_HZ / TICK_HZ >> 8);
}

void lesson(void)
{
    static uint64_t idt[2 * (VECTOR_TIMER + 1)]; /* two words a gate, the second one 0 */
    uint64_t handler = (uint64_t)timer;
    idt[2 * VECTOR_TIMER] =
        (handler & 0xffff) | 8 << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idt_register));

    print("interrupts: waiting for ten ticks of the timer\r\n");
    pic_init();
    pit_init();
    while (ticks < 10)
        __asm__ volatile("sti; hlt; cli"); /* STI lets an interrupt in only after HLT has begun */
    print("ten ticks have come\r\n");
    *(volatile uint8_t *)POWER_GPA = POWER_SLEEP_S5;
}
