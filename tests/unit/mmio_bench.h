/*
 * mmio_bench.h: a device in a virtio-mmio slot that counts what it is told.
 */
#ifndef KVMLENS_MMIO_BENCH_H
#define KVMLENS_MMIO_BENCH_H

#include "virtio_bench.h"

#define FEATURE VIRTIO_BIT(5)
#define SIZE    8

/* A device with a configuration of 12 bytes and two queues: it counts what it is told. */
struct counter {
    struct virtio_device dev;
    uint8_t config[12];
    unsigned starts, resets, kicks[2], stops[2];
    bool had_features; /* at the last stop */
};

static inline uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    const struct counter *c = (const struct counter *)dev;
    uint64_t value = 0;
    assert_true(offset + size <= sizeof(c->config));
    memcpy(&value, c->config + offset, size);
    return value;
}

static inline void config_write(struct virtio_device *dev, uint32_t offset, unsigned size,
                                uint64_t value)
{
    struct counter *c = (struct counter *)dev;
    assert_true(offset + size <= sizeof(c->config));
    memcpy(c->config + offset, &value, size);
}

static inline const char *config_name(const struct virtio_device *dev, uint32_t offset)
{
    (void)dev;
    return offset < 8 ? "capacity" : NULL;
}

static inline void start(struct virtio_device *dev)
{
    ((struct counter *)dev)->starts++;
}

static inline void kick(struct virtio_device *dev, unsigned queue)
{
    assert_true(virtio_live(dev, queue));
    ((struct counter *)dev)->kicks[queue]++;
}

static inline void stop_queue(struct virtio_device *dev, unsigned queue)
{
    struct counter *c = (struct counter *)dev;
    assert_true(dev->queue[queue].ready);
    c->stops[queue]++;
    c->had_features = virtio_has(dev, VIRTIO_F_VERSION_1);
}

static inline void reset(struct virtio_device *dev)
{
    struct counter *c = (struct counter *)dev;
    assert_int_equal(dev->status, 0);
    assert_false(dev->queue[0].ready || dev->queue[1].ready);
    c->resets++;
}

static const struct virtio_ops counter_ops = {.id = VIRTIO_ID_BLOCK,
                                              .config_size = 12,
                                              .config_read = config_read,
                                              .config_write = config_write,
                                              .config_name = config_name,
                                              .start = start,
                                              .kick = kick,
                                              .stop_queue = stop_queue,
                                              .reset = reset};

struct fixture {
    struct virtio_bench b;
    struct counter c;
    struct virtq_chain chain;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    bench_init(&f->b);
    virtio_init(&f->c.dev, &counter_ops, "counter", &f->b.mem, bench_remark(&f->b), FEATURE, 2);
    f->c.dev.queue[1].size_max = 64;
    bench_connect(&f->b, &f->c.dev);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    bench_free(&f->b);
    free(f);
    return 0;
}

static inline bool said(struct fixture *f, const char *text)
{
    bool found = bench_said(&f->b, text);
    bench_hush(&f->b);
    return found;
}

#define MMIO_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
