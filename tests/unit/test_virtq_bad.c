/*
 * test_virtq_bad.c: the split virtqueue with a driver that breaks the rules (virtio 1.2, section
 * 2.7): every rule has a case, with the remark that names it. The device needs a reset, interrupts
 * for it, and works again after it.
 */
#include "virtq_bench.h"

#define TABLE    0x300ull /* GPA of the indirect table of a case */
#define NEXT     VIRTQ_DESC_NEXT
#define WRITE    VIRTQ_DESC_WRITE
#define INDIRECT VIRTQ_DESC_INDIRECT
#define HOLE     BENCH_END

/* The device has taken nothing, says TEXT, and rests; a reset brings it back. */
static void expect_broken(struct fixture *f, const char *text)
{
    assert_int_equal(virtio_pop(&f->dev, 0, &f->chain), 0);
    if (!bench_said(&f->b, text)) {
        fail_msg("the fault is not named");
    }
    assert_true(bench_said(&f->b, "idle: status: NEEDS_RESET"));
    assert_true(bench_get(&f->b, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(bench_interrupt(&f->b), VIRTIO_MMIO_INT_CONFIG);
    bench_hush(&f->b);
    assert_int_equal(virtio_pop(&f->dev, 0, &f->chain), 0);
    assert_int_equal(virtio_pop(&f->dev, 1, &f->chain), 0);
    virtio_push(&f->dev, 0, 0, 1);
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, f->dev.queue[0].next_used);
    assert_int_equal(bench_interrupt(&f->b), 0);
    assert_int_equal(f->b.log_used, 0); /* said once */

    bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), SIZE);
    offer_one(f);
    assert_int_equal(virtio_pop(&f->dev, 0, &f->chain), 1);
    virtio_push(&f->dev, 0, f->chain.head, 1);
    assert_int_equal(bench_interrupt(&f->b), VIRTIO_MMIO_INT_USED_RING);
}

struct bad_chain {
    const char *text;
    struct virtq_desc desc[SIZE];
    struct virtq_desc table[3]; /* at TABLE */
    uint16_t head;
};

static void try_chains(struct fixture *f, const struct bad_chain *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bench_start(&f->b, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), SIZE);
        bench_hush(&f->b);
        memcpy(bench_desc(&f->b, 0), cases[i].desc, sizeof(cases[i].desc));
        memcpy(bench_at(&f->b, TABLE, sizeof(cases[i].table)), cases[i].table,
               sizeof(cases[i].table));
        bench_publish(&f->b, 0, cases[i].head);
        expect_broken(f, cases[i].text);
    }
}

static void chains(void **state)
{
    static const struct bad_chain cases[] = {
        /* next, 2.7.5: within the table, and no loops */
        {"next is 8 in a table of 8 descriptors", .desc = {{0x100, 1, NEXT, SIZE}}},
        {"next is 65535 in a table of 8", .desc = {{0x100, 1, NEXT, 0xffff}}},
        {"a loop in the chain of head 0: over 8", .desc = {{0x100, 1, NEXT, 0}}},
        {"a loop in the chain of head 2: over 8",
         .desc = {{0x100, 1, NEXT, 1}, {0x200, 1, NEXT, 0}, {0x300, 1, NEXT, 0}}, .head = 2},
        /* head, 2.7.6 */
        {"head 8 in a queue of 8", .head = SIZE},
        {"head 65535 in a queue of 8", .head = 0xffff},
        /* writable buffers come last, 2.7.4.2 */
        {"a readable buffer at 0x200 after a writable one (head 0)",
         .desc = {{0x100, 1, NEXT | WRITE, 1}, {0x200, 1, 0, 0}}},
        {"a readable buffer at 0x400 after a writable one (head 0)",
         .desc = {{0x100, 1, NEXT | WRITE, 1}, {TABLE, 16, INDIRECT, 0}},
         .table = {{0x400, 1, 0, 0}}},
        /* lengths */
        {"a buffer of no bytes at 0x100 (head 0)", .desc = {{0x100, 0, 0, 0}}},
        {"a buffer of no bytes at 0x200", .desc = {{0x100, 1, NEXT, 1}, {0x200, 0, WRITE, 0}}},
        {"a buffer of no bytes at 0x400", .desc = {{TABLE, 16, INDIRECT, 0}},
         .table = {{0x400, 0, 0, 0}}},
        /* addresses: all of it in memory */
        {"0x120000, 1 bytes, is not all in memory", .desc = {{HOLE, 1, 0, 0}}},
        {"0x120000, 1 bytes, is not all in RAM", .desc = {{HOLE, 1, WRITE, 0}}},
        {"0x11ffff, 2 bytes, is not all in memory", .desc = {{HOLE - 1, 2, 0, 0}}},
        {"0x0, 4294967295 bytes, is not all in memory", .desc = {{0, UINT32_MAX, 0, 0}}},
        {"0xffffffffffffffff, 1 bytes, is not all in memory", .desc = {{UINT64_MAX, 1, 0, 0}}},
        {"0xffffffffffffffff, 2 bytes, passes the last address", .desc = {{UINT64_MAX, 2, 0, 0}}},
        {"0xffffffff00000002, 4294967295 bytes, passes",
         .desc = {{UINT64_MAX - UINT32_MAX + 2, UINT32_MAX, WRITE, 0}}},
        /* a device writes to RAM only */
        {"0x110000, 1 bytes, is not all in RAM", .desc = {{BENCH_ROM, 1, WRITE, 0}}},
        {"0x10ffff, 2 bytes, is not all in RAM", .desc = {{BENCH_ROM - 1, 2, WRITE, 0}}},
    };
    try_chains(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void indirect_tables(void **state)
{
    static const struct bad_chain cases[] = {
        /* 2.7.5.3.1 */
        {"an indirect table at 0x400 inside an indirect table at 0x300",
         .desc = {{TABLE, 32, INDIRECT, 0}},
         .table = {{0x100, 1, NEXT, 1}, {0x400, 16, INDIRECT, 0}}},
        {"an indirect table at 0x300 inside an indirect table at 0x300",
         .desc = {{TABLE, 16, INDIRECT, 0}}, .table = {{TABLE, 16, INDIRECT, 0}}},
        {"both INDIRECT (0x300) and NEXT (1)",
         .desc = {{TABLE, 16, INDIRECT | NEXT, 1}, {0x100, 1, 0, 0}}, .table = {{0x100, 1, 0, 0}}},
        {"an indirect table of 0 bytes", .desc = {{TABLE, 0, INDIRECT, 0}}},
        {"an indirect table of 15 bytes", .desc = {{TABLE, 15, INDIRECT, 0}}},
        {"an indirect table of 33 bytes: a multiple of 16", .desc = {{TABLE, 33, INDIRECT, 0}}},
        {"next is 2 in a table of 2", .desc = {{TABLE, 32, INDIRECT, 0}},
         .table = {{0x100, 1, NEXT, 2}, {0x100, 1, 0, 0}, {0x100, 1, 0, 0}}},
        {"a loop in the chain of head 0: over 3", .desc = {{TABLE, 48, INDIRECT, 0}},
         .table = {{0x100, 1, NEXT, 1}, {0x100, 1, NEXT, 2}, {0x100, 1, NEXT, 1}}},
        /* a loop in a table that is absurdly long ends all the same */
        {"more than 264 buffers in one chain (head 5)",
         .desc = {[5] = {TABLE, 0xfffffff0, INDIRECT, 0}},
         .table = {{0x100, 1, NEXT, 1}, {0x100, 1, NEXT, 0}}, .head = 5},
        /* where the table is */
        {"descriptor 0 of the table at 0x120000 is not in memory",
         .desc = {{HOLE, 16, INDIRECT, 0}}},
        {"descriptor 0 of the table at 0x11fff8 is not in memory",
         .desc = {{HOLE - 8, 16, INDIRECT, 0}}},
        {"0xfffffffffffffff8, 16 bytes, passes the last address",
         .desc = {{UINT64_MAX - 7, 16, INDIRECT, 0}}},
    };
    try_chains(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void indirect_without_the_feature(void **state)
{
    struct fixture *f = *state;
    bench_start(&f->b, 0, SIZE);
    bench_desc(&f->b, 0)[0] = (struct virtq_desc){TABLE, 16, INDIRECT, 0};
    bench_publish(&f->b, 0, 0);
    expect_broken(f, "an indirect table at 0x300 without VIRTIO_F_INDIRECT_DESC");
}

/* A guest with 4 GiB of RAM from 4 GiB on; only its addresses are computed with, not a byte of it is
 * touched. */
static void absurd_lengths(void **state)
{
    static const struct {
        uint32_t len[3];
        uint16_t flags[3];
        bool bad;
    } cases[] = {
        {{UINT32_MAX}, {0}, false},
        {{UINT32_MAX}, {WRITE}, false},
        {{UINT32_MAX, 1}, {NEXT, 0}, true},
        {{UINT32_MAX, 1}, {NEXT, WRITE}, true},
        {{1, UINT32_MAX}, {NEXT, WRITE}, true},
        {{0x80000000, 0x7fffffff}, {NEXT, WRITE}, false},
        {{0x80000000, 0x7fffffff, 1}, {NEXT, NEXT | WRITE, WRITE}, true},
        {{0x80000000, 0x80000000}, {NEXT | WRITE, WRITE}, true},
    };
    struct fixture *f = *state;
    const uint64_t base = 1ull << 32;
    assert_int_equal(mem_add(&f->b.mem, base, 1ull << 32, f->b.host[0], false), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_start(&f->b, 0, SIZE);
        for (uint16_t n = 0; n < 3; n++) {
            bench_desc(&f->b, 0)[n] =
                (struct virtq_desc){base, cases[i].len[n], cases[i].flags[n], (uint16_t)(n + 1)};
        }
        bench_publish(&f->b, 0, 0);
        if (cases[i].bad) {
            expect_broken(f, "4 GiB or more in one chain (head 0)");
        } else {
            pop_one(f);
            assert_int_equal((uint64_t)f->chain.readable_bytes + f->chain.writable_bytes,
                             (uint64_t)cases[i].len[0] + cases[i].len[1]);
        }
    }
}

/* --- the available ring's index -------------------------------------------------------------- */

static void jumps(void **state)
{
    static const struct {
        uint16_t at, to;
        const char *text; /* NULL: allowed */
    } cases[] = {
        {0, SIZE, NULL},
        {0, SIZE + 1, "avail.idx jumped from 0 to 9"},
        {0, 65535, "avail.idx jumped from 0 to 65535"}, /* backwards */
        {100, 99, "avail.idx jumped from 100 to 99"},
        {65530, 2, NULL},
        {65530, 3, "avail.idx jumped from 65530 to 3"},
        {0, 32768, "avail.idx jumped from 0 to 32768"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_start(&f->b, 0, SIZE);
        bench_wind(&f->b, 0, cases[i].at);
        bench_desc(&f->b, 0)[0] = (struct virtq_desc){0x100, 1, 0, 0};
        bench_avail(&f->b, 0)->idx = cases[i].to;
        if (cases[i].text) {
            expect_broken(f, cases[i].text);
        } else {
            pop_one(f);
        }
    }
}

/* A head offered again while the device has it: what is in flight never exceeds the queue. */
static void more_than_the_queue_in_flight(void **state)
{
    struct fixture *f = *state;
    bench_desc(&f->b, 0)[0] = (struct virtq_desc){0x100, 1, 0, 0};
    for (unsigned i = 0; i < SIZE; i++) {
        bench_publish(&f->b, 0, 0);
        assert_int_equal(virtio_pop(&f->dev, 0, &f->chain), 1);
    }
    assert_int_equal(f->dev.queue[0].in_flight, SIZE);
    bench_publish(&f->b, 0, 0);
    expect_broken(f, "avail.idx jumped from 8 to 9: more than the queue holds");
}

/* --- setting up ------------------------------------------------------------------------------ */

static void parts_of_a_queue(void **state)
{
    static const struct {
        uint32_t size;
        uint64_t desc, avail, used;
        const char *text; /* NULL: sound */
    } cases[] = {
        {8, 0x1000, 0x2000, 0x3000, NULL},
        {1, 0x1010, 0x2002, 0x3004, NULL},
        {256, 0x1000, 0x2000, 0x3000, NULL},
        {0, 0x1000, 0x2000, 0x3000, "queue size 0: a power of two up to 256"},
        {7, 0x1000, 0x2000, 0x3000, "queue size 7: a power of two up to 256"},
        {255, 0x1000, 0x2000, 0x3000, "queue size 255"},
        {257, 0x1000, 0x2000, 0x3000, "QueueNum 257: queue 0 has at most 256 entries"},
        {512, 0x1000, 0x2000, 0x3000, "QueueNum 512: queue 0 has at most 256 entries"},
        {0x10008, 0x1000, 0x2000, 0x3000, "QueueNum 65544"},
        {8, 0x1008, 0x2000, 0x3000, "the descriptor table at 0x1008 is not aligned to 16"},
        {8, 0x1001, 0x2000, 0x3000, "the descriptor table at 0x1001 is not aligned"},
        {8, 0x1000, 0x2001, 0x3000, "the available ring at 0x2001 is not aligned to 2"},
        {8, 0x1000, 0x2000, 0x3002, "the used ring at 0x3002 is not aligned to 4"},
        {8, HOLE, 0x2000, 0x3000, "the descriptor table at 0x120000, 128 bytes, is not all in RAM"},
        {8, 0x1000, HOLE, 0x3000, "the available ring at 0x120000, 22 bytes, is not all in RAM"},
        {8, 0x1000, 0x2000, HOLE, "the used ring at 0x120000, 70 bytes, is not all in RAM"},
        /* up to the last byte */
        {8, BENCH_ROM - 128, 0x2000, 0x3000, NULL},
        {8, BENCH_ROM - 112, 0x2000, 0x3000, "table at 0x10ff90, 128 bytes, is not all in RAM"},
        {8, 0x1000, BENCH_ROM - 22, 0x3000, NULL},
        {8, 0x1000, BENCH_ROM - 20, 0x3000, "ring at 0x10ffec, 22 bytes, is not all in RAM"},
        {8, 0x1000, 0x2000, BENCH_ROM - 72, NULL},
        {8, 0x1000, 0x2000, BENCH_ROM - 68, "ring at 0x10ffbc, 70 bytes, is not all in RAM"},
        /* ROM; the 32 bits above; the end of the address space */
        {8, 0x1000, 0x2000, BENCH_ROM, "the used ring at 0x110000, 70 bytes, is not all in RAM"},
        {8, 0x100001000, 0x2000, 0x3000, "table at 0x100001000, 128 bytes, is not all in RAM"},
        {8, 0x1000, 0xffffffff00002000, 0x3000, "0xffffffff00002000, 22 bytes, is not all in RAM"},
        {8, 0x1000, 0x2000, 0xfffffffffffffffc, "0xfffffffffffffffc, 70 bytes, is not all"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(bench_features(&f->b, 0));
        bench_hush(&f->b);
        bench_set(&f->b, VIRTIO_MMIO_QUEUE_SEL, 0);
        bench_set(&f->b, VIRTIO_MMIO_QUEUE_NUM, cases[i].size);
        const uint64_t parts[] = {cases[i].desc, cases[i].avail, cases[i].used};
        for (unsigned part = 0; part < 3; part++) {
            uint32_t low = VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * part;
            bench_set(&f->b, low + 4, (uint32_t)(parts[part] >> 32));
            bench_set(&f->b, low, (uint32_t)parts[part]);
        }
        bench_set(&f->b, VIRTIO_MMIO_QUEUE_READY, 1);
        bool bad = cases[i].text;
        if (bad && !bench_said(&f->b, cases[i].text)) {
            fail_msg("case %zu", i);
        }
        uint32_t status = bench_get(&f->b, VIRTIO_MMIO_STATUS);
        assert_int_equal(bench_get(&f->b, VIRTIO_MMIO_QUEUE_READY), !bad);
        assert_int_equal(!!(status & VIRTIO_STATUS_NEEDS_RESET), bad);
        assert_int_equal(bench_interrupt(&f->b), 0); /* DRIVER_OK is not set (2.1.2) */
    }
}

/* A device may have smaller queues than others. */
static void size_of_this_queue(void **state)
{
    struct fixture *f = *state;
    struct virtq q;
    virtq_init(&q, &f->b.mem, 4);
    for (uint16_t size = 0; size < 20; size++) {
        q.size = size;
        assert_int_equal(virtq_start(&q) == 0, size == 1 || size == 2 || size == 4);
    }
}

/* Memory does not go away while a queue is ready; if it did, nothing would be touched. */
static void rings_without_memory(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    offer_one(f);
    unsigned count = f->b.mem.count;
    f->b.mem.count = 0;
    assert_int_equal(virtio_pop(&f->dev, 0, &f->chain), 0);
    assert_true(bench_said(&f->b, "the available ring at 0x11000 is not in RAM"));
    assert_true(virtq_push(q, 0, 0) < 0);
    assert_string_equal(q->fault, "the used ring at 0x%llx is not in RAM");
    assert_true(virtq_flush(q, 1) < 0);
    assert_false(virtq_set_kicks(q, true));
    assert_false(virtq_wants_interrupt(q));
    f->b.mem.count = count;
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIRTQ_TEST(chains),
        VIRTQ_TEST(indirect_tables),
        VIRTQ_TEST(indirect_without_the_feature),
        VIRTQ_TEST(absurd_lengths),
        VIRTQ_TEST(jumps),
        VIRTQ_TEST(more_than_the_queue_in_flight),
        VIRTQ_TEST(parts_of_a_queue),
        VIRTQ_TEST(size_of_this_queue),
        VIRTQ_TEST(rings_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
