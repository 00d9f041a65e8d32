/*
 * software-int.c: interrupts that the program asks for.
 *
 *     build/kvmlens -kernel build/guest/lessons/software-int.elf
 *
 * INT n calls gate n of the IDT as a device would: so programs called their kernels for decades. INT3
 * is the same for vector 3 in a single byte, which fits over any instruction: so debuggers stop a
 * program. Both push the address *behind* themselves, and IRETQ goes there; a debugger takes one off.
 * A KVM without VMX or SVM cannot emulate either (docs/backends.md), and kvmlens ends with status 74.
 * Specification: Intel SDM vol. 2A (INT n, INT3), vol. 3A, 6.4, 6.12 and 6.14.
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

#define VECTOR_BREAKPOINT 3
#define VECTOR_SERVICE    0x30

void lesson(void); /* called from the assembly above */

/* The service behind vector 0x30: twice RAX; RDX tells the address that INT has pushed, and the stack
 * pointer is where it was once IRETQ has taken all five words. */
__asm__("service: addq %rax, %rax; movq (%rsp), %rdx; iretq\n"
        "forty_two: movl $42, %eax; ret");
void service(void);
int forty_two(void);

static void print(const char *text)
{
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %w1, %0" : "=a"(status) : "d"(PORT_SERIAL + UART_LSR));
        while (!(status & UART_LSR_THRE));
        __asm__ volatile("outb %0, %w1" : : "a"(*text), "d"(PORT_SERIAL + UART_THR));
    }
}

static void print_number(const char *label, uint64_t value)
{
    char text[] = "..\r\n";
    text[0] = (char)('0' + value / 10 % 10);
    text[1] = (char)('0' + value % 10);
    print(label);
    print(text);
}

static volatile unsigned hits; /* volatile: it changes behind the compiler's back */
static uint8_t covered;        /* the byte that INT3 stands on */

/* What a debugger does: the byte put back, the return address moved back onto it. */
__attribute__((interrupt)) static void breakpoint(void *frame)
{
    volatile uint64_t *rip = frame; /* the first of RIP, CS, RFLAGS, RSP, SS */
    hits++;
    *rip -= 1;
    *(volatile uint8_t *)*rip = covered;
}

static void set_gate(uint64_t *idt, unsigned vector, uint64_t handler)
{
    idt[2 * vector] = (handler & 0xffff) | 8 << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
}

void lesson(void)
{
    static uint64_t idt[2 * (VECTOR_SERVICE + 1)]; /* two words a gate, the second one 0 */
    set_gate(idt, VECTOR_BREAKPOINT, (uint64_t)breakpoint);
    set_gate(idt, VECTOR_SERVICE, (uint64_t)service);
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idt_register));

    print("next: int 0x30, a call of the service that doubles RAX\r\n");
    uint64_t value = 21, pushed, at;
    __asm__ volatile("1: int %3; leaq 1b(%%rip), %2"
                     : "+a"(value), "=&d"(pushed), "=r"(at)
                     : "i"(VECTOR_SERVICE));
    print_number("  back by iretq, RAX is:     ", value);
    print_number("  bytes from int to there:   ", pushed - at);

    volatile uint8_t *code = (volatile uint8_t *)(uint64_t)forty_two;
    covered = *code;
    *code = 0xcc;
    print("next: int3, written over the first byte of a function\r\n");
    uint64_t answer = (uint64_t)forty_two();
    print_number("  breakpoints hit:           ", hits);
    print_number("  and the function's answer: ", answer);
    *(volatile uint8_t *)POWER_GPA = POWER_SLEEP_S5;
}
