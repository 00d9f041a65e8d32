/*
 * traps.c: exceptions and interrupts (Intel SDM vol. 3A, chapter 6).
 */
#include "kernel.h"
#include "virtio.h"
#include "x86.h"

#define GATE_INTERRUPT 0x8e /* present, ring 0, 64-bit interrupt gate */
#define VECTOR_NMI     2
#define VECTOR_DF      8

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "a 64-bit gate is 16 bytes");

static struct gate idt[VECTORS];

extern const uint8_t trap_stubs[];                  /* trap_entry.S, 16 bytes each */
extern const uint64_t fixups_start[], fixups_end[]; /* kernel.ld */
extern const uint8_t try_failed[];                  /* try.S */

void traps_init(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        uint64_t stub = (uint64_t)trap_stubs + 16ull * vector;
        uint8_t ist = 0;
        if (vector == VECTOR_DF)
            ist = IST_DOUBLE_FAULT;
        else if (vector == VECTOR_NMI)
            ist = IST_NMI;
        idt[vector] = (struct gate){.offset_low = (uint16_t)stub,
                                    .selector = SEL_CODE64,
                                    .ist = ist,
                                    .type = GATE_INTERRUPT,
                                    .offset_middle = (uint16_t)(stub >> 16),
                                    .offset_high = (uint32_t)(stub >> 32)};
    }
}

void traps_load(void)
{
    struct table_register table = {sizeof(idt) - 1, (uint64_t)idt};
    lidt(&table);
}

static bool recovered(struct trap_frame *trap)
{
    for (const uint64_t *fixup = fixups_start; fixup < fixups_end; fixup++) {
        if (*fixup == trap->rip) {
            trap->rip = (uint64_t)try_failed;
            return true;
        }
    }
    return false;
}

void trap(struct trap_frame *trap)
{
    switch (trap->vector) {
    case VECTOR_TIMER:
        timer_interrupt();
        break;
    case VECTOR_SERIAL:
        serial_interrupt();
        break;
    case VECTOR_REPORT:
        smp_interrupt();
        break;
    case VECTOR_SPURIOUS:
        return; /* not in service: it gets no end of interrupt */
    default:
        if (trap->vector >= VECTOR_VIRTIO && trap->vector < VECTORS) {
            virtio_interrupt((unsigned)trap->vector - VECTOR_VIRTIO);
            break;
        }
        if (!recovered(trap))
            panic_trap(trap);
        return;
    }
    apic_end_of_interrupt();
}
