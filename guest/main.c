/*
 * main.c: the order of life of the kernel.  From here each step is one file.
 */
#include "kernel.h"
#include "x86.h"

#include <ports.h>
#include <post_codes.h>

/* On the boot processor's own stack, with a guard page under it. */
static _Noreturn void run(void)
{
    machine_init();
    if (apic_init()) {
        timer_init();
        serial_interrupts();
        irq_on();
        out8(PORT_POST, POST_INTERRUPTS);
    }
    shell();
}

/* On the stack of boot.S, with its page tables. */
void kernel_main(const struct hvm_start_info *start_info)
{
    out8(PORT_POST, POST_LONG_MODE);
    serial_init();
    print("kvmlens guest: 64-bit kernel, ring 0\n"); /* before all that takes time */
    memory_init(start_info);
    paging_init();
    traps_init();
    struct cpu *cpu = cpu_make(0, 0);
    cpu->up = 1;
    cpu_load(cpu);
    out8(PORT_POST, POST_TRAPS);
    call_on_stack(stack_top(0, 0), run);
}
