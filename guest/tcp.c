/*
 * tcp.c: a server for one connection at a time that sends back what it gets (RFC 9293, 3.10).  It
 * takes data in order only, and no more until what it sent has been confirmed: so one segment,
 * in copy, is all that may have to be sent again.  Its window is one segment.
 */
#include "kernel.h"
#include "net.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define OPTION_MSS 2      /* largest segment: 4 bytes, the last two its size */
#define AGAIN_MS   300ull /* doubled with each try */
#define TRIES_MAX  5

static uint16_t sum_of(const struct frame *frame, size_t length)
{
    return sum_fold(sum_bytes(&frame->tcp, length, sum_pseudo(frame, IP_TCP, length)));
}

static void end(struct tcp_connection *c)
{
    if (c->state >= TCP_ESTABLISHED)
        c->closed++;
    c->state = TCP_LISTEN;
}

/* Makes the segment in FRAME, whose data are there. Returns the length of header and data. */
static size_t segment(struct net *net, struct frame *frame, uint32_t sequence, uint8_t flags,
                      size_t length)
{
    struct tcp_connection *c = &net->tcp;
    struct tcp *tcp = &frame->tcp;
    const uint8_t mss[4] = {OPTION_MSS, 4, TCP_DATA_MAX >> 8, TCP_DATA_MAX & 0xff};
    size_t options = flags & TCP_SYN ? sizeof(mss) : 0;
    memcpy(tcp->data, mss, options);
    tcp->from = swap16(c->port);
    tcp->to = swap16(c->peer_port);
    tcp->sequence = swap32(sequence);
    tcp->acknowledged = swap32(c->expected);
    tcp->offset = (uint8_t)((TCP_HEADER + options) / 4 << 4);
    tcp->flags = flags | TCP_ACK;
    tcp->window = swap16(TCP_DATA_MAX);
    tcp->urgent = tcp->checksum = 0;
    return TCP_HEADER + options + length;
}

/* Answers with a segment in the frame that came. */
static size_t answer(struct net *net, struct frame *frame, uint8_t flags, size_t length)
{
    struct tcp_connection *c = &net->tcp;
    size_t size = segment(net, frame, c->next, flags, length);
    size_t total = ip_turn(net, frame, size);
    frame->tcp.checksum = sum_of(frame, size);
    c->next += (uint32_t)length + !!(flags & (TCP_SYN | TCP_FIN));
    if (c->next != c->unacknowledged) {
        c->sent_ms = net->now_ms;
        c->tries = 0;
    }
    return total;
}

/* Nobody is there for this segment. */
static size_t reset(struct net *net, struct frame *frame, size_t length)
{
    struct tcp *tcp = &frame->tcp;
    uint16_t port = tcp->from;
    uint32_t taken = (uint32_t)length + !!(tcp->flags & TCP_SYN) + !!(tcp->flags & TCP_FIN);
    net->count[NET_NO_PORT]++;
    if (tcp->flags & TCP_RST)
        return 0;
    uint32_t sequence = tcp->flags & TCP_ACK ? tcp->acknowledged : 0;
    tcp->acknowledged = swap32(swap32(tcp->sequence) + taken);
    tcp->sequence = sequence;
    tcp->flags = tcp->flags & TCP_ACK ? TCP_RST : TCP_RST | TCP_ACK;
    tcp->from = tcp->to;
    tcp->to = port;
    tcp->offset = TCP_HEADER / 4 << 4;
    tcp->window = tcp->urgent = tcp->checksum = 0;
    size_t total = ip_turn(net, frame, TCP_HEADER);
    tcp->checksum = sum_of(frame, TCP_HEADER);
    return total;
}

static size_t open(struct net *net, struct frame *frame)
{
    struct tcp_connection *c = &net->tcp;
    c->peer = swap32(frame->ip.from);
    c->peer_port = swap16(frame->tcp.from);
    c->peer_mac = frame->from;
    c->expected = swap32(frame->tcp.sequence) + 1;
    c->unacknowledged = c->next;
    c->held = 0;
    c->state = TCP_SYN_RECEIVED;
    return answer(net, frame, TCP_SYN, 0);
}

/* What the peer confirms. False: something that has not been sent. */
static bool take_acknowledgement(struct net *net, uint32_t acknowledged)
{
    struct tcp_connection *c = &net->tcp;
    if ((int32_t)(c->next - acknowledged) < 0) /* over the wrap of sequence numbers, too */
        return false;
    if (acknowledged != c->next || c->unacknowledged == c->next)
        return true; /* nothing new, or a part: the whole is sent again */
    c->unacknowledged = acknowledged;
    c->held = 0;
    if (c->state == TCP_SYN_RECEIVED) {
        c->state = TCP_ESTABLISHED;
        c->opened++;
    } else if (c->state == TCP_LAST_ACK) {
        end(c);
    }
    return true;
}

/* A segment of the connection with LENGTH bytes of data. */
static size_t advance(struct net *net, struct frame *frame, const uint8_t *data, size_t length)
{
    struct tcp_connection *c = &net->tcp;
    uint8_t flags = frame->tcp.flags;
    uint32_t sequence = swap32(frame->tcp.sequence);
    if ((flags & TCP_RST) && sequence == c->expected)
        end(c);
    if (flags & TCP_RST) /* with another sequence number it is a guess (RFC 5961) */
        return 0;
    bool in_order = sequence == c->expected && !(flags & TCP_SYN);
    if (!in_order || !(flags & TCP_ACK) ||
        !take_acknowledgement(net, swap32(frame->tcp.acknowledged)))
        return answer(net, frame, 0, 0);
    if (c->state != TCP_ESTABLISHED || c->unacknowledged != c->next ||
        (length == 0 && !(flags & TCP_FIN)))
        return 0; /* one thing at a time: the peer will send it again */
    memcpy(c->copy, data, length);
    if (data != frame->tcp.data)
        memcpy(frame->tcp.data, c->copy, length);
    c->held = (uint16_t)length;
    c->echoed += length;
    c->expected += (uint32_t)length + !!(flags & TCP_FIN);
    if (flags & TCP_FIN)
        c->state = TCP_LAST_ACK;
    return answer(net, frame, flags & TCP_FIN, length);
}

size_t tcp_input(struct net *net, struct frame *frame, size_t length)
{
    struct tcp_connection *c = &net->tcp;
    struct tcp *tcp = &frame->tcp;
    size_t header = length < TCP_HEADER ? 0 : (size_t)(tcp->offset >> 4) * 4;
    if (header < TCP_HEADER || header > length) {
        net->count[NET_MALFORMED]++;
        return 0;
    }
    if (sum_of(frame, length) != 0) {
        net->count[NET_BAD_SUM]++;
        return 0;
    }
    bool known = c->state > TCP_LISTEN && tcp->to == swap16(c->port) &&
                 tcp->from == swap16(c->peer_port) && frame->ip.from == swap32(c->peer);
    if (known)
        return advance(net, frame, (const uint8_t *)tcp + header, length - header);
    uint8_t kind = tcp->flags & (TCP_SYN | TCP_RST | TCP_ACK);
    if (c->state == TCP_LISTEN && tcp->to == swap16(c->port) && kind == TCP_SYN)
        return open(net, frame);
    return reset(net, frame, length - header);
}

void tcp_listen(struct net *net, uint16_t port, uint32_t first)
{
    struct tcp_connection *c = &net->tcp;
    c->state = port ? TCP_LISTEN : TCP_CLOSED;
    c->port = port;
    c->next = first;
    c->echoed = c->opened = c->closed = 0;
}

void tcp_step(struct net *net)
{
    struct tcp_connection *c = &net->tcp;
    if (c->state <= TCP_LISTEN || c->unacknowledged == c->next ||
        net->now_ms - c->sent_ms < AGAIN_MS << c->tries)
        return;
    c->sent_ms = net->now_ms;
    if (c->tries++ == TRIES_MAX) {
        end(c);
        return;
    }
    struct frame *frame = ether_frame(net, &c->peer_mac, ETHER_IP);
    if (!frame)
        return;
    uint8_t flags = c->state == TCP_SYN_RECEIVED ? TCP_SYN : c->state == TCP_LAST_ACK ? TCP_FIN : 0;
    memcpy(frame->tcp.data, c->copy, c->held);
    size_t size = segment(net, frame, c->unacknowledged, flags, c->held);
    size_t total = ip_header(net, frame, IP_TCP, c->peer, size);
    frame->tcp.checksum = sum_of(frame, size);
    ether_send(net, frame, total);
}
