/*
 * hostile-blk.c: a guest that attacks its disk from inside; hostile.h tells how, and what is right.
 *
 *     build/kvmlens -kernel build/guest/lessons/hostile-blk.elf -drive if=virtio,format=raw,file=SCRATCH \
 *         -device virtio-rng-device
 *
 * Specification: virtio 1.2, 2.7 (queues), 4.2 (MMIO), 5.2 (block device).
 */
#include "hostile_attacks.h"

#include <virtio_blk.h>

void lesson(void); /* called from the assembly of hostile.h */

static volatile struct virtio_blk_header header;
static volatile struct virtio_blk_range range[4];
static volatile uint8_t status;

/* Header, BYTES of data at ADDR, status: as it should be, but for what TYPE and the like say. */
static void request(uint32_t type, uint64_t sector, const volatile void *addr, uint64_t bytes,
                    unsigned flags)
{
    static unsigned n;
    n = (n + 3) % (ENTRIES - 3);
    header = (struct virtio_blk_header){.type = type, .sector = sector};
    status = 0xff;
    settle(0);
    describe(0, n, &header, sizeof(header), NEXT, n + 1);
    describe(0, n + 1, addr, bytes, flags | NEXT, n + 2);
    describe(0, n + 2, &status, 1, WRITE, 0);
    unsigned before = queue[0].used.idx;
    offer(0, n);
    answers(0, before + 1, PATIENCE);
}

static void attack_type(unsigned q)
{
    (void)q;
    request(0xdeadbeef, 0, data, 512, WRITE);
    request(0xffffffff, 0, data, 512, 0);
    request(VIRTIO_BLK_T_IN, 0, data, 512, 0); /* the data is not for the device to write */
    request(VIRTIO_BLK_T_OUT, 0, data, 512, WRITE);
    request(VIRTIO_BLK_T_FLUSH, 0xffffffff, data, 512, WRITE);
}

static void attack_sector(unsigned q)
{
    (void)q;
    request(VIRTIO_BLK_T_IN, 0xffffffffffffffff, data, 512, WRITE);
    request(VIRTIO_BLK_T_IN, 0x7fffffffffffff, data, 1024, WRITE); /* times 512: past 2^63 */
    request(VIRTIO_BLK_T_OUT, 0x80000000000000, data, 512, 0);     /* times 512: 0 */
    request(VIRTIO_BLK_T_OUT, 0xfffffffffffffffe, data, 4096, 0);
}

static void attack_data(unsigned q)
{
    (void)q;
    request(VIRTIO_BLK_T_IN, 0, data, 1, WRITE);
    request(VIRTIO_BLK_T_IN, 0, data, 513, WRITE);
    request(VIRTIO_BLK_T_IN, 0, gpa(0xfffffffffffff000), 4096, WRITE);
    request(VIRTIO_BLK_T_IN, 0, gpa(VIRTIO_MMIO_GPA), 512, WRITE);
    request(VIRTIO_BLK_T_IN, 0, data, 0xfffffe00, WRITE);
    request(VIRTIO_BLK_T_GET_ID, 0, data, 1, WRITE);
    request(VIRTIO_BLK_T_GET_ID, 0, data, 0xffffffff, WRITE);
}

static void attack_header(unsigned q)
{
    describe(q, 0, &header, 1, NEXT, 1); /* too short */
    describe(q, 1, &status, 1, WRITE, 0);
    offer(q, 0);
    settle(q);
    describe(q, 2, &header, sizeof(header), 0, 0); /* no room for a status */
    offer(q, 2);
    settle(q);
    describe(q, 3, &status, 1, WRITE, 0); /* nothing but a status */
    offer(q, 3);
    settle(q);
    for (unsigned i = 4; i < ENTRIES; i++) /* the header in pieces of two bytes */
        describe(q, i, (volatile uint8_t *)&header + (i - 4) * 2, 2, NEXT, i + 1);
    describe(q, 12, data, 512, NEXT | WRITE, 13);
    describe(q, 13, &status, 1, WRITE, 0);
    offer(q, 4);
}

static void attack_range(unsigned q)
{
    (void)q;
    static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
    for (unsigned i = 0; i < 2; i++) {
        range[0] = (struct virtio_blk_range){0xffffffffffffffff, 0xffffffff, 0};
        request(types[i], 0, range, sizeof(range[0]), 0);
        range[0] = (struct virtio_blk_range){0, 0xffffffff, 0xffffffff};
        request(types[i], 0, range, sizeof(range[0]), 0);
        request(types[i], 0, range, 0, 0);
        request(types[i], 0, range, 15, 0);
        request(types[i], 0, range, 0xffffffff, 0);
        request(types[i], 0, gpa(0xfffffffffffffff8), 16, 0);
    }
}

/* Five good requests, which the device has not finished when this returns. */
static void run_requests(uint32_t type)
{
    header = (struct virtio_blk_header){.type = type};
    for (unsigned n = 0; n < 15; n += 3) {
        describe(0, n, &header, sizeof(header), NEXT, n + 1);
        describe(0, n + 1, data, sizeof(data), NEXT | (type == VIRTIO_BLK_T_IN ? WRITE : 0), n + 2);
        describe(0, n + 2, &status, 1, WRITE, 0);
        offer(0, n);
    }
}

static void attack_running(unsigned q)
{
    for (unsigned round = 0; round < 50; round++) {
        run_requests(round % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT);
        if (round % 3 == 0)
            set(victim, VIRTIO_MMIO_QUEUE_READY, 0);
        if (round % 3 == 1)
            set(victim, VIRTIO_MMIO_QUEUE_RESET, 1);
        begin();
    }
    run_requests(VIRTIO_BLK_T_FLUSH);
    for (unsigned i = 0; i < ENTRIES; i++) /* under the hands of the device */
        describe(q, i, gpa(0xfffffffffffff000), 0xffffffff, NEXT | WRITE, 0xffff);
    header.type = 0xffffffff;
}

void lesson(void)
{
    static const struct attack attacks[] = {
        {"resets while good requests run", attack_running},
        {"types that are none", attack_type},
        {"sectors past the end, and past 2^64", attack_sector},
        {"data of odd sizes and places", attack_data},
        {"headers and statuses that are not there", attack_header},
        {"ranges to discard past the end", attack_range},
    };
    hostile_begin(VIRTIO_ID_BLOCK,
                  1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_BLK_F_DISCARD |
                      1u << VIRTIO_BLK_F_WRITE_ZEROES | 1u << VIRTIO_BLK_F_FLUSH |
                      1u << VIRTIO_BLK_F_CONFIG_WCE,
                  "a disk and virtio-rng-device are needed\r\n");
    attack_all(attacks, sizeof(attacks) / sizeof(attacks[0]), 0);
    attack_all(generic_attacks, GENERIC_ATTACKS, 0);
    begin();
    request(VIRTIO_BLK_T_IN, 0, data, 512, WRITE);
    hostile_end(answers(0, 1, PATIENCE_RNG) && status == VIRTIO_BLK_S_OK);
}
