/*
 * rng.c: the entropy device (virtio 1.2, section 5.4).
 */
#include "rng.h"

#define REQUEST_QUEUE 0

/* Begins a period with the first byte of it. */
static void spend(struct rng *rng, uint32_t bytes)
{
    if (rng->max_bytes == UINT64_MAX)
        return;
    rng->left -= bytes;
    if (!rng->counting) {
        rng->counting = true;
        rng->timer.arm(rng->timer.opaque, rng->clock.now(rng->clock.opaque) + rng->period);
    }
}

static bool fill(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct rng *rng = (struct rng *)dev;
    uint64_t limit = rng->left < RNG_AT_ONCE ? rng->left : RNG_AT_ONCE;
    uint32_t done = 0;

    if (chain->writable_bytes == 0) {
        virtio_remark(dev, "a buffer of %llu bytes to read, and none to write random bytes to",
                      chain->readable_bytes, 0, 0);
        virtio_push(dev, queue, chain->head, 0);
        return true;
    }
    if (limit == 0) {
        virtio_remark(dev, "the quota of %llu bytes is used up; the request waits", rng->max_bytes,
                      0, 0);
        return false;
    }
    for (unsigned i = 0; i < chain->writable && done < limit; i++) {
        const struct iovec *part = &chain->iov[chain->readable + i];
        size_t count = part->iov_len < limit - done ? part->iov_len : limit - done;
        size_t got = rng->backend.read(rng->backend.opaque, part->iov_base, count);

        done += (uint32_t)got;
        if (got < count)
            break;
    }
    if (done == 0) {
        virtio_remark(dev, "the source has no bytes; a request for %llu waits",
                      chain->writable_bytes, 0, 0);
        return false;
    }
    spend(rng, done);
    virtio_remark(dev, "%llu of %llu bytes", done, chain->writable_bytes, 0);
    virtio_push(dev, queue, chain->head, done);
    return true;
}

static void rng_kick(struct virtio_device *dev, unsigned queue)
{
    struct rng *rng = (struct rng *)dev;

    virtio_run_queue(dev, queue, &rng->chain, fill);
}

void rng_ready(struct rng *rng)
{
    rng_kick(&rng->virtio, REQUEST_QUEUE);
}

void rng_timeout(struct rng *rng)
{
    rng->counting = false;
    rng->left = rng->max_bytes;
    rng_kick(&rng->virtio, REQUEST_QUEUE);
}

static void rng_start(struct virtio_device *dev)
{
    rng_kick(dev, REQUEST_QUEUE);
}

static const struct virtio_ops rng_ops = {
    .id = VIRTIO_ID_ENTROPY,
    .start = rng_start,
    .kick = rng_kick,
};

void rng_init(struct rng *rng, const char *name, const struct mem *mem, struct device_remark remark,
              struct rng_backend backend, struct device_clock clock, struct device_timer timer,
              uint64_t max_bytes, uint64_t period)
{
    *rng = (struct rng){
        .backend = backend,
        .clock = clock,
        .timer = timer,
        .max_bytes = max_bytes,
        .period = period,
        .left = max_bytes,
    };
    virtio_init(&rng->virtio, &rng_ops, name, mem, remark, 0, 1);
}
