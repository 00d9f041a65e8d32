/*
 * vmcall.c: a hypercall, the guest's own call to the hypervisor.
 *
 *     build/kvmlens -kernel build/guest/lessons/vmcall.elf -trace exits
 *
 * VMCALL (Intel) and VMMCALL (AMD) leave the guest on purpose. KVM takes the number of the call from RAX
 * and the arguments from RBX, RCX, RDX and RSI, and answers in RAX without leaving the host's kernel:
 * the trace shows nothing of it. On a processor without a hypervisor, and in QEMU's TCG, it is #UD. In a
 * KVM without VMX or SVM it never returns (docs/backends.md); -M microvm,timeout=2 ends it.
 * Specification: Intel SDM vol. 3C (VMCALL), AMD APM vol. 3 (VMMCALL), the kernel's
 * Documentation/virt/kvm/x86/hypercalls.rst and cpuid.rst.
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <stdbool.h>
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

#define CPUID_HYPERVISOR      0x40000000
#define KVM_HC_VAPIC_POLL_IRQ 1 /* does nothing but leave the guest */
#define NO_SUCH_CALL          0x7fff
#define VECTOR_UD             6

void lesson(void); /* called from the assembly above */

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

static void print_number(int64_t value)
{
    char text[24] = "", *at = text + sizeof(text) - 1;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    print(at);
}

static volatile bool undefined; /* volatile: it changes behind the compiler's back */

/* #UD leaves RIP at the instruction; both are three bytes long. */
__attribute__((interrupt)) static void invalid_opcode(void *frame)
{
    *(volatile uint64_t *)frame += 3; /* the return address is the first word */
    undefined = true;
}

static void hypercall(bool amd, int64_t number, const char *name)
{
    print(amd ? "next: vmmcall, number " : "next: vmcall, number ");
    print_number(number);
    print(name);
    int64_t answer = number;
    undefined = false;
    if (amd)
        __asm__ volatile("vmmcall" : "+a"(answer) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
    else
        __asm__ volatile("vmcall" : "+a"(answer) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
    print(undefined ? "  #UD: nobody takes hypercalls here" : "  the answer is ");
    if (!undefined)
        print_number(answer);
    print("\r\n");
}

void lesson(void)
{
    static uint64_t idt[2 * (VECTOR_UD + 1)]; /* two words a gate, the second one 0 */
    uint64_t handler = (uint64_t)invalid_opcode;
    idt[2 * VECTOR_UD] = (handler & 0xffff) | 8 << 16 | 0x8eull << 40 | (handler >> 16) << 48;
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idt_register));

    uint32_t leaf = 0, vendor[3], signature[4] = {0};
    __asm__("cpuid" : "+a"(leaf), "=b"(vendor[0]), "=d"(vendor[1]), "=c"(vendor[2]) : "c"(0));
    leaf = CPUID_HYPERVISOR;
    __asm__("cpuid" : "+a"(leaf), "=b"(signature[0]), "=c"(signature[1]), "=d"(signature[2]));
    print("hypervisor: ");
    print((const char *)signature); /* the last word ends it */
    print("\r\n");
    bool amd = vendor[2] == 0x444d4163 /* the end of AuthenticAMD */;
    hypercall(amd, KVM_HC_VAPIC_POLL_IRQ, " (KVM_HC_VAPIC_POLL_IRQ)\r\n");
    hypercall(amd, NO_SUCH_CALL, ", which no call has\r\n");
    *(volatile uint8_t *)POWER_GPA = POWER_SLEEP_S5;
}
