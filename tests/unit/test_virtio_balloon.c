/*
 * test_virtio_balloon.c: the memory balloon against a scripted driver, and a host that writes down
 * which memory it gets.
 */
#include "fake_wires.h"
#include "small_driver.h"
#include "virtio/balloon.h"

#include <sys/mman.h>

#define INTERVAL     500u
#define REPORTING    VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING)
#define STATS        VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ)
#define DISCARDS_MAX 32

struct bench {
    struct small_driver driver;
    struct balloon balloon;
    struct fake_wires wires;
    uint8_t *ram_page; /* the guest's address 0; a boundary of pages */
    struct {
        uint64_t gpa, bytes;
    } discard[DISCARDS_MAX];
    unsigned discards;
};

static void discard(void *opaque, void *host, uint64_t bytes)
{
    struct bench *b = opaque;

    assert_true(b->discards < DISCARDS_MAX);
    b->discard[b->discards].gpa = (uint64_t)((uint8_t *)host - b->ram_page);
    b->discard[b->discards++].bytes = bytes;
}

static void make(struct bench *b, uint64_t features, uint64_t interval)
{
    balloon_init(&b->balloon, "virtio-balloon0", &b->driver.mem, driver_remark(&b->driver),
                 (struct balloon_backend){discard, b}, fake_clock(&b->wires), fake_timer(&b->wires),
                 features, interval);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    /* The driver's memory has to lie on pages. */
    b->ram_page =
        mmap(NULL, DRIVER_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(b->ram_page != MAP_FAILED);
    b->driver.ram = b->ram_page;
    assert_int_equal(mem_add(&b->driver.mem, 0, DRIVER_RAM, b->ram_page, false), 0);
    b->wires.now = 7;
    make(b, REPORTING, INTERVAL);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    munmap(b->ram_page, DRIVER_RAM);
    free(b);
    return 0;
}

static void give(struct bench *b, unsigned queue, const uint32_t *pages, uint32_t count)
{
    uint32_t len;

    b->discards = 0;
    driver_send(&b->driver, queue, pages, count * (uint32_t)sizeof *pages);
    assert_non_null(driver_collect(&b->driver, queue, &len));
    assert_int_equal(len, 0);
}

static void assert_discarded(const struct bench *b, unsigned nth, uint64_t gpa, uint64_t bytes)
{
    assert_true(nth < b->discards);
    assert_int_equal(b->discard[nth].gpa, gpa);
    assert_int_equal(b->discard[nth].bytes, bytes);
}

static void pages_go_back_to_the_host(void **state)
{
    static const uint32_t pages[] = {0x100, 0x101, 0x102, 0x110, 0x10f, 0x10e, 0x150};
    struct bench *b = *state;

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    give(b, VIRTIO_BALLOON_INFLATE, pages, 7);
    assert_int_equal(b->discards, 3); /* neighbours go together */
    assert_discarded(b, 0, 0x100000, 0x3000);
    assert_discarded(b, 1, 0x10e000, 0x3000);
    assert_discarded(b, 2, 0x150000, 0x1000);
    give(b, VIRTIO_BALLOON_DEFLATE, pages, 7);
    assert_int_equal(b->discards, 0);
    assert_string_equal(b->driver.remark, "deflate: 7 pages");
}

static void hostile_page_numbers_are_ignored(void **state)
{
    static const uint32_t pages[] = {DRIVER_RAM >> 12, UINT32_MAX, 0x80000000, 0x100,
                                     (DRIVER_RAM >> 12) - 1};
    struct bench *b = *state;
    uint32_t many[SLOT_BYTES / 4];

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    give(b, VIRTIO_BALLOON_INFLATE, pages, 5);
    assert_int_equal(b->discards, 2);
    assert_discarded(b, 0, 0x100000, 0x1000);
    assert_discarded(b, 1, DRIVER_RAM - 0x1000, 0x1000);
    assert_string_equal(b->driver.remark, "3 page numbers are not of RAM: ignored");
    /* Part of a number is none. */
    driver_send(&b->driver, VIRTIO_BALLOON_INFLATE, pages, 3);
    assert_string_equal(b->driver.remark, "inflate: 0 pages");
    /* A buffer to write to holds no numbers. */
    b->discards = 0;
    driver_offer(&b->driver, VIRTIO_BALLOON_INFLATE, NULL, 0, 400);
    virtio_kick(b->driver.dev, VIRTIO_BALLOON_INFLATE);
    assert_int_equal(b->discards, 0);
    assert_int_equal(driver_returned(&b->driver, VIRTIO_BALLOON_INFLATE), 2);
    /* The same page again and again. */
    for (unsigned i = 0; i < SLOT_BYTES / 4; i++)
        many[i] = 0x100;
    driver_start(&b->driver, &b->balloon.virtio, STATS);
    b->discards = 0;
    driver_send(&b->driver, VIRTIO_BALLOON_INFLATE, many, 80);
    assert_int_equal(b->discards, 1);
}

static void a_page_of_rom_stays(void **state)
{
    static const uint32_t page = 0x800;
    static uint8_t rom[4096];
    struct bench *b = *state;

    assert_int_equal(mem_add(&b->driver.mem, 0x800000, sizeof rom, rom, true), 0);
    driver_start(&b->driver, &b->balloon.virtio, STATS);
    give(b, VIRTIO_BALLOON_INFLATE, &page, 1);
    assert_int_equal(b->discards, 0);
}

static void an_absurdly_long_list_is_cut(void **state)
{
    struct bench *b = *state;
    struct virtq_desc *desc = (struct virtq_desc *)(b->ram_page + driver_ring(0));
    uint32_t *numbers = (uint32_t *)(b->ram_page + 0x180000);

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    for (unsigned i = 0; i < 2 * BALLOON_PAGES_AT_ONCE; i++)
        numbers[i] = i < BALLOON_PAGES_AT_ONCE ? UINT32_MAX : 0x100;
    driver_offer(&b->driver, 0, "1234", 4, 0);
    desc[0].addr = 0x180000;
    desc[0].len = 2 * BALLOON_PAGES_AT_ONCE * 4;
    virtio_kick(b->driver.dev, 0);
    assert_int_equal(b->discards, 0);
    assert_int_equal(driver_returned(&b->driver, 0), 1);
}

static void send_stats(struct bench *b, const struct virtio_balloon_stat *stats, uint32_t count)
{
    driver_send(&b->driver, VIRTIO_BALLOON_STATS, stats, count * (uint32_t)sizeof *stats);
}

static void statistics_are_asked_for_again_and_again(void **state)
{
    static const struct virtio_balloon_stat stats[] = {{VIRTIO_BALLOON_S_MEMFREE, 1000},
                                                       {VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX},
                                                       {10, 5},
                                                       {0xffff, 6}};
    struct bench *b = *state;
    uint32_t len;

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    send_stats(b, stats, 4);
    assert_int_equal(driver_returned(&b->driver, VIRTIO_BALLOON_STATS), 0);
    assert_true(b->balloon.stats_held);
    assert_int_equal(b->balloon.stat[VIRTIO_BALLOON_S_MEMFREE], 1000);
    assert_int_equal(b->balloon.stat[VIRTIO_BALLOON_S_MEMTOT], UINT64_MAX);
    assert_true(b->balloon.stat_known[VIRTIO_BALLOON_S_MEMTOT]);
    assert_false(b->balloon.stat_known[VIRTIO_BALLOON_S_CACHES]);
    assert_int_equal(b->wires.deadline, 7 + INTERVAL);
    assert_true(fake_wires_pass(&b->wires, INTERVAL));
    balloon_timeout(&b->balloon);
    assert_non_null(driver_collect(&b->driver, VIRTIO_BALLOON_STATS, &len));
    assert_int_equal(b->wires.deadline, 7 + 2 * INTERVAL);
    balloon_timeout(&b->balloon); /* the driver is slow: nothing to give back */
    send_stats(b, stats, 1);
    assert_false(b->balloon.stat_known[VIRTIO_BALLOON_S_MEMTOT]);
    /* A second buffer: the first one comes back. */
    send_stats(b, stats, 2);
    assert_non_null(driver_collect(&b->driver, VIRTIO_BALLOON_STATS, &len));
    assert_int_equal(driver_returned(&b->driver, VIRTIO_BALLOON_STATS), 0);
    /* A reset forgets the buffer and stops the timer. */
    virtio_set_status(b->driver.dev, 0);
    assert_false(b->balloon.stats_held);
    assert_int_equal(b->wires.deadline, 0);
    balloon_timeout(&b->balloon);
    make(b, 0, 0);
    driver_start(&b->driver, &b->balloon.virtio, STATS);
    send_stats(b, stats, 2);
    assert_int_equal(b->wires.deadline, 0);
}

static void reported_pages_go_back_whole(void **state)
{
    struct bench *b = *state;
    uint32_t len;

    for (unsigned queue = 3; queue <= 4; queue++) {
        struct virtq_desc *desc = (struct virtq_desc *)(b->ram_page + driver_ring(queue));

        driver_start(&b->driver, &b->balloon.virtio, STATS | REPORTING);
        b->discards = 0;
        driver_offer(&b->driver, queue, NULL, 0, 64);
        desc[1].addr = 0x100100; /* not a page's start */
        desc[1].len = 0x3000;
        virtio_kick(b->driver.dev, queue);
        assert_non_null(driver_collect(&b->driver, queue, &len));
        assert_int_equal(b->discards, 1);
        assert_discarded(b, 0, 0x101000, 0x2000);
        driver_offer(&b->driver, queue, NULL, 0, 64); /* less than a page */
        virtio_kick(b->driver.dev, queue);
        driver_send(&b->driver, queue, "x", 1); /* nothing to write to */
        assert_int_equal(b->discards, 1);
        assert_int_equal(driver_returned(&b->driver, queue), 2);
    }
    /* Not negotiated: the buffers come back untouched. */
    driver_start(&b->driver, &b->balloon.virtio, STATS);
    b->discards = 0;
    driver_offer(&b->driver, 3, NULL, 0, 4096);
    virtio_kick(b->driver.dev, 3);
    assert_int_equal(b->discards, 0);
    assert_int_equal(driver_returned(&b->driver, 3), 1);
    /* Linux without statistics: queue 2. */
    driver_start(&b->driver, &b->balloon.virtio, REPORTING);
    driver_offer(&b->driver, 2, NULL, 0, 4096);
    virtio_kick(b->driver.dev, 2);
    assert_int_equal(b->discards, 1);
    assert_int_equal(driver_returned(&b->driver, 2), 1);
}

static void the_target_is_told(void **state)
{
    struct bench *b = *state;

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    balloon_set_target(&b->balloon, DRIVER_RAM - 0x10000);
    assert_int_equal(b->driver.config_interrupts, 1);
    assert_int_equal(virtio_config_read(b->driver.dev, 0, 4), 16);
    virtio_config_write(b->driver.dev, 4, 4, 16);
    assert_int_equal(virtio_config_read(b->driver.dev, 4, 4), 16);
    assert_int_equal(b->balloon.actual, 16);
    virtio_config_write(b->driver.dev, 0, 8, 0x1234567800000000 | 99);
    assert_int_equal(b->balloon.num_pages, 16);
    assert_int_equal(b->balloon.actual, 0x12345678);
    virtio_config_write(b->driver.dev, 5, 1, 0);
    assert_int_equal(b->balloon.actual, 0x12340078);
    virtio_config_write(b->driver.dev, 8, 4, 1);
    balloon_set_target(&b->balloon, UINT64_MAX);
    assert_int_equal(b->balloon.num_pages, 0);
    assert_string_equal(b->driver.dev->ops->config_name(b->driver.dev, 3), "num_pages");
    assert_string_equal(b->driver.dev->ops->config_name(b->driver.dev, 4), "actual");
    assert_null(b->driver.dev->ops->config_name(b->driver.dev, 8));
    make(b, 0, 0);
    assert_int_equal(b->balloon.virtio.queue_count, 3);
}

static void count_again(void *count, unsigned queue)
{
    assert_int_equal(queue, VIRTIO_BALLOON_INFLATE);
    ++*(unsigned *)count;
}

/* A buffer can mean thousands of calls of the host's; others have a turn between two. */
static void a_flood_does_not_keep_the_device_lock(void **state)
{
    struct bench *b = *state;
    const uint32_t page = 0x100;
    unsigned again = 0;

    driver_start(&b->driver, &b->balloon.virtio, STATS);
    b->balloon.virtio.later = (struct virtio_later){count_again, &again};
    for (unsigned i = 0; i < 3; i++)
        driver_offer(&b->driver, VIRTIO_BALLOON_INFLATE, &page, sizeof page, 0);
    for (unsigned i = 1; i <= 3; i++) {
        virtio_kick(b->driver.dev, VIRTIO_BALLOON_INFLATE);
        assert_int_equal(driver_returned(&b->driver, VIRTIO_BALLOON_INFLATE), i);
        assert_int_equal(again, i);
    }
    virtio_kick(b->driver.dev, VIRTIO_BALLOON_INFLATE);
    assert_int_equal(again, 3);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(pages_go_back_to_the_host),
        BENCH_TEST(hostile_page_numbers_are_ignored),
        BENCH_TEST(a_page_of_rom_stays),
        BENCH_TEST(an_absurdly_long_list_is_cut),
        BENCH_TEST(statistics_are_asked_for_again_and_again),
        BENCH_TEST(reported_pages_go_back_whole),
        BENCH_TEST(the_target_is_told),
        BENCH_TEST(a_flood_does_not_keep_the_device_lock),
    };

    return cmocka_run_group_tests_name("virtio_balloon", tests, NULL, NULL);
}
