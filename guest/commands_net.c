/*
 * commands_net.c: the shell's command net.
 */
#include "kernel.h"
#include "net.h"
#include "x86.h"

#define ECHO_PORT   7       /* RFC 862 */
#define CLIENT_PORT 0xc000  /* where answers to "net udp" come in */
#define PING_DATA   56      /* bytes, as other pings send */
#define PATIENCE_MS 1000    /* for an answer */
#define BUSY_CYCLES 1000000 /* how long the echo server polls before it sleeps */
#define LOOK_POLLS  256     /* from one look at other things to the next, while it polls */

static void print_ip(uint32_t ip)
{
    print("%u.%u.%u.%u", ip >> 24, ip >> 16 & 0xff, ip >> 8 & 0xff, ip & 0xff);
}

static void print_named_ip(const char *name, uint32_t ip)
{
    if (ip) {
        print("%s", name);
        print_ip(ip);
    }
}

static void print_address(const struct net *net)
{
    print_ip(net->address);
    print("/%d", 32 - __builtin_ctz(net->mask)); /* never 0 */
    print_named_ip(", router ", net->router);
    print_named_ip(", name server ", net->dns);
}

static bool parse_ip(const char *text, uint32_t *ip)
{
    const char *end = ip_scan(text, ip);
    if (end && !*end)
        return true;
    print("%s: not an address (10.0.2.2 is one)\n", text);
    return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
    uint64_t value;
    if (!parse_number(text, UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    return value != 0;
}

/* Waits for IP's next hop to say its MAC address. */
static bool resolve(struct net *net, uint32_t ip)
{
    uint32_t hop = ip_next_hop(net, ip);
    if (net->address == 0) {
        print("net: no address yet (net dhcp, or net ip ADDRESS/BITS)\n");
        return false;
    }
    for (unsigned try = 0; hop && try < 3; try++) {
        arp_ask(net, hop);
        uint64_t start = clock_ms();
        do {
            if (net_poll(net) == 0)
                net_wait();
            if (arp_find(net, hop))
                return true;
        } while (net->now_ms - start < PATIENCE_MS);
    }
    print_ip(ip);
    print(hop ? ": nobody on the network has this address, or the way to it\n"
              : ": not on this network, and no router is known\n");
    return false;
}

static bool net_info(struct net *net, int argc, char **argv)
{
    (void)argv;
    if (argc > 2)
        return false;
    print("net: ");
    for (unsigned i = 0; i < sizeof(net->mac); i++)
        print("%02x%s", net->mac.byte[i], i < sizeof(net->mac) - 1 ? ":" : ", ");
    net_print();
    print("net: ");
    if (net->address)
        print_address(net);
    else
        print("no address");
    print("\n");
    return true;
}

static bool net_stats(struct net *net, int argc, char **argv)
{
    (void)argv;
    if (argc > 2)
        return false;
    net_poll(net);
    for (unsigned i = 0; i < NET_COUNTERS; i++)
        print("net: %8lu %s\n", net->count[i], net_counter_names[i]);
    return true;
}

static bool net_dhcp(struct net *net, int argc, char **argv)
{
    (void)argv;
    if (argc > 2)
        return false;
    struct dhcp dhcp;
    net_poll(net);
    if (!dhcp_start(net, &dhcp, (uint32_t)rdtsc()))
        return true;
    while (dhcp.state <= DHCP_REQUEST) {
        dhcp_step(net, &dhcp);
        if (net_poll(net) == 0)
            net_wait();
    }
    dhcp_end(net);
    if (dhcp.state == DHCP_BOUND) {
        print("dhcp: ");
        print_address(net);
        print(", for %u s, from ", dhcp.lease);
        print_ip(dhcp.server);
        print("\n");
    } else {
        print(dhcp.state == DHCP_REFUSED ? "dhcp: the server takes back its offer\n"
                                         : "dhcp: no answer\n");
    }
    return true;
}

/* An address by hand: for networks without a DHCP server. */
static bool net_ip(struct net *net, int argc, char **argv)
{
    uint32_t ip, router = 0;
    uint64_t bits;
    if (argc < 3 || argc > 4)
        return false;
    const char *end = ip_scan(argv[2], &ip);
    if (!end || *end != '/' || !parse_number(end + 1, 32, &bits) || bits == 0 ||
        (argc == 4 && !parse_ip(argv[3], &router)))
        return false;
    net->address = ip;
    net->mask = (uint32_t)(UINT32_MAX << (32 - bits));
    net->router = router;
    net->dns = 0;
    return true;
}

static void print_ping(const struct net *net, uint64_t us)
{
    print("ping ");
    print_ip(net->ping.to);
    if (net->ping.answered) {
        print(": %u bytes, sequence %u, ttl %u, %lu.%03lu ms\n", net->ping.length,
              net->ping.sequence, net->ping.ttl, us / 1000, us % 1000);
    } else if (net->ping.unreachable) {
        print(": cannot be reached (code %u), says ", net->ping.unreachable - 1);
        print_ip(net->ping.told_by);
        print("\n");
    } else {
        print(": sequence %u, no answer\n", net->ping.sequence);
    }
}

/* Sends one and waits for its answer, no longer than PATIENCE_MS. *US: how long it took. False where
 * it could not be sent. */
static bool ping_once(struct net *net, uint32_t ip, uint16_t id, uint16_t sequence, uint64_t *us)
{
    uint64_t start = clock_us(), end = clock_ms() + PATIENCE_MS;
    if (!icmp_ping(net, ip, id, sequence, PING_DATA))
        return false;
    do {
        if (net_poll(net) == 0)
            net_wait();
        *us = clock_us() - start;
    } while (net->ping.waiting && net->now_ms < end);
    net->ping.waiting = false;
    return true;
}

/* Quiet, it does not tell of each: a line takes longer than a ping. */
static bool net_ping(struct net *net, int argc, char **argv)
{
    uint32_t ip;
    uint64_t count = 3, answered = 0, us = 0, sum = 0;
    bool quiet = argc == 5 && strcmp(argv[4], "quiet") == 0;
    if (argc < 3 || argc > 4 + quiet || !parse_ip(argv[2], &ip) ||
        (argc > 3 && !parse_number(argv[3], UINT16_MAX, &count)))
        return false;
    uint16_t id = (uint16_t)clock_us();
    if (!resolve(net, ip))
        return true;
    for (uint16_t i = 1; i <= count && ping_once(net, ip, id, i, &us); i++) {
        answered += net->ping.answered;
        sum += net->ping.answered ? us : 0;
        if (!quiet)
            print_ping(net, us);
    }
    print("ping ");
    print_ip(ip);
    print(": %lu sent, %lu answered", count, answered);
    if (quiet && answered)
        print(", mean %lu.%03lu ms", sum / answered / 1000, sum / answered % 1000);
    print("\n");
    return true;
}

static bool print_datagram(struct net *net, const struct frame *frame, size_t length, void *opaque)
{
    bool *come = opaque;
    (void)net;
    *come = true;
    print("udp: %lu bytes from ", length);
    print_ip(swap32(frame->ip.from));
    print(", port %u: ", swap16(frame->udp.from));
    for (size_t i = 0; i < length; i++) {
        char c = (char)frame->udp.data[i];
        print("%c", c >= ' ' && c <= '~' ? c : '.');
    }
    print("\n");
    return false;
}

/* Sends the words, with a blank between them, and prints what comes back. */
static bool net_udp(struct net *net, int argc, char **argv)
{
    uint32_t ip;
    uint16_t port;
    bool come = false;
    if (argc < 5 || !parse_ip(argv[2], &ip) || !parse_port(argv[3], &port))
        return false;
    if (!resolve(net, ip))
        return true;
    struct frame *frame = ip_frame(net, ip);
    if (!frame)
        return true;
    udp_listen(net, CLIENT_PORT, print_datagram, &come);
    size_t length = 0;
    for (int i = 4; i < argc; i++) {
        if (i > 4)
            frame->udp.data[length++] = ' ';
        memcpy(&frame->udp.data[length], argv[i], strlen(argv[i]));
        length += strlen(argv[i]);
    }
    udp_send(net, frame, ip, CLIENT_PORT, port, length);
    uint64_t start = clock_ms();
    do {
        if (net_poll(net) == 0)
            net_wait();
    } while (!come && net->now_ms - start < PATIENCE_MS);
    if (!come)
        print("udp: %lu bytes sent, no answer\n", length);
    udp_close(net, CLIENT_PORT);
    return true;
}

static bool count_echo(struct net *net, const struct frame *frame, size_t length, void *opaque)
{
    uint64_t *echoed = opaque;
    (void)length;
    if (!udp_may_echo(net, frame))
        return false;
    ++*echoed;
    return true;
}

/* Sends back what comes to PORT, by UDP and TCP: COUNT datagrams (or closed connections), or until a
 * key is pressed. */
static bool net_echo(struct net *net, int argc, char **argv)
{
    uint64_t count = 0, echoed = 0, last = rdtsc();
    uint16_t port = ECHO_PORT;
    if (argc > 4 || (argc > 2 && !parse_port(argv[2], &port)) ||
        (argc > 3 && !parse_number(argv[3], UINT32_MAX, &count)))
        return false;
    if (!udp_listen(net, port, count_echo, &echoed))
        return true;
    tcp_listen(net, port, (uint32_t)last);
    print("net: echo at port %u, %s\n", port, count ? "counted" : "until a key is pressed");
    for (unsigned polls = 0; !count || echoed + net->tcp.closed < count; polls++) {
        bool idle = false;
        if (net_poll(net))
            last = rdtsc();
        else
            idle = rdtsc() - last > BUSY_CYCLES;
        if (idle || polls % LOOK_POLLS == 0) {
            tcp_step(net);
            if (!count && serial_waiting())
                break;
        }
        if (idle)
            net_wait();
    }
    uint64_t end = clock_ms() + PATIENCE_MS;
    do /* the last answer leaves before the machine may be turned off */
        net_poll(net);
    while (net_sending() && net->now_ms < end);
    if (!count && serial_waiting())
        serial_get();
    print("net: echoed %lu datagrams; %lu bytes of %lu TCP connections\n", echoed, net->tcp.echoed,
          net->tcp.opened);
    return true;
}

bool command_net(int argc, char **argv)
{
    static const struct {
        const char *name, *usage;
        bool (*run)(struct net *net, int argc, char **argv);
    } part[] = {
        {"info", "", net_info},
        {"dhcp", "", net_dhcp},
        {"ip", "ADDRESS/BITS [ROUTER]", net_ip},
        {"ping", "ADDRESS [COUNT [quiet]]", net_ping},
        {"udp", "ADDRESS PORT TEXT", net_udp},
        {"echo", "[PORT] [COUNT]", net_echo},
        {"stats", "", net_stats},
    };
    for (unsigned i = 0; argc > 1 && i < sizeof(part) / sizeof(part[0]); i++) {
        if (strcmp(argv[1], part[i].name) != 0)
            continue;
        struct net *net = net_open();
        if (net && !part[i].run(net, argc, argv))
            print("usage: net %s %s\n", part[i].name, part[i].usage);
        return true;
    }
    return false;
}
