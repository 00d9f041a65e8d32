/*
 * board.h: the devices of the machine, each at its address and with its interrupt, and what they do
 * to the world.  board.c is the only file that knows every device.
 */
#ifndef KVMLENS_BOARD_H
#define KVMLENS_BOARD_H

#include "boot/fdt.h"
#include "dev/rtc.h"
#include "dev/serial.h"
#include "dev/simple.h"
#include "machine.h"
#include "slots.h"

#include <memmap.h>

#define BOARD_DEVICES_MAX 8 /* beside the virtio devices */

/* A device and its place: the bus is attached from it, and the device tree is made from it. */
struct board_device {
    struct fdt_device fdt;
    const struct device_ops *ops;
    void *dev;
};

struct board {
    const struct machine_config *config;
    struct chardev *console; /* the other end of the serial line, if there is one */
    struct vm *vm;

    struct serial serial;
    struct rtc rtc;
    struct i8042 i8042;
    struct debug_exit debug_exit;
    struct power power;
    struct post post;
    struct board_device placed[BOARD_DEVICES_MAX];
    unsigned placed_count;
    struct virtio_slots slots;

    struct loop_timer serial_timer, rtc_timer;
};

/* Every device that the options ask for, but virtio's, in its power-on state. CONFIG and VM are
 * borrowed; all they have to hold for board_fdt() alone is the options and images. */
void board_init(struct board *board, const struct machine_config *config, struct vm *vm);

/* Attaches the devices to the VM's buses, and makes and attaches those of virtio. -1 with *err. */
int board_attach(struct board *board, struct error *err);

/* The device tree, into BLOB of BOOT_FDT_MAX bytes. Its size in bytes, or -errno. */
int board_fdt(const struct board *board, void *blob);

/* The kernel's command line: -append, and where the virtio devices are. -1 with *err (STATUS_USAGE)
 * if it does not fit. */
int board_cmdline(char text[BOOT_CMDLINE_MAX], const struct options *options, struct error *err);

/* Connects the devices to the host's side, before the guest runs. -1 with *err. */
int board_connect(struct board *board, struct error *err);

/* The guest has been stopped: its last words go out. */
void board_drain(struct board *board);

/* Takes the devices away from the host's side, which may be closed then; no vCPU runs any more. Takes
 * a board in any state. */
void board_disconnect(struct board *board);

#endif
