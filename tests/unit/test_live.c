/*
 * test_live.c: the pictures of -trace live: rates of a period, orders, and windows of any size.
 */
#include "some_event.h"
#include "trace/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    struct live *live = calloc(1, sizeof(*live));

    assert_non_null(live);
    live->summary = summary_create();
    live->header = (struct trace_header){.guest = "k\033.elf", .vcpus = 2};
    live->columns = 91;
    live->lines = 14;
    live->sort = 'r';
    live->refreshed_ns = 3500000000;
    live->no_keys = "none today";
    *state = live;
    return 0;
}

static int tear_down(void **state)
{
    struct live *live = *state;

    summary_destroy(live->summary);
    free(live);
    return 0;
}

/* COUNT exits of REG, each of NS in the guest and 1000 here. */
static void add(struct live *live, const char *reg, const char *symbol, unsigned count, uint64_t ns)
{
    struct trace_event event = serial_write('a');
    struct trace_item item = {.event = &event, .symbol = symbol};

    event.reg = reg;
    event.guest_ns = ns;
    event.vmm_ns = 1000;
    while (count--)
        summary_add(live->summary, &item);
}

/* Two seconds, in which few THR cost more than many IER. */
static void two_periods(struct live *live)
{
    add(live, "THR", "put", 100, 50000);
    add(live, "LCR", "init", 1, 900);
    live_count(live, 1000000000);
    add(live, "THR", "put", 20, 50000000);
    add(live, "IER", "init", 2000, 9000);
    live_count(live, 2000000000);
}

/* The picture without what controls the terminal. */
static char *plain(struct live *live)
{
    size_t len;
    char *text = live_picture(live, &len), *to = text;

    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    assert_memory_equal(text, "\033[H", 3);
    assert_string_equal(text + len - 3, "\033[J");
    for (const char *from = text; *from; from++) {
        if (*from == '\033')
            from += strcspn(from, "HJKm");
        else if (*from != '\r')
            *to++ = *from;
    }
    *to = '\0';
    return text;
}

static void the_picture(void **state)
{
    struct live *live = *state;

    two_periods(live);
    char *text = plain(live);
    assert_string_equal(
        text, "kvmlens: k?.elf, 2 vCPUs, 3 s\n"
              "1.01k exits/s to kvmlens, 2.12k in all; time: guest+KVM 25.4%, kvmlens 0.1%\n"
              "no keys: none today\n"
              "device register                         exits/s  share    exits  guest+KVM  kvmlens "
              "  time\n"
              "serial IER, out                           1.00k  99.0%    2.00k      9.0us    1.0us "
              "  0.5%\n"
              "serial THR, out                              10   1.0%      120       50ms    1.0us "
              " 25.0%\n"
              "serial LCR, out                               0   0.0%        1          -        - "
              "  0.0%\n"
              "guest symbol                            exits/s  share    exits     a time          "
              "  time\n"
              "init                                      1.00k  99.0%    2.00k       10us          "
              "  0.5%\n"
              "put                                          10   1.0%      120       50ms          "
              " 25.0%");
    free(text);
}

static void what_was_dropped(void **state)
{
    struct live *live = *state;

    two_periods(live);
    live->columns = 120;
    live->sink.dropped = 12345;
    char *text = plain(live);
    assert_non_null(strstr(text, "kvmlens 0.1%; 12345 dropped, not counted\n"));
    free(text);
}

/* An exit that began long before the period. */
static void no_more_than_all(void **state)
{
    struct live *live = *state;

    add(live, "THR", "put", 1, 5000000000);
    live_count(live, 1000000000);
    char *text = plain(live);
    assert_non_null(strstr(text, "guest+KVM 100.0%, kvmlens 0.0%\n"));
    assert_null(strstr(text, "250.0%"));
    free(text);
}

/* kvmlens was stopped in the guest, and while it handled an exit. */
static void stops_are_no_cost(void **state)
{
    struct live *live = *state;
    struct trace_event event = serial_write('a');
    struct trace_item item = {.event = &event,
                              .symbol = "put",
                              .stopped_guest_ns = 3000000000,
                              .stopped_vmm_ns = 5000000000};

    event.guest_ns = 3500000000;
    event.vmm_ns = 5000001000;
    summary_add(live->summary, &item);
    live_count(live, 1000000000);
    char *text = plain(live);
    assert_non_null(strstr(text, "guest+KVM 25.0%, kvmlens 0.0%\n"));
    assert_non_null(strstr(text, "      500ms    1.0us  25.0%\n"));
    assert_non_null(strstr(text, "      500ms           25.0%"));
    free(text);
}

/* Both together are shares of one whole. */
static void no_more_than_all_together(void **state)
{
    struct live *live = *state;

    add(live, "THR", "put", 1, 5000000000);
    add(live, "LSR", "put", 400000, 0);
    live_count(live, 1000000000);
    char *text = plain(live);
    assert_non_null(strstr(text, "guest+KVM 80.0%, kvmlens 20.0%\n"));
    free(text);
}

static void assert_order(struct live *live, char sort, const char *order)
{
    char found[4] = "";

    live->sort = sort;
    live->view = LIVE_REGISTERS;
    char *text = plain(live);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "\nserial ")) && count < 3; at++)
        found[count++] = at[8];
    assert_string_equal(found, order);
    assert_null(strstr(text, "guest symbol"));
    free(text);
}

static void orders(void **state)
{
    struct live *live = *state;

    two_periods(live);
    assert_order(live, 'r', "ITL");
    assert_order(live, 'c', "TIL");
    assert_order(live, 'n', "ILT");
    live->view = LIVE_KINDS;
    char *text = plain(live);
    assert_non_null(
        strstr(text, "\nout                                       1.01k 100.0%    2.12k"));
    free(text);
}

static void any_window(void **state)
{
    struct live *live = *state;

    two_periods(live);
    live->colour = true;
    for (live->lines = 1; live->lines < 40; live->lines++) {
        for (live->columns = 1; live->columns < 300; live->columns += 7) {
            char *text = plain(live);
            unsigned lines = 0;
            for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
                assert_true(strlen(line) < live->columns || live->columns == 1);
            assert_true(lines <= live->lines);
            assert_true(lines >= (live->lines < 6 ? live->lines : 6));
            free(text);
        }
    }
}

static void nothing_yet(void **state)
{
    struct live *live = *state;

    char *text = plain(live);
    assert_non_null(strstr(text, "\n0 exits/s to kvmlens, 0 in all; time: guest+KVM 0.0%"));
    free(text);
    live->no_keys = NULL;
    text = plain(live);
    assert_non_null(strstr(text, "\nr rate  c cost  n name (by rate) "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_picture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_all_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_are_no_cost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_yet, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
