/*
 * ether.c: Ethernet II frames (IEEE 802.3, RFC 894).
 */
#include "net.h"

const char *const net_counter_names[NET_COUNTERS] = {
    [NET_RECEIVED] = "frames received",
    [NET_SENT] = "frames sent",
    [NET_NO_BUFFER] = "not sent, no buffer free",
    [NET_NOT_OURS] = "dropped, not for this machine",
    [NET_MALFORMED] = "dropped, malformed",
    [NET_BAD_SUM] = "dropped, bad checksum",
    [NET_FRAGMENTS] = "dropped, fragment or IP options",
    [NET_NO_PORT] = "dropped, nobody listens",
};

void ether_turn(const struct net *net, struct frame *frame)
{
    frame->to = frame->from;
    frame->from = net->mac;
}

struct frame *ether_frame(struct net *net, const struct mac *to, uint16_t type)
{
    struct frame *frame = net->buffer(net);
    if (!frame) {
        net->count[NET_NO_BUFFER]++;
        return NULL;
    }
    frame->to = *to;
    frame->from = net->mac;
    frame->type = swap16(type);
    return frame;
}

void ether_send(struct net *net, struct frame *frame, size_t length)
{
    net->count[NET_SENT]++;
    net->send(net, frame, length);
}

static bool same(const struct mac *a, const struct mac *b)
{
    return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

size_t net_input(struct net *net, struct frame *frame, size_t length)
{
    size_t answer = 0;
    net->count[NET_RECEIVED]++;
    /* An answer to a group's address would be a message to all of them. */
    if (length < ETHER_HEADER || length > FRAME_MAX || (frame->from.byte[0] & 1))
        net->count[NET_MALFORMED]++;
    else if (!same(&frame->to, &net->mac) && !same(&frame->to, &mac_broadcast))
        net->count[NET_NOT_OURS]++;
    else if (frame->type == swap16(ETHER_IP))
        answer = ip_input(net, frame, length - ETHER_HEADER);
    else if (frame->type == swap16(ETHER_ARP))
        answer = arp_input(net, frame, length - ETHER_HEADER);
    else
        net->count[NET_NOT_OURS]++;
    if (answer)
        net->count[NET_SENT]++;
    return answer;
}
