/*
 * try.S: accesses that may fault.  The address of each such instruction is in the section
 * .fixups; trap() sends a fault there on to try_failed.  No function here moves the stack, so
 * try_failed returns to the caller of whichever it was.
 */
        .macro MAY_FAULT instruction:vararg
9:      \instruction
        .pushsection .fixups, "a"
        .quad 9b
        .popsection
        .endm

        .macro FUNCTION name
        .globl \name
        .type \name, @function
\name:
        .endm

        .text
FUNCTION try_rdmsr              /* (uint32_t msr, uint64_t *value) */
        movl %edi, %ecx
        MAY_FAULT rdmsr
        shlq $32, %rdx
        orq %rdx, %rax
        movq %rax, (%rsi)
        movl $1, %eax
        ret
        .size try_rdmsr, . - try_rdmsr

FUNCTION try_wrmsr              /* (uint32_t msr, uint64_t value) */
        movl %edi, %ecx
        movl %esi, %eax
        movq %rsi, %rdx
        shrq $32, %rdx
        MAY_FAULT wrmsr
        movl $1, %eax
        ret
        .size try_wrmsr, . - try_wrmsr

FUNCTION try_read               /* (const volatile void *from, unsigned size, uint64_t *value) */
        xorl %eax, %eax
        cmpl $2, %esi
        je 2f
        cmpl $4, %esi
        je 4f
        cmpl $8, %esi
        je 8f
        MAY_FAULT movb (%rdi), %al
        jmp 1f
2:      MAY_FAULT movw (%rdi), %ax
        jmp 1f
4:      MAY_FAULT movl (%rdi), %eax
        jmp 1f
8:      MAY_FAULT movq (%rdi), %rax
1:      movq %rax, (%rdx)
        movl $1, %eax
        ret
        .size try_read, . - try_read

FUNCTION try_write              /* (volatile void *to, unsigned size, uint64_t value) */
        movl $1, %eax
        cmpl $2, %esi
        je 2f
        cmpl $4, %esi
        je 4f
        cmpl $8, %esi
        je 8f
        MAY_FAULT movb %dl, (%rdi)
        ret
2:      MAY_FAULT movw %dx, (%rdi)
        ret
4:      MAY_FAULT movl %edx, (%rdi)
        ret
8:      MAY_FAULT movq %rdx, (%rdi)
        ret
        .size try_write, . - try_write

FUNCTION try_failed
        xorl %eax, %eax
        ret
        .size try_failed, . - try_failed

        .section .note.GNU-stack, "", @progbits
