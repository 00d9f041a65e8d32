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

#define DEVICE_PROPERTIES_MAX 96 /* of one kind, with those of all kinds */

enum device_sort { DEVICE_DEBUG_EXIT, DEVICE_VIRTIO, DEVICE_CONSOLE_PORT };

/* What a device refers to by name: drive=, netdev=, chardev=, rng=. */
struct device_refs {
    const char *typed; /* for messages: "-device virtio-blk-device", "-hda" */
    const char *id, *bus;
    const char *drive, *netdev, *chardev, *rng;
};

/* A device kind of -device: its name ("virtio-blk-device"), its properties (beside id=, bus= and
 * those that all virtio devices have), and what is checked once all options are known. */
struct device_kind {
    const char *name;
    const char *help; /* for -device help */
    enum device_sort sort;
    const struct property *properties; /* they set fields of *parser->device (of ports:
                                          *parser->port) and *parser->refs */

    /* DEVICE_VIRTIO */
    enum virtio_kind kind;
    void (*defaults)(struct virtio_option *device); /* for properties not given; NULL: all 0 */
    /* Looks up what DEVICE refers to, and checks it. -1 with an error that begins with
     * refs->typed. NULL: it refers to nothing. */
    int (*connect)(struct option_parser *parser, struct virtio_option *device,
                   const struct device_refs *refs);

    /* DEVICE_CONSOLE_PORT */
    bool console; /* virtconsole */
    int (*connect_port)(struct option_parser *parser, struct console_port_option *port,
                        const struct device_refs *refs); /* parser->device is its bus */
};

extern const struct device_kind device_kinds[]; /* ends with a NULL name */
extern const struct property virtio_properties[], console_port_base_properties[]; /* of each kind */

/* The kind called NAME, or NULL. */
const struct device_kind *device_find_kind(const char *name);

/* Adds a virtio device with its defaults, as -device does and as shorthands that bring a device
 * along do: *parser->device, *parser->refs. NULL with an error if there are too many. */
struct virtio_option *device_add(struct option_parser *parser, const struct device_kind *kind);

/* Once all options are known: gives each device its slot and calls its connect function, in order;
 * option_error() names the device then. -1 with an error. */
int connect_devices(struct option_parser *parser);

/* A virtio device or a port, until its names are looked up. */
struct pending_device {
    const struct device_kind *kind;
    char typed[48]; /* what refs.typed may point to */
    struct device_refs refs;
    struct virtio_option *device; /* of a port: its bus */
    struct console_port_option *port;
};

#define PENDING_DEVICES_MAX (VIRTIO_DEVICES_MAX * (1 + CONSOLE_PORTS_MAX))
struct pending_devices {
    struct pending_device device[PENDING_DEVICES_MAX];
    unsigned count;
};

/* Properties of each kind (options_blk.c, options_net.c, options_chardev.c, options_rng.c). */
extern const struct property blk_properties[], net_properties[], serial_bus_properties[],
    console_port_properties[], rng_properties[], balloon_properties[];

/* An object kind of -object. */
struct object_kind {
    const char *name;
    const char *help; /* for -object help */
    const struct property *properties;
    /* Parses PROPERTIES (NULL: there are none) and adds the object. */
    int (*parse)(struct option_parser *parser, char *properties);
};

extern const struct object_kind object_kinds[]; /* ends with a NULL name */
extern const struct property dump_properties[], rng_random_properties[], rng_builtin_properties[];

/* The kind called NAME, or NULL. */
const struct object_kind *object_find_kind(const char *name);
int object_dump(struct option_parser *parser, char *properties);
int object_rng_random(struct option_parser *parser, char *properties);
int object_rng_builtin(struct option_parser *parser, char *properties);

/* What the table of kinds refers to (struct device_kind). */
void net_defaults(struct virtio_option *device);
void serial_bus_defaults(struct virtio_option *device);
void rng_defaults(struct virtio_option *device);
int connect_balloon(struct option_parser *parser, struct virtio_option *device,
                    const struct device_refs *refs);
int set_net_mac(struct option_parser *parser, const char *value); /* mac= of device and -nic */
int connect_blk(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_net(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_rng(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs);
int connect_console_port(struct option_parser *parser, struct console_port_option *port,
                         const struct device_refs *refs);

/* The index of the network called ID, or -1. */
int find_netdev(const struct device_options *all, const char *id);

/* Once all options are known: looks up the networks of the dumps. -1 with an error. */
int connect_dumps(struct option_parser *parser);

/* Once all options are known: the far end of the serial port (by default the terminal). -1 with an
 * error. */
int connect_serial(struct option_parser *parser);

/* The chardev called ID, for one device: its index, or -1 with an error that begins with TYPED. */
int take_chardev(struct option_parser *parser, const char *typed, const char *id);

#endif
