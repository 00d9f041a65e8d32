/*
 * test_guest_net.c: the guest's network stack (guest/net.h) against frames good and bad.
 */
#include "guest_net_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Hands FRAME in. Returns the length of the answer, which has to be a good frame. */
static size_t in(struct bench *b, struct frame *frame, size_t length)
{
    size_t answer = net_input(&b->net, frame, length);
    const char *fault = answer ? frame_fault(&b->net, frame, answer) : NULL;
    if (fault)
        fail_msg("an answer with a fault: %s", fault);
    return answer;
}

static void expect_dropped(struct bench *b, struct frame *frame, size_t length,
                           enum net_counter counter)
{
    uint64_t before = b->net.count[counter];
    assert_int_equal(in(b, frame, length), 0);
    if (b->net.count[counter] != before + 1)
        fail_msg("not counted: %s", net_counter_names[counter]);
}

static void expect_sent(struct bench *b, uint8_t protocol)
{
    const char *fault = frame_fault(&b->net, &b->out, b->out_length);
    if (fault)
        fail_msg("a frame with a fault: %s", fault);
    assert_int_equal(b->out.ip.protocol, protocol);
}

static void checksums(void **state)
{
    uint8_t bytes[64];
    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i < 32 ? 0xff : i * 37);
    for (size_t from = 0; from < 9; from++) {
        for (size_t length = 0; length + from <= sizeof(bytes); length++) {
            uint16_t fast = swap16(sum_fold(sum_bytes(bytes + from, length, 0)));
            assert_int_equal(fast, slow_sum(bytes + from, length, 0));
        }
    }
    assert_int_equal(sum_fold(UINT64_MAX), 0);
    assert_int_equal(sum_fold(0), 0xffff);
    /* RFC 1071, section 3 */
    const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(swap16((uint16_t)~sum_fold(sum_bytes(example, 8, 0))), 0xddf2);
}

static void addresses(void **state)
{
    uint32_t ip = 7;
    (void)state;
    assert_string_equal(ip_scan("10.0.2.15/24", &ip), "/24");
    assert_int_equal(ip, 0x0a00020f);
    assert_non_null(ip_scan("255.255.255.255", &ip));
    const char *bad[] = {"",       "1",       "1.2.3",   "1.2.3.",    "1.2.3.256", "1..2.3",
                         ".1.2.3", "a.b.c.d", "1.2.3,4", "0x1.2.3.4", "-1.2.3.4",  "999.1.1.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(ip_scan(bad[i], &ip));
    assert_true(ip_mask_valid(0xffffff00) && ip_mask_valid(0xffffffff) && ip_mask_valid(0));
    assert_false(ip_mask_valid(0xff00ff00) || ip_mask_valid(1));
}

static void routes(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b);
    assert_int_equal(ip_next_hop(&b.net, PEER), PEER);
    assert_int_equal(ip_next_hop(&b.net, 0x08080808), ROUTER);
    assert_null(ip_frame(&b.net, 0x08080808)); /* nobody knows the router's MAC address */
    b.net.router = 0;
    assert_int_equal(ip_next_hop(&b.net, 0x08080808), 0);
    assert_null(ip_frame(&b.net, 0x08080808));
    assert_non_null(ip_frame(&b.net, 0x0a0101ff)); /* a broadcast needs no MAC address */
    assert_memory_equal(&b.out.to, &mac_broadcast, 6);
    b.full = true;
    assert_null(ip_frame(&b.net, IP_ANYBODY));
    assert_int_equal(b.net.count[NET_NO_BUFFER], 1);
}

static void ethernet(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    memset(&frame, 0, sizeof(frame));
    size_t length = make_packet(&frame, IP_ICMP, 8);
    expect_dropped(&b, &frame, ETHER_HEADER - 1, NET_MALFORMED);
    expect_dropped(&b, &frame, 0, NET_MALFORMED);
    expect_dropped(&b, &frame, FRAME_MAX + 1, NET_MALFORMED);
    frame.from.byte[0] |= 1;
    expect_dropped(&b, &frame, length, NET_MALFORMED);
    frame.from = peer_mac;
    frame.to = peer_mac;
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
    frame.to = here_mac;
    frame.type = swap16(0x86dd);
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
}

static size_t make_arp(struct frame *frame, uint16_t operation, uint32_t sender, uint32_t target)
{
    frame->to = mac_broadcast;
    frame->from = peer_mac;
    frame->type = swap16(ETHER_ARP);
    frame->arp = (struct arp){.hardware = swap16(1),
                              .protocol = swap16(ETHER_IP),
                              .hardware_size = 6,
                              .protocol_size = 4,
                              .operation = swap16(operation),
                              .sender = peer_mac,
                              .sender_ip = swap32(sender),
                              .target_ip = swap32(target)};
    return ETHER_HEADER + sizeof(struct arp);
}

static void arp_answers(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    size_t length = make_arp(&frame, 1, PEER, HERE);
    assert_int_equal(in(&b, &frame, length + 18), length); /* padded as on a real wire */
    assert_memory_equal(&frame.to, &peer_mac, 6);
    assert_int_equal(swap16(frame.arp.operation), 2);
    assert_int_equal(swap32(frame.arp.sender_ip), HERE);
    assert_int_equal(swap32(frame.arp.target_ip), PEER);
    assert_memory_equal(&frame.arp.sender, &here_mac, 6);
    assert_memory_equal(&frame.arp.target, &peer_mac, 6);
    assert_null(arp_find(&b.net, PEER)); /* the cache takes nothing that it did not ask for */

    make_arp(&frame, 1, PEER, PEER + 5);
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
    make_arp(&frame, 1, HERE, HERE);
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
    make_arp(&frame, 1, PEER, 0);
    b.net.address = 0;
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
}

static void arp_learns(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    size_t length = make_arp(&frame, 2, PEER, HERE);
    assert_int_equal(in(&b, &frame, length), 0);
    assert_null(arp_find(&b.net, PEER));
    arp_ask(&b.net, PEER);
    assert_null(frame_fault(&b.net, &b.out, b.out_length));
    assert_int_equal(swap32(b.out.arp.target_ip), PEER);
    assert_null(arp_find(&b.net, PEER));
    make_arp(&frame, 2, PEER, HERE);
    assert_int_equal(in(&b, &frame, length), 0);
    assert_memory_equal(arp_find(&b.net, PEER), &peer_mac, 6);
    /* More than the cache holds: the oldest goes. */
    for (uint32_t i = 1; i <= ARP_ENTRIES; i++)
        arp_ask(&b.net, PEER + 0x10 + i);
    assert_null(arp_find(&b.net, PEER));
    assert_null(arp_find(&b.net, 0));
}

static void arp_malformed(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    size_t length = make_arp(&frame, 1, PEER, HERE);
    expect_dropped(&b, &frame, length - 1, NET_MALFORMED);
    frame.arp.hardware = swap16(6);
    expect_dropped(&b, &frame, length, NET_MALFORMED);
    make_arp(&frame, 1, PEER, HERE);
    frame.arp.protocol_size = 16;
    expect_dropped(&b, &frame, length, NET_MALFORMED);
    make_arp(&frame, 1, PEER, HERE);
    frame.arp.sender = mac_broadcast;
    expect_dropped(&b, &frame, length, NET_MALFORMED);
}

static size_t make_ping(struct frame *frame, size_t data)
{
    memset(frame, 0x5a, sizeof(*frame));
    size_t length = make_packet(frame, IP_ICMP, ICMP_HEADER + data);
    frame->icmp.type = 8;
    frame->icmp.code = 0;
    make_sums(frame, ICMP_HEADER + data);
    return length;
}

static void ping_is_answered(void **state)
{
    struct bench b;
    struct frame frame, asked;
    (void)state;
    bench_init(&b);
    const size_t sizes[] = {0, 1, 7, 56, 1472};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t length = make_ping(&frame, sizes[i]);
        asked = frame;
        assert_int_equal(in(&b, &frame, length < 60 ? 60 : length), length);
        assert_int_equal(frame.icmp.type, 0);
        assert_int_equal(frame.ip.ttl, IP_TTL);
        assert_memory_equal(&frame.to, &peer_mac, 6);
        assert_memory_equal(&frame.icmp.id, &asked.icmp.id, length - ETHER_HEADER - IP_HEADER - 4);
    }
    size_t length = make_ping(&frame, 8);
    frame.to = mac_broadcast;
    frame.ip.to = swap32(IP_ANYBODY);
    make_sums(&frame, ICMP_HEADER + 8);
    expect_dropped(&b, &frame, length, NET_NOT_OURS);
    length = make_ping(&frame, 8);
    frame.icmp.data[3]++;
    expect_dropped(&b, &frame, length, NET_BAD_SUM);
    length = make_packet(&frame, IP_ICMP, ICMP_HEADER - 1);
    make_sums(&frame, ICMP_HEADER - 1);
    expect_dropped(&b, &frame, length, NET_MALFORMED);
}

static void ip_malformed(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    size_t length = make_ping(&frame, 8);
    expect_dropped(&b, &frame, ETHER_HEADER + IP_HEADER - 1, NET_MALFORMED);
    expect_dropped(&b, &frame, length - 1, NET_MALFORMED); /* it says that it is longer */
    const uint32_t no_sources[] = {0, 0x7f000001, 0xe0000001, 0xffffffff, 0x0a0101ff, HERE};
    for (size_t i = 0; i < sizeof(no_sources) / sizeof(no_sources[0]); i++) {
        make_ping(&frame, 8);
        frame.ip.from = swap32(no_sources[i]);
        make_sums(&frame, ICMP_HEADER + 8);
        expect_dropped(&b, &frame, length, NET_MALFORMED);
    }
    const struct {
        size_t at;
        uint8_t value;
        enum net_counter counter;
    } change[] = {{0, 0x65, NET_MALFORMED}, {0, 0x44, NET_FRAGMENTS}, {0, 0x46, NET_FRAGMENTS},
                  {2, 0xff, NET_MALFORMED}, {6, 0x20, NET_FRAGMENTS}, {6, 0x80, NET_FRAGMENTS},
                  {7, 0x01, NET_FRAGMENTS}, {9, 50, NET_NOT_OURS},    {19, 3, NET_NOT_OURS}};
    for (size_t i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
        make_ping(&frame, 8);
        ((uint8_t *)&frame.ip)[change[i].at] = change[i].value;
        frame.ip.checksum = 0;
        frame.ip.checksum = swap16(slow_sum((const uint8_t *)&frame.ip, IP_HEADER, 0));
        expect_dropped(&b, &frame, length, change[i].counter);
    }
    make_ping(&frame, 8);
    frame.ip.length = swap16(19);
    expect_dropped(&b, &frame, length, NET_MALFORMED);
    make_ping(&frame, 8);
    frame.ip.ttl++;
    expect_dropped(&b, &frame, length, NET_BAD_SUM);
}

static void learn_peer(struct bench *b)
{
    struct frame frame;
    bench_init(b);
    arp_ask(&b->net, PEER);
    assert_int_equal(in(b, &frame, make_arp(&frame, 2, PEER, HERE)), 0);
}

static void ping_asks(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    bench_init(&b);
    assert_false(icmp_ping(&b.net, PEER, 1, 1, 56));
    learn_peer(&b);
    assert_true(icmp_ping(&b.net, PEER, 77, 3, 57));
    expect_sent(&b, IP_ICMP);
    assert_int_equal(b.out_length, ETHER_HEADER + IP_HEADER + ICMP_HEADER + 57);

    frame = b.out;
    size_t length = make_packet(&frame, IP_ICMP, ICMP_HEADER + 57);
    frame.icmp.type = 0;
    frame.icmp.sequence = swap16(4);
    make_sums(&frame, ICMP_HEADER + 57);
    in(&b, &frame, length);
    assert_true(b.net.ping.waiting); /* another one's answer */
    frame.icmp.sequence = swap16(3);
    make_sums(&frame, ICMP_HEADER + 57);
    in(&b, &frame, length);
    assert_true(b.net.ping.answered && !b.net.ping.waiting);
    assert_int_equal(b.net.ping.ttl, 9);
    assert_int_equal(b.net.ping.length, 57);
}

static void ping_is_told(void **state)
{
    struct bench b;
    struct frame frame;
    (void)state;
    learn_peer(&b);
    assert_true(icmp_ping(&b.net, PEER, 77, 3, 0));
    memset(&frame, 0, sizeof(frame));
    memcpy(frame.icmp.data, &b.out.ip, IP_HEADER + ICMP_HEADER);
    size_t quoted = ICMP_HEADER + IP_HEADER + ICMP_HEADER;
    size_t length = make_packet(&frame, IP_ICMP, quoted - 1);
    frame.icmp.type = 3;
    frame.icmp.code = 1;
    make_sums(&frame, quoted - 1);
    in(&b, &frame, length);
    assert_true(b.net.ping.waiting); /* it breaks off */
    length = make_packet(&frame, IP_ICMP, quoted);
    make_sums(&frame, quoted);
    in(&b, &frame, length);
    assert_false(b.net.ping.waiting || b.net.ping.answered);
    assert_int_equal(b.net.ping.unreachable, 2);
    assert_int_equal(b.net.ping.told_by, PEER);
}

static bool count(struct net *net, const struct frame *frame, size_t length, void *opaque)
{
    size_t *last = opaque;
    *last = length;
    return udp_may_echo(net, frame);
}

static size_t make_udp(struct frame *frame, uint16_t from, uint16_t to, size_t data)
{
    memset(frame, 0x77, sizeof(*frame));
    size_t length = make_packet(frame, IP_UDP, UDP_HEADER + data);
    frame->udp.from = swap16(from);
    frame->udp.to = swap16(to);
    frame->udp.length = swap16((uint16_t)(UDP_HEADER + data));
    make_sums(frame, UDP_HEADER + data);
    return length;
}

static void udp_echoes(void **state)
{
    struct bench b;
    struct frame frame;
    size_t last = 0;
    (void)state;
    bench_init(&b);
    assert_true(udp_listen(&b.net, 7, count, &last));
    const size_t sizes[] = {0, 1, 2, 64, 1472};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t length = make_udp(&frame, 1234, 7, sizes[i]);
        assert_int_equal(in(&b, &frame, length), length);
        assert_int_equal(last, sizes[i]);
        assert_int_equal(swap16(frame.udp.to), 1234);
        assert_int_equal(swap16(frame.udp.from), 7);
    }
    size_t length = make_udp(&frame, 1234, 7, 3);
    frame.udp.checksum = 0; /* none: which is allowed */
    assert_int_equal(in(&b, &frame, length), length);
    length = make_udp(&frame, 1234, 7, 3);
    frame.udp.length = swap16(UDP_HEADER + 1); /* less than the packet has: the rest is padding */
    frame.udp.checksum = 0;
    assert_int_equal(in(&b, &frame, length), length - 2);
    assert_int_equal(last, 1);
}

static void udp_does_not_echo(void **state)
{
    struct bench b;
    struct frame frame;
    size_t last = 99;
    (void)state;
    bench_init(&b);
    assert_true(udp_listen(&b.net, 7, count, &last));
    assert_int_equal(in(&b, &frame, make_udp(&frame, 7, 7, 1)), 0);
    assert_int_equal(in(&b, &frame, make_udp(&frame, 0, 7, 1)), 0);
    size_t length = make_udp(&frame, 9, 7, 1);
    frame.ip.to = swap32(IP_ANYBODY);
    make_sums(&frame, UDP_HEADER + 1);
    assert_int_equal(in(&b, &frame, length), 0);
    assert_int_equal(last, 1); /* it was heard */

    length = make_udp(&frame, 9, 7, 10);
    frame.udp.data[9] ^= 1;
    expect_dropped(&b, &frame, length, NET_BAD_SUM);
    for (unsigned told = 0; told < 40; told++) {
        length = make_udp(&frame, 9, 7, 10);
        frame.udp.length = swap16((uint16_t)told);
        frame.udp.checksum = 0;
        if (told < UDP_HEADER || told > UDP_HEADER + 10)
            expect_dropped(&b, &frame, length, NET_MALFORMED);
    }
    expect_dropped(&b, &frame, make_udp(&frame, 9, 0, 1), NET_MALFORMED);
    expect_dropped(&b, &frame, make_udp(&frame, 9, 8, 1), NET_NO_PORT);
    length = make_packet(&frame, IP_UDP, UDP_HEADER - 1);
    make_sums(&frame, UDP_HEADER - 1);
    expect_dropped(&b, &frame, length, NET_MALFORMED);
    udp_close(&b.net, 7);
    expect_dropped(&b, &frame, make_udp(&frame, 9, 7, 1), NET_NO_PORT);
}

static void udp_sends(void **state)
{
    struct bench b;
    (void)state;
    learn_peer(&b);
    struct frame *frame = ip_frame(&b.net, PEER);
    assert_ptr_equal(frame, &b.out);
    memcpy(frame->udp.data, "hello", 5);
    udp_send(&b.net, frame, PEER, 1, 2, 5);
    expect_sent(&b, IP_UDP);
    assert_int_not_equal(b.out.udp.checksum, 0);
    for (uint16_t port = 1; port <= UDP_PORTS; port++)
        assert_true(udp_listen(&b.net, port, count, NULL));
    assert_false(udp_listen(&b.net, 99, count, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums),
        cmocka_unit_test(addresses),
        cmocka_unit_test(routes),
        cmocka_unit_test(ethernet),
        cmocka_unit_test(arp_answers),
        cmocka_unit_test(arp_learns),
        cmocka_unit_test(arp_malformed),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(ip_malformed),
        cmocka_unit_test(ping_asks),
        cmocka_unit_test(ping_is_told),
        cmocka_unit_test(udp_echoes),
        cmocka_unit_test(udp_does_not_echo),
        cmocka_unit_test(udp_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
