/*
 * net.c: the network device (virtio 1.2, section 5.1), with one queue for each direction and no
 * control queue.
 */
#include "net.h"

#include <string.h>

#define ETH_HEADER 14

_Static_assert(sizeof(struct virtio_net_hdr) == VIRTIO_NET_HDR_SIZE, "the header has no padding");

static struct virtio_net *net_of(struct virtio_device *dev)
{
    return (struct virtio_net *)dev; /* its first member */
}

/* --- sending ------------------------------------------------------------------------------------ */

/* What the driver may ask for in HDR, of a frame of LEN bytes (5.1.6.2). */
static bool tx_header_is_good(const struct virtio_device *dev, const struct virtio_net_hdr *hdr,
                              uint32_t len)
{
    if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return false; /* segmentation was not offered */
    if (hdr->flags == 0)
        return true;
    return hdr->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM && virtio_has(dev, VIRTIO_NET_F_CSUM) &&
           (uint32_t)hdr->csum_start + hdr->csum_offset + 2 <= len;
}

/* False: the backend cannot take it now. A frame that makes no sense gets lost. */
static bool send_frame(struct virtio_net *net, const struct virtq_chain *chain,
                       struct virtio_net_hdr *hdr)
{
    struct virtio_device *dev = &net->dev;
    struct iovec iov[1 + VIRTQ_IOV_MAX];
    uint32_t len = chain->readable_bytes;
    unsigned count = 0;

    if (len < ETH_HEADER || len > NET_FRAME_MAX) {
        virtio_remark(dev, "tx: dropped a frame of %llu bytes, expected %llu to %llu", len,
                      ETH_HEADER, NET_FRAME_MAX);
        return true;
    }
    if (!tx_header_is_good(dev, hdr, len)) {
        virtio_remark(dev, "tx: dropped a frame, its header is bad: flags 0x%llx, gso_type %llu",
                      hdr->flags, hdr->gso_type, 0);
        return true;
    }
    if (net->backend.vnet_hdr)
        iov[count++] = (struct iovec){.iov_base = hdr, .iov_len = sizeof *hdr};
    memcpy(&iov[count], chain->iov, chain->readable * sizeof *iov);
    count += chain->readable;
    virtio_remark(dev, "tx %llu bytes", len, 0, 0); /* the answer may come before it returns */
    if (net->backend.send(net->backend.opaque, iov, count))
        return true;
    virtio_remark(dev, "tx: the host cannot send now, the frame waits", 0, 0, 0);
    return false;
}

static bool take_tx(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_net *net = net_of(dev);
    struct virtio_net_hdr hdr;

    if (chain->writable > 0) {
        virtio_broken(dev, "tx: %llu bytes of a buffer are for the device to write",
                      chain->writable_bytes, 0);
        return false;
    }
    if (virtq_read(chain, 0, &hdr, sizeof hdr) < sizeof hdr) {
        virtio_broken(dev, "tx: a buffer has %llu bytes, the header alone %llu",
                      chain->readable_bytes, sizeof hdr);
        return false;
    }

    uint16_t head = chain->head;

    virtq_trim_readable(chain, sizeof hdr);
    if (!send_frame(net, chain, &hdr))
        return false;
    virtio_push(dev, queue, head, 0);
    return true;
}

void virtio_net_send_more(struct virtio_net *net)
{
    virtio_run_queue(&net->dev, VIRTIO_NET_TX, &net->tx, take_tx);
}

/* --- receiving ---------------------------------------------------------------------------------- */

/* The buffers that one frame fills. They are given back together, at its end. */
struct rx_buffers {
    unsigned count;
    struct {
        uint16_t head;
        uint32_t written;
    } buffer[VIRTQ_SIZE_MAX];
};

/* Notifications are wanted only while there is no buffer. */
static bool pop_rx(struct virtio_net *net, struct virtq_chain *chain)
{
    struct virtq *q = &net->dev.queue[VIRTIO_NET_RX];

    if (virtio_pop(&net->dev, VIRTIO_NET_RX, chain))
        return true;
    if (!virtio_live(&net->dev, VIRTIO_NET_RX) || !virtq_set_kicks(q, true))
        return false;
    virtq_set_kicks(q, false);
    return virtio_pop(&net->dev, VIRTIO_NET_RX, chain);
}

/* No buffer is left, or the device is broken. */
static bool end_without_buffer(struct virtio_net *net, unsigned popped)
{
    if (!virtio_live(&net->dev, VIRTIO_NET_RX))
        return true;
    virtq_unpop(&net->dev.queue[VIRTIO_NET_RX], (uint16_t)popped);
    if (!net->rx_waiting)
        virtio_remark(&net->dev, "rx: no buffer, packet waits", 0, 0, 0);
    net->rx_waiting = true;
    return false;
}

/* The frame would not fit, however long it waits. */
static bool drop_too_long(struct virtio_net *net, size_t len, unsigned popped)
{
    virtq_unpop(&net->dev.queue[VIRTIO_NET_RX], (uint16_t)popped);
    virtio_remark(&net->dev, "rx: dropped a frame of %llu bytes, longer than %llu buffers", len,
                  popped, 0);
    return true;
}

static bool rx_buffer_is_good(struct virtio_net *net, const struct virtq_chain *chain,
                              uint32_t header)
{
    if (chain->readable > 0)
        virtio_broken(&net->dev, "rx: %llu bytes of a buffer are for the device to read",
                      chain->readable_bytes, 0);
    else if (chain->writable_bytes < header || chain->writable_bytes == 0)
        virtio_broken(&net->dev, "rx: a buffer has %llu bytes, expected %llu or more",
                      chain->writable_bytes, header ? header : 1);
    return virtio_live(&net->dev, VIRTIO_NET_RX);
}

/* Gives the buffers of a frame to the driver, all at once. */
static void publish(struct virtio_net *net, const struct rx_buffers *used)
{
    struct virtq *q = &net->dev.queue[VIRTIO_NET_RX];
    int r = 0;

    for (unsigned i = 0; r == 0 && i < used->count; i++)
        r = virtq_fill(q, (uint16_t)i, used->buffer[i].head, used->buffer[i].written);
    if (r == 0)
        r = virtq_flush(q, (uint16_t)used->count);
    if (r < 0)
        virtio_broken(&net->dev, q->fault, q->fault_arg[0], q->fault_arg[1]);
    else
        virtio_interrupt(&net->dev, VIRTIO_NET_RX);
}

static bool deliver(struct virtio_net *net, struct virtio_net_hdr *hdr, const uint8_t *frame,
                    uint32_t len)
{
    const struct virtio_device *dev = &net->dev;
    unsigned limit = virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF) ? dev->queue[VIRTIO_NET_RX].size : 1;
    struct rx_buffers used;
    uint32_t done = 0;

    used.count = 0;
    do {
        bool first = used.count == 0;
        struct virtq_chain *chain = first ? &net->rx_first : &net->rx_next;
        uint32_t header = first ? sizeof *hdr : 0;

        if (used.count == limit)
            return drop_too_long(net, len, used.count);
        if (!pop_rx(net, chain))
            return end_without_buffer(net, used.count);
        if (!rx_buffer_is_good(net, chain, header))
            return true;

        uint32_t written = virtq_write(chain, header, frame + done, len - done);

        used.buffer[used.count].head = chain->head;
        used.buffer[used.count++].written = header + written;
        done += written;
    } while (done < len);

    hdr->num_buffers = (uint16_t)used.count;
    virtq_write(&net->rx_first, 0, hdr, sizeof *hdr);
    virtio_remark(dev, "rx %llu bytes in %llu buffers", len, used.count, 0);
    publish(net, &used);
    return true;
}

bool virtio_net_receive(struct virtio_net *net, const void *frame, size_t len)
{
    struct virtio_net_hdr hdr = {0};
    const uint8_t *bytes = frame;

    if (!virtio_live(&net->dev, VIRTIO_NET_RX))
        return true;
    if (net->backend.vnet_hdr) {
        if (len < sizeof hdr)
            return true;
        memcpy(&hdr, bytes, sizeof hdr);
        bytes += sizeof hdr;
        len -= sizeof hdr;
    }
    if (len == 0 || len > NET_FRAME_MAX)
        return true;
    if (!virtio_has(&net->dev, VIRTIO_NET_F_GUEST_CSUM)) {
        /* It may have been queued for another driver, which took such frames. */
        if (hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
            return true;
        hdr.flags = 0;
    }
    if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return true;
    return deliver(net, &hdr, bytes, (uint32_t)len);
}

static void offer_room(struct virtio_net *net)
{
    if (!net->rx_waiting)
        return;
    net->rx_waiting = false;
    net->backend.room(net->backend.opaque);
}

/* --- the device ---------------------------------------------------------------------------------- */

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)&net_of(dev)->config + offset, size);
    return value;
}

static const char *config_name(const struct virtio_device *dev, uint32_t offset)
{
    (void)dev;
    return offset < offsetof(struct virtio_net_config, status) ? "mac" : "status";
}

static void start(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);

    if (net->backend.vnet_hdr)
        net->backend.offload(net->backend.opaque, virtio_has(dev, VIRTIO_NET_F_GUEST_CSUM));
    if (!virtio_live(dev, VIRTIO_NET_RX))
        return;
    virtq_set_kicks(&dev->queue[VIRTIO_NET_RX], false);
    offer_room(net);
}

static void kick(struct virtio_device *dev, unsigned queue)
{
    if (queue == VIRTIO_NET_TX) {
        virtio_net_send_more(net_of(dev));
        return;
    }
    virtq_set_kicks(&dev->queue[VIRTIO_NET_RX], false);
    offer_room(net_of(dev));
}

static void stop_queue(struct virtio_device *dev, unsigned queue)
{
    struct virtio_net *net = net_of(dev);

    if (queue == VIRTIO_NET_TX)
        net->backend.forget(net->backend.opaque);
}

static void reset(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);

    if (net->backend.vnet_hdr)
        net->backend.offload(net->backend.opaque, false);
    offer_room(net); /* what waits gets lost */
}

static const struct virtio_ops net_ops = {
    .id = VIRTIO_ID_NET,
    .config_size = sizeof(struct virtio_net_config),
    .config_read = config_read,
    .config_name = config_name,
    .start = start,
    .kick = kick,
    .stop_queue = stop_queue,
    .reset = reset,
};

void virtio_net_init(struct virtio_net *net, const char *name, const struct mem *mem,
                     struct device_remark remark, const uint8_t mac[6],
                     const struct net_backend *backend)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
                        VIRTIO_BIT(VIRTIO_NET_F_STATUS);

    if (backend->vnet_hdr)
        features |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
    virtio_init(&net->dev, &net_ops, name, mem, remark, features, VIRTIO_NET_QUEUES);
    net->backend = *backend;
    net->config.status = VIRTIO_NET_S_LINK_UP;
    memcpy(net->config.mac, mac, sizeof net->config.mac);
    net->rx_waiting = false;
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    uint16_t status = up ? VIRTIO_NET_S_LINK_UP : 0;

    if (net->config.status == status)
        return;
    net->config.status = status;
    virtio_config_changed(&net->dev);
}
