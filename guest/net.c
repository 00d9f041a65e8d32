/*
 * net.c: the driver of a network card (virtio 1.2, section 5.1).
 * While frames come, the rings are polled and the card does not interrupt; it is notified once for
 * all frames of a poll. A buffer is free, or the card's to receive into or to send.
 */
#include <virtio_net.h>

#include "kernel.h"
#include "net.h"
#include "virtio.h"

#define BUFFERS_MAX 144
#define FREE_MIN(n) ((n) / 8)      /* that are kept for frames of our own; the others receive */
#define OWN_MAC     0x563412005452 /* 52:54:00:12:34:56, for a card that has none */
#define WANTED      (1u << VIRTIO_NET_F_MAC | 1u << VIRTIO_NET_F_STATUS | 1u << VIRTIO_NET_F_MRG_RXBUF)

struct WIRE buffer {
    struct virtio_net_hdr header;
    struct frame frame;
    uint8_t rest[PAGE_SIZE / 2 - sizeof(struct virtio_net_hdr) - sizeof(struct frame)];
};

static struct {
    struct net net;
    struct virtio *dev;
    struct virtio_queue receive, send;
    struct buffer *page[BUFFERS_MAX / 2], *free[BUFFERS_MAX]; /* a page is two buffers */
    unsigned count, free_count, spill; /* spill: buffers of a long frame that are to come */
} card;

static void give(struct buffer *buffer)
{
    virtio_add(&card.receive, &(struct virtio_buffer){buffer, offsetof(struct buffer, rest), true},
               1, buffer);
}

static struct frame *free_frame(struct net *net)
{
    (void)net;
    return card.free_count ? &card.free[--card.free_count]->frame : NULL;
}

static void send_frame(struct net *net, struct frame *frame, size_t length)
{
    struct buffer *buffer = (void *)((uint8_t *)frame - offsetof(struct buffer, frame));
    uint32_t size = (uint32_t)(offsetof(struct buffer, frame) + length);
    (void)net;
    buffer->header = (struct virtio_net_hdr){0};
    virtio_add(&card.send, &(struct virtio_buffer){buffer, size, false}, 1, buffer);
}

/* Each queue has room for all buffers, so that no virtio_add() fails. */
static bool start(void)
{
    if (!virtio_begin(card.dev, WANTED) ||
        !virtio_queue_init(&card.receive, card.dev, VIRTIO_NET_RX, VIRTIO_QUEUE_MAX) ||
        !virtio_queue_init(&card.send, card.dev, VIRTIO_NET_TX, VIRTIO_QUEUE_MAX))
        return false;
    unsigned room = card.receive.size < card.send.size ? card.receive.size : card.send.size;
    card.count = room < BUFFERS_MAX ? room : BUFFERS_MAX;
    card.free_count = card.spill = 0;
    for (unsigned i = 0; i < card.count; i++) {
        if (!card.page[i / 2])
            card.page[i / 2] = page_alloc();
        struct buffer *buffer = &card.page[i / 2][i % 2];
        if (i < FREE_MIN(card.count))
            card.free[card.free_count++] = buffer;
        else
            give(buffer);
    }
    uint64_t mac = virtio_has(card.dev, VIRTIO_NET_F_MAC) ? virtio_config(card.dev, 0, 8) : OWN_MAC;
    __builtin_memcpy(&card.net.mac, &mac, sizeof(card.net.mac));
    card.net.buffer = free_frame;
    card.net.send = send_frame;
    virtio_ready(card.dev);
    virtio_kick(&card.receive);
    return true;
}

struct net *net_open(void)
{
    bool runs = card.dev && !virtio_needs_reset(card.dev);
    if ((card.dev = virtio_find(VIRTIO_ID_NET, 0)) && (runs || start()))
        return &card.net;
    print(card.dev ? "net: the card does not agree to this driver, or lacks a queue\n"
                   : "net: this machine has no network card (-device virtio-net-device)\n");
    card.dev = NULL;
    return NULL;
}

/* SIZE bytes have come into BUFFER. A frame that fills several is too long: all are passed over. */
static void receive(struct buffer *buffer, uint32_t size)
{
    size_t answer = 0;
    if (card.spill) {
        card.spill--;
    } else if (size >= sizeof(buffer->header) && buffer->header.num_buffers <= 1) {
        answer = net_input(&card.net, &buffer->frame, size - sizeof(buffer->header));
    } else {
        card.net.count[NET_MALFORMED]++;
        card.spill = size < sizeof(buffer->header) ? 0 : buffer->header.num_buffers - 1u;
    }
    answer ? send_frame(&card.net, &buffer->frame, answer) : give(buffer);
}

unsigned net_poll(struct net *net)
{
    unsigned frames = 0;
    uint32_t size;
    void *buffer;
    net->now_ms = clock_ms();
    while (virtio_used(&card.send, &buffer, NULL)) {
        if (card.free_count < FREE_MIN(card.count))
            card.free[card.free_count++] = buffer;
        else
            give(buffer);
    }
    for (; frames < card.count && virtio_used(&card.receive, &buffer, &size); frames++)
        receive(buffer, size);
    virtio_kick(&card.send);
    virtio_kick(&card.receive);
    return frames;
}

void net_wait(void)
{
    if (card.dev->interrupts)
        virtio_sleep(&card.receive);
}

bool net_sending(void)
{
    return card.send.free_count != card.send.size;
}

void net_print(void)
{
    unsigned at = offsetof(struct virtio_net_config, status);
    bool down = virtio_has(card.dev, VIRTIO_NET_F_STATUS) &&
                !(virtio_config(card.dev, at, 2) & VIRTIO_NET_S_LINK_UP);
    print("link %s, %u buffers, ", down ? "down" : "up", card.count);
    print("%lu notifications, %lu interrupts\n", card.send.notify_count + card.receive.notify_count,
          card.dev->interrupt_count);
}
