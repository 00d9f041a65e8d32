/*
 * paging32.S: 32-bit paging, the page tables of the 80386.
 *
 *     build/kvmlens -kernel build/guest/lessons/paging32.elf
 *
 * Two tables of 1024 entries: the upper ten bits of an address choose the entry of the page
 * directory, the next ten that of a page table, which names a page of 4 KiB. With CR4.PSE an entry of
 * the directory may name a page of 4 MiB itself. Here one word of RAM gets three addresses: its own,
 * one through a page of 4 KiB, one through a page of 4 MiB. What is written at one is read at all.
 * A KVM without VMX or SVM answers the MOV to CR0 with #GP (docs/backends.md).
 * Specification: Intel SDM vol. 3A, 4.3 (32-bit paging), 4.8 (accessed and dirty flags).
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <uart16550.h>

#define PRESENT  0x01
#define WRITABLE 0x02
#define UNCACHED 0x10 /* PCD */
#define LARGE    0x80 /* PS: the directory's entry is a page of 4 MiB */

#define BY_4K 0x00200000 /* entry 0 of the directory, entry 0x200 of the page table */
#define BY_4M 0x40000000 /* entry 0x100 of the directory: from here on lies all of the first 4 MiB */
#define PDE(address) (directory + 4 * ((address) >> 22))
#define PTE(address) (table + 4 * ((address) >> 12 & 1023))

        .section .note.pvh, "a", @note
        .long 4, 8, 18
        .asciz "Xen"
        .quad start

        .text
        .code32
        .globl start
start:  movl $stack_top, %esp           /* PVH's flat segments will do */
        cld

        /* The first 4 MiB are mapped to themselves, page by page: this code runs on in them. */
        movl $table, %edi
        movl $(PRESENT | WRITABLE), %eax
1:      stosl
        addl $0x1000, %eax
        cmpl $(0x400000 | PRESENT | WRITABLE), %eax
        jb 1b
        movl $table + (PRESENT | WRITABLE), PDE(0)
        movl $word + (PRESENT | WRITABLE), PTE(BY_4K)
        movl $(PRESENT | WRITABLE | LARGE), PDE(BY_4M)
        movl $(POWER_GPA & 0xffc00000 | PRESENT | WRITABLE | UNCACHED | LARGE), PDE(POWER_GPA)

        movl %cr4, %eax
        orl $0x10, %eax                 /* PSE: without it LARGE means nothing */
        movl %eax, %cr4
        movl $directory, %eax
        movl %eax, %cr3
        movl $text_next, %esi
        call print
        movl %cr0, %eax
        orl $0x80000000, %eax           /* PG */
        movl %eax, %cr0

        movl $text_on, %esi
        movl %cr0, %edx
        andl $0x80000001, %edx          /* PG and PE */
        call print_hex
        movl $0x12345678, word
        movl $text_4k, %esi
        movl BY_4K, %edx
        call print_hex
        movl $text_4m, %esi
        movl BY_4M + word, %edx
        call print_hex
        movl $0x9abcdef0, BY_4M + word
        movl $text_own, %esi
        movl word, %edx
        call print_hex

        /* The processor notes in the entries what they were used for: 0x20 an access, 0x40 a write. */
        movl $text_pte, %esi
        movl PTE(BY_4K), %edx
        call print_hex
        movl $text_pde, %esi
        movl PDE(BY_4M), %edx
        call print_hex
        movb $POWER_SLEEP_S5, POWER_GPA + POWER_SLEEP_CTL
        hlt

/* Prints the text at ESI, then EDX in hexadecimal, and ends the line. */
print_hex:
        pushl %edx
        call print
        popl %edx
        movl $number, %edi
1:      roll $4, %edx
        movl %edx, %eax
        andl $15, %eax
        movb digits(%eax), %al
        stosb
        cmpl $number + 8, %edi
        jb 1b
        movl $number, %esi

/* Prints the text at ESI, up to its NUL. */
print:  movw $(PORT_SERIAL + UART_LSR), %dx
        inb %dx, %al
        testb $UART_LSR_THRE, %al
        jz print
        lodsb
        testb %al, %al
        jz 1f
        movw $(PORT_SERIAL + UART_THR), %dx
        outb %al, %dx
        jmp print
1:      ret

digits:    .ascii "0123456789abcdef"
text_next: .asciz "next: mov to CR0, which turns on 32-bit paging\r\n"
text_on:   .asciz "paging is on: CR0 (PG, PE) = 0x"
text_4k:   .asciz "written at its own address, read through a page of 4 KiB: 0x"
text_4m:   .asciz "                            and through a page of 4 MiB: 0x"
text_own:  .asciz "written through the page of 4 MiB, read at its own:       0x"
text_pte:  .asciz "the page table's entry, read:                             0x"
text_pde:  .asciz "the directory's entry of 4 MiB, read and written:         0x"

        .data
number: .asciz "01234567\r\n"
        .balign 4096
directory: .skip 4096                   /* entries of 0: not present */
table:  .skip 4096
word:   .skip 4096                      /* alone in its page */

        .bss
        .skip 1024
stack_top:

        .section .note.GNU-stack, "", @progbits
