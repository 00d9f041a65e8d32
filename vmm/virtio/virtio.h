/*
 * virtio.h: what every virtio device is, whatever transport carries it (virtio 1.2, section 2).
 *
 * A device (blk.c, net.c, ...) embeds a struct virtio_device as its first member and implements
 * struct virtio_ops. A transport (mmio.c) owns the registers and the interrupt. All calls are made
 * with the device lock held.
 */
#ifndef KVMLENS_VIRTIO_H
#define KVMLENS_VIRTIO_H

#include "../device.h"
#include "virtq.h"

#include <virtio_mmio.h>

#define VIRTIO_QUEUES_MAX 20
#define VIRTIO_BIT(n)     (UINT64_C(1) << (n))

struct virtio_device;

struct virtio_ops {
    uint32_t id;          /* VIRTIO_ID_... */
    uint32_t config_size; /* bytes of the configuration space */

    /* OFFSET + SIZE lies within config_size; SIZE is 1, 2, 4 or 8. */
    uint64_t (*config_read)(struct virtio_device *dev, uint32_t offset, unsigned size);
    void (*config_write)(struct virtio_device *dev, uint32_t offset, unsigned size,
                         uint64_t value); /* NULL: read-only */
    bool config_early; /* config_write also before FEATURES_OK (emergency output, 5.3.4) */
    /* The field that an access reaches ("capacity"); static, or NULL. May be NULL. */
    const char *(*config_name)(const struct virtio_device *dev, uint32_t offset);

    /* The driver has set DRIVER_OK, or made a queue ready after it. May be NULL. */
    void (*start)(struct virtio_device *dev);
    /* The driver notified QUEUE, which is ready. */
    void (*kick)(struct virtio_device *dev, unsigned queue);
    /* QUEUE (or all of them: the device is being reset) is about to be forgotten: when this returns,
     * nothing of what was popped from it is touched any more. May be NULL. */
    void (*stop_queue)(struct virtio_device *dev, unsigned queue);
    /* The device itself to its state after power-on. Its queues are stopped. May be NULL. */
    void (*reset)(struct virtio_device *dev);
};

/* What a transport gives its device. */
struct virtio_transport {
    void (*interrupt)(void *opaque, uint32_t reason); /* VIRTIO_MMIO_INT_... */
    void *opaque;
};

/* Has QUEUE notified again soon, once others have had the device lock. NULL: there are no others. */
struct virtio_later {
    void (*again)(void *opaque, unsigned queue);
    void *opaque;
};

struct virtio_device {
    const struct virtio_ops *ops;
    const char *name; /* "virtio-blk0"; outlives the device and the trace */
    struct device_remark remark;
    struct virtio_transport transport; /* set by the transport */
    struct virtio_later later;         /* set by the board */
    uint16_t turn; /* buffers of a queue that are taken at once; 0: as many as the queue holds */
    uint64_t features;        /* offered; virtio_init() adds the common ones */
    uint64_t driver_features; /* what the driver accepts; settled once FEATURES_OK */
    uint8_t status;           /* VIRTIO_STATUS_... */
    uint8_t config_generation;
    unsigned queue_count;
    struct virtq queue[VIRTIO_QUEUES_MAX];
};

/* Makes a device in its state after reset. FEATURES: its own; the common ones (VERSION_1,
 * INDIRECT_DESC, EVENT_IDX, RING_RESET) are added. Its queues have VIRTQ_SIZE_MAX entries; a device
 * may lower queue[i].size_max. Everything is borrowed. */
void virtio_init(struct virtio_device *dev, const struct virtio_ops *ops, const char *name,
                 const struct mem *mem, struct device_remark remark, uint64_t features,
                 unsigned queue_count);

/* Has the driver accepted the feature of this bit number? */
bool virtio_has(const struct virtio_device *dev, unsigned bit);

/* True while the device may use QUEUE: DRIVER_OK is set, NEEDS_RESET is not, the queue is ready. */
bool virtio_live(const struct virtio_device *dev, unsigned queue);

/* virtq_pop() of a live queue; a bad ring breaks the device. 1: *CHAIN is filled in; 0: there is
 * none, or the device is broken. */
int virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain);

/* virtq_push() and virtio_interrupt(); a bad ring breaks the device. */
void virtio_push(struct virtio_device *dev, unsigned queue, uint16_t head, uint32_t written);

/* Interrupts the driver, if it wants to hear of what was pushed to QUEUE. */
void virtio_interrupt(struct virtio_device *dev, unsigned queue);

/* Takes every buffer of a live queue as it comes, without notifications in between: calls
 * TAKE(dev, queue, chain) until the queue is empty or TAKE returns false (the buffer is put back,
 * and the queue stays quiet until virtio_run_queue() is called again). After dev->turn buffers the
 * rest is left for later (struct virtio_later): a driver that adds buffers as fast as they are taken
 * does not keep the device lock. */
void virtio_run_queue(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain,
                      bool (*take)(struct virtio_device *dev, unsigned queue,
                                   struct virtq_chain *chain));

/* TAKE has done enough of a buffer that is long work, and returns false: the rest is left for later.
 * False: there are no others who wait, and it can go on. */
bool virtio_leave_for_later(struct virtio_device *dev, unsigned queue);

/* The driver broke a rule: NEEDS_RESET, a configuration interrupt, a remark. FAULT is static, a
 * printf format for A and B (unsigned long long). The queues rest until the driver resets. */
void virtio_broken(struct virtio_device *dev, const char *fault, uint64_t a, uint64_t b);

/* The configuration space has changed: a new generation, an interrupt. */
void virtio_config_changed(struct virtio_device *dev);

/* For the trace: TEXT is static, a printf format for A, B and C (unsigned long long). */
void virtio_remark(const struct virtio_device *dev, const char *text, uint64_t a, uint64_t b,
                   uint64_t c);

/* --- for transports ------------------------------------------------------------------------- */

/* The driver writes the status; 0 resets. FEATURES_OK is refused (not set) for features that were
 * not offered or lack VERSION_1. */
void virtio_set_status(struct virtio_device *dev, uint8_t status);

/* Stops every queue and resets the device. */
void virtio_reset(struct virtio_device *dev);

/* The driver sets QUEUE ready, takes it back, or resets it. */
void virtio_start_queue(struct virtio_device *dev, unsigned queue);
void virtio_stop_queue(struct virtio_device *dev, unsigned queue);

/* The driver's notification; ignored unless the queue is live. */
void virtio_kick(struct virtio_device *dev, unsigned queue);

/* The configuration space; accesses past its end read as zeroes and write nowhere. */
uint64_t virtio_config_read(struct virtio_device *dev, uint32_t offset, unsigned size);
void virtio_config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value);

#endif
