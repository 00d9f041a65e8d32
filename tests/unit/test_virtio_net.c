/*
 * test_virtio_net.c: the network device's configuration, and the frames that it sends, for a driver
 * that plays by the rules, and one that does not (virtio 1.2, section 5.1).
 */
#include "net_bench.h"

static const struct virtio_net_hdr no_hdr;

/* --- features and configuration ------------------------------------------------------------------ */

static void checksums_are_offered_where_the_backend_completes_them(void **state)
{
    uint64_t csum = VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
    uint64_t always = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
                      VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
    struct bench *plain = bench_make(false, 0), *tap = bench_make(true, 0);

    (void)state;
    assert_int_equal(plain->net.dev.features & (csum | always), always);
    assert_int_equal(tap->net.dev.features & (csum | always), csum | always);
    bench_free(plain);
    bench_free(tap);
}

static void the_backend_hears_what_the_driver_takes(void **state)
{
    struct bench *b = bench_make(true, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM));

    (void)state;
    assert_true(b->guest_csum);
    virtio_set_status(&b->net.dev, 0);
    assert_false(b->guest_csum);
    bench_start(b, 0);
    assert_false(b->guest_csum);
    bench_free(b);
}

static void the_configuration_has_the_address_and_the_link(void **state)
{
    struct bench *b = bench_make(false, 0);
    struct virtio_device *dev = &b->net.dev;

    (void)state;
    assert_int_equal(virtio_config_read(dev, 0, 4), 0x12005452);
    assert_int_equal(virtio_config_read(dev, 4, 2), 0x5634);
    assert_int_equal(virtio_config_read(dev, 6, 2), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(virtio_config_read(dev, 8, 2), 0);
    assert_string_equal(dev->ops->config_name(dev, 0), "mac");
    assert_string_equal(dev->ops->config_name(dev, 6), "status");
    virtio_config_write(dev, 0, 4, 0xffffffff); /* read-only with VERSION_1 */
    assert_int_equal(virtio_config_read(dev, 0, 4), 0x12005452);

    uint8_t generation = dev->config_generation;

    virtio_net_set_link(&b->net, false);
    virtio_net_set_link(&b->net, false);
    assert_int_equal(virtio_config_read(dev, 6, 2), 0);
    assert_int_equal(b->config_interrupts, 1);
    assert_int_equal(dev->config_generation, (uint8_t)(generation + 1));
    bench_free(b);
}

/* --- sending ------------------------------------------------------------------------------------- */

static void a_frame_is_sent_without_its_header(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    bench_tx(b, &no_hdr, 60, 0xab);
    assert_int_equal(b->sends, 1);
    assert_int_equal(b->sent_len, 60);
    assert_int_equal(b->sent[0], 0xab);
    assert_int_equal(b->sent[59], 0xab);
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 1);
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->ring[0].len, 0);
    assert_int_equal(b->interrupts, 1);
    expect_said(b, "tx 60 bytes");
    bench_free(b);
}

static void a_frame_may_lie_in_any_pieces(void **state)
{
    /* The header in two parts, the second of which also begins the frame. */
    const struct part parts[] = {
        {BENCH_BUFFERS, 5, 0}, {BENCH_BUFFERS + 5, 20, 0}, {BENCH_BUFFERS + 0x1000, 30, 0}};
    struct bench *b = bench_make(false, 0);

    (void)state;
    for (unsigned i = 0; i < 13; i++)
        b->ram[BENCH_BUFFERS + BENCH_HDR + i] = (uint8_t)i;
    b->ram[BENCH_BUFFERS + 0x1000] = 13;
    bench_offer(b, VIRTIO_NET_TX, parts, 3);
    virtio_kick(&b->net.dev, VIRTIO_NET_TX);
    assert_int_equal(b->sent_len, 43);
    for (unsigned i = 0; i < 14; i++)
        assert_int_equal(b->sent[i], i);
    bench_free(b);
}

static void frames_of_absurd_length_get_lost(void **state)
{
    struct bench *b = bench_make(false, 0);
    static const uint32_t lengths[] = {0, 1, 13, NET_FRAME_MAX + 1, 500000};

    (void)state;
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bench_tx(b, &no_hdr, lengths[i], 0);
        expect_said(b, "tx: dropped a frame");
        assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, i + 1);
    }
    assert_int_equal(b->sends, 0);
    bench_tx(b, &no_hdr, 14, 0);
    bench_tx(b, &no_hdr, NET_FRAME_MAX, 0);
    assert_int_equal(b->sends, 2);
    assert_int_equal(b->sent_len, NET_FRAME_MAX);
    assert_false(bench_is_broken(b));
    bench_free(b);
}

static void a_header_that_is_cut_breaks_the_device(void **state)
{
    const struct part cut = {BENCH_BUFFERS, BENCH_HDR - 1, 0};
    struct bench *b = bench_make(false, 0);

    (void)state;
    bench_offer(b, VIRTIO_NET_TX, &cut, 1);
    virtio_kick(&b->net.dev, VIRTIO_NET_TX);
    assert_true(bench_is_broken(b));
    assert_int_equal(b->config_interrupts, 1);

    /* After a reset it works. */
    bench_start(b, 0);
    bench_tx(b, &no_hdr, 60, 1);
    assert_int_equal(b->sends, 1);
    bench_free(b);
}

static void a_writable_part_in_a_frame_breaks_the_device(void **state)
{
    const struct part parts[] = {{BENCH_BUFFERS, 100, 0},
                                 {BENCH_BUFFERS + 100, 100, VIRTQ_DESC_WRITE}};
    struct bench *b = bench_make(false, 0);

    (void)state;
    bench_offer(b, VIRTIO_NET_TX, parts, 2);
    virtio_kick(&b->net.dev, VIRTIO_NET_TX);
    assert_true(bench_is_broken(b));
    assert_int_equal(b->sends, 0);
    bench_free(b);
}

static void what_was_not_negotiated_is_not_done(void **state)
{
    const struct virtio_net_hdr csum = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    const struct virtio_net_hdr gso = {.gso_type = 1};
    struct bench *b = bench_make(true, 0);

    (void)state;
    bench_tx(b, &csum, 60, 0);
    expect_said(b, "its header is bad: flags 0x1");
    bench_tx(b, &gso, 60, 0);
    expect_said(b, "gso_type 1");
    assert_int_equal(b->sends, 0);
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 2);
    bench_free(b);
}

static void checksum_fields_must_lie_within_the_frame(void **state)
{
    struct bench *b = bench_make(true, VIRTIO_BIT(VIRTIO_NET_F_CSUM));
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 24};
    static const struct {
        uint16_t start, offset;
    } bad[] = {{34, 25}, {59, 0}, {0xffff, 0xffff}, {0, 0xffff}, {0xffff, 1}};

    (void)state;
    bench_tx(b, &hdr, 60, 0xee);
    assert_int_equal(b->sends, 1);
    assert_int_equal(b->sent_len, BENCH_HDR + 60);
    assert_memory_equal(b->sent, &hdr, BENCH_HDR);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        hdr.csum_start = bad[i].start;
        hdr.csum_offset = bad[i].offset;
        bench_tx(b, &hdr, 60, 0);
    }
    hdr = (struct virtio_net_hdr){.flags = 0x80};
    bench_tx(b, &hdr, 60, 0);
    assert_int_equal(b->sends, 1);
    bench_free(b);
}

static void a_frame_waits_for_the_host_and_is_sent_once(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    b->can_send = 1;
    bench_tx(b, &no_hdr, 60, 1);
    bench_tx(b, &no_hdr, 61, 2);
    expect_said(b, "the frame waits");
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 1);
    b->can_send = 10;
    virtio_net_send_more(&b->net);
    assert_int_equal(b->sends, 2);
    assert_int_equal(b->sent_len, 61);
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 2);
    virtio_net_send_more(&b->net);
    assert_int_equal(b->sends, 2);
    bench_free(b);
}

static void a_driver_that_ends_takes_its_waiting_frame_along(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    b->can_send = 0;
    bench_tx(b, &no_hdr, 60, 1);
    assert_int_equal(b->forgets, 0);
    virtio_stop_queue(&b->net.dev, VIRTIO_NET_RX);
    assert_int_equal(b->forgets, 0);
    virtio_set_status(&b->net.dev, 0);
    assert_int_equal(b->forgets, 1);
    bench_free(b);
}

static bool offer_another(void *opaque, const struct iovec *iov, unsigned count)
{
    struct bench *b = opaque;
    const struct part part = {BENCH_BUFFERS, 100, 0};

    (void)iov;
    (void)count;
    b->sends++;
    if (b->can_send-- > 0)
        bench_offer(b, VIRTIO_NET_TX, &part, 1);
    return true;
}

/* A second vCPU could feed the queue as fast as it is emptied. */
static void a_guest_that_never_stops_sending_lets_others_have_a_turn(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    b->net.backend.send = offer_another;
    b->can_send = 1000;
    bench_tx(b, &no_hdr, 60, 0);
    assert_int_equal(b->sends, b->net.dev.queue[VIRTIO_NET_TX].size);
    assert_int_equal(b->again, 1);
    while (b->again) {
        b->again = 0;
        virtio_net_send_more(&b->net);
    }
    assert_int_equal(b->sends, 1001);
    assert_false(bench_is_broken(b));
    b->can_send = 1000;
    bench_tx(b, &no_hdr, 60, 0);
    assert_int_equal(b->again, 1);
    virtio_set_status(&b->net.dev, 0);
    virtio_net_send_more(&b->net); /* it comes too late */
    assert_int_equal(b->again, 1);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_offered_where_the_backend_completes_them),
        cmocka_unit_test(the_backend_hears_what_the_driver_takes),
        cmocka_unit_test(the_configuration_has_the_address_and_the_link),
        cmocka_unit_test(a_frame_is_sent_without_its_header),
        cmocka_unit_test(a_frame_may_lie_in_any_pieces),
        cmocka_unit_test(frames_of_absurd_length_get_lost),
        cmocka_unit_test(a_header_that_is_cut_breaks_the_device),
        cmocka_unit_test(a_writable_part_in_a_frame_breaks_the_device),
        cmocka_unit_test(what_was_not_negotiated_is_not_done),
        cmocka_unit_test(checksum_fields_must_lie_within_the_frame),
        cmocka_unit_test(a_frame_waits_for_the_host_and_is_sent_once),
        cmocka_unit_test(a_driver_that_ends_takes_its_waiting_frame_along),
        cmocka_unit_test(a_guest_that_never_stops_sending_lets_others_have_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
