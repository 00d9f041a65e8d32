/*
 * rng.h: the entropy device (virtio 1.2, section 5.4): fills the driver's buffers with random bytes,
 * no more of them in a period than a quota allows.
 */
#ifndef KVMLENS_RNG_H
#define KVMLENS_RNG_H

#include "virtio.h"

#define RNG_AT_ONCE                                                                                \
    4096 /* bytes that one buffer gets at most: fewer than it has room for are fine */

/* Where the bytes come from. */
struct rng_backend {
    /* Up to COUNT bytes; returns how many. None: rng_ready() will be called when there are some. */
    size_t (*read)(void *opaque, void *bytes, size_t count);
    void *opaque;
};

struct rng {
    struct virtio_device virtio; /* first */
    struct rng_backend backend;
    struct device_clock clock;
    struct device_timer timer; /* calls rng_timeout() */
    uint64_t max_bytes;        /* in each period; UINT64_MAX: no limit */
    uint64_t period;           /* ns */
    uint64_t left;             /* bytes that may still be given in this period */
    bool counting;             /* a period has begun, and the timer is armed for its end */
    struct virtq_chain chain;
};

/* Makes a device. The quota's period begins with the first byte given after the last one's end. */
void rng_init(struct rng *rng, const char *name, const struct mem *mem, struct device_remark remark,
              struct rng_backend backend, struct device_clock clock, struct device_timer timer,
              uint64_t max_bytes, uint64_t period);

/* The source has bytes again. */
void rng_ready(struct rng *rng);

/* The timer that rng_init() was given has come due. */
void rng_timeout(struct rng *rng);

#endif
