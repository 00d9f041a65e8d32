/*
 * slots.h: the board's virtio-mmio slots: every one is on the bus, and those of the command line's
 * devices have a device behind it, an interrupt and, unless ioeventfd=off, notifications past the
 * vCPU (QEMU hw/i386/microvm.c; KVM api.rst, KVM_IRQFD and KVM_IOEVENTFD).
 */
#ifndef KVMLENS_SLOTS_H
#define KVMLENS_SLOTS_H

#include "boot/fdt.h"
#include "plug.h"
#include "virtio/mmio.h"
#include "vm.h"

#include <memmap.h>

struct virtio_slot;

/* One queue's notifications. */
struct slot_notify {
    struct loop_fd fd; /* an eventfd; with ioeventfd=on KVM writes it */
    struct virtio_slot *slot;
    uint32_t queue;
};

struct virtio_slot {
    struct virtio_mmio mmio;
    struct plugged plugged; /* dev NULL: the slot is empty */
    int irq_fd;             /* the eventfd that KVM reads; -1: no interrupts */
    struct slot_notify notify[VIRTIO_QUEUES_MAX];
    unsigned notifies;
};

struct virtio_slots {
    struct virtio_slot slot[VIRTIO_MMIO_SLOTS];
    struct loop *loop;
    pthread_mutex_t *device_lock;
};

/* Makes the devices of the command line and attaches all slots to VM's bus, before any vCPU runs.
 * IRQCHIP: there are interrupt controllers. -1 with *err; slots_unplug() is still to be called. */
int slots_plug(struct virtio_slots *slots, const struct plug_site *site, struct vm *vm,
               bool irqchip, struct error *err);

/* Delivers the notifications that the stopped guest has sent and that nobody has heard yet, such as
 * that of its last words, for 2 seconds at the most. With the device lock held. */
void slots_settle(struct virtio_slots *slots);

/* Takes the devices away from their backends and frees them; the slots are empty then. No vCPU runs
 * any more. Takes slots that are all zero, or empty already. */
void slots_unplug(struct virtio_slots *slots);

/* Where slot NUMBER is. */
struct fdt_device slot_place(unsigned number);

#endif
