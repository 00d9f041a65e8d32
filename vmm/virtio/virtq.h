/*
 * virtq.h: the device's side of a split virtqueue (virtio 1.2, section 2.7).
 *
 * It holds guest addresses, never host pointers; whatever the driver wrote is read once, checked,
 * and then used. What the driver gets wrong is an -errno and a text that names it; the device then
 * needs a reset (virtio_broken() in virtio.h).
 */
#ifndef KVMLENS_VIRTQ_H
#define KVMLENS_VIRTQ_H

#include "../mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <virtio_ring.h>

#define VIRTQ_SIZE_MAX 256                                /* entries that kvmlens offers */
#define VIRTQ_IOV_MAX  (VIRTQ_SIZE_MAX + MEM_REGIONS_MAX) /* a buffer may span regions */

struct virtq {
    const struct mem *mem;
    uint16_t size_max;          /* entries at most; a power of two, up to VIRTQ_SIZE_MAX */
    uint16_t size;              /* entries that the driver chose; valid while ready */
    bool ready;                 /* the driver has set it up, and virtq_start() found it sound */
    bool event_idx, indirect;   /* negotiated features */
    uint64_t desc, avail, used; /* GPA of the three parts */

    uint16_t next_avail; /* free-running: the next available entry to take */
    uint16_t next_used;  /* free-running: the next used entry to write */
    uint16_t signalled;  /* next_used when an interrupt was last considered */
    uint16_t in_flight;  /* popped and not yet pushed */
    bool kicks;          /* the driver is asked to notify */

    const char *fault;     /* static: why a call returned -errno; a printf format for fault_arg */
    uint64_t fault_arg[2]; /* as unsigned long long */
};

/* A buffer: the device-readable part, then the device-writable part (2.7.4.2). The pointers lead
 * into guest memory and stay valid as long as the VM. */
struct virtq_chain {
    uint16_t head;
    uint16_t readable, writable; /* entries of iov: readable ones first */
    uint32_t readable_bytes, writable_bytes;
    struct iovec iov[VIRTQ_IOV_MAX];
};

/* A queue that is not ready. */
void virtq_init(struct virtq *q, const struct mem *mem, uint16_t size_max);

/* Back to virtq_init()'s state. */
void virtq_reset(struct virtq *q);

/* The driver says that the queue is ready: size, desc, avail and used are checked (alignment,
 * power of two, all of it in RAM). -EINVAL with q->fault. */
int virtq_start(struct virtq *q);

/* Takes the next buffer. 1: *CHAIN is filled in; 0: there is none; -EINVAL or -EFAULT with
 * q->fault: the ring is bad. */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/* Puts back the last COUNT buffers that were popped, and not yet filled. */
void virtq_unpop(struct virtq *q, uint16_t count);

/* Gives a buffer back with WRITTEN bytes in it: virtq_fill() as number NTH (from 0) of those that
 * virtq_flush() publishes at once; virtq_push() is both for one. -EFAULT with q->fault. */
int virtq_fill(struct virtq *q, uint16_t nth, uint16_t head, uint32_t written);
int virtq_flush(struct virtq *q, uint16_t count);
int virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* True if the driver wants an interrupt for what was pushed since the last one (2.7.7). */
bool virtq_wants_interrupt(struct virtq *q);

/* Asks the driver to notify, or not to (2.7.10). True after switching on: buffers arrived in the
 * meantime, and no notification will come for them. Off is a hint: kicks may still come. */
bool virtq_set_kicks(struct virtq *q, bool on);

/* Copies from the readable, or to the writable part of CHAIN, from its byte OFFSET on. Returns the
 * bytes copied: fewer than LEN at the end. */
uint32_t virtq_read(const struct virtq_chain *chain, uint32_t offset, void *to, uint32_t len);
uint32_t virtq_write(const struct virtq_chain *chain, uint32_t offset, const void *from,
                     uint32_t len);

/* Cuts LEN bytes off the front of the readable or writable part (the request's header), or off
 * the end of the writable part (its status byte). False: there are not that many. */
bool virtq_trim_readable(struct virtq_chain *chain, uint32_t len);
bool virtq_trim_writable(struct virtq_chain *chain, uint32_t len);
bool virtq_trim_writable_end(struct virtq_chain *chain, uint32_t len);

#endif
