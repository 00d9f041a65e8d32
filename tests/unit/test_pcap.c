/*
 * test_pcap.c: dumps of frames, read back as pcap-savefile(5) describes them.
 */
#include "host/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER 24
#define RECORD 16

static char folder[] = "/tmp/test_pcap.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    strcpy(path, folder);
    strcat(path, "/dump");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct pcap *open_dump(uint32_t max_len)
{
    struct dump_option option = {.id = "f", .file = path, .max_len = max_len};
    struct pcap *pcap;
    struct error err;

    if (pcap_open(&pcap, &option, &err) < 0)
        fail_msg("%s", err.text);
    return pcap;
}

static void write_bytes(struct pcap *pcap, const char *bytes, size_t len)
{
    pcap_write(pcap, &(struct iovec){(char *)(uintptr_t)bytes, len}, 1, 0);
}

/* The file, and how long it is. */
static size_t read_dump(uint8_t *bytes, size_t size)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, size);

    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static uint32_t field(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static void a_dump_is_a_pcap_file(void **state)
{
    struct pcap *pcap = open_dump(65536);
    struct iovec parts[] = {
        {(char[]){"header12bytes"}, 12}, {(char[]){"abc"}, 3}, {(char[]){"defgh"}, 5}};
    time_t before = time(NULL);
    uint8_t file[200];

    (void)state;
    pcap_write(pcap, parts, 3, 12);
    pcap_write(pcap, parts, 3, 0);

    /* It is there before the dump is closed. */
    assert_int_equal(read_dump(file, sizeof file), HEADER + RECORD + 8 + RECORD + 20);
    assert_int_equal(field(file), 0xa1b2c3d4);
    assert_int_equal(field(file + 4), 2 | 4 << 16);
    assert_int_equal(field(file + 16), 65536);
    assert_int_equal(field(file + 20), 1);
    assert_true(field(file + HEADER) >= (uint32_t)before);
    assert_true(field(file + HEADER) <= (uint32_t)time(NULL));
    assert_true(field(file + HEADER + 4) < 1000000);
    assert_int_equal(field(file + HEADER + 8), 8);
    assert_int_equal(field(file + HEADER + 12), 8);
    assert_memory_equal(file + HEADER + RECORD, "abcdefgh", 8);
    assert_int_equal(field(file + HEADER + RECORD + 8 + 8), 20);
    pcap_close(pcap);
}

static void a_frame_is_cut_at_the_limit(void **state)
{
    struct pcap *pcap = open_dump(6);
    struct iovec parts[] = {{(char[]){"1234"}, 4}, {(char[]){"5678"}, 4}, {(char[]){"9"}, 1}};
    uint8_t file[200];

    (void)state;
    pcap_write(pcap, parts, 3, 0);
    assert_int_equal(read_dump(file, sizeof file), HEADER + RECORD + 6);
    assert_int_equal(field(file + HEADER + 8), 6);
    assert_int_equal(field(file + HEADER + 12), 9);
    assert_memory_equal(file + HEADER + RECORD, "123456", 6);
    pcap_close(pcap);
}

static void a_full_disk_ends_the_dump_after_a_whole_frame(void **state)
{
    struct rlimit old, limit;
    struct pcap *pcap;
    uint8_t file[200];

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = HEADER + 2 * (RECORD + 10) + 5;
    pcap = open_dump(65536);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned i = 0; i < 4; i++)
        write_bytes(pcap, "ten bytes.", 10);
    pcap_close(pcap);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(read_dump(file, sizeof file), HEADER + 2 * (RECORD + 10));
}

static void a_file_that_cannot_be_written_is_said(void **state)
{
    static const char *const bad[] = {"/no/such/folder/dump", "/dev/full", "/"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct dump_option option = {.id = "f", .file = bad[i], .max_len = 65536};
        struct pcap *pcap;
        struct error err = {0};

        assert_int_equal(pcap_open(&pcap, &option, &err), -1);
        assert_int_equal(err.status, STATUS_USAGE);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

/* Wireshark at the other end of a FIFO may be slow: the guest does not wait for it. */
static void a_slow_reader_does_not_hold_up_the_guest(void **state)
{
    static char frame[60000];
    struct pcap *pcap;
    int reader;

    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    pcap = open_dump(65536);
    alarm(10);
    for (unsigned i = 0; i < 5; i++)
        write_bytes(pcap, frame, sizeof frame);
    alarm(0);
    pcap_close(pcap);
    close(reader);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_a_pcap_file),
        cmocka_unit_test(a_frame_is_cut_at_the_limit),
        cmocka_unit_test(a_full_disk_ends_the_dump_after_a_whole_frame),
        cmocka_unit_test(a_file_that_cannot_be_written_is_said),
        cmocka_unit_test(a_slow_reader_does_not_hold_up_the_guest),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
