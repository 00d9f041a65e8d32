/*
 * options_netdev.c: -netdev and -nic: the networks that network devices are connected to.
 * Source: qemu-system-x86_64(1), "Network options"; QEMU net/slirp.c, net/tap.c, net/net.c.
 */
#include "options_backends.h"

#include "suggest.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#define PREFIX_MIN 4
#define PREFIX_MAX 28 /* the host, its name server and the guest have the numbers 2, 3 and 15 */

static struct device_options *devices(struct option_parser *parser)
{
    return &parser->options->devices;
}

/* --- properties of -netdev and -nic ------------------------------------------------------------- */

/* The network being parsed; it counts once it is complete. */
static struct netdev_option *current(struct option_parser *parser)
{
    return &devices(parser)->netdev[devices(parser)->netdev_count];
}

int find_netdev(const struct device_options *all, const char *id)
{
    for (unsigned i = 0; i < all->netdev_count; i++)
        if (all->netdev[i].id && strcmp(all->netdev[i].id, id) == 0)
            return (int)i;
    return -1;
}

static int check_kind(struct option_parser *parser, enum netdev_kind kind, const char *property)
{
    if (current(parser)->kind == kind)
        return 0;
    return option_error(parser, "%s has no property %s", kind == NETDEV_USER ? "tap" : "user",
                        property);
}

static int set_netdev_id(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "the id is empty");
    if (find_netdev(devices(parser), value) >= 0)
        return option_error(parser, "there are two networks with id=%s", value);
    current(parser)->id = value;
    return 0;
}

static bool parse_ip(const char *text, uint32_t *ip)
{
    struct in_addr address;

    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    *ip = ntohl(address.s_addr);
    return true;
}

/* "24" or "255.255.255.0". False: neither, or its bits have a hole. */
static bool parse_mask(const char *text, uint32_t *mask)
{
    size_t digits = strspn(text, "0123456789");

    if (digits > 0 && digits <= 2 && !text[digits]) {
        unsigned bits = digits == 1 ? (unsigned)(text[0] - '0')
                                    : (unsigned)(10 * (text[0] - '0') + text[1] - '0');

        *mask = bits >= PREFIX_MIN && bits <= PREFIX_MAX ? UINT32_MAX << (32 - bits) : 0;
    } else if (!parse_ip(text, mask)) {
        return false;
    }
    return (~*mask & (~*mask + 1)) == 0 && *mask >= UINT32_MAX << (32 - PREFIX_MIN) &&
           *mask <= UINT32_MAX << (32 - PREFIX_MAX);
}

/* Copies what is before the first SEPARATOR of *REST, and leaves what is behind it there. False:
 * there is none, or more than SIZE has room for. */
static bool cut(const char **rest, char separator, char *piece, size_t size)
{
    const char *end = strchr(*rest, separator);
    size_t len = end ? (size_t)(end - *rest) : size;

    if (len >= size)
        return false;
    memcpy(piece, *rest, len);
    piece[len] = '\0';
    *rest = end + 1;
    return true;
}

static int set_net(struct option_parser *parser, const char *value)
{
    struct netdev_option *netdev = current(parser);
    const char *rest = value;
    char address[INET_ADDRSTRLEN];

    if (check_kind(parser, NETDEV_USER, "net") < 0)
        return -1;
    if (!cut(&rest, '/', address, sizeof(address)) || !parse_ip(address, &netdev->net) ||
        !parse_mask(rest, &netdev->mask))
        return option_error(parser,
                            "net: ADDRESS/BITS is expected, such as 10.0.2.0/24, with %d to %d "
                            "bits, not %s",
                            PREFIX_MIN, PREFIX_MAX, QUOTE(value));
    netdev->net &= netdev->mask;
    return 0;
}

static int set_restrict(struct option_parser *parser, const char *value)
{
    if (check_kind(parser, NETDEV_USER, "restrict") < 0)
        return -1;
    return parse_on_off(parser, "restrict", value, &current(parser)->restricted);
}

static int set_port(struct option_parser *parser, const char *value, uint16_t *port)
{
    uint64_t number;

    if (parse_number(parser, "hostfwd: port", value, 1, UINT16_MAX, &number) < 0)
        return -1;
    *port = (uint16_t)number;
    return 0;
}

/* [tcp|udp]:[HOST]:PORT-[GUEST]:PORT */
static int set_hostfwd(struct option_parser *parser, const char *value)
{
    struct netdev_option *netdev = current(parser);
    struct hostfwd_option forward = {0};
    const char *rest = value;
    char protocol[4], host[INET_ADDRSTRLEN], port[16], guest[INET_ADDRSTRLEN];

    if (check_kind(parser, NETDEV_USER, "hostfwd") < 0)
        return -1;
    if (netdev->hostfwd_count == HOSTFWD_MAX)
        return option_error(parser, "hostfwd: there can be %d at most", HOSTFWD_MAX);
    if (!cut(&rest, ':', protocol, sizeof(protocol)) || !cut(&rest, ':', host, sizeof(host)) ||
        !cut(&rest, '-', port, sizeof(port)) || !cut(&rest, ':', guest, sizeof(guest)) ||
        (*protocol && strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0) ||
        (*host && !parse_ip(host, &forward.host_ip)) ||
        (*guest && !parse_ip(guest, &forward.guest_ip)))
        return option_error(parser,
                            "hostfwd: tcp|udp:[HOST]:PORT-[GUEST]:PORT is expected, such as "
                            "tcp:127.0.0.1:2222-:22, not %s",
                            QUOTE(value));
    forward.udp = strcmp(protocol, "udp") == 0;
    if (set_port(parser, port, &forward.host_port) < 0 ||
        set_port(parser, rest, &forward.guest_port) < 0)
        return -1;
    netdev->hostfwd[netdev->hostfwd_count++] = forward;
    return 0;
}

static int set_ifname(struct option_parser *parser, const char *value)
{
    size_t len = strlen(value);

    if (check_kind(parser, NETDEV_TAP, "ifname") < 0)
        return -1;
    if (len == 0 || len >= IFNAMSIZ || strpbrk(value, "/%: "))
        return option_error(parser, "ifname: %s cannot be an interface's name (1 to %d characters)",
                            QUOTE(value), IFNAMSIZ - 1);
    current(parser)->ifname = value;
    return 0;
}

static int set_script(struct option_parser *parser, const char *value)
{
    if (check_kind(parser, NETDEV_TAP, "script, downscript") < 0)
        return -1;
    if (strcmp(value, "no") != 0)
        return option_error(parser, "kvmlens runs no scripts: script=no,downscript=no (set the "
                                    "interface up before)");
    return 0;
}

static int set_model(struct option_parser *parser, const char *value)
{
    static const char *const words[] = {"virtio", "virtio-net", "virtio-net-device"};

    if (!parser->device)
        return option_error(parser, "model is a property of -nic");
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(value, words[i]) == 0)
            return 0;
    return option_error(parser, "model=virtio is what kvmlens has, not %s", QUOTE(value));
}

const struct property netdev_properties[] = {
    {"id", "ID", "Its name, for netdev=ID.", set_netdev_id},
    {"net", "ADDRESS/BITS",
     "user: the guest's network (default: 10.0.2.0/24). The host is number 2 in it, its name "
     "server 3, and the guest, by DHCP, 15.",
     set_net},
    {"hostfwd", "tcp|udp:[HOST]:PORT-[GUEST]:PORT",
     "user: what comes to the host's port goes to the guest's. May be given up to 8 times.",
     set_hostfwd},
    {"restrict", "on|off",
     "user: the guest reaches nothing by itself; TCP ports of hostfwd still lead to it (default: "
     "off).",
     set_restrict},
    {"ifname", "NAME",
     "tap: the interface; made, and gone at the end, if there is none and kvmlens may do it.",
     set_ifname},
    {"script", "no", "tap: kvmlens runs no scripts.", set_script},
    {"downscript", "no", "tap: the same.", set_script},
    {"mac", "XX:XX:XX:XX:XX:XX", "-nic: the guest's Ethernet address.", set_net_mac},
    {"model", "virtio", "-nic: the device.", set_model},
    {"ipv4", "on", NULL, NULL},
    {"ipv6", "on", NULL, NULL},
    {"vhost", "off", NULL, NULL},
    {"queues", "1", NULL, NULL},
    {"vnet_hdr", "on", NULL, NULL},
    {"bootfile", NULL, NULL, NULL},
    {"br", NULL, NULL, NULL},
    {"dhcpstart", NULL, NULL, NULL},
    {"dns", NULL, NULL, NULL},
    {"dnssearch", NULL, NULL, NULL},
    {"domainname", NULL, NULL, NULL},
    {"fd", NULL, NULL, NULL},
    {"fds", NULL, NULL, NULL},
    {"guestfwd", NULL, NULL, NULL},
    {"helper", NULL, NULL, NULL},
    {"host", NULL, NULL, NULL},
    {"hostname", NULL, NULL, NULL},
    {"ipv6-dns", NULL, NULL, NULL},
    {"ipv6-host", NULL, NULL, NULL},
    {"ipv6-net", NULL, NULL, NULL},
    {"poll-us", NULL, NULL, NULL},
    {"smb", NULL, NULL, NULL},
    {"smbserver", NULL, NULL, NULL},
    {"sndbuf", NULL, NULL, NULL},
    {"tftp", NULL, NULL, NULL},
    {"tftp-server-name", NULL, NULL, NULL},
    {"vhostfd", NULL, NULL, NULL},
    {"vhostfds", NULL, NULL, NULL},
    {"vhostforce", NULL, NULL, NULL},
    {0},
};

/* --- -netdev and -nic ----------------------------------------------------------------------------- */

static int unknown_network(struct option_parser *parser, const char *name)
{
    static const char *const qemus[] = {
        "af-xdp", "bridge", "dgram",  "hubport", "l2tpv3",     "netmap",
        "passt",  "socket", "stream", "vde",     "vhost-user", "vhost-vdpa",
    };
    struct suggestion near = {.word = name};

    for (unsigned i = 0; i < sizeof(qemus) / sizeof(qemus[0]); i++)
        if (strcmp(name, qemus[i]) == 0)
            return option_error(parser, "QEMU has the network %s, kvmlens has user and tap", name);
    suggest_offer(&near, "user");
    suggest_offer(&near, "tap");
    if (near.best[0])
        return option_error(parser, "there is no network %s; did you mean %s?", QUOTE(name),
                            near.best);
    return option_error(parser, "there is no network %s; user or tap is expected", QUOTE(name));
}

/* The kind and properties in ARGUMENT, into a network that does not count yet. */
static int parse_network(struct option_parser *parser, char *argument)
{
    char *name = strncmp(argument, "type=", 5) == 0 ? argument + 5 : argument;
    char *comma = strchr(name, ',');

    if (comma)
        *comma = '\0';
    if (strcmp(name, "help") == 0 || strcmp(name, "?") == 0)
        return option_help(parser, "netdev");
    if (strcmp(name, "user") != 0 && strcmp(name, "tap") != 0)
        return unknown_network(parser, name);
    if (devices(parser)->netdev_count == NETDEVS_MAX)
        return option_error(parser, "there can be %d networks at most", NETDEVS_MAX);
    *current(parser) = (struct netdev_option){
        .kind = *name == 'u' ? NETDEV_USER : NETDEV_TAP,
        .net = 0x0a000200, /* 10.0.2.0/24, QEMU's */
        .mask = 0xffffff00,
    };
    if (comma && properties_parse(parser, netdev_properties, NULL, "netdev", comma + 1) < 0)
        return -1;
    if (parser->options->mode == MODE_RUN && current(parser)->kind == NETDEV_TAP &&
        !current(parser)->ifname)
        return option_error(parser, "which interface is missing: tap,ifname=NAME");
    return 0;
}

int option_netdev(struct option_parser *parser, char *argument)
{
    parser->device = NULL;
    if (parse_network(parser, argument) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!current(parser)->id)
        return option_error(parser, "the id is missing: -netdev %s,id=ID", argument);
    devices(parser)->netdev_count++;
    return 0;
}

int option_nic(struct option_parser *parser, char *argument)
{
    struct virtio_option *device;

    if (strcmp(argument, "none") == 0)
        return 0;
    device = device_add(parser, device_find_kind("virtio-net-device"));
    if (!device || parse_network(parser, argument) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    current(parser)->taken = true;
    device->net.netdev = devices(parser)->netdev_count++;
    return 0;
}
