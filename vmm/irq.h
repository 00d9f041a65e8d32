/*
 * irq.h: an interrupt line as a device sees it: a wire with a number.
 *
 * A line stores no level.  The device derives the level from its registers and says so whenever
 * they change.
 */
#ifndef KVMLENS_IRQ_H
#define KVMLENS_IRQ_H

#include <stdbool.h>

struct irq_line {
    void (*set)(void *opaque, unsigned gsi, bool level); /* NULL: not connected */
    void *opaque;
    unsigned gsi; /* global system interrupt; ISA IRQ n is GSI n */
};

/* Drives the line to LEVEL. */
void irq_set(const struct irq_line *line, bool level);

#endif
