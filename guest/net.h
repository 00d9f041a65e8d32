/*
 * net.h: the network, from the wire up.  A frame comes in through net_input(); where it asks for an
 * answer (ARP, ping, UDP echo, TCP), the answer is made in the frame that asked, and goes back in
 * the same buffer: nothing is copied.
 *
 *     net.c    the card (virtio-net)
 *     ether.c  Ethernet frames            arp.c   who has which address
 *     ip.c     IPv4, checksums, routing   icmp.c  ping
 *     udp.c    datagrams                  dhcp.c  an address from the network
 *     tcp.c    one connection
 *
 * All but net.c knows only struct net, so it is tested and fuzzed on the host.  Whoever sends frames
 * is hostile: each length and field is checked before it is used.  IPv4 addresses in struct net and
 * in arguments are numbers (10.0.2.15 is 0x0a00020f); on the wire they are big-endian.
 */
#ifndef GUEST_NET_H
#define GUEST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETHER_HEADER 14u
#define IP_HEADER    20u /* packets with options are dropped */
#define UDP_HEADER   8u
#define TCP_HEADER   20u
#define ICMP_HEADER  8u
#define IP_MTU       1500u
#define FRAME_MAX    (ETHER_HEADER + IP_MTU)
#define UDP_DATA_MAX (IP_MTU - IP_HEADER - UDP_HEADER)
#define TCP_DATA_MAX (IP_MTU - IP_HEADER - TCP_HEADER)

#define ETHER_IP   0x0800
#define ETHER_ARP  0x0806
#define IP_ICMP    1
#define IP_TCP     6
#define IP_UDP     17
#define IP_TTL     64
#define IP_ANYBODY 0xffffffffu /* broadcast on this network */

#define WIRE __attribute__((packed))

struct WIRE mac {
    uint8_t byte[6];
};

struct WIRE arp { /* RFC 826, for Ethernet and IPv4 */
    uint16_t hardware, protocol;
    uint8_t hardware_size, protocol_size;
    uint16_t operation;
    struct mac sender;
    uint32_t sender_ip;
    struct mac target;
    uint32_t target_ip;
};

struct WIRE ip { /* RFC 791 */
    uint8_t version_length, service;
    uint16_t length, id, fragment;
    uint8_t ttl, protocol;
    uint16_t checksum;
    uint32_t from, to;
};

struct WIRE icmp { /* RFC 792: echo */
    uint8_t type, code;
    uint16_t checksum, id, sequence;
    uint8_t data[IP_MTU - IP_HEADER - ICMP_HEADER];
};

struct WIRE udp { /* RFC 768 */
    uint16_t from, to, length, checksum;
    uint8_t data[UDP_DATA_MAX];
};

struct WIRE tcp { /* RFC 9293 */
    uint16_t from, to;
    uint32_t sequence, acknowledged;
    uint8_t offset, flags; /* the header's length in words is in the upper half of offset */
    uint16_t window, checksum, urgent;
    uint8_t data[TCP_DATA_MAX];
};

/* The largest frame; what is behind the length that came with it is not to be looked at. */
struct WIRE frame {
    struct mac to, from;
    uint16_t type;
    union {
        struct arp arp;
        struct WIRE {
            struct ip ip;
            union {
                struct icmp icmp;
                struct udp udp;
                struct tcp tcp;
            };
        };
    };
};
_Static_assert(sizeof(struct frame) == FRAME_MAX, "nothing is padded");

static inline uint16_t swap16(uint16_t value)
{
    return __builtin_bswap16(value);
}

static inline uint32_t swap32(uint32_t value)
{
    return __builtin_bswap32(value);
}

#define ARP_ENTRIES 8
#define UDP_PORTS   4

struct net;

/* A datagram of LENGTH bytes of data has come. True: it goes back to its sender as it is, which is
 * right only where udp_may_echo() says so. */
typedef bool udp_handler(struct net *net, const struct frame *frame, size_t length, void *opaque);

/* What is counted; net_counter_names has their names. */
enum net_counter {
    NET_RECEIVED,
    NET_SENT,
    NET_NO_BUFFER, /* not sent: all buffers are on their way */
    NET_NOT_OURS, /* dropped, from here on: to another address, or of a protocol that is not here */
    NET_MALFORMED, /* too short, or fields that contradict each other */
    NET_BAD_SUM,   /* a checksum is wrong */
    NET_FRAGMENTS, /* or with IP options: neither is put up with */
    NET_NO_PORT,   /* nobody listens there */
    NET_COUNTERS
};
extern const char *const net_counter_names[NET_COUNTERS];

/* The one TCP connection (tcp.c). */
enum tcp_state { TCP_CLOSED, TCP_LISTEN, TCP_SYN_RECEIVED, TCP_ESTABLISHED, TCP_LAST_ACK };
struct tcp_connection {
    enum tcp_state state;
    uint16_t port, peer_port;
    uint32_t peer; /* address */
    struct mac peer_mac;
    uint32_t unacknowledged; /* the first sequence number that the peer has not confirmed */
    uint32_t next;           /* ... that has not been sent */
    uint32_t expected;       /* ... that has not come from the peer */
    uint16_t held;           /* bytes of data sent and not confirmed, in copy */
    uint64_t sent_ms;        /* when the last segment went out */
    unsigned tries;
    uint64_t echoed, opened, closed; /* bytes, connections; since tcp_listen() */
    uint8_t copy[TCP_DATA_MAX];
};

struct net {
    struct mac mac;
    uint32_t address, mask, router, dns; /* 0: none */
    uint64_t now_ms;                     /* kept up by who polls the card */
    struct arp_entry {
        uint32_t ip; /* 0: free */
        struct mac mac;
        bool known; /* else it has been asked for */
    } arp[ARP_ENTRIES];
    unsigned arp_next; /* the entry to give up for a new one */
    struct {
        uint16_t port; /* 0: free */
        udp_handler *handler;
        void *opaque;
    } udp[UDP_PORTS];
    struct {
        uint16_t id, sequence;
        uint32_t to;
        bool waiting, answered;
        uint8_t unreachable; /* code + 1 of the ICMP message that said so; 0: none came */
        uint32_t told_by;
        uint8_t ttl;     /* of the answer */
        uint16_t length; /* of its data */
    } ping;
    struct tcp_connection tcp;
    uint16_t ip_id;
    uint64_t count[NET_COUNTERS];
    /* The card. buffer: a frame to fill, or NULL when all are on their way; send: sends it. */
    struct frame *(*buffer)(struct net *net);
    void (*send)(struct net *net, struct frame *frame, size_t length);
};

/* net.c: the card. NULL: there is none, and it has said so. Started anew where it needs that. */
struct net *net_open(void);
/* Takes what has come, answers it, and lets the card send. Returns how many frames had come. */
unsigned net_poll(struct net *net);
void net_wait(void);    /* until something comes, or the clock ticks */
void net_print(void);   /* the card's state, and what it has cost */
bool net_sending(void); /* a frame is not out yet; net_poll() looks anew */

/* ether.c */
/* A frame of LENGTH bytes has come. Returns the length of the answer that is now in it; 0: none. */
size_t net_input(struct net *net, struct frame *frame, size_t length);
/* A frame to send to TO, with its Ethernet header made; NULL when none is free. */
struct frame *ether_frame(struct net *net, const struct mac *to, uint16_t type);
void ether_send(struct net *net, struct frame *frame, size_t length);
/* Turns a frame round: to its sender, from this card. */
void ether_turn(const struct net *net, struct frame *frame);

/* arp.c */
extern const struct mac mac_broadcast;
size_t arp_input(struct net *net, struct frame *frame, size_t length);
/* Asks the network who has IP, which must be on it. The answer comes in time, or not. */
void arp_ask(struct net *net, uint32_t ip);
const struct mac *arp_find(const struct net *net, uint32_t ip); /* NULL: not known */

/* ip.c */
/* The one's complement sum of LENGTH bytes and of START, not folded to 16 bits (RFC 1071). */
uint64_t sum_bytes(const void *bytes, size_t length, uint64_t start);
uint16_t sum_fold(uint64_t sum); /* the checksum: 16 bits, complemented */
/* The sum of the pseudo-header, for a UDP or TCP part of LENGTH bytes. */
uint64_t sum_pseudo(const struct frame *frame, uint8_t protocol, size_t length);
size_t ip_input(struct net *net, struct frame *frame, size_t length);
/* Makes the header of a packet with LENGTH bytes behind it. Returns the frame's length. */
size_t ip_header(struct net *net, struct frame *frame, uint8_t protocol, uint32_t to,
                 size_t length);
/* Turns an IP packet round, with LENGTH bytes behind its header. Returns the frame's length. */
size_t ip_turn(struct net *net, struct frame *frame, size_t length);
/* Who on this network takes a packet to IP: IP itself, or the router; 0: nobody. */
uint32_t ip_next_hop(const struct net *net, uint32_t ip);
/* A frame to send to IP; NULL when no buffer is free, or the next hop's MAC address is not known. */
struct frame *ip_frame(struct net *net, uint32_t ip);
/* Reads a.b.c.d at TEXT. Returns what follows it; NULL if that is not an address. */
const char *ip_scan(const char *text, uint32_t *ip);
bool ip_mask_valid(uint32_t mask);

/* icmp.c */
size_t icmp_input(struct net *net, struct frame *frame, size_t length);
/* Sends an echo request with LENGTH bytes of data. False: see ip_frame(). */
bool icmp_ping(struct net *net, uint32_t to, uint16_t id, uint16_t sequence, size_t length);

/* udp.c */
size_t udp_input(struct net *net, struct frame *frame, size_t length);
bool udp_may_echo(const struct net *net, const struct frame *frame);
bool udp_listen(struct net *net, uint16_t port, udp_handler *handler, void *opaque);
void udp_close(struct net *net, uint16_t port);
/* The data of FRAME, LENGTH bytes, are there: makes the headers and sends it. */
void udp_send(struct net *net, struct frame *frame, uint32_t to, uint16_t from_port,
              uint16_t to_port, size_t length);

/* dhcp.c */
enum dhcp_state { DHCP_DISCOVER, DHCP_REQUEST, DHCP_BOUND, DHCP_REFUSED, DHCP_SILENT };
struct dhcp {
    enum dhcp_state state;
    uint32_t id;                                 /* of this exchange */
    uint32_t address, server, mask, router, dns; /* as offered; 0: not */
    uint32_t lease;                              /* seconds */
    unsigned tries;                              /* of the message that is waited for */
    uint64_t deadline_ms;                        /* when it is sent again */
};
/* Begins to ask for an address. Then, until the state is BOUND, REFUSED or SILENT: receive frames,
 * and call dhcp_step() to send what is due. BOUND: struct net has the address. */
bool dhcp_start(struct net *net, struct dhcp *dhcp, uint32_t id);
void dhcp_step(struct net *net, struct dhcp *dhcp);
void dhcp_end(struct net *net);

/* tcp.c: a server that sends back what it gets */
size_t tcp_input(struct net *net, struct frame *frame, size_t length);
/* PORT 0: at none any more. FIRST: the sequence number to begin with, which nobody should guess. */
void tcp_listen(struct net *net, uint16_t port, uint32_t first);
void tcp_step(struct net *net); /* sends again what has not been confirmed in time */

#endif
