/*
 * test_virtio.c: what all virtio devices share: status, features, notifications, interrupts,
 * configuration and reset (virtio 1.2, sections 2.1 to 2.6 and 3.1).
 */
#include "mmio_bench.h"

/* --- status and features (2.1, 2.2, 3.1.1) -------------------------------------------------- */

static void features_offered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bench_offered(&f->b),
                     FEATURE | VIRTIO_BIT(28) | VIRTIO_BIT(29) | VIRTIO_BIT(32) | VIRTIO_BIT(40));
    bench_set(&f->b, VIRTIO_MMIO_DEVICE_SEL, 2);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_DEVICE_FEATURES), 0);
    bench_set(&f->b, VIRTIO_MMIO_DEVICE_SEL, UINT32_MAX);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void features_accepted(void **state)
{
    struct fixture *f = *state;
    assert_true(bench_features(&f->b, FEATURE));
    assert_true(said(f, "status: FEATURES_OK, with features 0x100000020"));
    assert_true(virtio_has(&f->c.dev, 5));
    assert_false(virtio_has(&f->c.dev, VIRTIO_F_EVENT_IDX));
    /* fixed from now on */
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_SEL, 0);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
    assert_true(said(f, "DriverFeatures written after FEATURES_OK: ignored"));
    bench_status(&f->b, VIRTIO_STATUS_DRIVER_OK);
    assert_int_equal(f->c.dev.driver_features, FEATURE | VIRTIO_BIT(32));
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0);
    assert_false(virtio_has(&f->c.dev, 5));
    assert_int_equal(f->c.dev.driver_features, 0);
}

static void features_refused(void **state)
{
    struct fixture *f = *state;
    assert_false(bench_features(&f->b, FEATURE | VIRTIO_BIT(6) | VIRTIO_BIT(33)));
    assert_true(said(f, "FEATURES_OK refused: features 0x200000040 are not offered"));
    assert_false(virtio_has(&f->c.dev, 5));
    /* It may try again with what is offered; but not without VERSION_1. */
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_SEL, 0);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)FEATURE);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_SEL, 1);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, 0);
    assert_false(bench_status(&f->b, VIRTIO_STATUS_FEATURES_OK));
    assert_true(said(f, "FEATURES_OK refused: features 0x20 lack VIRTIO_F_VERSION_1"));
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_SEL, 2); /* there are no more than 64 */
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    assert_true(said(f, "DriverFeatures written with DriverFeaturesSel 2: ignored"));
    assert_true(bench_status(&f->b, VIRTIO_STATUS_FEATURES_OK));
    assert_true(virtio_has(&f->c.dev, 5));
}

static void status_bits(void **state)
{
    struct fixture *f = *state;
    assert_true(bench_status(&f->b, VIRTIO_STATUS_ACKNOWLEDGE));
    assert_true(said(f, "counter: status: ACKNOWLEDGE"));
    bench_set(&f->b, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_DRIVER);
    assert_true(said(f, "status 0x2 written over 0x1: only a reset clears bits"));
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 3);
    assert_false(bench_status(&f->b, VIRTIO_STATUS_NEEDS_RESET)); /* the device's alone */
    assert_false(bench_status(&f->b, 0x30));                      /* nobody's */
    assert_false(bench_status(&f->b, VIRTIO_STATUS_DRIVER_OK));
    assert_true(said(f, "DRIVER_OK refused: FEATURES_OK is not set"));
    assert_int_equal(f->c.starts, 0);
    assert_true(bench_status(&f->b, VIRTIO_STATUS_FAILED));
    assert_true(said(f, "status: FAILED"));
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(f->c.resets, 1);
}

/* Some drivers set several bits at once: they are taken in the order of 3.1.1. */
static void status_at_once(void **state)
{
    struct fixture *f = *state;
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_SEL, 1);
    bench_set(&f->b, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0x0f);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 0x0f);
    assert_int_equal(f->c.starts, 1);
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0x0f);
    assert_int_equal(f->c.starts, 1);
}

/* --- notifications and interrupts ----------------------------------------------------------- */

static void notifications(void **state)
{
    struct fixture *f = *state;
    bench_features(&f->b, 0);
    bench_queue(&f->b, 0, SIZE);
    bench_notify(&f->b, 0);
    assert_true(said(f, "notification of queue 0 ignored: DRIVER_OK is not set"));
    assert_int_equal(f->c.kicks[0], 0);
    assert_int_equal(virtio_pop(&f->c.dev, 0, &f->chain), 0);
    bench_status(&f->b, VIRTIO_STATUS_DRIVER_OK);
    assert_true(virtio_live(&f->c.dev, 0));
    assert_false(virtio_live(&f->c.dev, 1)); /* not set up */
    f->c.dev.queue[2].ready = true;          /* beyond the device's two */
    assert_false(virtio_live(&f->c.dev, 2));
    bench_notify(&f->b, 0);
    virtio_mmio_notify(&f->b.mmio, 0); /* as an ioeventfd does */
    assert_int_equal(f->c.kicks[0], 2);
    virtio_broken(&f->c.dev, "spoilt", 0, 0);
    bench_notify(&f->b, 0);
    assert_true(said(f, "notification of queue 0 ignored: the device needs a reset"));
    assert_int_equal(f->c.kicks[0], 2);
}

static void serve(struct fixture *f)
{
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    assert_int_equal(virtio_pop(&f->c.dev, 0, &f->chain), 1);
    virtio_push(&f->c.dev, 0, f->chain.head, 4);
    struct virtq_used_elem elem;
    assert_true(bench_used(&f->b, 0, &elem));
}

static void interrupts(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    serve(f);
    assert_true(f->b.wires.level);
    assert_int_equal(f->b.wires.gsi, 5);
    serve(f); /* the line is high already */
    virtio_config_changed(&f->c.dev);
    assert_int_equal(f->b.wires.rises, 1);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
    bench_set(&f->b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    assert_true(f->b.wires.level);           /* one reason is left */
    assert_int_equal(f->b.wires.repeats, 2); /* the second reason, and what is left: two edges */
    bench_set(&f->b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_USED_RING);
    assert_false(f->b.wires.level);
    bench_set(&f->b, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX); /* nothing to acknowledge */
    serve(f);
    assert_int_equal(f->b.wires.rises, 2);
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0); /* lowers the line */
    assert_false(f->b.wires.level);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void no_interrupts_before_driver_ok(void **state)
{
    struct fixture *f = *state;
    bench_features(&f->b, 0);
    bench_queue(&f->b, 0, SIZE);
    virtio_config_changed(&f->c.dev);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_CONFIG_GENERATION), 1);
    virtio_broken(&f->c.dev, "spoilt by %llu and %llu", 7, 8);
    assert_true(bench_said(&f->b, "counter: spoilt by 7 and 8"));
    assert_true(bench_get(&f->b, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_true(bench_status(&f->b, VIRTIO_STATUS_DRIVER_OK)); /* keeps NEEDS_RESET */
    assert_int_equal(f->c.starts, 0);
    assert_false(virtio_live(&f->c.dev, 0));
    assert_int_equal(f->b.wires.rises, 0);
}

static void breaks_once(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    virtio_broken(&f->c.dev, "first", 0, 0);
    assert_int_equal(bench_interrupt(&f->b), VIRTIO_MMIO_INT_CONFIG);
    bench_hush(&f->b);
    virtio_broken(&f->c.dev, "second", 0, 0);
    assert_int_equal(bench_interrupt(&f->b), 0);
    assert_int_equal(f->b.log_used, 0);
    bench_start(&f->b, 0, SIZE);
    serve(f);
    assert_int_equal(bench_interrupt(&f->b), VIRTIO_MMIO_INT_USED_RING);
}

static void nobody_listens(void **state)
{
    struct fixture *f = *state;
    f->c.dev.remark = (struct device_remark){0};
    f->c.dev.transport = (struct virtio_transport){0};
    bench_start(&f->b, 0, SIZE);
    serve(f);
    virtio_broken(&f->c.dev, "spoilt", 0, 0);
    assert_int_equal(f->b.wires.rises, 0);
}

/* --- configuration (2.5) -------------------------------------------------------------------- */

static void configuration(void **state)
{
    struct fixture *f = *state;
    for (uint8_t i = 0; i < 12; i++) {
        f->c.config[i] = (uint8_t)(0x10 + i);
    }
    assert_int_equal(bench_config(&f->b, 0, 8), 0x1716151413121110);
    assert_int_equal(bench_config(&f->b, 8, 4), 0x1b1a1918);
    assert_int_equal(bench_config(&f->b, 10, 2), 0x1b1a);
    assert_int_equal(bench_config(&f->b, 11, 1), 0x1b);
    bench_set_config(&f->b, 8, 1, 0xff);
    assert_true(said(f, "config offset 8 written before FEATURES_OK: ignored"));
    assert_int_equal(f->c.config[8], 0x18);
    bench_features(&f->b, 0);
    bench_set_config(&f->b, 8, 4, 0x44332211);
    assert_int_equal(bench_config(&f->b, 8, 4), 0x44332211);
}

static void configuration_past_its_end(void **state)
{
    static const struct {
        uint32_t offset;
        unsigned size;
    } cases[] = {{8, 8}, {11, 2}, {12, 1}, {12, 4}, {0xf8, 8}, {0xff, 1}};
    struct fixture *f = *state;
    bench_features(&f->b, 0);
    memset(f->c.config, 0x55, sizeof(f->c.config));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_hush(&f->b);
        assert_int_equal(bench_config(&f->b, cases[i].offset, cases[i].size), 0);
        assert_true(said(f, "read past the end at 12"));
        bench_set_config(&f->b, cases[i].offset, cases[i].size, 0);
        assert_true(said(f, "written past the end at 12"));
    }
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(f->c.config[i], 0x55);
    }
}

static void configuration_that_is_read_only(void **state)
{
    struct fixture *f = *state;
    struct virtio_ops ops = counter_ops;
    ops.config_write = NULL;
    f->c.dev.ops = &ops;
    bench_features(&f->b, 0);
    bench_set_config(&f->b, 8, 4, 1);
    assert_true(said(f, "config offset 8 written: it is read-only"));
    assert_int_equal(bench_config(&f->b, 8, 4), 0);
}

static void configuration_generation(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    for (unsigned i = 0; i < 257; i++) {
        uint32_t before = bench_get(&f->b, VIRTIO_MMIO_CONFIG_GENERATION);
        virtio_config_changed(&f->c.dev);
        assert_int_not_equal(bench_get(&f->b, VIRTIO_MMIO_CONFIG_GENERATION), before);
        assert_int_equal(bench_interrupt(&f->b), VIRTIO_MMIO_INT_CONFIG);
    }
}

/* --- reset (2.4) ---------------------------------------------------------------------------- */

/* In any state: queues with buffers in flight are stopped first, with the features still known. */
static void reset_in_any_state(void **state)
{
    struct fixture *f = *state;
    for (unsigned how = 0; how < 4; how++) {
        bench_start(&f->b, FEATURE, SIZE);
        bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
        assert_int_equal(virtio_pop(&f->c.dev, 0, &f->chain), 1);
        if (how & 1) {
            virtio_broken(&f->c.dev, "spoilt", 0, 0);
        } else {
            virtio_config_changed(&f->c.dev);
        }
        f->c.stops[0] = f->c.stops[1] = f->c.resets = 0;
        if (how & 2) {
            bus_reset(&f->b.bus); /* of the machine */
        } else {
            bench_set(&f->b, VIRTIO_MMIO_STATUS, 0);
        }
        assert_int_equal(f->c.stops[0], 1);
        assert_int_equal(f->c.stops[1], 1);
        assert_true(f->c.had_features);
        assert_int_equal(f->c.resets, 1);
        assert_false(f->b.wires.level);
        assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_STATUS), 0);
        assert_int_equal(f->c.dev.driver_features, 0);
        virtio_push(&f->c.dev, 0, f->chain.head, 4); /* too late */
        assert_int_equal(bench_used_ring(&f->b, 0)->idx, 0);
        assert_int_equal(f->b.mmio.queue_sel, 0);
    }
    f->c.stops[0] = 0;
    bench_set(&f->b, VIRTIO_MMIO_STATUS, 0); /* twice: there is nothing to stop */
    assert_int_equal(f->c.stops[0], 0);
}

/* --- a device's loop ------------------------------------------------------------------------ */

/* Gives each buffer back with 1 byte; refuses those of 2 bytes, breaks at 3, and on the first of 5
 * offers another one, as a driver on another vCPU would. */
static bool take(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_mmio *mmio = dev->transport.opaque;
    struct fixture *f = (struct fixture *)((char *)mmio - offsetof(struct fixture, b.mmio));
    assert_false(dev->queue[queue].kicks);
    if (chain->writable_bytes == 2) {
        return false;
    }
    if (chain->writable_bytes == 3) {
        virtio_broken(dev, "three", 0, 0);
        return false;
    }
    if (chain->writable_bytes == 5) {
        bench_offer(&f->b, queue, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    }
    virtio_push(dev, queue, chain->head, 1);
    return true;
}

static void run_queue(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->c.dev.queue[0];
    virtio_run_queue(&f->c.dev, 0, &f->chain, take); /* not live: nothing happens */
    bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), SIZE);
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 5, true}}, 1);
    virtio_run_queue(&f->c.dev, 0, &f->chain, take);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 3);
    assert_true(q->kicks);
    assert_int_equal(bench_avail_event(&f->b, 0), 3); /* notify of the next one */

    uint16_t head = bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 2, true}}, 1);
    virtio_run_queue(&f->c.dev, 0, &f->chain, take);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 3);
    assert_int_equal(q->in_flight, 0); /* put back */
    assert_false(q->kicks);
    bench_desc(&f->b, 0)[head].len = 1;
    virtio_run_queue(&f->c.dev, 0, &f->chain, take); /* now there is room */
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 4);
    assert_true(q->kicks);

    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 3, true}}, 1);
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    virtio_run_queue(&f->c.dev, 0, &f->chain, take);
    assert_true(said(f, "three"));
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 4);
    assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
}

/* A driver that offers a buffer for each one that is taken. */
static bool take_and_offer(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_mmio *mmio = dev->transport.opaque;
    struct fixture *f = (struct fixture *)((char *)mmio - offsetof(struct fixture, b.mmio));

    struct virtq_used_elem elem;

    virtio_push(dev, queue, chain->head, 1);
    assert_true(bench_used(&f->b, queue, &elem));
    bench_offer(&f->b, queue, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    return true;
}

static void count_again(void *count, unsigned queue)
{
    assert_int_equal(queue, 0);
    ++*(unsigned *)count;
}

static void driver_that_never_rests(void **state)
{
    struct fixture *f = *state;
    unsigned again = 0;

    f->c.dev.later = (struct virtio_later){count_again, &again};
    bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), SIZE);
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 4, true}}, 1);
    virtio_run_queue(&f->c.dev, 0, &f->chain, take_and_offer);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, SIZE);
    assert_int_equal(again, 1);
    assert_false(f->c.dev.queue[0].kicks); /* nobody else need say that there is more */
    virtio_run_queue(&f->c.dev, 0, &f->chain, take_and_offer);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 2 * SIZE);
    assert_int_equal(again, 2);
    virtio_run_queue(&f->c.dev, 0, &f->chain, take);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 2 * SIZE + 1);
    assert_int_equal(again, 2);
    assert_true(f->c.dev.queue[0].kicks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MMIO_TEST(features_offered),
        MMIO_TEST(features_accepted),
        MMIO_TEST(features_refused),
        MMIO_TEST(status_bits),
        MMIO_TEST(status_at_once),
        MMIO_TEST(notifications),
        MMIO_TEST(interrupts),
        MMIO_TEST(no_interrupts_before_driver_ok),
        MMIO_TEST(breaks_once),
        MMIO_TEST(nobody_listens),
        MMIO_TEST(configuration),
        MMIO_TEST(configuration_past_its_end),
        MMIO_TEST(configuration_that_is_read_only),
        MMIO_TEST(configuration_generation),
        MMIO_TEST(reset_in_any_state),
        MMIO_TEST(run_queue),
        MMIO_TEST(driver_that_never_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
