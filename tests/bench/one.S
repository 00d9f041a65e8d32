/* one.S: a guest of one instruction, which ends the VM through isa-debug-exit (AL is 0 after reset). */
    .code16
    .section .reset, "ax"
    out %al, $0xf4
