/*
 * virtio.h: the one driver core under all virtio drivers: finding devices, agreeing on features,
 * and split queues with the event index (virtio 1.2, chapters 2 and 3, and 4.2).
 *
 *     dev = virtio_find(VIRTIO_ID_ENTROPY, 0)      NULL: this machine has none
 *     virtio_begin(dev, WANTED)                    reset, ACKNOWLEDGE, DRIVER, FEATURES_OK
 *     virtio_queue_init(&queue, dev, 0, 64)        for each queue
 *     virtio_ready(dev)                            DRIVER_OK; its interrupt is routed
 *     virtio_add(&queue, buffers, count, token)    as often as there is room
 *     virtio_kick(&queue)                          notifies the device if it wants that
 *     while (!virtio_used(&queue, &token, &size))  polls; or sleeps:
 *         virtio_wait(&queue)
 *
 * A queue interrupts only while it is armed: virtio_wait() arms it, virtio_used() disarms it.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <virtio_mmio.h>
#include <virtio_ring.h>

#define VIRTIO_SLOTS_MAX  32
#define VIRTIO_QUEUE_MAX  256 /* entries: the descriptors fill a page */
#define VIRTIO_CHAIN_MAX  32  /* buffers of one chain */
#define VIRTIO_FEATURE(n) (1ull << (n))

struct virtio {
    volatile uint8_t *regs;
    uint32_t irq;                 /* GSI; MACHINE_NO_IRQ: nobody has said */
    uint32_t id;                  /* VIRTIO_ID_... */
    uint64_t features;            /* agreed on; 0: it has not begun */
    bool interrupts;              /* they arrive: virtio_wait() halts until one does */
    volatile bool config_changed; /* set by the configuration's interrupt */
    volatile uint64_t interrupt_count;
};

/* Zero-initialise. */
struct virtio_queue {
    struct virtio *dev;
    uint16_t number, size;
    bool armed;
    uint16_t free_count, free_head; /* descriptors; the free ones are chained by next */
    uint16_t kicked;                /* avail->idx at the last virtio_kick() */
    uint16_t last_used;             /* used->idx up to which virtio_used() has read */
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    void *token[VIRTIO_QUEUE_MAX];
    uint64_t notify_count;
};

static inline uint32_t virtio_get(const struct virtio *dev, unsigned reg)
{
    return *(volatile uint32_t *)(dev->regs + reg);
}

static inline void virtio_set(struct virtio *dev, unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(dev->regs + reg) = value;
}

/* FEATURE: a bit number; agreed on. */
static inline bool virtio_has(const struct virtio *dev, unsigned feature)
{
    return dev->features >> feature & 1;
}

static inline bool virtio_needs_reset(const struct virtio *dev)
{
    return virtio_get(dev, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

/* SIZE bytes (2, 4, 8) of the device's configuration at OFFSET. */
static inline uint64_t virtio_config(const struct virtio *dev, unsigned offset, unsigned size)
{
    volatile uint8_t *at = dev->regs + VIRTIO_MMIO_CONFIG + offset;
    if (size < 8)
        return size == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
    /* In two halves, which belong together only if the configuration did not change (2.5.1). */
    uint32_t generation;
    uint64_t value;
    do {
        generation = virtio_get(dev, VIRTIO_MMIO_CONFIG_GENERATION);
        value = *(volatile uint32_t *)at | (uint64_t) * (volatile uint32_t *)(at + 4) << 32;
    } while (generation != virtio_get(dev, VIRTIO_MMIO_CONFIG_GENERATION));
    return value;
}

static inline void virtio_config_set(struct virtio *dev, unsigned offset, uint32_t value)
{
    virtio_set(dev, VIRTIO_MMIO_CONFIG + offset, value);
}

struct virtio_buffer {
    void *data; /* static, or of page_alloc(): it lies at its GPA; not on a stack */
    uint32_t size;
    bool writable; /* by the device; those that are come behind those that are not */
};

/* The NTH device (from 0) of this ID, in the order of the VMM's command line; NULL: none. */
struct virtio *virtio_find(uint32_t id, unsigned nth);
/* Resets DEV and accepts what it offers of WANTED; VERSION_1 and EVENT_IDX are asked for always.
 * False: it is not a device of virtio 1, or refuses; it has been told FAILED. */
bool virtio_begin(struct virtio *dev, uint64_t wanted);
/* At most SIZE entries (up to VIRTIO_QUEUE_MAX). The rings are allocated once: a queue that is
 * initialised again, after a reset, keeps its pages. False: DEV has no such queue. */
bool virtio_queue_init(struct virtio_queue *queue, struct virtio *dev, unsigned number,
                       unsigned size);
void virtio_ready(struct virtio *dev);

/* False: there is no room. TOKEN comes back with the buffers; it is not NULL. */
bool virtio_add(struct virtio_queue *queue, const struct virtio_buffer *buffers, unsigned count,
                void *token);
void virtio_kick(struct virtio_queue *queue);
/* The next chain that the device gives back: its token, and how many bytes were written to it
 * (either may be NULL). False: none yet. */
bool virtio_used(struct virtio_queue *queue, void **token, uint32_t *size);
/* Halts until the next interrupt, of this device or another (the timer ticks), unless there is a
 * used buffer; where its interrupts do not arrive: a moment. */
void virtio_sleep(struct virtio_queue *queue);
/* Waits until there is a used buffer; false: not within 30 s, or the device needs a reset. */
bool virtio_wait(struct virtio_queue *queue);
/* Adds one chain to a queue that is otherwise idle, and waits until it is back. */
bool virtio_transfer(struct virtio_queue *queue, const struct virtio_buffer *buffers,
                     unsigned count, uint32_t *size);

void virtio_interrupt(unsigned slot); /* for traps.c */

#endif
