/*
 * test_guest_dhcp.c: the guest's DHCP client (guest/dhcp.c) with servers good, bad and silent.
 */
#include "guest_net_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ID      0xfeedbeef
#define OFFER   2
#define ACK     5
#define NAK     6
#define OPTIONS 240 /* where they begin in the message */

struct client {
    struct bench b;
    struct dhcp dhcp;
};

static void start(struct client *c)
{
    bench_init(&c->b);
    assert_true(dhcp_start(&c->b.net, &c->dhcp, ID));
    assert_int_equal(c->b.net.address, 0);
    dhcp_step(&c->b.net, &c->dhcp);
}

/* The type of the message that was sent last. */
static unsigned sent(struct client *c)
{
    const char *fault = frame_fault(&c->b.net, &c->b.out, c->b.out_length);
    if (fault)
        fail_msg("a frame with a fault: %s", fault);
    assert_memory_equal(&c->b.out.to, &mac_broadcast, 6);
    assert_int_equal(swap16(c->b.out.udp.to), 67);
    const uint8_t *options = c->b.out.udp.data + OPTIONS;
    assert_int_equal(options[0], 53);
    return options[2];
}

/* A server's message: MESSAGE, OFFERED, then the options as given, up to 64 bytes. */
static size_t make(struct frame *frame, uint8_t message, uint32_t offered, const uint8_t *options,
                   size_t size)
{
    size_t length = OPTIONS + 3 + size;
    memset(frame, 0, sizeof(*frame));
    size_t total = make_packet(frame, IP_UDP, UDP_HEADER + length);
    frame->ip.to = swap32(IP_ANYBODY);
    frame->to = mac_broadcast;
    frame->udp.from = swap16(67);
    frame->udp.to = swap16(68);
    frame->udp.length = swap16((uint16_t)(UDP_HEADER + length));
    uint8_t *data = frame->udp.data;
    const uint32_t id = ID, yours = swap32(offered), cookie = swap32(0x63825363);
    data[0] = 2;
    data[1] = 1;
    data[2] = 6;
    memcpy(data + 4, &id, 4);
    memcpy(data + 16, &yours, 4);
    memcpy(data + 28, &here_mac, 6);
    memcpy(data + 236, &cookie, 4);
    data[OPTIONS] = 53;
    data[OPTIONS + 1] = 1;
    data[OPTIONS + 2] = message;
    memcpy(data + OPTIONS + 3, options, size);
    make_sums(frame, UDP_HEADER + length);
    return total;
}

static const uint8_t good[] = {54, 4, 10, 1, 1,  1,   1,  4, 255,  255,  255, 0,
                               3,  8, 10, 1, 1,  254, 10, 1, 1,    5,    6,   4,
                               10, 1, 1,  3, 51, 4,   0,  1, 0x51, 0x80, 0,   255};
#define OFFERED HERE

static void answer(struct client *c, uint8_t message, uint32_t address, const uint8_t *options,
                   size_t size)
{
    struct frame frame;
    size_t length = make(&frame, message, address, options, size);
    assert_int_equal(net_input(&c->b.net, &frame, length), 0);
    dhcp_step(&c->b.net, &c->dhcp);
}

static void gets_an_address(void **state)
{
    struct client c;
    (void)state;
    start(&c);
    assert_int_equal(sent(&c), 1);
    answer(&c, OFFER, OFFERED, good, sizeof(good));
    assert_int_equal(sent(&c), 3);
    const uint8_t wanted[] = {50, 4, 10, 1, 1, 2, 54, 4, 10, 1, 1, 1};
    assert_memory_equal(c.b.out.udp.data + OPTIONS + 3, wanted, sizeof(wanted));
    answer(&c, ACK, OFFERED, good, sizeof(good));
    assert_int_equal(c.dhcp.state, DHCP_BOUND);
    assert_int_equal(c.dhcp.lease, 86400);
    assert_int_equal(c.b.net.address, OFFERED);
    assert_int_equal(c.b.net.mask, 0xffffff00);
    assert_int_equal(c.b.net.router, 0x0a0101fe);
    assert_int_equal(c.b.net.dns, 0x0a010103);
    assert_int_equal(c.b.sent, 2);
    dhcp_end(&c.b.net);
    answer(&c, NAK, OFFERED, good, sizeof(good));
    assert_int_equal(c.b.net.count[NET_NO_PORT], 1);
}

static void silence(void **state)
{
    struct client c;
    (void)state;
    start(&c);
    const unsigned seconds[] = {0, 1, 3, 7}; /* when DISCOVER goes out */
    for (unsigned ms = 0; ms < 15000; ms += 100) {
        unsigned due = 0;
        for (unsigned i = 0; i < 4; i++)
            due += ms >= seconds[i] * 1000;
        c.b.net.now_ms = ms;
        dhcp_step(&c.b.net, &c.dhcp);
        assert_int_equal(c.b.sent, due);
        assert_int_equal(c.dhcp.state, DHCP_DISCOVER);
    }
    c.b.net.now_ms = 15000;
    dhcp_step(&c.b.net, &c.dhcp);
    assert_int_equal(c.dhcp.state, DHCP_SILENT);
}

static void request_is_repeated(void **state)
{
    struct client c;
    (void)state;
    start(&c);
    c.b.full = true; /* no buffer: the message is as if lost */
    answer(&c, OFFER, OFFERED, good, sizeof(good));
    assert_int_equal(c.b.sent, 1);
    c.b.full = false;
    c.b.net.now_ms += 1000;
    dhcp_step(&c.b.net, &c.dhcp);
    assert_int_equal(c.b.sent, 2);
    assert_int_equal(sent(&c), 3);
}

static void is_refused(void **state)
{
    struct client c;
    (void)state;
    start(&c);
    answer(&c, OFFER, OFFERED, good, sizeof(good));
    const uint8_t other[] = {54, 4, 10, 1, 1, 9, 255};
    answer(&c, NAK, 0, other, sizeof(other)); /* another server's word does not count */
    assert_int_equal(c.dhcp.state, DHCP_REQUEST);
    answer(&c, ACK, OFFERED + 1, good, sizeof(good)); /* not what was offered */
    assert_int_equal(c.dhcp.state, DHCP_REQUEST);
    answer(&c, NAK, 0, good, sizeof(good));
    assert_int_equal(c.dhcp.state, DHCP_REFUSED);
    assert_int_equal(c.b.net.address, 0);
}

/* None of these is an offer: the client goes on asking. */
static void bad_offers(void **state)
{
    (void)state;
    struct {
        uint32_t address;
        size_t size;
        uint8_t options[32];
    } bad[] = {
        {OFFERED, 6, {54, 4, 10, 1, 1, 1}},                             /* without an end */
        {OFFERED, 12, {54, 4, 10, 1, 1, 1, 1, 4, 255, 255, 255, 0}},    /* the same */
        {OFFERED, 9, {1, 4, 255, 255, 255, 0, 54, 200, 255}},           /* runs over */
        {OFFERED, 7, {1, 4, 255, 255, 255, 0, 54}},                     /* breaks off */
        {OFFERED, 10, {1, 4, 255, 255, 255, 0, 54, 1, 10, 255}},        /* too small */
        {OFFERED, 7, {1, 4, 255, 255, 255, 0, 255}},                    /* no server */
        {OFFERED, 7, {54, 4, 10, 1, 1, 1, 255}},                        /* no mask */
        {OFFERED, 13, {54, 4, 10, 1, 1, 1, 1, 4, 255, 0, 255, 0, 255}}, /* holes in it */
        {0, sizeof(good), {0}},
        {0x7f000001, sizeof(good), {0}},
        {0xe0000001, sizeof(good), {0}},
        {0x0a0101ff, sizeof(good), {0}}, /* the network's broadcast */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct client c;
        start(&c);
        bool all = bad[i].size == sizeof(good);
        answer(&c, OFFER, bad[i].address, all ? good : bad[i].options, bad[i].size);
        if (c.dhcp.state != DHCP_DISCOVER || c.b.sent != 1)
            fail_msg("bad offer %zu was taken", i);
    }
}

/* A good offer with one byte changed, at the offset in the message. */
static void not_for_us(void **state)
{
    const size_t at[] = {0, 4, 28, 33, 236, 239};
    (void)state;
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct client c;
        struct frame frame;
        start(&c);
        size_t length = make(&frame, OFFER, OFFERED, good, sizeof(good));
        frame.udp.data[at[i]] ^= 0x10;
        make_sums(&frame, length - ETHER_HEADER - IP_HEADER);
        assert_int_equal(net_input(&c.b.net, &frame, length), 0);
        assert_int_equal(c.dhcp.state, DHCP_DISCOVER);
    }
}

static void short_messages(void **state)
{
    struct client c;
    struct frame frame;
    (void)state;
    start(&c);
    for (size_t data = 0; data < OPTIONS + 3 + sizeof(good); data++) {
        make(&frame, OFFER, OFFERED, good, sizeof(good));
        size_t length = ETHER_HEADER + IP_HEADER + UDP_HEADER + data;
        frame.ip.length = swap16((uint16_t)(IP_HEADER + UDP_HEADER + data));
        frame.udp.length = swap16((uint16_t)(UDP_HEADER + data));
        make_sums(&frame, UDP_HEADER + data);
        assert_int_equal(net_input(&c.b.net, &frame, length), 0);
        assert_int_equal(c.dhcp.state, DHCP_DISCOVER);
    }
}

/* The longest frame there is, with an option at its end that says it goes on. */
static void option_over_the_end(void **state)
{
    struct client c;
    struct frame *frame = malloc(sizeof(*frame));
    (void)state;
    assert_non_null(frame);
    start(&c);
    make(frame, OFFER, OFFERED, good, sizeof(good) - 1);
    uint8_t *end = (uint8_t *)(frame + 1);
    end[-2] = 51;
    end[-1] = 4;
    frame->ip.length = swap16(IP_MTU);
    frame->udp.length = swap16(IP_MTU - IP_HEADER);
    make_sums(frame, IP_MTU - IP_HEADER);
    assert_int_equal(net_input(&c.b.net, frame, FRAME_MAX), 0);
    assert_int_equal(c.dhcp.state, DHCP_DISCOVER);
    assert_int_equal(c.b.net.count[NET_MALFORMED], 1);
    free(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_an_address),     cmocka_unit_test(silence),
        cmocka_unit_test(request_is_repeated), cmocka_unit_test(is_refused),
        cmocka_unit_test(bad_offers),          cmocka_unit_test(not_for_us),
        cmocka_unit_test(short_messages),      cmocka_unit_test(option_over_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
