/*
 * dhcp.c: asks the network for an address (RFC 2131, options RFC 2132): discover, offer, request,
 * acknowledgement.  A message without an answer is sent again after 1, 2, 4 and 8 seconds.
 */
#include "kernel.h"
#include "net.h"

#define SERVER_PORT 67
#define CLIENT_PORT 68
#define TRIES_MAX   4

#define BOOT_REQUEST  1
#define BOOT_REPLY    2
#define ETHERNET      1
#define FLAG_BROAD    0x8000 /* answer by broadcast: we cannot be addressed yet */
#define COOKIE        0x63825363
#define OPTIONS_BYTES 64 /* that we send */

enum option {
    OPTION_PAD = 0,
    OPTION_MASK = 1,
    OPTION_ROUTER = 3,
    OPTION_DNS = 6,
    OPTION_ADDRESS = 50,
    OPTION_LEASE = 51,
    OPTION_MESSAGE = 53,
    OPTION_SERVER = 54,
    OPTION_WANTED = 55,
    OPTION_END = 255
};
enum message { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACKNOWLEDGED = 5, REFUSED = 6 };

struct WIRE packet {
    uint8_t operation, hardware, hardware_size, hops;
    uint32_t id;
    uint16_t seconds, flags;
    uint32_t client, yours, next_server, relay;
    struct mac mac;
    uint8_t padding[10], server_name[64], file[128];
    uint32_t cookie;
    uint8_t options[OPTIONS_BYTES];
};
#define PACKET_HEADER (sizeof(struct packet) - OPTIONS_BYTES)
_Static_assert(PACKET_HEADER == 240, "BOOTP's fields and the cookie");

/* What an answer says in its options. */
struct answer {
    uint8_t message;
    uint32_t server, mask, router, dns, lease;
};

static uint8_t *add_option(uint8_t *at, enum option option, uint32_t value)
{
    *at++ = (uint8_t)option;
    *at++ = 4;
    value = swap32(value);
    __builtin_memcpy(at, &value, 4);
    return at + 4;
}

static void send(struct net *net, const struct dhcp *dhcp)
{
    struct frame *frame = ether_frame(net, &mac_broadcast, ETHER_IP);
    if (!frame)
        return;
    struct packet *packet = (struct packet *)frame->udp.data;
    memset(packet, 0, sizeof(*packet));
    packet->operation = BOOT_REQUEST;
    packet->hardware = ETHERNET;
    packet->hardware_size = sizeof(struct mac);
    packet->id = dhcp->id;
    packet->flags = swap16(FLAG_BROAD);
    packet->mac = net->mac;
    packet->cookie = swap32(COOKIE);
    uint8_t *at = packet->options;
    *at++ = OPTION_MESSAGE;
    *at++ = 1;
    *at++ = dhcp->state == DHCP_DISCOVER ? DISCOVER : REQUEST;
    if (dhcp->state == DHCP_REQUEST) {
        at = add_option(at, OPTION_ADDRESS, dhcp->address);
        at = add_option(at, OPTION_SERVER, dhcp->server);
    }
    *at++ = OPTION_WANTED;
    *at++ = 4;
    *at++ = OPTION_MASK;
    *at++ = OPTION_ROUTER;
    *at++ = OPTION_DNS;
    *at++ = OPTION_LEASE;
    *at = OPTION_END;
    udp_send(net, frame, IP_ANYBODY, CLIENT_PORT, SERVER_PORT, sizeof(*packet));
}

static uint32_t number(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, 4);
    return swap32(value);
}

/* False: the options do not end where the packet does, or one of them has a wrong size. */
static bool read_options(const uint8_t *at, const uint8_t *end, struct answer *answer)
{
    while (at < end && *at != OPTION_END) {
        if (*at == OPTION_PAD) {
            at++;
            continue;
        }
        if (end - at < 2 || end - at - 2 < at[1])
            return false;
        uint8_t option = at[0], size = at[1];
        at += 2;
        if (option == OPTION_MESSAGE && size == 1)
            answer->message = *at;
        uint32_t *to = option == OPTION_MASK     ? &answer->mask
                       : option == OPTION_ROUTER ? &answer->router
                       : option == OPTION_DNS    ? &answer->dns
                       : option == OPTION_LEASE  ? &answer->lease
                       : option == OPTION_SERVER ? &answer->server
                                                 : NULL;
        if (to && size < 4)
            return false;
        if (to) /* of several routers or name servers, the first */
            *to = number(at);
        at += size;
    }
    return at < end;
}

/* A mask is ones, then zeros; and an address in a network of its own cannot be the broadcast. */
static bool usable(uint32_t address, const struct answer *answer)
{
    uint32_t host = ~answer->mask;
    return address >> 24 != 0 && address >> 24 != 127 && address < 0xe0000000u && answer->server &&
           answer->mask && ip_mask_valid(answer->mask) && (host <= 1 || (address & host) != host);
}

static void next_message(struct net *net, struct dhcp *dhcp, enum dhcp_state state)
{
    dhcp->state = state;
    dhcp->tries = 0;
    dhcp->deadline_ms = net->now_ms;
}

static void bind(struct net *net, struct dhcp *dhcp, const struct answer *answer)
{
    dhcp->mask = answer->mask;
    dhcp->router = answer->router;
    dhcp->dns = answer->dns;
    dhcp->lease = answer->lease;
    dhcp->state = DHCP_BOUND;
    net->address = dhcp->address;
    net->mask = dhcp->mask;
    net->router = dhcp->router;
    net->dns = dhcp->dns;
}

static bool input(struct net *net, const struct frame *frame, size_t length, void *opaque)
{
    struct dhcp *dhcp = opaque;
    const struct packet *packet = (const struct packet *)frame->udp.data;
    struct answer answer = {0};
    if (length < PACKET_HEADER || frame->udp.from != swap16(SERVER_PORT) ||
        packet->operation != BOOT_REPLY || packet->id != dhcp->id ||
        packet->cookie != swap32(COOKIE) ||
        __builtin_memcmp(&packet->mac, &net->mac, sizeof(net->mac)) != 0)
        return false;
    if (!read_options(packet->options, frame->udp.data + length, &answer)) {
        net->count[NET_MALFORMED]++;
        return false;
    }
    uint32_t address = swap32(packet->yours);
    if (answer.message == OFFER && dhcp->state == DHCP_DISCOVER && usable(address, &answer)) {
        dhcp->address = address;
        dhcp->server = answer.server;
        next_message(net, dhcp, DHCP_REQUEST);
    } else if (dhcp->state == DHCP_REQUEST && answer.server == dhcp->server) {
        if (answer.message == REFUSED)
            dhcp->state = DHCP_REFUSED;
        else if (answer.message == ACKNOWLEDGED && address == dhcp->address &&
                 usable(address, &answer))
            bind(net, dhcp, &answer);
    }
    return false;
}

bool dhcp_start(struct net *net, struct dhcp *dhcp, uint32_t id)
{
    *dhcp = (struct dhcp){.id = id};
    net->address = net->mask = net->router = net->dns = 0;
    next_message(net, dhcp, DHCP_DISCOVER);
    return udp_listen(net, CLIENT_PORT, input, dhcp);
}

void dhcp_step(struct net *net, struct dhcp *dhcp)
{
    if (dhcp->state > DHCP_REQUEST || net->now_ms < dhcp->deadline_ms)
        return;
    if (dhcp->tries == TRIES_MAX) {
        dhcp->state = DHCP_SILENT;
        return;
    }
    dhcp->deadline_ms = net->now_ms + (1000ull << dhcp->tries++);
    send(net, dhcp);
}

void dhcp_end(struct net *net)
{
    udp_close(net, CLIENT_PORT);
}
