/*
 * test_chardev_socket.c: character devices that are sockets, and those who connect to them.
 */
#include "chardev_bench.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static int client_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A guest can use up the descriptors, with a network's connections; it does not keep them. */
static void a_client_is_served_once_there_are_descriptors_again(void **state)
{
    struct bench *b = *state;
    struct rlimit limit, none;

    open_for_guest(b, CHARDEV_SOCKET);

    int client = client_of(b->path), next = dup(client);

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    run(b);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(b->opens, 0);
    for (unsigned i = 0; i < 100 && b->opens == 0; i++)
        run(b);
    assert_int_equal(b->opens, 1);
    close(client);
}

static void a_socket_has_one_client_after_the_other(void **state)
{
    struct bench *b = *state;
    char text[8] = {0};

    open_for_guest(b, CHARDEV_SOCKET);
    assert_false(b->dev->open);
    assert_int_equal(chardev_write(b->dev, "lost", 4), 4); /* nobody is there */
    for (unsigned round = 1; round <= 3; round++) {
        int client = client_of(b->path);

        assert_int_equal(write(client, "in", 2), 2);
        run(b);
        assert_int_equal(b->opens, round);
        assert_int_equal(b->count, 2 * round);
        assert_int_equal(chardev_write(b->dev, "out", 3), 3);
        assert_int_equal(read(client, text, sizeof text), 3);
        assert_memory_equal(text, "out", 3);

        int second = client_of(b->path); /* has to wait */

        assert_int_equal(write(second, "2nd", 3), 3);
        run(b);
        assert_int_equal(b->count, 2 * round);
        close(second);
        close(client);
        run(b);
        run(b);
        assert_int_equal(b->closes, b->opens);
        b->opens = b->closes = round; /* the second one came and went too */
        b->count = 2 * round;
    }
}

static void the_last_words_of_a_client_arrive(void **state)
{
    struct bench *b = *state;
    char text[3000];

    open_for_guest(b, CHARDEV_SOCKET);
    b->room = 100;
    memset(text, 'w', sizeof text);
    for (unsigned i = 0; i < 3; i++) {
        int client = client_of(b->path);

        run(b);
        assert_int_equal(send(client, text, sizeof text, 0), sizeof text);
        close(client);
        for (unsigned n = 0; n < 60; n++) {
            run(b);
            b->room += 500;
            chardev_accept_input(b->dev);
        }
        assert_int_equal(b->count, (i + 1) * sizeof text);
        assert_int_equal(b->closes, i + 1);
    }
}

static void a_slow_client_makes_the_guest_wait_and_a_leaving_one_does_not(void **state)
{
    struct bench *b = *state;
    static char bulk[1 << 20];
    size_t sent, seen = 0;

    open_for_guest(b, CHARDEV_SOCKET);

    int client = client_of(b->path);

    run(b);
    for (size_t i = 0; i < sizeof bulk; i++)
        bulk[i] = (char)(i * 31 >> 3);
    sent = chardev_write(b->dev, bulk, sizeof bulk);
    assert_in_range(sent, 1, sizeof bulk - 1);
    assert_int_equal(b->writables, 0);
    while (seen < sizeof bulk) {
        static char part[65536];
        ssize_t n = recv(client, part, sizeof part, MSG_DONTWAIT);

        if (n > 0) {
            assert_memory_equal(part, bulk + seen, (size_t)n);
            seen += (size_t)n;
            continue;
        }
        run(b);
        assert_true(b->writables > 0);
        sent += chardev_write(b->dev, bulk + sent, sizeof bulk - sent);
    }
    assert_int_equal(sent, sizeof bulk);

    assert_true(chardev_write(b->dev, bulk, sizeof bulk) < sizeof bulk);
    b->writables = 0;
    close(client);
    run(b);
    assert_true(b->writables > 0);
    assert_int_equal(b->closes, 1);
    assert_int_equal(chardev_write(b->dev, bulk, sizeof bulk), sizeof bulk);
}

static void a_client_that_left_is_noticed_while_the_guest_is_deaf(void **state)
{
    struct bench *b = *state;
    char text[2 * CHARDEV_PENDING] = {0};

    open_for_guest(b, CHARDEV_SOCKET);
    b->room = 0;

    int client = client_of(b->path);

    run(b);
    assert_int_equal(write(client, text, sizeof text), sizeof text);
    run(b); /* what fits is read ahead, and then no more */
    close(client);
    run(b);
    assert_int_equal(b->closes, 0);
    chardev_write(b->dev, "x", 1); /* EPIPE */
    b->room = sizeof b->got;
    chardev_accept_input(b->dev);
    run(b);
    assert_int_equal(b->closes, 1);
    assert_int_equal(b->count, sizeof text);

    int next = client_of(b->path);

    run(b);
    assert_int_equal(b->opens, 2);
    assert_int_equal(chardev_write(b->dev, "y", 1), 1);
    assert_int_equal(read(next, text, 4), 1);
    close(next);
}

/* The clients of a port that no program of the guest has open; the loop must not turn meanwhile. */
static void a_deaf_guest_keeps_nobody_from_connecting(void **state)
{
    struct bench *b = *state;
    char text[CHARDEV_PENDING + 1000] = {0};
    clock_t used;

    open_for_guest(b, CHARDEV_SOCKET);
    b->room = 0;
    for (unsigned i = 1; i <= 3; i++) {
        int client = client_of(b->path);

        for (unsigned n = 0; n < 50 && b->opens < i; n++)
            run(b);
        assert_int_equal(b->opens, i);
        assert_int_equal(chardev_write(b->dev, "for you", 7), 7);
        assert_int_equal(read(client, text, sizeof text), 7);
        assert_int_equal(write(client, text, sizeof text), sizeof text);
        run(b);
        close(client);
        used = clock();
        for (unsigned n = 0; n < 10; n++)
            run(b);
        assert_true(clock() - used < CLOCKS_PER_SEC / 10); /* of 300 ms */
        assert_int_equal(b->closes, i);
        assert_int_equal(chardev_write(b->dev, "lost", 4), 4);
        used = clock();
        for (unsigned n = 0; n < 5; n++)
            run(b);
        assert_true(clock() - used < CLOCKS_PER_SEC / 20);
    }

    /* What was read ahead has stayed, and the end of the last one's words. */
    b->room = sizeof b->got;
    for (unsigned n = 0; n < 3; n++) {
        chardev_accept_input(b->dev);
        run(b);
    }
    assert_int_equal(b->count, CHARDEV_PENDING + sizeof text);
    assert_int_equal(b->closes, 3);
    assert_int_equal(b->dev->in.fd, -1);
}

/* A guest may be slow: then the words of one client come whole, and the next one waits. */
static void a_slow_guest_gets_all_of_each_client(void **state)
{
    struct bench *b = *state;
    char text[2 * CHARDEV_PENDING] = {0};

    open_for_guest(b, CHARDEV_SOCKET);
    b->room = 0;
    for (unsigned i = 0; i < 2; i++) {
        int client = client_of(b->path);

        assert_int_equal(write(client, text, sizeof text), sizeof text);
        close(client);
    }
    for (unsigned n = 0; n < 20; n++) {
        run(b);
        b->room += 1000;
        chardev_accept_input(b->dev);
    }
    assert_int_equal(b->count, 2 * sizeof text);
    assert_int_equal(b->opens, 2);
}

static void a_dead_socket_is_replaced_and_nothing_else(void **state)
{
    struct bench *b = *state;
    struct chardev *first;
    struct error err;
    struct stat st;
    int fd = open(b->path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(try_open(b, CHARDEV_SOCKET, false, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_non_null(strstr(err.text, "id=c"));
    assert_non_null(strstr(err.text, "exists already"));
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_size, 8);
    unlink(b->path);

    struct sockaddr_un address = {.sun_family = AF_UNIX};

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, b->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* what a program that was killed leaves behind */
    assert_int_equal(try_open(b, CHARDEV_SOCKET, false, &err), 0);
    first = b->dev;
    b->dev = NULL;
    assert_int_equal(try_open(b, CHARDEV_SOCKET, false, &err), -1); /* it is in use */
    chardev_close(first);
    assert_int_equal(stat(b->path, &st), -1); /* removed at the end */

    /* A path that somebody else has taken over stays. */
    assert_int_equal(try_open(b, CHARDEV_SOCKET, false, &err), 0);
    unlink(b->path);
    close(open(b->path, O_CREAT | O_WRONLY, 0600));
    chardev_close(b->dev);
    b->dev = NULL;
    assert_int_equal(stat(b->path, &st), 0);
}

static void a_socket_path_that_cannot_be_is_said(void **state)
{
    struct bench *b = *state;
    struct error err;
    char path[300];
    struct chardev_option option = {.kind = CHARDEV_SOCKET, .path = path};

    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(chardev_open(&b->dev, &b->loop, &option, &err), -1);
    assert_non_null(strstr(err.text, "299 bytes"));
    strcpy(path, "/nonexistent/x");
    assert_int_equal(chardev_open(&b->dev, &b->loop, &option, &err), -1);
    assert_string_equal(err.text, "-serial unix:/nonexistent/x: No such file or directory");
}

static void wait_on_waits_for_a_client(void **state)
{
    struct bench *b = *state;
    struct error err;
    struct stat st;
    pid_t child = fork();

    if (child == 0) {
        while (stat(b->path, &st) < 0)
            usleep(1000);
        usleep(20000);

        int fd = client_of(b->path);
        char byte;

        _exit(write(fd, "hi", 2) == 2 && read(fd, &byte, 1) == 1 && byte == 'y' ? 0 : 1);
    }
    alarm(10);
    assert_int_equal(try_open(b, CHARDEV_SOCKET, true, &err), 0);
    alarm(0);
    assert_true(b->dev->open);
    connect_guest(b);
    run(b);
    assert_int_equal(b->count, 2);
    assert_true(chardev_send(b->dev, 'y'));

    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_socket_has_one_client_after_the_other),
        BENCH_TEST(a_client_is_served_once_there_are_descriptors_again),
        BENCH_TEST(the_last_words_of_a_client_arrive),
        BENCH_TEST(a_slow_client_makes_the_guest_wait_and_a_leaving_one_does_not),
        BENCH_TEST(a_client_that_left_is_noticed_while_the_guest_is_deaf),
        BENCH_TEST(a_deaf_guest_keeps_nobody_from_connecting),
        BENCH_TEST(a_slow_guest_gets_all_of_each_client),
        BENCH_TEST(a_dead_socket_is_replaced_and_nothing_else),
        BENCH_TEST(a_socket_path_that_cannot_be_is_said),
        BENCH_TEST(wait_on_waits_for_a_client),
    };

    return cmocka_run_group_tests_name("chardev_socket", tests, NULL, NULL);
}
