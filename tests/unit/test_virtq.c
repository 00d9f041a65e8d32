/*
 * test_virtq.c: the split virtqueue with a driver that keeps the rules (virtio 1.2, section 2.7):
 * chains, regions, wrap-around; and the copies and cuts of a chain.
 */
#include "virtq_bench.h"

/* --- chains --------------------------------------------------------------------------------- */

static void empty_queue(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(virtq_pop(&f->dev.queue[0], &f->chain), 0);
}

static void chain_in_order(void **state)
{
    struct fixture *f = *state;
    const struct bench_buffer buffers[] = {
        {BENCH_DATA, 16, false}, {BENCH_DATA + 0x1000, 512, false}, {BENCH_DATA + 0x2001, 1, true}};
    uint16_t head = bench_offer(&f->b, 0, buffers, 3);
    pop_one(f);
    assert_int_equal(f->chain.head, head);
    assert_int_equal(f->chain.readable, 2);
    assert_int_equal(f->chain.writable, 1);
    assert_int_equal(f->chain.readable_bytes, 528);
    assert_int_equal(f->chain.writable_bytes, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(f->chain.iov[i].iov_base, f->b.host[0] + buffers[i].gpa);
        assert_int_equal(f->chain.iov[i].iov_len, buffers[i].len);
    }
    assert_int_equal(virtq_pop(&f->dev.queue[0], &f->chain), 0);
    assert_int_equal(f->dev.queue[0].in_flight, 1);
    assert_int_equal(virtq_push(&f->dev.queue[0], head, 1), 0);
    struct virtq_used_elem elem;
    assert_true(bench_used(&f->b, 0, &elem));
    assert_int_equal(elem.id, head);
    assert_int_equal(elem.len, 1);
    assert_false(bench_used(&f->b, 0, &elem));
    assert_int_equal(f->dev.queue[0].in_flight, 0);
}

/* As long as the queue, which is what the driver may offer at most (2.7.5). */
static void longest_chain(void **state)
{
    struct fixture *f = *state;
    struct bench_buffer buffers[SIZE];
    for (unsigned i = 0; i < SIZE; i++) {
        buffers[i] = (struct bench_buffer){BENCH_DATA + 64 * i, 8 + i, i >= 4};
    }
    bench_offer(&f->b, 0, buffers, SIZE);
    pop_one(f);
    assert_int_equal(f->chain.readable, 4);
    assert_int_equal(f->chain.writable, 4);
    push_one(f);
    struct virtq_used_elem elem;
    assert_true(bench_used(&f->b, 0, &elem));
    bench_offer_indirect(&f->b, 0, buffers, SIZE);
    pop_one(f);
    assert_int_equal(f->chain.readable_bytes, 8 + 9 + 10 + 11);
    assert_int_equal(f->chain.iov[7].iov_len, 15);
}

/* An indirect table may follow ordinary descriptors, and its own WRITE flag says nothing
 * (2.7.5.3.2).  It may lie at an odd address, in ROM, or across two regions. */
static void indirect_tables(void **state)
{
    struct fixture *f = *state;
    static const uint64_t at[] = {BENCH_DATA, BENCH_DATA + 5, BENCH_RAM - 24, BENCH_ROM + 8};
    for (unsigned i = 0; i < 4; i++) {
        const struct virtq_desc table[2] = {{0x300, 7, VIRTQ_DESC_NEXT, 1},
                                            {0x400, 9, VIRTQ_DESC_WRITE, 0}};
        if (at[i] < BENCH_ROM) {
            assert_int_equal(mem_write(&f->b.mem, at[i], table, sizeof(table)), 0);
        } else {
            memcpy(bench_at(&f->b, at[i], sizeof(table)), table, sizeof(table));
        }
        struct virtq_desc *desc = bench_desc(&f->b, 0);
        desc[3] = (struct virtq_desc){0x200, 5, VIRTQ_DESC_NEXT, 6};
        desc[6] = (struct virtq_desc){at[i], 32, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_WRITE, 0};
        bench_publish(&f->b, 0, 3);
        pop_one(f);
        assert_int_equal(f->chain.readable_bytes, 12);
        assert_int_equal(f->chain.writable_bytes, 9);
        assert_ptr_equal(f->chain.iov[2].iov_base, f->b.host[0] + 0x400);
        push_one(f);
    }
}

/* A table longer than the queue is no loop: its own length bounds it. */
static void long_indirect_table(void **state)
{
    struct fixture *f = *state;
    struct bench_buffer buffers[VIRTQ_IOV_MAX];
    for (unsigned i = 0; i < VIRTQ_IOV_MAX; i++) {
        buffers[i] = (struct bench_buffer){BENCH_DATA + i, 1, true};
    }
    bench_offer_indirect(&f->b, 0, buffers, VIRTQ_IOV_MAX);
    pop_one(f);
    assert_int_equal(f->chain.writable, VIRTQ_IOV_MAX);
}

static void buffer_across_regions(void **state)
{
    struct fixture *f = *state;
    bench_offer(&f->b, 0,
                (struct bench_buffer[]){{BENCH_RAM - 3, BENCH_MORE + 7, false},
                                        {BENCH_ROM - 9, 9, true},
                                        {BENCH_RAM - 1, 2, true}},
                3);
    pop_one(f);
    assert_int_equal(f->chain.readable, 3); /* RAM, RAM, ROM */
    assert_int_equal(f->chain.writable, 3);
    static const size_t lengths[] = {3, BENCH_MORE, 4, 9, 1, 1};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(f->chain.iov[i].iov_len, lengths[i]);
    }
    assert_ptr_equal(f->chain.iov[0].iov_base, f->b.host[0] + BENCH_RAM - 3);
    assert_ptr_equal(f->chain.iov[1].iov_base, f->b.host[1]);
    assert_ptr_equal(f->chain.iov[2].iov_base, f->b.host[2]);
    assert_ptr_equal(f->chain.iov[5].iov_base, f->b.host[1]);
}

/* What is handed over is what was there when it was read. */
static void later_changes_do_not_matter(void **state)
{
    struct fixture *f = *state;
    offer_one(f);
    pop_one(f);
    memset(bench_desc(&f->b, 0), 0xff, VIRTQ_DESC_BYTES(SIZE));
    assert_ptr_equal(f->chain.iov[0].iov_base, f->b.host[0] + BENCH_DATA);
    assert_int_equal(f->chain.iov[0].iov_len, 16);
    push_one(f);
}

/* --- indices -------------------------------------------------------------------------------- */

static void wraps_at_65535(void **state)
{
    struct fixture *f = *state;
    bench_wind(&f->b, 0, 65533);
    for (unsigned i = 0; i < 3; i++) { /* all at once, over the edge */
        offer_one(f);
        offer_one(f);
        pop_one(f);
        uint16_t first = f->chain.head;
        pop_one(f);
        assert_int_equal(virtq_fill(&f->dev.queue[0], 0, first, 1), 0);
        assert_int_equal(virtq_fill(&f->dev.queue[0], 1, f->chain.head, 2), 0);
        struct virtq_used_elem elem;
        assert_false(bench_used(&f->b, 0, &elem)); /* filled, not yet published */
        assert_int_equal(virtq_flush(&f->dev.queue[0], 2), 0);
        assert_true(bench_used(&f->b, 0, &elem));
        assert_int_equal(elem.id, first);
        assert_int_equal(elem.len, 1);
        assert_true(bench_used(&f->b, 0, &elem));
        assert_int_equal(elem.id, f->chain.head);
        assert_int_equal(elem.len, 2);
        assert_false(bench_used(&f->b, 0, &elem));
        assert_true(virtq_wants_interrupt(&f->dev.queue[0]));
    }
    assert_int_equal(bench_used_ring(&f->b, 0)->idx, 3);
}

static void all_entries_out_of_order(void **state)
{
    struct fixture *f = *state;
    uint16_t heads[SIZE];
    bench_wind(&f->b, 0, 65535 - 3);
    for (unsigned i = 0; i < SIZE; i++) {
        offer_one(f);
    }
    for (unsigned i = 0; i < SIZE; i++) {
        pop_one(f);
        heads[i] = f->chain.head;
    }
    assert_int_equal(virtq_pop(&f->dev.queue[0], &f->chain), 0);
    for (unsigned i = SIZE; i-- > 0;) {
        assert_int_equal(virtq_push(&f->dev.queue[0], heads[i], i), 0);
    }
    for (unsigned i = SIZE; i-- > 0;) {
        struct virtq_used_elem elem;
        assert_true(bench_used(&f->b, 0, &elem));
        assert_int_equal(elem.id, heads[i]);
        assert_int_equal(elem.len, i);
    }
}

static void unpop_gives_the_same_again(void **state)
{
    struct fixture *f = *state;
    bench_wind(&f->b, 0, 65535);
    uint16_t first = bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 1, true}}, 1);
    uint16_t second = bench_offer(&f->b, 0, (struct bench_buffer[]){{BENCH_DATA, 2, true}}, 1);
    pop_one(f);
    pop_one(f);
    assert_int_equal(f->chain.head, second);
    virtq_unpop(&f->dev.queue[0], 2);
    assert_int_equal(f->dev.queue[0].in_flight, 0);
    pop_one(f);
    assert_int_equal(f->chain.head, first);
    pop_one(f);
    assert_int_equal(f->chain.head, second);
    assert_int_equal(virtq_pop(&f->dev.queue[0], &f->chain), 0);
}

static void reset_forgets(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    offer_one(f);
    pop_one(f);
    virtq_reset(q);
    assert_false(q->ready);
    assert_int_equal(q->in_flight, 0);
    assert_int_equal(q->size, 0);
    assert_int_equal(q->size_max, VIRTQ_SIZE_MAX);
    assert_ptr_equal(q->mem, &f->b.mem);
    /* Nothing is read from or written to a queue that is not ready. */
    uint8_t before[64];
    memcpy(before, f->b.host[0], sizeof(before));
    assert_true(virtq_pop(q, &f->chain) < 0);
    assert_true(virtq_push(q, 0, 1) < 0);
    assert_false(virtq_set_kicks(q, true));
    assert_false(virtq_wants_interrupt(q));
    assert_memory_equal(before, f->b.host[0], sizeof(before));
}

/* --- copies and cuts ------------------------------------------------------------------------ */

static void offer_pieces(struct fixture *f)
{
    memcpy(bench_at(&f->b, BENCH_DATA, 10), "abcdefghij", 10);
    bench_offer(&f->b, 0,
                (struct bench_buffer[]){{BENCH_DATA, 3, false},
                                        {BENCH_DATA + 3, 1, false},
                                        {BENCH_DATA + 4, 6, false},
                                        {BENCH_DATA + 0x100, 2, true},
                                        {BENCH_DATA + 0x200, 1, true},
                                        {BENCH_DATA + 0x300, 4, true}},
                6);
    pop_one(f);
}

static void reads_at_any_offset(void **state)
{
    struct fixture *f = *state;
    offer_pieces(f);
    for (uint32_t offset = 0; offset <= 12; offset++) {
        for (uint32_t len = 0; len <= 12; len++) {
            char bytes[16] = {0};
            uint32_t expected = offset >= 10 ? 0 : len < 10 - offset ? len : 10 - offset;
            assert_int_equal(virtq_read(&f->chain, offset, bytes, len), expected);
            assert_memory_equal(bytes, &"abcdefghij"[offset < 10 ? offset : 10], expected);
            assert_int_equal(bytes[expected], 0);
        }
    }
}

static void writes_at_any_offset(void **state)
{
    struct fixture *f = *state;
    offer_pieces(f);
    for (uint32_t offset = 0; offset <= 9; offset++) {
        for (uint32_t len = 0; len <= 9; len++) {
            char all[8] = "-------", got[8] = {0};
            assert_int_equal(virtq_write(&f->chain, 0, all, 7), 7);
            uint32_t expected = offset >= 7 ? 0 : len < 7 - offset ? len : 7 - offset;
            assert_int_equal(virtq_write(&f->chain, offset, "123456789", len), expected);
            memcpy(all + (offset < 7 ? offset : 0), "123456789", expected);
            memcpy(got, bench_at(&f->b, BENCH_DATA + 0x100, 2), 2);
            memcpy(got + 2, bench_at(&f->b, BENCH_DATA + 0x200, 1), 1);
            memcpy(got + 3, bench_at(&f->b, BENCH_DATA + 0x300, 4), 4);
            assert_string_equal(got, all);
        }
    }
    assert_memory_equal(bench_at(&f->b, BENCH_DATA, 10), "abcdefghij", 10);
    assert_int_equal(*(char *)bench_at(&f->b, BENCH_DATA + 0x102, 1), 0);
}

static void trims_the_front(void **state)
{
    struct fixture *f = *state;
    offer_pieces(f);
    const struct virtq_chain whole = f->chain;
    for (uint32_t len = 0; len <= 10; len++) {
        f->chain = whole;
        char bytes[16] = {0}, written[] = "1234567";
        assert_true(virtq_trim_readable(&f->chain, len));
        assert_int_equal(f->chain.readable_bytes, 10 - len);
        assert_int_equal(f->chain.readable, len < 3 ? 3 : len < 4 ? 2 : len < 10 ? 1 : 0);
        assert_int_equal(virtq_read(&f->chain, 0, bytes, 16), 10 - len);
        assert_string_equal(bytes, &"abcdefghij"[len]);
        assert_int_equal(virtq_write(&f->chain, 0, written, 9), 7); /* the other part is whole */
        assert_int_equal(f->chain.writable, 3);
        assert_ptr_equal(f->chain.iov[f->chain.readable].iov_base, whole.iov[3].iov_base);
    }
    f->chain = whole;
    assert_false(virtq_trim_readable(&f->chain, 11));
    assert_memory_equal(&f->chain, &whole, sizeof(whole));
    assert_false(virtq_trim_writable(&f->chain, 8));
    assert_memory_equal(&f->chain, &whole, sizeof(whole));
    assert_true(virtq_trim_writable(&f->chain, 4));
    assert_int_equal(f->chain.writable, 1);
    assert_int_equal(f->chain.writable_bytes, 3);
    assert_ptr_equal(f->chain.iov[3].iov_base, f->b.host[0] + BENCH_DATA + 0x301);
    assert_int_equal(f->chain.readable_bytes, 10);
}

static void trims_the_end(void **state)
{
    struct fixture *f = *state;
    offer_pieces(f);
    const struct virtq_chain whole = f->chain;
    for (uint32_t len = 0; len <= 7; len++) {
        f->chain = whole;
        assert_true(virtq_trim_writable_end(&f->chain, len));
        assert_int_equal(f->chain.writable_bytes, 7 - len);
        assert_int_equal(f->chain.writable, len < 4 ? 3 : len < 5 ? 2 : len < 7 ? 1 : 0);
        assert_int_equal(virtq_write(&f->chain, 0, "12345678", 8), 7 - len);
        assert_int_equal(f->chain.readable_bytes, 10);
    }
    f->chain = whole;
    assert_false(virtq_trim_writable_end(&f->chain, 8));
    assert_memory_equal(&f->chain, &whole, sizeof(whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIRTQ_TEST(empty_queue),
        VIRTQ_TEST(chain_in_order),
        VIRTQ_TEST(longest_chain),
        VIRTQ_TEST(indirect_tables),
        VIRTQ_TEST(long_indirect_table),
        VIRTQ_TEST(buffer_across_regions),
        VIRTQ_TEST(later_changes_do_not_matter),
        VIRTQ_TEST(wraps_at_65535),
        VIRTQ_TEST(all_entries_out_of_order),
        VIRTQ_TEST(unpop_gives_the_same_again),
        VIRTQ_TEST(reset_forgets),
        VIRTQ_TEST(reads_at_any_offset),
        VIRTQ_TEST(writes_at_any_offset),
        VIRTQ_TEST(trims_the_front),
        VIRTQ_TEST(trims_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
