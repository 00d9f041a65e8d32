/*
 * virtio_net.h: the network device's features, configuration and frame header (virtio 1.2, section
 * 5.1).  All fields are little-endian.
 */
#ifndef KVMLENS_VIRTIO_NET_H
#define KVMLENS_VIRTIO_NET_H

#include <stdint.h>

/* Queues (5.1.2) */
#define VIRTIO_NET_RX     0
#define VIRTIO_NET_TX     1
#define VIRTIO_NET_QUEUES 2

/* Features (5.1.3): bit numbers */
#define VIRTIO_NET_F_CSUM       0  /* the device completes checksums of frames sent */
#define VIRTIO_NET_F_GUEST_CSUM 1  /* the driver takes frames without complete checksums */
#define VIRTIO_NET_F_MAC        5  /* the configuration has a MAC address */
#define VIRTIO_NET_F_MRG_RXBUF  15 /* a received frame may fill several buffers */
#define VIRTIO_NET_F_STATUS     16 /* the configuration has a status */

/* Configuration (5.1.4) */
struct virtio_net_config {
    uint8_t mac[6];
    uint16_t status; /* VIRTIO_NET_S_... */
};

#define VIRTIO_NET_S_LINK_UP 1

/* Before each frame, in both queues (5.1.6) */
struct virtio_net_hdr {
    uint8_t flags;    /* VIRTIO_NET_HDR_F_... */
    uint8_t gso_type; /* VIRTIO_NET_HDR_GSO_NONE */
    uint16_t hdr_len, gso_size;
    uint16_t csum_start;  /* NEEDS_CSUM: the sum starts at this byte of the frame, */
    uint16_t csum_offset; /* and goes so many bytes behind it */
    uint16_t num_buffers; /* received: how many buffers the frame fills */
};

#define VIRTIO_NET_HDR_SIZE         12
#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1 /* the checksum is yet to be computed */
#define VIRTIO_NET_HDR_F_DATA_VALID 2 /* received: the checksum was found right */
#define VIRTIO_NET_HDR_GSO_NONE     0

#endif
