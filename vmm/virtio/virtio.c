/*
 * virtio.c: what all virtio devices do alike: status, features, queues, interrupts (virtio 1.2,
 * sections 2.1 to 2.7, 3.1; see virtio.h).
 */
#include "virtio.h"

#define COMMON_FEATURES                                                                            \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |                         \
     VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))

void virtio_init(struct virtio_device *dev, const struct virtio_ops *ops, const char *name,
                 const struct mem *mem, struct device_remark remark, uint64_t features,
                 unsigned queue_count)
{
    *dev = (struct virtio_device){.ops = ops,
                                  .name = name,
                                  .remark = remark,
                                  .features = features | COMMON_FEATURES,
                                  .queue_count = queue_count};
    for (unsigned i = 0; i < queue_count; i++) {
        virtq_init(&dev->queue[i], mem, VIRTQ_SIZE_MAX);
    }
}

void virtio_remark(const struct virtio_device *dev, const char *text, uint64_t a, uint64_t b,
                   uint64_t c)
{
    if (dev->remark.say) {
        dev->remark.say(dev->remark.opaque, dev->name, text, a, b, c);
    }
}

bool virtio_has(const struct virtio_device *dev, unsigned bit)
{
    return (dev->status & VIRTIO_STATUS_FEATURES_OK) && (dev->driver_features & VIRTIO_BIT(bit));
}

/* The device may work: the driver said so, and has broken no rule since. */
static bool running(const struct virtio_device *dev)
{
    return (dev->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
           VIRTIO_STATUS_DRIVER_OK;
}

bool virtio_live(const struct virtio_device *dev, unsigned queue)
{
    return running(dev) && queue < dev->queue_count && dev->queue[queue].ready;
}

/* No interrupts before DRIVER_OK (2.1.2, 3.1.1). */
static void interrupt(const struct virtio_device *dev, uint32_t reason)
{
    if ((dev->status & VIRTIO_STATUS_DRIVER_OK) && dev->transport.interrupt) {
        dev->transport.interrupt(dev->transport.opaque, reason);
    }
}

void virtio_broken(struct virtio_device *dev, const char *fault, uint64_t a, uint64_t b)
{
    if (dev->status & VIRTIO_STATUS_NEEDS_RESET) {
        return;
    }
    virtio_remark(dev, fault, a, b, 0);
    virtio_remark(dev, "status: NEEDS_RESET, the queues rest until the driver resets", 0, 0, 0);
    dev->status |= VIRTIO_STATUS_NEEDS_RESET;
    interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

static void queue_broken(struct virtio_device *dev, const struct virtq *q)
{
    virtio_broken(dev, q->fault, q->fault_arg[0], q->fault_arg[1]);
}

void virtio_config_changed(struct virtio_device *dev)
{
    dev->config_generation++;
    interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

/* --- queues --------------------------------------------------------------------------------- */

int virtio_pop(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    if (!virtio_live(dev, queue)) {
        return 0;
    }
    int got = virtq_pop(&dev->queue[queue], chain);
    if (got < 0) {
        queue_broken(dev, &dev->queue[queue]);
        return 0;
    }
    return got;
}

void virtio_push(struct virtio_device *dev, unsigned queue, uint16_t head, uint32_t written)
{
    if (!virtio_live(dev, queue)) {
        return;
    }
    if (virtq_push(&dev->queue[queue], head, written)) {
        queue_broken(dev, &dev->queue[queue]);
        return;
    }
    virtio_interrupt(dev, queue);
}

void virtio_interrupt(struct virtio_device *dev, unsigned queue)
{
    if (virtio_live(dev, queue) && virtq_wants_interrupt(&dev->queue[queue])) {
        interrupt(dev, VIRTIO_MMIO_INT_USED_RING);
    }
}

bool virtio_leave_for_later(struct virtio_device *dev, unsigned queue)
{
    if (!dev->later.again) {
        return false;
    }
    dev->later.again(dev->later.opaque, queue);
    return true;
}

void virtio_run_queue(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain,
                      bool (*take)(struct virtio_device *dev, unsigned queue,
                                   struct virtq_chain *chain))
{
    if (!virtio_live(dev, queue)) {
        return;
    }
    struct virtq *q = &dev->queue[queue];
    unsigned turn = dev->turn ? dev->turn : q->size, taken = 0;
    do {
        virtq_set_kicks(q, false);
        for (; taken < turn || !dev->later.again; taken++) {
            if (virtio_pop(dev, queue, chain) == 0) {
                break;
            }
            if (!take(dev, queue, chain)) {
                if (virtio_live(dev, queue)) {
                    virtq_unpop(q, 1);
                }
                return;
            }
        }
        if (taken == turn && virtio_leave_for_later(dev, queue)) {
            return;
        }
    } while (virtio_live(dev, queue) && virtq_set_kicks(q, true));
}

/* --- for transports ------------------------------------------------------------------------- */

void virtio_start_queue(struct virtio_device *dev, unsigned queue)
{
    if (!(dev->status & VIRTIO_STATUS_FEATURES_OK)) {
        virtio_remark(dev, "queue %llu set up before FEATURES_OK: ignored", queue, 0, 0);
        return;
    }
    struct virtq *q = &dev->queue[queue];
    q->event_idx = virtio_has(dev, VIRTIO_F_EVENT_IDX);
    q->indirect = virtio_has(dev, VIRTIO_F_INDIRECT_DESC);
    if (virtq_start(q)) {
        queue_broken(dev, q);
        return;
    }
    virtio_remark(dev, "queue %llu ready: %llu entries", queue, q->size, 0);
    if (running(dev) && dev->ops->start) {
        dev->ops->start(dev);
    }
}

void virtio_stop_queue(struct virtio_device *dev, unsigned queue)
{
    if (dev->queue[queue].ready && dev->ops->stop_queue) {
        dev->ops->stop_queue(dev, queue);
    }
    virtq_reset(&dev->queue[queue]);
}

void virtio_reset(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->queue_count; i++) {
        virtio_stop_queue(dev, i);
    }
    dev->status = 0;
    dev->driver_features = 0;
    if (dev->ops->reset) {
        dev->ops->reset(dev);
    }
}

/* May the driver set BIT of the status now?  FEATURES_OK is the device's to grant (2.2.2, 3.1.1
 * step 5), and nothing runs without it. */
static bool grant(const struct virtio_device *dev, uint8_t bit)
{
    if (bit == VIRTIO_STATUS_FEATURES_OK) {
        if (dev->driver_features & ~dev->features) {
            virtio_remark(dev, "FEATURES_OK refused: features 0x%llx are not offered, 0x%llx are",
                          dev->driver_features & ~dev->features, dev->features, 0);
            return false;
        }
        if (!(dev->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1))) {
            virtio_remark(dev, "FEATURES_OK refused: features 0x%llx lack VIRTIO_F_VERSION_1",
                          dev->driver_features, 0, 0);
            return false;
        }
    }
    if (bit == VIRTIO_STATUS_DRIVER_OK && !(dev->status & VIRTIO_STATUS_FEATURES_OK)) {
        virtio_remark(dev, "DRIVER_OK refused: FEATURES_OK is not set", 0, 0, 0);
        return false;
    }
    return true;
}

void virtio_set_status(struct virtio_device *dev, uint8_t status)
{
    static const struct {
        uint8_t bit;
        const char *remark;
    } bits[] = {
        /* in the order of 3.1.1 */
        {VIRTIO_STATUS_ACKNOWLEDGE, "status: ACKNOWLEDGE"},
        {VIRTIO_STATUS_DRIVER, "status: DRIVER"},
        {VIRTIO_STATUS_FEATURES_OK, "status: FEATURES_OK, with features 0x%llx"},
        {VIRTIO_STATUS_DRIVER_OK, "status: DRIVER_OK"},
        {VIRTIO_STATUS_FAILED, "status: FAILED, the driver gave up"},
    };
    if (status == 0) {
        virtio_remark(dev, "status: reset", 0, 0, 0);
        virtio_reset(dev);
        return;
    }
    if (dev->status & ~status & ~VIRTIO_STATUS_NEEDS_RESET) {
        virtio_remark(dev, "status 0x%llx written over 0x%llx: only a reset clears bits", status,
                      dev->status, 0);
    }
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        uint8_t bit = bits[i].bit;
        if ((status & bit) && !(dev->status & bit) && grant(dev, bit)) {
            dev->status |= bit;
            virtio_remark(dev, bits[i].remark, dev->driver_features, 0, 0);
            if (bit == VIRTIO_STATUS_DRIVER_OK && running(dev) && dev->ops->start) {
                dev->ops->start(dev);
            }
        }
    }
}

void virtio_kick(struct virtio_device *dev, unsigned queue)
{
    if (!virtio_live(dev, queue)) {
        virtio_remark(dev,
                      dev->status & VIRTIO_STATUS_NEEDS_RESET
                          ? "notification of queue %llu ignored: the device needs a reset"
                      : dev->status & VIRTIO_STATUS_DRIVER_OK
                          ? "notification of queue %llu ignored: the queue is not ready"
                          : "notification of queue %llu ignored: DRIVER_OK is not set",
                      queue, 0, 0);
        return;
    }
    dev->ops->kick(dev, queue);
}

uint64_t virtio_config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    uint32_t config_size = dev->ops->config_size;
    if (offset > config_size || size > config_size - offset) {
        virtio_remark(dev, "config offset %llu (%llu bytes) read past the end at %llu", offset,
                      size, config_size);
        return 0;
    }
    return dev->ops->config_read(dev, offset, size);
}

void virtio_config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value)
{
    uint32_t config_size = dev->ops->config_size;
    if (offset > config_size || size > config_size - offset) {
        virtio_remark(dev, "config offset %llu (%llu bytes) written past the end at %llu", offset,
                      size, config_size);
    } else if (!dev->ops->config_write) {
        virtio_remark(dev, "config offset %llu written: it is read-only", offset, 0, 0);
    } else if (!(dev->status & VIRTIO_STATUS_FEATURES_OK) && !dev->ops->config_early) {
        virtio_remark(dev, "config offset %llu written before FEATURES_OK: ignored", offset, 0, 0);
    } else {
        dev->ops->config_write(dev, offset, size, value);
    }
}
