/*
 * virtq_bench.h: two queues on a test bench, behind a device that does nothing of its own accord:
 * the test is the device.
 */
#ifndef KVMLENS_VIRTQ_BENCH_H
#define KVMLENS_VIRTQ_BENCH_H

#include "virtio_bench.h"

#define SIZE 8 /* entries of each queue */

static inline uint64_t no_config(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    (void)dev, (void)offset, (void)size;
    return 0;
}

static inline void no_kick(struct virtio_device *dev, unsigned queue)
{
    (void)dev, (void)queue;
}

static const struct virtio_ops idle_ops = {
    .id = VIRTIO_ID_ENTROPY, .config_read = no_config, .kick = no_kick};

struct fixture {
    struct virtio_bench b;
    struct virtio_device dev;
    struct virtq_chain chain;
};

static inline struct fixture *make(uint64_t features)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    bench_init(&f->b);
    virtio_init(&f->dev, &idle_ops, "idle", &f->b.mem, bench_remark(&f->b), 0, 2);
    bench_connect(&f->b, &f->dev);
    bench_start(&f->b, features, SIZE);
    return f;
}

static inline int set_up(void **state)
{
    *state = make(VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    return 0;
}

static inline int set_up_event(void **state)
{
    *state = make(VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    bench_free(&f->b);
    free(f);
    return 0;
}

static inline void offer_one(struct fixture *f)
{
    bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 16, true}}, 1);
}

static inline void pop_one(struct fixture *f)
{
    assert_int_equal(virtq_pop(&f->dev.queue[0], &f->chain), 1);
}

static inline void push_one(struct fixture *f)
{
    assert_int_equal(virtq_push(&f->dev.queue[0], f->chain.head, 16), 0);
}

#define VIRTQ_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define EVENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_event, tear_down)

#endif
