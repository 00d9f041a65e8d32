/*
 * simple.c: isa-debug-exit (QEMU hw/misc/debugexit.c), the ACPI sleep and reset registers
 * (include/power.h), and the POST code port.
 */
#include "simple.h"

#include <post_codes.h>
#include <power.h>
#include <stddef.h>

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset, (void)size;
    const struct debug_exit *dev = opaque;
    dev->requests.debug_exit(dev->requests.opaque, (uint32_t)value);
}

static const char *debug_exit_reg_name(const void *opaque, uint64_t offset, bool write)
{
    (void)opaque, (void)offset, (void)write;
    return "exit code";
}

const struct device_ops debug_exit_ops = {.name = "isa-debug-exit",
                                          .read = debug_exit_read,
                                          .write = debug_exit_write,
                                          .reg_name = debug_exit_reg_name};

void debug_exit_init(struct debug_exit *dev, struct machine_requests requests)
{
    *dev = (struct debug_exit){.requests = requests};
}

static uint64_t power_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return 0;
}

static void power_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size; /* 1: see power_ops.width */
    const struct power *dev = opaque;
    if (offset == POWER_SLEEP_CTL && (value & POWER_SLEEP_MASK) == POWER_SLEEP_S5) {
        dev->requests.poweroff(dev->requests.opaque);
    } else if (offset == POWER_RESET && value == POWER_RESET_VALUE) {
        dev->requests.reset(dev->requests.opaque);
    }
}

static const char *power_reg_name(const void *opaque, uint64_t offset, bool write)
{
    static const char *const names[] = {
        [POWER_SLEEP_CTL] = "sleep control",
        [POWER_SLEEP_STATUS] = "sleep status",
        [POWER_RESET] = "reset",
    };
    (void)opaque, (void)write;
    return offset < sizeof(names) / sizeof(names[0]) ? names[offset] : NULL;
}

const struct device_ops power_ops = {.name = "power",
                                     .width = 1,
                                     .read = power_read,
                                     .write = power_write,
                                     .reg_name = power_reg_name};

void power_init(struct power *dev, struct machine_requests requests)
{
    *dev = (struct power){.requests = requests};
}

static uint64_t post_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset, (void)size;
    const struct post *dev = opaque;
    return dev->code;
}

#define POST_NAME(symbol, code, name) [symbol] = name,

static void post_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    static const char *const names[] = {POST_MILESTONES(POST_NAME)};
    (void)offset, (void)size;
    struct post *dev = opaque;
    dev->code = (uint8_t)value;
    if (dev->remark.say && dev->code < sizeof(names) / sizeof(names[0]) && names[dev->code])
        dev->remark.say(dev->remark.opaque, post_ops.name, names[dev->code], 0, 0, 0);
}

static void post_reset(void *opaque)
{
    struct post *dev = opaque;
    dev->code = 0;
}

static const char *post_reg_name(const void *opaque, uint64_t offset, bool write)
{
    (void)opaque, (void)offset, (void)write;
    return "POST code";
}

const struct device_ops post_ops = {.name = "post",
                                    .width = 1,
                                    .read = post_read,
                                    .write = post_write,
                                    .reset = post_reset,
                                    .reg_name = post_reg_name};

void post_init(struct post *dev, struct device_remark remark)
{
    *dev = (struct post){.remark = remark};
}
