/*
 * slots.c: the board's virtio-mmio slots (see slots.h).
 *
 *   guest writes QueueNotify --- KVM: ioeventfd ---> loop ----------> virtio_mmio_notify()
 *                           \--- exit (off) ---> vm_handle_exit() --> the register's write
 *   InterruptStatus changes ---> irq_line ---> irqfd ---> KVM: an edge of the slot's interrupt
 */
#include "slots.h"

#include <errno.h>
#include <memmap.h>
#include <ports.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(VIRTIO_MMIO_SLOTS == VIRTIO_DEVICES_MAX, "each slot can have a device");

#define SETTLE_NS 2000000000ull /* for a stopped guest's last requests */

typedef int (*plug_function)(struct plugged *out, const struct plug_site *site,
                             const struct virtio_option *option, struct error *err);

static plug_function plug_of(enum virtio_kind kind)
{
    static const plug_function plugs[VIRTIO_KINDS] = {
        [VIRTIO_BLK] = plug_blk, [VIRTIO_NET] = plug_net,         [VIRTIO_SERIAL] = plug_serial,
        [VIRTIO_RNG] = plug_rng, [VIRTIO_BALLOON] = plug_balloon,
    };

    return plugs[kind];
}

struct fdt_device slot_place(unsigned number)
{
    return (struct fdt_device){
        .name = "virtio_mmio",
        .compatible = "virtio,mmio",
        .base = VIRTIO_MMIO_GPA + number * VIRTIO_MMIO_STRIDE,
        .size = VIRTIO_MMIO_STRIDE,
        .irq = IRQ_VIRTIO_BASE + (int)number,
        .edge = true,
        .coherent = true,
    };
}

/* --- interrupts ----------------------------------------------------------------------------- */

/* An eventfd that is full has been heard of already. */
static void signal_event(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* A rise of the line, or of one of its reasons while others keep it up: KVM makes an edge of it. */
static void raise_irq(void *slot, unsigned gsi, bool level)
{
    const struct virtio_slot *s = slot;

    (void)gsi;
    if (level)
        signal_event(s->irq_fd);
}

static int connect_irq(struct virtio_slot *slot, struct vm *vm, unsigned gsi, struct error *err)
{
    slot->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (slot->irq_fd < 0)
        return error_set(err, STATUS_INTERNAL, "eventfd: %s", strerror(errno));

    int r = kvm_vm_irqfd(vm->kvm, gsi, slot->irq_fd);

    return r < 0 ? error_set(err, STATUS_NO_KVM, "KVM_IRQFD: %s; `kvmlens check` tells more",
                             strerror(-r))
                 : 0;
}

/* --- notifications -------------------------------------------------------------------------- */

/* Has the guest notified a queue?  KVM counts, so that many writes may have become one event. */
static bool listen_to(struct slot_notify *n)
{
    uint64_t count;
    ssize_t got;

    do
        got = read(n->fd.fd, &count, sizeof count);
    while (got < 0 && errno == EINTR);
    if (got != sizeof count)
        return false;
    virtio_mmio_notify(&n->slot->mmio, n->queue);
    return true;
}

static void hear(void *notify, short revents)
{
    (void)revents;
    listen_to(notify);
}

/* The rest of a long queue is a notification from here. */
static void notify_again(void *slot, unsigned queue)
{
    struct virtio_slot *s = slot;

    signal_event(s->notify[queue].fd.fd);
}

/* DIRECT: KVM writes the eventfd, instead of an exit. */
static int connect_queue(struct virtio_slots *slots, struct virtio_slot *slot, struct vm *vm,
                         uint64_t register_gpa, bool direct, struct error *err)
{
    struct slot_notify *n = &slot->notify[slot->notifies];

    *n = (struct slot_notify){
        .fd = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
               .events = POLLIN,
               .ready = hear,
               .opaque = n},
        .slot = slot,
        .queue = slot->notifies,
    };
    if (n->fd.fd < 0)
        return error_set(err, STATUS_INTERNAL, "eventfd: %s", strerror(errno));
    if (loop_add_fd(slots->loop, &n->fd) < 0) {
        close(n->fd.fd);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    slot->notifies++;
    if (!direct)
        return 0;

    int r = kvm_vm_ioeventfd(vm->kvm, register_gpa, n->queue, n->fd.fd);

    return r < 0 ? error_set(err, STATUS_NO_KVM,
                             "KVM_IOEVENTFD: %s; -global virtio-mmio.ioeventfd=off does without",
                             strerror(-r))
                 : 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static int plug_device(struct virtio_slots *slots, const struct plug_site *site,
                       const struct virtio_option *option, struct vm *vm, bool irqchip,
                       struct error *err)
{
    struct virtio_slot *slot = &slots->slot[option->slot];
    const struct fdt_device place = slot_place(option->slot);

    if (plug_of(option->kind)(&slot->plugged, site, option, err) < 0)
        return -1;
    if (irqchip && connect_irq(slot, vm, (unsigned)place.irq, err) < 0)
        return -1;
    virtio_mmio_init(&slot->mmio, slot->plugged.dev,
                     (struct irq_line){irqchip ? raise_irq : NULL, slot, (unsigned)place.irq});
    for (unsigned i = 0; i < slot->plugged.dev->queue_count; i++)
        if (connect_queue(slots, slot, vm, place.base + VIRTIO_MMIO_QUEUE_NOTIFY,
                          site->options->devices.ioeventfd, err) < 0)
            return -1;
    slot->plugged.dev->later = (struct virtio_later){notify_again, slot};
    return 0;
}

int slots_plug(struct virtio_slots *slots, const struct plug_site *site, struct vm *vm,
               bool irqchip, struct error *err)
{
    const struct device_options *devices = &site->options->devices;

    *slots = (struct virtio_slots){.loop = site->loop, .device_lock = site->device_lock};
    for (unsigned i = 0; i < VIRTIO_MMIO_SLOTS; i++) {
        const struct fdt_device place = slot_place(i);
        struct virtio_slot *slot = &slots->slot[i];

        slot->irq_fd = -1;
        virtio_mmio_init(&slot->mmio, NULL, (struct irq_line){0});

        int r = bus_attach(&vm->mmio, place.base, place.size, &virtio_mmio_ops, &slot->mmio);

        if (r < 0)
            return error_set(err, STATUS_INTERNAL, "cannot attach virtio-mmio slot %u: %s", i,
                             strerror(-r));
    }
    for (unsigned i = 0; i < devices->virtio_count; i++)
        if (plug_device(slots, site, &devices->virtio[i], vm, irqchip, err) < 0)
            return -1;
    return 0;
}

void slots_settle(struct virtio_slots *slots)
{
    uint64_t limit = loop_now() + SETTLE_NS;
    bool heard;

    do { /* a long buffer is taken in many turns */
        heard = false;
        for (unsigned i = 0; i < VIRTIO_MMIO_SLOTS; i++)
            for (unsigned q = 0; q < slots->slot[i].notifies; q++)
                heard = listen_to(&slots->slot[i].notify[q]) || heard;
    } while (heard && loop_now() < limit);
}

static void unplug(struct virtio_slots *slots, struct virtio_slot *slot)
{
    pthread_mutex_lock(slots->device_lock);
    for (unsigned q = 0; q < slot->notifies; q++) {
        loop_remove_fd(slots->loop, &slot->notify[q].fd);
        close(slot->notify[q].fd.fd);
    }
    slot->notifies = 0;
    pthread_mutex_unlock(slots->device_lock);

    /* Requests may still be under way; their ends raise interrupts until the device is gone. */
    if (slot->plugged.dev)
        slot->plugged.unplug(&slot->plugged);
    slot->plugged.dev = NULL;
    virtio_mmio_init(&slot->mmio, NULL, (struct irq_line){0});
    if (slot->irq_fd >= 0)
        close(slot->irq_fd);
    slot->irq_fd = -1;
}

void slots_unplug(struct virtio_slots *slots)
{
    if (!slots->device_lock)
        return;
    for (unsigned i = 0; i < VIRTIO_MMIO_SLOTS; i++)
        unplug(slots, &slots->slot[i]);
    slots->device_lock = NULL;
}
