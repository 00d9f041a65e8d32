/*
 * smp.c: the other processors (Intel SDM vol. 3A, 9.4.4: INIT, then a start-up interrupt that names
 * the page to start at).  They run ap_main() and then answer interrupts from a halt.
 */
#include "kernel.h"
#include "x86.h"

#include <memmap.h>

#define PATIENCE_TICKS TIMER_HZ /* for a processor to come up, or to answer: 1 s */

static _Noreturn void ap_main(struct cpu *cpu)
{
    cpu_load(cpu);
    apic_init();
    __atomic_store_n(&cpu->up, 1, __ATOMIC_RELEASE);
    for (;;)
        irq_on_and_halt();
}

/* Waits until *VALUE is no longer OLD. */
static bool wait_for(const uint32_t *value, uint32_t old, uint64_t ticks)
{
    uint64_t start = timer_ticks();
    while (__atomic_load_n(value, __ATOMIC_ACQUIRE) == old) {
        if (timer_ticks() - start > ticks)
            return false;
        pause();
    }
    return true;
}

static bool start(struct cpu *cpu)
{
    memcpy((void *)BOOT_AP_GPA, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    boot_stack = (uint64_t)stack_top(cpu->index, 0);
    boot_entry = (uint64_t)ap_main;
    boot_argument = (uint64_t)cpu;
    uint32_t startup = APIC_STARTUP | BOOT_AP_GPA / PAGE_SIZE;

    apic_send(cpu->apic_id, APIC_INIT);
    uint64_t begin = timer_ticks();
    while (timer_ticks() - begin < 2) /* at least 10 ms */
        wait_for_interrupt();
    apic_send(cpu->apic_id, startup);
    if (wait_for(&cpu->up, 0, 1))
        return true;
    apic_send(cpu->apic_id, startup); /* the first one may be lost; a second does no harm */
    return wait_for(&cpu->up, 0, PATIENCE_TICKS);
}

unsigned smp_start(void)
{
    unsigned count = 1, cpus = apic_present() ? machine_cpus() : 1;
    for (; count < cpus; count++) {
        struct cpu *cpu = cpu_get(count);
        /* One that is late would run on the stack of the next: so no next one is started. */
        if (cpu ? !cpu->up : !start(cpu_make(count, count)))
            break;
    }
    return count;
}

/* Asks CPU for a sign of life. */
bool smp_report(struct cpu *cpu)
{
    uint32_t before = __atomic_load_n(&cpu->reports, __ATOMIC_ACQUIRE);
    apic_send(cpu->apic_id, APIC_FIXED | VECTOR_REPORT);
    return wait_for(&cpu->reports, before, PATIENCE_TICKS);
}

void smp_interrupt(void)
{
    __atomic_fetch_add(&cpu_this()->reports, 1, __ATOMIC_RELEASE);
}
