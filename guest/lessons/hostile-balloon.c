/*
 * hostile-balloon.c: a guest that attacks its balloon from inside; hostile.h tells how, and what is
 * right.
 *
 *     build/kvmlens -kernel build/guest/lessons/hostile-balloon.elf \
 *         -device virtio-balloon-device,free-page-reporting=on -device virtio-rng-device
 *
 * Specification: virtio 1.2, 2.7 (queues), 4.2 (MMIO), 5.5 (memory balloon).
 */
#include "hostile_attacks.h"

#include <stddef.h>
#include <virtio_balloon.h>

void lesson(void); /* called from the assembly of hostile.h */

#define PAGE 4096u

static volatile uint32_t numbers[PAGE]; /* of pages */
static volatile struct virtio_balloon_stat stats[64];
/* The attacked queue's rings, on a page of their own. */
static _Alignas(4096) volatile struct queue own_page;

/* The first BYTES of the page numbers. */
static void give(unsigned q, uint64_t bytes)
{
    settle(q);
    unsigned before = queue[q].used.idx;
    describe(q, 0, numbers, bytes, 0, 0);
    offer(q, 0);
    answers(q, before + 1, PATIENCE);
}

static void attack_numbers(unsigned q)
{
    static const uint32_t bad[] = {0xffffffff,
                                   0x80000000,
                                   VIRTIO_MMIO_GPA >> VIRTIO_BALLOON_PAGE_SHIFT,
                                   LAPIC_GPA >> VIRTIO_BALLOON_PAGE_SHIFT,
                                   0xfffff, /* the last one below 4 GiB */
                                   0x100000,
                                   RAM_LOW_TOP >> VIRTIO_BALLOON_PAGE_SHIFT};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        numbers[i] = bad[i];
    give(q, sizeof(bad));
    give(VIRTIO_BALLOON_DEFLATE, sizeof(bad));
}

/* Lists that end within a number, or have none; a list that is longer than the memory has pages. */
static void attack_lists(unsigned q)
{
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        numbers[i] = 0xffffffff - i;
    for (uint64_t bytes = 1; bytes < 8; bytes++)
        give(q, bytes);
    give(q, sizeof(numbers) - 1);
    settle(q);
    for (unsigned i = 0; i < ENTRIES; i++)
        describe(q, i, numbers, sizeof(numbers), i + 1 < ENTRIES ? NEXT : 0, i + 1);
    offer(q, 0);
}

/* The page of the rings is given away, together with the request that does it. */
static void attack_own_rings(unsigned q)
{
    agree(victim, wanted_features);
    place(victim, q, &own_page);
    go(victim);
    numbers[0] = (uint32_t)((uint64_t)&own_page >> VIRTIO_BALLOON_PAGE_SHIFT);
    for (unsigned i = 0; i < ENTRIES; i++) {
        own_page.desc[i] = (struct virtq_desc){(uint64_t)numbers, sizeof(numbers[0]), 0, 0};
        own_page.avail.ring[i] = (uint16_t)i;
    }
    own_page.avail.idx = ENTRIES;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
    for (uint64_t start = cycles(); cycles() - start < PATIENCE && own_page.avail.idx;)
        pause();
    own_page.avail.idx = 1;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* More than one buffer, of numbers that are none, and one that is the device's when it is reset. */
static void attack_statistics(unsigned q)
{
    for (unsigned i = 0; i < sizeof(stats) / sizeof(stats[0]); i++)
        stats[i] = (struct virtio_balloon_stat){(uint16_t)(i * 1111), 0xffffffffffffffff};
    for (unsigned i = 0; i < ENTRIES; i++) {
        describe(q, i, stats, i % 2 ? sizeof(stats) : i, 0, 0);
        if (i)
            offer(q, i);
    }
    settle(q);
    describe(q, 0, stats, sizeof(stats), WRITE, 0); /* not for the device to write */
    offer(q, 0);
    set(victim, VIRTIO_MMIO_QUEUE_READY, 0);
    begin();
    describe(q, 1, stats, sizeof(stats[0]), 0, 0);
    offer(q, 1);
    begin();
}

/* Free memory that is not: parts of pages, what is only to be read, the rings. */
static void attack_reports(unsigned q)
{
    static const struct {
        uint32_t at, bytes;
    } parts[] = {{0, 1}, {1, 4095}, {1, 4096}, {4095, 2}, {0, 4097}, {1, 8191}};
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        settle(q);
        offer_one(q, data + parts[i].at, parts[i].bytes);
    }
    agree(victim, wanted_features);
    place(victim, q, &own_page);
    go(victim);
    own_page.desc[0] = (struct virtq_desc){(uint64_t)&own_page, PAGE, WRITE, 0};
    own_page.avail.idx = 1;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

static void attack_actual(unsigned q)
{
    static const uint32_t bad[] = {0xffffffff, 0x80000000, 1};
    volatile uint8_t *config = victim + VIRTIO_MMIO_CONFIG;
    (void)q;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        *(volatile uint32_t *)(config + offsetof(struct virtio_balloon_config, num_pages)) = bad[i];
        *(volatile uint32_t *)(config + offsetof(struct virtio_balloon_config, actual)) = bad[i];
    }
}

void lesson(void)
{
    static const struct attack inflate[] = {
        {"numbers of pages that are no RAM", attack_numbers},
        {"lists of odd lengths", attack_lists},
        {"the page of its own rings", attack_own_rings},
        {"more pages than the host wants", attack_actual},
    };
    static const struct attack statistics[] = {{"statistics of nothing", attack_statistics}};
    static const struct attack reports[] = {{"free memory that is none", attack_reports}};
    hostile_begin(VIRTIO_ID_BALLOON,
                  1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_BALLOON_F_STATS_VQ |
                      1u << VIRTIO_BALLOON_F_PAGE_REPORTING,
                  "a balloon and virtio-rng-device are needed\r\n");
    attack_all(inflate, sizeof(inflate) / sizeof(inflate[0]), VIRTIO_BALLOON_INFLATE);
    attack_all(statistics, 1, VIRTIO_BALLOON_STATS);
    attack_all(reports, 1, VIRTIO_BALLOON_REPORTING);
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_BALLOON_DEFLATE);
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_BALLOON_STATS);
    wanted_features = 0;
    begin();
    numbers[0] = (uint32_t)((uint64_t)&own_page >> VIRTIO_BALLOON_PAGE_SHIFT);
    own_page.avail.idx = 1;
    describe(VIRTIO_BALLOON_INFLATE, 0, numbers, sizeof(numbers[0]), 0, 0);
    offer(VIRTIO_BALLOON_INFLATE, 0);
    hostile_end(answers(VIRTIO_BALLOON_INFLATE, 1, PATIENCE_RNG));
}
