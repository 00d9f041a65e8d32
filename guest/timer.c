/*
 * timer.c: a tick of 100 Hz from the boot processor's local APIC timer (Intel SDM vol. 3A,
 * 10.5.4), whose clock is measured against the 8254 PIT's (Intel 8254 data sheet).
 */
#include "kernel.h"
#include "x86.h"

#include <ports.h>

#define PIT_HZ              1193182
#define PIT_MODE            3    /* register, from PORT_PIT */
#define PIT_ONCE            0x30 /* channel 0, low then high byte, mode 0: count down once */
#define PIT_READ_STATUS     0xe2 /* read-back command: status of channel 0 */
#define PIT_STATUS_DONE     0x80 /* the output is high: the count has passed 0 */
#define PIT_STATUS_NO_COUNT 0x40 /* no count has been loaded */

/* Where no PIT answers: KVM and QEMU run the timer at 1 GHz, here divided by 16. */
#define APIC_COUNT_USUAL (1000000000 / 16 / TIMER_HZ)
#define POLLS_MAX        200000
#define CALLS_A_TICK     20000 /* of timeout_passed() */

static struct {
    volatile uint64_t ticks;
} timer;

/* Timer counts in one tick, measured for a fifth of it. */
static uint32_t measure(void)
{
    uint16_t count = PIT_HZ / TIMER_HZ / 5;
    out8(PORT_PIT + PIT_MODE, PIT_ONCE);
    out8(PORT_PIT, (uint8_t)count);
    out8(PORT_PIT, (uint8_t)(count >> 8));
    apic_timer_start(UINT32_MAX);
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        out8(PORT_PIT + PIT_MODE, PIT_READ_STATUS);
        uint8_t status = in8(PORT_PIT);
        if (status & PIT_STATUS_NO_COUNT)
            break;
        if (status & PIT_STATUS_DONE)
            return 5 * (UINT32_MAX - apic_timer_left());
    }
    return APIC_COUNT_USUAL;
}

/* Whoever takes the processor away in the middle makes a measurement too long, or, between the start
 * of the one timer and the other, too short: of three, the one in the middle. */
void timer_init(void)
{
    uint32_t a = measure(), b = measure(), c = measure();
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    apic_timer_start(c < low ? low : c > high ? high : c);
}

void timer_interrupt(void)
{
    timer.ticks++;
}

uint64_t timer_ticks(void)
{
    return timer.ticks;
}

struct timeout timeout_start(uint64_t ticks)
{
    return (struct timeout){.start = timer.ticks, .ticks = ticks};
}

bool timeout_passed(struct timeout *timeout)
{
    if (apic_present())
        return timer.ticks - timeout->start >= timeout->ticks;
    return timeout->calls++ / CALLS_A_TICK >= timeout->ticks;
}

void wait_for_interrupt(void)
{
    if (apic_present())
        irq_on_and_halt();
    else
        pause();
}
