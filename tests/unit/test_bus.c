/*
 * test_bus.c: an address space shared out among devices (vmm/bus.h).
 */
#include "bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A device that writes down each access; it reads as its offset in every byte. */
struct notebook {
    struct {
        char what;
        uint64_t offset, value;
        unsigned size;
    } entry[16];
    unsigned count;
};

static void note(struct notebook *book, char what, uint64_t offset, unsigned size, uint64_t value)
{
    assert_true(book->count < 16);
    book->entry[book->count].what = what;
    book->entry[book->count].offset = offset;
    book->entry[book->count].size = size;
    book->entry[book->count].value = value;
    book->count++;
}

static uint64_t book_read(void *dev, uint64_t offset, unsigned size)
{
    note(dev, 'r', offset, size, 0);
    return (offset + 1) * 0x1111111111111111; /* more bytes than were asked for */
}

static void book_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    note(dev, 'w', offset, size, value);
}

static void book_reset(void *dev)
{
    note(dev, 'R', 0, 0, 0);
}

static const struct device_ops any_width = {
    .name = "any", .read = book_read, .write = book_write, .reset = book_reset};
static const struct device_ops byte_wide = {
    .name = "byte", .width = 1, .read = book_read, .write = book_write, .reset = book_reset};
static const struct device_ops word_wide = {
    .name = "word", .width = 2, .read = book_read, .write = book_write};

static void expect_entry(const struct notebook *book, unsigned i, char what, uint64_t offset,
                         unsigned size, uint64_t value)
{
    assert_true(i < book->count);
    assert_int_equal(book->entry[i].what, what);
    assert_int_equal(book->entry[i].offset, offset);
    assert_int_equal(book->entry[i].size, size);
    assert_int_equal(book->entry[i].value, value);
}

static void attach_refuses(void **state)
{
    (void)state;
    static const struct {
        uint64_t base, size;
        int error;
    } cases[] = {
        {0x3f8, 0, -EINVAL},
        {UINT64_MAX, 2, -EINVAL},
        {2, UINT64_MAX, -EINVAL},
        {0x3f8, 8, -EEXIST},  /* the same */
        {0x3ff, 1, -EEXIST},  /* the last byte */
        {0x3f0, 9, -EEXIST},  /* ends on the first byte */
        {0x3f0, 64, -EEXIST}, /* around it */
        {0x3fa, 1, -EEXIST},  /* within it */
        {0, UINT64_MAX, -EEXIST},
        {0x3f0, 8, 0}, /* touches it from below */
        {0x400, 1, 0}, /* and from above */
        {UINT64_MAX, 1, 0},
        {UINT64_MAX, 1, -EEXIST},
        {0, 1, 0},
    };
    struct bus bus = {0};
    assert_int_equal(bus_attach(&bus, 0x3f8, 8, &any_width, NULL), 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(bus_attach(&bus, cases[i].base, cases[i].size, &any_width, NULL),
                         cases[i].error);
    }
    assert_int_equal(bus.count, 5);
    for (unsigned i = 1; i < bus.count; i++) {
        assert_true(bus.range[i - 1].base < bus.range[i].base);
    }
}

static void attach_until_full(void **state)
{
    (void)state;
    struct bus bus = {0};
    for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
        /* every other one first, so that ranges go in between */
        uint64_t base = 16 * (i % 2 ? i : BUS_RANGES_MAX - i);
        assert_int_equal(bus_attach(&bus, base, 8, &any_width, NULL), 0);
    }
    assert_int_equal(bus_attach(&bus, 0x10000, 8, &any_width, NULL), -ENOSPC);
    for (unsigned i = 1; i <= BUS_RANGES_MAX - 1; i++) {
        const struct bus_range *range = bus_find(&bus, 16 * i + 7, 1);
        assert_non_null(range);
        assert_int_equal(range->base, 16 * i);
        assert_null(bus_find(&bus, 16 * i + 8, 1));
    }
}

static void find_edges(void **state)
{
    (void)state;
    struct bus bus = {0};
    assert_null(bus_find(&bus, 0, 1));
    assert_int_equal(bus_attach(&bus, 0x70, 2, &any_width, NULL), 0);
    assert_int_equal(bus_attach(&bus, UINT64_MAX - 7, 8, &any_width, NULL), 0);
    assert_null(bus_find(&bus, 0x6f, 1));
    assert_ptr_equal(bus_find(&bus, 0x70, 1), &bus.range[0]);
    assert_ptr_equal(bus_find(&bus, 0x71, 1), &bus.range[0]);
    assert_null(bus_find(&bus, 0x72, 1));
    assert_null(bus_find(&bus, UINT64_MAX - 8, 1));
    assert_ptr_equal(bus_find(&bus, UINT64_MAX, 1), &bus.range[1]);
    assert_ptr_equal(bus_find(&bus, 0x70, 2), &bus.range[0]);
    assert_null(bus_find(&bus, 0x70, 4)); /* only a part of it is claimed */
    assert_null(bus_find(&bus, 0x71, 2));
    assert_ptr_equal(bus_find(&bus, UINT64_MAX - 7, 8), &bus.range[1]);
    assert_null(bus_find(&bus, UINT64_MAX - 6, 8));
}

static void device_sees_offsets(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct notebook book = {0};
    assert_int_equal(bus_attach(&bus, 0xfeb00000, 0x200, &any_width, &book), 0);
    assert_int_equal(bus_read(&bus, 0xfeb00004, 4), 0x55555555);
    bus_write(&bus, 0xfeb001f8, 8, 0x1122334455667788);
    bus_write(&bus, 0xfeb00000, 2, 0x1122334455667788);
    assert_int_equal(book.count, 3);
    expect_entry(&book, 0, 'r', 4, 4, 0);
    expect_entry(&book, 1, 'w', 0x1f8, 8, 0x1122334455667788);
    expect_entry(&book, 2, 'w', 0, 2, 0x7788);
}

static void unclaimed_reads_as_ones(void **state)
{
    (void)state;
    static const struct {
        uint64_t addr;
        unsigned size;
        uint64_t ones;
    } cases[] = {
        {0x40, 1, 0xff},
        {0x40, 2, 0xffff},
        {0x40, 4, 0xffffffff},
        {0x40, 8, UINT64_MAX},
        {0x77, 2, 0xffff},                   /* runs off the end of a device */
        {0x74, 8, UINT64_MAX},               /* the same */
        {0x6f, 2, 0xffff},                   /* starts before it */
        {0xfffffffffffffffc, 8, UINT64_MAX}, /* off the end of the address space */
    };
    struct bus bus = {0};
    struct notebook book = {0};
    assert_int_equal(bus_attach(&bus, 0x70, 8, &any_width, &book), 0);
    assert_int_equal(bus_attach(&bus, 0xfffffffffffffff8, 8, &byte_wide, &book), 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(bus_read(&bus, cases[i].addr, cases[i].size), cases[i].ones);
        bus_write(&bus, cases[i].addr, cases[i].size, 0);
    }
    assert_int_equal(book.count, 0);
}

static void wide_access_to_a_narrow_device(void **state)
{
    (void)state;
    struct bus bus = {0};
    struct notebook book = {0};
    assert_int_equal(bus_attach(&bus, 0x3f8, 8, &byte_wide, &book), 0);
    assert_int_equal(bus_attach(&bus, 0x100, 8, &word_wide, &book), 0);
    bus_write(&bus, 0x3f9, 4, 0x44332211);
    for (unsigned i = 0; i < 4; i++) {
        expect_entry(&book, i, 'w', 1 + i, 1, 0x11 * (i + 1));
    }
    book.count = 0;
    assert_int_equal(bus_read(&bus, 0x3fc, 2), 0x6655);
    expect_entry(&book, 0, 'r', 4, 1, 0);
    expect_entry(&book, 1, 'r', 5, 1, 0);
    book.count = 0;
    assert_int_equal(bus_read(&bus, 0x100, 8), 0x7777555533331111);
    assert_int_equal(book.count, 4);
    expect_entry(&book, 3, 'r', 6, 2, 0);
    book.count = 0;
    assert_int_equal(bus_read(&bus, 0x101, 1), 0x22); /* narrower than the device: as it is */
    expect_entry(&book, 0, 'r', 1, 1, 0);
}

/* A device at several ranges is reset once; one without a reset function not at all. */
static void reset_once(void **state)
{
    (void)state;
    static const struct device_ops *const ops[] = {&any_width, &byte_wide, &word_wide,
                                                   &any_width, &byte_wide, &any_width};
    static const unsigned devices[] = {0, 1, 2, 1, 0, 0};
    struct bus bus = {0};
    struct notebook book[3] = {0};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(bus_attach(&bus, 0x100 * i, 1, ops[i], &book[devices[i]]), 0);
    }
    bus_reset(&bus);
    assert_int_equal(book[0].count, 1);
    assert_int_equal(book[1].count, 1);
    assert_int_equal(book[2].count, 0);
    expect_entry(&book[0], 0, 'R', 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attach_refuses),
        cmocka_unit_test(attach_until_full),
        cmocka_unit_test(find_edges),
        cmocka_unit_test(device_sees_offsets),
        cmocka_unit_test(unclaimed_reads_as_ones),
        cmocka_unit_test(wide_access_to_a_narrow_device),
        cmocka_unit_test(reset_once),
    };
    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
