/*
 * i8042.c: the PC's keyboard controller without a keyboard (IBM PC/AT Technical Reference,
 * "Keyboard controller").  Guests use it to reset the machine; those that look for a keyboard get
 * the answers of a working controller that nothing is plugged into, so that they need not wait.
 *
 * It has no interrupt lines: the guest polls the status register.  A20 is always open: what the
 * guest writes to the output port's bit 1 reads back and does nothing else.
 */
#include "simple.h"

#include <stddef.h>

#define DATA    0 /* offset of port 0x60 */
#define COMMAND 4 /* offset of port 0x64; it reads as the status register */

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM      0x04 /* as in the command byte: the self test has passed */
#define STATUS_UNLOCKED    0x10
#define STATUS_TIMEOUT     0x40

#define MODE_SYSTEM       0x04
#define MODE_NO_KEYBOARD  0x10
#define OUTPORT_RESET     0x01 /* low active */
#define OUTPORT_A20       0x02
#define INPORT            0x80 /* keyboard not locked */
#define REPLY_SELF_TEST   0x55
#define REPLY_LINE_GOOD   0x00
#define REPLY_LINE_BROKEN 0x01 /* clock line stuck low */
#define REPLY_RESEND      0xfe

static void put_out(struct i8042 *dev, uint8_t byte, bool timed_out)
{
    dev->output = byte;
    dev->output_full = true;
    dev->timed_out = timed_out;
}

static void request_reset(struct i8042 *dev)
{
    dev->requests.reset(dev->requests.opaque);
}

static void write_command(struct i8042 *dev, uint8_t command)
{
    dev->command = 0;
    switch (command) {
    case 0x20:
        put_out(dev, dev->mode, false);
        break;
    case 0x60: /* write the command byte */
    case 0xd1: /* write the output port */
    case 0xd2: /* write the output buffer, as if from the keyboard */
    case 0xd3: /* the same, as if from the mouse */
    case 0xd4: /* send to the mouse */
        dev->command = command;
        break;
    case 0xa9: /* test the mouse's lines: there is no such port */
        put_out(dev, REPLY_LINE_BROKEN, false);
        break;
    case 0xaa:
        dev->mode |= MODE_SYSTEM;
        put_out(dev, REPLY_SELF_TEST, false);
        break;
    case 0xab: /* test the keyboard's lines */
        put_out(dev, REPLY_LINE_GOOD, false);
        break;
    case 0xad:
        dev->mode |= MODE_NO_KEYBOARD;
        break;
    case 0xae:
        dev->mode &= (uint8_t)~MODE_NO_KEYBOARD;
        break;
    case 0xc0:
        put_out(dev, INPORT, false);
        break;
    case 0xd0:
        put_out(dev, dev->outport, false);
        break;
    case 0xdd: /* close A20 */
        dev->outport &= (uint8_t)~OUTPORT_A20;
        break;
    case 0xdf: /* open A20 */
        dev->outport |= OUTPORT_A20;
        break;
    default:
        /* 0xf0 up pulse the output port's lines whose bits are clear. */
        if (command >= 0xf0 && !(command & OUTPORT_RESET)) {
            request_reset(dev);
        }
        break;
    }
}

static void write_data(struct i8042 *dev, uint8_t byte)
{
    uint8_t command = dev->command;
    dev->command = 0;
    switch (command) {
    case 0x60:
        dev->mode = byte;
        break;
    case 0xd1:
        dev->outport = byte | OUTPORT_RESET; /* it is a pulse: nothing could raise it again */
        if (!(byte & OUTPORT_RESET)) {
            request_reset(dev);
        }
        break;
    case 0xd2:
    case 0xd3: /* without a mouse port the byte does not count as the mouse's */
        put_out(dev, byte, false);
        break;
    default: /* to the keyboard or the mouse: nobody answers */
        put_out(dev, REPLY_RESEND, true);
        break;
    }
}

static void i8042_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size; /* 1: see i8042_ops.width */
    if (offset == COMMAND) {
        write_command(opaque, (uint8_t)value);
    } else if (offset == DATA) {
        write_data(opaque, (uint8_t)value);
    }
}

static uint64_t i8042_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    struct i8042 *dev = opaque;
    switch (offset) {
    case DATA:
        dev->output_full = false;
        dev->timed_out = false;
        return dev->output;
    case COMMAND:
        return STATUS_UNLOCKED | (dev->output_full ? STATUS_OUTPUT_FULL : 0) |
               (dev->timed_out ? STATUS_TIMEOUT : 0) |
               (dev->mode & MODE_SYSTEM ? STATUS_SYSTEM : 0);
    default:
        return 0xff;
    }
}

static void i8042_reset(void *opaque)
{
    struct i8042 *dev = opaque;
    i8042_init(dev, dev->requests);
}

static const char *i8042_reg_name(const void *opaque, uint64_t offset, bool write)
{
    (void)opaque;
    if (offset == COMMAND) {
        return write ? "command" : "status";
    }
    return offset == DATA ? "data" : NULL;
}

const struct device_ops i8042_ops = {.name = "i8042",
                                     .width = 1,
                                     .read = i8042_read,
                                     .write = i8042_write,
                                     .reset = i8042_reset,
                                     .reg_name = i8042_reg_name};

/* The state in which firmware leaves it: tested, interrupts off. */
void i8042_init(struct i8042 *dev, struct machine_requests requests)
{
    *dev = (struct i8042){
        .requests = requests, .mode = MODE_SYSTEM, .outport = OUTPORT_RESET | OUTPORT_A20};
}
