/*
 * tap.c: a tap interface as a guest's network (Linux Documentation/networking/tuntap.rst). Frames
 * carry a struct virtio_net_hdr both ways, so checksums may be left to whoever needs them.
 */
#include "netdev.h"

#include "../log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <virtio_net.h>

#define TUN_DEVICE     "/dev/net/tun"
#define FRAMES_AT_ONCE 64 /* then others have a turn */

struct tap {
    struct netdev dev; /* first member */
    struct loop_fd fd;
    const char *ifname;
    bool send_waits;
    uint8_t frame[VIRTIO_NET_HDR_SIZE + NETDEV_FRAME_MAX];
};

static struct tap *tap_of(struct netdev *dev)
{
    return (struct tap *)dev;
}

static void vanish(struct tap *tap, int error)
{
    if (!tap->dev.link_up)
        return;
    loop_want(tap->dev.loop, &tap->fd, 0);
    log_say("%s: the interface %s is gone (%s); the guest's link is down", tap->dev.name,
            tap->ifname, strerror(error));
    netdev_link_down(&tap->dev);
}

static void receive_frames(struct tap *tap)
{
    for (unsigned i = 0; i < FRAMES_AT_ONCE; i++) {
        ssize_t n = read(tap->fd.fd, tap->frame, sizeof tap->frame);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            vanish(tap, n < 0 ? errno : ENODEV);
            return;
        }
        if (!netdev_deliver(&tap->dev, tap->frame, (size_t)n)) {
            loop_want(tap->dev.loop, &tap->fd, tap->fd.events & ~POLLIN);
            return;
        }
    }
}

static void tap_ready(void *opaque, short revents)
{
    struct tap *tap = opaque;

    if ((revents & POLLOUT) && tap->send_waits) {
        tap->send_waits = false;
        loop_want(tap->dev.loop, &tap->fd, tap->fd.events & ~POLLOUT);
        if (tap->dev.peer.writable)
            tap->dev.peer.writable(tap->dev.peer.opaque);
    }
    if (revents & (POLLIN | POLLERR | POLLHUP))
        receive_frames(tap);
}

static bool tap_send(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    struct tap *tap = tap_of(dev);
    ssize_t n;

    do
        n = writev(tap->fd.fd, iov, (int)count);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        tap->send_waits = true;
        loop_want(dev->loop, &tap->fd, (short)(tap->fd.events | POLLOUT));
        return false;
    }
    /* Others lose this frame alone: the interface is down (EIO), the host has no memory, the
     * kernel does not like it. */
    if (n < 0 && (errno == EBADFD || errno == ENODEV))
        vanish(tap, errno);
    return true;
}

static void tap_receive_more(struct netdev *dev)
{
    struct tap *tap = tap_of(dev);

    if (dev->link_up)
        loop_want(dev->loop, &tap->fd, (short)(tap->fd.events | POLLIN));
}

static void tap_offload(struct netdev *dev, bool partial_csum)
{
    /* Refused only once the interface is gone. */
    ioctl(tap_of(dev)->fd.fd, TUNSETOFFLOAD, partial_csum ? TUN_F_CSUM : 0);
}

static void tap_close(struct netdev *dev)
{
    struct tap *tap = tap_of(dev);

    loop_remove_fd(dev->loop, &tap->fd);
    if (tap->fd.fd >= 0)
        close(tap->fd.fd);
    free(tap);
}

static const struct netdev_ops tap_ops = {
    .send = tap_send,
    .receive_more = tap_receive_more,
    .offload = tap_offload,
    .close = tap_close,
};

static int attach_error(const struct tap *tap, int error, struct error *err)
{
    const char *name = tap->ifname;

    switch (error) {
    case EPERM:
        return error_set(err, STATUS_USAGE,
                         "%s: %s: not permitted; make the interface first, as root: ip "
                         "tuntap add dev %s mode tap user USER",
                         tap->dev.name, name, name);
    case EBUSY:
        return error_set(err, STATUS_USAGE, "%s: the interface %s is in use by another program",
                         tap->dev.name, name);
    case EINVAL:
        return error_set(err, STATUS_USAGE,
                         "%s: %s is no tap interface with one queue, or no name for one",
                         tap->dev.name, name);
    default:
        return error_set(err, STATUS_USAGE, "%s: %s: %s", tap->dev.name, name, strerror(error));
    }
}

/* The interface is made if there is none, as in QEMU; then it goes when kvmlens ends. */
static int attach(struct tap *tap, struct error *err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = VIRTIO_NET_HDR_SIZE;

    tap->fd.fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap->fd.fd < 0)
        return error_set(err, STATUS_USAGE, "%s: %s: %s", tap->dev.name, TUN_DEVICE,
                         strerror(errno));
    memcpy(request.ifr_name, tap->ifname, strlen(tap->ifname)); /* options_net.c: it fits */
    if (ioctl(tap->fd.fd, TUNSETIFF, &request) < 0)
        return attach_error(tap, errno, err);
    if (ioctl(tap->fd.fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(tap->fd.fd, TUNSETOFFLOAD, 0) < 0)
        return error_set(err, STATUS_INTERNAL, "%s: %s: no virtio headers: %s", tap->dev.name,
                         tap->ifname, strerror(errno));
    return 0;
}

int netdev_open_tap(struct netdev **out, const struct netdev_option *option, struct loop *loop,
                    struct error *err)
{
    struct tap *tap = calloc(1, sizeof *tap);

    if (!tap)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    netdev_init(&tap->dev, &tap_ops, option, loop);
    tap->dev.vnet_hdr = true;
    tap->ifname = option->ifname;
    tap->fd = (struct loop_fd){.fd = -1, .events = POLLIN, .ready = tap_ready, .opaque = tap};
    if (attach(tap, err) < 0) {
        tap_close(&tap->dev);
        return -1;
    }
    if (loop_add_fd(loop, &tap->fd) < 0) {
        tap_close(&tap->dev);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    *out = &tap->dev;
    return 0;
}
