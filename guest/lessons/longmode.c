/*
 * longmode.c: 64-bit mode, and the page tables without which it cannot be.
 *
 *     build/kvmlens -kernel build/guest/lessons/longmode.elf
 *
 * In long mode every address goes through four tables of 512 entries: nine bits of the address
 * choose the entry in each. An entry without bit 0 stops the walk: the processor raises a page
 * fault (#PF), and a kernel may mend the table and let the instruction run again.
 * Specification: Intel SDM vol. 3A, 4.5 (paging), 10.8.5 (entering long mode), 6.14 (IDT).
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <stdint.h>
#include <uart16550.h>

/* PVH starts us in 32-bit protected mode. Five steps: PAE, CR3, EFER.LME, CR0.PG, and a far jump
 * into a code segment with the L bit. The tables map 0 to 1 GiB to itself in pages of 2 MiB.
 * Bits of an entry: 1 present, 2 writable, 0x20 accessed, 0x40 dirty, 0x80 2 MiB page. */
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
        "pml4:  .quad pdpt + 0x23; .fill 511, 8, 0\n"
        "pdpt:  .quad pd + 0x23; .fill 511, 8, 0\n"
        ".globl pd\n"
        "pd:    .set gpa, 0; .rept 512; .quad gpa + 0xe3; .set gpa, gpa + 0x200000; .endr\n"
        ".bss; .balign 16; .skip 4096\n"
        "stack_top: .text");

#define MISSING 0x600000ull /* the page that we take away: 6 to 8 MiB */

extern volatile uint64_t pd[512]; /* volatile: the processor reads it, unseen by the compiler */
void lesson(void);                /* called from the assembly above */

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

static void print_hex(const char *label, uint64_t value)
{
    char text[] = "0x0000000000000000\r\n";
    for (unsigned i = 17; i > 1; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
    print(label);
    print(text);
}

/* Follows the tables as the processor does, and shows each entry on the way. */
static void walk(uint64_t address)
{
    static const char *const level[] = {"  PML4 entry ", "  PDPT entry ", "  PD entry   "};
    uint64_t table;
    print_hex("walk of ", address);
    __asm__ volatile("mov %%cr3, %0" : "=r"(table));
    for (unsigned i = 0; i < 3; i++) {
        uint64_t entry = ((volatile uint64_t *)table)[address >> (39 - 9 * i) & 511];
        print_hex(level[i], entry);
        if (!(entry & 1)) /* not present */
            return;
        table = entry & 0x000ffffffffff000;
    }
    print_hex("  physical   ", table + (address & 0x1fffff));
}

static volatile uint64_t fault_address, fault_error;

/* The processor pushes where it was; IRETQ takes it back there, to try the access once more. */
__attribute__((interrupt)) static void page_fault(void *frame, uint64_t error)
{
    uint64_t address;
    (void)frame;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    fault_address = address;
    fault_error = error;
    pd[address >> 21 & 511] = (address & ~0x1fffffull) | 0xe3;
}

void lesson(void)
{
    static uint64_t idt[2 * 15]; /* up to #PF, vector 14; two words a gate, the second one 0 */
    uint64_t handler = (uint64_t)page_fault;
    idt[28] = (handler & 0xffff) | 8 << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt_register = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idt_register));

    print("long mode: 64 bits, four levels of page tables\r\n");
    *(volatile uint64_t *)(MISSING + 8) = 0x1234;
    pd[MISSING >> 21] = 0;
    __asm__ volatile("invlpg (%0)" : : "r"(MISSING) : "memory"); /* the TLB may remember it */
    walk(MISSING + 8);
    print_hex("read    ", *(volatile uint64_t *)(MISSING + 8));
    print_hex("  after #PF at ", fault_address);
    print_hex("  error code   ", fault_error);
    walk(MISSING + 8);

    pd[1] = (POWER_GPA & ~0x1fffffull) | 0xf3; /* map the device at 2 MiB, uncached (0x10) */
    *(volatile uint8_t *)(0x200000 + (POWER_GPA & 0x1fffff)) = POWER_SLEEP_S5;
}
