/*
 * test_virtio_blk_config.c: vmm/virtio/blk.c: the configuration space and the cache mode, resets,
 * interrupts.
 */
#include "blk_driver.h"

/* Is a write that is submitted now to be durable when it is done? */
static bool is_stable(struct blk_bench *b)
{
    uint8_t data[512] = {0};
    struct virtq_used_elem elem;

    ask(b, VIRTIO_BLK_T_OUT, 0, data, 512, 0);

    bool stable = b->flying[0]->stable;

    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem));
    return stable;
}

static void the_driver_chooses_the_cache_mode(void **state)
{
    struct blk_bench *b = *state;
    const uint32_t at = offsetof(struct virtio_blk_config, writeback);
    const uint64_t flush = VIRTIO_BIT(VIRTIO_BLK_F_FLUSH),
                   wce = VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);

    assert_int_equal(bench_config(&b->bench, at, 1), 1);
    assert_false(is_stable(b));
    bench_set_config(&b->bench, at, 1, 0);
    assert_true(bench_said(&b->bench, "cache mode writethrough"));
    assert_int_equal(bench_config(&b->bench, at, 1), 0);
    assert_true(is_stable(b));
    bench_set_config(&b->bench, at, 1, 1);
    assert_false(is_stable(b));
    bench_set_config(&b->bench, at, 2, 0); /* not that field alone */
    bench_set_config(&b->bench, at + 1, 1, 0);
    bench_set_config(&b->bench, 0, 8, 0);
    assert_false(is_stable(b));
    assert_int_equal(bench_config(&b->bench, 0, 8), BLK_SECTORS);
    bench_set_config(&b->bench, at, 1, 0);

    bench_start(&b->bench, flush, 64); /* not negotiated: as the drive says, and fixed */
    bench_set_config(&b->bench, at, 1, 0);
    assert_false(is_stable(b));
    bench_start(&b->bench, wce, 64); /* a driver that cannot flush */
    assert_int_equal(bench_config(&b->bench, at, 1), 0);
    assert_true(is_stable(b));

    remake(b, (struct block_info){.writeback = false}, true, flush | wce);
    assert_int_equal(bench_config(&b->bench, at, 1), 0);
    assert_true(is_stable(b));
    bench_set_config(&b->bench, at, 1, 1);
    assert_false(is_stable(b));
    remake(b, (struct block_info){.writeback = true}, false, flush);
    assert_false(bench_offered(&b->bench) & wce);
    assert_false(is_stable(b));
}

static void what_the_configuration_tells(void **state)
{
    struct blk_bench *b = *state;
    struct virtio_blk_config config;
    const struct virtio_device *dev = &b->blk.dev;

    for (unsigned i = 0; i < sizeof(config); i++)
        ((uint8_t *)&config)[i] = (uint8_t)bench_config(&b->bench, i, 1);
    assert_int_equal(sizeof(config), 60);
    assert_int_equal(config.capacity, BLK_SECTORS);
    assert_int_equal(config.seg_max, VIRTQ_SIZE_MAX - 2);
    assert_true(config.size_max >= 65536);
    assert_int_equal(config.blk_size, 512);
    assert_int_equal(config.physical_block_exp, 3);
    assert_int_equal(config.alignment_offset, 0);
    assert_int_equal(config.min_io_size, 1);
    assert_int_equal(config.num_queues, 1);
    assert_int_equal(config.max_discard_seg, 1);
    assert_int_equal(config.max_write_zeroes_seg, 1);
    assert_true(config.max_discard_sectors > 0 && config.max_write_zeroes_sectors > 0);
    assert_int_equal(config.write_zeroes_may_unmap, 1);
    assert_int_equal(config.unused0 | config.unused1[0] | config.unused1[1] | config.unused1[2], 0);
    assert_int_equal(bench_config(&b->bench, 20, 4), 512);
    assert_int_equal(bench_config(&b->bench, 56, 8), 0); /* past the end */
    assert_string_equal(dev->ops->config_name(dev, 0), "capacity");
    assert_string_equal(dev->ops->config_name(dev, 7), "capacity");
    assert_string_equal(dev->ops->config_name(dev, 8), "size_max");
    assert_string_equal(dev->ops->config_name(dev, 32), "writeback");
    assert_string_equal(dev->ops->config_name(dev, 59), "unused1");

    uint64_t offered = bench_offered(&b->bench);
    const unsigned bits[] = {1, 2, 6, 9, 10, 11, 13, 14, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1};

    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        assert_true(offered & VIRTIO_BIT(bits[i]));
    assert_false(offered & VIRTIO_BIT(VIRTIO_BLK_F_RO));
}

static void a_reset_waits_and_drops_what_comes_back(void **state)
{
    struct blk_bench *b = *state;
    struct asked asked = ask(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 512);
    const struct virtq_used *used = bench_used_ring(&b->bench, 0);

    bench_set_config(&b->bench, offsetof(struct virtio_blk_config, writeback), 1, 0);
    assert_int_equal(b->count, 1);
    bench_set(&b->bench, VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(b->drains, 1);
    assert_int_equal(b->count, 0);
    assert_int_equal(used->idx, 0);
    assert_int_equal(status_of(b, asked), 0xff);
    assert_int_equal(bench_interrupt(&b->bench), 0);
    bench_start(&b->bench, BLK_FEATURES, 64);
    assert_false(is_stable(b)); /* the cache mode is the drive's again */

    /* A queue alone. */
    bench_start(&b->bench, BLK_FEATURES | VIRTIO_BIT(VIRTIO_F_RING_RESET), 64);
    asked = ask(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 512);
    bench_set(&b->bench, VIRTIO_MMIO_QUEUE_SEL, 0);
    bench_set(&b->bench, VIRTIO_MMIO_QUEUE_RESET, 1);
    assert_int_equal(b->count, 0);
    assert_int_equal(status_of(b, asked), 0xff);
    bench_queue(&b->bench, 0, 64);
    asked = ask(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 512);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 513);
}

static void the_event_index_spares_interrupts(void **state)
{
    struct blk_bench *b = *state;

    bench_start(&b->bench, BLK_FEATURES | VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 64);
    *bench_used_event(&b->bench, 0) = 2; /* tell me of the third */
    for (unsigned i = 0; i < 4; i++)
        ask(b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
    finish(b, (unsigned[]){0, 1}, 2);
    assert_int_equal(bench_interrupt(&b->bench), 0);
    finish(b, (unsigned[]){0}, 1);
    assert_int_equal(bench_interrupt(&b->bench), VIRTIO_MMIO_INT_USED_RING);
    finish(b, (unsigned[]){0}, 1);
    assert_int_equal(bench_interrupt(&b->bench), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_driver_chooses_the_cache_mode),
        TEST(what_the_configuration_tells),
        TEST(a_reset_waits_and_drops_what_comes_back),
        TEST(the_event_index_spares_interrupts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
