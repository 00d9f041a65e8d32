/*
 * fuzz_virtio_blk.c: a hostile driver and a moody disk against the block device.  The input is a list
 * of operations: requests that are nearly right, bytes thrown into the rings, registers, and the
 * backend's answers. Whatever reaches the backend lies within the disk, and a request that ends is
 * one that was in flight.
 */
#include "fuzz.h"

/* clang-format off: it needs the check of fuzz.h */
#include "../unit/blk_bench.h"
/* clang-format on */

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (; bytes > 0 && in->left > 0; bytes--, in->left--)
        value = value << 8 | *in->data++;
    return value;
}

/* Mostly small numbers near what is right, now and then anything. */
static uint64_t nearly(struct input *in, uint64_t right)
{
    uint8_t how = (uint8_t)take(in, 1);

    if (how < 0xc0)
        return right + (how & 3) - (how >> 2 & 1);
    return take(in, 8);
}

static void ask(struct blk_bench *b, struct input *in)
{
    struct bench_queue *q = &b->bench.queue[0];
    uint8_t shape = (uint8_t)take(in, 1);
    unsigned count = 1 + (shape & 7);
    struct virtio_blk_header header = {.type = (uint32_t)take(in, 1),
                                       .sector = nearly(in, BLK_SECTORS - 4)};
    struct virtio_blk_range range = {nearly(in, BLK_SECTORS - 4), (uint32_t)nearly(in, 4),
                                     (uint32_t)take(in, 1) & 3};
    uint8_t bytes[32];
    struct bench_buffer buffers[8];

    if (q->size == 0 || q->count < count)
        return;
    memcpy(bytes, &header, 16);
    memcpy(bytes + 16, &range, 16);
    buffers[0] = (struct bench_buffer){bench_put(&b->bench, bytes, 32),
                                       shape & 8 ? 32 : (uint32_t)nearly(in, 16), false};
    for (unsigned i = 1; i < count; i++)
        buffers[i] = (struct bench_buffer){nearly(in, shape & 16 ? BENCH_RAM - 512 : 0x60000),
                                           (uint32_t)nearly(in, i + 1 == count ? 1 : 512),
                                           i + 1 == count || (shape >> (4 + i) & 1)};
    if (shape & 32)
        bench_offer_indirect(&b->bench, 0, buffers, count);
    else
        bench_offer(&b->bench, 0, buffers, count);
    if (!(shape & 64))
        bench_notify(&b->bench, 0);
}

static void answer(struct blk_bench *b, struct input *in)
{
    unsigned which = (unsigned)take(in, 1);

    b->error = which & 0x80 ? EIO : 0;
    if (b->count > 0)
        finish(b, (unsigned[]){which % b->count}, 1);
    if (which & 0x40)
        finish_all(b);
    b->error = 0;
}

static void start(struct blk_bench *b, struct input *in)
{
    uint64_t features = bench_offered(&b->bench);

    if (!bench_features(&b->bench, features & ~(take(in, 1) << 8) & ~(take(in, 1) << 24)))
        return;
    bench_queue(&b->bench, 0, (uint16_t)(1u << (take(in, 1) % 9)));
    bench_status(&b->bench, VIRTIO_STATUS_DRIVER_OK);
}

static void step(struct blk_bench *b, struct input *in)
{
    struct virtq_used_elem elem;
    uint32_t at;

    switch (take(in, 1) & 7) {
    case 0:
    case 1:
        ask(b, in);
        break;
    case 2:
        answer(b, in);
        break;
    case 3: /* the rings, by a driver that has lost its mind */
        at = (uint32_t)take(in, 2) % 0x3000;
        *(uint8_t *)bench_at(&b->bench, BENCH_QUEUES + at, 1) = (uint8_t)take(in, 1);
        break;
    case 4:
        at = (uint32_t)take(in, 1) << (take(in, 1) & 1 ? 2 : 0);
        bus_write(&b->bench.bus, at % 505, 1u << (take(in, 1) & 3), take(in, 4));
        bus_read(&b->bench.bus, at % 505, 1u << (take(in, 1) & 3));
        break;
    case 5:
        bench_set(&b->bench, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
        break;
    case 6:
        start(b, in);
        break;
    default:
        /* Rings that were scribbled over say anything; a sound one is followed. */
        if (b->bench.queue[0].size > 0 &&
            bench_used_ring(&b->bench, 0)->idx != b->bench.queue[0].last_used) {
            elem = bench_used_ring(&b->bench, 0)
                       ->ring[b->bench.queue[0].last_used % b->bench.queue[0].size];
            if (elem.id < b->bench.queue[0].size)
                b->bench.queue[0].last_used++;
        }
        break;
    }
    BENCH_CHECK(b->count <= VIRTQ_SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct blk_bench bench; /* large */
    struct input in = {data, size};
    uint8_t kind = (uint8_t)take(&in, 1);

    blk_make(&bench, (struct block_info){.readonly = kind & 1, .writeback = kind & 2}, "fuzzed",
             kind & 4);
    bench_start(&bench.bench,
                bench_offered(&bench.bench) & ~(kind & 8 ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0), 16);
    while (in.left > 0)
        step(&bench, &in);
    virtio_reset(&bench.blk.dev);
    BENCH_CHECK(bench.count == 0);
    bench_free(&bench.bench);
    return 0;
}
