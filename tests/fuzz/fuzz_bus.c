/*
 * fuzz_bus.c: devices attached anywhere and accesses to anywhere, against a naive model of an
 * address space that computes in 128 bits.  The input is a list of operations.
 */
#include "bus.h"
#include "fuzz.h"

#include <errno.h>

typedef unsigned __int128 wide;

/* A device knows the one range it was attached with, and which bytes were read or written. */
struct device {
    uint64_t base, size;
    unsigned width;
    uint64_t touched_from, touched_to; /* offsets, since cleared */
    unsigned calls, resets;
    uint64_t written;
};

struct world {
    struct bus bus;
    struct device device[BUS_RANGES_MAX];
    unsigned devices;
    struct input in;
};

static uint8_t next(struct world *w)
{
    return input_byte(&w->in);
}

/* An address close to others, at either end of the address space or around 4 GiB. */
static uint64_t next_address(struct world *w)
{
    static const uint64_t from[] = {0, 0xffffff80, UINT64_MAX - 0xff, 0x100};
    uint8_t where = next(w);
    return from[where & 3] + next(w);
}

static uint64_t next_size(struct world *w)
{
    uint8_t size = next(w);
    return size < 0xf0 ? size % 40 : UINT64_MAX - (size - 0xf0u);
}

/* The byte that a device has at OFFSET. */
static uint8_t byte_at(const struct device *dev, uint64_t offset)
{
    return (uint8_t)(dev->base * 7 + offset * 13 + 1);
}

static void touch(struct device *dev, uint64_t offset, unsigned size)
{
    CHECK(size == 1 || size == 2 || size == 4 || size == 8);
    CHECK(dev->width == 0 || size <= dev->width);
    CHECK((wide)offset + size <= dev->size);
    CHECK(dev->calls == 0 || offset == dev->touched_to); /* part after part, upwards */
    if (dev->calls++ == 0) {
        dev->touched_from = offset;
    }
    dev->touched_to = offset + size;
}

static uint64_t on_read(void *opaque, uint64_t offset, unsigned size)
{
    struct device *dev = opaque;
    touch(dev, offset, size);
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) { /* more than was asked for */
        value |= (uint64_t)byte_at(dev, offset + i) << (8 * i);
    }
    return value;
}

static void on_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct device *dev = opaque;
    touch(dev, offset, size);
    CHECK(size == 8 || value >> (8 * size) == 0);
    dev->written |= value << (8 * (offset - dev->touched_from));
}

static void on_reset(void *opaque)
{
    struct device *dev = opaque;
    dev->resets++;
}

static const struct device_ops all_ops[] = {
    {.name = "any", .width = 0, .read = on_read, .write = on_write, .reset = on_reset},
    {.name = "byte", .width = 1, .read = on_read, .write = on_write, .reset = on_reset},
    {.name = "word", .width = 2, .read = on_read, .write = on_write, .reset = on_reset},
    {.name = "long", .width = 4, .read = on_read, .write = on_write, .reset = on_reset},
};

static struct device *model_find(struct world *w, uint64_t addr)
{
    for (unsigned i = 0; i < w->devices; i++) {
        struct device *dev = &w->device[i];
        if (addr >= dev->base && (wide)addr < (wide)dev->base + dev->size) {
            return dev;
        }
    }
    return NULL;
}

static int model_attach(const struct world *w, uint64_t base, uint64_t size)
{
    wide end = (wide)base + size;
    if (size == 0 || end > (wide)UINT64_MAX + 1) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < w->devices; i++) {
        const struct device *dev = &w->device[i];
        if ((wide)base < (wide)dev->base + dev->size && (wide)dev->base < end) {
            return -EEXIST;
        }
    }
    return w->devices == BUS_RANGES_MAX ? -ENOSPC : 0;
}

static void attach(struct world *w)
{
    uint64_t base = next_address(w), size = next_size(w);
    const struct device_ops *ops = &all_ops[next(w) & 3];
    int expected = model_attach(w, base, size);
    struct device *dev = expected ? NULL : &w->device[w->devices];
    CHECK(bus_attach(&w->bus, base, size, ops, dev) == expected);
    if (dev) {
        *dev = (struct device){.base = base, .size = size, .width = ops->width};
        w->devices++;
    }
    CHECK(w->bus.count == w->devices);
    for (unsigned i = 1; i < w->bus.count; i++) {
        CHECK(w->bus.range[i - 1].base < w->bus.range[i].base);
    }
}

static void find(struct world *w)
{
    uint64_t addr = next_address(w);
    const struct bus_range *range = bus_find(&w->bus, addr, 1);
    CHECK((range ? range->dev : NULL) == model_find(w, addr));
}

static void transfer(struct world *w, bool write)
{
    uint64_t addr = next_address(w);
    unsigned size = 1u << (next(w) & 3);
    uint64_t mask = size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
    struct device *dev = model_find(w, addr);
    if (dev && (wide)addr + size > (wide)dev->base + dev->size) {
        dev = NULL;
    }
    for (unsigned i = 0; i < w->devices; i++) {
        w->device[i].calls = 0;
        w->device[i].written = 0;
    }
    const struct bus_range *range = bus_find(&w->bus, addr, size);
    uint64_t value = 0x8877665544332211 * (next(w) | 1u);
    if (write) {
        bus_write(&w->bus, addr, size, value);
        CHECK(!dev || dev->written == (value & mask));
    } else {
        uint64_t expected = UINT64_MAX;
        for (unsigned i = 0; dev && i < size; i++) {
            uint64_t byte = byte_at(dev, addr - dev->base + i);
            expected &= ~((uint64_t)0xff << (8 * i)) | byte << (8 * i);
        }
        CHECK(bus_read(&w->bus, addr, size) == (expected & mask));
    }
    CHECK((range ? range->dev : NULL) == dev);
    for (unsigned i = 0; i < w->devices; i++) {
        CHECK(!w->device[i].calls == (&w->device[i] != dev)); /* this device and no other */
    }
    CHECK(!dev ||
          (dev->touched_from == addr - dev->base && dev->touched_to - dev->touched_from == size));
}

static void reset(struct world *w)
{
    bus_reset(&w->bus);
    for (unsigned i = 0; i < w->devices; i++) {
        CHECK(w->device[i].resets == 1);
        w->device[i].resets = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size}};
    while (w.in.left > 0) {
        switch (next(&w) % 8) {
        case 0:
        case 1:
            attach(&w);
            break;
        case 2:
            find(&w);
            break;
        case 3:
        case 4:
            transfer(&w, true);
            break;
        case 5:
        case 6:
            transfer(&w, false);
            break;
        default:
            reset(&w);
            break;
        }
    }
    return 0;
}
