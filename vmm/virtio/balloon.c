/*
 * balloon.c: the memory balloon (virtio 1.2, section 5.5).
 *
 *   queue 0  inflate    arrays of page numbers that the guest does without from now on
 *         1  deflate    the same, of pages that it uses again
 *         2  stats      one buffer of statistics, which the device gives back to ask for new ones
 *       3, 4 reporting  buffers that are free memory; the specification numbers the queue 4, QEMU and
 *                       Linux 3 where there is no free page hinting, and so it answers at both
 *
 * A page that was given away and is touched again is a fresh one, so deflating needs no work here.
 */
#include "balloon.h"

#include <string.h>

#define PAGE_BYTES (UINT64_C(1) << VIRTIO_BALLOON_PAGE_SHIFT)

enum { FIRST_REPORTING = 3, QUEUES = 5 };

static struct balloon *balloon_of(struct virtio_device *dev)
{
    return (struct balloon *)dev; /* its first member */
}

/* --- pages -------------------------------------------------------------------------------------- */

/* Pages next to each other, collected for one call of the backend. */
struct run {
    uint8_t *host;
    uint64_t bytes;
};

static void flush_run(struct balloon *b, struct run *run)
{
    if (run->bytes > 0)
        b->backend.discard(b->backend.opaque, run->host, run->bytes);
    run->bytes = 0;
}

static void add_to_run(struct balloon *b, struct run *run, uint8_t *host)
{
    if (run->bytes > 0 && host >= run->host && host < run->host + run->bytes)
        return; /* it is there already */
    if (run->bytes > 0 && host == run->host + run->bytes) {
        run->bytes += PAGE_BYTES;
    } else if (run->bytes > 0 && host == run->host - PAGE_BYTES) {
        run->host = host;
        run->bytes += PAGE_BYTES;
    } else {
        flush_run(b, run);
        *run = (struct run){host, PAGE_BYTES};
    }
}

/* A buffer of page numbers; INFLATE: the pages go back to the host. */
static void take_pages(struct balloon *b, const struct virtq_chain *chain, bool inflate)
{
    uint32_t numbers = chain->readable_bytes / (uint32_t)sizeof(uint32_t), bad = 0, page;
    struct run run = {0};

    if (numbers > BALLOON_PAGES_AT_ONCE) {
        virtio_remark(&b->virtio, "a buffer of %llu pages: all but the first %llu are ignored",
                      numbers, BALLOON_PAGES_AT_ONCE, 0);
        numbers = BALLOON_PAGES_AT_ONCE;
    }
    for (uint32_t i = 0; i < numbers; i++) {
        virtq_read(chain, i * (uint32_t)sizeof page, &page, sizeof page);

        uint8_t *host = mem_ptr(b->virtio.queue[0].mem, (uint64_t)page << VIRTIO_BALLOON_PAGE_SHIFT,
                                PAGE_BYTES);

        if (!host)
            bad++;
        else if (inflate)
            add_to_run(b, &run, host);
    }
    flush_run(b, &run);
    virtio_remark(&b->virtio, inflate ? "inflate: %llu pages" : "deflate: %llu pages",
                  numbers - bad, 0, 0);
    if (bad > 0)
        virtio_remark(&b->virtio, "%llu page numbers are not of RAM: ignored", bad, 0, 0);
}

/* A buffer that is free memory: what is in whole pages of it goes back to the host. */
static void take_report(struct balloon *b, const struct virtq_chain *chain)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < chain->writable; i++) {
        const struct iovec *part = &chain->iov[chain->readable + i];
        uint64_t head = -(uintptr_t)part->iov_base % PAGE_BYTES;
        uint64_t bytes =
            part->iov_len > head ? (part->iov_len - head) / PAGE_BYTES * PAGE_BYTES : 0;

        if (bytes > 0)
            b->backend.discard(b->backend.opaque, (uint8_t *)part->iov_base + head, bytes);
        total += bytes;
    }
    virtio_remark(&b->virtio, "free pages reported: %llu bytes", total, 0, 0);
}

/* --- statistics --------------------------------------------------------------------------------- */

static void read_stats(struct balloon *b, const struct virtq_chain *chain)
{
    struct virtio_balloon_stat stat;
    uint32_t count = chain->readable_bytes / (uint32_t)sizeof stat;

    memset(b->stat_known, 0, sizeof b->stat_known);
    for (uint32_t i = 0; i < count && i < 4 * BALLOON_STATS; i++) {
        virtq_read(chain, i * (uint32_t)sizeof stat, &stat, sizeof stat);
        if (stat.tag < BALLOON_STATS) {
            b->stat[stat.tag] = stat.val;
            b->stat_known[stat.tag] = true;
        }
    }
    virtio_remark(&b->virtio, "%llu statistics: %llu bytes of memory, %llu free", count,
                  b->stat[VIRTIO_BALLOON_S_MEMTOT], b->stat[VIRTIO_BALLOON_S_MEMFREE]);
}

static void release_stats_buffer(struct balloon *b)
{
    if (!b->stats_held)
        return;
    b->stats_held = false;
    virtio_push(&b->virtio, VIRTIO_BALLOON_STATS, b->stats_head, 0);
}

static void arm_stats_timer(struct balloon *b)
{
    if (b->interval > 0)
        b->timer.arm(b->timer.opaque, b->clock.now(b->clock.opaque) + b->interval);
}

void balloon_timeout(struct balloon *b)
{
    release_stats_buffer(b); /* the driver answers with the next statistics */
    arm_stats_timer(b);
}

/* --- the device --------------------------------------------------------------------------------- */

/* Without the statistics' queue, Linux numbers the one behind it 2. */
static bool is_reporting(const struct virtio_device *dev, unsigned queue)
{
    return virtio_has(dev, VIRTIO_BALLOON_F_PAGE_REPORTING) &&
           (queue >= FIRST_REPORTING ||
            (queue == VIRTIO_BALLOON_STATS && !virtio_has(dev, VIRTIO_BALLOON_F_STATS_VQ)));
}

static bool take(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct balloon *b = balloon_of(dev);

    if (queue == VIRTIO_BALLOON_INFLATE || queue == VIRTIO_BALLOON_DEFLATE) {
        take_pages(b, chain, queue == VIRTIO_BALLOON_INFLATE);
    } else if (is_reporting(dev, queue)) {
        take_report(b, chain);
    } else if (queue == VIRTIO_BALLOON_STATS) {
        release_stats_buffer(b); /* a driver that offers two wants one back */
        read_stats(b, chain);
        b->stats_held = true;
        b->stats_head = chain->head;
        return true;
    }
    virtio_push(dev, queue, chain->head, 0);
    return true;
}

static void balloon_kick(struct virtio_device *dev, unsigned queue)
{
    virtio_run_queue(dev, queue, &balloon_of(dev)->chain, take);
}

static void balloon_start(struct virtio_device *dev)
{
    for (unsigned queue = 0; queue < dev->queue_count; queue++)
        balloon_kick(dev, queue);
    arm_stats_timer(balloon_of(dev));
}

static void balloon_stop_queue(struct virtio_device *dev, unsigned queue)
{
    if (queue == VIRTIO_BALLOON_STATS)
        balloon_of(dev)->stats_held = false;
}

static void balloon_reset(struct virtio_device *dev)
{
    struct balloon *b = balloon_of(dev);

    b->actual = 0;
    memset(b->stat_known, 0, sizeof b->stat_known);
    b->timer.arm(b->timer.opaque, 0);
}

void balloon_set_target(struct balloon *b, uint64_t bytes)
{
    const struct mem *mem = b->virtio.queue[0].mem;
    uint64_t ram = 0;

    for (unsigned i = 0; i < mem->count; i++)
        ram += mem->region[i].readonly ? 0 : mem->region[i].size;
    b->num_pages = (uint32_t)((bytes < ram ? ram - bytes : 0) >> VIRTIO_BALLOON_PAGE_SHIFT);
    virtio_remark(&b->virtio, "the host wants %llu pages", b->num_pages, 0, 0);
    virtio_config_changed(&b->virtio);
}

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    const struct virtio_balloon_config config = {balloon_of(dev)->num_pages,
                                                 balloon_of(dev)->actual};
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)&config + offset, size);
    return value;
}

/* num_pages is the host's; what is written to it goes nowhere. */
static void config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value)
{
    struct balloon *b = balloon_of(dev);
    struct virtio_balloon_config config = {b->num_pages, b->actual};

    memcpy((uint8_t *)&config + offset, &value, size);
    b->actual = config.actual;
    virtio_remark(dev, "the driver has given %llu pages of %llu", b->actual, b->num_pages, 0);
}

static const char *config_name(const struct virtio_device *dev, uint32_t offset)
{
    (void)dev;
    return offset < 4 ? "num_pages" : offset < 8 ? "actual" : NULL;
}

static const struct virtio_ops balloon_ops = {
    .id = VIRTIO_ID_BALLOON,
    .config_size = sizeof(struct virtio_balloon_config),
    .config_read = config_read,
    .config_write = config_write,
    .config_name = config_name,
    .start = balloon_start,
    .kick = balloon_kick,
    .stop_queue = balloon_stop_queue,
    .reset = balloon_reset,
};

void balloon_init(struct balloon *b, const char *name, const struct mem *mem,
                  struct device_remark remark, struct balloon_backend backend,
                  struct device_clock clock, struct device_timer timer, uint64_t features,
                  uint64_t interval)
{
    *b = (struct balloon){.backend = backend, .clock = clock, .timer = timer, .interval = interval};
    virtio_init(&b->virtio, &balloon_ops, name, mem, remark,
                features | VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ),
                features & VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING) ? QUEUES
                                                                       : VIRTIO_BALLOON_STATS + 1);
    b->virtio.turn = 1; /* a buffer can mean thousands of calls of the host's */
}
