/*
 * drivers.h: the drivers of the virtio devices, as the shell's commands use them.  Data is static,
 * or of page_alloc(): what the device reads and writes lies at its GPA.
 */
#ifndef GUEST_DRIVERS_H
#define GUEST_DRIVERS_H

#include <stdbool.h>
#include <stdint.h>
#include <virtio_blk.h>

/* blk.c */
#define BLK_DEPTH_MAX 64   /* requests under way */
#define BLK_NO_ANSWER 0xff /* a status that no device gives */

struct blk;
struct blk_request {
    struct virtio_blk_header header;
    uint8_t status; /* VIRTIO_BLK_S_... */
    struct blk_request *next;
};

/* The NTH disk (from 0); NULL: there is none. */
struct blk *blk_open(unsigned nth);
const struct virtio_blk_config *blk_config(const struct blk *blk);
bool blk_has(const struct blk *blk, unsigned feature);
/* Adds a request (VIRTIO_BLK_T_...) to the queue, for blk_kick() to announce. NULL: it is full. */
struct blk_request *blk_submit(struct blk *blk, uint32_t type, uint64_t sector, void *data,
                               uint32_t bytes);
void blk_kick(struct blk *blk);
/* A request that is done, valid until the next blk_submit(). NULL: none is; where it may SLEEP:
 * none was within 30 s. */
struct blk_request *blk_done(struct blk *blk, bool sleep);
/* One request from its beginning to its end: its status, or BLK_NO_ANSWER. */
uint8_t blk_do(struct blk *blk, uint32_t type, uint64_t sector, void *data, uint32_t bytes);
/* So far. */
void blk_costs(const struct blk *blk, uint64_t *notifications, uint64_t *interrupts);

/* rng.c: fills SIZE bytes at most. How many came; 0: none within 30 s; -1: there is no such
 * device. */
int rng_read(void *bytes, uint32_t size);

#endif
