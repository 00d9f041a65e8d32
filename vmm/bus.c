/*
 * bus.c: an address space shared out among devices (see bus.h).
 */
#include "bus.h"

#include <errno.h>
#include <string.h>

/* How many ranges start at or below ADDR. */
static unsigned starting_up_to(const struct bus *bus, uint64_t addr)
{
    unsigned low = 0, high = bus->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bus->range[middle].base <= addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int bus_attach(struct bus *bus, uint64_t base, uint64_t size, const struct device_ops *ops,
               void *dev)
{
    if (size == 0 || size - 1 > UINT64_MAX - base) {
        return -EINVAL;
    }
    unsigned at = starting_up_to(bus, base);
    if (bus_find(bus, base, 1) || (at < bus->count && bus->range[at].base - base < size)) {
        return -EEXIST;
    }
    if (bus->count == BUS_RANGES_MAX) {
        return -ENOSPC;
    }
    memmove(&bus->range[at + 1], &bus->range[at], (bus->count - at) * sizeof(bus->range[0]));
    bus->range[at] = (struct bus_range){.base = base, .size = size, .ops = ops, .dev = dev};
    bus->count++;
    return 0;
}

const struct bus_range *bus_find(const struct bus *bus, uint64_t addr, unsigned size)
{
    unsigned after = starting_up_to(bus, addr);
    if (after == 0) {
        return NULL;
    }
    const struct bus_range *range = &bus->range[after - 1];
    uint64_t offset = addr - range->base;
    return offset < range->size && size <= range->size - offset ? range : NULL;
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size < 8 ? value & ((UINT64_C(1) << (8 * size)) - 1) : value;
}

/* The size of the accesses that an access of SIZE bytes is made of. */
static unsigned step_of(const struct bus_range *range, unsigned size)
{
    unsigned width = range->ops->width;
    return width && width < size ? width : size;
}

uint64_t bus_read(const struct bus *bus, uint64_t addr, unsigned size)
{
    const struct bus_range *range = bus_find(bus, addr, size);
    if (!range) {
        return low_bytes(UINT64_MAX, size);
    }
    unsigned step = step_of(range, size);
    uint64_t value = 0;
    for (unsigned done = 0; done < size; done += step) {
        uint64_t part = range->ops->read(range->dev, addr - range->base + done, step);
        value |= low_bytes(part, step) << (8 * done);
    }
    return value;
}

void bus_write(const struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
    const struct bus_range *range = bus_find(bus, addr, size);
    if (!range) {
        return;
    }
    unsigned step = step_of(range, size);
    for (unsigned done = 0; done < size; done += step) {
        range->ops->write(range->dev, addr - range->base + done, step,
                          low_bytes(value >> (8 * done), step));
    }
}

void bus_reset(const struct bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        const struct bus_range *range = &bus->range[i];
        bool again = false;
        for (unsigned j = 0; j < i; j++) {
            again |=
                bus->range[j].dev == range->dev && bus->range[j].ops->reset == range->ops->reset;
        }
        if (range->ops->reset && !again) {
            range->ops->reset(range->dev);
        }
    }
}
