/*
 * virtio.c: the driver core (virtio 1.2: 2.7 split queues, 3.1 initialisation, 4.2 MMIO).
 */
#include "virtio.h"
#include "kernel.h"
#include "x86.h"

#define WAIT_SECONDS 30
#define STATUS_POLLS 1000 /* from one look at the device's status, which is an exit, to the next */

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

/* No interrupt until the queue is armed: with the event index, an event just passed is far off. */
static void disarm(struct virtio_queue *queue)
{
    queue->armed = false;
    if (virtio_has(queue->dev, VIRTIO_F_EVENT_IDX))
        queue->avail->ring[queue->size] = (uint16_t)(queue->last_used - 1);
    else
        queue->avail->flags = VIRTQ_AVAIL_NO_INTERRUPT;
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
    disarm(queue);
    virtio_set(dev, VIRTIO_MMIO_QUEUE_NUM, size);
    set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc);
    set_address(dev, VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue->avail);
    set_address(dev, VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue->used);
    virtio_set(dev, VIRTIO_MMIO_QUEUE_READY, 1);
    return true;
}

void virtio_ready(struct virtio *dev)
{
    dev->interrupts = virtio_route(dev);
    virtio_set(dev, VIRTIO_MMIO_STATUS,
               virtio_get(dev, VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

bool virtio_has(const struct virtio *dev, unsigned feature)
{
    return dev->features >> feature & 1;
}

bool virtio_needs_reset(const struct virtio *dev)
{
    return virtio_get(dev, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

uint64_t virtio_config(const struct virtio *dev, unsigned offset, unsigned size)
{
    volatile uint8_t *at = dev->regs + VIRTIO_MMIO_CONFIG + offset;
    switch (size) {
    case 2:
        return *(volatile uint16_t *)at;
    case 4:
        return *(volatile uint32_t *)at;
    }
    /* In two halves, which belong together only if the configuration did not change (2.5.1). */
    uint32_t generation;
    uint64_t value;
    do {
        generation = virtio_get(dev, VIRTIO_MMIO_CONFIG_GENERATION);
        value = *(volatile uint32_t *)at | (uint64_t) * (volatile uint32_t *)(at + 4) << 32;
    } while (generation != virtio_get(dev, VIRTIO_MMIO_CONFIG_GENERATION));
    return value;
}

void virtio_config_set(struct virtio *dev, unsigned offset, uint32_t value)
{
    virtio_set(dev, VIRTIO_MMIO_CONFIG + offset, value);
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
        disarm(queue);
    return true;
}

bool virtio_arm(struct virtio_queue *queue)
{
    queue->armed = true;
    if (virtio_has(queue->dev, VIRTIO_F_EVENT_IDX))
        queue->avail->ring[queue->size] = queue->last_used;
    else
        queue->avail->flags = 0;
    fence();
    return is_used(queue);
}

void virtio_sleep(struct virtio_queue *queue)
{
    if (!queue->dev->interrupts) {
        pause();
        return;
    }
    irq_off(); /* else the interrupt could come between the look and the halt */
    if (virtio_arm(queue))
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
