/*
 * test_virtio_console.c: the console device against a scripted driver and far ends that are slow, or
 * come and go.
 */
#include "small_driver.h"
#include "virtio/console.h"

#define PORT_RX(nr) VIRTIO_CONSOLE_PORT_RX(nr)
#define PORT_TX(nr) VIRTIO_CONSOLE_PORT_TX(nr)
#define MULTIPORT   VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)
#define SIZED       VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE)

struct far_end {
    char got[8192];
    size_t count, takes; /* takes: bytes until it says no */
    unsigned rooms;
};

/* Port 0 is a console, 1 a named port, 2 another console; 3 is none. */
struct bench {
    struct small_driver driver;
    struct console console;
    struct far_end far[3];
};

static size_t far_write(void *opaque, const void *bytes, size_t count)
{
    struct far_end *far = opaque;

    count = count < far->takes ? count : far->takes;
    assert_true(far->count + count <= sizeof far->got);
    memcpy(far->got + far->count, bytes, count);
    far->count += count;
    far->takes -= count;
    return count;
}

static void far_room(void *opaque)
{
    ((struct far_end *)opaque)->rooms++;
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    driver_init(&b->driver);
    console_init(&b->console, "virtio-serial0", &b->driver.mem, driver_remark(&b->driver), 4, true);
    for (unsigned i = 0; i < 3; i++) {
        b->far[i].takes = sizeof b->far[i].got;
        console_add_port(&b->console, i, i != 1, i == 1 ? "agent" : NULL,
                         (struct console_backend){far_write, far_room, &b->far[i]});
    }
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

static void say(struct bench *b, uint32_t id, uint16_t event, uint16_t value)
{
    struct virtio_console_control message = {id, event, value};

    driver_send(&b->driver, VIRTIO_CONSOLE_CONTROL_TX, &message, sizeof message);
}

/* The next control message is this one, with EXTRA behind it. */
static void hear(struct bench *b, uint32_t id, uint16_t event, uint16_t value, const char *extra,
                 uint32_t extra_len)
{
    struct virtio_console_control message;
    uint32_t len;
    uint8_t *got = driver_collect(&b->driver, VIRTIO_CONSOLE_CONTROL_RX, &len);

    assert_non_null(got);
    memcpy(&message, got, sizeof message);
    assert_int_equal(message.id, id);
    assert_int_equal(message.event, event);
    assert_int_equal(message.value, value);
    assert_int_equal(len, sizeof message + extra_len);
    if (extra_len > 0)
        assert_memory_equal(got + sizeof message, extra, extra_len);
}

static void hear_nothing(struct bench *b)
{
    assert_int_equal(driver_returned(&b->driver, VIRTIO_CONSOLE_CONTROL_RX), 0);
}

static void offer_control(struct bench *b, unsigned count)
{
    while (count-- > 0)
        driver_offer(&b->driver, VIRTIO_CONSOLE_CONTROL_RX, NULL, 0, 64);
    virtio_kick(b->driver.dev, VIRTIO_CONSOLE_CONTROL_RX);
}

/* A driver that has opened port 1 and offers a lot of buffers for control messages. */
static void start_multiport(struct bench *b)
{
    driver_start(&b->driver, &b->console.virtio, MULTIPORT | SIZED);
    offer_control(b, 8);
    say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (uint32_t i = 0; i < 3; i++)
        hear(b, i, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
    hear_nothing(b);
    say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    hear(b, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "agent", 5);
    say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    hear_nothing(b);
}

static void a_simple_driver_talks_on_port_0(void **state)
{
    struct bench *b = *state;
    uint32_t len;

    driver_start(&b->driver, &b->console.virtio, 0);
    driver_send(&b->driver, PORT_TX(0), "hello", 5);
    assert_int_equal(b->far[0].count, 5);
    assert_memory_equal(b->far[0].got, "hello", 5);
    driver_collect(&b->driver, PORT_TX(0), &len);
    assert_int_equal(len, 0);

    assert_int_equal(console_room(&b->console, 0), 0);
    b->far[0].rooms = 0;
    driver_offer(&b->driver, PORT_RX(0), NULL, 0, 4);
    driver_offer(&b->driver, PORT_RX(0), NULL, 0, 100);
    virtio_kick(b->driver.dev, PORT_RX(0));
    assert_int_equal(b->far[0].rooms, 1);
    assert_int_equal(console_room(&b->console, 0), 4);
    console_receive(&b->console, 0, (const uint8_t *)"abc", 3);
    assert_memory_equal(driver_collect(&b->driver, PORT_RX(0), &len), "abc", 3);
    assert_int_equal(len, 3);
    assert_int_equal(console_room(&b->console, 0), 100);
    assert_true(b->driver.used_interrupts >= 2);
    /* Room that is there is not announced again. */
    virtio_kick(b->driver.dev, PORT_RX(0));
    assert_int_equal(b->far[0].rooms, 1);
    /* There is no control queue for it: nothing is said there. */
    offer_control(b, 1);
    say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    hear_nothing(b);
}

static void a_slow_far_end_holds_the_buffer(void **state)
{
    struct bench *b = *state;

    driver_start(&b->driver, &b->console.virtio, 0);
    b->far[0].takes = 3;
    driver_offer(&b->driver, PORT_TX(0), "0123456789", 10, 0);
    driver_offer(&b->driver, PORT_TX(0), "abc", 3, 0);
    virtio_kick(b->driver.dev, PORT_TX(0));
    assert_int_equal(b->far[0].count, 3);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 0);
    virtio_kick(b->driver.dev, PORT_TX(0)); /* changes nothing */
    assert_int_equal(b->far[0].count, 3);
    b->far[0].takes = 4;
    console_writable(&b->console, 0);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 0);
    b->far[0].takes = 5;
    console_writable(&b->console, 0);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 1);
    b->far[0].takes = 100;
    console_writable(&b->console, 0);
    assert_int_equal(b->far[0].count, 13);
    assert_memory_equal(b->far[0].got, "0123456789abc", 13);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 2);
}

static void a_reset_forgets_a_buffer_in_hand(void **state)
{
    struct bench *b = *state;

    driver_start(&b->driver, &b->console.virtio, 0);
    b->far[0].takes = 3;
    driver_send(&b->driver, PORT_TX(0), "012345", 6);
    virtio_set_status(b->driver.dev, 0);
    b->far[0].takes = 100;
    console_writable(&b->console, 0);
    assert_int_equal(b->far[0].count, 3);
    assert_int_equal(console_room(&b->console, 0), 0);
    driver_start(&b->driver, &b->console.virtio, 0);
    driver_send(&b->driver, PORT_TX(0), "xyz", 3);
    assert_memory_equal(b->far[0].got, "012xyz", 6);
    /* A queue that is taken back forgets it too. */
    b->far[0].takes = 1;
    driver_send(&b->driver, PORT_TX(0), "pq", 2);
    assert_int_equal(b->console.port[0].sent, 1);
    virtio_stop_queue(b->driver.dev, PORT_TX(0));
    assert_int_equal(b->console.port[0].sent, 0);
}

static void ports_are_introduced(void **state)
{
    struct bench *b = *state;

    console_resize(&b->console, 2, 80, 25);
    start_multiport(b);
    say(b, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    hear(b, 2, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
    hear(b, 2, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0); /* a console's far end is always there */
    hear(b, 2, VIRTIO_CONSOLE_RESIZE, 1, "\x50\0\x19\0", 4);
    hear_nothing(b);
    assert_true(b->console.port[1].ready && b->console.port[1].guest_open);
    assert_false(b->console.port[0].ready);
    say(b, 1, VIRTIO_CONSOLE_PORT_READY, 0);
    assert_false(b->console.port[1].ready);
}

static void messages_wait_for_buffers(void **state)
{
    struct bench *b = *state;

    driver_start(&b->driver, &b->console.virtio, MULTIPORT);
    say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    hear_nothing(b);
    offer_control(b, 2);
    hear(b, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
    hear(b, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
    offer_control(b, 1);
    hear(b, 2, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
    say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    /* What changed meanwhile is told once, as it is now. */
    console_host_open(&b->console, 1, true);
    console_host_open(&b->console, 1, false);
    console_host_open(&b->console, 1, true);
    offer_control(b, 8);
    hear(b, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "agent", 5);
    hear(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
    hear_nothing(b);
}

static void the_far_end_comes_and_goes(void **state)
{
    struct bench *b = *state;
    uint32_t len;

    start_multiport(b);
    driver_send(&b->driver, PORT_TX(1), "lost", 4); /* nobody is there */
    assert_int_equal(b->far[1].count, 0);
    assert_non_null(driver_collect(&b->driver, PORT_TX(1), &len));
    console_host_open(&b->console, 1, true);
    hear(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
    b->far[1].takes = 2;
    driver_send(&b->driver, PORT_TX(1), "abcdef", 6);
    assert_int_equal(b->far[1].count, 2);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(1)), 0);
    console_host_open(&b->console, 1, false); /* what waits for it is dropped */
    hear(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
    assert_int_equal(b->far[1].count, 2);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(1)), 1);
    console_host_open(&b->console, 1, false);
    console_host_open(&b->console, 0, false); /* a console does not care */
    hear_nothing(b);
    assert_true(b->console.port[0].host_open);
}

static void input_waits_for_a_guest_that_has_opened_the_port(void **state)
{
    struct bench *b = *state;
    uint32_t len;

    start_multiport(b);
    driver_offer(&b->driver, PORT_RX(1), NULL, 0, 16);
    driver_offer(&b->driver, PORT_RX(0), NULL, 0, 16);
    virtio_kick(b->driver.dev, PORT_RX(0));
    virtio_kick(b->driver.dev, PORT_RX(1));
    assert_int_equal(console_room(&b->console, 1), 16);
    assert_int_equal(console_room(&b->console, 0), 0); /* not opened */
    say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    assert_int_equal(console_room(&b->console, 1), 0);

    unsigned rooms = b->far[1].rooms;

    say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_int_equal(b->far[1].rooms, rooms + 1);
    assert_int_equal(console_room(&b->console, 1), 16);
    console_receive(&b->console, 1, (const uint8_t *)"hi", 2);
    assert_memory_equal(driver_collect(&b->driver, PORT_RX(1), &len), "hi", 2);
}

static void a_window_changes_its_size(void **state)
{
    struct bench *b = *state;

    console_resize(&b->console, 0, 100, 30);
    start_multiport(b);
    say(b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    hear(b, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
    hear(b, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
    hear(b, 0, VIRTIO_CONSOLE_RESIZE, 1, "\x64\0\x1e\0", 4);
    assert_int_equal(virtio_config_read(b->driver.dev, 0, 4), 100 | 30 << 16);

    unsigned generation = b->driver.dev->config_generation;

    console_resize(&b->console, 0, 90, 31);
    console_resize(&b->console, 0, 90, 31); /* no news */
    hear(b, 0, VIRTIO_CONSOLE_RESIZE, 1, "\x5a\0\x1f\0", 4);
    hear_nothing(b);
    assert_int_equal(b->driver.config_interrupts, 1);
    assert_int_equal(b->driver.dev->config_generation, generation + 1);
    assert_int_equal(virtio_config_read(b->driver.dev, 2, 2), 31);
    /* Not with a driver that did not ask for it. */
    driver_start(&b->driver, &b->console.virtio, 0);
    console_resize(&b->console, 0, 20, 10);
    assert_int_equal(b->driver.config_interrupts, 1);
}

static void configuration_and_emergency(void **state)
{
    struct bench *b = *state;

    b->driver.dev = &b->console.virtio;
    assert_int_equal(virtio_config_read(b->driver.dev, 4, 4), 4); /* max_nr_ports */
    /* Before anything else is set up. */
    virtio_config_write(b->driver.dev, 8, 4, '!');
    assert_int_equal(b->far[0].count, 1);
    assert_int_equal(b->far[0].got[0], '!');
    virtio_config_write(b->driver.dev, 0, 4, 7);
    assert_non_null(strstr(b->driver.remark, "read-only"));
    virtio_config_write(b->driver.dev, 9, 4, '!');
    assert_int_equal(b->far[0].count, 1);
    assert_string_equal(b->driver.dev->ops->config_name(b->driver.dev, 0), "cols");
    assert_string_equal(b->driver.dev->ops->config_name(b->driver.dev, 6), "max_nr_ports");
    assert_string_equal(b->driver.dev->ops->config_name(b->driver.dev, 8), "emerg_wr");
    assert_null(b->driver.dev->ops->config_name(b->driver.dev, 12));

    struct console small;

    console_init(&small, "s", &b->driver.mem, driver_remark(&b->driver), 1, false);
    assert_int_equal(small.virtio.queue_count, 2);
    assert_false(small.virtio.features & (MULTIPORT | SIZED));
    virtio_config_write(&small.virtio, 8, 4, '!'); /* no console: nowhere */
}

static void a_driver_that_talks_nonsense_is_told(void **state)
{
    struct bench *b = *state;
    static const struct {
        uint32_t id;
        uint16_t event;
        const char *remark;
    } rows[] = {
        {3, VIRTIO_CONSOLE_PORT_READY, "no port 3"},
        {4, VIRTIO_CONSOLE_PORT_OPEN, "no port 4"},
        {UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, "no port 4294967295"},
        {0, VIRTIO_CONSOLE_DEVICE_ADD, "DEVICE_ADD is not"},
        {0, VIRTIO_CONSOLE_RESIZE, "RESIZE is not"},
        {0, 8, "unknown kind 8"},
        {0, UINT16_MAX, "unknown kind 65535"},
    };

    start_multiport(b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say(b, rows[i].id, rows[i].event, 1);
        if (!strstr(b->driver.remark, rows[i].remark))
            fail_msg("\"%s\" does not say \"%s\"", b->driver.remark, rows[i].remark);
        hear_nothing(b);
    }
    driver_send(&b->driver, VIRTIO_CONSOLE_CONTROL_TX, "1234567", 7);
    assert_non_null(strstr(b->driver.remark, "too short"));
    say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 0);
    assert_true(b->console.port[1].ready);
    assert_false(b->driver.dev->status & VIRTIO_STATUS_NEEDS_RESET);
    /* A transmit buffer to write to says nothing; it comes back. */
    driver_offer(&b->driver, PORT_TX(0), NULL, 0, 8);
    virtio_kick(b->driver.dev, PORT_TX(0));
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 1);
    assert_int_equal(b->far[0].count, 0);
    /* A port that is not there takes all, and gives nothing. */
    driver_send(&b->driver, PORT_TX(3), "x", 1);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(3)), 1);
    driver_offer(&b->driver, PORT_RX(3), NULL, 0, 8);
    virtio_kick(b->driver.dev, PORT_RX(3));
    /* A buffer to receive into that has no room breaks the rules. */
    driver_send(&b->driver, PORT_RX(1), "x", 1);
    assert_int_equal(console_room(&b->console, 1), 0);
    assert_true(b->driver.dev->status & VIRTIO_STATUS_NEEDS_RESET);
    console_host_open(&b->console, 1, true);
    console_receive(&b->console, 1, (const uint8_t *)"x", 1);
    hear_nothing(b);
    console_host_open(&b->console, 1, false);
    start_multiport(b);
}

static void small_control_buffers_get_what_fits(void **state)
{
    struct bench *b = *state;
    uint32_t len;

    start_multiport(b);
    for (unsigned i = 0; i < 4; i++) /* those of 64 bytes that are left */
        console_host_open(&b->console, 1, !(i & 1));
    for (unsigned i = 0; i < 4; i++)
        assert_non_null(driver_collect(&b->driver, VIRTIO_CONSOLE_CONTROL_RX, &len));
    driver_offer(&b->driver, VIRTIO_CONSOLE_CONTROL_RX, NULL, 0, 10);
    virtio_kick(b->driver.dev, VIRTIO_CONSOLE_CONTROL_RX);
    say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    hear(b, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "ag", 2);
}

static void count_again(void *count, unsigned queue)
{
    assert_int_equal(queue, PORT_TX(0));
    ++*(unsigned *)count;
}

/* However much a driver has to say, and however fast the far end is, others have a turn. */
static void a_flood_does_not_keep_the_device_lock(void **state)
{
    struct bench *b = *state;
    uint8_t out[SLOT_BYTES];
    unsigned again = 0;

    memset(out, 'x', sizeof out);
    out[sizeof out - 1] = '.';
    driver_start(&b->driver, &b->console.virtio, 0);
    b->console.virtio.later = (struct virtio_later){count_again, &again};
    driver_offer(&b->driver, PORT_TX(0), "a", 1, 0);
    driver_offer(&b->driver, PORT_TX(0), out, sizeof out, 0);
    driver_send(&b->driver, PORT_TX(0), "b", 1);
    assert_int_equal(b->far[0].count, 4096);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 1);
    assert_int_equal(again, 1);
    virtio_kick(b->driver.dev, PORT_TX(0));
    assert_int_equal(b->far[0].count, 4098);
    assert_memory_equal(b->far[0].got + 4095, "x.b", 3);
    assert_int_equal(driver_returned(&b->driver, PORT_TX(0)), 3);
    assert_int_equal(again, 1);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_simple_driver_talks_on_port_0),
        BENCH_TEST(a_slow_far_end_holds_the_buffer),
        BENCH_TEST(a_reset_forgets_a_buffer_in_hand),
        BENCH_TEST(ports_are_introduced),
        BENCH_TEST(messages_wait_for_buffers),
        BENCH_TEST(the_far_end_comes_and_goes),
        BENCH_TEST(input_waits_for_a_guest_that_has_opened_the_port),
        BENCH_TEST(a_window_changes_its_size),
        BENCH_TEST(configuration_and_emergency),
        BENCH_TEST(a_driver_that_talks_nonsense_is_told),
        BENCH_TEST(small_control_buffers_get_what_fits),
        BENCH_TEST(a_flood_does_not_keep_the_device_lock),
    };

    return cmocka_run_group_tests_name("virtio_console", tests, NULL, NULL);
}
