/*
 * test_virtio_net_rx.c: frames that the network device receives, mergeable buffers, back-pressure
 * (virtio 1.2, section 5.1.6.4).
 */
#include "net_bench.h"

static const struct virtio_net_hdr no_hdr;

static const struct virtio_net_hdr *rx_hdr(const struct bench *b, uint32_t gpa)
{
    return (const struct virtio_net_hdr *)(const void *)(b->ram + gpa);
}

static void a_frame_is_received_behind_a_header(void **state)
{
    struct bench *b = bench_make(false, 0);
    uint16_t head;

    (void)state;
    bench_offer_rx(b, BENCH_BUFFERS, 2000);
    head = bench_offer_rx(b, BENCH_BUFFERS + 2000, 2000);
    memset(b->ram + BENCH_BUFFERS, 0xff, 4000);
    assert_true(virtio_net_receive(&b->net, "hello, guest", 12));
    assert_true(virtio_net_receive(&b->net, "again", 5));
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 2);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->ring[0].len, BENCH_HDR + 12);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->ring[1].len, BENCH_HDR + 5);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->ring[1].id, head);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->num_buffers, 1);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->flags, 0);
    assert_memory_equal(b->ram + BENCH_BUFFERS + BENCH_HDR, "hello, guest\xff", 13);
    assert_int_equal(b->interrupts, 2);
    expect_said(b, "rx 5 bytes in 1 buffers");
    bench_free(b);
}

static void a_long_frame_fills_several_buffers(void **state)
{
    struct bench *b = bench_make(false, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    const struct virtq_used *used = bench_used(b, VIRTIO_NET_RX);
    uint8_t frame[250];

    (void)state;
    for (unsigned i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)i;
    for (uint32_t i = 0; i < 4; i++)
        bench_offer_rx(b, BENCH_BUFFERS + 0x1000 * i, 100);
    assert_true(virtio_net_receive(&b->net, frame, sizeof frame));
    assert_int_equal(used->idx, 3);
    assert_int_equal(used->ring[0].len, 100);
    assert_int_equal(used->ring[1].len, 100);
    assert_int_equal(used->ring[2].len, 62);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->num_buffers, 3);
    assert_memory_equal(b->ram + BENCH_BUFFERS + BENCH_HDR, frame, 88);
    assert_memory_equal(b->ram + BENCH_BUFFERS + 0x1000, frame + 88, 100);
    assert_memory_equal(b->ram + BENCH_BUFFERS + 0x2000, frame + 188, 62);
    assert_int_equal(b->interrupts, 1);
    bench_free(b);
}

/* The header may fill a buffer by itself, and a frame its last buffer to the last byte. */
static void buffers_may_be_exactly_full(void **state)
{
    struct bench *b = bench_make(false, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    const struct virtq_used *used = bench_used(b, VIRTIO_NET_RX);

    (void)state;
    bench_offer_rx(b, BENCH_BUFFERS, BENCH_HDR);
    bench_offer_rx(b, BENCH_BUFFERS + 0x1000, 1);
    bench_offer_rx(b, BENCH_BUFFERS + 0x2000, 3);
    bench_offer_rx(b, BENCH_BUFFERS + 0x3000, 3);
    assert_true(virtio_net_receive(&b->net, "abcd", 4));
    assert_int_equal(used->idx, 3);
    assert_int_equal(used->ring[0].len, BENCH_HDR);
    assert_int_equal(used->ring[1].len, 1);
    assert_int_equal(used->ring[2].len, 3);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->num_buffers, 3);
    bench_free(b);
}

/* A header over several parts of the first buffer. */
static void the_header_may_lie_in_pieces(void **state)
{
    const struct part parts[] = {{BENCH_BUFFERS, 11, VIRTQ_DESC_WRITE},
                                 {BENCH_BUFFERS + 0x1000, 100, VIRTQ_DESC_WRITE}};
    struct bench *b = bench_make(false, 0);

    (void)state;
    bench_offer(b, VIRTIO_NET_RX, parts, 2);
    assert_true(virtio_net_receive(&b->net, "frame", 5));
    assert_int_equal(b->ram[BENCH_BUFFERS + 10], 1); /* the low byte of num_buffers */
    assert_int_equal(b->ram[BENCH_BUFFERS + 0x1000], 0);
    assert_memory_equal(b->ram + BENCH_BUFFERS + 0x1001, "frame", 5);
    bench_free(b);
}

static void a_frame_that_can_never_fit_gets_lost(void **state)
{
    struct bench *b = bench_make(false, 0);
    static uint8_t frame[2000];

    (void)state;
    /* One buffer must do. */
    bench_offer_rx(b, BENCH_BUFFERS, 100);
    bench_offer_rx(b, BENCH_BUFFERS + 0x1000, 2012);
    assert_true(virtio_net_receive(&b->net, frame, 89));
    expect_said(b, "rx: dropped a frame of 89 bytes, longer than 1 buffers");
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 0);
    assert_true(virtio_net_receive(&b->net, frame, 88));
    assert_true(virtio_net_receive(&b->net, frame, 2000));
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 2);

    /* All buffers that the queue can hold are too few. */
    bench_start(b, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    for (uint32_t i = 0; i < BENCH_SIZE; i++)
        bench_offer_rx(b, BENCH_BUFFERS + 0x1000 * i, 20);
    assert_true(virtio_net_receive(&b->net, frame, 20 * BENCH_SIZE));
    expect_said(b, "longer than 16 buffers");
    assert_true(virtio_net_receive(&b->net, frame, 20 * BENCH_SIZE - BENCH_HDR));
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, BENCH_SIZE);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->num_buffers, BENCH_SIZE);
    bench_free(b);
}

static void without_buffers_a_frame_waits(void **state)
{
    struct bench *b = bench_make(false, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
    static uint8_t frame[150];

    (void)state;
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->flags, VIRTQ_USED_NO_NOTIFY);
    assert_false(virtio_net_receive(&b->net, frame, sizeof frame));
    expect_said(b, "rx: no buffer, packet waits");
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->flags, 0);
    b->held = frame;
    b->held_len = sizeof frame;

    /* One is too little: it is put back, and counted again. */
    bench_offer_rx(b, BENCH_BUFFERS, 100);
    virtio_kick(&b->net.dev, VIRTIO_NET_RX);
    assert_int_equal(b->rooms, 1);
    assert_non_null(b->held);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 0);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->flags, 0);

    bench_offer_rx(b, BENCH_BUFFERS + 0x1000, 100);
    virtio_kick(&b->net.dev, VIRTIO_NET_RX);
    assert_null(b->held);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 2);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->flags, VIRTQ_USED_NO_NOTIFY);
    virtio_kick(&b->net.dev, VIRTIO_NET_RX);
    assert_int_equal(b->rooms, 2);
    bench_free(b);
}

static void a_frame_that_waits_is_lost_by_a_reset(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    b->held = (const uint8_t *)"stale";
    b->held_len = 5;
    assert_false(virtio_net_receive(&b->net, b->held, b->held_len));
    virtio_set_status(&b->net.dev, 0);
    assert_int_equal(b->rooms, 1);
    assert_null(b->held);
    bench_start(b, 0);
    bench_offer_rx(b, BENCH_BUFFERS, 100);
    virtio_kick(&b->net.dev, VIRTIO_NET_RX);
    assert_int_equal(b->rooms, 1);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 0);
    bench_free(b);
}

static void a_bad_receive_buffer_breaks_the_device(void **state)
{
    static const struct part bad[] = {
        {BENCH_BUFFERS, BENCH_HDR - 1, VIRTQ_DESC_WRITE},
        {BENCH_BUFFERS, 2000, 0},
        {BENCH_RAM - 10, 2000, VIRTQ_DESC_WRITE},
    };
    struct bench *b = bench_make(false, 0);

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        bench_start(b, 0);
        bench_offer(b, VIRTIO_NET_RX, &bad[i], 1);
        assert_true(virtio_net_receive(&b->net, "frame", 5));
        assert_true(bench_is_broken(b));
        /* From here on frames get lost, and nothing waits. */
        assert_true(virtio_net_receive(&b->net, "frame", 5));
        bench_tx(b, &no_hdr, 60, 0);
        assert_int_equal(b->sends, 0);
    }
    bench_free(b);
}

static void a_bad_second_buffer_breaks_the_device(void **state)
{
    const struct part readable = {BENCH_BUFFERS + 0x1000, 100, 0};
    struct bench *b = bench_make(false, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));

    (void)state;
    bench_offer_rx(b, BENCH_BUFFERS, 20);
    bench_offer(b, VIRTIO_NET_RX, &readable, 1);
    assert_true(virtio_net_receive(&b->net, "a frame of some length", 22));
    assert_true(bench_is_broken(b));
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 0);
    bench_free(b);
}

static void before_driver_ok_frames_get_lost(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    virtio_set_status(&b->net.dev, 0);
    assert_true(virtio_net_receive(&b->net, "frame", 5));
    virtio_net_send_more(&b->net);
    assert_int_equal(b->sends, 0);
    bench_free(b);
}

static void a_received_header_says_only_what_the_driver_takes(void **state)
{
    struct bench *b = bench_make(true, 0);
    struct {
        struct virtio_net_hdr hdr;
        uint8_t frame[60];
    } in = {.hdr = {.flags = VIRTIO_NET_HDR_F_DATA_VALID, .num_buffers = 77}};

    (void)state;
    bench_offer_rx(b, BENCH_BUFFERS, 200);
    assert_true(virtio_net_receive(&b->net, &in, sizeof in));
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->flags, 0);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->num_buffers, 1);
    in.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    assert_true(virtio_net_receive(&b->net, &in, sizeof in));
    in.hdr = (struct virtio_net_hdr){.gso_type = 1};
    assert_true(virtio_net_receive(&b->net, &in, sizeof in));
    assert_true(virtio_net_receive(&b->net, &in, BENCH_HDR - 1));
    assert_true(virtio_net_receive(&b->net, &in, BENCH_HDR));
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 1);

    bench_start(b, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM));
    bench_offer_rx(b, BENCH_BUFFERS, 200);
    in.hdr = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    assert_true(virtio_net_receive(&b->net, &in, sizeof in));
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(rx_hdr(b, BENCH_BUFFERS)->csum_start, 34);
    bench_free(b);
}

static bool answer_at_once(void *opaque, const struct iovec *iov, unsigned count)
{
    struct bench *b = opaque;

    (void)iov;
    (void)count;
    b->sends++;
    assert_true(virtio_net_receive(&b->net, "answer", 6));
    return true;
}

/* libslirp answers an ARP request before it returns. */
static void an_answer_may_come_while_a_frame_is_sent(void **state)
{
    struct bench *b = bench_make(false, 0);

    (void)state;
    b->net.backend.send = answer_at_once;
    bench_offer_rx(b, BENCH_BUFFERS + 0x8000, 100);
    bench_tx(b, &no_hdr, 60, 0);
    assert_int_equal(bench_used(b, VIRTIO_NET_RX)->idx, 1);
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 1);

    /* And it may find a bad ring. */
    bench_offer(b, VIRTIO_NET_RX, &(struct part){BENCH_BUFFERS, 1, VIRTQ_DESC_WRITE}, 1);
    bench_tx(b, &no_hdr, 60, 0);
    assert_true(bench_is_broken(b));
    assert_int_equal(bench_used(b, VIRTIO_NET_TX)->idx, 1);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_received_behind_a_header),
        cmocka_unit_test(a_long_frame_fills_several_buffers),
        cmocka_unit_test(buffers_may_be_exactly_full),
        cmocka_unit_test(the_header_may_lie_in_pieces),
        cmocka_unit_test(a_frame_that_can_never_fit_gets_lost),
        cmocka_unit_test(without_buffers_a_frame_waits),
        cmocka_unit_test(a_frame_that_waits_is_lost_by_a_reset),
        cmocka_unit_test(a_bad_receive_buffer_breaks_the_device),
        cmocka_unit_test(a_bad_second_buffer_breaks_the_device),
        cmocka_unit_test(before_driver_ok_frames_get_lost),
        cmocka_unit_test(a_received_header_says_only_what_the_driver_takes),
        cmocka_unit_test(an_answer_may_come_while_a_frame_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
