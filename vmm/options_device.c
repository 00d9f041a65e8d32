/*
 * options_device.c: -device and -global.  A device is parsed where it stands on the command line; what
 * it refers to by name may come later, so that is looked up at the end (connect_devices()).
 * Source: qemu-system-x86_64(1); QEMU hw/misc/debugexit.c, hw/i386/microvm.c, system/qdev-monitor.c.
 */
#include "options_backends.h"

#include "options_qemu.h"
#include "suggest.h"

#include <stdio.h>
#include <string.h>

static bool asks_help(const char *argument)
{
    return strcmp(argument, "help") == 0 || strcmp(argument, "?") == 0;
}

const struct device_kind *device_find_kind(const char *name)
{
    for (const struct device_kind *kind = device_kinds; kind->name; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}

/* --- isa-debug-exit ------------------------------------------------------------------------- */

static int set_iobase(struct option_parser *parser, const char *value)
{
    uint64_t port;

    if (parse_number(parser, "iobase", value, 0, UINT16_MAX, &port) < 0)
        return -1;
    parser->options->debug_exit_iobase = (uint16_t)port;
    return 0;
}

static int set_iosize(struct option_parser *parser, const char *value)
{
    uint64_t ports;

    if (parse_number(parser, "iosize", value, 1, UINT16_MAX, &ports) < 0)
        return -1;
    parser->options->debug_exit_iosize = (uint16_t)ports;
    return 0;
}

static int set_debug_exit_id(struct option_parser *parser, const char *value)
{
    return *value ? 0 : option_error(parser, "the id is empty");
}

const struct property debug_exit_properties[] = {
    {"iobase", "PORT", "Its first I/O port (default: 0x501).", set_iobase},
    {"iosize", "N", "How many ports it has (default: 2).", set_iosize},
    {"id", "NAME", "A name for the device; not used.", set_debug_exit_id},
    {"bus", "isa.0", NULL, NULL},
    {0},
};

static int parse_debug_exit(struct option_parser *parser, char *properties)
{
    struct options *options = parser->options;

    if (options->debug_exit)
        return option_error(parser, "isa-debug-exit is given twice");
    options->debug_exit = true;
    options->debug_exit_iobase = 0x501;
    options->debug_exit_iosize = 2;
    if (properties &&
        properties_parse(parser, debug_exit_properties, NULL, "isa-debug-exit", properties) < 0)
        return -1;
    if (options->debug_exit_iobase + options->debug_exit_iosize > 0x10000)
        return option_error(parser, "isa-debug-exit: %u ports from 0x%x pass the last port, 0xffff",
                            options->debug_exit_iosize, options->debug_exit_iobase);
    return 0;
}

/* --- what virtio devices and console ports have in common ------------------------------------- */

static int set_id(struct option_parser *parser, const char *value)
{
    const struct pending_devices *pending = parser->pending;

    if (!*value)
        return option_error(parser, "the id is empty");
    for (unsigned i = 0; i < pending->count; i++)
        if (pending->device[i].refs.id && strcmp(pending->device[i].refs.id, value) == 0)
            return option_error(parser, "there are two devices with id=%s", value);
    parser->refs->id = value;
    return 0;
}

static int set_bus(struct option_parser *parser, const char *value)
{
    parser->refs->bus = value;
    return 0;
}

const struct property virtio_properties[] = {
    {"id", "ID", "Its name.", set_id},
    {"bus", "virtio-mmio-bus.N", "Its slot, 0 to 7 (default: the last one that is free).", set_bus},
    {"any_layout", "on", NULL, NULL},
    {"event_idx", "on", NULL, NULL},
    {"indirect_desc", "on", NULL, NULL},
    {"iommu_platform", "off", NULL, NULL},
    {"notify_on_empty", "on|off", NULL, NULL},
    {"packed", "off", NULL, NULL},
    {"queue_reset", "on", NULL, NULL},
    {"use-disabled-flag", "on", NULL, NULL},
    {"use-started", "on", NULL, NULL},
    {"x-disable-legacy-check", "on|off", NULL, NULL},
    {0},
};

const struct property console_port_base_properties[] = {
    {"id", "ID", "Its name; not used.", set_id},
    {"bus", "ID.0", "Which virtio-serial-device has it (default: the first with room).", set_bus},
    {0},
};

/* Parses PROPERTIES (or NULL) by the kind's own table and by what all such kinds have. */
static int parse_properties(struct option_parser *parser, const struct device_kind *kind,
                            const struct property *base, char *properties)
{
    const struct property *const tables[] = {kind->properties, base};
    struct property all[DEVICE_PROPERTIES_MAX + 1] = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < 2; i++)
        for (const struct property *p = tables[i]; p->name && count < DEVICE_PROPERTIES_MAX; p++)
            all[count++] = *p;
    return properties ? properties_parse(parser, all, NULL, kind->name, properties) : 0;
}

static struct pending_device *add_pending(struct option_parser *parser,
                                          const struct device_kind *kind,
                                          struct virtio_option *device)
{
    struct pending_device *added = &parser->pending->device[parser->pending->count++];

    *added = (struct pending_device){.kind = kind, .refs.typed = parser->typed, .device = device};
    parser->refs = &added->refs;
    return added;
}

/* Messages name the device too where -device made it. */
static void name_in_messages(struct option_parser *parser, const struct device_kind *kind)
{
    struct pending_device *last = &parser->pending->device[parser->pending->count - 1];

    snprintf(last->typed, sizeof(last->typed), "-device %s", kind->name);
    parser->typed = last->refs.typed = last->typed;
}

/* --- virtio devices --------------------------------------------------------------------------- */

static void name_device(struct virtio_option *device, const struct device_options *all)
{
    static const char *const words[VIRTIO_KINDS] = {
        [VIRTIO_BLK] = "blk", [VIRTIO_NET] = "net",         [VIRTIO_SERIAL] = "serial",
        [VIRTIO_RNG] = "rng", [VIRTIO_BALLOON] = "balloon",
    };
    unsigned number = 0;

    for (unsigned i = 0; i < all->virtio_count; i++)
        number += all->virtio[i].kind == device->kind;
    snprintf(device->name, sizeof(device->name), "virtio-%s%u", words[device->kind], number);
}

struct virtio_option *device_add(struct option_parser *parser, const struct device_kind *kind)
{
    struct device_options *all = &parser->options->devices;
    struct virtio_option *device = &all->virtio[all->virtio_count];

    if (all->virtio_count == VIRTIO_DEVICES_MAX) {
        option_error(parser, "the machine has slots for %d virtio devices", VIRTIO_DEVICES_MAX);
        return NULL;
    }
    *device = (struct virtio_option){.kind = kind->kind};
    if (kind->defaults)
        kind->defaults(device);
    name_device(device, all);
    all->virtio_count++;
    add_pending(parser, kind, device);
    parser->device = device;
    return device;
}

static int parse_virtio(struct option_parser *parser, const struct device_kind *kind,
                        char *properties)
{
    struct virtio_option *device = device_add(parser, kind);

    if (!device)
        return -1;
    name_in_messages(parser, kind);
    if (parse_properties(parser, kind, virtio_properties, properties) < 0)
        return -1;
    device->id = parser->refs->id;
    return 0;
}

/* The slot that bus= asks for, or the last free one: QEMU's microvm fills them from the last. */
static int place_device(struct option_parser *parser, struct virtio_option *device,
                        const struct device_refs *refs)
{
    static const char prefix[] = "virtio-mmio-bus.";
    const struct device_options *all = &parser->options->devices;
    const char *digit = refs->bus ? refs->bus + sizeof(prefix) - 1 : NULL;
    bool used[VIRTIO_DEVICES_MAX] = {0};

    for (const struct virtio_option *d = all->virtio; d < device; d++)
        used[d->slot] = true;
    device->slot = VIRTIO_DEVICES_MAX - 1;
    if (!refs->bus) {
        while (used[device->slot])
            device->slot--;
        return 0;
    }
    if (strncmp(refs->bus, prefix, sizeof(prefix) - 1) != 0 || *digit < '0' ||
        *digit >= '0' + VIRTIO_DEVICES_MAX || digit[1])
        return option_error(parser, "there is no bus %s for it; there are %s0 to %s%d",
                            QUOTE(refs->bus), prefix, prefix, VIRTIO_DEVICES_MAX - 1);
    device->slot = (unsigned)(*digit - '0');
    if (used[device->slot])
        return option_error(parser, "there is a device on bus %s already", refs->bus);
    return 0;
}

int connect_devices(struct option_parser *parser)
{
    for (unsigned i = 0; i < parser->pending->count; i++) {
        struct pending_device *it = &parser->pending->device[i];
        int r = 0;

        parser->device = it->device;
        parser->port = it->port;
        parser->refs = &it->refs;
        parser->typed = it->refs.typed;
        if (it->port)
            r = it->kind->connect_port(parser, it->port, &it->refs);
        else if (place_device(parser, it->device, &it->refs) < 0)
            r = -1;
        else if (it->kind->connect)
            r = it->kind->connect(parser, it->device, &it->refs);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* --- console ports ---------------------------------------------------------------------------- */

/* Is DEVICE's bus called BUS? QEMU calls it ID.0, or virtio-serial-bus.N, as it is the Nth
 * (UNNAMED) of those without an id. */
static bool bus_is_called(const struct virtio_option *device, unsigned unnamed, const char *bus)
{
    char name[64];

    if (device->id) {
        size_t len = strlen(device->id);

        return strncmp(device->id, bus, len) == 0 && strcmp(bus + len, ".0") == 0;
    }
    snprintf(name, sizeof(name), "virtio-serial-bus.%u", unnamed);
    return strcmp(bus, name) == 0;
}

/* The virtio-serial-device for a port: as in QEMU, it stands before its ports. */
static struct virtio_option *find_port_bus(struct option_parser *parser, const char *bus)
{
    struct device_options *all = &parser->options->devices;
    bool any = false;
    unsigned unnamed = 0;

    for (unsigned i = 0; i < all->virtio_count; i++) {
        struct virtio_option *device = &all->virtio[i];

        if (device->kind != VIRTIO_SERIAL)
            continue;

        bool mine = !bus || bus_is_called(device, unnamed, bus);

        if (mine && device->serial.port_count < CONSOLE_PORTS_MAX)
            return device;
        any = any || mine;
        unnamed += !device->id;
    }
    if (any)
        option_error(parser, "its virtio-serial-device has %d ports already, and room for no more",
                     CONSOLE_PORTS_MAX);
    else if (bus)
        option_error(parser, "there is no virtio-serial-device before it with the bus %s",
                     QUOTE(bus));
    else
        option_error(parser, "a -device virtio-serial-device has to stand before it");
    return NULL;
}

static int parse_port(struct option_parser *parser, const struct device_kind *kind,
                      char *properties)
{
    struct console_port_option port = {.console = kind->console};

    if (parser->pending->count == PENDING_DEVICES_MAX)
        return option_error(parser, "there are too many ports: %d at most", PENDING_DEVICES_MAX);

    struct pending_device *added = add_pending(parser, kind, NULL);

    name_in_messages(parser, kind);
    parser->port = &port;

    int r = parse_properties(parser, kind, console_port_base_properties, properties);

    parser->port = NULL;
    if (r < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    added->device = find_port_bus(parser, added->refs.bus);
    if (!added->device)
        return -1;

    struct serial_bus_option *bus = &added->device->serial;

    added->port = &bus->port[bus->port_count++];
    *added->port = port;
    return 0;
}

/* --- -device ---------------------------------------------------------------------------------- */

/* NAME is one of QEMU's for a virtio device on PCI ("virtio-blk-pci", or "virtio-blk", which it takes
 * for the same) that kvmlens has on virtio-mmio: that kind, or NULL. */
static const struct device_kind *find_mmio_kind(const char *name)
{
    static const char *const endings[] = {"-pci", "-pci-transitional", "-pci-non-transitional", ""};
    size_t len = strlen(name);

    for (unsigned i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t tail = strlen(endings[i]);
        char wanted[64];

        if (len < tail || strcmp(name + len - tail, endings[i]) != 0)
            continue;
        snprintf(wanted, sizeof(wanted), "%.*s-device", (int)(len - tail < 40 ? len - tail : 40),
                 name);
        if (device_find_kind(wanted))
            return device_find_kind(wanted);
    }
    return NULL;
}

static int unknown_device(struct option_parser *parser, const char *name)
{
    const struct device_kind *mmio = find_mmio_kind(name);
    struct suggestion near = {.word = name};

    if (mmio)
        return option_error(parser,
                            "%s is a device on PCI, and the machine has none; kvmlens has %s "
                            "(virtio-mmio), and QEMU's microvm too",
                            name, mmio->name);
    if (qemu_has_device(name))
        return option_error(parser,
                            "QEMU has the device %s, kvmlens has not; -device help lists "
                            "what it has",
                            name);
    for (const struct device_kind *kind = device_kinds; kind->name; kind++)
        suggest_offer(&near, kind->name);
    if (near.best[0])
        return option_error(parser, "there is no device %s; did you mean %s?", QUOTE(name),
                            near.best);
    qemu_suggest_device(&near);
    if (near.best[0])
        return option_error(parser, "there is no device %s; QEMU has %s, kvmlens has not",
                            QUOTE(name), near.best);
    return option_error(parser, "there is no device %s; -device help lists them", QUOTE(name));
}

int option_device(struct option_parser *parser, char *argument)
{
    char *name = strncmp(argument, "driver=", 7) == 0 ? argument + 7 : argument;
    char *comma = strchr(name, ',');
    char *properties = comma ? comma + 1 : NULL;

    if (comma)
        *comma = '\0';
    if (asks_help(name))
        return option_help(parser, "device");
    if (!*name)
        return option_error(parser, "an argument is missing: %s", parser->def->argument);

    const struct device_kind *kind = device_find_kind(name);

    if (!kind)
        return unknown_device(parser, name);
    switch (kind->sort) {
    case DEVICE_DEBUG_EXIT:
        return parse_debug_exit(parser, properties);
    case DEVICE_VIRTIO:
        return parse_virtio(parser, kind, properties);
    case DEVICE_CONSOLE_PORT:
        return parse_port(parser, kind, properties);
    }
    return -1;
}

/* --- -global ---------------------------------------------------------------------------------- */

static int set_ioeventfd(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "ioeventfd", value, &parser->options->devices.ioeventfd);
}

static int set_force_legacy(struct option_parser *parser, const char *value)
{
    bool legacy;

    if (parse_on_off(parser, "force-legacy", value, &legacy) < 0)
        return -1;
    if (legacy)
        return option_error(parser, "force-legacy=on is the register layout from before virtio 1; "
                                    "kvmlens has virtio 1 only: force-legacy=off");
    return 0;
}

const struct property global_properties[] = {
    {"ioeventfd", "on|off",
     "Notifications go past the vCPU, by KVM's ioeventfd (on, the default); off: each is an exit.",
     set_ioeventfd},
    {"force-legacy", "off", "virtio 1; QEMU's default is another.", set_force_legacy},
    {"format_transport_address", "on|off", NULL, NULL},
    {0},
};

int option_global(struct option_parser *parser, char *argument)
{
    static const char driver[] = "virtio-mmio.";
    char *name = argument + sizeof(driver) - 1, *value;

    if (strncmp(argument, driver, sizeof(driver) - 1) != 0)
        return option_error(parser, "kvmlens takes %s, not %s", parser->def->argument,
                            QUOTE(argument));
    value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    return property_set(parser, global_properties, "virtio-mmio", name, value);
}
