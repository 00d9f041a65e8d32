/*
 * fuzz_virtio.h: a hostile driver, for the fuzzers of virtio devices.  Two regions of memory, rings
 * in the first one; what the driver does comes from the fuzzer's input.
 */
#ifndef KVMLENS_FUZZ_VIRTIO_H
#define KVMLENS_FUZZ_VIRTIO_H

#include "fuzz.h"
#include "virtio/virtio.h"

#define FUZZ_RAM   0x8000u
#define FUZZ_SIZE  8u /* entries of a queue */
#define FUZZ_QUEUE 0x180u

struct fuzz_world {
    struct input in;
    struct mem mem;
    uint8_t *ram;
    struct virtio_device *dev;
    uint16_t offered[VIRTIO_QUEUES_MAX];
    unsigned interrupts;
};

static inline uint8_t fuzz_byte(struct fuzz_world *w)
{
    return input_byte(&w->in);
}

static inline uint32_t fuzz_word(struct fuzz_world *w)
{
    uint32_t low = fuzz_byte(w);

    return low | (uint32_t)fuzz_byte(w) << 8;
}

/* Reads all of a range, for the sanitizers to see. */
static inline void fuzz_touch(const void *bytes, size_t count)
{
    volatile uint8_t sink = 0;

    for (size_t i = 0; i < count; i++)
        sink = (uint8_t)(sink ^ ((const uint8_t *)bytes)[i]);
}

static inline void fuzz_say(void *opaque, const char *device, const char *text, uint64_t a,
                            uint64_t b, uint64_t c)
{
    char line[256];

    (void)opaque;
    (void)device;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(line, sizeof line, text, (unsigned long long)a, (unsigned long long)b,
             (unsigned long long)c);
#pragma GCC diagnostic pop
}

static inline struct device_remark fuzz_remark(void)
{
    return (struct device_remark){fuzz_say, NULL};
}

static inline void fuzz_interrupt(void *opaque, uint32_t reason)
{
    struct fuzz_world *w = opaque;

    CHECK(w->dev->status & VIRTIO_STATUS_DRIVER_OK);
    CHECK(reason == VIRTIO_MMIO_INT_USED_RING || reason == VIRTIO_MMIO_INT_CONFIG);
    w->interrupts++;
}

static inline void fuzz_begin(struct fuzz_world *w, const uint8_t *data, size_t size)
{
    *w = (struct fuzz_world){.in = {data, size}, .ram = aligned_alloc(4096, FUZZ_RAM)};
    CHECK(w->ram);
    memset(w->ram, 0, FUZZ_RAM);
    mem_add(&w->mem, 0, FUZZ_RAM / 2, w->ram, false);
    mem_add(&w->mem, 0x100000, FUZZ_RAM / 2, w->ram + FUZZ_RAM / 2, false);
}

static inline void fuzz_end(struct fuzz_world *w)
{
    virtio_set_status(w->dev, 0);
    free(w->ram);
}

static inline void fuzz_start(struct fuzz_world *w, uint64_t features)
{
    struct virtio_device *dev = w->dev;

    virtio_set_status(dev, 0);
    memset(w->offered, 0, sizeof w->offered);
    memset(w->ram, 0, FUZZ_QUEUE * VIRTIO_QUEUES_MAX);
    virtio_set_status(dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    dev->driver_features = features & dev->features;
    dev->driver_features |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_FEATURES_OK);
    for (unsigned q = 0; q < dev->queue_count; q++) {
        dev->queue[q].size = FUZZ_SIZE;
        dev->queue[q].desc = FUZZ_QUEUE * q;
        dev->queue[q].avail = FUZZ_QUEUE * q + 0x80;
        dev->queue[q].used = FUZZ_QUEUE * q + 0xc0;
        virtio_start_queue(dev, q);
    }
    virtio_set_status(dev, dev->status | VIRTIO_STATUS_DRIVER_OK);
}

/* Starts DEV with all its features. */
static inline void fuzz_drive(struct fuzz_world *w, struct virtio_device *dev,
                              const struct virtio_transport *transport)
{
    w->dev = dev;
    dev->transport = transport ? *transport : (struct virtio_transport){fuzz_interrupt, w};
    fuzz_start(w, UINT64_MAX);
}

/* Offers a buffer: one or two descriptors, in RAM unless the input says otherwise. */
static inline void fuzz_offer(struct fuzz_world *w, unsigned queue)
{
    uint8_t *base = w->ram + FUZZ_QUEUE * queue;
    struct virtq_desc *desc = (struct virtq_desc *)base;
    struct virtq_avail *avail = (struct virtq_avail *)(base + 0x80);
    uint16_t index = w->offered[queue]++, head = (uint16_t)(index % FUZZ_SIZE);
    uint8_t shape = fuzz_byte(w);
    uint32_t len = fuzz_byte(w);
    uint64_t gpa = 0x2000 + (uint64_t)(shape & 0x1c) * 0x100;

    desc[head] = (struct virtq_desc){gpa, len, shape & VIRTQ_DESC_WRITE, 0};
    if (shape & VIRTQ_DESC_NEXT) {
        desc[head].flags |= VIRTQ_DESC_NEXT;
        desc[head].next = (uint16_t)((head + 1) % FUZZ_SIZE);
        desc[desc[head].next] = (struct virtq_desc){0x100000 + gpa, len * 3, VIRTQ_DESC_WRITE, 0};
    }
    for (uint32_t i = 0; i < len && (shape & 0x20); i++)
        w->ram[(gpa + i) % (FUZZ_RAM / 2)] = fuzz_byte(w);
    avail->ring[index % FUZZ_SIZE] = head;
    avail->idx = w->offered[queue];
    if (shape & 0x40)
        virtio_kick(w->dev, queue);
}

/* One act of the driver's; false: it is somebody else's turn. */
static inline bool fuzz_driver_acts(struct fuzz_world *w)
{
    uint8_t what = fuzz_byte(w);
    unsigned queue = fuzz_byte(w) % w->dev->queue_count;

    switch (what & 7) {
    case 0:
    case 1:
        fuzz_offer(w, queue);
        return true;
    case 2:
        virtio_kick(w->dev, fuzz_byte(w));
        return true;
    case 3: /* any byte of the rings */
        w->ram[fuzz_word(w) % (FUZZ_QUEUE * w->dev->queue_count)] = fuzz_byte(w);
        return true;
    case 4:
        virtio_config_write(w->dev, fuzz_byte(w), 1u << (what >> 3 & 3), fuzz_word(w));
        virtio_config_read(w->dev, fuzz_byte(w), 1u << (what >> 3 & 3));
        return true;
    case 5:
        if (what & 8)
            virtio_stop_queue(w->dev, queue);
        else if (what & 0x10)
            fuzz_start(w, fuzz_word(w) | (uint64_t)fuzz_word(w) << 20);
        else
            virtio_set_status(w->dev, fuzz_byte(w));
        return true;
    default:
        return false;
    }
}

#endif
