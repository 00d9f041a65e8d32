/*
 * test_disk_flush.c: vmm/host/disk_perform.c: what is durable when.
 */
#include "disk_bench.h"

static int setup(void **state)
{
    struct bench *b = malloc(sizeof(*b));

    make_image(b, "/tmp", 65536);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

static void a_flush_covers_what_came_before_it(void **state)
{
    struct bench *b = *state;
    uint8_t data[512] = {0};
    struct block_request first = {.op = BLOCK_FLUSH}, second = {.op = BLOCK_FLUSH};

    connect(b);
    assert_int_equal(transfer(b, BLOCK_WRITE, 0, data, 512), 0);
    assert_int_equal(shim.count[CALL_SYNC], 0);
    shim_hold(CALL_SYNC, true);
    submit(b, &first);
    shim_await(CALL_SYNC, 1);

    /* Written while a sync is under way: that one may have missed it. */
    assert_int_equal(transfer(b, BLOCK_WRITE, 512, data, 512), 0);
    submit(b, &second);
    usleep(20000);
    assert_int_equal(shim.count[CALL_SYNC], 1);
    shim_hold(CALL_SYNC, false);
    await(b, 4);
    assert_int_equal(shim.count[CALL_SYNC], 2);
    for (unsigned i = 2; i < 4; i++) /* each has a thread: either may come back first */
        assert_true(b->synced[i] >= (b->order[i] == &first ? 1 : 2));
    assert_int_equal(first.error | second.error, 0);
}

static void a_write_does_not_wait_for_the_flush_behind_it(void **state)
{
    struct bench *b = *state;
    uint8_t data[512] = {0};
    struct iovec iov = {data, 512};
    struct block_request behind = {.op = BLOCK_FLUSH};
    struct block_request write = {
        .op = BLOCK_WRITE, .bytes = 512, .iov = &iov, .iov_count = 1, .next = &behind};

    connect(b);
    shim_hold(CALL_SYNC, true);
    submit(b, &write);
    await(b, 1);
    assert_ptr_equal(b->order[0], &write);
    shim_hold(CALL_SYNC, false);
    await(b, 2);
}

static void flushes_that_wait_share_a_sync(void **state)
{
    struct bench *b = *state;
    struct block_request request[6];

    connect(b);
    shim_hold(CALL_SYNC, true);
    for (unsigned i = 0; i < 6; i++) {
        request[i] = (struct block_request){.op = BLOCK_FLUSH};
        submit(b, &request[i]);
        if (i == 0)
            shim_await(CALL_SYNC, 1);
    }
    usleep(50000);
    shim_hold(CALL_SYNC, false);
    await(b, 6);
    assert_in_range(shim.count[CALL_SYNC], 2, 3); /* 3: a thread was late */
}

static void a_lost_write_is_never_flushed_again(void **state)
{
    struct bench *b = *state;
    uint8_t data[512] = {0};

    connect(b);
    assert_int_equal(flush(b), 0);
    shim.fail_once[CALL_SYNC] = EINTR;
    assert_int_equal(flush(b), 0);
    shim.fail_once[CALL_SYNC] = EIO;
    assert_int_equal(flush(b), EIO);
    assert_int_equal(flush(b), EIO);
    assert_int_equal(transfer(b, BLOCK_WRITE, 0, data, 512), 0);
    assert_int_equal(flush(b), EIO);
}

static void stable_writes_are_durable_when_done(void **state)
{
    struct bench *b = *state;
    uint8_t data[512] = {0};
    struct iovec iov = {data, 512};
    struct block_request request = {
        .op = BLOCK_WRITE, .stable = true, .bytes = 512, .iov = &iov, .iov_count = 1};

    connect(b);
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_SYNC], 1);
    assert_int_equal(shim.writes_synced, 1);
    request.op = BLOCK_WRITE_ZEROES;
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_SYNC], 2);
    request.op = BLOCK_READ;
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_SYNC], 2);
    request.op = BLOCK_WRITE;
    shim.fail[CALL_SYNC] = ENOSPC;
    assert_int_equal(perform(b, &request), ENOSPC);
}

static void unsafe_disks_are_never_synced(void **state)
{
    struct bench *b = *state;

    b->drive.cache = CACHE_UNSAFE;
    connect(b);
    assert_int_equal(flush(b), 0);
    assert_int_equal(shim.count[CALL_SYNC], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flush_covers_what_came_before_it),
        TEST(a_write_does_not_wait_for_the_flush_behind_it),
        TEST(flushes_that_wait_share_a_sync),
        TEST(a_lost_write_is_never_flushed_again),
        TEST(stable_writes_are_durable_when_done),
        TEST(unsafe_disks_are_never_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
