/*
 * blk.c: the driver of the block device (virtio 1.2, 5.2).  A request is a chain of a header, the
 * data, and a byte of status that the device writes last.
 */
#include "drivers.h"
#include "kernel.h"
#include "virtio.h"

#include <virtio_blk.h>

#define DISKS_MAX     8
#define QUEUE_REQUEST 0

struct blk {
    struct virtio *dev;
    struct virtio_queue queue;
    struct blk_request request[BLK_DEPTH_MAX];
    struct blk_request *free; /* those that are not under way, chained by next */
    struct virtio_blk_config config;
};

static struct blk disks[DISKS_MAX];

static const uint64_t wanted =
    VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
    VIRTIO_FEATURE(VIRTIO_BLK_F_RO) | VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
    VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
    VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
    VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);

struct blk *blk_open(unsigned nth)
{
    struct blk *blk = &disks[nth % DISKS_MAX];
    if (nth >= DISKS_MAX || blk->dev)
        return nth < DISKS_MAX ? blk : NULL;
    struct virtio *dev = virtio_find(VIRTIO_ID_BLOCK, nth);
    if (!dev || !virtio_begin(dev, wanted) ||
        !virtio_queue_init(&blk->queue, dev, QUEUE_REQUEST, VIRTIO_QUEUE_MAX))
        return NULL;
    virtio_ready(dev);
    uint32_t *words = (uint32_t *)&blk->config;
    for (unsigned i = 0; i < sizeof(blk->config) / 4; i++)
        words[i] = (uint32_t)virtio_config(dev, 4 * i, 4);
    blk->config.capacity = virtio_config(dev, 0, 8);
    for (unsigned i = 0; i < BLK_DEPTH_MAX; i++) {
        blk->request[i].next = blk->free;
        blk->free = &blk->request[i];
    }
    blk->dev = dev;
    return blk;
}

const struct virtio_blk_config *blk_config(const struct blk *blk)
{
    return &blk->config;
}

bool blk_has(const struct blk *blk, unsigned feature)
{
    return virtio_has(blk->dev, feature);
}

struct blk_request *blk_submit(struct blk *blk, uint32_t type, uint64_t sector, void *data,
                               uint32_t bytes)
{
    struct blk_request *request = blk->free;
    if (!request)
        return NULL;
    request->header = (struct virtio_blk_header){.type = type, .sector = sector};
    request->status = BLK_NO_ANSWER;
    bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    struct virtio_buffer buffers[3] = {{&request->header, sizeof(request->header), false}};
    unsigned count = 1;
    if (bytes)
        buffers[count++] = (struct virtio_buffer){data, bytes, reads};
    buffers[count++] = (struct virtio_buffer){&request->status, 1, true};
    if (!virtio_add(&blk->queue, buffers, count, request))
        return NULL;
    blk->free = request->next;
    return request;
}

void blk_kick(struct blk *blk)
{
    virtio_kick(&blk->queue);
}

struct blk_request *blk_done(struct blk *blk, bool sleep)
{
    void *token;
    if (sleep && !virtio_wait(&blk->queue))
        return NULL;
    if (!virtio_used(&blk->queue, &token, NULL))
        return NULL;
    struct blk_request *request = token;
    request->next = blk->free;
    blk->free = request;
    return request;
}

uint8_t blk_do(struct blk *blk, uint32_t type, uint64_t sector, void *data, uint32_t bytes)
{
    struct blk_request *request = blk_submit(blk, type, sector, data, bytes);
    if (!request)
        return BLK_NO_ANSWER;
    blk_kick(blk);
    /* One that is late, of an earlier call, may come first. */
    struct blk_request *done;
    do
        done = blk_done(blk, true);
    while (done && done != request);
    return done ? done->status : BLK_NO_ANSWER;
}

void blk_costs(const struct blk *blk, uint64_t *notifications, uint64_t *interrupts)
{
    *notifications = blk->queue.notify_count;
    *interrupts = blk->dev->interrupt_count;
}
