/*
 * test_summary.c: the histogram against sorted samples, and the summary's tables.
 */
#include "trace/histogram.h"
#include "trace/summary.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int ascending(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return *a < *b ? -1 : *a > *b;
}

/* At least one of 32 parts: half a bucket. */
static void assert_close(uint64_t value, uint64_t expected)
{
    uint64_t off = value > expected ? value - expected : expected - value;

    if (off > expected / 32)
        fail_msg("%" PRIu64 " is not within 3.2 %% of %" PRIu64, value, expected);
}

static void percentiles_of_random_samples(void **state)
{
    static uint64_t sample[10007];
    static struct histogram h;
    const unsigned count = sizeof(sample) / sizeof(sample[0]);
    static const unsigned permille[] = {1, 10, 500, 900, 990, 999, 1000};

    (void)state;
    srandom(5);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t sum = 0;
        memset(&h, 0, sizeof(h));
        for (unsigned i = 0; i < count; i++) {
            sample[i] = ((uint64_t)random() << 20 ^ (uint64_t)random()) >> (random() % 45);
            sample[i] &= ((uint64_t)1 << HISTOGRAM_MAX_BITS) - 1;
            sum += sample[i];
            histogram_add(&h, sample[i]);
        }
        qsort(sample, count, sizeof(sample[0]), ascending);
        assert_int_equal(h.count, count);
        assert_int_equal(h.sum, sum);
        assert_int_equal(h.max, sample[count - 1]);
        for (unsigned i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
            unsigned rank = (count * permille[i] + 999) / 1000;
            assert_close(histogram_percentile(&h, permille[i]), sample[rank - 1]);
        }
    }
}

static void small_values_are_exact(void **state)
{
    struct histogram h = {0};

    (void)state;
    assert_int_equal(histogram_percentile(&h, 500), 0);
    for (uint64_t value = 0; value < 32; value++) {
        struct histogram one = {0};
        histogram_add(&one, value);
        assert_int_equal(histogram_percentile(&one, 1), value);
        assert_int_equal(histogram_percentile(&one, 1000), value);
    }
}

static void extreme_values(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_percentile(&h, 500), UINT64_MAX);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct histogram one = {0};
        histogram_add(&one, (uint64_t)1 << bit);
        histogram_add(&one, ((uint64_t)1 << bit) - 1);
        assert_int_equal(histogram_percentile(&one, 1000), (uint64_t)1 << bit);
    }
}

static void merged_is_as_added(void **state)
{
    struct histogram a = {0}, b = {0}, both = {0};

    (void)state;
    srandom(6);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = (uint64_t)random() >> (random() % 31);
        histogram_add(i % 3 ? &a : &b, value);
        histogram_add(&both, value);
    }
    histogram_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof(a));
}

static struct trace_event access_of(const char *device, const char *reg, bool write, uint64_t ns)
{
    return (struct trace_event){.start_ns = 1,
                                .guest_ns = ns,
                                .vmm_ns = 100,
                                .kind = VM_EXIT_PIO,
                                .write = write,
                                .size = 1,
                                .count = 1,
                                .device = device,
                                .reg = reg};
}

static void add(struct summary *summary, struct trace_event event)
{
    summary_add(summary, &event);
}

static void assert_text(const struct summary *summary, uint64_t wall_ns, const char *expected)
{
    size_t len;
    char *text = summary_text(summary, wall_ns, &len);

    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, expected);
    free(text);
}

static void the_tables(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    for (unsigned i = 1; i <= 1000; i++)
        add(summary, access_of("serial", "THR", true, i * 100));
    for (unsigned i = 0; i < 3; i++)
        add(summary, access_of("rtc", "seconds", false, 1234567));
    add(summary, access_of(NULL, NULL, false, 8));
    struct trace_event event = access_of("serial", "THR", true, 2000000000);
    event.count = 16;
    add(summary, event);
    event = (struct trace_event){
        .kind = VM_EXIT_OTHER, .guest_ns = 5, .raw_name = "KVM_EXIT_X86_RDMSR"};
    add(summary, event);
    event =
        (struct trace_event){.kind = VM_EXIT_HLT, .guest_ns = 999499, .raw_name = "KVM_EXIT_HLT"};
    add(summary, event);
    assert_text(
        summary, 2500000000,
        "1007 exits to kvmlens in 2.50s, 403 a second. What KVM handles by itself (PIC, I/O APIC, "
        "local APIC,\n"
        "PIT, HLT, page faults, MSRs, ...) never comes here and is not counted.\n"
        "\n"
        "                                                  ------- guest and KVM --------    "
        "---------- kvmlens -----------\n"
        "by kind of exit                     exits  share  total   mean    p50    p99    max    "
        "total   mean    p50    p99    max\n"
        "outs                                    1   0.1%  2.00s  2.00s   2.0s   2.0s  2.00s    "
        "100ns  100ns  100ns  100ns  100ns\n"
        "out                                  1000  99.3% 50.0ms 50.0us   50us  100us  100us    "
        "100us  100ns  100ns  100ns  100ns\n"
        "in                                      4   0.4% 3.70ms  926us  1.2ms  1.2ms 1.23ms    "
        "400ns  100ns  100ns  100ns  100ns\n"
        "hlt                                     1   0.1%  999us  999us  999us  999us  999us      "
        "0ns    0ns    0ns    0ns    0ns\n"
        "other                                   1   0.1%    5ns    5ns    5ns    5ns    5ns      "
        "0ns    0ns    0ns    0ns    0ns\n"
        "all                                  1007 100.0%  2.05s 2.04ms   50us  100us  2.00s    "
        "100us   99ns  100ns  100ns  100ns\n"
        "\n"
        "                                                  ------- guest and KVM --------    "
        "---------- kvmlens -----------\n"
        "by device register                  exits  share  total   mean    p50    p99    max    "
        "total   mean    p50    p99    max\n"
        "serial THR, outs                        1   0.1%  2.00s  2.00s   2.0s   2.0s  2.00s    "
        "100ns  100ns  100ns  100ns  100ns\n"
        "serial THR, out                      1000  99.3% 50.0ms 50.0us   50us  100us  100us    "
        "100us  100ns  100ns  100ns  100ns\n"
        "rtc seconds, in                         3   0.3% 3.70ms 1.23ms  1.2ms  1.2ms 1.23ms    "
        "300ns  100ns  100ns  100ns  100ns\n"
        "nobody, in                              1   0.1%    8ns    8ns    8ns    8ns    8ns    "
        "100ns  100ns  100ns  100ns  100ns\n"
        "KVM_EXIT_X86_RDMSR, other               1   0.1%    5ns    5ns    5ns    5ns    5ns      "
        "0ns    0ns    0ns    0ns    0ns\n");
    summary_destroy(summary);
}

static void no_exits(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    assert_text(summary, 1234567, "0 exits to kvmlens in 1.23ms: the guest never needed it\n");
    summary_destroy(summary);
}

/* A percentile is rounded to two digits, but not above the maximum. */
static void percentiles_stay_below_the_maximum(void **state)
{
    struct summary *summary = summary_create();
    size_t len;

    (void)state;
    add(summary, access_of("serial", "THR", true, 8160));
    add(summary, access_of("serial", "IER", true, 8070));
    add(summary, access_of("serial", "LCR", true, 999600));
    char *text = summary_text(summary, 1000000, &len);
    assert_non_null(strstr(text, " 8.16us 8.16us  8.1us  8.1us 8.16us "));
    assert_non_null(strstr(text, " 1.00ms 1.00ms 1.00ms 1.00ms 1.00ms "));
    assert_non_null(strstr(text, " 8.07us 8.07us 8.07us 8.07us 8.07us "));
    free(text);
    summary_destroy(summary);
}

static void each_register_has_its_own_row(void **state)
{
    enum { NAMES = 256 };
    static char pool[NAMES][64];
    const char *names[NAMES];
    struct summary *summary = summary_create();
    size_t len;

    (void)state;
    srandom(7);
    for (unsigned i = 0; i < NAMES; i++) {
        /* At uneven addresses, so that some meet in the hash table. */
        char *name = pool[i] + random() % 48;
        snprintf(name, 16, "d%u", i);
        names[i] = name;
        add(summary, access_of(name, "data", i % 2, 1000));
    }
    char *text = summary_text(summary, 1000000, &len);
    for (unsigned i = 0; i < NAMES; i++) {
        char line[80], name[40];
        snprintf(name, sizeof(name), "%s data, %s", names[i], i % 2 ? "out" : "in");
        snprintf(line, sizeof(line), "\n%-32s        1   0.4%%", name);
        assert_non_null(strstr(text, line));
    }
    assert_null(strstr(text, "(others)"));
    free(text);
    summary_destroy(summary);
}

static void a_full_table_says_so(void **state)
{
    enum { NAMES = 400 };
    static char names[NAMES][8];
    struct summary *summary = summary_create();
    unsigned lines = 0;
    size_t len;

    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "r%u", i);
        add(summary, access_of("device", names[i], false, 1000));
        add(summary, access_of("device", names[i], false, 1000));
    }
    add(summary, access_of("device", names[NAMES - 1], true, 1000));
    add(summary, (struct trace_event){.kind = VM_EXIT_HLT});
    char *text = summary_text(summary, 1000000, &len);
    assert_non_null(strstr(text, "802 exits to kvmlens"));
    assert_non_null(strstr(text, "\nin                                    800  99.8%"));
    assert_non_null(strstr(text, "\n(others), in                          288  35.9%"));
    assert_non_null(strstr(text, "\n(others), out                           1   0.1%"));
    assert_non_null(strstr(text, "\n(others): more than 256 registers were used; the rest share "
                                 "these lines\n"));
    for (char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 2 + 7 + 3 + 256 + 2 + 1);
    free(text);
    summary_destroy(summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_random_samples),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(extreme_values),
        cmocka_unit_test(merged_is_as_added),
        cmocka_unit_test(the_tables),
        cmocka_unit_test(no_exits),
        cmocka_unit_test(percentiles_stay_below_the_maximum),
        cmocka_unit_test(each_register_has_its_own_row),
        cmocka_unit_test(a_full_table_says_so),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
