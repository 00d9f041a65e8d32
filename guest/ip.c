/*
 * ip.c: IPv4 packets (RFC 791, RFC 1122 section 3.2) and the checksum of all that they carry (RFC
 * 1071).  Fragments and options are dropped: machines on a virtual network send neither.
 */
#include "net.h"

#define IP_VERSION_LENGTH 0x45   /* version 4, a header of 5 words */
#define IP_DONT_FRAGMENT  0x4000 /* in the field fragment */
#define IP_MULTICAST      0xe0000000u

/* 32 bytes, with the carry of each addition going into the next: C has no word for that, and all
 * that comes and goes passes here. */
static uint64_t sum_32(const uint8_t *at, uint64_t sum)
{
    __asm__("addq (%1), %0\n\t"
            "adcq 8(%1), %0\n\t"
            "adcq 16(%1), %0\n\t"
            "adcq 24(%1), %0\n\t"
            "adcq $0, %0"
            : "+r"(sum)
            : "r"(at), "m"(*(const uint8_t(*)[32])at)
            : "cc");
    return sum;
}

static uint64_t add(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word); /* the carry comes in again at the other end */
}

uint64_t sum_bytes(const void *bytes, size_t length, uint64_t start)
{
    const uint8_t *at = bytes;
    uint64_t sum = start, word = 0;
    for (; length >= 32; length -= 32, at += 32)
        sum = sum_32(at, sum);
    for (; length >= 4; length -= 4, at += 4) {
        uint32_t half;
        __builtin_memcpy(&half, at, 4);
        sum = add(sum, half);
    }
    for (size_t i = 0; i < length; i++) /* the last bytes, as if zeros followed them */
        word |= (uint64_t)at[i] << (8 * i);
    return add(sum, word);
}

uint16_t sum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 16) + (uint16_t)sum;
    sum = (sum >> 16) + (uint16_t)sum;
    sum = (sum >> 16) + (uint16_t)sum;
    return (uint16_t)~sum;
}

uint64_t sum_pseudo(const struct frame *frame, uint8_t protocol, size_t length)
{
    return (uint64_t)frame->ip.from + frame->ip.to + swap16(protocol) + swap16((uint16_t)length);
}

static uint16_t header_sum(const struct frame *frame)
{
    uint32_t word[IP_HEADER / 4]; /* five of them leave the carries room in 64 bits */
    __builtin_memcpy(word, &frame->ip, IP_HEADER);
    return sum_fold((uint64_t)word[0] + word[1] + word[2] + word[3] + word[4]);
}

static size_t finish(struct frame *frame, size_t length)
{
    frame->ip.length = swap16((uint16_t)(IP_HEADER + length));
    frame->ip.checksum = 0;
    frame->ip.checksum = header_sum(frame);
    return ETHER_HEADER + IP_HEADER + length;
}

size_t ip_header(struct net *net, struct frame *frame, uint8_t protocol, uint32_t to, size_t length)
{
    frame->ip = (struct ip){.version_length = IP_VERSION_LENGTH,
                            .id = swap16(net->ip_id++),
                            .fragment = swap16(IP_DONT_FRAGMENT),
                            .ttl = IP_TTL,
                            .protocol = protocol,
                            .from = swap32(net->address),
                            .to = swap32(to)};
    return finish(frame, length);
}

size_t ip_turn(struct net *net, struct frame *frame, size_t length)
{
    ether_turn(net, frame);
    frame->ip.to = frame->ip.from;
    frame->ip.from = swap32(net->address);
    frame->ip.id = swap16(net->ip_id++);
    frame->ip.fragment = swap16(IP_DONT_FRAGMENT);
    frame->ip.ttl = IP_TTL;
    return finish(frame, length);
}

static bool is_broadcast(const struct net *net, uint32_t ip)
{
    bool has_own = net->address && ~net->mask > 1; /* a network of two has none (RFC 3021) */
    return ip == IP_ANYBODY || (has_own && ip == (net->address | ~net->mask));
}

/* No machine of its own can have sent from there (RFC 1122, 3.2.1.3). */
static bool is_no_source(const struct net *net, uint32_t ip)
{
    return ip >> 24 == 0 || ip >> 24 == 127 || ip >= IP_MULTICAST || ip == net->address ||
           is_broadcast(net, ip);
}

size_t ip_input(struct net *net, struct frame *frame, size_t length)
{
    const struct ip *ip = &frame->ip;
    size_t total = length < IP_HEADER ? 0 : swap16(ip->length), data = total - IP_HEADER;
    if (total < IP_HEADER || total > length || ip->version_length >> 4 != 4 ||
        is_no_source(net, swap32(ip->from))) {
        net->count[NET_MALFORMED]++;
        return 0;
    }
    if (ip->version_length != IP_VERSION_LENGTH || (ip->fragment & swap16(0xbfff))) {
        net->count[NET_FRAGMENTS]++;
        return 0;
    }
    if (header_sum(frame) != 0) {
        net->count[NET_BAD_SUM]++;
        return 0;
    }
    uint32_t to = swap32(ip->to);
    bool direct = net->address && to == net->address;
    if (ip->protocol == IP_UDP && (direct || is_broadcast(net, to)))
        return udp_input(net, frame, data);
    if (ip->protocol == IP_ICMP && direct)
        return icmp_input(net, frame, data);
    if (ip->protocol == IP_TCP && direct)
        return tcp_input(net, frame, data);
    net->count[NET_NOT_OURS]++;
    return 0;
}

uint32_t ip_next_hop(const struct net *net, uint32_t ip)
{
    return ((ip ^ net->address) & net->mask) == 0 ? ip : net->router;
}

struct frame *ip_frame(struct net *net, uint32_t ip)
{
    const struct mac *to =
        is_broadcast(net, ip) ? &mac_broadcast : arp_find(net, ip_next_hop(net, ip));
    return to ? ether_frame(net, to, ETHER_IP) : NULL;
}

const char *ip_scan(const char *text, uint32_t *ip)
{
    uint32_t address = 0;
    for (unsigned part = 0; part < 4; part++, text++) {
        unsigned value = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 3; digits++)
            value = value * 10 + (unsigned)(*text++ - '0');
        if (digits == 0 || value > 255)
            return NULL;
        address = address << 8 | value;
        if (part == 3)
            break;
        if (*text != '.')
            return NULL;
    }
    *ip = address;
    return text;
}

bool ip_mask_valid(uint32_t mask)
{
    return (~mask & (~mask + 1)) == 0;
}
