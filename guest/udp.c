/*
 * udp.c: datagrams (RFC 768).
 */
#include "net.h"

static uint16_t sum_of(const struct frame *frame, size_t length)
{
    return sum_fold(sum_bytes(&frame->udp, length, sum_pseudo(frame, IP_UDP, length)));
}

bool udp_listen(struct net *net, uint16_t port, udp_handler *handler, void *opaque)
{
    for (unsigned i = 0; i < UDP_PORTS; i++) {
        if (net->udp[i].port == 0) {
            net->udp[i].port = port;
            net->udp[i].handler = handler;
            net->udp[i].opaque = opaque;
            return true;
        }
    }
    return false;
}

void udp_close(struct net *net, uint16_t port)
{
    for (unsigned i = 0; i < UDP_PORTS; i++) {
        if (net->udp[i].port == port)
            net->udp[i].port = 0;
    }
}

/* Two echo servers would talk for ever; a broadcast would be answered by all who hear it. */
bool udp_may_echo(const struct net *net, const struct frame *frame)
{
    return frame->udp.from && frame->udp.from != frame->udp.to && net->address &&
           frame->ip.to == swap32(net->address);
}

/* Turns the datagram round. Its data and the pair of addresses stay, and so does their sum. */
static size_t turn(struct net *net, struct frame *frame, size_t length)
{
    uint16_t port = frame->udp.from;
    frame->udp.from = frame->udp.to;
    frame->udp.to = port;
    return ip_turn(net, frame, length);
}

size_t udp_input(struct net *net, struct frame *frame, size_t length)
{
    const struct udp *udp = &frame->udp;
    size_t told = length < UDP_HEADER ? 0 : swap16(udp->length);
    if (told < UDP_HEADER || told > length || udp->to == 0) {
        net->count[NET_MALFORMED]++;
        return 0;
    }
    if (udp->checksum && sum_of(frame, told) != 0) {
        net->count[NET_BAD_SUM]++;
        return 0;
    }
    uint16_t port = swap16(udp->to);
    for (unsigned i = 0; i < UDP_PORTS; i++) {
        if (net->udp[i].port != port)
            continue;
        bool back = net->udp[i].handler(net, frame, told - UDP_HEADER, net->udp[i].opaque);
        /* Two echo servers would talk for ever; a broadcast would be answered by all. */
        if (!back || udp->from == 0 || udp->from == udp->to || frame->ip.to != swap32(net->address))
            return 0;
        return turn(net, frame, told);
    }
    net->count[NET_NO_PORT]++;
    return 0;
}

void udp_send(struct net *net, struct frame *frame, uint32_t to, uint16_t from_port,
              uint16_t to_port, size_t length)
{
    struct udp *udp = &frame->udp;
    size_t size = ip_header(net, frame, IP_UDP, to, UDP_HEADER + length);
    udp->from = swap16(from_port);
    udp->to = swap16(to_port);
    udp->length = swap16((uint16_t)(UDP_HEADER + length));
    udp->checksum = 0;
    udp->checksum = sum_of(frame, UDP_HEADER + length);
    if (udp->checksum == 0)
        udp->checksum = 0xffff; /* 0 says that there is none */
    ether_send(net, frame, size);
}
