/*
 * apic.c: the local APIC of each processor (Intel SDM vol. 3A, chapter 10) and the I/O APIC
 * (82093AA data sheet).  The 8259A pair is masked: the I/O APIC stands in for it.
 */
#include "kernel.h"
#include "x86.h"

#include <memmap.h>
#include <ports.h>

#define CPUID_1_EDX_APIC (1u << 9)

#define APIC_REG_ID            0x20
#define APIC_REG_VERSION       0x30
#define APIC_REG_EOI           0xb0
#define APIC_REG_SPURIOUS      0xf0
#define APIC_REG_COMMAND       0x300
#define APIC_REG_COMMAND_HIGH  0x310
#define APIC_REG_TIMER         0x320
#define APIC_REG_TIMER_COUNT   0x380
#define APIC_REG_TIMER_LEFT    0x390
#define APIC_REG_TIMER_DIVIDER 0x3e0

#define APIC_ENABLE         0x100
#define APIC_TIMER_PERIODIC 0x20000
#define APIC_DIVIDE_BY_16   3
#define APIC_PENDING        0x1000

#define IOAPIC_SELECT      0x00
#define IOAPIC_DATA        0x10
#define IOAPIC_VERSION     0x01
#define IOAPIC_REDIRECTION 0x10 /* two registers a pin */

static struct {
    bool present;
} apic;

static uint32_t apic_read(unsigned reg)
{
    return *(volatile uint32_t *)(LAPIC_GPA + (uint64_t)reg);
}

static void apic_write(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(LAPIC_GPA + (uint64_t)reg) = value;
}

bool apic_init(void)
{
    if (!(cpuid(1, 0).edx & CPUID_1_EDX_APIC))
        return false;
    map_device(LAPIC_GPA);
    map_device(IOAPIC_GPA);
    if (apic_read(APIC_REG_VERSION) == UINT32_MAX)
        return false;
    out8(PORT_PIC_MASTER + 1, 0xff);
    out8(PORT_PIC_SLAVE + 1, 0xff);
    apic_write(APIC_REG_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
    apic.present = true;
    return true;
}

bool apic_present(void)
{
    return apic.present;
}

uint32_t apic_id(void)
{
    return apic_read(APIC_REG_ID) >> 24;
}

void apic_end_of_interrupt(void)
{
    apic_write(APIC_REG_EOI, 0);
}

void apic_send(uint32_t id, uint32_t command)
{
    apic_write(APIC_REG_COMMAND_HIGH, id << 24);
    apic_write(APIC_REG_COMMAND, command);
    while (apic_read(APIC_REG_COMMAND) & APIC_PENDING)
        pause();
}

void apic_timer_start(uint32_t count)
{
    apic_write(APIC_REG_TIMER_DIVIDER, APIC_DIVIDE_BY_16);
    apic_write(APIC_REG_TIMER, APIC_TIMER_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_REG_TIMER_COUNT, count);
}

uint32_t apic_timer_left(void)
{
    return apic_read(APIC_REG_TIMER_LEFT);
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(uint64_t)(IOAPIC_GPA + IOAPIC_SELECT) = reg;
    *(volatile uint32_t *)(uint64_t)(IOAPIC_GPA + IOAPIC_DATA) = value;
}

unsigned ioapic_pins(void)
{
    *(volatile uint32_t *)(uint64_t)(IOAPIC_GPA + IOAPIC_SELECT) = IOAPIC_VERSION;
    return (*(volatile uint32_t *)(uint64_t)(IOAPIC_GPA + IOAPIC_DATA) >> 16 & 0xff) + 1;
}

void ioapic_route(unsigned pin, uint8_t vector)
{
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin + 1, apic_id() << 24);
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin, vector);
}
