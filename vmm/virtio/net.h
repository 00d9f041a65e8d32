/*
 * net.h: the network device (virtio 1.2, section 5.1): frames between the guest's buffers and a
 * backend that sends and receives them.
 */
#ifndef KVMLENS_VIRTIO_NET_DEVICE_H
#define KVMLENS_VIRTIO_NET_DEVICE_H

#include "virtio.h"

#include <stddef.h>
#include <virtio_net.h>

#define NET_FRAME_MAX 65550 /* bytes of an Ethernet frame, without struct virtio_net_hdr */

/* What carries the frames. With VNET_HDR each frame, sent or received, begins with a struct
 * virtio_net_hdr, and the backend completes checksums. All calls are made with the device lock
 * held. */
struct net_backend {
    /* Sends the frame that IOV's COUNT parts make; guest memory is among them, so what is checked
     * must be copied first. False: not now; virtio_net_send_more() is called once it can. */
    bool (*send)(void *opaque, const struct iovec *iov, unsigned count);
    /* The frame that send() has last said no to will not come again. */
    void (*forget)(void *opaque);
    /* virtio_net_receive() said no before, and the guest has buffers again (or is being reset). */
    void (*room)(void *opaque);
    /* Frames received may come with incomplete checksums, or not. Only with VNET_HDR. */
    void (*offload)(void *opaque, bool guest_csum);
    bool vnet_hdr;
    void *opaque;
};

struct virtio_net {
    struct virtio_device dev;
    struct net_backend backend;
    struct virtio_net_config config;
    bool rx_waiting; /* the backend holds a frame until the guest has buffers */
    struct virtq_chain tx, rx_first, rx_next;
};

/* A device in its state after reset, its link up. NAME, MEM, MAC as in virtio_init(); the first bit
 * of MAC is 0 (it is no multicast address). */
void virtio_net_init(struct virtio_net *net, const char *name, const struct mem *mem,
                     struct device_remark remark, const uint8_t mac[6],
                     const struct net_backend *backend);

/* A frame has come: LEN bytes, with VNET_HDR the header among them. False: the guest has no buffer
 * for it; room() is called once it has. While the driver does not run, frames get lost. */
bool virtio_net_receive(struct virtio_net *net, const void *frame, size_t len);

/* The backend can send again. */
void virtio_net_send_more(struct virtio_net *net);

/* The cable is plugged in, or pulled. */
void virtio_net_set_link(struct virtio_net *net, bool up);

#endif
