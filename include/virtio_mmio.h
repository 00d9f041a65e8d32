/*
 * virtio_mmio.h: the registers of a virtio-mmio slot, version 2 (virtio 1.2, section 4.2.2), and
 * what all virtio devices share (sections 2.1, 2.2, 5 and 6).
 */
#ifndef KVMLENS_VIRTIO_MMIO_H
#define KVMLENS_VIRTIO_MMIO_H

/* Registers: 32 bits, little-endian; from VIRTIO_MMIO_CONFIG on, accesses of 1 to 8 bytes */
#define VIRTIO_MMIO_MAGIC_VALUE       0x000 /* R: VIRTIO_MMIO_MAGIC */
#define VIRTIO_MMIO_VERSION           0x004 /* R: 2 */
#define VIRTIO_MMIO_DEVICE_ID         0x008 /* R: VIRTIO_ID_...; 0: the slot is empty */
#define VIRTIO_MMIO_VENDOR_ID         0x00c /* R */
#define VIRTIO_MMIO_DEVICE_FEATURES   0x010 /* R: 32 of them */
#define VIRTIO_MMIO_DEVICE_SEL        0x014 /* W: which 32 */
#define VIRTIO_MMIO_DRIVER_FEATURES   0x020 /* W */
#define VIRTIO_MMIO_DRIVER_SEL        0x024 /* W */
#define VIRTIO_MMIO_QUEUE_SEL         0x030 /* W */
#define VIRTIO_MMIO_QUEUE_NUM_MAX     0x034 /* R: entries; 0: no such queue */
#define VIRTIO_MMIO_QUEUE_NUM         0x038 /* W: entries */
#define VIRTIO_MMIO_QUEUE_READY       0x044 /* RW */
#define VIRTIO_MMIO_QUEUE_NOTIFY      0x050 /* W: the queue's number */
#define VIRTIO_MMIO_INTERRUPT_STATUS  0x060 /* R: VIRTIO_MMIO_INT_... */
#define VIRTIO_MMIO_INTERRUPT_ACK     0x064 /* W */
#define VIRTIO_MMIO_STATUS            0x070 /* RW: VIRTIO_STATUS_...; 0 resets */
#define VIRTIO_MMIO_QUEUE_DESC_LOW    0x080 /* W: GPA */
#define VIRTIO_MMIO_QUEUE_DESC_HIGH   0x084
#define VIRTIO_MMIO_QUEUE_DRIVER_LOW  0x090 /* W: GPA of the available ring */
#define VIRTIO_MMIO_QUEUE_DRIVER_HIGH 0x094
#define VIRTIO_MMIO_QUEUE_DEVICE_LOW  0x0a0 /* W: GPA of the used ring */
#define VIRTIO_MMIO_QUEUE_DEVICE_HIGH 0x0a4
#define VIRTIO_MMIO_SHM_SEL           0x0ac /* W */
#define VIRTIO_MMIO_SHM_LEN_LOW       0x0b0 /* R: all ones: no such region */
#define VIRTIO_MMIO_SHM_LEN_HIGH      0x0b4
#define VIRTIO_MMIO_SHM_BASE_LOW      0x0b8
#define VIRTIO_MMIO_SHM_BASE_HIGH     0x0bc
#define VIRTIO_MMIO_QUEUE_RESET       0x0c0 /* RW, with VIRTIO_F_RING_RESET */
#define VIRTIO_MMIO_CONFIG_GENERATION 0x0fc /* R */
#define VIRTIO_MMIO_CONFIG            0x100 /* the device's own */

#define VIRTIO_MMIO_MAGIC         0x74726976 /* "virt" */
#define VIRTIO_MMIO_MODERN        2          /* VIRTIO_MMIO_VERSION */
#define VIRTIO_MMIO_INT_USED_RING 1          /* a used buffer */
#define VIRTIO_MMIO_INT_CONFIG    2          /* the configuration (or the status) has changed */
#define VIRTIO_MMIO_INT_ALL       3          /* bits that the driver may acknowledge */

/* Device status (2.1) */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

/* Features that are not a device's own (6): bit numbers */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32
#define VIRTIO_F_RING_RESET    40

/* Device IDs (5) */
#define VIRTIO_ID_NET     1
#define VIRTIO_ID_BLOCK   2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_ENTROPY 4
#define VIRTIO_ID_BALLOON 5

#endif
