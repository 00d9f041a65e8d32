/*
 * rng.c: the driver of the entropy device (virtio 1.2, 5.4): an empty buffer goes out, random bytes
 * come back in it.
 */
#include "drivers.h"
#include "kernel.h"
#include "virtio.h"

#define QUEUE_REQUEST 0

static struct {
    struct virtio *dev;
    struct virtio_queue queue;
} rng;

int rng_read(void *bytes, uint32_t size)
{
    if (!rng.dev) {
        struct virtio *dev = virtio_find(VIRTIO_ID_ENTROPY, 0);
        if (!dev || !virtio_begin(dev, 0) || !virtio_queue_init(&rng.queue, dev, QUEUE_REQUEST, 8))
            return -1;
        virtio_ready(dev);
        rng.dev = dev;
    }
    uint32_t got;
    struct virtio_buffer buffer = {bytes, size, true};
    if (!virtio_transfer(&rng.queue, &buffer, 1, &got))
        return 0;
    return (int)(got < size ? got : size);
}
