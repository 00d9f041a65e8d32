/*
 * guest_net_bench.h: the guest's network stack on a wire that a test holds: frames are made field by
 * field, and those that the stack sends are kept and looked at.
 */
#ifndef KVMLENS_GUEST_NET_BENCH_H
#define KVMLENS_GUEST_NET_BENCH_H

#include "../../guest/net.h"

#include <stdlib.h>
#include <string.h>

#define HERE   0x0a010102u /* 10.1.1.2, the stack's own */
#define PEER   0x0a010101u
#define ROUTER 0x0a0101feu

static const struct mac here_mac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};
static const struct mac peer_mac = {{2, 0, 0, 0, 0, 1}};

struct bench {
    struct net net;
    struct frame out;  /* the last frame that was sent, not as an answer */
    size_t out_length; /* 0: none */
    unsigned sent;     /* how many */
    bool full;         /* no buffer is free */
    bool taken;        /* out has been handed out, and not sent yet */
};

static inline struct frame *bench_buffer(struct net *net)
{
    struct bench *b = (struct bench *)net;
    if (b->full || b->taken)
        return NULL;
    b->taken = true;
    b->out_length = 0;
    memset(&b->out, 0xa5, sizeof(b->out)); /* as an earlier frame left it */
    return &b->out;
}

static inline void bench_send(struct net *net, struct frame *frame, size_t length)
{
    struct bench *b = (struct bench *)net;
    if (frame != &b->out || !b->taken)
        abort();
    b->taken = false;
    b->out_length = length;
    b->sent++;
}

static inline void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    b->net = (struct net){.mac = here_mac,
                          .address = HERE,
                          .mask = 0xffffff00,
                          .router = ROUTER,
                          .buffer = bench_buffer,
                          .send = bench_send};
}

/* The checksum as RFC 1071 words it, one big-endian word after the other. */
static inline uint16_t slow_sum(const uint8_t *bytes, size_t length, uint32_t start)
{
    uint32_t sum = start;
    for (size_t i = 0; i < length; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static inline uint32_t slow_pseudo(const struct frame *frame, size_t length)
{
    uint32_t from = swap32(frame->ip.from), to = swap32(frame->ip.to);
    return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + frame->ip.protocol +
           (uint32_t)length;
}

static inline uint16_t part_sum(const struct frame *frame, size_t length)
{
    bool pseudo = frame->ip.protocol == IP_UDP || frame->ip.protocol == IP_TCP;
    return slow_sum((const uint8_t *)&frame->icmp, length, pseudo ? slow_pseudo(frame, length) : 0);
}

/* Makes the checksums of a packet with LENGTH bytes behind the IP header right. */
static inline void make_sums(struct frame *frame, size_t length)
{
    size_t at = frame->ip.protocol == IP_UDP   ? offsetof(struct udp, checksum)
                : frame->ip.protocol == IP_TCP ? offsetof(struct tcp, checksum)
                                               : offsetof(struct icmp, checksum);
    uint8_t *sum = (uint8_t *)&frame->icmp + at;
    memset(sum, 0, 2);
    uint16_t value = swap16(part_sum(frame, length));
    memcpy(sum, &value, 2);
    frame->ip.checksum = 0;
    frame->ip.checksum = swap16(slow_sum((const uint8_t *)&frame->ip, IP_HEADER, 0));
}

/* The headers of a packet from the peer with LENGTH bytes behind the IP header. Returns the frame's
 * length; the checksums are to be made. */
static inline size_t make_packet(struct frame *frame, uint8_t protocol, size_t length)
{
    frame->to = here_mac;
    frame->from = peer_mac;
    frame->type = swap16(ETHER_IP);
    frame->ip = (struct ip){.version_length = 0x45,
                            .length = swap16((uint16_t)(IP_HEADER + length)),
                            .ttl = 9,
                            .protocol = protocol,
                            .from = swap32(PEER),
                            .to = swap32(HERE)};
    return ETHER_HEADER + IP_HEADER + length;
}

/* What is wrong with a frame that the stack has sent; NULL: nothing. */
static inline const char *frame_fault(const struct net *net, const struct frame *frame,
                                      size_t length)
{
    if (length < ETHER_HEADER || length > FRAME_MAX)
        return "the length";
    if (memcmp(&frame->from, &net->mac, sizeof(struct mac)) != 0)
        return "the sender's MAC address";
    if (frame->type == swap16(ETHER_ARP))
        return length == ETHER_HEADER + sizeof(struct arp) ? NULL : "the length of an ARP packet";
    if (frame->type != swap16(ETHER_IP))
        return "the type";
    size_t part = length - ETHER_HEADER - IP_HEADER;
    if (frame->ip.version_length != 0x45 || swap16(frame->ip.length) != IP_HEADER + part)
        return "the IP header";
    if (frame->ip.from != swap32(net->address) || frame->ip.from == frame->ip.to)
        return "an IP address";
    if (slow_sum((const uint8_t *)&frame->ip, IP_HEADER, 0) != 0)
        return "the IP header's checksum";
    if (frame->ip.protocol == IP_UDP && swap16(frame->udp.length) != part)
        return "the UDP length";
    bool without = frame->ip.protocol == IP_UDP && frame->udp.checksum == 0;
    return !without && part_sum(frame, part) != 0 ? "the checksum" : NULL;
}

#endif
