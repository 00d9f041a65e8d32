/*
 * hello.S: the smallest guest.  A kernel needs three things: a note that tells the VMM where to
 * start, an instruction that leaves the guest, and a way to end.
 *
 *     build/kvmlens -kernel build/guest/lessons/hello.elf -trace exits
 *
 * Each `outb` below is a VM exit: the processor stops running the guest, and the VMM's serial port
 * gets the byte. So is each `inb`: the VMM makes up the answer.
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <uart16550.h>

        /* The PVH note: owner "Xen", type 18, and the address to start at (see include/pvh.h). */
        .section .note.pvh, "a", @note
        .long 4, 8, 18
        .asciz "Xen"
        .quad start

        .text
        .code32
        .globl start
start:
        movl $text, %esi
next:
        movw $(PORT_SERIAL + UART_LSR), %dx
        inb %dx, %al                    /* can the UART take a byte? */
        testb $UART_LSR_THRE, %al
        jz next
        lodsb                           /* AL = the byte at ESI; ESI moves on */
        testb %al, %al
        jz end
        movw $(PORT_SERIAL + UART_THR), %dx
        outb %al, %dx                   /* the byte goes out */
        jmp next
end:
        movb $POWER_SLEEP_S5, POWER_GPA + POWER_SLEEP_CTL   /* the machine is switched off */
        hlt

text:   .asciz "hello from a guest\r\n"

        .section .note.GNU-stack, "", @progbits
