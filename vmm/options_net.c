/*
 * options_net.c: -device virtio-net-device and -object filter-dump.
 * Source: qemu-system-x86_64(1), "Network options"; QEMU net/net.c, net/dump.c.
 */
#include "options_backends.h"

#include "suggest.h"

#include <string.h>

#define DUMP_MAX_LEN 65536

static struct device_options *devices(struct option_parser *parser)
{
    return &parser->options->devices;
}

/* --- -device virtio-net-device -------------------------------------------------------------------- */

void net_defaults(struct virtio_option *device)
{
    device->net.netdev = NETDEVS_MAX; /* none */
}

static int set_netdev(struct option_parser *parser, const char *value)
{
    parser->refs->netdev = value;
    return 0;
}

/* The value of a hexadecimal digit, or -1. */
static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)((at - digits) & 15) : -1;
}

int set_net_mac(struct option_parser *parser, const char *value)
{
    uint8_t mac[6];
    const char *c = value;
    bool good = true;

    if (!parser->device)
        return option_error(parser, "mac is a property of -nic and -device virtio-net-device");
    for (unsigned i = 0; good && i < 6; i++) {
        int high = hex_digit(*c), low = high < 0 ? -1 : hex_digit(c[1]);

        good = low >= 0 && (i == 5 ? !c[2] : c[2] == ':' || c[2] == '-');
        if (good)
            mac[i] = (uint8_t)(high << 4 | low);
        c += 3;
    }
    if (!good)
        return option_error(
            parser, "mac: six bytes are expected, such as 52:54:00:12:34:56, not %s", QUOTE(value));
    if (mac[0] & 1)
        return option_error(parser,
                            "mac: %s is a multicast address, no device's: its first byte "
                            "is odd",
                            value);
    memcpy(parser->device->net.mac, mac, sizeof(mac));
    return 0;
}

const struct property net_properties[] = {
    {"netdev", "ID", "The -netdev that it is connected to.", set_netdev},
    {"mac", "XX:XX:XX:XX:XX:XX", "Its Ethernet address (default: from 52:54:00:12:34:56 up).",
     set_net_mac},
    {"mq", "off", NULL, NULL},
    {"mrg_rxbuf", "on", NULL, NULL},
    {"status", "on", NULL, NULL},
    {"bootindex", NULL, NULL, NULL},
    {"csum", NULL, NULL, NULL},
    {"guest_csum", NULL, NULL, NULL},
    {"host_mtu", NULL, NULL, NULL},
    {"rx_queue_size", "256", NULL, NULL},
    {"tx_queue_size", "256", NULL, NULL},
    {"speed", NULL, NULL, NULL},
    {"duplex", NULL, NULL, NULL},
    {"vectors", NULL, NULL, NULL},
    {0},
};

static bool mac_is_set(const uint8_t mac[6])
{
    static const uint8_t none[6];

    return memcmp(mac, none, sizeof(none)) != 0;
}

/* The first of QEMU's addresses that no device has. */
static void choose_mac(const struct device_options *all, uint8_t mac[6])
{
    bool used;

    memcpy(mac, "\x52\x54\x00\x12\x34\x55", 6);
    do {
        mac[5]++;
        used = false;
        for (unsigned i = 0; i < all->virtio_count; i++)
            used |= all->virtio[i].kind == VIRTIO_NET && all->virtio[i].net.mac != mac &&
                    memcmp(all->virtio[i].net.mac, mac, 6) == 0;
    } while (used);
}

int connect_net(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs)
{
    struct device_options *all = devices(parser);

    if (refs->netdev) {
        int i = find_netdev(all, refs->netdev);

        if (i < 0)
            return option_error(parser, "there is no -netdev with id=%s", refs->netdev);
        if (all->netdev[i].taken)
            return option_error(parser, "netdev %s is in use already; it takes one device",
                                QUOTE(refs->netdev));
        all->netdev[i].taken = true;
        device->net.netdev = (unsigned)i;
    }
    if (device->net.netdev == NETDEVS_MAX)
        return option_error(parser, "netdev=ID is missing");
    if (!mac_is_set(device->net.mac))
        choose_mac(all, device->net.mac);
    return 0;
}

/* --- -object filter-dump -------------------------------------------------------------------------- */

/* The dump being parsed; it counts once it is complete. */
static struct dump_option *current_dump(struct option_parser *parser)
{
    return &devices(parser)->dump[devices(parser)->dump_count];
}

static int set_dump_id(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "the id is empty");
    for (const struct dump_option *d = devices(parser)->dump; d < current_dump(parser); d++)
        if (strcmp(d->id, value) == 0)
            return option_error(parser, "there are two objects with id=%s", value);
    current_dump(parser)->id = value;
    return 0;
}

static int set_dump_netdev(struct option_parser *parser, const char *value)
{
    current_dump(parser)->netdev_id = value;
    return 0;
}

static int set_dump_file(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "the file name is empty");
    current_dump(parser)->file = value;
    return 0;
}

static int set_dump_max_len(struct option_parser *parser, const char *value)
{
    uint64_t len;

    if (parse_number(parser, "maxlen", value, 1, DUMP_MAX_LEN, &len) < 0)
        return -1;
    current_dump(parser)->max_len = (uint32_t)len;
    return 0;
}

const struct property dump_properties[] = {
    {"id", "ID", "Its name.", set_dump_id},
    {"netdev", "ID", "The -netdev (or -nic with id=) whose frames are written.", set_dump_netdev},
    {"file", "PATH", "The pcap file to make.", set_dump_file},
    {"maxlen", "N", "Bytes of each frame at most (default: 65536).", set_dump_max_len},
    {"queue", "all", NULL, NULL},
    {"status", "on", NULL, NULL},
    {"insert", NULL, NULL, NULL},
    {"position", NULL, NULL, NULL},
    {0},
};

int object_dump(struct option_parser *parser, char *properties)
{
    struct dump_option *dump = current_dump(parser);

    if (devices(parser)->dump_count == DUMPS_MAX)
        return option_error(parser, "there can be %d dumps at most", DUMPS_MAX);
    *dump = (struct dump_option){.max_len = DUMP_MAX_LEN};
    if (properties && properties_parse(parser, dump_properties, NULL, "object", properties) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!dump->id || !dump->netdev_id || !dump->file)
        return option_error(parser, "%s is missing: filter-dump,id=ID,netdev=ID,file=PATH",
                            !dump->id          ? "the id"
                            : !dump->netdev_id ? "netdev"
                                               : "file");
    devices(parser)->dump_count++;
    return 0;
}

int connect_dumps(struct option_parser *parser)
{
    struct device_options *all = devices(parser);

    for (unsigned i = 0; i < all->dump_count; i++) {
        int netdev = find_netdev(all, all->dump[i].netdev_id);

        if (netdev < 0)
            return error_set(parser->err, STATUS_USAGE,
                             "-object filter-dump,id=%s: there is no -netdev with id=%s",
                             all->dump[i].id, all->dump[i].netdev_id);
        all->dump[i].netdev = (unsigned)netdev;
    }
    return 0;
}
