/*
 * balloon.h: the memory balloon (virtio 1.2, section 5.5): pages that the guest gives away go back to
 * the host, until it wants them again.
 */
#ifndef KVMLENS_BALLOON_H
#define KVMLENS_BALLOON_H

#include "virtio.h"

#include <virtio_balloon.h>

#define BALLOON_STATS         10   /* tags of statistics that are known */
#define BALLOON_PAGES_AT_ONCE 4096 /* of one buffer at most: the device lock is held meanwhile */

struct balloon_backend {
    /* Gives guest memory back to the host: whole pages, which read as zeroes afterwards. */
    void (*discard)(void *opaque, void *host, uint64_t bytes);
    void *opaque;
};

struct balloon {
    struct virtio_device virtio; /* first */
    struct balloon_backend backend;
    struct device_clock clock;
    struct device_timer timer;      /* calls balloon_timeout() */
    uint64_t interval;              /* ns between requests for statistics; 0: never */
    uint32_t num_pages;             /* that the host wants */
    uint32_t actual;                /* that the driver says it has given */
    uint64_t stat[BALLOON_STATS];   /* the last statistics, by tag */
    bool stat_known[BALLOON_STATS]; /* the driver has sent it */
    bool stats_held;                /* the driver's buffer for statistics is with the device */
    uint16_t stats_head;
    struct virtq_chain chain;
};

/* Makes a device. FEATURES: of VIRTIO_BALLOON_F_DEFLATE_ON_OOM and _PAGE_REPORTING, as bits.
 * INTERVAL: ns between requests for statistics; 0: never. */
void balloon_init(struct balloon *balloon, const char *name, const struct mem *mem,
                  struct device_remark remark, struct balloon_backend backend,
                  struct device_clock clock, struct device_timer timer, uint64_t features,
                  uint64_t interval);

/* Asks the guest to make do with BYTES of its RAM and to give the rest away. */
void balloon_set_target(struct balloon *balloon, uint64_t bytes);

/* The timer that balloon_init() was given has come due. */
void balloon_timeout(struct balloon *balloon);

#endif
