/*
 * test_netdev.c: the host's half of a network: real exchanges with libslirp (ARP, RFC 826; DHCP,
 * RFC 2131; ICMP, RFC 792), and the queue of frames that wait.
 */
#include "netdev_bench.h"

#include "host/pcap.h"

#include <sys/stat.h>
#include <unistd.h>

/* --- what libslirp answers ------------------------------------------------------------------------ */

static void the_guest_gets_an_address(void **state)
{
    struct wire *w = make_wire();

    (void)state;
    open_wire(w);
    assert_int_equal(dhcp(w, 1, GUEST_IP), 2); /* DISCOVER: OFFER */
    assert_int_equal(dhcp_your_ip(w), GUEST_IP);
    assert_int_equal(dhcp(w, 3, GUEST_IP), 5); /* REQUEST: ACK */
    assert_int_equal(dhcp_your_ip(w), GUEST_IP);
    assert_int_equal(dhcp_option(w, 1), MASK);
    assert_int_equal(dhcp_option(w, 3), HOST_IP);
    assert_int_equal(dhcp_option(w, 6), DNS_IP);
    free_wire(w);
}

static void the_network_may_be_another(void **state)
{
    struct wire *w = make_wire();

    (void)state;
    w->options.netdev[0].net = 0xc0a84c00;
    open_wire(w);
    assert_int_equal(dhcp(w, 1, 0), 2);
    assert_int_equal(dhcp_your_ip(w), 0xc0a84c0f);
    assert_int_equal(dhcp_option(w, 3), 0xc0a84c02);
    free_wire(w);
}

static bool is_arp_reply(const uint8_t *frame, size_t len)
{
    const struct arp_frame *f = (const void *)frame;

    return len >= sizeof *f && f->eth.ether_type == htons(ETHERTYPE_ARP) &&
           f->arp.arp_op == htons(ARPOP_REPLY);
}

static void fill_arp(struct arp_frame *f, uint16_t op, uint32_t about)
{
    uint32_t from = htonl(GUEST_IP), to = htonl(about);

    *f = (struct arp_frame){0};
    memset(f->eth.ether_dhost, 0xff, 6);
    memcpy(f->eth.ether_shost, guest_mac, 6);
    f->eth.ether_type = htons(ETHERTYPE_ARP);
    f->arp.arp_hrd = htons(ARPHRD_ETHER);
    f->arp.arp_pro = htons(ETHERTYPE_IP);
    f->arp.arp_hln = 6;
    f->arp.arp_pln = 4;
    f->arp.arp_op = htons(op);
    memcpy(f->arp.arp_sha, guest_mac, 6);
    memcpy(f->arp.arp_spa, &from, 4);
    memcpy(f->arp.arp_tpa, &to, 4);
}

static bool is_pong(const uint8_t *frame, size_t len)
{
    const struct icmp_frame *f = (const void *)frame;

    return len >= sizeof *f && f->ip.protocol == IPPROTO_ICMP && f->icmp.type == ICMP_ECHOREPLY;
}

static void the_host_answers_arp_and_ping(void **state)
{
    struct wire *w = make_wire();
    struct arp_frame who;
    struct icmp_frame ping = {.icmp = {.type = ICMP_ECHO}, .data = "are you there?"};

    (void)state;
    open_wire(w);
    fill_arp(&who, ARPOP_REQUEST, HOST_IP);
    assert_true(ask(w, &who, sizeof who, is_arp_reply));
    assert_memory_equal(((struct arp_frame *)(void *)w->frame)->arp.arp_sha,
                        "\x52\x55\x0a\x00\x02\x02", 6);

    fill_ip(&ping, IPPROTO_ICMP, GUEST_IP, HOST_IP, sizeof ping - sizeof ping.eth);
    ping.icmp.checksum = internet_sum((const uint8_t *)&ping + offsetof(struct icmp_frame, icmp),
                                      sizeof ping.icmp + sizeof ping.data);
    assert_true(ask(w, &ping, sizeof ping, is_pong));
    assert_memory_equal(((struct icmp_frame *)(void *)w->frame)->data, ping.data, sizeof ping.data);
    free_wire(w);
}

/* Frames that are no frames: libslirp has to take them, under the sanitizers. */
static void nonsense_is_survived(void **state)
{
    struct wire *w = make_wire();
    uint8_t bytes[2000];

    (void)state;
    open_wire(w);
    srand(1);
    for (unsigned i = 0; i < 2000; i++) {
        size_t len = 14 + (size_t)rand() % (sizeof bytes - 14);
        static const uint8_t types[][2] = {{8, 0}, {8, 6}, {0x86, 0xdd}, {0x88, 0xf8}};

        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)rand();
        memcpy(bytes + 12, types[i % 4], 2);
        if (i % 8 < 4)
            memcpy(bytes + 14, i % 4 == 2 ? "\x60" : "\x45", 1);
        assert_true(netdev_send(w->dev[0], &(struct iovec){bytes, len}, 1));
    }
    assert_int_equal(dhcp(w, 1, GUEST_IP), 2);
    free_wire(w);
}

/* --- frames that wait ----------------------------------------------------------------------------- */

static void frames_wait_until_the_guest_has_room(void **state)
{
    struct wire *w = make_wire();
    struct arp_frame who;

    (void)state;
    open_wire(w);
    fill_arp(&who, ARPOP_REQUEST, HOST_IP);
    w->room = 0;
    for (unsigned i = 0; i < 5; i++)
        netdev_send(w->dev[0], &(struct iovec){&who, sizeof who}, 1);
    assert_int_equal(w->dev[0]->waiting, 5);
    w->room = 3;
    netdev_room(w->dev[0]);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->dev[0]->waiting, 2);
    w->room = 10;
    /* In order: a new one goes behind those that wait. */
    netdev_send(w->dev[0], &(struct iovec){&who, sizeof who}, 1);
    assert_int_equal(w->dev[0]->waiting, 3);
    netdev_room(w->dev[0]);
    assert_int_equal(w->count, 6);
    assert_int_equal(w->dev[0]->waiting, 0);
    free_wire(w);
}

static void the_queue_is_bounded_and_losses_are_counted(void **state)
{
    struct wire *w = make_wire();
    struct arp_frame who;

    (void)state;
    open_wire(w);
    fill_arp(&who, ARPOP_REQUEST, HOST_IP);
    w->room = 0;
    for (unsigned i = 0; i < NETDEV_QUEUE_MAX + 10; i++)
        netdev_send(w->dev[0], &(struct iovec){&who, sizeof who}, 1);
    assert_int_equal(w->dev[0]->waiting, NETDEV_QUEUE_MAX);
    assert_int_equal(w->dev[0]->lost, 10);

    /* The next guest does not get the last one's frames. */
    netdev_connect(w->dev[0], NULL);
    assert_int_equal(w->dev[0]->waiting, 0);
    netdev_send(w->dev[0], &(struct iovec){&who, sizeof who}, 1);
    assert_int_equal(w->dev[0]->waiting, 0);
    free_wire(w);
}

/* --- frames that wait for the host ---------------------------------------------------------------- */

static bool send_nothing(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    (void)dev, (void)iov, (void)count;
    return false;
}

static long size_after_sending(struct netdev *dev, const char *path)
{
    uint8_t frame[60] = {0};
    struct stat st;

    assert_false(netdev_send(dev, &(struct iovec){frame, sizeof frame}, 1));
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

/* A frame is dumped once, however often it is tried; the next driver's first is another one. */
static void a_dump_has_each_frame_once(void **state)
{
    static const struct netdev_ops ops = {.send = send_nothing};
    const struct netdev_option option = {.id = "n0"};
    char path[] = "/tmp/kvmlens-test-XXXXXX";
    const struct dump_option dump = {.id = "f", .file = path, .max_len = 65536};
    struct netdev dev;
    struct error err;
    long first;

    (void)state;
    close(mkstemp(path));
    netdev_init(&dev, &ops, &option, NULL);
    assert_int_equal(pcap_open(&dev.dump[dev.dumps++], &dump, &err), 0);
    first = size_after_sending(&dev, path);
    assert_int_equal(size_after_sending(&dev, path), first);
    netdev_forget(&dev);
    assert_int_equal(size_after_sending(&dev, path),
                     first + 16 + 60); /* a record's header, the frame */
    pcap_close(dev.dump[0]);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_gets_an_address),
        cmocka_unit_test(the_network_may_be_another),
        cmocka_unit_test(the_host_answers_arp_and_ping),
        cmocka_unit_test(nonsense_is_survived),
        cmocka_unit_test(frames_wait_until_the_guest_has_room),
        cmocka_unit_test(the_queue_is_bounded_and_losses_are_counted),
        cmocka_unit_test(a_dump_has_each_frame_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
