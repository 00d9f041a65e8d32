/*
 * device.h: what a device is to the bus that it sits on.
 *
 * A device sees offsets into its range, never addresses; it knows neither KVM, nor threads, nor
 * files.  What it needs of the world it is handed when made: an IRQ line, a clock, a timer, a
 * backend.  All calls are made with the device lock held.
 */
#ifndef KVMLENS_DEVICE_H
#define KVMLENS_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device_ops {
    const char *name; /* as the trace shows it: "serial", "rtc" */

    /* The name of this very device ("virtio-blk0"), which outlives the trace; NULL: NAME tells. */
    const char *(*instance)(const void *dev);

    /* The widest access the device takes, in bytes; 0: any. The bus splits a wider one into parts
     * of this size from the lowest offset up, as a PC's bus does for an 8-bit card. */
    unsigned width;

    /* SIZE is 1, 2, 4 or 8 bytes; offset + size lies within the range the device was attached
     * with. An unknown register reads as all ones, and a write to it is ignored. */
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
    void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);

    void (*reset)(void *dev); /* to the power-on state; may be NULL */

    /* The name of the register that an access would reach now ("THR", "DLL"); a static string, or
     * NULL for a register that does not exist. No side effect. May be NULL. */
    const char *(*reg_name)(const void *dev, uint64_t offset, bool write);
};

/* What a device says of its work, for the trace: TEXT is static, a printf format for up to three
 * unsigned long long ("read sector %llu, %llu bytes"). say may be NULL: nobody listens. */
struct device_remark {
    void (*say)(void *opaque, const char *device, const char *text, uint64_t a, uint64_t b,
                uint64_t c);
    void *opaque;
};

/* A clock handed to a device. Nanoseconds, monotonic. */
struct device_clock {
    uint64_t (*now)(void *opaque);
    void *opaque;
};

/* A one-shot timer handed to a device: its callback runs with the device lock held, on whatever
 * thread, no earlier than DEADLINE of the device's clock (ns); a new call replaces the old
 * deadline, 0 disarms. */
struct device_timer {
    void (*arm)(void *opaque, uint64_t deadline);
    void *opaque;
};

#endif
