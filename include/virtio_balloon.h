/*
 * virtio_balloon.h: what driver and device of a memory balloon agree on (virtio 1.2, section 5.5).
 * All fields are little-endian; a page has 4 KiB, and its number is 32 bits.
 */
#ifndef KVMLENS_VIRTIO_BALLOON_H
#define KVMLENS_VIRTIO_BALLOON_H

#include <stdint.h>

#define VIRTIO_BALLOON_PAGE_SHIFT 12 /* GPA = page number << 12 */

/* Queues (5.5.2). Queues are counted as the features bring them, so the last one is 4 where there
 * is F_FREE_PAGE_HINT, whose queue comes before it. */
#define VIRTIO_BALLOON_INFLATE   0
#define VIRTIO_BALLOON_DEFLATE   1
#define VIRTIO_BALLOON_STATS     2 /* with F_STATS_VQ */
#define VIRTIO_BALLOON_REPORTING 3 /* with F_PAGE_REPORTING */

/* Features (5.5.3): bit numbers */
#define VIRTIO_BALLOON_F_MUST_TELL_HOST 0 /* deflated pages are used only when the host knows */
#define VIRTIO_BALLOON_F_STATS_VQ       1 /* the driver answers with struct virtio_balloon_stat */
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM 2 /* the driver may take pages back unasked */
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT 3
#define VIRTIO_BALLOON_F_PAGE_POISON    4
#define VIRTIO_BALLOON_F_PAGE_REPORTING 5 /* the driver reports free pages as writable buffers */

/* Configuration (5.5.4) */
struct virtio_balloon_config {
    uint32_t num_pages; /* R: how many pages the host wants */
    uint32_t actual;    /* RW: how many the driver has given */
};

/* One statistic; a buffer holds any number of them (5.5.6.3) */
struct virtio_balloon_stat {
    uint16_t tag; /* VIRTIO_BALLOON_S_... */
    uint64_t val;
} __attribute__((packed));

#define VIRTIO_BALLOON_S_SWAP_IN  0 /* bytes swapped in */
#define VIRTIO_BALLOON_S_SWAP_OUT 1 /* bytes swapped out */
#define VIRTIO_BALLOON_S_MAJFLT   2 /* major page faults */
#define VIRTIO_BALLOON_S_MINFLT   3 /* minor page faults */
#define VIRTIO_BALLOON_S_MEMFREE  4 /* bytes that nobody uses */
#define VIRTIO_BALLOON_S_MEMTOT   5 /* bytes that there are */
#define VIRTIO_BALLOON_S_AVAIL    6 /* bytes available without swapping */
#define VIRTIO_BALLOON_S_CACHES   7 /* bytes of caches */

#endif
