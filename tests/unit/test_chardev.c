/*
 * test_chardev.c: character devices, and bytes sent many at once, over real pipes, files and
 * pseudo-terminals.
 */
#include "chardev_bench.h"

#include <fcntl.h>
#include <sys/stat.h>

static void a_pty_tells_who_comes_and_goes(void **state)
{
    struct bench *b = *state;

    open_for_guest(b, CHARDEV_PTY);
    assert_false(b->dev->open);
    for (unsigned round = 1; round <= 2; round++) {
        int slave = open(ptsname(b->dev->in.fd), O_RDWR | O_NOCTTY);

        for (unsigned i = 0; i < 20 && b->opens < round; i++)
            run(b);
        assert_int_equal(b->opens, round);
        close(slave);
        run(b);
        assert_int_equal(b->closes, round);
    }
}

static void a_file_takes_all_at_once_and_append_keeps_it(void **state)
{
    struct bench *b = *state;
    static char bulk[100000];
    struct error err;
    struct stat st;
    const struct chardev_option append = {
        .kind = CHARDEV_FILE, .id = "c", .path = b->path, .append = true};

    open_for_guest(b, CHARDEV_FILE);
    assert_true(b->dev->open);
    assert_int_equal(chardev_write(b->dev, bulk, sizeof bulk), sizeof bulk);
    chardev_close(b->dev);
    assert_int_equal(chardev_open(&b->dev, &b->loop, &append, &err), 0);
    assert_int_equal(chardev_write(b->dev, bulk, 5), 5);
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_size, sizeof bulk + 5);
    chardev_close(b->dev);
    open_for_guest(b, CHARDEV_FILE);
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void a_pipe_on_stdout_is_never_overfilled(void **state)
{
    struct bench *b = *state;
    static char bulk[300000];
    const struct chardev_option option = {.kind = CHARDEV_STDIO, .signals = true};
    struct error err;
    int pipe_fd[2], saved_in = dup(0), saved_out = dup(1);

    assert_int_equal(pipe(pipe_fd), 0);
    fflush(NULL);
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(pipe_fd[1], 1);
    alarm(10); /* a write that waits would wait for ever */
    int r = chardev_open(&b->dev, &b->loop, &option, &err);
    size_t sent = r == 0 ? chardev_write(b->dev, bulk, sizeof bulk) : 0;
    alarm(0);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    assert_in_range(sent, 4096, sizeof bulk - 1);
    assert_int_equal(fcntl(pipe_fd[1], F_GETFL) & O_NONBLOCK, 0); /* it may be the shell's */
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_pty_tells_who_comes_and_goes),
        BENCH_TEST(a_file_takes_all_at_once_and_append_keeps_it),
        BENCH_TEST(a_pipe_on_stdout_is_never_overfilled),
    };

    return cmocka_run_group_tests_name("chardev", tests, NULL, NULL);
}
