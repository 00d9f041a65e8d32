/*
 * small_driver.h: a scripted driver on a small memory, for the tests of devices with many queues:
 * buffers of one readable and one writable part, offered, kicked and collected one by one.
 */
#ifndef KVMLENS_SMALL_DRIVER_H
#define KVMLENS_SMALL_DRIVER_H

#include "virtio/virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DRIVER_RAM   (2u << 20)
#define DRIVER_SIZE  32 /* entries of a queue: two for each of DRIVER_SLOTS buffers */
#define DRIVER_SLOTS (DRIVER_SIZE / 2)
#define SLOT_BYTES   4096

struct small_driver {
    struct virtio_device *dev;
    struct mem mem;
    uint8_t *ram;
    struct {
        uint16_t offered, seen;
    } queue[VIRTIO_QUEUES_MAX];
    unsigned used_interrupts, config_interrupts;
    char remark[200]; /* the last one */
};

static inline uint64_t driver_ring(unsigned queue)
{
    return 0x1000u * (queue + 1);
}

static inline uint64_t driver_slot(unsigned queue, uint16_t index)
{
    return 0x40000u + (queue * DRIVER_SLOTS + index % DRIVER_SLOTS) * SLOT_BYTES;
}

static inline void driver_say(void *opaque, const char *device, const char *text, uint64_t a,
                              uint64_t b, uint64_t c)
{
    struct small_driver *d = opaque;

    (void)device;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(d->remark, sizeof d->remark, text, (unsigned long long)a, (unsigned long long)b,
             (unsigned long long)c);
#pragma GCC diagnostic pop
}

static inline struct device_remark driver_remark(struct small_driver *d)
{
    return (struct device_remark){driver_say, d};
}

static inline void driver_interrupt(void *opaque, uint32_t reason)
{
    struct small_driver *d = opaque;

    d->used_interrupts += reason == VIRTIO_MMIO_INT_USED_RING;
    d->config_interrupts += reason == VIRTIO_MMIO_INT_CONFIG;
}

/* Memory first, because a device is made with it. */
static inline void driver_init(struct small_driver *d)
{
    *d = (struct small_driver){.ram = calloc(1, DRIVER_RAM)};
    assert_non_null(d->ram);
    assert_int_equal(mem_add(&d->mem, 0, DRIVER_RAM, d->ram, false), 0);
}

static inline void driver_free(struct small_driver *d)
{
    free(d->ram);
}

/* Brings DEV to DRIVER_OK with these features beside VERSION_1, its queues empty. */
static inline void driver_start(struct small_driver *d, struct virtio_device *dev,
                                uint64_t features)
{
    d->dev = dev;
    dev->transport = (struct virtio_transport){driver_interrupt, d};
    virtio_set_status(dev, 0);
    memset(d->queue, 0, sizeof d->queue);
    memset(d->ram, 0, 0x40000);
    virtio_set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    dev->driver_features = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_FEATURES_OK);
    assert_true(dev->status & VIRTIO_STATUS_FEATURES_OK);
    for (unsigned q = 0; q < dev->queue_count; q++) {
        dev->queue[q].size = DRIVER_SIZE;
        dev->queue[q].desc = driver_ring(q);
        dev->queue[q].avail = driver_ring(q) + 0x400;
        dev->queue[q].used = driver_ring(q) + 0x800;
        virtio_start_queue(dev, q);
    }
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_DRIVER_OK);
    assert_false(dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

/* Offers OUT_LEN readable bytes, then IN_LEN writable ones; either may be 0. No notification. */
static inline void driver_offer(struct small_driver *d, unsigned queue, const void *out,
                                uint32_t out_len, uint32_t in_len)
{
    uint16_t index = d->queue[queue].offered++, head = (uint16_t)(index % DRIVER_SLOTS * 2);
    struct virtq_desc *desc = (struct virtq_desc *)(d->ram + driver_ring(queue));
    struct virtq_avail *avail = (struct virtq_avail *)(d->ram + driver_ring(queue) + 0x400);
    uint64_t slot = driver_slot(queue, index);

    assert_true(out_len + in_len <= SLOT_BYTES);
    if (out_len > 0)
        memcpy(d->ram + slot, out, out_len);
    desc[head] =
        (struct virtq_desc){slot, out_len, in_len ? VIRTQ_DESC_NEXT : 0, (uint16_t)(head + 1)};
    desc[head + 1] = (struct virtq_desc){slot + out_len, in_len, VIRTQ_DESC_WRITE, 0};
    avail->ring[index % DRIVER_SIZE] = out_len ? head : (uint16_t)(head + 1);
    avail->idx = d->queue[queue].offered;
}

static inline void driver_send(struct small_driver *d, unsigned queue, const void *out,
                               uint32_t out_len)
{
    driver_offer(d, queue, out, out_len, 0);
    virtio_kick(d->dev, queue);
}

/* How many buffers the device has given back that were not collected. */
static inline unsigned driver_returned(const struct small_driver *d, unsigned queue)
{
    const struct virtq_used *used =
        (const struct virtq_used *)(d->ram + driver_ring(queue) + 0x800);

    return (uint16_t)(used->idx - d->queue[queue].seen);
}

/* The next buffer that the device has given back (in order): its first writable byte where it had no
 * readable part, and in *LEN what was written. NULL: none. */
static inline uint8_t *driver_collect(struct small_driver *d, unsigned queue, uint32_t *len)
{
    const struct virtq_used *used =
        (const struct virtq_used *)(d->ram + driver_ring(queue) + 0x800);
    uint16_t index = d->queue[queue].seen;

    if (used->idx == index)
        return NULL;
    d->queue[queue].seen++;
    assert_int_equal(used->ring[index % DRIVER_SIZE].id / 2, index % DRIVER_SLOTS);
    *len = used->ring[index % DRIVER_SIZE].len;
    return d->ram + driver_slot(queue, index);
}

#endif
