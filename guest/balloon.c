/*
 * balloon.c: the driver of the memory balloon (virtio 1.2, 5.5): pages that it inflates belong to
 * the host until they are deflated.  Here they come and go a MiB at a time.
 */
#include "drivers.h"
#include "kernel.h"
#include "virtio.h"

#include <virtio_balloon.h>

#define CHUNK_PAGES 256u /* a MiB */
#define CHUNKS_MAX  1024u

static struct {
    struct virtio *dev;
    struct virtio_queue inflate, deflate, stats, reporting;
    uint8_t *chunk[CHUNKS_MAX]; /* all that this driver has allocated; those in the balloon first */
    unsigned chunks, inflated, reported;
    uint32_t pages[CHUNK_PAGES]; /* the request under way */
    struct virtio_balloon_stat stat[2];
} balloon;

static const struct virtio_buffer stat_buffer = {balloon.stat, sizeof(balloon.stat), false};

static void offer_stats(void)
{
    balloon.stat[0] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMFREE, memory_free()};
    balloon.stat[1] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMTOT, memory_top()};
    virtio_add(&balloon.stats, &stat_buffer, 1, &balloon);
    virtio_kick(&balloon.stats);
}

bool balloon_open(void)
{
    if (balloon.dev)
        return true;
    struct virtio *dev = virtio_find(VIRTIO_ID_BALLOON, 0);
    if (!dev || !virtio_begin(dev, VIRTIO_FEATURE(VIRTIO_BALLOON_F_STATS_VQ) |
                                       VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_REPORTING)))
        return false;
    if (!virtio_queue_init(&balloon.inflate, dev, VIRTIO_BALLOON_INFLATE, 16) ||
        !virtio_queue_init(&balloon.deflate, dev, VIRTIO_BALLOON_DEFLATE, 16))
        return false;
    bool stats = virtio_has(dev, VIRTIO_BALLOON_F_STATS_VQ) &&
                 virtio_queue_init(&balloon.stats, dev, VIRTIO_BALLOON_STATS, 16);
    if (virtio_has(dev, VIRTIO_BALLOON_F_PAGE_REPORTING))
        virtio_queue_init(&balloon.reporting, dev, VIRTIO_BALLOON_REPORTING, 16);
    virtio_ready(dev);
    balloon.dev = dev;
    if (stats)
        offer_stats(); /* the device keeps it until the host asks */
    return true;
}

uint32_t balloon_target(void)
{
    return (uint32_t)virtio_config(balloon.dev, offsetof(struct virtio_balloon_config, num_pages),
                                   4);
}

uint32_t balloon_actual(void)
{
    return balloon.inflated * CHUNK_PAGES;
}

bool balloon_reports(void)
{
    return virtio_has(balloon.dev, VIRTIO_BALLOON_F_PAGE_REPORTING);
}

/* Tells the device of the pages of CHUNK, and then how large the balloon is. */
static bool tell(struct virtio_queue *queue, const uint8_t *chunk, unsigned inflated)
{
    for (unsigned i = 0; i < CHUNK_PAGES; i++)
        balloon.pages[i] = (uint32_t)((uint64_t)chunk >> VIRTIO_BALLOON_PAGE_SHIFT) + i;
    const struct virtio_buffer buffer = {balloon.pages, sizeof(balloon.pages), false};
    if (!virtio_transfer(queue, &buffer, 1, NULL))
        return false;
    balloon.inflated = inflated;
    balloon.reported = 0; /* those that were are used again, or are the host's */
    virtio_config_set(balloon.dev, offsetof(struct virtio_balloon_config, actual),
                      balloon_actual());
    return true;
}

/* Chunk number AT, which may be the first that is not allocated; NULL: memory is short. */
static uint8_t *get_chunk(unsigned at)
{
    if (at == balloon.chunks) {
        if (at == CHUNKS_MAX || memory_free() < 2 * CHUNK_PAGES * PAGE_SIZE)
            return NULL;
        balloon.chunk[balloon.chunks++] = pages_alloc(CHUNK_PAGES);
    }
    return balloon.chunk[at];
}

bool balloon_inflate(void)
{
    const uint8_t *chunk = get_chunk(balloon.inflated);
    return chunk && tell(&balloon.inflate, chunk, balloon.inflated + 1);
}

bool balloon_deflate(void)
{
    if (balloon.inflated == 0 ||
        !tell(&balloon.deflate, balloon.chunk[balloon.inflated - 1], balloon.inflated - 1))
        return false;
    for (unsigned i = 0; i < CHUNK_PAGES; i++) /* they are the guest's again: each one is written */
        *(volatile uint64_t *)(balloon.chunk[balloon.inflated] + i * PAGE_SIZE) = i;
    return true;
}

bool balloon_report(void)
{
    const struct virtio_buffer buffer = {get_chunk(balloon.inflated + balloon.reported),
                                         CHUNK_PAGES * PAGE_SIZE, true};
    if (!buffer.data || !virtio_transfer(&balloon.reporting, &buffer, 1, NULL))
        return false;
    balloon.reported++;
    return true;
}

unsigned balloon_follow(uint64_t ticks)
{
    struct timeout timeout = timeout_start(ticks);
    unsigned asked = 0;
    while (!timeout_passed(&timeout)) {
        if (virtio_used(&balloon.stats, NULL, NULL)) {
            offer_stats();
            asked++;
        }
        uint32_t wanted = balloon_target() / CHUNK_PAGES;
        if (wanted == balloon.inflated ||
            !(wanted > balloon.inflated ? balloon_inflate() : balloon_deflate()))
            virtio_sleep(&balloon.inflate);
    }
    return asked;
}
