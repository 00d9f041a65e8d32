/*
 * hostile-rng.c: a guest that attacks its entropy device from inside; hostile.h tells how, and what
 * is right. A second entropy device is the one that has to go on working.
 *
 *     build/kvmlens -kernel build/guest/lessons/hostile-rng.elf -device virtio-rng-device -device virtio-rng-device
 *
 * Specification: virtio 1.2, 2.7 (queues), 4.2 (MMIO), 5.4 (entropy device).
 */
#include "hostile_attacks.h"

void lesson(void); /* called from the assembly of hostile.h */

/* Nothing in them is for the device to write. */
static void attack_readable(unsigned q)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        describe(q, i, data, sizeof(data), i + 1 < ENTRIES ? NEXT : 0, i + 1);
        offer(q, i);
        settle(q);
    }
}

/* The device writes its random bytes over what it reads next. */
static void attack_rings_filled(unsigned q)
{
    const volatile void *const parts[] = {queue[q].desc, &queue[q].avail, &queue[q].used,
                                          &queue[q]};
    const uint64_t sizes[] = {sizeof(queue[q].desc), sizeof(queue[q].avail), sizeof(queue[q].used),
                              sizeof(queue[q])};
    for (unsigned i = 0; i < 4; i++) {
        begin();
        for (unsigned n = 0; n < ENTRIES; n++) {
            describe(q, n, parts[i], sizes[i], WRITE, 0);
            queue[q].avail.ring[n] = (uint16_t)n;
        }
        queue[q].avail.idx = ENTRIES;
        set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
        answers(q, ENTRIES, PATIENCE);
    }
}

/* The same buffer, in all entries: it is with the device sixteen times. */
static void attack_again(unsigned q)
{
    describe(q, 0, data, sizeof(data), WRITE, 0);
    for (unsigned round = 0; round < 4; round++) {
        queue[q].avail.idx = (uint16_t)(queue[q].avail.idx + ENTRIES);
        set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
        answers(q, (round + 1) * ENTRIES, PATIENCE);
    }
}

static void attack_pieces(unsigned q)
{
    for (unsigned i = 0; i < ENTRIES; i++) /* a byte here, a byte there, one of them many times */
        describe(q, i, data + i % 3 * 4095, 1, WRITE | (i + 1 < ENTRIES ? NEXT : 0), i + 1);
    offer(q, 0);
    settle(q);
    describe(q, 0, data, 16, NEXT, 1); /* and behind one that is only to be read */
    offer(q, 0);
}

static void attack_greedy(unsigned q)
{
    for (unsigned round = 0; round < 64; round++) {
        for (unsigned i = 0; i < ENTRIES; i++)
            describe(q, i, data, sizeof(data), WRITE | (i + 1 < ENTRIES ? NEXT : 0), i + 1);
        offer(q, 0); /* a MiB each */
        if (round % 8 == 0)
            begin();
    }
}

void lesson(void)
{
    static const struct attack attacks[] = {
        {"buffers that are only to be read", attack_readable},
        {"random bytes over the rings", attack_rings_filled},
        {"one buffer many times", attack_again},
        {"buffers in pieces of a byte", attack_pieces},
        {"a MiB again and again, and resets", attack_greedy},
    };
    hostile_begin(VIRTIO_ID_ENTROPY, 1u << VIRTIO_F_INDIRECT_DESC,
                  "two virtio-rng-device are needed\r\n");
    attack_all(attacks, sizeof(attacks) / sizeof(attacks[0]), 0);
    attack_all(generic_attacks, GENERIC_ATTACKS, 0);
    begin();
    describe(0, 0, data, 8, WRITE, 0);
    offer(0, 0);
    hostile_end(answers(0, 1, PATIENCE_RNG));
}
