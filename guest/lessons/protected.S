/*
 * protected.S: 32-bit protected mode, where PVH starts a kernel.
 *
 *     build/kvmlens -kernel build/guest/lessons/protected.elf
 *
 * Segments are no longer address arithmetic: a selector names an entry of the GDT, which says where
 * the segment begins, how long it is, and what may be done with it. "Flat" segments begin at 0 and
 * are 4 GiB long, so an offset is an address. Paging is off: an address is a physical one.
 * The VMM tells the kernel about the machine in hvm_start_info; EBX holds its address.
 * Specification: Intel SDM vol. 3A, chapter 3; Xen docs/misc/pvh.pandoc.
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <uart16550.h>

#define INFO_MEMMAP         40 /* offsets in hvm_start_info (include/pvh.h) */
#define INFO_MEMMAP_ENTRIES 48
#define ENTRY_SIZE          8  /* of a range: offset in hvm_memmap_entry; its address is at 0 */
#define ENTRY_BYTES         24

        .section .note.pvh, "a", @note
        .long 4, 8, 18
        .asciz "Xen"
        .quad start

        .text
        .code32
        .globl start
start:
        movl $stack_top, %esp
        cld

        /* The VMM's GDT may lie anywhere: load each segment from ours. A far jump loads CS. */
        lgdtl gdt_register
        ljmpl $0x08, $flat
flat:   movw $0x10, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss

        movl $text_mode, %esi
        call print
        movl %cr0, %edx
        andl $0x80000001, %edx          /* PG (bit 31) and PE (bit 0) */
        call print_hex

        movl $text_magic, %esi
        call print
        movl (%ebx), %edx
        call print_hex
        /* Of the memory map, the range of RAM that this kernel lies in. */
        movl INFO_MEMMAP_ENTRIES(%ebx), %ecx
        movl INFO_MEMMAP(%ebx), %ebx
1:      movl $start, %eax
        subl (%ebx), %eax     /* subtract first: then nothing can wrap around */
        jb 2f
        cmpl ENTRY_SIZE(%ebx), %eax
        jb found
2:      addl $ENTRY_BYTES, %ebx
        loop 1b                         /* until one holds it: we run, so one does */
found:  movl $text_from, %esi
        call print
        movl (%ebx), %edx
        call print_hex
        movl $text_bytes, %esi
        call print
        movl ENTRY_SIZE(%ebx), %edx
        call print_hex
        movb $POWER_SLEEP_S5, POWER_GPA + POWER_SLEEP_CTL
        hlt

/* Prints EDX in hexadecimal, and ends the line. */
print_hex:
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

digits:     .ascii "0123456789abcdef"
text_mode:  .asciz "protected mode, paging off: CR0 (PG, PE) = 0x"
text_magic: .asciz "start info begins with its magic number 0x"
text_from:  .asciz "this kernel lies in RAM from 0x"
text_bytes: .asciz "             that is long 0x"

gdt:    .quad 0
        .quad 0x00cf9b000000ffff        /* 0x08: code, base 0, limit 4 GiB */
        .quad 0x00cf93000000ffff        /* 0x10: data, base 0, limit 4 GiB */
gdt_register:
        .word gdt_register - gdt - 1
        .long gdt

        .data
number: .asciz "01234567\r\n"

        .bss
        .skip 1024
stack_top:

        .section .note.GNU-stack, "", @progbits
