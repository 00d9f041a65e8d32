/*
 * options_backends.h: parsing -drive, -netdev, -chardev, -object and the virtio devices: what the
 * options_*.c of the devices share, beside options_internal.h.
 *
 * A device may name a half that comes later on the command line, so names are looked up at the end:
 * options_connect() calls each kind's function once all options are known.
 */
#ifndef KVMLENS_OPTIONS_BACKENDS_H
#define KVMLENS_OPTIONS_BACKENDS_H

#include "options_internal.h"

/* A device kind of -device: its name ("virtio-blk-device"), its properties, and what is checked once
 * all options are known. */
struct device_kind {
    const char *name;
    const char *help; /* for -device help */
    const struct property *properties;
    enum virtio_kind kind; /* the properties set fields of *parser->device and *parser->refs */
};

/* Properties of each kind (options_blk.c, options_net.c, options_chardev.c, options_rng.c). They
 * set fields of *parser->device (of console ports: *parser->port) and *parser->refs. */
extern const struct property blk_properties[], net_properties[], serial_bus_properties[],
    console_port_properties[], rng_properties[], balloon_properties[];

/* Looks up what DEVICE refers to by name (REFS: drive=, netdev=, chardev=, rng=), checks it, and
 * fills in the defaults. -1 with an error that names the device. */
struct device_refs {
    const char *typed; /* "-device virtio-blk-device" */
    const char *drive, *netdev, *chardev, *rng;
};
int connect_blk(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_net(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_rng(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_console_port(struct option_parser *parser, struct console_port_option *port,
                         const struct device_refs *refs);

/* Once all options are known: the far end of the serial port (by default the terminal). -1 with an
 * error. */
int connect_serial(struct option_parser *parser);

/* The chardev called ID, for one device: its index, or -1 with an error that begins with TYPED. */
int take_chardev(struct option_parser *parser, const char *typed, const char *id);

#endif
