/*
 * test_disk.c: vmm/host/disk*.c against real files: data, errors of every system call, holes,
 * draining.
 */
#include "disk_bench.h"

#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define IMAGE_BYTES 65536

static int setup(void **state)
{
    struct bench *b = malloc(sizeof(*b));

    make_image(b, "/tmp", IMAGE_BYTES);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

static void data_goes_both_ways_in_pieces(void **state)
{
    struct bench *b = *state;
    uint8_t out[1536], in[1536];
    struct iovec from[] = {{out, 1}, {out + 1, 700}, {out + 701, 0}, {out + 701, 835}};
    struct iovec to[] = {{in, 1000}, {in + 1000, 536}};
    struct block_request write = {
        .op = BLOCK_WRITE, .offset = 512, .bytes = 1536, .iov = from, .iov_count = 4};
    struct block_request read = {.offset = 512, .bytes = 1536, .iov = to, .iov_count = 2};

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7);
    connect(b);
    assert_int_equal(perform(b, &write), 0);
    assert_int_equal(perform(b, &read), 0);
    assert_memory_equal(in, out, sizeof(in));
    assert_true(file_holds(b, 0, 512, 0x5a) && file_holds(b, 2048, 512, 0x5a));

    /* The same in shreds, each interrupted. */
    memset(in, 0, sizeof(in));
    shim.at_once = 100;
    shim.fail_once[CALL_READ] = shim.fail_once[CALL_WRITE] = EINTR;
    assert_int_equal(perform(b, &write), 0);
    assert_int_equal(perform(b, &read), 0);
    assert_memory_equal(in, out, sizeof(in));
    assert_in_range(shim.count[CALL_READ], 2 + 16, 2 + 18);
}

static void many_at_once_all_come_back(void **state)
{
    struct bench *b = *state;
    static struct block_request request[256];
    static struct iovec iov[256];
    static uint8_t data[256][512];

    connect(b);
    for (unsigned round = 0; round < 4; round++) {
        bool write = round % 2 == 0;

        for (unsigned i = 0; i < 256; i++) {
            memset(data[i], write ? (int)(i + round) : 0xee, 512);
            iov[i] = (struct iovec){data[i], 512};
            request[i] = (struct block_request){.op = write ? BLOCK_WRITE : BLOCK_READ,
                                                .offset = (i % 128) * 512,
                                                .bytes = 512,
                                                .iov = &iov[i],
                                                .iov_count = 1,
                                                .next = i % 64 == 63 ? NULL : &request[i + 1]};
        }
        for (unsigned i = 0; i < (write ? 128u : 256u); i += 64)
            submit(b, &request[i]);
        await(b, round / 2 * 384 + (write ? 128 : 384));
        for (unsigned i = 0; i < (write ? 0u : 256u); i++) {
            assert_int_equal(request[i].error, 0);
            assert_int_equal(data[i][511], (uint8_t)(i % 128 + round - 1));
        }
    }
}

static void a_shrunk_image_is_an_error_and_its_last_sector_is_padded(void **state)
{
    struct bench *b = *state;
    uint8_t data[1024];

    assert_int_equal(truncate(b->path, 1000), 0);
    connect(b);
    assert_int_equal(disk_info(b->disk).bytes, 1024);
    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 1024), 0);
    assert_int_equal(data[999], 0x5a);
    for (unsigned i = 1000; i < 1024; i++)
        assert_int_equal(data[i], 0);
    assert_int_equal(truncate(b->path, 600), 0);
    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 512), 0);
    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 1024), EIO);
    assert_int_equal(transfer(b, BLOCK_READ, 512, data, 512), EIO);

    memset(data, 1, sizeof(data));
    assert_int_equal(transfer(b, BLOCK_WRITE, 512, data, 512), 0);
    assert_int_equal(file_size(b), 1024);
    assert_int_equal(transfer(b, BLOCK_READ, 512, data, 512), 0);
    assert_int_equal(data[511], 1);
}

static void errors_of_the_host_come_through(void **state)
{
    struct bench *b = *state;
    uint8_t data[512] = {0};

    connect(b);
    shim.fail[CALL_READ] = EIO;
    shim.fail[CALL_WRITE] = ENOSPC;
    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 512), EIO);
    assert_int_equal(transfer(b, BLOCK_WRITE, 0, data, 512), ENOSPC);
    shim_reset();
    assert_int_equal(transfer(b, BLOCK_WRITE, 0, data, 512), 0);
}

/* A write that begins well and then finds the limit, as on a full disk. */
static void a_file_at_its_limit_is_an_error_and_no_signal(void **state)
{
    struct bench *b = *state;
    struct rlimit limit, small = {.rlim_cur = 2048};
    uint8_t data[4096] = {0};

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small.rlim_max = limit.rlim_max;
    connect(b);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);

    int error = transfer(b, BLOCK_WRITE, 0, data, 4096);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(error, EFBIG);
    assert_true(file_holds(b, 0, 2048, 0));
}

static int fill_small_disk(const char *folder)
{
    struct bench b;
    static uint8_t data[65536];

    make_image(&b, folder, 4096);
    assert_int_equal(truncate(b.path, 1 << 20), 0);
    connect(&b);
    for (unsigned at = 0; at < 1 << 20; at += sizeof(data)) {
        int error = transfer(&b, BLOCK_WRITE, at, data, sizeof(data));

        if (error == ENOSPC && at > 0) {
            /* What is there stays usable. */
            error = transfer(&b, BLOCK_WRITE, 0, data, 4096);
            error = error ? error : transfer(&b, BLOCK_READ, at + 65536, data, 512);
            end(&b);
            return error ? 1 : 0;
        }
    }
    return 2;
}

static void a_full_disk_is_an_error(void **state)
{
    char folder[] = "/tmp/kvmlens-full-XXXXXX";
    int status;

    (void)state;
    assert_non_null(mkdtemp(folder));

    pid_t child = fork();

    if (child == 0) {
        if (unshare(CLONE_NEWNS) < 0) /* root alone may mount */
            _exit(77);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", folder, "tmpfs", 0, "size=512k") < 0)
            _exit(77);
        _exit(fill_small_disk(folder));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    rmdir(folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

/* Reads that come out of memory come back several at a time, and none is left behind. */
static void quick_ones_come_back_together(void **state)
{
    struct bench *b = *state;
    static struct block_request request[64];
    uint8_t data[512];
    struct iovec iov = {data, 512};

    connect(b);
    for (unsigned round = 1; round <= 100; round++) {
        for (unsigned i = 0; i < 64; i++)
            request[i] = (struct block_request){
                .bytes = 512, .iov = &iov, .iov_count = 1, .next = i < 63 ? &request[i + 1] : NULL};
        submit(b, request);
        await(b, round * 64);
    }
    assert_in_range(b->lists, 100, 64 * 100 - 1);
}

static void *submit_elsewhere(void *opaque)
{
    struct bench *b = opaque;
    uint8_t data[512];

    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 512), 0);
    return NULL;
}

/* By the thread that connected the disk, up to 128 KiB; all else is the pool's. */
static void what_is_in_memory_is_read_at_once(void **state)
{
    struct bench *b = *state;
    static uint8_t data[129 << 10];
    struct iovec iov = {data, 512};
    struct block_request one = {.bytes = 512, .iov = &iov, .iov_count = 1}, two = one, three = one;
    pthread_t thread;

    one.error = two.error = EIO;
    one.next = &two;
    two.next = &three;
    three.op = BLOCK_WRITE;
    assert_int_equal(truncate(b->path, 129 << 10), 0);
    connect(b);
    shim.cached = true;
    shim_hold(CALL_WRITE, true);
    submit(b, &one);
    assert_true(b->done == 2 && b->lists == 1); /* before anybody has waited */
    assert_int_equal(one.error | two.error, 0);
    assert_int_equal(data[511], 0x5a);
    shim_hold(CALL_WRITE, false);
    await(b, 3);
    assert_int_equal(shim.count[CALL_READ], 0);
    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 129 << 10), 0);
    assert_int_equal(shim.count[CALL_READ], 1);
    assert_int_equal(pthread_create(&thread, NULL, submit_elsewhere, b), 0);
    pthread_join(thread, NULL);
    assert_int_equal(shim.count[CALL_READ], 2);
    shim.at_once = 100; /* a part of it is there: all of it is read again */
    memset(data, 0, 512);
    assert_int_equal(transfer(b, BLOCK_READ, 512, data, 512), 0);
    assert_int_equal(shim.count[CALL_READ], 2 + 6);
    assert_int_equal(data[511], 0x5a);
}

static uint64_t allocated(const struct bench *b)
{
    struct stat st;

    assert_int_equal(stat(b->path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void discard_makes_a_hole_where_it_may(void **state)
{
    struct bench *b = *state;
    struct block_request request = {.op = BLOCK_DISCARD, .offset = 16384, .bytes = 32768};

    connect(b);
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_FALLOCATE], 0);
    assert_true(file_holds(b, 0, IMAGE_BYTES, 0x5a));
    drain(b);
    disk_disconnect(b->disk);
    disk_close(b->disk);

    b->drive.discard = true;
    connect(b);

    uint64_t before = allocated(b);

    assert_int_equal(perform(b, &request), 0);
    assert_true(allocated(b) < before || before == 0); /* 0: a file system that allocates late */
    assert_true(file_holds(b, 16384, 32768, 0) && file_holds(b, 49152, 16384, 0x5a));
    shim.fail[CALL_FALLOCATE] = EOPNOTSUPP;
    assert_int_equal(perform(b, &request), 0);
    shim.fail[CALL_FALLOCATE] = EIO;
    assert_int_equal(perform(b, &request), EIO);
}

static void zeroes_are_written_in_the_best_way_there_is(void **state)
{
    struct bench *b = *state;
    struct block_request request = {.op = BLOCK_WRITE_ZEROES, .offset = 512, .bytes = 1024};

    b->drive.discard = true;
    connect(b);
    assert_int_equal(perform(b, &request), 0);
    assert_true(shim.last_mode & FALLOC_FL_ZERO_RANGE);
    assert_true(file_holds(b, 512, 1024, 0) && file_holds(b, 0, 512, 0x5a));
    request.unmap = true;
    request.offset = 2048;
    assert_int_equal(perform(b, &request), 0);
    assert_true(shim.last_mode & FALLOC_FL_PUNCH_HOLE);
    assert_true(file_holds(b, 2048, 1024, 0) && file_holds(b, 1536, 512, 0x5a));

    shim_reset();
    shim.fail[CALL_FALLOCATE] = EOPNOTSUPP;
    request.offset = 4096;
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_WRITE], 1);
    assert_true(file_holds(b, 4096, 1024, 0) && file_holds(b, 5120, 512, 0x5a));
    shim.fail[CALL_FALLOCATE] = ENOSPC;
    assert_int_equal(perform(b, &request), ENOSPC);
}

static void zeroes_without_help_may_be_many(void **state)
{
    struct bench *b = *state;
    struct block_request request = {
        .op = BLOCK_WRITE_ZEROES, .offset = 512, .bytes = (3 << 20) + 1536};

    assert_int_equal(truncate(b->path, 4 << 20), 0);
    connect(b);
    shim.fail[CALL_FALLOCATE] = EOPNOTSUPP;
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_WRITE], 4);
    assert_true(file_holds(b, 512, IMAGE_BYTES, 0) && file_holds(b, 0, 512, 0x5a));
}

static void *let_go(void *opaque)
{
    usleep(50000);
    shim_hold(CALL_WRITE, false);
    return opaque;
}

static void *let_reads_go(void *opaque)
{
    usleep(50000);
    shim_hold(CALL_READ, false);
    return opaque;
}

static void drain_waits_for_what_runs_and_cancels_the_rest(void **state)
{
    struct bench *b = *state;
    static struct block_request request[64];
    uint8_t data[512] = {0};
    struct iovec iov = {data, 512};
    unsigned cancelled = 0;
    pthread_t thread;

    connect(b);
    drain(b); /* nothing is in flight */
    shim_hold(CALL_WRITE, true);
    for (unsigned i = 0; i < 64; i++)
        request[i] = (struct block_request){.op = BLOCK_WRITE,
                                            .offset = i * 512,
                                            .bytes = 512,
                                            .iov = &iov,
                                            .iov_count = 1,
                                            .next = i < 63 ? &request[i + 1] : NULL};
    submit(b, request);
    shim_await(CALL_WRITE, 16);
    assert_int_equal(pthread_create(&thread, NULL, let_go, NULL), 0);
    drain(b);
    assert_int_equal(b->done, 64);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < 64; i++) {
        assert_true(request[i].error == 0 || request[i].error == ECANCELED);
        cancelled += request[i].error != 0;
    }
    assert_in_range(cancelled, 1, 48);
    assert_int_equal(flush(b), 0); /* and it goes on */
}

static void a_huge_request_goes_in_parts(void **state)
{
    struct bench *b = *state;
    static uint8_t data[1 << 20];
    struct iovec iov[40];
    struct block_request request = {
        .op = BLOCK_WRITE, .bytes = 40 << 20, .iov = iov, .iov_count = 40};

    for (unsigned i = 0; i < 40; i++)
        iov[i] = (struct iovec){data, sizeof(data)};
    assert_int_equal(truncate(b->path, 40 << 20), 0);
    connect(b);
    assert_int_equal(perform(b, &request), 0);
    assert_int_equal(shim.count[CALL_WRITE], 3);
    assert_true(file_holds(b, 0, IMAGE_BYTES, 0));
    request.op = BLOCK_READ;
    request.error = 0;
    shim_hold(CALL_READ, true);
    submit(b, &request);
    shim_await(CALL_READ, 1);

    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, let_reads_go, NULL), 0);
    drain(b);
    pthread_join(thread, NULL);
    assert_int_equal(request.error, ECANCELED);
    assert_int_equal(shim.count[CALL_READ], 1);
}

/* What finishes while the device lock is taken comes back together. */
static void completions_come_back_in_lists(void **state)
{
    struct bench *b = *state;
    static struct block_request request[8];
    uint8_t data[512];
    struct iovec iov = {data, 512};

    connect(b);
    pthread_mutex_lock(&b->device_lock);
    for (unsigned i = 0; i < 8; i++) {
        request[i] = (struct block_request){.op = BLOCK_FLUSH, .iov = &iov};
        b->backend.submit(b->backend.opaque, &request[i]);
    }
    usleep(50000);
    assert_int_equal(b->done, 0);
    pthread_mutex_unlock(&b->device_lock);
    await(b, 8);
    assert_in_range(b->lists, 1, 7);
}

static void direct_io_bounces_what_is_not_aligned(void **state)
{
    struct bench *b = *state;
    static uint8_t space[600000] __attribute__((aligned(4096)));
    struct error err;

    assert_int_equal(truncate(b->path, 1 << 20), 0);
    b->drive.cache = CACHE_NONE;
    if (disk_open(&b->disk, &b->drive, &err) < 0)
        skip(); /* no direct I/O on this file system */
    disk_close(b->disk);
    connect(b);
    for (size_t i = 0; i < sizeof(space); i++)
        space[i] = (uint8_t)(i / 512 + i);
    assert_int_equal(transfer(b, BLOCK_WRITE, 4096, space, 4096), 0);
    assert_int_equal(shim.count[CALL_WRITE], 1);
    assert_int_equal(transfer(b, BLOCK_WRITE, 8192, space + 4097, 524288), 0);
    assert_int_equal(shim.count[CALL_WRITE], 3);
    memset(space, 0, sizeof(space));
    assert_int_equal(transfer(b, BLOCK_READ, 4096, space + 3, 528384), 0);
    for (size_t i = 0; i < 528384; i++) {
        size_t was = i < 4096 ? i : i + 1;

        assert_int_equal(space[3 + i], (uint8_t)(was / 512 + was));
    }
    assert_true(file_holds(b, 0, 4096, 0x5a));
}

static void an_image_that_direct_io_cannot_end_uses_the_page_cache(void **state)
{
    struct bench *b = *state;
    uint8_t data[512];
    struct error err;

    assert_int_equal(truncate(b->path, 1000), 0);
    b->drive.cache = CACHE_NONE;
    if (disk_open(&b->disk, &b->drive, &err) < 0)
        skip(); /* no direct I/O on this file system */
    disk_close(b->disk);
    connect(b);
    assert_int_equal(transfer(b, BLOCK_READ, 512, data, 512), 0);
    assert_int_equal(data[487], 0x5a);
    assert_int_equal(data[488], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_goes_both_ways_in_pieces),
        TEST(many_at_once_all_come_back),
        TEST(a_shrunk_image_is_an_error_and_its_last_sector_is_padded),
        TEST(errors_of_the_host_come_through),
        TEST(a_file_at_its_limit_is_an_error_and_no_signal),
        TEST(a_full_disk_is_an_error),
        TEST(quick_ones_come_back_together),
        TEST(what_is_in_memory_is_read_at_once),
        TEST(discard_makes_a_hole_where_it_may),
        TEST(zeroes_are_written_in_the_best_way_there_is),
        TEST(zeroes_without_help_may_be_many),
        TEST(drain_waits_for_what_runs_and_cancels_the_rest),
        TEST(a_huge_request_goes_in_parts),
        TEST(completions_come_back_in_lists),
        TEST(direct_io_bounces_what_is_not_aligned),
        TEST(an_image_that_direct_io_cannot_end_uses_the_page_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
