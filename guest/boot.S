/*
 * boot.S: from the VMM's first instruction to C.
 *
 * PVH (Xen docs/misc/pvh.pandoc) starts the boot processor in 32-bit protected mode, flat
 * segments, paging off, EBX = address of hvm_start_info.  The other processors start in real mode
 * at the page their SIPI names (Intel SDM vol. 3A, 9.4).  Both meet at `enter_long_mode` (SDM
 * vol. 3A, 10.8.5) and then call `boot_entry` on the stack `boot_stack` with `boot_argument`.
 */
#include "x86.h"

#include <ports.h>
#include <post_codes.h>

        .section .note.pvh, "a", @note
        .balign 4
        .long 4                 /* size of the name */
        .long 8                 /* size of the value */
        .long 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad pvh_start

        .text
        .code32
        .globl pvh_start
        .type pvh_start, @function
pvh_start:
        movb $POST_FIRST_INSTRUCTION, %al
        outb %al, $PORT_POST
        cli
        cld
        movl %ebx, boot_argument
        lgdtl boot_gdt_register
enter_long_mode:
        movl %cr4, %eax
        orl $CR4_PAE, %eax
        movl %eax, %cr4
        movl boot_cr3, %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $(EFER_LME | EFER_NXE), %eax
        wrmsr
        movl %cr0, %eax
        orl $(CR0_PG | CR0_WP | CR0_PE), %eax
        movl %eax, %cr0
        ljmpl $SEL_CODE64, $long_mode
        .size pvh_start, . - pvh_start

        .code64
        .type long_mode, @function
long_mode:
        movw $SEL_DATA, %ax     /* the CPU ignores most of it in long mode; IRETQ wants a valid SS */
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        xorl %eax, %eax
        movw %ax, %fs
        movw %ax, %gs
        movq boot_stack, %rsp
        movq boot_argument, %rdi
        xorl %ebp, %ebp         /* the end of the chain of frames */
        callq *boot_entry
        ud2                     /* boot_entry does not return */
        .size long_mode, . - long_mode

/* void call_on_stack(void *stack_top, void (*function)(void)): does not come back. */
        .globl call_on_stack
        .type call_on_stack, @function
call_on_stack:
        movq %rdi, %rsp
        xorl %ebp, %ebp
        callq *%rsi
        ud2
        .size call_on_stack, . - call_on_stack

/* Copied to BOOT_AP_GPA; CS = BOOT_AP_GPA >> 4, IP = 0. It has no address of its own but offsets. */
        .code16
        .globl ap_trampoline, ap_trampoline_end
        .type ap_trampoline, @function
ap_trampoline:
        cli
        cld
        movw %cs, %ax
        movw %ax, %ds
        lgdtl ap_gdt_register - ap_trampoline
        movl %cr0, %eax
        orl $CR0_PE, %eax
        movl %eax, %cr0
        ljmpl $SEL_CODE32, $ap_protected
        .balign 8
ap_gdt_register:
        .word boot_gdt_end - boot_gdt - 1
        .long boot_gdt
ap_trampoline_end:
        .size ap_trampoline, . - ap_trampoline

        .code32
        .type ap_protected, @function
ap_protected:
        movw $SEL_DATA, %ax
        movw %ax, %ds
        jmp enter_long_mode
        .size ap_protected, . - ap_protected

        .section .rodata
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff /* SEL_CODE64: L, present, code, accessed */
        .quad 0x00cf93000000ffff /* SEL_DATA: 4 GiB, present, data, accessed */
        .quad 0x00cf9b000000ffff /* SEL_CODE32: D, 4 GiB, present, code, accessed */
boot_gdt_end:
boot_gdt_register:
        .word boot_gdt_end - boot_gdt - 1
        .long boot_gdt

/* What the 32-bit code hands on. smp.c sets these anew for each processor that it starts. */
        .data
        .balign 8
        .globl boot_cr3, boot_stack, boot_entry, boot_argument
boot_cr3:       .quad boot_pml4
boot_stack:     .quad boot_stack_top
boot_entry:     .quad kernel_main
boot_argument:  .quad 0

/* The first page tables: the first 1 GiB where it is, in 2 MiB pages; paging.c makes better ones.
 * 0x83: present, writable, 2 MiB. */
        .balign 4096
boot_pml4:
        .quad boot_pdpt + 3
        .fill 511, 8, 0
boot_pdpt:
        .quad boot_pd + 3
        .fill 511, 8, 0
boot_pd:
        .set page, 0
        .rept 512
        .quad page + 0x83
        .set page, page + 0x200000
        .endr

        .bss
        .balign 16
        .skip 4096
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
