/*
 * clock.c: the time since the kernel began, finer than a tick: from the time-stamp counter (Intel
 * SDM vol. 3B, 17.17), whose rate is measured against the ticks.
 */
#include "kernel.h"
#include "x86.h"

#define TICKS_MEASURED 5
#define USUAL_MHZ      2000 /* where nothing ticks: then times are rough */

static struct {
    uint64_t cycles_per_us;
} clock;

/* The middle one of some ticks: on a busy host one comes late, and the next soon after it. */
static void measure(void)
{
    uint64_t took[TICKS_MEASURED];
    clock.cycles_per_us = USUAL_MHZ;
    if (!apic_present())
        return;
    uint64_t tick = timer_ticks(), last = 0;
    for (unsigned i = 0; i <= TICKS_MEASURED; i++) {
        while (timer_ticks() == tick)
            pause();
        uint64_t now = rdtsc(), at = i;
        tick = timer_ticks();
        for (; i > 0 && at > 1 && took[at - 2] > now - last; at--) /* sorted in */
            took[at - 1] = took[at - 2];
        if (i > 0)
            took[at - 1] = now - last;
        last = now;
    }
    clock.cycles_per_us = took[TICKS_MEASURED / 2] / (1000000 / TIMER_HZ) + 1; /* never 0 */
}

uint64_t clock_us(void)
{
    if (!clock.cycles_per_us)
        measure();
    return rdtsc() / clock.cycles_per_us;
}

uint64_t clock_ms(void)
{
    return apic_present() ? timer_ticks() * (1000 / TIMER_HZ) : clock_us() / 1000;
}
