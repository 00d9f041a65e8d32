/*
 * test_virtio_rng.c: the entropy device against a scripted driver and sources that are slow, empty,
 * or rationed; and the sources themselves, over real files and pipes.
 */
#include "fake_wires.h"
#include "host/rng_source.h"
#include "small_driver.h"
#include "virtio/rng.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERIOD 1000u

struct bench {
    struct small_driver driver;
    struct rng rng;
    struct fake_wires wires;
    size_t gives; /* bytes that the source has */
    unsigned reads;
    uint8_t value; /* of the next byte */
};

static size_t source_read(void *opaque, void *bytes, size_t count)
{
    struct bench *b = opaque;

    b->reads++;
    count = count < b->gives ? count : b->gives;
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = b->value++;
    b->gives -= count;
    return count;
}

static void make(struct bench *b, uint64_t max_bytes)
{
    rng_init(&b->rng, "virtio-rng0", &b->driver.mem, driver_remark(&b->driver),
             (struct rng_backend){source_read, b}, fake_clock(&b->wires), fake_timer(&b->wires),
             max_bytes, PERIOD);
    driver_start(&b->driver, &b->rng.virtio, 0);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    driver_init(&b->driver);
    b->wires.now = 5;
    b->gives = 1 << 20;
    b->value = 1;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    driver_free(&b->driver);
    free(b);
    return 0;
}

static void ask(struct bench *b, uint32_t bytes)
{
    driver_offer(&b->driver, 0, NULL, 0, bytes);
    virtio_kick(b->driver.dev, 0);
}

/* The next request is answered with this many bytes. */
static uint8_t *answered(struct bench *b, uint32_t bytes)
{
    uint32_t len;
    uint8_t *got = driver_collect(&b->driver, 0, &len);

    assert_non_null(got);
    assert_int_equal(len, bytes);
    return got;
}

static void buffers_are_filled(void **state)
{
    struct bench *b = *state;

    make(b, UINT64_MAX);
    ask(b, 3);
    ask(b, RNG_AT_ONCE);
    assert_memory_equal(answered(b, 3), "\1\2\3", 3);
    answered(b, RNG_AT_ONCE);
    assert_int_equal(b->driver.used_interrupts, 2);
    assert_int_equal(b->wires.deadline, 0); /* without a quota there is no timer */
    assert_int_equal(virtio_config_read(b->driver.dev, 0, 4), 0);
}

static void a_source_without_bytes_makes_the_driver_wait(void **state)
{
    struct bench *b = *state;

    make(b, UINT64_MAX);
    b->gives = 0;
    ask(b, 10);
    assert_int_equal(driver_returned(&b->driver, 0), 0);
    b->gives = 4;
    rng_ready(&b->rng);
    assert_memory_equal(answered(b, 4), "\1\2\3\4", 4); /* what there is */
    ask(b, 10);
    b->gives = 100;
    virtio_set_status(b->driver.dev, 0);
    rng_ready(&b->rng); /* nobody asks any more */
    assert_int_equal(b->gives, 100);
    driver_start(&b->driver, &b->rng.virtio, 0);
    ask(b, 1);
    answered(b, 1);
}

static void the_quota_holds_in_each_period(void **state)
{
    struct bench *b = *state;

    make(b, 100);
    ask(b, 60);
    answered(b, 60);
    assert_int_equal(b->wires.deadline, 5 + PERIOD);
    ask(b, 60);
    answered(b, 40);
    ask(b, 60);
    ask(b, 50);
    assert_int_equal(driver_returned(&b->driver, 0), 0);
    /* A reset is no way around it. */
    driver_start(&b->driver, &b->rng.virtio, 0);
    ask(b, 60);
    ask(b, 50);
    assert_int_equal(driver_returned(&b->driver, 0), 0);
    assert_true(fake_wires_pass(&b->wires, PERIOD));
    rng_timeout(&b->rng);
    answered(b, 60);
    answered(b, 40);
    assert_int_equal(b->wires.deadline, 5 + 2 * PERIOD);
    /* An idle period ends without another. */
    assert_true(fake_wires_pass(&b->wires, PERIOD));
    rng_timeout(&b->rng);
    assert_int_equal(b->wires.deadline, 0);
    make(b, 0);
    ask(b, 1);
    assert_int_equal(driver_returned(&b->driver, 0), 0);
}

static void what_cannot_be_filled_comes_back(void **state)
{
    struct bench *b = *state;

    make(b, UINT64_MAX);
    driver_send(&b->driver, 0, "read me", 7);
    answered(b, 0);
    assert_int_equal(b->reads, 0);
    driver_offer(&b->driver, 0, "x", 1, 9);
    virtio_kick(b->driver.dev, 0);
    assert_int_equal(answered(b, 9)[0], 'x');
    virtio_kick(b->driver.dev, 1);
    virtio_kick(b->driver.dev, 200);
    assert_false(b->driver.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

/* --- sources ------------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void come(void *opaque)
{
    struct loop *loop = opaque;

    loop_quit(loop);
}

static void sources_give_bytes(void **state)
{
    static const struct rng_source_option options[] = {
        {.id = "b"}, {.id = "r", .filename = "/dev/urandom"}, {.id = "z", .filename = "/dev/zero"}};
    struct loop loop;
    struct error err;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct rng_source *source;
        uint8_t bytes[64] = {0}, none[64] = {0};

        assert_int_equal(rng_source_open(&source, &loop, &options[i], &err), 0);
        assert_int_equal(rng_source_read(source, bytes, sizeof bytes), sizeof bytes);
        assert_int_equal(memcmp(bytes, none, sizeof none) == 0, i == 2);
        rng_source_close(source);
    }
    loop_close(&loop);
}

static void a_source_that_has_none_says_when_it_has(void **state)
{
    char path[] = "/tmp/kvmlens-test-XXXXXX";
    struct rng_source_option option = {.id = "r", .filename = path};
    struct rng_source *source;
    struct loop loop;
    struct error err;
    uint8_t bytes[8];

    (void)state;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);

    int writer = open(path, O_RDWR | O_NONBLOCK);

    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(rng_source_open(&source, &loop, &option, &err), 0);
    rng_source_connect(source, come, &loop);
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 0);
    assert_int_equal(write(writer, "abc", 3), 3);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "abc", 3);
    close(writer);
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 0); /* it has ended */
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 0);
    rng_source_close(source);
    loop_close(&loop);
    unlink(path);
}

static void a_pipe_waits_for_its_first_writer(void **state)
{
    char path[] = "/tmp/kvmlens-test-XXXXXX";
    struct rng_source_option option = {.id = "r", .filename = path};
    struct rng_source *source;
    struct loop loop;
    struct error err;
    uint8_t bytes[8];

    (void)state;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(rng_source_open(&source, &loop, &option, &err), 0);
    rng_source_connect(source, come, &loop);
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 0);

    int writer = open(path, O_WRONLY | O_NONBLOCK);

    assert_int_equal(write(writer, "abc", 3), 3);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    assert_int_equal(rng_source_read(source, bytes, sizeof bytes), 3);
    close(writer);
    rng_source_close(source);
    loop_close(&loop);
    unlink(path);
}

static void a_source_that_cannot_be_opened_is_said(void **state)
{
    const struct rng_source_option option = {.id = "r", .filename = "/nonexistent/x"};
    const struct rng_source_option folder = {.id = "r", .filename = "/tmp"};
    struct rng_source *source;
    struct loop loop;
    struct error err;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(rng_source_open(&source, &loop, &option, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_string_equal(err.text, "-object rng-random,id=r,filename=/nonexistent/x: No such file "
                                  "or directory");
    assert_int_equal(rng_source_open(&source, &loop, &folder, &err), -1);
    assert_string_equal(err.text, "-object rng-random,id=r,filename=/tmp: Is a directory");
    loop_close(&loop);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(buffers_are_filled),
        BENCH_TEST(a_source_without_bytes_makes_the_driver_wait),
        BENCH_TEST(the_quota_holds_in_each_period),
        BENCH_TEST(what_cannot_be_filled_comes_back),
        cmocka_unit_test(sources_give_bytes),
        cmocka_unit_test(a_source_that_has_none_says_when_it_has),
        cmocka_unit_test(a_pipe_waits_for_its_first_writer),
        cmocka_unit_test(a_source_that_cannot_be_opened_is_said),
    };

    return cmocka_run_group_tests_name("virtio_rng", tests, NULL, NULL);
}
