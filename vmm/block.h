/*
 * block.h: a disk as the device sees it: requests that are handed to a backend, and come back when
 * they are done.  Neither side knows the other: virtio/blk.c asks, host/disk.c does.
 */
#ifndef KVMLENS_BLOCK_H
#define KVMLENS_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,        /* what was done before this was submitted is durable when this is done */
    BLOCK_DISCARD,      /* a hint: the contents are of no use any more */
    BLOCK_WRITE_ZEROES, /* without data */
};

struct block_request {
    enum block_op op;
    bool unmap;              /* BLOCK_WRITE_ZEROES: the range may be deallocated */
    bool stable;             /* durable when done (write-through); else at the next flush */
    int error;               /* filled in by the backend: 0 or a positive errno */
    uint64_t offset, bytes;  /* the range lies within the disk */
    const struct iovec *iov; /* BLOCK_READ, BLOCK_WRITE: of BYTES bytes; stays until it is done */
    unsigned iov_count;
    struct block_request *next; /* in a list; the backend's while in flight */
};

/* What a disk is like. */
struct block_info {
    uint64_t bytes;          /* a multiple of 512 */
    uint32_t physical_block; /* bytes, a power of two, 512 at least */
    bool readonly;
    bool writeback; /* writes need not be durable before a flush, unless the driver chooses so */
};

/* Requests come back in lists, in any order, with the device lock held; also from within
 * submit(). */
struct block_client {
    void (*done)(void *opaque, struct block_request *list);
    void *opaque;
};

/* All calls are made with the device lock held. */
struct block_backend {
    void (*submit)(void *opaque, struct block_request *list); /* borrowed until done */
    /* Comes back when nothing is in flight: what had not been started is done with ECANCELED. All
     * of it has gone through the client's done() by then. */
    void (*drain)(void *opaque);
    void *opaque;
};

#endif
