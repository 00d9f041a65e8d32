/*
 * end.c: how the machine ends.  The VMM's exit status says which way it was:
 *     power off         isa-debug-exit: (VALUE << 1) | 1; without it the ACPI register: 0
 *     panic             isa-debug-exit: 35 (0x23); without it a triple fault, which is a crash
 *     reboot            the i8042's reset line, else the ACPI reset register
 */
#include "kernel.h"
#include "x86.h"

#include <memmap.h>
#include <ports.h>
#include <post_codes.h>
#include <power.h>

#define I8042_COMMAND 4    /* port 0x64, from PORT_I8042 */
#define I8042_RESET   0xfe /* pulse the reset line */

bool debug_exit_present(void)
{
    return in8(PORT_DEBUG_EXIT) == 0;
}

static void power_write(unsigned reg, uint8_t value)
{
    try_write(map_device(POWER_GPA + reg), 1, value);
}

/* A reset that is on its way may take some time to arrive. */
static void i8042_reset(void)
{
    out8(PORT_I8042 + I8042_COMMAND, I8042_RESET);
    for (unsigned i = 0; i < 10000; i++)
        pause();
}

static _Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

void power_off(uint8_t value)
{
    out8(PORT_POST, POST_POWER_OFF);
    serial_flush();
    irq_off();
    if (debug_exit_present())
        out8(PORT_DEBUG_EXIT, value);
    power_write(POWER_SLEEP_CTL, POWER_SLEEP_S5);
    i8042_reset();
    halt();
}

void reboot(void)
{
    serial_flush();
    irq_off();
    i8042_reset();
    power_write(POWER_RESET, POWER_RESET_VALUE);
    triple_fault();
}

void end_crashed(void)
{
    serial_flush();
    irq_off();
    if (debug_exit_present())
        out8(PORT_DEBUG_EXIT, PANIC_VALUE);
    triple_fault();
}

/* An exception without a gate, whose double fault has none either, shuts the processor down. */
void triple_fault(void)
{
    struct table_register none = {0, 0};
    lidt(&none);
    __asm__ volatile("ud2");
    halt();
}
