/*
 * test_pagewalk.c: page tables of all modes, good and hostile.
 */
#include "dead_guest.h"
#include "pagewalk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = dead_guest_create();
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static struct pagewalk walk(struct dead_guest *g, uint64_t linear)
{
    struct pagewalk w;

    pagewalk(&g->mem, &g->state, linear, &w);
    return w;
}

static void poke32(struct dead_guest *g, uint64_t gpa, uint32_t value)
{
    memcpy(g->ram + gpa, &value, sizeof(value));
}

static void without_paging_linear_is_physical(void **state)
{
    struct dead_guest *g = *state;

    g->state.cr0 = CR0_PE;
    g->state.efer = 0;
    struct pagewalk w = walk(g, 0x123456789);
    assert_true(w.mapped && w.writable && w.executable && w.canonical);
    assert_int_equal(w.gpa, 0x23456789);
    assert_int_equal(w.steps, 0);
    assert_int_equal(w.page_size, 0);
}

static void four_levels(void **state)
{
    struct dead_guest *g = *state;
    static const char *const names[] = {"PML4", "PDPT", "PD", "PT"};

    struct pagewalk w = walk(g, DEAD_CODE + 0x123);
    assert_true(w.mapped && !w.writable && w.executable && !w.user && !w.reserved);
    assert_int_equal(w.gpa, DEAD_CODE + 0x123);
    assert_int_equal(w.page_size, 0x1000);
    assert_int_equal(w.steps, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(w.step[i].level, names[i]);
        assert_true(w.step[i].readable);
    }
    assert_int_equal(w.step[3].entry_gpa, DEAD_PT + DEAD_CODE / 0x1000 * 8);
    assert_int_equal(w.step[3].entry, DEAD_CODE | 1);

    w = walk(g, DEAD_STACK);
    assert_true(w.mapped && w.writable && !w.executable);

    w = walk(g, DEAD_GUARD + 8);
    assert_false(w.mapped || w.writable || w.executable || w.reserved);
    assert_int_equal(w.steps, 4);

    w = walk(g, 0x8000000000); /* the second PML4 entry is empty */
    assert_false(w.mapped);
    assert_int_equal(w.steps, 1);
}

static void rights_are_those_of_all_levels(void **state)
{
    struct dead_guest *g = *state;

    *pte(g, DEAD_STACK) = DEAD_STACK | 7;
    struct pagewalk w = walk(g, DEAD_STACK);
    assert_true(w.writable && w.user && w.executable);
    poke64(g, DEAD_PD, DEAD_PT | 1);
    w = walk(g, DEAD_STACK);
    assert_false(w.writable || w.user);
    poke64(g, DEAD_PDPT, 0x8000000000000000 | DEAD_PD | 7);
    assert_false(walk(g, DEAD_STACK).executable);
}

static void large_pages(void **state)
{
    struct dead_guest *g = *state;

    poke64(g, DEAD_PD, 0x40000083);
    struct pagewalk w = walk(g, 0x12345);
    assert_true(w.mapped);
    assert_int_equal(w.page_size, 0x200000);
    assert_int_equal(w.gpa, 0x40012345);
    assert_int_equal(w.steps, 3);

    poke64(g, DEAD_PDPT, 0x1c0000083);
    w = walk(g, 0x3fffffff);
    assert_int_equal(w.page_size, 0x40000000);
    assert_int_equal(w.gpa, 0x1ffffffff);
}

static void five_levels(void **state)
{
    struct dead_guest *g = *state;

    g->state.cr4 |= CR4_LA57;
    g->state.cr3 = 0x7000;
    poke64(g, 0x7000 + 511 * 8, DEAD_PML4 | 3);
    struct pagewalk w = walk(g, 0xffff000000010000);
    assert_true(w.mapped && w.canonical);
    assert_int_equal(w.steps, 5);
    assert_string_equal(w.step[0].level, "PML5");
    assert_int_equal(w.gpa, 0x10000);
    assert_false(walk(g, 0x0100000000000000).canonical);
    assert_true(walk(g, 0x00ff000000000000).canonical);
}

static void canonical_addresses(void **state)
{
    struct dead_guest *g = *state;

    assert_true(walk(g, 0x00007fffffffffff).canonical);
    assert_true(walk(g, 0xffff800000000000).canonical);
    struct pagewalk w = walk(g, 0x0000800000000000);
    assert_false(w.canonical || w.mapped);
    assert_int_equal(w.steps, 0);
    assert_false(walk(g, 0xffff7fffffffffff).canonical);
}

static void reserved_bits(void **state)
{
    struct dead_guest *g = *state;
    const struct {
        uint64_t at, entry;
        unsigned steps;
    } bad[] = {
        {DEAD_PML4, DEAD_PDPT | 0x83, 1}, /* PS in a PML4 entry */
        {DEAD_PDPT, 0x40002083, 2},       /* bit 13 of a 1 GiB page */
        {DEAD_PD, 0x00202083, 3},         /* bit 13 of a 2 MiB page */
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t good;
        memcpy(&good, g->ram + bad[i].at, 8);
        poke64(g, bad[i].at, bad[i].entry);
        struct pagewalk w = walk(g, DEAD_CODE);
        assert_true(w.reserved);
        assert_false(w.mapped);
        assert_int_equal(w.steps, bad[i].steps);
        poke64(g, bad[i].at, good);
    }
    assert_false(walk(g, DEAD_STACK).reserved);
    g->state.efer &= ~EFER_NXE; /* now bit 63 is reserved */
    assert_true(walk(g, DEAD_STACK).reserved);
    assert_false(walk(g, DEAD_CODE).reserved);
}

static void tables_outside_ram(void **state)
{
    struct dead_guest *g = *state;

    poke64(g, DEAD_PD, 0x000ffffffffff007);
    struct pagewalk w = walk(g, DEAD_CODE);
    assert_false(w.mapped);
    assert_int_equal(w.steps, 4);
    assert_false(w.step[3].readable);
    assert_int_equal(w.step[3].entry, 0);

    g->state.cr3 = 0xffffffffffffffff;
    w = walk(g, 0xffffffffffffffff);
    assert_int_equal(w.steps, 1);
    assert_false(w.step[0].readable || w.mapped);
}

static void tables_that_point_at_themselves(void **state)
{
    struct dead_guest *g = *state;

    poke64(g, DEAD_PML4 + 511 * 8, DEAD_PML4 | 3);
    struct pagewalk w = walk(g, 0xffffffffffffffff);
    assert_true(w.mapped);
    assert_int_equal(w.steps, 4);
    assert_int_equal(w.gpa, DEAD_PML4 + 0xfff);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(w.step[i].entry_gpa, DEAD_PML4 + 511 * 8);
}

static void pae_paging(void **state)
{
    struct dead_guest *g = *state;

    g->state.efer = EFER_NXE;
    g->state.seg[SEG_CS].l = false;
    g->state.cr3 = 0x7020;
    poke64(g, 0x7020 + 3 * 8, 0x8000 | 1);
    poke64(g, 0x8000 + 511 * 8, 0x9000 | 3);
    poke64(g, 0x9000 + 511 * 8, 0x8000000000030003);
    struct pagewalk w = walk(g, 0xfffffabc);
    assert_true(w.mapped && w.writable && !w.executable && !w.user);
    assert_int_equal(w.gpa, 0x30abc);
    assert_int_equal(w.steps, 3);
    assert_string_equal(w.step[0].level, "PDPT");

    poke64(g, 0x8000 + 511 * 8, 0x600083);
    w = walk(g, 0xfffffabc);
    assert_int_equal(w.page_size, 0x200000);
    assert_int_equal(w.gpa, 0x7ffabc);

    poke64(g, 0x7020 + 3 * 8, 0x8000 | 3); /* R/W is reserved there */
    assert_true(walk(g, 0xfffffabc).reserved);
}

static void two_level_paging(void **state)
{
    struct dead_guest *g = *state;

    g->state.efer = 0;
    g->state.cr4 = 0;
    g->state.seg[SEG_CS].l = false;
    g->state.cr3 = 0x7000;
    poke32(g, 0x7000 + 4, 0x8000 | 7);
    poke32(g, 0x8000 + 8, 0x30000 | 3);
    struct pagewalk w = walk(g, 0x402345);
    assert_true(w.mapped && w.writable && w.executable && !w.user);
    assert_int_equal(w.gpa, 0x30345);
    assert_int_equal(w.steps, 2);
    assert_int_equal(w.step[1].entry, 0x30000 | 3);

    poke32(g, 0x7000 + 8, 0x00c06083); /* a 4 MiB page, with address bits 33 and 32 set */
    assert_int_equal(walk(g, 0x812345).steps, 2); /* without PSE it is a table */
    g->state.cr4 = CR4_PSE;
    w = walk(g, 0x812345);
    assert_int_equal(w.page_size, 0x400000);
    assert_int_equal(w.gpa, 0x300c12345);
    poke32(g, 0x7000 + 8, 0x00e00083); /* bit 21 is reserved */
    assert_true(walk(g, 0x812345).reserved);
}

static void random_tables_end(void **state)
{
    struct dead_guest *g = *state;
    static const uint64_t modes[][2] = {
        {0, 0}, {CR4_PAE, 0}, {CR4_PAE, EFER_LMA}, {CR4_PAE | CR4_LA57, EFER_LMA}, {CR4_PSE, 0}};

    srandom(1);
    for (unsigned i = 0; i < DEAD_RAM; i++)
        g->ram[i] = (uint8_t)(random() | (i % 8 == 0)) & (i % 8 == 2 ? 0x0f : i % 8 > 2 ? 0 : 0xff);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        g->state.cr4 = modes[i % 5][0];
        g->state.efer = modes[i % 5][1];
        g->state.cr3 = (uint64_t)random() & 0xfffff;
        uint64_t linear = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
        struct pagewalk w = walk(g, linear);
        assert_true(w.steps <= 5);
        assert_true(pagewalk_read(&g->mem, &g->state, linear, bytes, sizeof(bytes)) <= 64);
    }
}

static void read_crosses_pages_and_stops(void **state)
{
    struct dead_guest *g = *state;
    uint8_t bytes[16];

    *pte(g, DEAD_STACK) = 0x30003;
    *pte(g, DEAD_STACK + 0x1000) = 0x40003;
    memset(g->ram + 0x30ff8, 'a', 8);
    memset(g->ram + 0x40000, 'b', 8);
    assert_int_equal(pagewalk_read(&g->mem, &g->state, DEAD_STACK + 0xff8, bytes, 16), 16);
    assert_memory_equal(bytes, "aaaaaaaabbbbbbbb", 16);
    *pte(g, DEAD_STACK + 0x1000) = 0;
    assert_int_equal(pagewalk_read(&g->mem, &g->state, DEAD_STACK + 0xff8, bytes, 16), 8);
    *pte(g, DEAD_STACK + 0x1000) = 0x7ff00003; /* outside RAM */
    assert_int_equal(pagewalk_read(&g->mem, &g->state, DEAD_STACK + 0xff8, bytes, 16), 8);
    assert_int_equal(pagewalk_read(&g->mem, &g->state, DEAD_GUARD, bytes, 16), 0);
    assert_int_equal(pagewalk_read(&g->mem, &g->state, UINT64_MAX, bytes, 16), 0);
}

static void code_addresses(void **state)
{
    struct dead_guest *g = *state;

    g->state.seg[SEG_CS].base = 0xffff0000;
    assert_int_equal(code_address(&g->state), DEAD_CODE);
    g->state.seg[SEG_CS].l = false;
    g->state.rip = 0x1fff0;
    assert_int_equal(code_address(&g->state), 0xfff0);
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(without_paging_linear_is_physical),
        WITH_GUEST(four_levels),
        WITH_GUEST(rights_are_those_of_all_levels),
        WITH_GUEST(large_pages),
        WITH_GUEST(five_levels),
        WITH_GUEST(canonical_addresses),
        WITH_GUEST(reserved_bits),
        WITH_GUEST(tables_outside_ram),
        WITH_GUEST(tables_that_point_at_themselves),
        WITH_GUEST(pae_paging),
        WITH_GUEST(two_level_paging),
        WITH_GUEST(random_tables_end),
        WITH_GUEST(read_crosses_pages_and_stops),
        WITH_GUEST(code_addresses),
    };
    return cmocka_run_group_tests_name("pagewalk", tests, NULL, NULL);
}
