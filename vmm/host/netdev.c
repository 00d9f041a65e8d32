/*
 * netdev.c: what all networks of the host share (see netdev.h).
 */
#include "netdev.h"

#include "../log.h"
#include "pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virtio_net.h>

struct netdev_frame {
    struct netdev_frame *next;
    size_t len;
    uint8_t bytes[];
};

void netdev_init(struct netdev *dev, const struct netdev_ops *ops,
                 const struct netdev_option *option, struct loop *loop)
{
    *dev = (struct netdev){
        .ops = ops,
        .loop = loop,
        .link_up = true,
        .last = &dev->first,
    };
    if (option->id)
        snprintf(dev->name, sizeof dev->name, "-netdev %s", option->id);
    else
        strcpy(dev->name, "-nic");
}

/* --- the frames that wait for the guest ----------------------------------------------------------- */

static void remove_first(struct netdev *dev)
{
    struct netdev_frame *frame = dev->first;

    dev->first = frame->next;
    if (!dev->first)
        dev->last = &dev->first;
    dev->waiting--;
    free(frame);
}

static void enqueue(struct netdev *dev, const void *bytes, size_t len)
{
    struct netdev_frame *frame =
        dev->waiting < NETDEV_QUEUE_MAX ? malloc(sizeof *frame + len) : NULL;

    if (!frame) {
        dev->lost++;
        return;
    }
    frame->next = NULL;
    frame->len = len;
    memcpy(frame->bytes, bytes, len);
    *dev->last = frame;
    dev->last = &frame->next;
    dev->waiting++;
}

static void dump(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < dev->dumps; i++)
        pcap_write(dev->dump[i], iov, count, dev->vnet_hdr ? VIRTIO_NET_HDR_SIZE : 0);
}

bool netdev_deliver(struct netdev *dev, const void *frame, size_t len)
{
    /* pcap_write() only reads it. */
    dump(dev, &(struct iovec){.iov_base = (void *)(uintptr_t)frame, .iov_len = len}, 1);
    if (!dev->peer.receive)
        return true;
    if (dev->first || !dev->peer.receive(dev->peer.opaque, frame, len))
        enqueue(dev, frame, len);
    return dev->first == NULL;
}

void netdev_room(struct netdev *dev)
{
    while (dev->first) {
        if (!dev->peer.receive(dev->peer.opaque, dev->first->bytes, dev->first->len))
            return;
        remove_first(dev);
    }
    if (dev->ops->receive_more)
        dev->ops->receive_more(dev);
}

/* --- the guest's end ------------------------------------------------------------------------------ */

void netdev_connect(struct netdev *dev, const struct netdev_peer *peer)
{
    while (dev->first)
        remove_first(dev);
    dev->refused = false;
    dev->peer = peer ? *peer : (struct netdev_peer){0};
    if (dev->ops->receive_more)
        dev->ops->receive_more(dev);
}

bool netdev_send(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    /* Before it is sent: the answer may come at once. */
    if (!dev->refused)
        dump(dev, iov, count);
    dev->refused = dev->link_up && !dev->ops->send(dev, iov, count);
    return !dev->refused;
}

void netdev_forget(struct netdev *dev)
{
    dev->refused = false;
}

void netdev_offload(struct netdev *dev, bool partial_csum)
{
    dev->ops->offload(dev, partial_csum);
}

void netdev_link_down(struct netdev *dev)
{
    dev->link_up = false;
    if (dev->peer.link_down)
        dev->peer.link_down(dev->peer.opaque);
}

/* --- opening and closing -------------------------------------------------------------------------- */

static void close_one(struct netdev *dev)
{
    if (dev->lost > 0)
        log_say("%s: %llu frames for the guest got lost: it had no buffers for them", dev->name,
                (unsigned long long)dev->lost);
    while (dev->first)
        remove_first(dev);
    for (unsigned i = 0; i < dev->dumps; i++)
        pcap_close(dev->dump[i]);
    dev->ops->close(dev);
}

int netdevs_open(struct netdev *netdev[NETDEVS_MAX], const struct device_options *options,
                 struct loop *loop, struct error *err)
{
    for (unsigned i = 0; i < options->netdev_count; i++) {
        const struct netdev_option *option = &options->netdev[i];
        int r = option->kind == NETDEV_USER ? netdev_open_user(&netdev[i], option, loop, err)
                                            : netdev_open_tap(&netdev[i], option, loop, err);

        if (r < 0)
            return -1;
        if (!option->taken)
            log_say("%s: no device uses it; -device virtio-net-device,netdev=%s would",
                    netdev[i]->name, option->id);
    }
    for (unsigned i = 0; i < options->dump_count; i++) {
        struct netdev *dev = netdev[options->dump[i].netdev];

        if (pcap_open(&dev->dump[dev->dumps], &options->dump[i], err) < 0)
            return -1;
        dev->dumps++;
    }
    return 0;
}

void netdevs_close(struct netdev *netdev[NETDEVS_MAX])
{
    for (unsigned i = 0; i < NETDEVS_MAX; i++) {
        if (netdev[i])
            close_one(netdev[i]);
        netdev[i] = NULL;
    }
}
