/*
 * test_virtio_blk.c: vmm/virtio/blk.c under a scripted driver: requests good and bad, and
 * errors of the backend.
 */
#include "blk_driver.h"

/* Asks for something that does not reach the backend. */
static void refused(struct blk_bench *b, uint32_t type, uint64_t sector, const void *from,
                    uint32_t readable, uint32_t writable, uint8_t status)
{
    bench_hush(&b->bench);

    struct asked asked = ask(b, type, sector, from, readable, writable);

    assert_int_equal(b->count, 0);
    came_back(b, asked, status, writable ? 0 : 1);
    assert_int_equal(bench_interrupt(&b->bench), VIRTIO_MMIO_INT_USED_RING);
    assert_true(b->bench.log_used > 0);
}

static void reads_and_writes(void **state)
{
    struct blk_bench *b = *state;
    uint8_t data[1024];
    struct asked asked = ask(b, VIRTIO_BLK_T_IN, 3, NULL, 0, 1024);

    assert_int_equal(b->count, 1);
    assert_int_equal(status_of(b, asked), 0xff);
    assert_int_equal(bench_interrupt(&b->bench), 0);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1025);
    assert_int_equal(bench_interrupt(&b->bench), VIRTIO_MMIO_INT_USED_RING);
    assert_memory_equal(bench_at(&b->bench, asked.data, 1024), b->disk + 3 * 512, 1024);
    assert_true(bench_said(&b->bench, "virtio-blk0: read sector 3, 1024 bytes"));

    memset(data, 0xab, sizeof(data));
    asked = ask(b, VIRTIO_BLK_T_OUT, 62, data, 1024, 0);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);
    assert_memory_equal(b->disk + 62 * 512, data, 1024);
    assert_int_equal(b->disk[62 * 512 - 1], 62);
    assert_true(bench_said(&b->bench, "write sector 62, 1024 bytes"));

    asked = ask(b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);
    assert_int_equal(b->flushes, 1);
}

/* Header, data and status wherever the driver likes them (2.7.4). */
static void any_framing(void **state)
{
    struct blk_bench *b = *state;
    struct virtio_blk_header header = {.type = VIRTIO_BLK_T_OUT, .sector = 1};
    uint8_t piece[16 + 512];
    struct virtq_used_elem elem;

    memcpy(piece, &header, 16);
    memset(piece + 16, 0x77, 512);

    uint64_t whole = bench_put(&b->bench, piece, sizeof(piece));
    uint64_t status = bench_put(&b->bench, "\xff", 1);
    const struct bench_buffer one[] = {{whole, sizeof(piece), false}, {status, 1, true}};
    const struct bench_buffer shreds[] = {{whole, 3, false},
                                          {whole + 3, 14, false},
                                          {whole + 17, 510, false},
                                          {whole + 527, 1, false},
                                          {status, 1, true}};

    bench_offer(&b->bench, 0, one, 2);
    bench_notify(&b->bench, 0);
    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem) && elem.len == 1);
    assert_memory_equal(b->disk + 512, piece + 16, 512);
    assert_int_equal(*(uint8_t *)bench_at(&b->bench, status, 1), VIRTIO_BLK_S_OK);

    memset(b->disk + 512, 0, 512);
    bench_start(&b->bench, BLK_FEATURES | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 64);
    bench_offer_indirect(&b->bench, 0, shreds, 5);
    bench_notify(&b->bench, 0);
    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem));
    assert_memory_equal(b->disk + 512, piece + 16, 512);

    /* Data and status of a read in one piece, across the border of two regions. */
    header.type = VIRTIO_BLK_T_IN;

    const struct bench_buffer read[] = {
        {bench_put(&b->bench, &header, 16), 16, false},
        {BENCH_RAM - 100, 513, true},
    };

    bench_offer(&b->bench, 0, read, 2);
    bench_notify(&b->bench, 0);
    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem) && elem.len == 513);
    assert_memory_equal(bench_at(&b->bench, BENCH_RAM - 100, 100), piece + 16, 100);
    assert_memory_equal(bench_at(&b->bench, BENCH_RAM, 412), piece + 16, 412);
    assert_int_equal(*(uint8_t *)bench_at(&b->bench, BENCH_RAM + 412, 1), VIRTIO_BLK_S_OK);
}

static void out_of_order_with_one_interrupt(void **state)
{
    struct blk_bench *b = *state;
    struct asked asked[4];

    for (unsigned i = 0; i < 4; i++)
        asked[i] = ask(b, VIRTIO_BLK_T_IN, i, NULL, 0, 512);
    assert_int_equal(b->count, 4);
    finish(b, (unsigned[]){2, 0, 3}, 3);
    came_back(b, asked[2], VIRTIO_BLK_S_OK, 513);
    came_back(b, asked[0], VIRTIO_BLK_S_OK, 513);
    came_back(b, asked[3], VIRTIO_BLK_S_OK, 513);
    assert_int_equal(b->bench.wires.rises, 1);
    assert_int_equal(status_of(b, asked[1]), 0xff);
    finish_all(b);
    came_back(b, asked[1], VIRTIO_BLK_S_OK, 513);
}

/* A backend that has it at once need not let the driver wait. */
static void done_before_submit_returns(void **state)
{
    struct blk_bench *b = *state;

    b->at_once = true;
    for (unsigned i = 0; i < 3; i++)
        came_back(b, ask(b, VIRTIO_BLK_T_IN, i, NULL, 0, 512), VIRTIO_BLK_S_OK, 513);
    assert_int_equal(b->submits, 3);
    assert_int_equal(b->count, 0);
    assert_true(b->bench.wires.level);
    assert_true(b->blk.dev.queue[0].kicks);
}

static void a_full_queue_is_in_flight_at_once(void **state)
{
    struct blk_bench *b = *state;
    struct virtio_blk_header header = {.type = VIRTIO_BLK_T_FLUSH};
    struct virtq_used_elem elem;

    bench_start(&b->bench, BLK_FEATURES | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), VIRTQ_SIZE_MAX);

    const struct bench_buffer flush[] = {{bench_put(&b->bench, &header, 16), 16, false},
                                         {bench_put(&b->bench, "", 1), 1, true}};

    for (unsigned round = 0; round < 3; round++) {
        unsigned submits = b->submits;

        for (unsigned i = 0; i < VIRTQ_SIZE_MAX; i++)
            bench_offer_indirect(&b->bench, 0, flush, 2);
        bench_notify(&b->bench, 0);
        assert_int_equal(b->count, VIRTQ_SIZE_MAX);
        assert_int_equal(b->submits, submits + 1);
        finish_all(b);
        for (unsigned i = 0; i < VIRTQ_SIZE_MAX; i++)
            assert_true(bench_used(&b->bench, 0, &elem));
    }
}

static void sectors_that_are_not_there(void **state)
{
    struct blk_bench *b = *state;
    uint8_t data[1536] = {0};

    refused(b, VIRTIO_BLK_T_IN, BLK_SECTORS, NULL, 0, 512, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_IN, BLK_SECTORS - 1, NULL, 0, 1024, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_OUT, BLK_SECTORS - 2, data, 1536, 0, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_OUT, UINT64_MAX, data, 512, 0, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, data, 512, 0, VIRTIO_BLK_S_IOERR);
    assert_true(bench_said(&b->bench, "pass the end of the disk"));
    refused(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 511, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_OUT, 0, data, 513, 0, VIRTIO_BLK_S_IOERR);
    assert_true(bench_said(&b->bench, "513 bytes of data are no whole number of sectors"));
    /* Nothing at all can be read anywhere, up to the end. */
    refused(b, VIRTIO_BLK_T_IN, BLK_SECTORS, NULL, 0, 0, VIRTIO_BLK_S_OK);
    refused(b, VIRTIO_BLK_T_IN, BLK_SECTORS + 1, NULL, 0, 0, VIRTIO_BLK_S_IOERR);
    assert_int_equal(b->disk[0], 1);
}

static void a_read_only_disk(void **state)
{
    struct blk_bench *b = *state;
    uint8_t data[512] = {0};
    struct virtio_blk_range range = {.sectors = 1};

    remake(b, (struct block_info){.readonly = true}, true, VIRTIO_BIT(VIRTIO_BLK_F_RO));

    uint64_t offered = bench_offered(&b->bench);

    assert_true(offered & VIRTIO_BIT(VIRTIO_BLK_F_RO));
    assert_false(offered &
                 (VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
    refused(b, VIRTIO_BLK_T_OUT, 0, data, 512, 0, VIRTIO_BLK_S_IOERR);
    assert_true(bench_said(&b->bench, "read-only"));
    refused(b, VIRTIO_BLK_T_DISCARD, 0, &range, 16, 0, VIRTIO_BLK_S_IOERR);
    refused(b, VIRTIO_BLK_T_WRITE_ZEROES, 0, &range, 16, 0, VIRTIO_BLK_S_IOERR);

    struct asked asked = ask(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 512);

    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 513);
}

static void discard_and_write_zeroes(void **state)
{
    struct blk_bench *b = *state;
    struct virtio_blk_range range[2] = {{.sector = 4, .sectors = 2}};
    struct asked asked = ask(b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 16, 0);

    assert_false(b->flying[0]->unmap);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);
    assert_int_equal(b->disk[4 * 512 - 1] + b->disk[4 * 512] + b->disk[6 * 512 - 1], 4);
    range->flags = VIRTIO_BLK_UNMAP;
    asked = ask(b, VIRTIO_BLK_T_WRITE_ZEROES, 0, range, 16, 0);
    assert_true(b->flying[0]->unmap);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);
    range->flags = 0;
    asked = ask(b, VIRTIO_BLK_T_DISCARD, 0, range, 16, 0);
    assert_int_equal(b->flying[0]->op, BLOCK_DISCARD);
    assert_int_equal(b->flying[0]->offset, 4 * 512);
    assert_int_equal(b->flying[0]->bytes, 1024);
    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);

    for (uint32_t type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2) {
        refused(b, type, 0, range, 0, 0, VIRTIO_BLK_S_IOERR);
        refused(b, type, 0, range, 15, 0, VIRTIO_BLK_S_IOERR);
        refused(b, type, 0, range, 32, 0, VIRTIO_BLK_S_IOERR);
        range->flags = 2;
        refused(b, type, 0, range, 16, 0, VIRTIO_BLK_S_UNSUPP);
        range->flags = 0;
        range->sectors = BLK_SECTORS;
        refused(b, type, 0, range, 16, 0, VIRTIO_BLK_S_IOERR);
        range->sectors = UINT32_MAX;
        refused(b, type, 0, range, 16, 0, VIRTIO_BLK_S_IOERR);
        range->sector = UINT64_MAX;
        range->sectors = 2;
        refused(b, type, 0, range, 16, 0, VIRTIO_BLK_S_IOERR);
        range->sector = 4;
        range->sectors = 0;
        refused(b, type, 0, range, 16, 0, VIRTIO_BLK_S_OK);
        range->sectors = 2;
    }
    range->flags = VIRTIO_BLK_UNMAP;
    refused(b, VIRTIO_BLK_T_DISCARD, 0, range, 16, 0, VIRTIO_BLK_S_UNSUPP);
}

static void its_id(void **state)
{
    struct blk_bench *b = *state;
    struct asked asked = ask(b, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 20);

    came_back(b, asked, VIRTIO_BLK_S_OK, 21);
    assert_memory_equal(bench_at(&b->bench, asked.data, 20), "serial-7\0\0\0\0\0\0\0\0\0\0\0\0",
                        20);
    asked = ask(b, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 3);
    came_back(b, asked, VIRTIO_BLK_S_OK, 4);
    memset(bench_at(&b->bench, b->bench.next_alloc, 128), 0xee, 128);
    asked = ask(b, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 64);
    came_back(b, asked, VIRTIO_BLK_S_OK, 20);
    assert_int_equal(((uint8_t *)bench_at(&b->bench, asked.data, 64))[20], 0xee);
    asked = ask(b, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 0);
    came_back(b, asked, VIRTIO_BLK_S_OK, 1);

    bench_free(&b->bench);
    blk_make(b, (struct block_info){0}, "12345678901234567890+", true);
    bench_start(&b->bench, BLK_FEATURES, 64);
    asked = ask(b, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 20);
    assert_memory_equal(bench_at(&b->bench, asked.data, 20), "12345678901234567890", 20);
}

static void other_types_are_unsupported(void **state)
{
    struct blk_bench *b = *state;
    static const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 0x80000000, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        refused(b, types[i], 0, NULL, 0, 0, VIRTIO_BLK_S_UNSUPP);
        refused(b, types[i], 0, NULL, 0, 512, VIRTIO_BLK_S_UNSUPP);
    }
}

static void broken(struct blk_bench *b, const struct bench_buffer *buffers, unsigned count,
                   const char *why)
{
    bench_start(&b->bench, BLK_FEATURES, 64);

    struct asked before = ask(b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
    struct virtq_used_elem elem;

    bench_offer(&b->bench, 0, buffers, count);
    bench_notify(&b->bench, 0);
    assert_true(bench_get(&b->bench, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(bench_interrupt(&b->bench), VIRTIO_MMIO_INT_CONFIG);
    assert_true(bench_said(&b->bench, why));
    /* What is in flight ends unheard. */
    finish_all(b);
    assert_int_equal(status_of(b, before), 0xff);
    assert_false(bench_used(&b->bench, 0, &elem));
    assert_int_equal(bench_interrupt(&b->bench), 0);
}

static void malformed_chains_break_the_device(void **state)
{
    struct blk_bench *b = *state;
    struct virtio_blk_header header = {.type = VIRTIO_BLK_T_IN};
    uint64_t at = bench_put(&b->bench, &header, 16), room = bench_alloc(&b->bench, 1024);
    const struct bench_buffer no_status[] = {{at, 16, false}, {room, 512, false}};
    const struct bench_buffer no_header[] = {{room, 513, true}};
    const struct bench_buffer short_header[] = {{at, 15, false}, {room, 513, true}};

    broken(b, no_status, 2, "no byte for its status");
    broken(b, no_header, 1, "a header of 0 bytes");
    broken(b, short_header, 2, "a header of 15 bytes");
    bench_start(&b->bench, BLK_FEATURES, 64);

    struct asked asked = ask(b, VIRTIO_BLK_T_IN, 0, NULL, 0, 512);

    finish_all(b);
    came_back(b, asked, VIRTIO_BLK_S_OK, 513);
}

static void errors_of_the_backend_reach_the_driver(void **state)
{
    struct blk_bench *b = *state;
    uint8_t data[512] = {0};
    struct virtio_blk_range range = {.sector = 9, .sectors = 1};
    const struct {
        uint32_t type;
        const void *from;
        uint32_t readable, writable;
        const char *remark;
    } cases[] = {
        {VIRTIO_BLK_T_IN, NULL, 0, 512, "read of sector 9 failed: errno 5"},
        {VIRTIO_BLK_T_OUT, data, 512, 0, "write of sector 9 failed: errno 5"},
        {VIRTIO_BLK_T_FLUSH, NULL, 0, 0, "flush failed: errno 5"},
        {VIRTIO_BLK_T_DISCARD, &range, 16, 0, "discard at sector 9 failed: errno 5"},
        {VIRTIO_BLK_T_WRITE_ZEROES, &range, 16, 0, "write zeroes at sector 9 failed: errno 5"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct asked asked =
            ask(b, cases[i].type, 9, cases[i].from, cases[i].readable, cases[i].writable);

        b->error = EIO;
        finish_all(b);
        came_back(b, asked, VIRTIO_BLK_S_IOERR, cases[i].writable ? 0 : 1);
        assert_true(bench_said(&b->bench, cases[i].remark));
        assert_int_equal(bench_interrupt(&b->bench), VIRTIO_MMIO_INT_USED_RING);
        b->error = 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What a driver leaves room for, and nothing is written to, is not said to be written. */
static void room_that_is_not_filled_does_not_count(void **state)
{
    struct blk_bench *b = *state;
    static const uint8_t data[512] = {1};
    struct virtq_used_elem elem;
    struct asked asked = ask(b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 512);

    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem));
    assert_int_equal(elem.id, asked.head);
    assert_int_equal(elem.len, 0);
    ask(b, VIRTIO_BLK_T_OUT, 0, data, 512, 512);
    finish_all(b);
    assert_true(bench_used(&b->bench, 0, &elem));
    assert_int_equal(elem.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_and_writes),
        TEST(any_framing),
        TEST(out_of_order_with_one_interrupt),
        TEST(done_before_submit_returns),
        TEST(a_full_queue_is_in_flight_at_once),
        TEST(sectors_that_are_not_there),
        TEST(a_read_only_disk),
        TEST(discard_and_write_zeroes),
        TEST(its_id),
        TEST(other_types_are_unsupported),
        TEST(malformed_chains_break_the_device),
        TEST(errors_of_the_backend_reach_the_driver),
        TEST(room_that_is_not_filled_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
