/*
 * test_diff.c: what changed between two traces: found where there is something, silent about noise.
 */
#include "sink_bench.h"
#include "some_event.h"
#include "trace/diff.h"

#include <stdio.h>
#include <string.h>

static void add(struct diff *diff, unsigned side, unsigned count, const char *reg,
                uint64_t guest_ns, uint64_t spread_ns)
{
    struct trace_event event = serial_write('x');
    const struct trace_item item = {.event = &event, .kind = "out"};

    event.reg = reg;
    for (unsigned i = 0; i < count; i++) {
        event.guest_ns = guest_ns + spread_ns * (i % 101) / 100;
        event.vmm_ns = 1000;
        assert_int_equal(diff_add(diff, side, &item), 0);
    }
}

static void add_other(struct diff *diff, unsigned side, unsigned count, enum vm_exit_kind kind,
                      const char *name)
{
    const struct trace_event event = {.kind = kind, .guest_ns = 5000};
    const struct trace_item item = {.event = &event, .kind = name};

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(diff_add(diff, side, &item), 0);
}

/* What is printed; DIFF is destroyed. To be freed. */
static char *print(struct diff *diff)
{
    static const struct trace_footer first = {.wall_ns = 1500000000, .exits = 10, .end = "reset"},
                                     second = {.wall_ns = 2,
                                               .exits = 20,
                                               .end = "power-off",
                                               .dropped = 5,
                                               .filtered = 6};
    const char *const name[] = {"one", "two"};
    const struct trace_footer *const footer[] = {&first, &second};
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    diff_print(out, false, diff, name, footer);
    fclose(out);
    diff_destroy(diff);
    return text;
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected '%s' in:\n%s", part, text);
}

static void expect_not_in(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("expected no '%s' in:\n%s", part, text);
}

static void changes(void **state)
{
    struct diff *diff = diff_create();

    (void)state;
    add(diff, 0, 1000, "LSR", 10000, 1000);
    add(diff, 1, 100, "LSR", 10000, 1000); /* fewer */
    add(diff, 0, 100, "THR", 10000, 1000);
    add(diff, 1, 100, "THR", 20000, 1000); /* slower */
    add(diff, 0, 100, "IER", 10000, 1000);
    add(diff, 1, 110, "IER", 10900, 1000);       /* noise */
    add(diff, 0, 1, "DLL", 10000, 0);            /* gone */
    add(diff, 1, 2, "SCR", 10000, 0);            /* new */
    add_other(diff, 0, 3, VM_EXIT_INTR, "intr"); /* noise: they come by chance */
    add_other(diff, 1, 50, VM_EXIT_KERNEL, "kvm_exit");
    add_other(diff, 0, 50, VM_EXIT_NOTE, "note");

    char *text = print(diff);
    expect_in(text, "A: one: 10 exits in 1.5 s, end: reset\n");
    expect_in(text, "B: two: 20 exits in 2e-09 s, end: power-off; 5 were dropped, and are missing "
                    "in the counts; 6 did not pass the filter\n");
    expect_in(text, "\nserial LSR, out                       1000       100    -90%");
    expect_in(text, "\nserial THR, out                        100       100          ");
    expect_in(text, "   10us   21us  +100%");
    expect_in(text, "\nonly in A ");
    expect_in(text, "\nserial DLL, out                          1         0    gone");
    expect_in(text, "\nonly in B ");
    expect_in(text, "\nserial SCR, out                          0         2     new");
    expect_in(text, "\nkvm_exit                                 0        50     new\n");
    expect_in(text, "\n2 more did not change beyond noise.\n");
    expect_not_in(text, "IER");
    expect_not_in(text, "intr");
    expect_not_in(text, "note");
    assert_true(strstr(text, "LSR") < strstr(text, "THR")); /* what weighs most comes first */
    free(text);
}

static void nothing(void **state)
{
    struct diff *diff = diff_create();

    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        add(diff, side, 1000, "LSR", 10000 + 500 * side, 9000);
        add(diff, side, 5, "THR", side ? 20000 : 10000, 0); /* too few for a median */
        add(diff, side, 100, NULL, 100 + 90 * side, 0);     /* the clock is not better */
    }
    char *text = print(diff);
    expect_in(text, "\nNothing changed beyond noise.\n");
    expect_not_in(text, "serial");
    free(text);

    text = print(diff_create());
    expect_in(text, "\nNothing changed beyond noise.\n");
    free(text);
}

/* Equal names of two traces are not the same pointer. */
static void names(void **state)
{
    struct diff *diff = diff_create();
    char copy[] = "THR";

    (void)state;
    add(diff, 0, 100, "THR", 10000, 0);
    add(diff, 1, 100, copy, 10000, 0);
    char *text = print(diff);
    expect_in(text, "\nNothing changed");
    free(text);
}

static void a_long_name_takes_more_room(void **state)
{
    struct diff *diff = diff_create();

    (void)state;
    add(diff, 1, 18, "of a device that takes room", 100, 0);
    add(diff, 1, 17, "of a device's that has a very long name", 100, 0);
    char *text = print(diff);
    expect_in(text, "\nserial of a device that takes room, out  0        18     new ");
    expect_in(text, "\nserial of a device's that has a very long name, out\n"
                    "                                         0        17     new ");
    free(text);
}

static void many_rows(void **state)
{
    struct diff *diff = diff_create();
    char(*name)[16] = calloc(DIFF_ROWS_MAX + 10, sizeof(*name));

    (void)state;
    for (unsigned i = 0; i < DIFF_ROWS_MAX + 10; i++) {
        snprintf(name[i], sizeof(name[i]), "reg%u", i);
        add(diff, 0, 1, name[i], 100, 0);
    }
    char *text = print(diff);
    expect_in(text, "\nserial reg1023, out ");
    expect_not_in(text, "reg1024");
    free(text);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes),   cmocka_unit_test(nothing),
        cmocka_unit_test(names),     cmocka_unit_test(a_long_name_takes_more_room),
        cmocka_unit_test(many_rows),
    };

    return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
