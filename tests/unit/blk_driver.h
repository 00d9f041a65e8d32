/*
 * blk_driver.h: the driver's side of blk_bench.h: requests asked for, and how they come back.
 */
#ifndef BLK_DRIVER_H
#define BLK_DRIVER_H

#include "blk_bench.h"

static inline int setup(void **state)
{
    struct blk_bench *b = malloc(sizeof(*b));

    blk_make(b, (struct block_info){.writeback = true}, "serial-7", true);
    bench_start(&b->bench, BLK_FEATURES, 64);
    *state = b;
    return 0;
}

static inline int teardown(void **state)
{
    struct blk_bench *b = *state;

    bench_free(&b->bench);
    free(b);
    return 0;
}

/* A device of another kind in place of setup()'s. */
static inline void remake(struct blk_bench *b, struct block_info info, bool config_wce,
                          uint64_t features)
{
    bench_free(&b->bench);
    blk_make(b, info, NULL, config_wce);
    bench_start(&b->bench, features, 64);
}

/* A request in flight or done: where its pieces are. */
struct asked {
    uint16_t head;
    uint64_t data, status; /* GPA */
};

/* Offers a request and notifies: READABLE bytes of data from FROM, then WRITABLE bytes of room. */
static inline struct asked ask(struct blk_bench *b, uint32_t type, uint64_t sector,
                               const void *from, uint32_t readable, uint32_t writable)
{
    struct virtio_blk_header header = {.type = type, .sector = sector};
    struct bench_buffer buffers[4];
    unsigned count = 0;
    struct asked asked = {.status = bench_put(&b->bench, "\xff", 1)};

    buffers[count++] =
        (struct bench_buffer){bench_put(&b->bench, &header, sizeof(header)), sizeof(header), false};
    if (readable) {
        asked.data = bench_put(&b->bench, from, readable);
        buffers[count++] = (struct bench_buffer){asked.data, readable, false};
    }
    if (writable) {
        asked.data = bench_alloc(&b->bench, writable);
        buffers[count++] = (struct bench_buffer){asked.data, writable, true};
    }
    buffers[count++] = (struct bench_buffer){asked.status, 1, true};
    asked.head = bench_offer(&b->bench, 0, buffers, count);
    bench_notify(&b->bench, 0);
    return asked;
}

static inline uint8_t status_of(const struct blk_bench *b, struct asked asked)
{
    return *(uint8_t *)bench_at(&b->bench, asked.status, 1);
}

/* ASKED has come back next, with STATUS and LEN bytes written. */
static inline void came_back(struct blk_bench *b, struct asked asked, uint8_t status, uint32_t len)
{
    struct virtq_used_elem elem;

    assert_true(bench_used(&b->bench, 0, &elem));
    assert_int_equal(elem.id, asked.head);
    assert_int_equal(status_of(b, asked), status);
    assert_int_equal(elem.len, len);
    assert_int_equal(bench_get(&b->bench, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

#endif
