/*
 * virtio_console.h: what driver and device of a console agree on (virtio 1.2, section 5.3).  All
 * fields are little-endian.
 */
#ifndef KVMLENS_VIRTIO_CONSOLE_H
#define KVMLENS_VIRTIO_CONSOLE_H

#include <stdint.h>

/* Queues (5.3.2): port 0 has 0 and 1, port N (from 1) has 2 N + 2 and 2 N + 3 */
#define VIRTIO_CONSOLE_CONTROL_RX  2
#define VIRTIO_CONSOLE_CONTROL_TX  3
#define VIRTIO_CONSOLE_PORT_RX(nr) ((nr) ? 2 * (nr) + 2 : 0)
#define VIRTIO_CONSOLE_PORT_TX(nr) (VIRTIO_CONSOLE_PORT_RX(nr) + 1)

/* Features (5.3.3): bit numbers */
#define VIRTIO_CONSOLE_F_SIZE        0 /* the configuration has the window's size */
#define VIRTIO_CONSOLE_F_MULTIPORT   1 /* several ports, and the control queues */
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2 /* a write to emerg_wr is put out before any queue is */

/* Configuration (5.3.4) */
struct virtio_console_config {
    uint16_t cols, rows;   /* with F_SIZE: of port 0's window, in characters */
    uint32_t max_nr_ports; /* with F_MULTIPORT */
    uint32_t emerg_wr;     /* W */
};

/* A message of the control queues (5.3.6.2) */
struct virtio_console_control {
    uint32_t id; /* port */
    uint16_t event;
    uint16_t value;
};

#define VIRTIO_CONSOLE_DEVICE_READY  0 /* driver: it is initialised (value 1), or is not (0) */
#define VIRTIO_CONSOLE_DEVICE_ADD    1 /* device: there is a port */
#define VIRTIO_CONSOLE_DEVICE_REMOVE 2 /* device: it is gone */
#define VIRTIO_CONSOLE_PORT_READY    3 /* driver: it can use the port (value 1), or not (0) */
#define VIRTIO_CONSOLE_CONSOLE_PORT  4 /* device: the port is a console */
#define VIRTIO_CONSOLE_RESIZE        5 /* device: struct virtio_console_resize follows */
#define VIRTIO_CONSOLE_PORT_OPEN     6 /* both: the other end is open (value 1), or closed (0) */
#define VIRTIO_CONSOLE_PORT_NAME     7 /* device: the name follows, without a NUL */

struct virtio_console_resize {
    uint16_t cols, rows;
};

#endif
