/*
 * realmode.rom.S: the first instruction after reset, in real mode.
 *
 *     build/kvmlens -bios build/guest/lessons/realmode.rom -trace exits
 *
 * An x86 processor starts at 0xfffffff0, 16 bytes below 4 GiB, in a mode of 1978: 16-bit
 * registers, and addresses of segment * 16 + offset that reach a little over 1 MiB. Both are true
 * at once because the CS register has a hidden base, 0xffff0000 after reset. The first far jump
 * loads CS anew, and with it the base becomes 0xf000 * 16 = 0xf0000: there the machine shows the
 * same ROM once more, below 1 MiB.
 * Specification: Intel SDM vol. 3A, 9.1.4 (first instruction) and chapter 20 (real mode).
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <uart16550.h>

#define ROM_SEGMENT 0xf000

        .code16
        .text
        .globl start
start:
        cli
        cld
        xorw %ax, %ax
        movw %ax, %ss                   /* a stack in RAM, from 0x7000 downwards */
        movw $0x7000, %sp
        movw %cs, %ax
        movw %ax, %ds                   /* our texts are in the ROM, beside our code */

        movw $hello, %si
        call print

        movw $segment, %si
        call print
        movw %cs, %bx
        call print_hex

        /* One instruction, many bytes: KVM emulates a string OUT with an exit for each of them (a
         * string IN comes to the VMM many at a time). The UART has a FIFO of 16. */
        movw $(PORT_SERIAL + UART_FCR), %dx
        movb $UART_FCR_ENABLE, %al
        outb %al, %dx
        movw $string, %si
        movw $(string_end - string), %cx
        movw $(PORT_SERIAL + UART_THR), %dx
        rep outsb

        movw $goodbye, %si
        call print

        /* The power register lies far above 1 MiB, and a segment here ends after 64 KiB. Protected
         * mode (the next lesson) lets DS have 4 GiB: the GDT's entry 1 says so. */
        lgdtl gdt_register
        movl %cr0, %eax
        orb $1, %al                     /* PE */
        movl %eax, %cr0
        movw $8, %ax
        movw %ax, %ds
        movl $(POWER_GPA + POWER_SLEEP_CTL), %ebx
        movb $POWER_SLEEP_S5, (%ebx)
        hlt

/* Prints the text at DS:SI, up to its NUL. */
print:
        movw $(PORT_SERIAL + UART_LSR), %dx
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

/* Prints BX in hexadecimal, and ends the line. */
print_hex:
        movw $4, %cx
1:      rolw $4, %bx
        movw %bx, %si
        andw $15, %si
        movb digits(%si), %al
        movw $(PORT_SERIAL + UART_THR), %dx
        outb %al, %dx
2:      movw $(PORT_SERIAL + UART_LSR), %dx
        inb %dx, %al
        testb $UART_LSR_THRE, %al
        jz 2b
        loop 1b
        movw $newline, %si
        jmp print

hello:   .asciz "real mode: 16 bits, from the reset vector\r\n"
segment: .asciz "the code segment is "
digits:  .ascii "0123456789abcdef"
newline: .asciz "\r\n"
string:  .ascii "string output\r\n"
string_end:
goodbye: .asciz "power off, by way of protected mode\r\n"

        .balign 8
gdt:    .quad 0
        .quad 0x00cf93000000ffff        /* data: base 0, limit 4 GiB, writable, present */
gdt_register:
        .word gdt_register - gdt - 1
        .long ROM_SEGMENT * 16 + gdt    /* a linear address, not an offset */

        .section .reset, "ax"
reset:  ljmpw $ROM_SEGMENT, $start

        .section .note.GNU-stack, "", @progbits
