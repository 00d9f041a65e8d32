/*
 * bus.h: an address space (I/O ports, or memory-mapped I/O) shared out among devices.
 */
#ifndef KVMLENS_BUS_H
#define KVMLENS_BUS_H

#include "device.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_RANGES_MAX 32

struct bus_range {
    uint64_t base; /* port, or GPA */
    uint64_t size; /* bytes, at least 1 */
    const struct device_ops *ops;
    void *dev; /* borrowed */
};

/* Ranges are sorted by base and never overlap. Zero-initialise. */
struct bus {
    struct bus_range range[BUS_RANGES_MAX];
    unsigned count;
};

/* Attaches a device. -EINVAL: empty, or it passes the end of the address space; -EEXIST: overlaps
 * another; -ENOSPC: the bus is full. */
int bus_attach(struct bus *bus, uint64_t base, uint64_t size, const struct device_ops *ops,
               void *dev);

/* The range that claims an access of SIZE bytes (at least 1) at ADDR: all of them lie in it. Or
 * NULL. */
const struct bus_range *bus_find(const struct bus *bus, uint64_t addr, unsigned size);

/* One access of SIZE bytes (1, 2, 4, 8), little-endian in VALUE. An access that no device claims
 * reads as all ones (of SIZE bytes) and writes nowhere. */
uint64_t bus_read(const struct bus *bus, uint64_t addr, unsigned size);
void bus_write(const struct bus *bus, uint64_t addr, unsigned size, uint64_t value);

/* Calls every device's reset, in order of address. A device attached at two ranges (the same
 * DEV and reset function) is reset once. */
void bus_reset(const struct bus *bus);

#endif
