/*
 * netdev_bench.h: a network of the host without a guest: its loop, a guest's end that keeps the
 * frames that a test waits for, and the frames of a DHCP client (RFC 951, RFC 2131).
 */
#ifndef KVMLENS_NETDEV_BENCH_H
#define KVMLENS_NETDEV_BENCH_H

#include "host/netdev.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS          1000000ull
#define PATIENCE_MS 5000
#define GUEST_IP    0x0a00020fu
#define HOST_IP     0x0a000202u
#define DNS_IP      0x0a000203u
#define MASK        0xffffff00u

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

/* A guest's end that keeps the last frame that it wants. */
struct wire {
    pthread_mutex_t lock;
    struct loop loop;
    struct loop_timer limit;
    struct netdev *dev[NETDEVS_MAX];
    struct device_options options;
    bool (*wants)(const uint8_t *frame, size_t len);
    uint8_t frame[NETDEV_FRAME_MAX];
    size_t len;
    unsigned count;
    unsigned room; /* frames that the guest still takes */
};

static inline bool take_frame(void *opaque, const void *frame, size_t len)
{
    struct wire *w = opaque;

    if (w->room == 0)
        return false;
    w->room--;
    w->count++;
    if (!w->wants || !w->wants(frame, len))
        return true;
    memcpy(w->frame, frame, len);
    w->len = len;
    loop_quit(&w->loop);
    return true;
}

static inline void out_of_patience(void *opaque)
{
    loop_quit(&((struct wire *)opaque)->loop);
}

static inline struct wire *make_wire(void)
{
    struct wire *w = calloc(1, sizeof *w);

    assert_non_null(w);
    pthread_mutex_init(&w->lock, NULL);
    assert_int_equal(loop_init(&w->loop), 0);
    w->limit = (struct loop_timer){.fire = out_of_patience, .opaque = w};
    assert_int_equal(loop_add_timer(&w->loop, &w->limit), 0);
    w->options.netdev_count = 1;
    w->options.netdev[0] = (struct netdev_option){
        .kind = NETDEV_USER, .id = "n0", .net = HOST_IP & MASK, .mask = MASK, .taken = true};
    w->room = UINT32_MAX;
    return w;
}

static inline void open_wire(struct wire *w)
{
    struct error err = {0};

    if (netdevs_open(w->dev, &w->options, &w->loop, &err) < 0)
        fail_msg("%s", err.text);
    netdev_connect(w->dev[0], &(struct netdev_peer){.receive = take_frame, .opaque = w});
}

static inline void expect_refused(struct wire *w, const char *text)
{
    struct error err = {0};

    assert_int_equal(netdevs_open(w->dev, &w->options, &w->loop, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    if (!strstr(err.text, text))
        fail_msg("not found in: %s", err.text);
}

static inline void free_wire(struct wire *w)
{
    netdevs_close(w->dev);
    loop_close(&w->loop);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* Runs the loop until WANTS takes a frame. */
static inline bool wait_for(struct wire *w, bool (*wants)(const uint8_t *frame, size_t len))
{
    w->len = 0;
    w->wants = wants;
    loop_arm(&w->loop, &w->limit, loop_now() + PATIENCE_MS * MS);
    assert_int_equal(loop_run(&w->loop, &w->lock), 0);
    return w->len > 0;
}

/* Sends and takes an answer that may come at once. */
static inline bool ask(struct wire *w, const void *frame, size_t len,
                       bool (*wants)(const uint8_t *frame, size_t len))
{
    /* In two parts, as a guest's buffers may be. */
    struct iovec iov[] = {{(void *)(uintptr_t)frame, 20},
                          {(uint8_t *)(uintptr_t)frame + 20, len - 20}};

    w->len = 0;
    w->wants = wants;
    assert_true(netdev_send(w->dev[0], iov, 2));
    if (w->len > 0) {
        loop_quit(&w->loop);
        loop_run(&w->loop, &w->lock);
        return true;
    }
    return wait_for(w, wants);
}

/* --- frames -------------------------------------------------------------------------------------- */

struct udp_frame {
    struct ether_header eth;
    struct iphdr ip;
    struct udphdr udp;
    uint8_t data[600];
} __attribute__((packed));

struct icmp_frame {
    struct ether_header eth;
    struct iphdr ip;
    struct icmphdr icmp;
    uint8_t data[32];
} __attribute__((packed));

struct arp_frame {
    struct ether_header eth;
    struct ether_arp arp;
} __attribute__((packed));

static inline uint16_t internet_sum(const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* An Ethernet and an IPv4 header at FRAME, the latter for LEN bytes with itself. */
static inline void fill_ip(void *frame, uint8_t protocol, uint32_t from, uint32_t to, size_t len)
{
    struct ether_header eth = {.ether_type = htons(ETHERTYPE_IP)};
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};

    memcpy(eth.ether_dhost,
           to == UINT32_MAX ? "\xff\xff\xff\xff\xff\xff" : "\x52\x55\x0a\x00\x02\x02", 6);
    memcpy(eth.ether_shost, guest_mac, 6);
    ip.tot_len = htons((uint16_t)len);
    ip.saddr = htonl(from);
    ip.daddr = htonl(to);
    ip.check = internet_sum(&ip, sizeof ip);
    memcpy(frame, &eth, sizeof eth);
    memcpy((uint8_t *)frame + sizeof eth, &ip, sizeof ip);
}

static inline size_t fill_udp(struct udp_frame *f, uint32_t from, uint16_t from_port, uint32_t to,
                              uint16_t to_port, size_t data)
{
    size_t len = sizeof f->udp + data;

    fill_ip(f, IPPROTO_UDP, from, to, sizeof f->ip + len);
    f->udp = (struct udphdr){.source = htons(from_port), .dest = htons(to_port)};
    f->udp.len = htons((uint16_t)len); /* a sum of 0: there is none */
    return sizeof f->eth + sizeof f->ip + len;
}

/* BOOTP's fields (RFC 951), then options. */
enum { DHCP_XID = 4, DHCP_YIADDR = 16, DHCP_CHADDR = 28, DHCP_COOKIE = 236, DHCP_OPTIONS = 240 };

static inline bool is_dhcp_reply(const uint8_t *frame, size_t len)
{
    const struct udp_frame *f = (const void *)frame;

    return len > offsetof(struct udp_frame, data) + DHCP_OPTIONS &&
           f->eth.ether_type == htons(ETHERTYPE_IP) && f->ip.protocol == IPPROTO_UDP &&
           f->udp.dest == htons(68);
}

/* The value of option CODE in the reply, or 0. */
static inline uint32_t dhcp_option(const struct wire *w, uint8_t code)
{
    const uint8_t *at = w->frame + offsetof(struct udp_frame, data) + DHCP_OPTIONS;
    const uint8_t *end = w->frame + w->len;
    uint32_t value = 0;

    while (at + 2 <= end && *at != 0xff && *at != code)
        at += *at ? at[1] + 2 : 1;
    if (at + 2 > end || *at != code)
        return 0;
    for (unsigned i = 0; i < at[1] && i < 4; i++)
        value = value << 8 | at[2 + i];
    return value;
}

/* A DHCP message of KIND, and its answer's kind. */
static inline uint32_t dhcp(struct wire *w, uint8_t kind, uint32_t wanted_ip)
{
    struct udp_frame f = {0};
    uint8_t *options = f.data + DHCP_OPTIONS;

    memcpy(f.data, "\x01\x01\x06\x00\x12\x34\x56\x78", 8); /* a request over Ethernet; xid */
    memcpy(f.data + DHCP_CHADDR, guest_mac, 6);
    memcpy(f.data + DHCP_COOKIE, "\x63\x82\x53\x63", 4);
    memcpy(options, (uint8_t[]){53, 1, kind}, 3);
    memcpy(options + 3,
           (uint8_t[]){50, 4, (uint8_t)(wanted_ip >> 24), (uint8_t)(wanted_ip >> 16),
                       (uint8_t)(wanted_ip >> 8), (uint8_t)wanted_ip, 0xff},
           7);
    assert_true(ask(w, &f, fill_udp(&f, 0, 68, UINT32_MAX, 67, 300), is_dhcp_reply));
    assert_memory_equal(w->frame + offsetof(struct udp_frame, data) + DHCP_XID, "\x12\x34\x56\x78",
                        4);
    return dhcp_option(w, 53);
}

static inline uint32_t dhcp_your_ip(const struct wire *w)
{
    uint32_t ip;

    memcpy(&ip, w->frame + offsetof(struct udp_frame, data) + DHCP_YIADDR, sizeof ip);
    return ntohl(ip);
}

#endif
