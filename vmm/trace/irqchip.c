/*
 * irqchip.c: registers of the in-kernel interrupt controllers and timer (see irqchip.h; Intel 8259A,
 * 8254 and 82093AA data sheets; Intel SDM volume 3, table 11-1).
 */
#include "irqchip.h"

#include <memmap.h>
#include <ports.h>
#include <stddef.h>

struct named {
    uint64_t from, to; /* both belong to it */
    const char *device, *reg;
};

static const struct named port[] = {
    {PORT_PIC_MASTER, PORT_PIC_MASTER, "PIC", "master command"},
    {PORT_PIC_MASTER + 1, PORT_PIC_MASTER + 1, "PIC", "master data"},
    {PORT_PIC_SLAVE, PORT_PIC_SLAVE, "PIC", "slave command"},
    {PORT_PIC_SLAVE + 1, PORT_PIC_SLAVE + 1, "PIC", "slave data"},
    {PORT_ELCR, PORT_ELCR + 1, "PIC", "ELCR"},
    {PORT_PIT, PORT_PIT + 2, "PIT", "channel"},
    {PORT_PIT + 3, PORT_PIT + 3, "PIT", "mode"},
    {PORT_PIT_GATE, PORT_PIT_GATE, "PIT", "gate"},
};

#define IOAPIC(offset, name)                                                                       \
    {                                                                                              \
        IOAPIC_GPA + (offset), IOAPIC_GPA + (offset) + 3, "IOAPIC", name                           \
    }
#define LAPIC(first, last, name)                                                                   \
    {                                                                                              \
        LAPIC_GPA + (first), LAPIC_GPA + (last) + 15, "LAPIC", name                                \
    }

static const struct named memory[] = {
    IOAPIC(0x00, "IOREGSEL"),
    IOAPIC(0x10, "IOWIN"),
    LAPIC(0x20, 0x20, "ID"),
    LAPIC(0x30, 0x30, "version"),
    LAPIC(0x80, 0x80, "TPR"),
    LAPIC(0x90, 0x90, "APR"),
    LAPIC(0xa0, 0xa0, "PPR"),
    LAPIC(0xb0, 0xb0, "EOI"),
    LAPIC(0xd0, 0xd0, "LDR"),
    LAPIC(0xe0, 0xe0, "DFR"),
    LAPIC(0xf0, 0xf0, "SVR"),
    LAPIC(0x100, 0x170, "ISR"),
    LAPIC(0x180, 0x1f0, "TMR"),
    LAPIC(0x200, 0x270, "IRR"),
    LAPIC(0x280, 0x280, "ESR"),
    LAPIC(0x300, 0x310, "ICR"),
    LAPIC(0x320, 0x320, "LVT timer"),
    LAPIC(0x330, 0x330, "LVT thermal"),
    LAPIC(0x340, 0x340, "LVT counters"),
    LAPIC(0x350, 0x360, "LVT LINT"),
    LAPIC(0x370, 0x370, "LVT error"),
    LAPIC(0x380, 0x380, "timer initial count"),
    LAPIC(0x390, 0x390, "timer current count"),
    LAPIC(0x3e0, 0x3e0, "timer divide"),
    {IOAPIC_GPA, IOAPIC_GPA + IOAPIC_SIZE - 1, "IOAPIC", NULL},
    {LAPIC_GPA, LAPIC_GPA + LAPIC_SIZE - 1, "LAPIC", NULL},
};

void irqchip_name(enum vm_exit_kind kind, uint64_t addr, const char **device, const char **reg)
{
    const struct named *named = kind == VM_EXIT_PIO ? port : memory;
    size_t count =
        kind == VM_EXIT_PIO ? sizeof(port) / sizeof(port[0]) : sizeof(memory) / sizeof(memory[0]);

    *device = *reg = NULL;
    for (size_t i = 0; i < count; i++) {
        if (addr >= named[i].from && addr <= named[i].to) {
            *device = named[i].device;
            *reg = named[i].reg;
            return;
        }
    }
}
