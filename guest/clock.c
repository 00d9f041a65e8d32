/*
 * clock.c: the time since the kernel began, finer than a tick: from the time-stamp counter (Intel
 * SDM vol. 3B, 17.17), whose rate is measured against the ticks.
 */
#include "kernel.h"
#include "x86.h"

#define MEASURE_TICKS 2
#define USUAL_MHZ     2000 /* where nothing ticks: then times are rough */

static struct {
    uint64_t cycles_per_us;
} clock;

static void measure(void)
{
    clock.cycles_per_us = USUAL_MHZ;
    if (!apic_present())
        return;
    uint64_t tick = timer_ticks();
    while (timer_ticks() == tick)
        pause();
    uint64_t start = rdtsc();
    while (timer_ticks() - tick <= MEASURE_TICKS)
        pause();
    clock.cycles_per_us = (rdtsc() - start) / (MEASURE_TICKS * (1000000 / TIMER_HZ));
    if (clock.cycles_per_us == 0)
        clock.cycles_per_us = 1;
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
