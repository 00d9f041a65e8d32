/*
 * fuzz_guest_net.c: frames of a hostile network, and the passing of time, for the guest's stack.
 * The input is a list of operations. What the stack sends has to be well-formed; what lies behind
 * the end of a frame must not matter: so each frame is handed in twice, with different bytes there.
 */
#include "../unit/guest_net_bench.h"
#include "fuzz.h"

struct world {
    struct bench b;
    struct dhcp dhcp;
    size_t heard; /* bytes that the UDP echo got */
    struct input in;
};

static uint8_t next(struct world *w)
{
    return input_byte(&w->in);
}

static bool hear(struct net *net, const struct frame *frame, size_t length, void *opaque)
{
    size_t *heard = opaque;
    CHECK_THAT(length <= UDP_DATA_MAX, "a datagram is no longer than a frame");
    *heard += length;
    return udp_may_echo(net, frame);
}

static void check_sent(struct world *w)
{
    if (w->b.out_length == 0 || w->b.taken)
        return;
    const char *fault = frame_fault(&w->b.net, &w->b.out, w->b.out_length);
    CHECK_THAT(!fault, fault);
    w->b.out_length = 0;
}

/* Makes a frame pass the outer checks, so that the inner ones are reached: by the bits of HOW. */
static void mend(struct world *w, struct frame *frame, size_t length, uint8_t how)
{
    size_t part = length - ETHER_HEADER - IP_HEADER;
    if (length < ETHER_HEADER)
        return;
    if (how & 1)
        frame->to = here_mac;
    if (how & 2)
        frame->from = peer_mac;
    if (how & 4)
        frame->type = how & 8 ? swap16(ETHER_IP) : swap16(ETHER_ARP);
    if (length < ETHER_HEADER + IP_HEADER || frame->type != swap16(ETHER_IP))
        return;
    if (how & 16) {
        frame->ip.version_length = 0x45;
        frame->ip.length = swap16((uint16_t)(IP_HEADER + part));
        frame->ip.fragment = 0;
        frame->ip.from = swap32(PEER);
        frame->ip.to = w->b.net.address ? swap32(w->b.net.address) : swap32(IP_ANYBODY);
        static const uint8_t protocols[] = {IP_ICMP, IP_UDP, IP_TCP, IP_TCP};
        frame->ip.protocol = protocols[frame->ip.protocol % 4];
    }
    if ((how & 32) && frame->ip.protocol == IP_UDP && part >= UDP_HEADER)
        frame->udp.length = swap16((uint16_t)part);
    if ((how & 32) && frame->ip.protocol == IP_TCP && part >= TCP_HEADER &&
        w->b.net.tcp.state > TCP_LISTEN) {
        frame->tcp.from = swap16(w->b.net.tcp.peer_port);
        frame->tcp.sequence = swap32(w->b.net.tcp.expected);
        frame->tcp.acknowledged = swap32(w->b.net.tcp.next);
    }
    if (how & 64)
        make_sums(frame, part);
}

static size_t hand_in(struct bench *b, struct frame *frame, size_t length)
{
    size_t answer = net_input(&b->net, frame, length);
    const char *fault = answer ? frame_fault(&b->net, frame, answer) : NULL;
    CHECK_THAT(!fault, fault);
    CHECK_THAT(!answer || !(frame->to.byte[0] & 1), "no answer to a group");
    return answer;
}

static void frame_comes(struct world *w)
{
    uint8_t how = next(w);
    size_t length = next(w) | (size_t)next(w) << 8;
    length = length > w->in.left ? w->in.left : length;
    length = length > FRAME_MAX ? FRAME_MAX : length;
    struct frame first, second;
    memset(&first, 0, sizeof(first));
    memcpy(&first, w->in.data, length);
    w->in.data += length;
    w->in.left -= length;
    mend(w, &first, length, how);
    second = first;
    memset((uint8_t *)&second + length, 0xff, sizeof(second) - length);

    struct bench before = w->b;
    struct dhcp dhcp_before = w->dhcp;
    size_t heard = w->heard;
    size_t answer = hand_in(&w->b, &first, length);
    struct bench after = w->b;
    struct dhcp dhcp_after = w->dhcp;
    w->b = before;
    w->dhcp = dhcp_before;
    w->heard = heard;
    CHECK_THAT(hand_in(&w->b, &second, length) == answer,
               "the answer depends on what is behind the end");
    CHECK_THAT(memcmp(&first, &second, answer) == 0, "the answer has no bytes from behind the end");
    CHECK_THAT(memcmp(&after, &w->b, sizeof(after)) == 0,
               "the state does not depend on what is behind the end");
    CHECK_THAT(memcmp(&dhcp_after, &w->dhcp, sizeof(w->dhcp)) == 0, "nor does the state of DHCP");
}

static void operate(struct world *w)
{
    struct net *net = &w->b.net;
    uint8_t operation = next(w);
    switch (operation % 8) {
    case 0:
        net->now_ms += next(w) * 16u;
        tcp_step(net);
        check_sent(w);
        if (w->dhcp.id)
            dhcp_step(net, &w->dhcp);
        break;
    case 1:
        arp_ask(net, (PEER & ~0xffu) | next(w));
        break;
    case 2:
        icmp_ping(net, PEER, 1, 1, next(w));
        break;
    case 3:
        if (w->dhcp.id)
            dhcp_end(net);
        if (dhcp_start(net, &w->dhcp, 0x04030201))
            dhcp_step(net, &w->dhcp);
        break;
    case 4:
        tcp_listen(net, 7, next(w) * 0x01010101u);
        break;
    default:
        frame_comes(w);
    }
    check_sent(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w; /* all of it is set anew; it is large for a stack */
    memset(&w, 0, sizeof(w));
    w.in = (struct input){data, size};
    bench_init(&w.b);
    udp_listen(&w.b.net, 7, hear, &w.heard);
    tcp_listen(&w.b.net, 7, 0xfffffffe);
    while (w.in.left)
        operate(&w);
    return 0;
}
