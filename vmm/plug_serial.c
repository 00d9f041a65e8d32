/*
 * plug_serial.c: a console device (virtio-serial-device) with its ports, each connected to a
 * character device of the host's.
 */
#include "plug.h"

#include "host/chardev.h"
#include "virtio/console.h"

#include <stdlib.h>

/* One port and its far end. */
struct wire {
    struct console *console;
    unsigned nr;
    struct chardev *chardev;
};

struct serial_plug {
    struct console console;
    struct wire wire[CONSOLE_PORTS_MAX];
    unsigned wires;
};

_Static_assert(CONSOLE_PORTS_MAX <= CONSOLE_PORTS, "the device has a place for each port");

/* --- from the device to the chardev ------------------------------------------------------------- */

static size_t write_out(void *opaque, const void *bytes, size_t count)
{
    struct wire *wire = opaque;

    return chardev_write(wire->chardev, bytes, count);
}

static void accept_input(void *opaque)
{
    struct wire *wire = opaque;

    chardev_accept_input(wire->chardev);
}

/* --- from the chardev to the device ------------------------------------------------------------- */

static unsigned room(void *opaque)
{
    struct wire *wire = opaque;

    return console_room(wire->console, wire->nr);
}

static void receive(void *opaque, const uint8_t *bytes, unsigned count)
{
    struct wire *wire = opaque;

    console_receive(wire->console, wire->nr, bytes, count);
}

static void writable(void *opaque)
{
    struct wire *wire = opaque;

    console_writable(wire->console, wire->nr);
}

static void opened(void *opaque, bool open)
{
    struct wire *wire = opaque;

    console_host_open(wire->console, wire->nr, open);
}

static void resized(void *opaque)
{
    struct wire *wire = opaque;
    uint16_t cols, rows;

    if (chardev_window_size(wire->chardev, &cols, &rows))
        console_resize(wire->console, wire->nr, cols, rows);
}

/* --- plugging in and out ------------------------------------------------------------------------ */

static void connect_wire(struct wire *wire, const struct console_port_option *port)
{
    console_add_port(wire->console, wire->nr, port->console, port->name,
                     (struct console_backend){write_out, accept_input, wire});
    console_host_open(wire->console, wire->nr, wire->chardev->open);
    if (port->console)
        resized(wire);
    chardev_connect(wire->chardev, &(struct chardev_peer){
                                       .room = room,
                                       .receive = receive,
                                       .writable = writable,
                                       .opened = opened,
                                       .resized = port->console ? resized : NULL,
                                       .opaque = wire,
                                   });
}

static void unplug_serial(struct plugged *plugged)
{
    struct serial_plug *plug = plugged->opaque;

    for (unsigned i = 0; i < plug->wires; i++)
        chardev_connect(plug->wire[i].chardev, NULL);
    free(plug);
}

int plug_serial(struct plugged *out, const struct plug_site *site,
                const struct virtio_option *option, struct error *err)
{
    const struct serial_bus_option *bus = &option->serial;
    struct serial_plug *plug = calloc(1, sizeof *plug);
    bool sized = false;
    uint16_t cols, rows;

    if (!plug)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    for (unsigned i = 0; i < bus->port_count; i++)
        sized = sized ||
                (bus->port[i].console &&
                 chardev_window_size(site->backends->chardev[bus->port[i].chardev], &cols, &rows));
    console_init(&plug->console, option->name, site->mem, site->remark, bus->max_ports, sized);
    for (unsigned i = 0; i < bus->port_count; i++) {
        struct wire *wire = &plug->wire[plug->wires++];

        *wire = (struct wire){
            .console = &plug->console,
            .nr = bus->port[i].nr,
            .chardev = site->backends->chardev[bus->port[i].chardev],
        };
        connect_wire(wire, &bus->port[i]);
    }
    *out = (struct plugged){&plug->console.virtio, unplug_serial, plug};
    return 0;
}
