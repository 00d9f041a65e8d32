/*
 * virtio_blk.h: the block device (virtio 1.2, section 5.2): its features, its configuration space,
 * and what a request looks like.  A sector has 512 bytes, whatever the block size is.
 */
#ifndef KVMLENS_VIRTIO_BLK_H
#define KVMLENS_VIRTIO_BLK_H

#include <stdint.h>

#define VIRTIO_BLK_SECTOR   512
#define VIRTIO_BLK_ID_BYTES 20 /* the answer to VIRTIO_BLK_T_GET_ID, padded with NUL */

/* Feature bit numbers (5.2.3) */
#define VIRTIO_BLK_F_SIZE_MAX     1
#define VIRTIO_BLK_F_SEG_MAX      2
#define VIRTIO_BLK_F_RO           5
#define VIRTIO_BLK_F_BLK_SIZE     6
#define VIRTIO_BLK_F_FLUSH        9
#define VIRTIO_BLK_F_TOPOLOGY     10
#define VIRTIO_BLK_F_CONFIG_WCE   11
#define VIRTIO_BLK_F_DISCARD      13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* The configuration space (5.2.4) */
struct virtio_blk_config {
    uint64_t capacity; /* sectors */
    uint32_t size_max; /* bytes of a segment at most */
    uint32_t seg_max;  /* segments of a request at most */
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;            /* bytes: the best unit of access */
    uint8_t physical_block_exp;   /* a physical block has 2^N logical ones */
    uint8_t alignment_offset;     /* the first aligned logical block */
    uint16_t min_io_size;         /* logical blocks */
    uint32_t opt_io_size;         /* logical blocks; 0: not known */
    uint8_t writeback;            /* RW: 0 writethrough, 1 writeback (CONFIG_WCE) */
    uint8_t unused0;              /* 0 */
    uint16_t num_queues;          /* with VIRTIO_BLK_F_MQ */
    uint32_t max_discard_sectors; /* of one segment */
    uint32_t max_discard_seg;     /* segments of one request */
    uint32_t discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3]; /* 0 */
} __attribute__((packed));

/* A request (5.2.6): this header, the data, and one byte of status from the device. */
struct virtio_blk_header {
    uint32_t type; /* VIRTIO_BLK_T_... */
    uint32_t reserved;
    uint64_t sector; /* of IN and OUT */
};

#define VIRTIO_BLK_T_IN           0
#define VIRTIO_BLK_T_OUT          1
#define VIRTIO_BLK_T_FLUSH        4
#define VIRTIO_BLK_T_GET_ID       8
#define VIRTIO_BLK_T_DISCARD      11
#define VIRTIO_BLK_T_WRITE_ZEROES 13

#define VIRTIO_BLK_S_OK     0
#define VIRTIO_BLK_S_IOERR  1
#define VIRTIO_BLK_S_UNSUPP 2

/* The data of DISCARD and WRITE_ZEROES: segments */
struct virtio_blk_range {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
};

#define VIRTIO_BLK_UNMAP 1 /* flags of WRITE_ZEROES: the range may be deallocated */

#endif
