/*
 * mmio.c: the virtio-mmio transport, version 2 (virtio 1.2, section 4.2.2; see mmio.h).
 *
 * Registers are 32 bits wide, aligned, and lie below 0x100; the device's own configuration space
 * starts there.  What the driver may not do reads as all ones or is ignored, and a remark names it.
 */
#include "mmio.h"

#include <stddef.h>

#define VENDOR_ID 0x4c4d564b /* "KVML" */

static bool known_queue(const struct virtio_mmio *mmio)
{
    return mmio->queue_sel < mmio->dev->queue_count;
}

/* The line follows the register, and is told of each change: where it makes edges, a reason that
 * comes while another is being acknowledged would else never be heard. */
static void set_interrupt_status(struct virtio_mmio *mmio, uint32_t status)
{
    if (status == mmio->interrupt_status) {
        return;
    }
    mmio->interrupt_status = status;
    irq_set(&mmio->irq, status != 0);
}

/* The device interrupts. */
static void raise(void *opaque, uint32_t reason)
{
    struct virtio_mmio *mmio = opaque;
    set_interrupt_status(mmio, mmio->interrupt_status | reason);
}

static void acknowledge(struct virtio_mmio *mmio, uint32_t reasons)
{
    set_interrupt_status(mmio, mmio->interrupt_status & ~reasons);
}

/* The transport's own registers, once the device is reset. */
static void clear(struct virtio_mmio *mmio)
{
    acknowledge(mmio, UINT32_MAX);
    mmio->device_sel = mmio->driver_sel = mmio->queue_sel = 0;
}

static uint32_t read_register(const struct virtio_mmio *mmio, uint64_t offset)
{
    const struct virtio_device *dev = mmio->dev;
    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_VERSION:
        return VIRTIO_MMIO_MODERN;
    case VIRTIO_MMIO_DEVICE_ID:
        return dev ? dev->ops->id : 0;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR_ID;
    default:
        break;
    }
    if (!dev) {
        return UINT32_MAX;
    }
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return mmio->device_sel < 2 ? (uint32_t)(dev->features >> (32 * mmio->device_sel)) : 0;
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return known_queue(mmio) ? dev->queue[mmio->queue_sel].size_max : 0;
    case VIRTIO_MMIO_QUEUE_READY:
        return known_queue(mmio) && dev->queue[mmio->queue_sel].ready;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return mmio->interrupt_status;
    case VIRTIO_MMIO_STATUS:
        return dev->status;
    case VIRTIO_MMIO_QUEUE_RESET:
        return 0; /* a reset is over when the write of it returns */
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return dev->config_generation;
    default: /* the SHM registers too: no device has shared memory, and so length and base are -1 */
        return UINT32_MAX;
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio_mmio *mmio = opaque;
    if (offset >= VIRTIO_MMIO_CONFIG) {
        return mmio->dev
                   ? virtio_config_read(mmio->dev, (uint32_t)offset - VIRTIO_MMIO_CONFIG, size)
                   : UINT64_MAX;
    }
    if (size != 4 || offset % 4 != 0) {
        if (mmio->dev) {
            virtio_remark(mmio->dev,
                          "register 0x%llx read with %llu bytes: 4, aligned, are expected", offset,
                          size, 0);
        }
        return UINT64_MAX;
    }
    return read_register(mmio, offset);
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
    if (mmio->dev->status & VIRTIO_STATUS_FEATURES_OK) {
        virtio_remark(mmio->dev, "DriverFeatures written after FEATURES_OK: ignored", 0, 0, 0);
    } else if (mmio->driver_sel >= 2) {
        virtio_remark(mmio->dev, "DriverFeatures written with DriverFeaturesSel %llu: ignored",
                      mmio->driver_sel, 0, 0);
    } else {
        unsigned shift = 32 * mmio->driver_sel;
        mmio->dev->driver_features &= ~((uint64_t)UINT32_MAX << shift);
        mmio->dev->driver_features |= (uint64_t)value << shift;
    }
}

static void set_low(uint64_t *address, uint32_t value)
{
    *address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
    *address = (*address & UINT32_MAX) | (uint64_t)value << 32;
}

static void write_queue_num(struct virtio_mmio *mmio, struct virtq *q, uint32_t value)
{
    if (value > q->size_max) {
        virtio_remark(mmio->dev, "QueueNum %llu: queue %llu has at most %llu entries", value,
                      mmio->queue_sel, q->size_max);
        value = 0; /* no size: the queue will not start */
    }
    q->size = (uint16_t)value;
}

static void write_queue_ready(struct virtio_mmio *mmio, const struct virtq *q, uint32_t value)
{
    if (value == 0 && q->ready) {
        virtio_stop_queue(mmio->dev, mmio->queue_sel);
    } else if (value != 0 && !q->ready) {
        virtio_start_queue(mmio->dev, mmio->queue_sel);
    }
}

static void write_queue_reset(struct virtio_mmio *mmio, uint32_t value)
{
    if (!virtio_has(mmio->dev, VIRTIO_F_RING_RESET)) {
        virtio_remark(mmio->dev, "QueueReset written without VIRTIO_F_RING_RESET: ignored", 0, 0,
                      0);
    } else if (value == 1) {
        virtio_remark(mmio->dev, "queue %llu: reset", mmio->queue_sel, 0, 0);
        virtio_stop_queue(mmio->dev, mmio->queue_sel);
    }
}

/* The registers of the queue that QueueSel selects.  False: OFFSET is not one of them. */
static bool write_queue(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
    case VIRTIO_MMIO_QUEUE_READY:
    case VIRTIO_MMIO_QUEUE_RESET:
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
    case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
    case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
    case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
    case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
        break;
    default:
        return false;
    }
    if (!known_queue(mmio)) {
        virtio_remark(mmio->dev, "queue register 0x%llx written: QueueSel is %llu of %llu queues",
                      offset, mmio->queue_sel, mmio->dev->queue_count);
        return true;
    }
    struct virtq *q = &mmio->dev->queue[mmio->queue_sel];
    if (offset == VIRTIO_MMIO_QUEUE_READY) {
        write_queue_ready(mmio, q, value);
    } else if (offset == VIRTIO_MMIO_QUEUE_RESET) {
        write_queue_reset(mmio, value);
    } else if (q->ready) {
        virtio_remark(mmio->dev, "queue register 0x%llx written while queue %llu is ready: ignored",
                      offset, mmio->queue_sel, 0);
    } else if (offset == VIRTIO_MMIO_QUEUE_NUM) {
        write_queue_num(mmio, q, value);
    } else {
        uint64_t *address = offset < VIRTIO_MMIO_QUEUE_DRIVER_LOW   ? &q->desc
                            : offset < VIRTIO_MMIO_QUEUE_DEVICE_LOW ? &q->avail
                                                                    : &q->used;
        (offset % 8 == 0 ? set_low : set_high)(address, value);
    }
    return true;
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_SEL:
        mmio->device_sel = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        write_driver_features(mmio, value);
        break;
    case VIRTIO_MMIO_DRIVER_SEL:
        mmio->driver_sel = value;
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        mmio->queue_sel = value;
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        virtio_mmio_notify(mmio, value);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        acknowledge(mmio, value);
        break;
    case VIRTIO_MMIO_STATUS:
        virtio_set_status(mmio->dev, (uint8_t)value);
        if ((uint8_t)value == 0) {
            clear(mmio);
        }
        break;
    case VIRTIO_MMIO_SHM_SEL:
        break; /* there is no shared memory to select */
    default:
        if (!write_queue(mmio, offset, value)) {
            virtio_remark(mmio->dev, "register 0x%llx cannot be written: 0x%llx ignored", offset,
                          value, 0);
        }
        break;
    }
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_mmio *mmio = opaque;
    if (!mmio->dev) {
        return;
    }
    if (offset >= VIRTIO_MMIO_CONFIG) {
        virtio_config_write(mmio->dev, (uint32_t)offset - VIRTIO_MMIO_CONFIG, size, value);
    } else if (size != 4 || offset % 4 != 0) {
        virtio_remark(mmio->dev,
                      "register 0x%llx written with %llu bytes: 4, aligned, are expected", offset,
                      size, 0);
    } else {
        write_register(mmio, offset, (uint32_t)value);
    }
}

static void mmio_reset(void *opaque)
{
    struct virtio_mmio *mmio = opaque;
    if (mmio->dev) {
        virtio_reset(mmio->dev);
    }
    clear(mmio);
}

static const char *mmio_instance(const void *opaque)
{
    const struct virtio_mmio *mmio = opaque;
    return mmio->dev ? mmio->dev->name : NULL;
}

static const char *mmio_reg_name(const void *opaque, uint64_t offset, bool write)
{
    static const char *const names[VIRTIO_MMIO_CONFIG / 4] = {
        [VIRTIO_MMIO_MAGIC_VALUE / 4] = "MagicValue",
        [VIRTIO_MMIO_VERSION / 4] = "Version",
        [VIRTIO_MMIO_DEVICE_ID / 4] = "DeviceID",
        [VIRTIO_MMIO_VENDOR_ID / 4] = "VendorID",
        [VIRTIO_MMIO_DEVICE_FEATURES / 4] = "DeviceFeatures",
        [VIRTIO_MMIO_DEVICE_SEL / 4] = "DeviceFeaturesSel",
        [VIRTIO_MMIO_DRIVER_FEATURES / 4] = "DriverFeatures",
        [VIRTIO_MMIO_DRIVER_SEL / 4] = "DriverFeaturesSel",
        [VIRTIO_MMIO_QUEUE_SEL / 4] = "QueueSel",
        [VIRTIO_MMIO_QUEUE_NUM_MAX / 4] = "QueueNumMax",
        [VIRTIO_MMIO_QUEUE_NUM / 4] = "QueueNum",
        [VIRTIO_MMIO_QUEUE_READY / 4] = "QueueReady",
        [VIRTIO_MMIO_QUEUE_NOTIFY / 4] = "QueueNotify",
        [VIRTIO_MMIO_INTERRUPT_STATUS / 4] = "InterruptStatus",
        [VIRTIO_MMIO_INTERRUPT_ACK / 4] = "InterruptACK",
        [VIRTIO_MMIO_STATUS / 4] = "Status",
        [VIRTIO_MMIO_QUEUE_DESC_LOW / 4] = "QueueDescLow",
        [VIRTIO_MMIO_QUEUE_DESC_HIGH / 4] = "QueueDescHigh",
        [VIRTIO_MMIO_QUEUE_DRIVER_LOW / 4] = "QueueDriverLow",
        [VIRTIO_MMIO_QUEUE_DRIVER_HIGH / 4] = "QueueDriverHigh",
        [VIRTIO_MMIO_QUEUE_DEVICE_LOW / 4] = "QueueDeviceLow",
        [VIRTIO_MMIO_QUEUE_DEVICE_HIGH / 4] = "QueueDeviceHigh",
        [VIRTIO_MMIO_SHM_SEL / 4] = "SHMSel",
        [VIRTIO_MMIO_SHM_LEN_LOW / 4] = "SHMLenLow",
        [VIRTIO_MMIO_SHM_LEN_HIGH / 4] = "SHMLenHigh",
        [VIRTIO_MMIO_SHM_BASE_LOW / 4] = "SHMBaseLow",
        [VIRTIO_MMIO_SHM_BASE_HIGH / 4] = "SHMBaseHigh",
        [VIRTIO_MMIO_QUEUE_RESET / 4] = "QueueReset",
        [VIRTIO_MMIO_CONFIG_GENERATION / 4] = "ConfigGeneration",
    };
    (void)write;
    const struct virtio_mmio *mmio = opaque;
    if (offset < VIRTIO_MMIO_CONFIG) {
        return offset % 4 == 0 ? names[offset / 4] : NULL;
    }
    uint32_t field = (uint32_t)offset - VIRTIO_MMIO_CONFIG;
    if (!mmio->dev || field >= mmio->dev->ops->config_size) {
        return NULL;
    }
    const char *name =
        mmio->dev->ops->config_name ? mmio->dev->ops->config_name(mmio->dev, field) : NULL;
    return name ? name : "config";
}

const struct device_ops virtio_mmio_ops = {.name = "virtio-mmio",
                                           .instance = mmio_instance,
                                           .read = mmio_read,
                                           .write = mmio_write,
                                           .reset = mmio_reset,
                                           .reg_name = mmio_reg_name};

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *dev, struct irq_line irq)
{
    *mmio = (struct virtio_mmio){.dev = dev, .irq = irq};
    if (dev) {
        dev->transport = (struct virtio_transport){.interrupt = raise, .opaque = mmio};
    }
}

void virtio_mmio_notify(struct virtio_mmio *mmio, uint32_t queue)
{
    if (!mmio->dev) {
        return;
    }
    if (queue >= mmio->dev->queue_count) {
        virtio_remark(mmio->dev, "QueueNotify %llu: the device has %llu queues", queue,
                      mmio->dev->queue_count, 0);
        return;
    }
    virtio_kick(mmio->dev, queue);
}
