/*
 * trap_entry.S: where the processor comes in on an exception or interrupt (Intel SDM vol. 3A,
 * 6.14): one stub of 16 bytes for each vector, which brings the stack into the shape of
 * struct trap_frame and calls trap().
 */
        .equ WITH_ERROR_CODE, 0x60227d00 /* bit n: exception n pushes an error code itself */

        .text
        .balign 16
        .globl trap_stubs
        .type trap_stubs, @function
trap_stubs:
        .set vector, 0
        .rept 0x50
        .balign 16
        .if vector > 31 || ((WITH_ERROR_CODE >> (vector & 31)) & 1) == 0
        pushq $0
        .endif
        pushq $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
        .size trap_stubs, . - trap_stubs

        .type trap_common, @function
trap_common:
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        cld
        movq %rsp, %rdi
        call trap
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp          /* vector and error code */
        iretq
        .size trap_common, . - trap_common

        .section .note.GNU-stack, "", @progbits
