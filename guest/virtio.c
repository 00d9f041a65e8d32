/*
 * virtio.c: the driver core: discovery, features, queues (virtio 1.2: 2.7, 3.1, 4.2).
 */
#include "virtio.h"
#include "kernel.h"
#include "x86.h"

#define WAIT_SECONDS 30
#define STATUS_POLLS 1000 /* from one look at the device's status, which is an exit, to the next */

static struct {
    bool searched;
    unsigned count;
    struct virtio slot[VIRTIO_SLOTS_MAX]; /* that have a device, by falling GPA */
} virtio;

/* The VMM fills its slots from the last one: falling addresses are the command line's order. */
static void add_slot(uint64_t gpa, uint32_t irq)
{
    struct virtio dev = {.regs = map_device(gpa), .irq = irq};
    if (virtio_get(&dev, VIRTIO_MMIO_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC ||
        virtio_get(&dev, VIRTIO_MMIO_VERSION) != VIRTIO_MMIO_MODERN ||
        !(dev.id = virtio_get(&dev, VIRTIO_MMIO_DEVICE_ID)) || virtio.count == VIRTIO_SLOTS_MAX)
        return;
    unsigned at = virtio.count++;
    for (; at > 0 && virtio.slot[at - 1].regs < dev.regs; at--)
        virtio.slot[at] = virtio.slot[at - 1];
    virtio.slot[at] = dev;
}

struct virtio *virtio_find(uint32_t id, unsigned nth)
{
    if (!virtio.searched)
        machine_virtio_slots(add_slot);
    virtio.searched = true;
    for (unsigned i = 0; i < virtio.count; i++) {
        if (virtio.slot[i].id == id && nth-- == 0)
            return &virtio.slot[i];
    }
    return NULL;
}

void virtio_interrupt(unsigned slot)
{
    struct virtio *dev = &virtio.slot[slot];
    uint32_t status = virtio_get(dev, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_ALL;
    virtio_set(dev, VIRTIO_MMIO_INTERRUPT_ACK, status);
    dev->interrupt_count++;
    dev->config_changed |= (status & VIRTIO_MMIO_INT_CONFIG) != 0;
}

/* What was stored is seen by the device before what follows is loaded. (MFENCE, of SSE2, is an
 * instruction that not every software KVM knows.) */
static void fence(void)
{
    __asm__ volatile("lock; orq $0, (%%rsp)" : : : "memory", "cc");
}

bool virtio_begin(struct virtio *dev, uint64_t wanted)
{
    virtio_set(dev, VIRTIO_MMIO_STATUS, 0);
    while (virtio_get(dev, VIRTIO_MMIO_STATUS))
        pause();
    dev->features = 0;
    dev->config_changed = false;
    virtio_set(dev, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    virtio_set(dev, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    wanted |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX);
    for (unsigned half = 0; half < 2; half++) {
        virtio_set(dev, VIRTIO_MMIO_DEVICE_SEL, half);
        uint32_t accepted =
            virtio_get(dev, VIRTIO_MMIO_DEVICE_FEATURES) & (uint32_t)(wanted >> 32 * half);
        virtio_set(dev, VIRTIO_MMIO_DRIVER_SEL, half);
        virtio_set(dev, VIRTIO_MMIO_DRIVER_FEATURES, accepted);
        dev->features |= (uint64_t)accepted << 32 * half;
    }
    virtio_set(dev, VIRTIO_MMIO_STATUS,
               VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    if (virtio_has(dev, VIRTIO_F_VERSION_1) &&
        (virtio_get(dev, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK))
        return true;
    virtio_set(dev, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_FAILED);
    dev->features = 0;
    return false;
}

/* Armed, a queue interrupts with its next used buffer; else not: an event just passed is far off. */
static void set_armed(struct virtio_queue *queue, bool armed)
{
    queue->armed = armed;
    if (virtio_has(queue->dev, VIRTIO_F_EVENT_IDX))
        queue->avail->ring[queue->size] = (uint16_t)(queue->last_used - !armed);
    else
        queue->avail->flags = armed ? 0 : VIRTQ_AVAIL_NO_INTERRUPT;
}

static void set_address(struct virtio *dev, unsigned reg, const void *ring)
{
    virtio_set(dev, reg, (uint32_t)(uint64_t)ring);
    virtio_set(dev, reg + 4, (uint32_t)((uint64_t)ring >> 32));
}

bool virtio_queue_init(struct virtio_queue *queue, struct virtio *dev, unsigned number,
                       unsigned size)
{
    virtio_set(dev, VIRTIO_MMIO_QUEUE_SEL, number);
    uint32_t most = virtio_get(dev, VIRTIO_MMIO_QUEUE_NUM_MAX);
    if (most == 0 || virtio_get(dev, VIRTIO_MMIO_QUEUE_READY))
        return false;
    size = size < most ? size : most;
    size = size < VIRTIO_QUEUE_MAX ? size : VIRTIO_QUEUE_MAX;

    uint8_t *desc = queue->desc ? (uint8_t *)queue->desc : page_alloc();
    uint8_t *rings = queue->avail ? (uint8_t *)queue->avail : page_alloc();
    memset(rings, 0, PAGE_SIZE);
    *queue = (struct virtio_queue){.dev = dev,
                                   .number = (uint16_t)number,
                                   .size = (uint16_t)size,
                                   .free_count = (uint16_t)size,
                                   .notify_count = queue->notify_count,
                                   .desc = (struct virtq_desc *)desc,
                                   .avail = (struct virtq_avail *)rings,
                                   .used = (struct virtq_used *)(rings + PAGE_SIZE / 4)};
    for (unsigned i = 0; i < size; i++)
        queue->desc[i].next = (uint16_t)(i + 1);
    set_armed(queue, false);
    virtio_set(dev, VIRTIO_MMIO_QUEUE_NUM, size);
    set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc);
    set_address(dev, VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue->avail);
    set_address(dev, VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue->used);
    virtio_set(dev, VIRTIO_MMIO_QUEUE_READY, 1);
    return true;
}

void virtio_ready(struct virtio *dev)
{
    dev->interrupts = apic_present() && dev->irq < ioapic_pins();
    if (dev->interrupts)
        ioapic_route(dev->irq, (uint8_t)(VECTOR_VIRTIO + (dev - virtio.slot)));
    virtio_set(dev, VIRTIO_MMIO_STATUS,
               virtio_get(dev, VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

bool virtio_add(struct virtio_queue *queue, const struct virtio_buffer *buffers, unsigned count,
                void *token)
{
    if (count == 0 || count > queue->free_count)
        return false;
    uint16_t head = queue->free_head, last = head;
    for (unsigned i = 0; i < count; i++) {
        struct virtq_desc *desc = &queue->desc[queue->free_head];
        last = queue->free_head;
        desc->addr = (uint64_t)buffers[i].data;
        desc->len = buffers[i].size;
        desc->flags = buffers[i].writable ? VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE : VIRTQ_DESC_NEXT;
        queue->free_head = desc->next;
    }
    queue->desc[last].flags &= (uint16_t)~VIRTQ_DESC_NEXT;
    queue->free_count = (uint16_t)(queue->free_count - count);
    queue->token[head] = token;
    uint16_t idx = queue->avail->idx;
    queue->avail->ring[idx % queue->size] = head;
    __atomic_store_n(&queue->avail->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
    return true;
}

void virtio_kick(struct virtio_queue *queue)
{
    uint16_t idx = queue->avail->idx, kicked = queue->kicked;
    if (idx == kicked)
        return;
    queue->kicked = idx;
    fence();
    const volatile uint16_t *avail_event = (volatile uint16_t *)&queue->used->ring[queue->size];
    bool wanted = virtio_has(queue->dev, VIRTIO_F_EVENT_IDX)
                      ? virtq_event_passed(*avail_event, idx, kicked)
                      : !(*(volatile uint16_t *)&queue->used->flags & VIRTQ_USED_NO_NOTIFY);
    if (wanted) {
        queue->notify_count++;
        virtio_set(queue->dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue->number);
    }
}

static bool is_used(const struct virtio_queue *queue)
{
    return __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) != queue->last_used;
}

bool virtio_used(struct virtio_queue *queue, void **token, uint32_t *size)
{
    if (!is_used(queue))
        return false;
    struct virtq_used_elem elem = queue->used->ring[queue->last_used++ % queue->size];
    if (elem.id >= queue->size || !queue->token[elem.id])
        panic("a virtio device gives back a buffer that it has not got");
    if (token)
        *token = queue->token[elem.id];
    if (size)
        *size = elem.len;
    queue->token[elem.id] = NULL;
    uint16_t last = (uint16_t)elem.id;
    queue->free_count++;
    for (; queue->desc[last].flags & VIRTQ_DESC_NEXT; last = queue->desc[last].next)
        queue->free_count++;
    queue->desc[last].next = queue->free_head;
    queue->free_head = (uint16_t)elem.id;
    if (queue->armed)
        set_armed(queue, false);
    return true;
}

void virtio_sleep(struct virtio_queue *queue)
{
    if (!queue->dev->interrupts) {
        pause();
        return;
    }
    irq_off(); /* else the interrupt could come between the look and the halt */
    set_armed(queue, true);
    fence();
    if (is_used(queue))
        irq_on();
    else
        wait_for_interrupt();
}

bool virtio_wait(struct virtio_queue *queue)
{
    struct virtio *dev = queue->dev;
    struct timeout timeout = timeout_start(WAIT_SECONDS * TIMER_HZ);
    for (unsigned polls = 1; !is_used(queue); polls++) {
        if (timeout_passed(&timeout))
            return false;
        virtio_sleep(queue);
        if ((dev->interrupts ? dev->config_changed : polls % STATUS_POLLS == 0) &&
            virtio_needs_reset(dev))
            return is_used(queue);
    }
    return true;
}

bool virtio_transfer(struct virtio_queue *queue, const struct virtio_buffer *buffers,
                     unsigned count, uint32_t *size)
{
    if (!virtio_add(queue, buffers, count, queue))
        return false;
    virtio_kick(queue);
    return virtio_wait(queue) && virtio_used(queue, NULL, size);
}
