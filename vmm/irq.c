/*
 * irq.c: an interrupt line as a device sees it (see irq.h).
 */
#include "irq.h"

#include <stddef.h>

void irq_set(const struct irq_line *line, bool level)
{
    if (line->set) {
        line->set(line->opaque, line->gsi, level);
    }
}
