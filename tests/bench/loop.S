/* loop.S: port-I/O exits, as many as EXITS in bench says, and the end through isa-debug-exit. */
    .code16
    .text
start:
    mov $100000, %ecx
1:  out %al, $0x80
    dec %ecx
    jnz 1b
    xor %eax, %eax
    out %al, $0xf4

    .section .reset, "ax"
    jmp start
