/*
 * test_chardev_drain.c: a guest has ended, and what it sent waits for readers that are slow, or
 * that read nothing any more.
 */
#include "host/chardev.h"
#include "host/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES 2
#define BULK  (1u << 20) /* more than a socket holds */
#define MS    1000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A guest's line to a socket, whose client reads when its thread runs. */
struct line {
    struct chardev *dev;
    char path[64];
    size_t sent, read;
    int client;
    pthread_t reader;
};

struct bench {
    struct loop loop;
    char folder[32];
    struct line line[LINES];
    struct chardev *dev[CHARDEVS_MAX]; /* as backends.h has them: with holes */
};

static const uint8_t bulk[BULK];

static void send_more(void *opaque)
{
    struct line *line = opaque;

    line->sent += chardev_write(line->dev, bulk, BULK - line->sent);
}

static void *read_slowly(void *opaque)
{
    struct line *line = opaque;
    static _Thread_local char part[65536];
    ssize_t n;

    while (line->read < BULK && (n = read(line->client, part, sizeof part)) > 0) {
        line->read += (size_t)n;
        usleep(5000);
    }
    return NULL;
}

static void connect_client(struct line *line)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, line->path);
    line->client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(line->client, (struct sockaddr *)&address, sizeof address), 0);
    line->dev->listener.ready(line->dev->listener.opaque, POLLIN);
    assert_true(line->dev->open);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    signal(SIGPIPE, SIG_IGN);
    strcpy(b->folder, "/tmp/kvmlens-test-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    assert_int_equal(loop_init(&b->loop), 0);
    for (unsigned i = 0; i < LINES; i++) {
        struct line *line = &b->line[i];
        const struct chardev_option option = {
            .kind = CHARDEV_SOCKET, .id = "c", .path = line->path};
        struct error err;

        snprintf(line->path, sizeof line->path, "%s/%u", b->folder, i);
        assert_int_equal(chardev_open(&line->dev, &b->loop, &option, &err), 0);
        chardev_connect(line->dev, &(struct chardev_peer){.writable = send_more, .opaque = line});
        connect_client(line);
        b->dev[3 * i + 1] = line->dev;
    }
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < LINES; i++) {
        chardev_close(b->line[i].dev);
        close(b->line[i].client);
    }
    loop_close(&b->loop);
    assert_int_equal(rmdir(b->folder), 0);
    free(b);
    return 0;
}

static void slow_readers_get_all_of_it(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < LINES; i++) {
        send_more(&b->line[i]);
        assert_in_range(b->line[i].sent, 1, BULK - 1);
        assert_int_equal(pthread_create(&b->line[i].reader, NULL, read_slowly, &b->line[i]), 0);
    }
    chardev_drain(b->dev, &lock);
    for (unsigned i = 0; i < LINES; i++) {
        assert_int_equal(b->line[i].sent, BULK);
        pthread_join(b->line[i].reader, NULL);
        assert_int_equal(b->line[i].read, BULK);
    }
}

static void a_reader_that_sleeps_keeps_nobody_for_ever(void **state)
{
    struct bench *b = *state;

    send_more(&b->line[0]);
    send_more(&b->line[1]);
    assert_int_equal(pthread_create(&b->line[1].reader, NULL, read_slowly, &b->line[1]), 0);

    uint64_t begun = loop_now();

    chardev_drain(b->dev, &lock);
    assert_in_range(loop_now() - begun, 1990 * MS, 8000 * MS);
    assert_in_range(b->line[0].sent, 1, BULK - 1);
    assert_int_equal(b->line[1].sent, BULK); /* behind the one that sleeps */
    pthread_join(b->line[1].reader, NULL);
}

static void a_reader_that_leaves_ends_it(void **state)
{
    struct bench *b = *state;

    send_more(&b->line[0]);
    shutdown(b->line[0].client, SHUT_RDWR);

    uint64_t begun = loop_now();

    chardev_drain(b->dev, &lock);
    assert_in_range(loop_now() - begun, 0, 1500 * MS);
    assert_int_equal(b->line[0].sent, BULK);
}

static void nothing_waits(void **state)
{
    struct bench *b = *state;
    uint64_t begun = loop_now();

    chardev_drain(b->dev, &lock);
    assert_in_range(loop_now() - begun, 0, 500 * MS);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(slow_readers_get_all_of_it),
        BENCH_TEST(a_reader_that_sleeps_keeps_nobody_for_ever),
        BENCH_TEST(a_reader_that_leaves_ends_it),
        BENCH_TEST(nothing_waits),
    };

    return cmocka_run_group_tests_name("chardev_drain", tests, NULL, NULL);
}
