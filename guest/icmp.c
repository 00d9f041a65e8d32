/*
 * icmp.c: ping, asked and answered, and word of a destination that cannot be reached (RFC 792).
 */
#include "net.h"

#define ICMP_ECHO_REPLY   0
#define ICMP_UNREACHABLE  3
#define ICMP_ECHO_REQUEST 8

/* Behind the header of "unreachable": the header of the packet it is about, and 8 bytes more. */
struct WIRE quoted {
    struct ip ip;
    uint8_t type, code;
    uint16_t checksum, id, sequence;
};

static void take_answer(struct net *net, const struct frame *frame, size_t length)
{
    const struct icmp *icmp = &frame->icmp;
    if (!net->ping.waiting || icmp->id != swap16(net->ping.id) ||
        icmp->sequence != swap16(net->ping.sequence) || frame->ip.from != swap32(net->ping.to))
        return;
    net->ping.waiting = false;
    net->ping.answered = true;
    net->ping.ttl = frame->ip.ttl;
    net->ping.length = (uint16_t)(length - ICMP_HEADER);
}

static void take_unreachable(struct net *net, const struct frame *frame, size_t length)
{
    struct quoted about;
    if (length < ICMP_HEADER + sizeof(about))
        return;
    __builtin_memcpy(&about, frame->icmp.data, sizeof(about));
    if (!net->ping.waiting || about.ip.to != swap32(net->ping.to) || about.ip.protocol != IP_ICMP ||
        about.id != swap16(net->ping.id) || about.sequence != swap16(net->ping.sequence))
        return;
    net->ping.waiting = false;
    net->ping.unreachable = (uint8_t)((frame->icmp.code & 0x1f) + 1);
    net->ping.told_by = swap32(frame->ip.from);
}

size_t icmp_input(struct net *net, struct frame *frame, size_t length)
{
    struct icmp *icmp = &frame->icmp;
    if (length < ICMP_HEADER) {
        net->count[NET_MALFORMED]++;
        return 0;
    }
    if (sum_fold(sum_bytes(icmp, length, 0)) != 0) {
        net->count[NET_BAD_SUM]++;
        return 0;
    }
    if (icmp->type == ICMP_ECHO_REPLY) {
        take_answer(net, frame, length);
    } else if (icmp->type == ICMP_UNREACHABLE) {
        take_unreachable(net, frame, length);
    } else if (icmp->type == ICMP_ECHO_REQUEST && icmp->code == 0) {
        icmp->type = ICMP_ECHO_REPLY;
        icmp->checksum = 0;
        icmp->checksum = sum_fold(sum_bytes(icmp, length, 0));
        return ip_turn(net, frame, length);
    } else {
        net->count[NET_NOT_OURS]++;
    }
    return 0;
}

bool icmp_ping(struct net *net, uint32_t to, uint16_t id, uint16_t sequence, size_t length)
{
    struct frame *frame = ip_frame(net, to);
    if (!frame)
        return false;
    struct icmp *icmp = &frame->icmp;
    icmp->type = ICMP_ECHO_REQUEST;
    icmp->code = 0;
    icmp->id = swap16(id);
    icmp->sequence = swap16(sequence);
    for (size_t i = 0; i < length; i++)
        icmp->data[i] = (uint8_t)i;
    icmp->checksum = 0;
    icmp->checksum = sum_fold(sum_bytes(icmp, ICMP_HEADER + length, 0));
    net->ping.waiting = true;
    net->ping.answered = false;
    net->ping.unreachable = 0;
    net->ping.to = to;
    net->ping.id = id;
    net->ping.sequence = sequence;
    ether_send(net, frame, ip_header(net, frame, IP_ICMP, to, ICMP_HEADER + length));
    return true;
}
