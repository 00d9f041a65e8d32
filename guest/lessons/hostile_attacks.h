/*
 * hostile_attacks.h: the attacks that any device must stand, on its queues (virtio 1.2, 2.7) and on
 * its registers (4.2.2).
 */
#ifndef LESSON_HOSTILE_ATTACKS_H
#define LESSON_HOSTILE_ATTACKS_H

#include "hostile.h"

#define INDIRECT VIRTQ_DESC_INDIRECT

/* Attacks on the chain. */

static inline void attack_loop(unsigned q)
{
    describe(q, 0, data, 16, NEXT, 1);
    describe(q, 1, data, 16, NEXT, 0);
    offer(q, 0);
}

static inline void attack_self(unsigned q)
{
    describe(q, 0, data, 16, NEXT | WRITE, 0);
    offer(q, 0);
}

static inline void attack_next(unsigned q)
{
    describe(q, 0, data, 16, NEXT, 0xffff);
    offer(q, 0);
}

static inline void attack_head(unsigned q)
{
    offer(q, 0x8000);
}

static inline void attack_idx(unsigned q)
{
    queue[q].avail.idx = 0x8000;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

static inline void attack_idx_back(unsigned q)
{
    offer_one(q, data, 64);
    queue[q].avail.idx = 0xfff0;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

static inline void attack_order(unsigned q)
{
    describe(q, 0, data, 16, WRITE | NEXT, 1);
    describe(q, 1, data, 16, NEXT, 2);
    describe(q, 2, data, 1, WRITE, 0);
    offer(q, 0);
}

static inline void try_one(unsigned q, const volatile void *addr, uint64_t len)
{
    settle(q);
    offer_one(q, addr, len);
}

static inline void attack_address(unsigned q)
{
    try_one(q, gpa(0xfffffffffffff000), 4096); /* its end is 2^64 */
    try_one(q, gpa(0xffffffffffffffff), 4096);
    try_one(q, gpa(0x8000000000000000), 512);
    try_one(q, gpa(VIRTIO_MMIO_GPA), 512);
    try_one(q, gpa(LAPIC_GPA), 4096);
    try_one(q, gpa(RAM_LOW_TOP - 1), 2);
}

static inline void attack_length(unsigned q)
{
    try_one(q, data, 0);
    try_one(q, data, 0xffffffff);
    try_one(q, gpa(0), 0xffffffff);
    try_one(q, gpa(0xffffffff00000001), 0xffffffff);
}

static inline void attack_long_chain(unsigned q)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        describe(q, i, data, 0xffffffff, i + 1 < ENTRIES ? NEXT : 0, i + 1);
    offer(q, 0);
}

/* Descriptor 0 is said to be a table of descriptors. */
static inline void try_table(unsigned q, const volatile void *table, uint64_t bytes, unsigned flags)
{
    settle(q);
    describe(q, 0, table, bytes, INDIRECT | flags, 0);
    describe(q, 1, data, 64, 0, 0);
    offer(q, 0);
}

static inline void attack_indirect(unsigned q)
{
    volatile struct virtq_desc *table = (volatile struct virtq_desc *)data;
    try_table(q, queue[q].desc, sizeof(queue[q].desc), 0); /* it holds itself */
    try_table(q, data, 0, 0);
    try_table(q, data, 7, 0);
    try_table(q, data, 0xfffffff0, 0);
    try_table(q, gpa(0xfffffffffffffff0), 16, 0);
    try_table(q, data, 16, NEXT);
    table[0] = (struct virtq_desc){(uint64_t)data, 16, NEXT, 1};
    table[1] = (struct virtq_desc){(uint64_t)data, 16, NEXT, 0};
    try_table(q, table, 32, 0); /* a loop in it */
    table[1].next = 2;
    try_table(q, table, 32, 0); /* and past it */
}

/* Attacks on the registers. */

static inline void attack_rings(unsigned q)
{
    static const uint64_t bad[] = {0xfffffffffffffff0, 0x8000000000000000, VIRTIO_MMIO_GPA, 1,
                                   RAM_LOW_TOP - 2};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned part = 0; part < 3; part++) {
            agree(victim, wanted_features);
            place_at(victim, q, part == 0 ? bad[i] : (uint64_t)queue[q].desc,
                     part == 1 ? bad[i] : (uint64_t)&queue[q].avail,
                     part == 2 ? bad[i] : (uint64_t)&queue[q].used);
            go(victim);
            queue[q].avail.idx = 0;
            offer_one(q, data, 16);
        }
    }
}

static inline void attack_one_page(unsigned q)
{
    agree(victim, wanted_features);
    place_at(victim, q, (uint64_t)queue[q].desc, (uint64_t)queue[q].desc, (uint64_t)queue[q].desc);
    go(victim);
    for (unsigned i = 0; i < ENTRIES; i++)
        offer_one(q, queue[q].desc, sizeof(queue[q]));
}

static inline void attack_size(unsigned q)
{
    static const uint32_t bad[] = {0, 3, 0x8000, 0x10000, 0xffffffff};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        agree(victim, wanted_features);
        place(victim, q, &queue[q]);
        set(victim, VIRTIO_MMIO_QUEUE_READY, 0);
        set(victim, VIRTIO_MMIO_QUEUE_NUM, bad[i]);
        set(victim, VIRTIO_MMIO_QUEUE_READY, 1);
        go(victim);
        set(victim, VIRTIO_MMIO_QUEUE_NUM, bad[i]); /* and while it is ready */
        offer_one(q, data, 16);
    }
}

static inline void attack_queue_number(unsigned q)
{
    static const uint32_t bad[] = {QUEUES + 1, 63, 64, 1023, 1024, 0x10000, 0x80000000, 0xffffffff};
    (void)q;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
        place_at(victim, bad[i], (uint64_t)queue, (uint64_t)queue, (uint64_t)queue);
        set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
        set(victim, VIRTIO_MMIO_QUEUE_RESET, 1);
        get(victim, VIRTIO_MMIO_QUEUE_NUM_MAX);
        get(victim, VIRTIO_MMIO_QUEUE_READY);
    }
}

static inline void attack_registers(unsigned q)
{
    (void)q;
    for (unsigned reg = 0; reg < VIRTIO_MMIO_CONFIG; reg++) {
        if ((reg & ~7u) == VIRTIO_MMIO_STATUS)
            continue; /* has its own attack */
        *(victim + reg) = 0xff;
        *(volatile uint32_t *)(victim + reg) = 0xffffffff; /* most of them are not aligned */
        (void)*(victim + reg);
        (void)*(volatile uint64_t *)(victim + reg);
    }
}

static inline void attack_config(unsigned q)
{
    (void)q;
    for (unsigned at = VIRTIO_MMIO_CONFIG; at < VIRTIO_MMIO_STRIDE; at++) {
        unsigned left = VIRTIO_MMIO_STRIDE - at;
        (void)*(victim + at);
        *(victim + at) = 0xff;
        if (left >= 4) {
            (void)*(volatile uint32_t *)(victim + at);
            *(volatile uint32_t *)(victim + at) = 0xffffffff;
        }
        if (left >= 8) {
            (void)*(volatile uint64_t *)(victim + at);
            *(volatile uint64_t *)(victim + at) = 0xffffffffffffffff;
        }
    }
}

static inline void attack_features(unsigned q)
{
    agree(victim, wanted_features);
    set(victim, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned half = 0; half < 40; half++) {
        set(victim, VIRTIO_MMIO_DEVICE_SEL, half * half * half);
        get(victim, VIRTIO_MMIO_DEVICE_FEATURES);
        set(victim, VIRTIO_MMIO_DRIVER_SEL, half * half * half);
        set(victim, VIRTIO_MMIO_DRIVER_FEATURES, 0xffffffff);
    }
    set(victim, VIRTIO_MMIO_STATUS, 0xf); /* it may not agree; we go on as if it had */
    place(victim, q, &queue[q]);
    offer_one(q, data, 512);
}

static inline void attack_status(unsigned q)
{
    reset(victim);
    place(victim, q, &queue[q]); /* before anything has been agreed on */
    offer_one(q, data, 512);
    for (unsigned status = 1; status < 256; status = status * 2 + 1) {
        set(victim, VIRTIO_MMIO_STATUS, status);
        offer_one(q, data, 512);
        set(victim, VIRTIO_MMIO_STATUS, ~status); /* bits do not go away but by a reset */
    }
}

static inline void attack_reset(unsigned q)
{
    for (unsigned round = 0; round < 50; round++) {
        begin();
        for (unsigned i = 0; i < ENTRIES / 2; i++)
            offer_one(q, data, sizeof(data));
        if (round % 2)
            set(victim, VIRTIO_MMIO_QUEUE_READY, 0);
    }
    reset(victim);
    begin();
}

static inline void attack_scribble(unsigned q)
{
    for (unsigned round = 0; round < 50; round++) {
        begin();
        for (unsigned i = 0; i < ENTRIES / 2; i++)
            offer_one(q, data, sizeof(data));
        for (unsigned i = 0; i < ENTRIES; i++) /* while the device may be reading them */
            describe(q, i, gpa(0xfffffffffffff000 >> (round & 31)), 0xffffffff,
                     NEXT | WRITE | INDIRECT, 0xffff);
        queue[q].avail.idx = (uint16_t)(round << 9);
    }
}

static const struct attack generic_attacks[] = {
    {"a loop of two descriptors", attack_loop},
    {"a descriptor that follows itself", attack_self},
    {"a descriptor past the table", attack_next},
    {"a head past the table", attack_head},
    {"32768 heads at once", attack_idx},
    {"an index that goes back", attack_idx_back},
    {"writable buffers before readable ones", attack_order},
    {"addresses where there is no RAM", attack_address},
    {"lengths of 0 and of 4 GiB", attack_length},
    {"64 GiB in one chain", attack_long_chain},
    {"indirect tables that are none", attack_indirect},
    {"rings where there is no RAM", attack_rings},
    {"all three rings on one page", attack_one_page},
    {"sizes that no queue may have", attack_size},
    {"queue numbers past the end", attack_queue_number},
    {"every register, every byte of it", attack_registers},
    {"the configuration, past its end", attack_config},
    {"features that nobody has offered", attack_features},
    {"requests in every status", attack_status},
    {"resets while requests run", attack_reset},
    {"descriptors that change under way", attack_scribble},
};
#define GENERIC_ATTACKS (sizeof(generic_attacks) / sizeof(generic_attacks[0]))

#endif
