/*
 * simple.h: the devices with one idea each: the i8042's reset line, isa-debug-exit, the ACPI
 * power registers, and the POST port.  Each is a few registers and one effect.
 */
#ifndef KVMLENS_SIMPLE_H
#define KVMLENS_SIMPLE_H

#include "../device.h"

/* What these devices do to the machine. Called with the device lock held; they only ask. */
struct machine_requests {
    void (*reset)(void *opaque);
    void (*poweroff)(void *opaque);
    void (*debug_exit)(void *opaque, uint32_t value);
    void *opaque;
};

/* i8042 keyboard controller, with neither keyboard nor mouse: 5 ports from 0x60. Command 0xfe
 * pulses the reset line; command 0xd1 and a data byte with bit 0 clear does as well. */
struct i8042 {
    struct machine_requests requests;
    uint8_t command; /* waiting for its data byte, or 0 */
    uint8_t output;  /* the last byte put out; port 0x60 reads it */
    uint8_t outport; /* output port: bit 0 reset (low active), bit 1 A20 */
    uint8_t mode;    /* command byte */
    bool output_full;
    bool timed_out; /* output says that no device answered */
};
extern const struct device_ops i8042_ops;
void i8042_init(struct i8042 *dev, struct machine_requests requests);

/* isa-debug-exit (QEMU hw/misc/debugexit.c): any write ends the VMM, a read gives 0. Attach it
 * with whatever base and size it was given. */
struct debug_exit {
    struct machine_requests requests;
};
extern const struct device_ops debug_exit_ops;
void debug_exit_init(struct debug_exit *dev, struct machine_requests requests);

/* ACPI sleep and reset registers (include/power.h): 3 bytes of MMIO. */
struct power {
    struct machine_requests requests;
};
extern const struct device_ops power_ops;
void power_init(struct power *dev, struct machine_requests requests);

/* POST code port: one byte, which reads back as on a PC. It remarks on the guest kernel's milestones
 * (include/post_codes.h). */
struct post {
    struct device_remark remark;
    uint8_t code;
};
extern const struct device_ops post_ops;
void post_init(struct post *dev, struct device_remark remark);

#endif
