/*
 * test_mem.c: guest memory's bounds (vmm/mem.h): edges, regions side by side, ROM, wrap-around.
 */
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGE      0x1000ull
#define LOW       0x1000ull
#define ROM       0x3000ull
#define AFTER_ROM 0x4000ull
#define TOP       (UINT64_MAX - PAGE + 1)

/* RAM, ROM and RAM side by side, a gap, and RAM that ends with the address space. */
struct fixture {
    uint8_t low[2 * PAGE], rom[PAGE], after[PAGE], top[PAGE], zero[PAGE / 2];
    struct mem mem;
};

static int set_up(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    assert_int_equal(mem_add(&f.mem, TOP, PAGE, f.top, false), 0);
    assert_int_equal(mem_add(&f.mem, ROM, PAGE, f.rom, true), 0);
    assert_int_equal(mem_add(&f.mem, LOW, 2 * PAGE, f.low, false), 0);
    assert_int_equal(mem_add(&f.mem, AFTER_ROM, PAGE, f.after, false), 0);
    assert_int_equal(mem_add(&f.mem, 0, PAGE / 2, f.zero, false), 0);
    *state = &f;
    return 0;
}

static void add_sorts(void **state)
{
    const struct fixture *f = *state;
    static const uint64_t expected[] = {0, LOW, ROM, AFTER_ROM, TOP};
    assert_int_equal(f->mem.count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(f->mem.region[i].gpa, expected[i]);
    }
    assert_true(f->mem.region[2].readonly);
    assert_ptr_equal(f->mem.region[2].host, f->rom);
}

static void add_refuses(void **state)
{
    static const struct {
        uint64_t gpa, size;
        int error;
    } cases[] = {
        {0x10000, 0, -EINVAL},
        {TOP, PAGE + 1, -EINVAL},
        {1, UINT64_MAX, -EEXIST}, /* ends with the address space, so only the overlap is wrong */
        {2, UINT64_MAX, -EINVAL},
        {UINT64_MAX, 2, -EINVAL},
        {UINT64_MAX, UINT64_MAX, -EINVAL},
        {LOW, 1, -EEXIST},                  /* first byte */
        {ROM - 1, 1, -EEXIST},              /* last byte */
        {AFTER_ROM + PAGE - 1, 5, -EEXIST}, /* starts on a last byte */
        {LOW - 1, 2, -EEXIST},              /* ends on a first byte */
        {LOW + 8, 8, -EEXIST},              /* inside */
        {LOW - 8, 0x10000, -EEXIST},        /* around */
        {0, UINT64_MAX, -EEXIST},
        {UINT64_MAX, 1, -EEXIST},
    };
    struct fixture *f = *state;
    uint8_t host[1];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(mem_add(&f->mem, cases[i].gpa, cases[i].size, host, false),
                         cases[i].error);
        assert_int_equal(f->mem.count, 5);
    }
    assert_int_equal(mem_add(&f->mem, AFTER_ROM + PAGE, 1, host, false), 0); /* touches */
    assert_int_equal(mem_add(&f->mem, TOP - 1, 1, host, false), 0);
    assert_int_equal(mem_add(&f->mem, 0x100000, 1, host, false), 0);
    assert_int_equal(f->mem.count, MEM_REGIONS_MAX);
    assert_int_equal(mem_add(&f->mem, 0x200000, 1, host, false), -ENOSPC);
    assert_int_equal(f->mem.count, MEM_REGIONS_MAX);
}

/* One region may be all of the address space but its last byte: sizes are 64 bits. */
static void add_takes_all_of_the_address_space(void **state)
{
    (void)state;
    struct mem mem = {0};
    uint8_t host[1];
    assert_int_equal(mem_add(&mem, 1, UINT64_MAX, host, false), 0);
    assert_ptr_equal(mem_peek(&mem, 1, UINT64_MAX), host);
    assert_null(mem_peek(&mem, 0, 1));
    assert_null(mem_peek(&mem, 2, UINT64_MAX));
}

/* The first region's end counts as much as any other's. */
static void add_checks_the_first_region(void **state)
{
    (void)state;
    struct mem mem = {0};
    uint8_t host[16];
    assert_int_equal(mem_add(&mem, 0x100, 16, host, false), 0);
    assert_int_equal(mem_add(&mem, 0x10f, 1, host, false), -EEXIST);
    assert_int_equal(mem_add(&mem, 0xff, 2, host, false), -EEXIST);
    assert_int_equal(mem_add(&mem, 0x110, 1, host, false), 0);
}

static void pointers(void **state)
{
    struct fixture *f = *state;
    const struct {
        uint64_t gpa, len;
        const void *ptr, *peek;
    } cases[] = {
        {LOW, 1, f->low, f->low},
        {LOW, 2 * PAGE, f->low, f->low},
        {LOW, 2 * PAGE + 1, NULL, NULL}, /* into the next region: not one piece of host memory */
        {LOW + 1, 2 * PAGE, NULL, NULL},
        {ROM - 1, 1, f->low + 2 * PAGE - 1, f->low + 2 * PAGE - 1},
        {ROM - 1, 2, NULL, NULL},
        {ROM, 1, NULL, f->rom},
        {ROM, PAGE, NULL, f->rom},
        {ROM, PAGE + 1, NULL, NULL},
        {AFTER_ROM, 1, f->after, f->after},
        {AFTER_ROM + PAGE, 1, NULL, NULL}, /* one past the end */
        {LOW - 1, 1, NULL, NULL},          /* one before */
        {LOW - 1, 2, NULL, NULL},
        {LOW, 0, NULL, NULL},
        {0x5555555, 0, NULL, NULL},
        {LOW, UINT64_MAX, NULL, NULL},
        {LOW, UINT64_MAX - LOW + 1, NULL, NULL}, /* gpa + len is 2^64 */
        {LOW, UINT64_MAX - LOW + 2, NULL, NULL}, /* and wraps to 1 */
        {TOP, PAGE, f->top, f->top},
        {TOP, PAGE + 1, NULL, NULL},
        {UINT64_MAX, 1, f->top + PAGE - 1, f->top + PAGE - 1},
        {UINT64_MAX, 2, NULL, NULL}, /* wraps to where there is memory, too */
        {UINT64_MAX, UINT64_MAX, NULL, NULL},
        {0, UINT64_MAX, NULL, NULL},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(mem_ptr(&f->mem, cases[i].gpa, cases[i].len), cases[i].ptr);
        assert_ptr_equal(mem_peek(&f->mem, cases[i].gpa, cases[i].len), cases[i].peek);
    }
}

static void nothing_there(void **state)
{
    (void)state;
    const struct mem mem = {0};
    uint8_t byte = 7;
    assert_null(mem_ptr(&mem, 0, 1));
    assert_null(mem_peek(&mem, 0, 1));
    assert_int_equal(mem_read(&mem, 0, &byte, 1), -EFAULT);
    assert_int_equal(mem_write(&mem, 0, &byte, 1), -EFAULT);
    assert_int_equal(byte, 7);
}

static void read_spans_regions(void **state)
{
    struct fixture *f = *state;
    memset(f->low, 1, sizeof(f->low));
    memset(f->rom, 2, sizeof(f->rom));
    memset(f->after, 3, sizeof(f->after));
    uint8_t to[PAGE + 4];
    assert_int_equal(mem_read(&f->mem, ROM - 2, to, sizeof(to)), 0);
    assert_int_equal(to[1], 1);
    assert_int_equal(to[2], 2);
    assert_int_equal(to[PAGE + 1], 2);
    assert_int_equal(to[PAGE + 2], 3);
    assert_int_equal(to[PAGE + 3], 3);
}

static void write_spans_regions(void **state)
{
    (void)state;
    uint8_t one[4] = {0}, two[4] = {0};
    struct mem mem = {0};
    assert_int_equal(mem_add(&mem, 4, 4, two, false), 0);
    assert_int_equal(mem_add(&mem, 0, 4, one, false), 0);
    assert_int_equal(mem_write(&mem, 2, "abcd", 4), 0);
    assert_memory_equal(one, "\0\0ab", 4);
    assert_memory_equal(two, "cd\0\0", 4);
}

/* What cannot be copied whole is not copied at all. */
static void faults_copy_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t gpa, len;
        bool readable;
    } cases[] = {
        {ROM - 4, 8, true},               /* the end of it is ROM */
        {ROM, 8, true},                   /* all of it is */
        {ROM + PAGE - 4, 8, true},        /* the start of it is */
        {AFTER_ROM + PAGE - 4, 8, false}, /* runs off the end */
        {LOW - 4, 8, false},              /* starts before */
        {UINT64_MAX - 3, 8, false},       /* wraps around to memory at 0 */
        {UINT64_MAX, 2, false},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t buffer[8];
        memset(buffer, 0xaa, sizeof(buffer));
        assert_int_equal(mem_write(&f->mem, cases[i].gpa, buffer, cases[i].len), -EFAULT);
        assert_int_equal(mem_read(&f->mem, cases[i].gpa, buffer, cases[i].len),
                         cases[i].readable ? 0 : -EFAULT);
        for (unsigned j = 0; j < cases[i].len; j++) {
            assert_int_equal(buffer[j], cases[i].readable ? 0 : 0xaa);
        }
    }
    for (unsigned i = 0; i < PAGE; i++) {
        assert_int_equal(f->low[PAGE + i] | f->rom[i] | f->after[i] | f->top[i], 0);
    }
}

static void copies_of_any_length(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mem_read(&f->mem, 0x123456789, NULL, 0), 0);
    assert_int_equal(mem_write(&f->mem, ROM, NULL, 0), 0);
    assert_int_equal(mem_read(&f->mem, LOW, NULL, UINT64_MAX), -EFAULT);
    assert_int_equal(mem_write(&f->mem, LOW, NULL, UINT64_MAX - LOW + 2), -EFAULT);
    assert_int_equal(mem_write(&f->mem, UINT64_MAX, "x", 1), 0);
    assert_int_equal(f->top[PAGE - 1], 'x');
    char byte = 0;
    assert_int_equal(mem_read(&f->mem, UINT64_MAX, &byte, 1), 0);
    assert_int_equal(byte, 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(add_sorts, set_up),
        cmocka_unit_test_setup(add_refuses, set_up),
        cmocka_unit_test(add_checks_the_first_region),
        cmocka_unit_test(add_takes_all_of_the_address_space),
        cmocka_unit_test_setup(pointers, set_up),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test_setup(read_spans_regions, set_up),
        cmocka_unit_test(write_spans_regions),
        cmocka_unit_test_setup(faults_copy_nothing, set_up),
        cmocka_unit_test_setup(copies_of_any_length, set_up),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
