/*
 * test_guest_tcp.c: the guest's TCP server (guest/tcp.c) with a peer that plays well and badly.
 */
#include "guest_net_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

#define PORT      7
#define PEER_PORT 4000

struct peer {
    struct bench b;
    struct frame frame; /* the segment in, and the answer */
    size_t answer;      /* its length; 0: none */
    uint32_t mine, his; /* next sequence numbers */
};

/* Sends a segment of DATA bytes of value VALUE, with the sequence number SEQUENCE. */
static void put(struct peer *p, uint16_t port, uint8_t flags, uint32_t sequence, size_t data,
                uint8_t value)
{
    memset(&p->frame, 0xee, sizeof(p->frame));
    size_t length = make_packet(&p->frame, IP_TCP, TCP_HEADER + data);
    struct tcp *tcp = &p->frame.tcp;
    tcp->from = swap16(port);
    tcp->to = swap16(PORT);
    tcp->sequence = swap32(sequence);
    tcp->acknowledged = swap32(p->his);
    tcp->offset = 5 << 4;
    tcp->flags = flags;
    tcp->window = swap16(5000);
    tcp->urgent = 0;
    memset(tcp->data, value, data);
    make_sums(&p->frame, TCP_HEADER + data);
    p->answer = net_input(&p->b.net, &p->frame, length);
    const char *fault = p->answer ? frame_fault(&p->b.net, &p->frame, p->answer) : NULL;
    if (fault)
        fail_msg("an answer with a fault: %s", fault);
}

static size_t answer_data(const struct peer *p)
{
    return p->answer - ETHER_HEADER - IP_HEADER - (size_t)(p->frame.tcp.offset >> 4) * 4;
}

/* The answer has FLAGS and DATA bytes, and confirms what came. */
static void expect_answer(const struct peer *p, uint8_t flags, size_t data)
{
    assert_int_not_equal(p->answer, 0);
    assert_int_equal(p->frame.tcp.flags, flags);
    assert_int_equal(answer_data(p), data);
    assert_int_equal(swap32(p->frame.tcp.acknowledged), p->mine);
    assert_int_equal(swap16(p->frame.tcp.to), PEER_PORT);
}

static void start(struct peer *p, uint32_t first)
{
    bench_init(&p->b);
    p->mine = 1000;
    p->his = 0;
    tcp_listen(&p->b.net, PORT, first);
}

static void connect(struct peer *p, uint32_t first)
{
    start(p, first);
    put(p, PEER_PORT, SYN, p->mine++, 0, 0);
    expect_answer(p, SYN | ACK, 0);
    assert_int_equal(swap32(p->frame.tcp.sequence), first);
    const uint8_t mss[] = {2, 4, 1460 >> 8, 1460 & 0xff};
    assert_memory_equal(p->frame.tcp.data, mss, 4);
    p->his = first + 1;
    put(p, PEER_PORT, ACK, p->mine, 0, 0);
    assert_int_equal(p->answer, 0);
    assert_int_equal(p->b.net.tcp.opened, 1);
}

static void echo(struct peer *p, size_t data)
{
    uint32_t sequence = p->mine;
    p->mine += (uint32_t)data;
    put(p, PEER_PORT, ACK, sequence, data, 'a');
    expect_answer(p, ACK, data);
    assert_int_equal(swap32(p->frame.tcp.sequence), p->his);
    for (size_t i = 0; i < data; i++)
        assert_int_equal(p->frame.tcp.data[i], 'a');
    p->his += (uint32_t)data;
}

static void close_it(struct peer *p)
{
    uint32_t sequence = p->mine++;
    put(p, PEER_PORT, FIN | ACK, sequence, 0, 0);
    expect_answer(p, FIN | ACK, 0);
    p->his++;
    put(p, PEER_PORT, ACK, p->mine, 0, 0);
    assert_int_equal(p->answer, 0);
    assert_int_equal(p->b.net.tcp.state, TCP_LISTEN);
    assert_int_equal(p->b.net.tcp.closed, 1);
}

static void echoes(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 0xfffffff0); /* the sequence numbers pass over zero */
    echo(&p, 1);
    echo(&p, 100);
    echo(&p, TCP_DATA_MAX);
    close_it(&p);
    assert_int_equal(p.b.net.tcp.echoed, 101 + TCP_DATA_MAX);
}

static void end_with_data(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    p.mine += 4;
    put(&p, PEER_PORT, FIN | ACK, p.mine - 4, 3, 'z');
    expect_answer(&p, FIN | ACK, 3);
    p.his += 4;
    put(&p, PEER_PORT, ACK, p.mine, 0, 0);
    assert_int_equal(p.b.net.tcp.state, TCP_LISTEN);
}

static void options_are_passed_over(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    put(&p, PEER_PORT, ACK, p.mine, 12 + 3, 'q');
    p.his += 15;
    p.mine += 15;
    memset(&p.frame, 0, sizeof(p.frame));
    size_t length = make_packet(&p.frame, IP_TCP, TCP_HEADER + 12 + 3);
    p.frame.tcp.from = swap16(PEER_PORT);
    p.frame.tcp.to = swap16(PORT);
    p.frame.tcp.sequence = swap32(p.mine);
    p.frame.tcp.acknowledged = swap32(p.his);
    p.frame.tcp.offset = 8 << 4;
    p.frame.tcp.flags = ACK;
    memcpy(p.frame.tcp.data + 12, "abc", 3);
    make_sums(&p.frame, TCP_HEADER + 12 + 3);
    p.answer = net_input(&p.b.net, &p.frame, length);
    p.mine += 3;
    expect_answer(&p, ACK, 3);
    assert_memory_equal(p.frame.tcp.data, "abc", 3);
}

static void is_sent_again(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    echo(&p, 10);
    p.his -= 10; /* it was lost on its way */
    for (unsigned i = 0; i < 2; i++) {
        p.b.net.now_ms += 299ull << i;
        tcp_step(&p.b.net);
        assert_int_equal(p.b.sent, i);
        p.b.net.now_ms += 1ull << i;
        tcp_step(&p.b.net);
        assert_int_equal(p.b.sent, i + 1);
        assert_null(frame_fault(&p.b.net, &p.b.out, p.b.out_length));
        assert_int_equal(swap32(p.b.out.tcp.sequence), p.his);
        assert_memory_equal(p.b.out.tcp.data, "aaaaaaaaaa", 10);
    }
    put(&p, PEER_PORT, ACK, p.mine, 5, 'b'); /* before it confirms: this has to wait */
    assert_int_equal(p.answer, 0);
    p.his += 10;
    put(&p, PEER_PORT, ACK, p.mine, 0, 0);
    p.b.net.now_ms += 100000;
    tcp_step(&p.b.net);
    assert_int_equal(p.b.sent, 2);
    echo(&p, 5);
}

static void is_given_up(void **state)
{
    struct peer p;
    (void)state;
    start(&p, 5);
    put(&p, PEER_PORT, SYN, p.mine, 0, 0);
    for (unsigned i = 0; i < 40; i++) {
        p.b.net.now_ms += 1000;
        tcp_step(&p.b.net);
        if (p.b.sent == 1)
            assert_int_equal(p.b.out.tcp.flags, SYN | ACK);
    }
    assert_int_equal(p.b.net.tcp.state, TCP_LISTEN);
    assert_int_equal(p.b.sent, 5);
    assert_int_equal(p.b.net.tcp.closed, 0);
}

static void out_of_order(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    put(&p, PEER_PORT, ACK, p.mine + 1, 5, 'x'); /* there is a gap before it */
    expect_answer(&p, ACK, 0);
    put(&p, PEER_PORT, ACK, p.mine - 1, 1, 'x'); /* sent again */
    expect_answer(&p, ACK, 0);
    put(&p, PEER_PORT, SYN, p.mine, 0, 0);
    expect_answer(&p, ACK, 0);
    p.his += 100; /* confirms what was never sent */
    put(&p, PEER_PORT, ACK, p.mine, 5, 'x');
    expect_answer(&p, ACK, 0);
    p.his -= 100;
    put(&p, PEER_PORT, 0, p.mine, 5, 'x'); /* without ACK */
    expect_answer(&p, ACK, 0);
    echo(&p, 3);
}

static void resets(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    put(&p, PEER_PORT, RST, p.mine + 9, 0, 0); /* a guess */
    assert_int_equal(p.answer, 0);
    assert_int_equal(p.b.net.tcp.state, TCP_ESTABLISHED);
    put(&p, PEER_PORT, RST, p.mine, 0, 0);
    assert_int_equal(p.answer, 0);
    assert_int_equal(p.b.net.tcp.state, TCP_LISTEN);
    assert_int_equal(p.b.net.tcp.closed, 1);
}

static void others_are_refused(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    put(&p, PEER_PORT + 1, SYN, 77, 0, 0); /* one connection at a time */
    assert_int_equal(p.frame.tcp.flags, RST | ACK);
    assert_int_equal(swap32(p.frame.tcp.acknowledged), 78);
    put(&p, PEER_PORT + 1, ACK, 77, 5, 0);
    assert_int_equal(p.frame.tcp.flags, RST);
    assert_int_equal(swap32(p.frame.tcp.sequence), p.his);
    put(&p, PEER_PORT + 1, RST, 77, 0, 0);
    assert_int_equal(p.answer, 0);
    tcp_listen(&p.b.net, 0, 0);
    put(&p, PEER_PORT, ACK, p.mine, 0, 0);
    assert_int_equal(p.frame.tcp.flags, RST);
    put(&p, PEER_PORT, SYN | ACK, p.mine, 0, 0);
    assert_int_equal(p.frame.tcp.flags, RST);
}

static void malformed(void **state)
{
    struct peer p;
    (void)state;
    connect(&p, 5);
    for (unsigned words = 0; words < 16; words++) {
        size_t length = make_packet(&p.frame, IP_TCP, TCP_HEADER + 8);
        p.frame.tcp.from = swap16(PEER_PORT + 1);
        p.frame.tcp.offset = (uint8_t)(words << 4);
        make_sums(&p.frame, TCP_HEADER + 8);
        uint64_t before = p.b.net.count[NET_MALFORMED];
        net_input(&p.b.net, &p.frame, length);
        assert_int_equal(p.b.net.count[NET_MALFORMED] - before, words < 5 || words > 7);
    }
    size_t length = make_packet(&p.frame, IP_TCP, TCP_HEADER - 1);
    make_sums(&p.frame, TCP_HEADER - 1);
    assert_int_equal(net_input(&p.b.net, &p.frame, length), 0);
    length = make_packet(&p.frame, IP_TCP, TCP_HEADER);
    p.frame.tcp.offset = 5 << 4;
    make_sums(&p.frame, TCP_HEADER);
    p.frame.tcp.window++;
    assert_int_equal(net_input(&p.b.net, &p.frame, length), 0);
    assert_int_equal(p.b.net.count[NET_BAD_SUM], 1);
    echo(&p, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes),
        cmocka_unit_test(end_with_data),
        cmocka_unit_test(options_are_passed_over),
        cmocka_unit_test(is_sent_again),
        cmocka_unit_test(is_given_up),
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(resets),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
