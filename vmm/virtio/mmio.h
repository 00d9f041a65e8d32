/*
 * mmio.h: the virtio-mmio transport, version 2 (virtio 1.2, section 4.2): one slot of registers
 * with one device behind it, the same code for all devices.
 */
#ifndef KVMLENS_VIRTIO_MMIO_TRANSPORT_H
#define KVMLENS_VIRTIO_MMIO_TRANSPORT_H

#include "../irq.h"
#include "virtio.h"

struct virtio_mmio {
    struct virtio_device *dev; /* borrowed; NULL: the slot is empty (DeviceID 0) */
    struct irq_line irq;       /* its level is high while interrupt_status is not 0; set at each
                                  change of it, so that an edge can be made of each */
    uint32_t interrupt_status; /* VIRTIO_MMIO_INT_... */
    uint32_t device_sel, driver_sel, queue_sel;
};

extern const struct device_ops virtio_mmio_ops; /* dev is a struct virtio_mmio */

/* Connects DEV (or NULL) to the slot, and the slot's interrupt to DEV. */
void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *dev, struct irq_line irq);

/* A notification that did not come as a register access (ioeventfd): QueueNotify = QUEUE. */
void virtio_mmio_notify(struct virtio_mmio *mmio, uint32_t queue);

#endif
