/*
 * plug_net.c: a network device connected to its network of the host.
 */
#include "plug.h"

#include "host/netdev.h"
#include "virtio/net.h"

#include <stdlib.h>

_Static_assert(NET_FRAME_MAX == NETDEV_FRAME_MAX, "what one takes the other takes");

struct net_plug {
    struct virtio_net net;
    struct netdev *netdev;
};

/* --- from the device to the network -------------------------------------------------------------- */

static bool send_frame(void *opaque, const struct iovec *iov, unsigned count)
{
    return netdev_send(((struct net_plug *)opaque)->netdev, iov, count);
}

static void forget(void *opaque)
{
    netdev_forget(((struct net_plug *)opaque)->netdev);
}

static void offer_room(void *opaque)
{
    netdev_room(((struct net_plug *)opaque)->netdev);
}

static void set_offload(void *opaque, bool guest_csum)
{
    netdev_offload(((struct net_plug *)opaque)->netdev, guest_csum);
}

/* --- and back ------------------------------------------------------------------------------------- */

static bool receive_frame(void *opaque, const void *frame, size_t len)
{
    return virtio_net_receive(&((struct net_plug *)opaque)->net, frame, len);
}

static void send_more(void *opaque)
{
    virtio_net_send_more(&((struct net_plug *)opaque)->net);
}

static void pull_cable(void *opaque)
{
    virtio_net_set_link(&((struct net_plug *)opaque)->net, false);
}

static void unplug(struct plugged *plugged)
{
    struct net_plug *plug = plugged->opaque;

    netdev_connect(plug->netdev, NULL);
    free(plug);
}

int plug_net(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err)
{
    struct net_plug *plug = calloc(1, sizeof *plug);

    if (!plug)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    plug->netdev = site->backends->netdev[option->net.netdev];

    const struct net_backend backend = {
        .send = send_frame,
        .forget = forget,
        .room = offer_room,
        .offload = set_offload,
        .vnet_hdr = plug->netdev->vnet_hdr,
        .opaque = plug,
    };

    virtio_net_init(&plug->net, option->name, site->mem, site->remark, option->net.mac, &backend);
    if (!plug->netdev->link_up)
        pull_cable(plug);
    netdev_connect(plug->netdev, &(struct netdev_peer){
                                     .receive = receive_frame,
                                     .writable = send_more,
                                     .link_down = pull_cable,
                                     .opaque = plug,
                                 });
    *out = (struct plugged){.dev = &plug->net.dev, .unplug = unplug, .opaque = plug};
    return 0;
}
