/*
 * netdev.h: the host's half of a network device (-netdev): libslirp or a tap interface, with a
 * queue of frames that the guest has no room for, and dumps of what passes.
 *
 * All calls are made with the loop's lock held, or before it runs.
 */
#ifndef KVMLENS_NETDEV_H
#define KVMLENS_NETDEV_H

#include "../error.h"
#include "../options.h"
#include "loop.h"

#include <stddef.h>
#include <sys/uio.h>

#define NETDEV_FRAME_MAX 65550 /* bytes of a frame, without the header of vnet_hdr */
#define NETDEV_QUEUE_MAX 512   /* frames that wait for the guest; more get lost */

struct netdev;
struct pcap;

/* Who is at the guest's end. */
struct netdev_peer {
    /* A frame for the guest. False: no room; it is offered again after netdev_room(). */
    bool (*receive)(void *opaque, const void *frame, size_t len);
    void (*writable)(void *opaque); /* netdev_send() said no before, and can send now */
    void (*link_down)(void *opaque);
    void *opaque;
};

/* What a kind of network implements. */
struct netdev_ops {
    bool (*send)(struct netdev *dev, const struct iovec *iov, unsigned count);
    void (*receive_more)(struct netdev *dev);               /* the queue is empty again; or NULL */
    void (*offload)(struct netdev *dev, bool partial_csum); /* only with vnet_hdr */
    void (*close)(struct netdev *dev);                      /* frees it */
};

struct netdev_frame;

struct netdev {
    const struct netdev_ops *ops;
    struct loop *loop;
    char name[48]; /* for messages: "-netdev n0", "-nic" */
    bool vnet_hdr; /* each frame begins with a struct virtio_net_hdr (<virtio_net.h>) */
    bool link_up;
    bool refused; /* the last netdev_send() returned false: the frame will come again */
    struct netdev_peer peer;
    struct netdev_frame *first, **last; /* wait for the guest */
    unsigned waiting;
    uint64_t lost; /* frames, because as many waited already */
    struct pcap *dump[DUMPS_MAX];
    unsigned dumps;
};

/* Opens all networks that OPTIONS name into NETDEV, and their dumps. -1 with *err at the first that
 * cannot be opened; netdevs_close() is still to be called. */
int netdevs_open(struct netdev *netdev[NETDEVS_MAX], const struct device_options *options,
                 struct loop *loop, struct error *err);
void netdevs_close(struct netdev *netdev[NETDEVS_MAX]);

/* Connects the guest's end; NULL disconnects, and frames that wait for it get lost. */
void netdev_connect(struct netdev *dev, const struct netdev_peer *peer);

/* Sends the frame that IOV's COUNT parts make. False: not now; peer.writable() is called later. */
bool netdev_send(struct netdev *dev, const struct iovec *iov, unsigned count);

/* What netdev_send() has refused last will not come again: the next frame is another. */
void netdev_forget(struct netdev *dev);

/* The guest has room again. */
void netdev_room(struct netdev *dev);

/* May received frames have checksums that are not complete? Only with vnet_hdr. */
void netdev_offload(struct netdev *dev, bool partial_csum);

/* --- for slirp.c and tap.c ----------------------------------------------------------------------- */

/* Opens a network. -1 with *err. */
int netdev_open_user(struct netdev **out, const struct netdev_option *option, struct loop *loop,
                     struct error *err);
int netdev_open_tap(struct netdev **out, const struct netdev_option *option, struct loop *loop,
                    struct error *err);

/* Fills in what all networks share. */
void netdev_init(struct netdev *dev, const struct netdev_ops *ops,
                 const struct netdev_option *option, struct loop *loop);

/* A frame for the guest, copied if it has to wait. False: frames wait; receive_more() is called
 * when none does. */
bool netdev_deliver(struct netdev *dev, const void *frame, size_t len);

/* The network is gone for good. */
void netdev_link_down(struct netdev *dev);

#endif
