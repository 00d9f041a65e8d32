/*
 * test_host.c: the host's end of the serial line, over real pipes, files and pseudo-terminals.
 */
#include "host/chardev.h"
#include "host/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A guest's end with a receiver of `room` bytes. */
struct guest {
    struct loop loop;
    struct chardev *dev;
    char got[8192];
    unsigned count, room, breaks, writables, quit_after;
    bool quit;
};

static unsigned guest_room(void *opaque)
{
    return ((struct guest *)opaque)->room;
}

static void guest_receive(void *opaque, const uint8_t *bytes, unsigned count)
{
    struct guest *g = opaque;

    assert_true(count <= g->room);
    memcpy(g->got + g->count, bytes, count);
    g->count += count;
    if (g->room < 100)
        g->room -= count;
    if (g->quit_after && g->count >= g->quit_after)
        loop_quit(&g->loop);
}

static void guest_break(void *opaque)
{
    ((struct guest *)opaque)->breaks++;
}

static void guest_writable(void *opaque)
{
    struct guest *g = opaque;

    g->writables++;
    loop_quit(&g->loop);
}

static void guest_quit(void *opaque)
{
    struct guest *g = opaque;

    g->quit = true;
    loop_quit(&g->loop);
}

static int saved_stdio[3];

/* Makes stdin and stdout what the test wants. */
static void redirect_stdio(int in, int out)
{
    fflush(NULL);
    for (int i = 0; i < 3; i++)
        saved_stdio[i] = dup(i);
    if (in >= 0)
        dup2(in, 0);
    if (out >= 0)
        dup2(out, 1);
    dup2(open("/dev/null", O_WRONLY), 2);
}

static void restore_stdio(void)
{
    fflush(NULL);
    for (int i = 0; i < 3; i++) {
        dup2(saved_stdio[i], i);
        close(saved_stdio[i]);
    }
}

static const struct chardev_option stdio_raw = {.kind = CHARDEV_STDIO, .signals = true};
static const struct chardev_option stdio_mon = {.kind = CHARDEV_STDIO, .escape = true};
static const struct chardev_option pty = {.kind = CHARDEV_PTY};

static struct guest *open_line(const struct chardev_option *option)
{
    struct guest *g = calloc(1, sizeof *g);
    struct error err;

    assert_int_equal(loop_init(&g->loop), 0);
    assert_int_equal(chardev_open(&g->dev, &g->loop, option, &err), 0);
    g->dev->quit = guest_quit;
    g->dev->quit_opaque = g;
    return g;
}

static struct guest *open_guest(const struct chardev_option *option, unsigned room)
{
    struct guest *g = open_line(option);

    g->room = room;
    chardev_connect(g->dev, &(struct chardev_peer){.room = guest_room,
                                                   .receive = guest_receive,
                                                   .receive_break = guest_break,
                                                   .writable = guest_writable,
                                                   .opaque = g});
    return g;
}

static struct guest *open_file(const char *path)
{
    return open_guest(&(struct chardev_option){.kind = CHARDEV_FILE, .path = path}, 16);
}

static void close_guest(struct guest *g)
{
    chardev_close(g->dev);
    loop_close(&g->loop);
    free(g);
}

static void quit_loop(void *loop)
{
    loop_quit(loop);
}

/* Runs the loop until it quits, or for a while. */
static void run(struct guest *g)
{
    struct loop_timer limit = {
        .deadline = loop_now() + 50 * MS, .fire = quit_loop, .opaque = &g->loop};

    loop_add_timer(&g->loop, &limit);
    assert_int_equal(loop_run(&g->loop, &lock), 0);
    loop_remove_timer(&g->loop, &limit);
}

static void input_through_a_pipe(const char *text, size_t size, const struct chardev_option *option,
                                 unsigned room, void (*check)(struct guest *g))
{
    int pipe_fd[2];

    assert_int_equal(pipe(pipe_fd), 0);
    redirect_stdio(pipe_fd[0], -1);

    struct guest *g = open_guest(option, room);

    assert_int_equal(write(pipe_fd[1], text, size), size);
    run(g);
    restore_stdio();
    check(g);
    close_guest(g);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void check_hello(struct guest *g)
{
    assert_int_equal(g->count, 5);
    assert_memory_equal(g->got, "hello", 5);
}

static void check_escapes(struct guest *g)
{
    assert_int_equal(g->count, 4);
    assert_memory_equal(g->got, "a\001bc", 4);
    assert_int_equal(g->breaks, 1);
    assert_true(g->quit);
}

static void check_raw(struct guest *g)
{
    assert_int_equal(g->count, 3);
    assert_memory_equal(g->got, "\001xq", 3);
    assert_false(g->quit);
}

static void check_quit_despite_deaf_guest(struct guest *g)
{
    assert_int_equal(g->count, 3);
    assert_true(g->quit);
}

static void stdin_reaches_the_guest(void **state)
{
    (void)state;
    input_through_a_pipe("hello", 5, &stdio_mon, 1000, check_hello);
}

static void ctrl_a_is_an_escape_only_on_mon_stdio(void **state)
{
    (void)state;
    input_through_a_pipe("a\001\001b\001b\001hc\001x", 11, &stdio_mon, 1000, check_escapes);
    input_through_a_pipe("\001xq", 3, &stdio_raw, 1000, check_raw);
}

static void ctrl_a_x_works_though_the_guest_does_not_listen(void **state)
{
    (void)state;
    input_through_a_pipe("0123456789012345678901234567890123456789\001x", 42, &stdio_mon, 3,
                         check_quit_despite_deaf_guest);
}

static void ctrl_a_x_works_without_a_serial_port(void **state)
{
    int pipe_fd[2];

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    redirect_stdio(pipe_fd[0], -1);

    struct guest *g = open_line(&stdio_mon);

    assert_int_equal(write(pipe_fd[1], "\001x", 2), 2);
    run(g);
    restore_stdio();
    assert_true(g->quit);
    close_guest(g);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void a_full_receiver_gets_the_rest_later_in_order(void **state)
{
    char text[3000];
    int pipe_fd[2];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    assert_int_equal(pipe(pipe_fd), 0);
    redirect_stdio(pipe_fd[0], -1);

    struct guest *g = open_guest(&stdio_mon, 16);

    assert_int_equal(write(pipe_fd[1], text, sizeof text), sizeof text);
    close(pipe_fd[1]); /* end of file while the guest is behind */
    for (unsigned i = 0; i < 400 && g->count < sizeof text; i++) {
        run(g);
        g->room = 16;
        chardev_accept_input(g->dev);
    }
    restore_stdio();
    assert_int_equal(g->count, sizeof text);
    assert_memory_equal(g->got, text, sizeof text);
    close_guest(g);
    close(pipe_fd[0]);
}

static void a_full_pipe_makes_the_sender_wait(void **state)
{
    int pipe_fd[2];
    char sink[4096];
    unsigned sent = 0;

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    fcntl(pipe_fd[1], F_SETPIPE_SZ, 4096);
    redirect_stdio(open("/dev/null", O_RDONLY), pipe_fd[1]);

    struct guest *g = open_guest(&stdio_raw, 16);

    while (sent < 100000 && chardev_send(g->dev, 'x'))
        sent++;
    assert_int_equal(g->writables, 0);
    assert_true(read(pipe_fd[0], sink, sizeof sink) > 0);
    run(g);
    bool again = chardev_send(g->dev, 'y');
    restore_stdio();
    assert_true(sent >= 1 && sent < 100000); /* a page at the most; poll(2) is more careful */
    assert_int_equal(g->writables, 1);
    assert_true(again);
    close_guest(g);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void a_vanished_reader_and_a_full_disk_drop_the_output(void **state)
{
    int pipe_fd[2];

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(pipe_fd), 0);
    close(pipe_fd[0]);
    redirect_stdio(open("/dev/null", O_RDONLY), pipe_fd[1]);

    struct guest *g = open_guest(&stdio_raw, 16);
    bool sent = chardev_send(g->dev, 'x') && chardev_send(g->dev, 'y');
    bool ended = g->dev->output_ended;

    close_guest(g);
    restore_stdio();
    assert_true(sent && ended);

    redirect_stdio(-1, -1);
    g = open_file("/dev/full");
    sent = chardev_send(g->dev, 'x');
    ended = g->dev->output_ended;
    close_guest(g);
    restore_stdio();
    assert_true(sent && ended);
}

static void a_file_gets_the_output_and_a_bad_path_is_said(void **state)
{
    char path[] = "/tmp/kvmlens-test-XXXXXX";
    char text[8] = {0};
    struct chardev_option bad = {.kind = CHARDEV_FILE, .path = "/nonexistent/x"};
    struct chardev *dev;
    struct loop loop;
    struct error err;
    int fd = mkstemp(path);

    (void)state;

    struct guest *g = open_file(path);

    assert_true(chardev_send(g->dev, 'o') && chardev_send(g->dev, 'k'));
    close_guest(g);
    assert_int_equal(read(fd, text, sizeof text), 2);
    assert_string_equal(text, "ok");
    close(fd);
    unlink(path);

    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(chardev_open(&dev, &loop, &bad, &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent/x"));
    assert_int_equal(err.status, STATUS_USAGE);
    loop_close(&loop);
}

static void a_fifo_that_nobody_reads_makes_the_sender_wait(void **state)
{
    char path[] = "/tmp/kvmlens-test-XXXXXX";
    unsigned sent = 0;
    int fd = mkstemp(path), reader;

    (void)state;
    close(fd);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);

    struct guest *g = open_file(path);

    alarm(10);
    while (sent < 10000000 && chardev_send(g->dev, 'x'))
        sent++;
    alarm(0);
    assert_in_range(sent, 1, 9999999);
    close_guest(g);
    close(reader);
    unlink(path);
}

static void a_pty_talks_both_ways_and_survives_a_hang_up(void **state)
{
    char text[8] = {0};

    (void)state;
    redirect_stdio(-1, -1);

    struct guest *g = open_guest(&pty, 16);

    restore_stdio();
    for (unsigned i = 0; i < 20000; i++) /* nobody is there: dropped, and never blocked */
        assert_true(chardev_send(g->dev, '.'));
    for (unsigned round = 0; round < 2; round++) {
        int slave = open(ptsname(g->dev->in.fd), O_RDWR | O_NOCTTY);

        assert_true(slave >= 0);
        assert_true(chardev_send(g->dev, 'o') && chardev_send(g->dev, 'k'));
        for (unsigned i = 0; i < 2; i++) /* the two may come one by one */
            assert_int_equal(read(slave, text + i, 1), 1);
        assert_memory_equal(text, "ok", 2);
        assert_int_equal(write(slave, "in\n", 3), 3);
        g->room = 16;
        g->quit_after = g->count + 3;
        for (unsigned i = 0; i < 20 && g->count < g->quit_after; i++)
            run(g);
        assert_int_equal(g->count, 3 * (round + 1));
        close(slave);
        run(g);
    }
    close_guest(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stdin_reaches_the_guest),
        cmocka_unit_test(ctrl_a_is_an_escape_only_on_mon_stdio),
        cmocka_unit_test(ctrl_a_x_works_though_the_guest_does_not_listen),
        cmocka_unit_test(ctrl_a_x_works_without_a_serial_port),
        cmocka_unit_test(a_full_receiver_gets_the_rest_later_in_order),
        cmocka_unit_test(a_full_pipe_makes_the_sender_wait),
        cmocka_unit_test(a_vanished_reader_and_a_full_disk_drop_the_output),
        cmocka_unit_test(a_file_gets_the_output_and_a_bad_path_is_said),
        cmocka_unit_test(a_fifo_that_nobody_reads_makes_the_sender_wait),
        cmocka_unit_test(a_pty_talks_both_ways_and_survives_a_hang_up),
    };

    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
