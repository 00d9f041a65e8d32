/*
 * net_bench.h: a network device on a test bench: its queues in a small guest's memory, played by a
 * scripted driver, and a far end that takes frames while it has room.
 */
#ifndef KVMLENS_NET_BENCH_H
#define KVMLENS_NET_BENCH_H

#include "virtio/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BENCH_RAM     0x100000u
#define BENCH_SIZE    16       /* entries of each queue */
#define BENCH_RINGS   0x1000u  /* of queue 0; those of queue 1 one page on */
#define BENCH_BUFFERS 0x10000u /* where the tests put their buffers */
#define BENCH_HDR     VIRTIO_NET_HDR_SIZE

struct bench {
    struct virtio_net net;
    struct mem mem;
    uint8_t *ram;
    uint16_t offered[VIRTIO_NET_QUEUES]; /* avail.idx */
    uint16_t next_desc[VIRTIO_NET_QUEUES];
    unsigned interrupts, config_interrupts;
    char said[128]; /* the last remark */

    unsigned can_send; /* frames that the far end still takes */
    uint8_t sent[2 * NET_FRAME_MAX];
    size_t sent_len; /* of the last one */
    unsigned sends;
    unsigned forgets;    /* calls of forget() */
    unsigned rooms;      /* calls of room() */
    const uint8_t *held; /* a frame that room() delivers */
    size_t held_len;
    bool guest_csum;
    unsigned again; /* the device left something for later */
};

/* A part of a buffer: flags VIRTQ_DESC_WRITE or 0. */
struct part {
    uint32_t gpa, len;
    uint16_t flags;
};

static inline bool bench_send(void *opaque, const struct iovec *iov, unsigned count)
{
    struct bench *b = opaque;

    if (b->can_send == 0)
        return false;
    b->can_send--;
    b->sends++;
    b->sent_len = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_true(iov[i].iov_len <= sizeof b->sent - b->sent_len);
        memcpy(b->sent + b->sent_len, iov[i].iov_base, iov[i].iov_len);
        b->sent_len += iov[i].iov_len;
    }
    return true;
}

static inline void bench_forget(void *opaque)
{
    ((struct bench *)opaque)->forgets++;
}

static inline void bench_room(void *opaque)
{
    struct bench *b = opaque;

    b->rooms++;
    if (b->held && virtio_net_receive(&b->net, b->held, b->held_len))
        b->held = NULL;
}

static inline void bench_offload(void *opaque, bool guest_csum)
{
    ((struct bench *)opaque)->guest_csum = guest_csum;
}

static inline void bench_again(void *opaque, unsigned queue)
{
    assert_int_equal(queue, VIRTIO_NET_TX);
    ((struct bench *)opaque)->again++;
}

static inline void bench_interrupt(void *opaque, uint32_t reason)
{
    struct bench *b = opaque;

    *(reason == VIRTIO_MMIO_INT_CONFIG ? &b->config_interrupts : &b->interrupts) += 1;
}

static inline void bench_say(void *opaque, const char *device, const char *text, uint64_t x,
                             uint64_t y, uint64_t z)
{
    struct bench *b = opaque;

    assert_string_equal(device, "net0");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(b->said, sizeof b->said, text, (unsigned long long)x, (unsigned long long)y,
             (unsigned long long)z);
#pragma GCC diagnostic pop
}

static inline struct virtq_avail *bench_avail(struct bench *b, unsigned queue)
{
    return (struct virtq_avail *)(void *)(b->ram + BENCH_RINGS * (queue + 1) + 0x400);
}

static inline struct virtq_used *bench_used(struct bench *b, unsigned queue)
{
    return (struct virtq_used *)(void *)(b->ram + BENCH_RINGS * (queue + 1) + 0x800);
}

/* Reset, and up to DRIVER_OK with FEATURES (and VERSION_1). */
static inline void bench_start(struct bench *b, uint64_t features)
{
    struct virtio_device *dev = &b->net.dev;

    virtio_set_status(dev, 0);
    memset(b->ram + BENCH_RINGS, 0, 2 * BENCH_RINGS);
    virtio_set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    dev->driver_features = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_FEATURES_OK);
    assert_true(dev->status & VIRTIO_STATUS_FEATURES_OK);
    for (unsigned i = 0; i < VIRTIO_NET_QUEUES; i++) {
        struct virtq *q = &dev->queue[i];

        q->size = BENCH_SIZE;
        q->desc = BENCH_RINGS * (i + 1);
        q->avail = q->desc + 0x400;
        q->used = q->desc + 0x800;
        virtio_start_queue(dev, i);
        assert_true(q->ready);
        b->offered[i] = b->next_desc[i] = 0;
    }
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_DRIVER_OK);
}

static inline struct bench *bench_make(bool vnet_hdr, uint64_t features)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    struct bench *b = calloc(1, sizeof *b);

    assert_non_null(b);
    b->ram = calloc(1, BENCH_RAM);
    assert_non_null(b->ram);
    assert_int_equal(mem_add(&b->mem, 0, BENCH_RAM, b->ram, false), 0);
    b->can_send = UINT32_MAX;
    virtio_net_init(&b->net, "net0", &b->mem, (struct device_remark){.say = bench_say, .opaque = b},
                    mac,
                    &(struct net_backend){.send = bench_send,
                                          .forget = bench_forget,
                                          .room = bench_room,
                                          .offload = bench_offload,
                                          .vnet_hdr = vnet_hdr,
                                          .opaque = b});
    b->net.dev.transport = (struct virtio_transport){.interrupt = bench_interrupt, .opaque = b};
    b->net.dev.later = (struct virtio_later){bench_again, b};
    bench_start(b, features);
    return b;
}

static inline void bench_free(struct bench *b)
{
    free(b->ram);
    free(b);
}

/* Offers a buffer of COUNT parts; no notification. Its head. */
static inline uint16_t bench_offer(struct bench *b, unsigned queue, const struct part *part,
                                   unsigned count)
{
    struct virtq_desc *desc = (struct virtq_desc *)(void *)(b->ram + BENCH_RINGS * (queue + 1));
    struct virtq_avail *avail = bench_avail(b, queue);
    uint16_t head = b->next_desc[queue] % BENCH_SIZE;

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((b->next_desc[queue] + 1) % BENCH_SIZE);
        bool more = i + 1 < count;

        desc[b->next_desc[queue]] =
            (struct virtq_desc){.addr = part[i].gpa,
                                .len = part[i].len,
                                .flags = (uint16_t)(part[i].flags | (more ? VIRTQ_DESC_NEXT : 0)),
                                .next = more ? next : 0};
        b->next_desc[queue] = next;
    }
    avail->ring[b->offered[queue] % BENCH_SIZE] = head;
    avail->idx = ++b->offered[queue];
    return head;
}

/* A receive buffer of LEN bytes at GPA. */
static inline uint16_t bench_offer_rx(struct bench *b, uint32_t gpa, uint32_t len)
{
    return bench_offer(b, VIRTIO_NET_RX, &(struct part){gpa, len, VIRTQ_DESC_WRITE}, 1);
}

/* Sends a frame of LEN bytes, all FILL, with HDR before it, and notifies. */
static inline void bench_tx(struct bench *b, const struct virtio_net_hdr *hdr, uint32_t len,
                            uint8_t fill)
{
    const struct part parts[] = {{BENCH_BUFFERS, BENCH_HDR, 0},
                                 {BENCH_BUFFERS + BENCH_HDR, len, 0}};

    memcpy(b->ram + BENCH_BUFFERS, hdr, BENCH_HDR);
    memset(b->ram + BENCH_BUFFERS + BENCH_HDR, fill, len);
    bench_offer(b, VIRTIO_NET_TX, parts, len > 0 ? 2 : 1);
    virtio_kick(&b->net.dev, VIRTIO_NET_TX);
}

static inline void expect_said(const struct bench *b, const char *text)
{
    if (strstr(b->said, text) == NULL)
        fail_msg("the device said: %s", b->said);
}

static inline bool bench_is_broken(const struct bench *b)
{
    return b->net.dev.status & VIRTIO_STATUS_NEEDS_RESET;
}

#endif
