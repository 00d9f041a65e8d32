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

#define INFO_MAGIC          0x336ec578
#define INFO_MEMMAP         40  /* offsets in hvm_start_info (include/pvh.h) */
#define INFO_MEMMAP_ENTRIES 48
#define ENTRY_ADDR          0   /* offsets in hvm_memmap_entry */
#define ENTRY_SIZE          8
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

        /* The VMM's GDT may lie anywhere: take our own, and load each segment from it. A far jump
         * is the way to load CS. */
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
        cmpl $INFO_MAGIC, (%ebx)
        jne end

        /* Of the memory map, the range of RAM that this kernel lies in. */
        movl INFO_MEMMAP(%ebx), %edi
        movl INFO_MEMMAP_ENTRIES(%ebx), %ecx
1:      movl $start, %eax
        subl ENTRY_ADDR(%edi), %eax     /* subtract first: then nothing can wrap around */
        jb 2f
        cmpl ENTRY_SIZE(%edi), %eax
        jb found
2:      addl $ENTRY_BYTES, %edi
        loop 1b
        jmp end
found:  movl $text_from, %esi
        call print
        movl ENTRY_ADDR(%edi), %edx
        call print_hex
        movl $text_bytes, %esi
        call print
        movl ENTRY_SIZE(%edi), %edx
        call print_hex
end:    movb $POWER_SLEEP_S5, POWER_GPA + POWER_SLEEP_CTL
        hlt

/* Sends AL. Changes nothing else. */
put:    pushl %edx
        pushl %eax
        movw $(PORT_SERIAL + UART_LSR), %dx
1:      inb %dx, %al
        testb $UART_LSR_THRE, %al
        jz 1b
        popl %eax
        movw $(PORT_SERIAL + UART_THR), %dx
        outb %al, %dx
        popl %edx
        ret

/* Prints the text at ESI, up to its NUL. */
1:      call put
print:  lodsb
        testb %al, %al
        jnz 1b
        ret

/* Prints EDX in hexadecimal, and ends the line. */
print_hex:
        movl $8, %ebp
1:      roll $4, %edx
        movl %edx, %eax
        andl $15, %eax
        movb digits(%eax), %al
        call put
        decl %ebp
        jnz 1b
        movl $newline, %esi
        jmp print

digits:     .ascii "0123456789abcdef"
newline:    .asciz "\r\n"
text_mode:  .asciz "protected mode, paging off: CR0 (PG, PE) = 0x"
text_magic: .asciz "start info begins with its magic number 0x"
text_from:  .asciz "this kernel lies in RAM from 0x"
text_bytes: .asciz "             that is long 0x"

        .balign 8
gdt:    .quad 0
        .quad 0x00cf9b000000ffff        /* 0x08: code, base 0, limit 4 GiB */
        .quad 0x00cf93000000ffff        /* 0x10: data, base 0, limit 4 GiB */
gdt_register:
        .word gdt_register - gdt - 1
        .long gdt

        .bss
        .balign 16
        .skip 1024
stack_top:

        .section .note.GNU-stack, "", @progbits
