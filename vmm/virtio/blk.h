/*
 * blk.h: the block device (virtio 1.2, section 5.2), with one queue.
 *
 * Data goes straight between the backend and guest memory; requests are in flight side by side and
 * are completed in the order in which the backend is done with them.
 */
#ifndef KVMLENS_VIRTIO_BLK_DEVICE_H
#define KVMLENS_VIRTIO_BLK_DEVICE_H

#include "../block.h"
#include "virtio.h"

#include <virtio_blk.h>

/* A request that the backend is working on. */
struct blk_request {
    struct block_request block; /* first: the backend hands this back */
    struct blk_request *next_free;
    uint16_t head;
    uint32_t room;       /* writable bytes in front of the status */
    uint32_t data_bytes; /* of them, those that are written if all goes well */
    uint8_t *status;     /* in guest memory */
    struct iovec iov[VIRTQ_IOV_MAX];
};

struct virtio_blk {
    struct virtio_device dev; /* first */
    struct block_backend backend;
    struct block_info info;
    char serial[VIRTIO_BLK_ID_BYTES]; /* padded with NUL, not necessarily ended by one */
    bool writeback;                   /* as the driver has set it */
    bool stopping;                    /* what comes back now is dropped */
    struct blk_request *free;
    struct block_request *list, **list_end; /* parsed, not yet submitted */
    struct virtq_chain chain;               /* the one being parsed */
    struct blk_request request[VIRTQ_SIZE_MAX];
};

/* Makes a block device in its state after reset. SERIAL: at most VIRTIO_BLK_ID_BYTES of it are kept;
 * or NULL. CONFIG_WCE: the driver may switch the cache mode. NAME is borrowed; BLK is large, and all
 * of it is filled in. */
void virtio_blk_init(struct virtio_blk *blk, const char *name, const struct mem *mem,
                     struct device_remark remark, struct block_info info, const char *serial,
                     bool config_wce);

/* Connects the backend, whose client is this. */
void virtio_blk_connect(struct virtio_blk *blk, struct block_backend backend);
struct block_client virtio_blk_client(struct virtio_blk *blk);

#endif
