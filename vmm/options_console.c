/*
 * options_console.c: the console device and its ports (-device virtio-serial-device, virtconsole,
 * virtserialport).
 * Source: QEMU hw/char/virtio-serial-bus.c and virtio-console.c.
 */
#include "options_backends.h"

#include "suggest.h"

#include <string.h>

static int set_max_ports(struct option_parser *parser, const char *value)
{
    uint64_t ports;

    if (parse_number(parser, "max_ports", value, 1, CONSOLE_PORTS_MAX, &ports) < 0)
        return -1;
    parser->device->serial.max_ports = (unsigned)ports;
    return 0;
}

const struct property serial_bus_properties[] = {
    {"max_ports", "N", "How many ports it can have (default: 8).", set_max_ports},
    {"emergency-write", "on", NULL, NULL},
    {0},
};

void serial_bus_defaults(struct virtio_option *device)
{
    device->serial.max_ports = CONSOLE_PORTS_MAX;
}

static int set_chardev(struct option_parser *parser, const char *value)
{
    parser->refs->chardev = value;
    return 0;
}

static int set_name(struct option_parser *parser, const char *value)
{
    parser->port->name = value;
    return *value ? 0 : option_error(parser, "the name is empty");
}

static int set_nr(struct option_parser *parser, const char *value)
{
    uint64_t nr;

    if (parse_number(parser, "nr", value, 0, CONSOLE_PORTS_MAX - 1, &nr) < 0)
        return -1;
    parser->port->nr = (unsigned)nr;
    parser->port->nr_given = true;
    return 0;
}

const struct property console_port_properties[] = {
    {"chardev", "ID", "The -chardev at its far end.", set_chardev},
    {"name", "NAME", "What programs in the guest find it by (org.qemu.guest_agent.0).", set_name},
    {"nr", "N", "Its number (default: the first that is free).", set_nr},
    {0},
};

static const struct console_port_option *find_port(const struct serial_bus_option *bus,
                                                   const struct console_port_option *before,
                                                   unsigned nr)
{
    for (const struct console_port_option *p = bus->port; p < before; p++)
        if (p->nr == nr)
            return p;
    return NULL;
}

/* As in QEMU, the first console is port 0, and no other kind of port is. */
static int number_port(struct option_parser *parser, const struct serial_bus_option *bus,
                       struct console_port_option *port)
{
    if (!port->nr_given)
        for (port->nr = port->console ? 0 : 1; find_port(bus, port, port->nr);)
            port->nr++;
    if (port->nr >= bus->max_ports && port->nr_given)
        return option_error(parser, "nr=%u is out of range: max_ports=%u leaves 0 to %u", port->nr,
                            bus->max_ports, bus->max_ports - 1);
    if (port->nr >= bus->max_ports)
        return option_error(parser, "its virtio-serial-device has no port left: max_ports=%u%s",
                            bus->max_ports, port->console ? "" : ", and port 0 is for a console");
    if (port->nr == 0 && !port->console)
        return option_error(parser, "nr=0 is for a virtconsole");
    if (find_port(bus, port, port->nr))
        return option_error(parser, "there is a port with nr=%u already", port->nr);
    return 0;
}

int connect_console_port(struct option_parser *parser, struct console_port_option *port,
                         const struct device_refs *refs)
{
    const struct serial_bus_option *bus = &parser->device->serial;

    if (!refs->chardev)
        return option_error(parser, "chardev=ID is missing");
    if (number_port(parser, bus, port) < 0)
        return -1;
    for (const struct console_port_option *p = bus->port; port->name && p < port; p++)
        if (p->name && strcmp(p->name, port->name) == 0)
            return option_error(parser, "there is a port with name=%s already", port->name);

    int chardev = take_chardev(parser, refs->typed, refs->chardev);

    if (chardev < 0)
        return -1;
    port->chardev = (unsigned)chardev;
    return 0;
}
