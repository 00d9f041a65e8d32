/*
 * test_virtio_mmio.c: the registers of a virtio-mmio slot (virtio 1.2, section 4.2.2), with drivers
 * that keep the rules and that do not.
 */
#include "mmio_bench.h"

/* --- registers (4.2.2) ---------------------------------------------------------------------- */

static void identity(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_DEVICE_ID), 2);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_CONFIG_GENERATION), 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQ_SIZE_MAX);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
    assert_string_equal(virtio_mmio_ops.instance(&f->b.mmio), "counter");
}

static void empty_slot(void **state)
{
    struct fixture *f = *state;
    struct virtio_mmio *mmio = &f->b.mmio;
    virtio_mmio_init(mmio, NULL, fake_irq(&f->b.wires, 5));
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_DEVICE_ID), 0);
    for (uint32_t offset = 0x10; offset < 0x200; offset += 4) {
        bench_set(&f->b, offset, 1);
        assert_int_equal(bench_get(&f->b, offset), UINT32_MAX);
    }
    bus_write(&f->b.bus, 0x71, 1, 1);
    assert_int_equal(bus_read(&f->b.bus, 0x71, 1), 0xff);
    virtio_mmio_notify(mmio, 0);
    bus_reset(&f->b.bus);
    assert_null(virtio_mmio_ops.instance(mmio));
    assert_null(virtio_mmio_ops.reg_name(mmio, 0x100, false));
    assert_int_equal(f->b.wires.rises, 0);
}

/* Registers that only a legacy device has, that can only be written, or that nobody has. */
static void registers_that_read_as_ones(void **state)
{
    static const uint32_t offsets[] = {
        0x014, 0x018, 0x020, 0x024, 0x028, 0x02c, 0x030, 0x038, 0x03c, 0x040, 0x048, 0x050, 0x064,
        0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4, 0x0ac, 0x0b0, 0x0b4, 0x0b8, 0x0bc, 0x0c4, 0x0f8};
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        assert_int_equal(bench_get(&f->b, offsets[i]), UINT32_MAX);
    }
}

static void registers_that_cannot_be_written(void **state)
{
    static const uint32_t offsets[] = {0x000, 0x004, 0x008, 0x00c, 0x010, 0x028, 0x034, 0x03c,
                                       0x040, 0x060, 0x0b0, 0x0b4, 0x0b8, 0x0bc, 0x0c4, 0x0fc};
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    const struct counter before = f->c;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        char text[64];
        uint32_t value = bench_get(&f->b, offsets[i]);
        bench_set(&f->b, offsets[i], 0xabc);
        snprintf(text, sizeof(text), "register 0x%x cannot be written: 0xabc ignored", offsets[i]);
        assert_true(said(f, text));
        assert_int_equal(bench_get(&f->b, offsets[i]), value);
    }
    bench_set(&f->b, VIRTIO_MMIO_SHM_SEL, 1); /* selects nothing, quietly */
    assert_int_equal(f->b.log_used, 0);
    assert_memory_equal(&f->c, &before, sizeof(before));
}

static void widths(void **state)
{
    struct fixture *f = *state;
    static const unsigned sizes[] = {1, 2, 8};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t ones = sizes[i] == 8 ? UINT64_MAX : (1ull << 8 * sizes[i]) - 1;
        assert_int_equal(bus_read(&f->b.bus, VIRTIO_MMIO_STATUS, sizes[i]), ones);
        assert_true(said(f, "register 0x70 read with"));
        bus_write(&f->b.bus, VIRTIO_MMIO_STATUS, sizes[i], VIRTIO_STATUS_ACKNOWLEDGE);
        assert_true(said(f, "register 0x70 written with"));
        assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 0);
    }
    assert_int_equal(bus_read(&f->b.bus, VIRTIO_MMIO_STATUS + 2, 4), UINT32_MAX);
    assert_true(said(f, "register 0x72 read with 4 bytes: 4, aligned, are expected"));
    bus_write(&f->b.bus, VIRTIO_MMIO_STATUS - 1, 4, 0x100);
    assert_true(said(f, "register 0x6f written with 4 bytes: 4, aligned, are expected"));
    assert_int_equal(bus_read(&f->b.bus, VIRTIO_MMIO_CONFIG_GENERATION, 8), UINT64_MAX);
}

static void register_names(void **state)
{
    struct fixture *f = *state;
    const struct device_ops *ops = &virtio_mmio_ops;
    assert_string_equal(ops->reg_name(&f->b.mmio, VIRTIO_MMIO_QUEUE_NOTIFY, true), "QueueNotify");
    assert_string_equal(ops->reg_name(&f->b.mmio, VIRTIO_MMIO_MAGIC_VALUE, false), "MagicValue");
    assert_string_equal(ops->reg_name(&f->b.mmio, 0x0fc, false), "ConfigGeneration");
    assert_string_equal(ops->reg_name(&f->b.mmio, 0x104, false), "capacity");
    assert_string_equal(ops->reg_name(&f->b.mmio, 0x108, false), "config");
    assert_null(ops->reg_name(&f->b.mmio, 0x10c, false)); /* past the end */
    assert_null(ops->reg_name(&f->b.mmio, 0x1fc, false));
    assert_null(ops->reg_name(&f->b.mmio, 0x040, true)); /* legacy */
    assert_null(ops->reg_name(&f->b.mmio, 0x071, true));
}

/* --- queues --------------------------------------------------------------------------------- */

static void queue_before_features_ok(void **state)
{
    struct fixture *f = *state;
    bench_prepare_queue(&f->b, 0, SIZE);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_true(said(f, "queue 0 set up before FEATURES_OK: ignored"));
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void queue_that_is_not_there(void **state)
{
    static const uint32_t offsets[] = {0x038, 0x044, 0x080, 0x084, 0x090,
                                       0x094, 0x0a0, 0x0a4, 0x0c0};
    static const uint32_t queues[] = {2, VIRTIO_QUEUES_MAX, UINT32_MAX};
    struct fixture *f = *state;
    bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_RING_RESET), SIZE);
    const struct counter before = f->c;
    for (unsigned q = 0; q < 3; q++) {
        bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, queues[q]);
        assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
        assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), 0);
        for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
            char text[80];
            bench_set(&f->b, offsets[i], 1);
            snprintf(text, sizeof(text), "queue register 0x%x written: QueueSel is %u of 2 queues",
                     offsets[i], queues[q]);
            assert_true(said(f, text));
        }
        bench_set(&f->b, VIRTIO_MMIO_QUEUE_NOTIFY, queues[q]);
        assert_true(said(f, "the device has 2 queues"));
    }
    assert_memory_equal(&f->c, &before, sizeof(before));
}

static void queue_that_is_ready_does_not_change(void **state)
{
    static const uint32_t offsets[] = {0x038, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4};
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    const struct counter before = f->c;
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 1);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        bench_set(&f->b, offsets[i], 16);
        assert_true(said(f, "written while queue 1 is ready: ignored"));
    }
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 1); /* is so already */
    assert_memory_equal(&f->c, &before, sizeof(before));
}

static void queue_taken_back(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    assert_int_equal(f->c.starts, 1);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 1);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_int_equal(f->c.stops[0], 0);
    assert_int_equal(f->c.stops[1], 1);
    assert_false(virtio_live(&f->c.dev, 1));
    assert_true(virtio_live(&f->c.dev, 0));
    bench_notify(&f->b, 1);
    assert_true(said(f, "notification of queue 1 ignored: the queue is not ready"));
    assert_int_equal(f->c.kicks[1], 0);
    bench_prepare_queue(&f->b, 1, 4);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 0); /* not ready: keeps what was prepared */
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), 1);
    assert_int_equal(f->c.dev.queue[1].size, 4);
    assert_int_equal(f->c.starts, 2); /* made ready after DRIVER_OK */
}

/* 2.6.1: over when the write returns, so that it reads as 0, and the queue as not ready. */
static void queue_reset(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 0);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_RESET, 1);
    assert_true(said(f, "QueueReset written without VIRTIO_F_RING_RESET: ignored"));
    assert_true(virtio_live(&f->c.dev, 0));

    bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_RING_RESET), SIZE);
    f->c.stops[0] = f->c.stops[1] = 0;
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    assert_int_equal(virtio_pop(&f->c.dev, 0, &f->chain), 1);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 0);
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_RESET, 0);
    assert_true(virtio_live(&f->c.dev, 0));
    bench_set(&f->b, VIRTIO_MMIO_QUEUE_RESET, 1);
    assert_true(said(f, "queue 0: reset"));
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_RESET), 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_int_equal(f->c.stops[0], 1);
    assert_int_equal(f->c.stops[1], 0);
    virtio_push(&f->c.dev, 0, f->chain.head, 4); /* too late: goes nowhere */
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 0);
    bench_queue(&f->b, 0, 2); /* with another size */
    assert_true(virtio_live(&f->c.dev, 0));
    assert_int_equal(f->c.dev.queue[0].in_flight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MMIO_TEST(identity),
        MMIO_TEST(empty_slot),
        MMIO_TEST(registers_that_read_as_ones),
        MMIO_TEST(registers_that_cannot_be_written),
        MMIO_TEST(widths),
        MMIO_TEST(register_names),
        MMIO_TEST(queue_before_features_ok),
        MMIO_TEST(queue_that_is_not_there),
        MMIO_TEST(queue_that_is_ready_does_not_change),
        MMIO_TEST(queue_taken_back),
        MMIO_TEST(queue_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
