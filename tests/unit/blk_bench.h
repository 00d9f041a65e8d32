/*
 * blk_bench.h: a block device on the bench of virtio_bench.h, with a disk in memory that is done with
 * a request when the test says so.
 */
#ifndef BLK_BENCH_H
#define BLK_BENCH_H

#include "virtio/blk.h"
#include "virtio_bench.h"

#include <errno.h>

#define BLK_SECTORS  64
#define BLK_INFLIGHT 512
#define BLK_FEATURES                                                                               \
    (VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) |                        \
     VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES))

struct blk_bench {
    struct virtio_bench bench;
    struct virtio_blk blk;
    uint8_t disk[BLK_SECTORS * VIRTIO_BLK_SECTOR];
    struct block_request *flying[BLK_INFLIGHT]; /* submitted and not done, oldest first */
    unsigned count, submits, drains, flushes;
    bool at_once; /* what is submitted is done before submit() returns */
    int error;    /* of what is done from now on */
};

/* Does REQUEST on the disk in memory, checking what the device promised. */
static inline void fake_perform(struct blk_bench *b, struct block_request *request)
{
    uint64_t bytes = 0;

    request->error = b->error;
    if (request->op == BLOCK_FLUSH) {
        b->flushes++;
        return;
    }
    BENCH_CHECK(request->bytes > 0 && request->bytes % VIRTIO_BLK_SECTOR == 0);
    BENCH_CHECK(request->offset <= sizeof(b->disk) &&
                request->bytes <= sizeof(b->disk) - request->offset);
    if (request->op == BLOCK_DISCARD || b->error)
        return;
    if (request->op == BLOCK_WRITE_ZEROES) {
        memset(b->disk + request->offset, 0, request->bytes);
        return;
    }
    for (unsigned i = 0; i < request->iov_count; i++) {
        uint8_t *at = b->disk + request->offset + bytes;

        bytes += request->iov[i].iov_len;
        BENCH_CHECK(bytes <= request->bytes);
        if (request->op == BLOCK_WRITE)
            memcpy(at, request->iov[i].iov_base, request->iov[i].iov_len);
        else
            memcpy(request->iov[i].iov_base, at, request->iov[i].iov_len);
    }
    BENCH_CHECK(bytes == request->bytes);
}

/* The backend is done with the requests of these numbers, and says so once. */
static inline void finish(struct blk_bench *b, const unsigned *numbers, unsigned count)
{
    struct block_client client = virtio_blk_client(&b->blk);
    struct block_request *list = NULL, **end = &list;

    for (unsigned i = 0; i < count; i++) {
        struct block_request *request = b->flying[numbers[i]];

        BENCH_CHECK(request != NULL);
        fake_perform(b, request);
        b->flying[numbers[i]] = NULL;
        request->next = NULL;
        *end = request;
        end = &request->next;
    }

    unsigned left = 0;

    for (unsigned i = 0; i < b->count; i++)
        if (b->flying[i])
            b->flying[left++] = b->flying[i];
    b->count = left;
    if (list)
        client.done(client.opaque, list);
}

static inline void finish_all(struct blk_bench *b)
{
    unsigned numbers[BLK_INFLIGHT];

    for (unsigned i = 0; i < b->count; i++)
        numbers[i] = i;
    finish(b, numbers, b->count);
}

static inline void fake_submit(void *opaque, struct block_request *list)
{
    struct blk_bench *b = opaque;

    b->submits++;
    for (; list; list = list->next) {
        BENCH_CHECK(b->count < BLK_INFLIGHT);
        b->flying[b->count++] = list;
    }
    if (b->at_once)
        finish_all(b);
}

static inline void fake_drain(void *opaque)
{
    struct blk_bench *b = opaque;

    b->drains++;
    finish_all(b);
}

static inline void blk_make(struct blk_bench *b, struct block_info info, const char *serial,
                            bool config_wce)
{
    memset(b, 0, sizeof(*b));
    bench_init(&b->bench);
    info.bytes = sizeof(b->disk);
    info.physical_block = 4096;
    virtio_blk_init(&b->blk, "virtio-blk0", &b->bench.mem, bench_remark(&b->bench), info, serial,
                    config_wce);
    virtio_blk_connect(
        &b->blk, (struct block_backend){.submit = fake_submit, .drain = fake_drain, .opaque = b});
    bench_connect(&b->bench, &b->blk.dev);
    for (size_t i = 0; i < sizeof(b->disk); i++)
        b->disk[i] = (uint8_t)(i / VIRTIO_BLK_SECTOR + 1);
}

#endif
