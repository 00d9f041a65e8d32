/*
 * virtio_ring.h: the split virtqueue in guest memory (virtio 1.2, section 2.7).  All fields are
 * little-endian; the driver writes the descriptors and the available ring, the device the used ring.
 *
 *   descriptors   16 bytes each           what a buffer is made of
 *   avail ring    flags idx ring[] used_event      heads that the driver offers
 *   used ring     flags idx ring[] avail_event     heads that the device gives back
 */
#ifndef KVMLENS_VIRTIO_RING_H
#define KVMLENS_VIRTIO_RING_H

#include <stdint.h>

#define VIRTQ_SIZE_LIMIT 32768 /* entries of a split virtqueue at most; a power of two (2.7) */

/* struct virtq_desc.flags (2.7.5) */
#define VIRTQ_DESC_NEXT     1 /* the chain goes on at next */
#define VIRTQ_DESC_WRITE    2 /* for the device to write; else for it to read */
#define VIRTQ_DESC_INDIRECT 4 /* the buffer is a table of descriptors (2.7.5.3) */

/* flags of the rings, where VIRTIO_F_EVENT_IDX is not negotiated */
#define VIRTQ_AVAIL_NO_INTERRUPT 1 /* driver: do not interrupt me (2.7.6) */
#define VIRTQ_USED_NO_NOTIFY     1 /* device: do not notify me (2.7.8) */

struct virtq_desc {
    uint64_t addr; /* GPA */
    uint32_t len;  /* bytes */
    uint16_t flags, next;
};

struct virtq_avail {
    uint16_t flags, idx;
    uint16_t ring[]; /* heads; behind the last one: uint16_t used_event (2.7.7) */
};

struct virtq_used_elem {
    uint32_t id;  /* head of the chain */
    uint32_t len; /* bytes written to it */
};

struct virtq_used {
    uint16_t flags, idx;
    struct virtq_used_elem ring[]; /* behind the last one: uint16_t avail_event (2.7.10) */
};

/* Bytes of the three parts of a queue of SIZE entries (2.7). */
#define VIRTQ_DESC_BYTES(size)  (16u * (size))
#define VIRTQ_AVAIL_BYTES(size) (6u + 2u * (size))
#define VIRTQ_USED_BYTES(size)  (6u + 8u * (size))

/* Is EVENT among the indices that are passed on the way from OLD to NEW (2.7.7.1)? */
static inline int virtq_event_passed(uint16_t event, uint16_t new_idx, uint16_t old_idx)
{
    return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old_idx);
}

#endif
