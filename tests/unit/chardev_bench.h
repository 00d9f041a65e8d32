/*
 * chardev_bench.h: a character device on a test bench: the guest's end, a loop, and a folder of its
 * own for sockets and files.
 */
#ifndef KVMLENS_CHARDEV_BENCH_H
#define KVMLENS_CHARDEV_BENCH_H

#include "host/chardev.h"
#include "host/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A guest's end that takes ROOM bytes more, in a folder of its own. */
struct bench {
    struct loop loop;
    struct chardev *dev;
    char folder[32], path[64];
    char got[200000];
    unsigned count, room, opens, closes, writables;
};

static inline unsigned guest_room(void *opaque)
{
    return ((struct bench *)opaque)->room;
}

static inline void guest_receive(void *opaque, const uint8_t *bytes, unsigned count)
{
    struct bench *b = opaque;

    assert_true(count <= b->room);
    memcpy(b->got + b->count, bytes, count);
    b->count += count;
    b->room -= count;
}

static inline void guest_writable(void *opaque)
{
    ((struct bench *)opaque)->writables++;
}

static inline void guest_opened(void *opaque, bool open)
{
    struct bench *b = opaque;

    assert_int_equal(b->dev->open, open);
    (*(open ? &b->opens : &b->closes))++;
}

static inline int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    signal(SIGPIPE, SIG_IGN);
    strcpy(b->folder, "/tmp/kvmlens-test-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/x", b->folder);
    assert_int_equal(loop_init(&b->loop), 0);
    b->room = sizeof b->got;
    *state = b;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *b = *state;

    chardev_close(b->dev);
    loop_close(&b->loop);
    unlink(b->path);
    assert_int_equal(rmdir(b->folder), 0);
    free(b);
    return 0;
}

static inline int try_open(struct bench *b, enum chardev_kind kind, bool wait, struct error *err)
{
    const struct chardev_option option = {
        .kind = kind, .id = "c", .path = kind == CHARDEV_PTY ? NULL : b->path, .wait = wait};

    return chardev_open(&b->dev, &b->loop, &option, err);
}

static inline void connect_guest(struct bench *b)
{
    chardev_connect(b->dev, &(struct chardev_peer){.room = guest_room,
                                                   .receive = guest_receive,
                                                   .writable = guest_writable,
                                                   .opened = guest_opened,
                                                   .opaque = b});
}

static inline void open_for_guest(struct bench *b, enum chardev_kind kind)
{
    struct error err;

    if (try_open(b, kind, false, &err) < 0)
        fail_msg("%s", err.text);
    connect_guest(b);
}

static inline void quit_loop(void *loop)
{
    loop_quit(loop);
}

static inline void run(struct bench *b)
{
    struct loop_timer limit = {
        .deadline = loop_now() + 30 * MS, .fire = quit_loop, .opaque = &b->loop};

    loop_add_timer(&b->loop, &limit);
    assert_int_equal(loop_run(&b->loop, &lock), 0);
    loop_remove_timer(&b->loop, &limit);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
