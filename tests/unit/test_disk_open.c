/*
 * test_disk_open.c: vmm/host/disk.c and disk_lock.c: what is no disk, who may open an image beside
 * whom; and disk_io.c on a disk whose blocks are larger than a sector.
 */
#include "disk_bench.h"

#include "host/disk_internal.h"

#include <sys/wait.h>

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

/* Opening fails with one line that has WORDS in it. */
static void refused(const struct drive_option *drive, const char *words)
{
    struct disk *disk = NULL;
    struct error err = {0};

    assert_int_equal(disk_open(&disk, drive, &err), -1);
    assert_null(disk);
    assert_int_equal(err.status, STATUS_IMAGE);
    if (!strstr(err.text, words))
        fail_msg("'%s' lacks '%s'", err.text, words);
}

static void what_is_no_disk_is_refused_by_name(void **state)
{
    struct bench *b = *state;
    struct drive_option drive = b->drive;
    char folder[] = "/tmp/kvmlens-disk-XXXXXX", name[300], pipe[64];

    memset(name, 'x', sizeof(name));
    name[299] = '\0';
    drive.file = name;
    refused(&drive, "File name too long");
    drive.file = "/tmp/kvmlens/no/such/file";
    refused(&drive, "/tmp/kvmlens/no/such/file: cannot open: No such file");
    drive.file = "/dev/null";
    refused(&drive, "a character device");
    assert_non_null(mkdtemp(folder));
    drive.file = folder;
    refused(&drive, "Is a directory");
    drive.readonly = true;
    refused(&drive, "found a directory");
    snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    drive.file = pipe;
    refused(&drive, "a pipe");
    unlink(pipe);
    rmdir(folder);
    assert_int_equal(truncate(b->path, 0), 0);
    drive.file = b->path;
    refused(&drive, "empty");
}

static void what_may_only_be_read_is_refused_with_advice(void **state)
{
    struct bench *b = *state;
    bool root = geteuid() == 0; /* who may write anything */

    assert_int_equal(chmod(b->path, 0444), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    refused(&b->drive, "readonly=on");
    b->drive.readonly = true;
    connect(b);
    assert_int_equal(root ? seteuid(0) : 0, 0);
}

static void info_tells_what_was_opened(void **state)
{
    struct bench *b = *state;

    b->drive.readonly = true;
    b->drive.cache = CACHE_WRITETHROUGH;
    connect(b);

    struct block_info info = disk_info(b->disk);

    assert_int_equal(info.bytes, 65536);
    assert_true(info.readonly);
    assert_false(info.writeback);
    assert_in_range(info.physical_block, 512, 65536);

    uint8_t data[512];

    assert_int_equal(transfer(b, BLOCK_READ, 0, data, 512), 0);
    assert_int_equal(transfer(b, BLOCK_WRITE, 0, data, 512), EBADF);
    assert_int_equal(flush(b), 0);
    assert_int_equal(shim.count[CALL_SYNC], 0);
}

/* Another process opens the image; returns whether it could. */
static bool other_opens(const struct bench *b, bool readonly, bool locking)
{
    struct drive_option drive = b->drive;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct disk *disk;
        struct error err = {0};

        drive.readonly = readonly;
        drive.locking = locking;
        if (disk_open(&disk, &drive, &err) < 0)
            _exit(strstr(err.text, "Is another process using the image?") ? 1 : 2);
        disk_close(disk);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void a_writer_is_alone(void **state)
{
    struct bench *b = *state;

    connect(b);
    assert_false(other_opens(b, false, true));
    assert_false(other_opens(b, true, true));
    assert_true(other_opens(b, false, false));
    refused(&b->drive, "Is another process using the image?"); /* two -drive of one command line */
    drain(b);
    disk_disconnect(b->disk);
    disk_close(b->disk);
    b->disk = NULL;
    assert_true(other_opens(b, false, true));
}

static void readers_are_many(void **state)
{
    struct bench *b = *state;

    b->drive.readonly = true;
    connect(b);
    assert_true(other_opens(b, true, true));
    assert_false(other_opens(b, false, true));
}

static void without_locking_nobody_is_kept_off(void **state)
{
    struct bench *b = *state;

    b->drive.locking = false;
    connect(b);
    assert_true(other_opens(b, false, true));
}

/* QEMU's bytes, as its own processes hold them: a writer 100, 101 and 201, a reader 100 and 201. */
static void the_lock_is_qemus(void **state)
{
    struct bench *b = *state;
    static const struct {
        off_t byte;
        bool held[2];
    } bytes[] = {{100, {true, true}},
                 {101, {true, false}},
                 {200, {false, false}},
                 {201, {true, true}},
                 {203, {false, false}}};

    for (int readonly = 0; readonly < 2; readonly++) {
        int fd = open(b->path, O_RDWR);

        b->drive.readonly = readonly;
        connect(b);
        for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
            struct flock range = {
                .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = bytes[i].byte, .l_len = 1};

            assert_int_equal(fcntl(fd, F_OFD_GETLK, &range), 0);
            assert_int_equal(range.l_type != F_UNLCK, bytes[i].held[readonly]);
        }
        close(fd);
        disk_disconnect(b->disk);
        disk_close(b->disk);
        b->disk = NULL;
    }
}

/* Sectors of one 4 KiB block, written side by side, each by rewriting the block. */
static void parts_of_a_block_do_not_overwrite_each_other(void **state)
{
    struct bench *b = *state;
    static struct block_request request[128];
    static struct iovec iov[128];
    static uint8_t data[128][512];

    connect(b);
    b->disk->align = 4096;
    for (unsigned i = 0; i < 128; i++) {
        memset(data[i], (int)i + 1, 512);
        iov[i] = (struct iovec){data[i], 512};
        request[i] = (struct block_request){.op = BLOCK_WRITE,
                                            .offset = i * 512,
                                            .bytes = 512,
                                            .iov = &iov[i],
                                            .iov_count = 1,
                                            .next = i < 127 ? &request[i + 1] : NULL};
    }
    submit(b, request);
    await(b, 128);
    for (unsigned i = 0; i < 128; i++) {
        assert_int_equal(request[i].error, 0);
        assert_true(file_holds(b, i * 512, 512, (uint8_t)(i + 1)));
    }
    /* Across two blocks, with whole ones between. */
    static uint8_t more[16384];

    memset(more, 0xcc, sizeof(more));
    assert_int_equal(transfer(b, BLOCK_WRITE, 3584, more, 9728), 0);
    assert_true(file_holds(b, 3072, 512, 7) && file_holds(b, 3584, 9728, 0xcc) &&
                file_holds(b, 13312, 512, 27));
    assert_int_equal(transfer(b, BLOCK_READ, 3072, more, 1024), 0);
    assert_true(more[511] == 7 && more[512] == 0xcc);

    struct block_request zeroes = {.op = BLOCK_WRITE_ZEROES, .offset = 512, .bytes = 1024};

    shim.fail[CALL_FALLOCATE] = EINVAL;
    assert_int_equal(perform(b, &zeroes), 0);
    assert_true(file_holds(b, 0, 512, 1) && file_holds(b, 512, 1024, 0) &&
                file_holds(b, 1536, 512, 4));
}

/* Who rewrites a block does not bring back what is being cleared beside it. */
static void parts_of_a_block_are_cleared_alone(void **state)
{
    struct bench *b = *state;
    uint8_t data[512];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct block_request write = {
        .op = BLOCK_WRITE, .bytes = sizeof(data), .iov = &iov, .iov_count = 1};
    struct block_request clear = {.op = BLOCK_WRITE_ZEROES, .offset = 512, .bytes = 512};

    memset(data, 0x33, sizeof(data));
    connect(b);
    b->disk->align = 4096;
    shim_hold(CALL_WRITE, true);
    submit(b, &write);
    shim_await(CALL_WRITE, 1); /* it has read the block */
    submit(b, &clear);
    usleep(50000); /* time to clear it too early */
    shim_hold(CALL_WRITE, false);
    await(b, 2);
    assert_int_equal(write.error | clear.error, 0);
    assert_true(file_holds(b, 0, 512, 0x33) && file_holds(b, 512, 512, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_disk_is_refused_by_name),
        TEST(what_may_only_be_read_is_refused_with_advice),
        TEST(info_tells_what_was_opened),
        TEST(a_writer_is_alone),
        TEST(readers_are_many),
        TEST(without_locking_nobody_is_kept_off),
        TEST(the_lock_is_qemus),
        TEST(parts_of_a_block_do_not_overwrite_each_other),
        TEST(parts_of_a_block_are_cleared_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
