/*
 * test_summary.c: the histogram against sorted samples, and the summary's tables.
 */
#include "trace/histogram.h"
#include "trace/summary_internal.h"

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

static void add_at(struct summary *summary, struct trace_event event, const char *symbol)
{
    struct trace_item item = {.event = &event, .symbol = symbol};

    summary_add(summary, &item);
}

static void add(struct summary *summary, struct trace_event event)
{
    add_at(summary, event, NULL);
}

static char *text_of(const struct summary *summary, uint64_t wall_ns)
{
    const struct trace_header header = {.vcpus = 1, .command = "kvmlens -kernel k"};
    const struct trace_footer footer = {.wall_ns = wall_ns};
    size_t len;
    char *text = summary_text(summary, &header, &footer, false, &len);

    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    return text;
}

static void assert_text(const struct summary *summary, const struct trace_header *header,
                        const struct trace_footer *footer, const char *expected)
{
    size_t len;
    char *text = summary_text(summary, header, footer, false, &len);

    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text, expected);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 120);
    free(text);
}

/* clang-format off */
static const char expected_tables[] =
    "1007 exits to kvmlens in 2.50s, 403 a second.\n"
    "Wall time of 2 vCPUs: guest and KVM 21.1%, idle (hlt, in KVM) 20.0%, kvmlens 0.0%, else (start, end, tracing) 58.9%.\n"
    "\n"
    "                                              ----------- guest and KVM ---------    ------------- kvmlens -----------\n"
    "by kind of exit                 exits  share  total  mean   p50   p95   p99   max    total  mean   p50   p95   p99   max\n"
    "outs                                1   0.1%  2.00s  2.0s  2.0s  2.0s  2.0s  2.0s    100ns 100ns 100ns 100ns 100ns 100ns\n"
    "out                              1000  99.3% 50.1ms  50us  50us  96us 100us 100us    100us 100ns 100ns 100ns 100ns 100ns\n"
    "in                                  4   0.4% 3.70ms 930us 1.2ms 1.2ms 1.2ms 1.2ms    400ns 100ns 100ns 100ns 100ns 100ns\n"
    "hlt                                 1   0.1%  999us 1.0ms 1.0ms 1.0ms 1.0ms 1.0ms      0ns   0ns   0ns   0ns   0ns   0ns\n"
    "other                               1   0.1%  <60ns <60ns <60ns <60ns <60ns <60ns      0ns   0ns   0ns   0ns   0ns   0ns\n"
    "all                              1007 100.0%  2.05s 2.0ms  50us  96us 100us  2.0s    101us 100ns 100ns 100ns 100ns 100ns\n"
    "\n"
    "                                              ----------- guest and KVM ---------    ------------- kvmlens -----------\n"
    "by device register              exits  share  total  mean   p50   p95   p99   max    total  mean   p50   p95   p99   max\n"
    "serial THR, outs                    1   0.1%  2.00s  2.0s  2.0s  2.0s  2.0s  2.0s    100ns 100ns 100ns 100ns 100ns 100ns\n"
    "serial THR, out                  1000  99.3% 50.1ms  50us  50us  96us 100us 100us    100us 100ns 100ns 100ns 100ns 100ns\n"
    "rtc seconds, in                     3   0.3% 3.70ms 1.2ms 1.2ms 1.2ms 1.2ms 1.2ms    300ns 100ns 100ns 100ns 100ns 100ns\n"
    "nobody, in                          1   0.1%  <60ns <60ns <60ns <60ns <60ns <60ns    100ns 100ns 100ns 100ns 100ns 100ns\n"
    "KVM_EXIT_X86_RDMSR, other           1   0.1%  <60ns <60ns <60ns <60ns <60ns <60ns      0ns   0ns   0ns   0ns   0ns   0ns\n"
    "\n"
    "KVM's own count, where kvmlens saw 1010:\n"
    "  exits                  1234  io_exits               1008\n"
    "\n"
    "KVM's events\n"
    "  kvm_exit                            2  kvm_pio                             1\n"
    "\n"
    "Not among these exits, but among KVM's events:\n"
    "  QueueNotify of virtio devices: KVM writes an eventfd (ioeventfd; -global virtio-mmio.ioeventfd=off)\n"
    "  cpuid, MSRs, control registers, first touches of RAM, interrupts of the host: KVM handles them\n"
    "  Coalesced MMIO is not used: no store is held back.\n"
    "\n"
    "Measuring costs about 60ns an exit, which is in kvmlens's time.\n"
    "2 are missing: they came faster than they could be recorded.\n";
/* clang-format on */

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
    event = (struct trace_event){.kind = VM_EXIT_NOTE, .device = "virtio-blk0", .remark = "done"};
    add(summary, event);
    for (unsigned i = 0; i < 3; i++) {
        event =
            (struct trace_event){.kind = VM_EXIT_KERNEL, .raw_name = i ? "kvm_exit" : "kvm_pio"};
        add(summary, event);
    }
    struct trace_header header = {.vcpus = 2,
                                  .clock_ns = 60,
                                  .kernel = true,
                                  .command = "kvmlens -M microvm,kernel-irqchip=off"};
    struct trace_footer footer = {
        .wall_ns = 2500000000,
        .exits = 1010,
        .dropped = 2,
        .stat_count = 4,
        .stat = {
            {"exits", 1234}, {"halt_wait_ns", 1000000000}, {"io_exits", 1008}, {"pf_taken", 0}}};
    assert_text(summary, &header, &footer, expected_tables);
    summary_destroy(summary);
}

static void no_exits(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    char *text = text_of(summary, 1234567);
    assert_ptr_equal(strstr(text, "0 exits to kvmlens in 1.23ms: the guest never needed it\n"),
                     text);
    assert_null(strstr(text, "by kind"));
    free(text);
    summary_destroy(summary);
}

static void assert_says(const struct summary *summary, const struct trace_footer *footer,
                        const char *const *parts, const char *not_this)
{
    const struct trace_header header = {.vcpus = 2};
    size_t len;
    char *text = summary_text(summary, &header, footer, false, &len);

    assert_non_null(text);
    for (; *parts; parts++)
        if (!strstr(text, *parts))
            fail_msg("expected '%s' in:\n%s", *parts, text);
    assert_null(strstr(text, not_this));
    free(text);
}

/* The time of exits that were left out must not look like somebody's; a trace without its end says
 * nothing about this KVM. */
static void what_is_not_known(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    assert_says(
        summary, &(struct trace_footer){.cut = true},
        (const char *const[]){"the trace is cut off before the first\n",
                              "\nThe end of the trace is missing, with KVM's statistics: ", NULL},
        "never needed");
    add(summary, access_of("serial", "THR", true, 100));
    assert_says(summary, &(struct trace_footer){.wall_ns = 1000, .filtered = 3},
                (const char *const[]){"\nHow the wall time splits is not known: ",
                                      "\n3 more did not pass the filter: ", NULL},
                "guest and KVM 5");
    assert_says(summary, &(struct trace_footer){.wall_ns = 1000, .cut = true},
                (const char *const[]){"\nWall time of 2 vCPUs: guest and KVM 5.0%, ",
                                      "\nThe end of the trace is missing, where KVM tells ", NULL},
                "This KVM");
    assert_says(summary, &(struct trace_footer){.wall_ns = 1000},
                (const char *const[]){"\nThis KVM does not tell ", "\nThis KVM keeps no ", NULL},
                "missing, ");
    summary_destroy(summary);
}

static void the_symbols(void **state)
{
    static char names[SUMMARY_SYMBOLS][12];
    struct summary *summary = summary_create();

    (void)state;
    /* One by one, more than there is room for: sums stay right. */
    for (unsigned i = 0; i < SUMMARY_SYMBOLS; i++) {
        snprintf(names[i], sizeof(names[i]), "f%u", i);
        add_at(summary, access_of("serial", "THR", true, 900), names[i]);
    }
    for (unsigned i = 0; i < 5; i++)
        add_at(summary, access_of("serial", "THR", true, 99900), names[7]);
    add_at(summary, access_of("serial", "THR", true, 1999900), names[8]);
    assert_int_equal(summary->symbols, SUMMARY_SYMBOLS / 4 * 3);
    assert_int_equal(summary->other_code.count, SUMMARY_SYMBOLS / 4);
    char *text = text_of(summary, 10000000);
    assert_non_null(strstr(text, "\nf8                                       2 2.00ms  30.3%     "
                                 "(elsewhere)                           1024 1.02ms  15.5%\n"
                                 "(elsewhere)                           1024 1.02ms  15.5%     "
                                 "f7                                       6  501us   7.6%\n"
                                 "f7                                       6  501us   7.6%     "
                                 "f8                                       2 2.00ms  30.3%\n"));
    free(text);
    summary_destroy(summary);
}

static void a_long_name_takes_more_room(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    struct trace_event event = access_of("virtio-serial0", "DriverFeaturesSel", true, 100);
    event.kind = VM_EXIT_MMIO;
    add(summary, event);
    event = access_of("virtio-serial0", "a register with a very long name", false, 100);
    event.kind = VM_EXIT_MMIO;
    add(summary, event);
    char *text = text_of(summary, 1000000);
    assert_non_null(strstr(text, "\nvirtio-serial0 a register with a very long name, read\n"
                                 "                                    1  50.0%  100ns"));
    assert_non_null(strstr(text, "\nvirtio-serial0 DriverFeaturesSel, write\n"
                                 "                                    1  50.0%  100ns"));
    free(text);
    summary_destroy(summary);
}

/* A time is told no finer than the clock's cost. */
static void the_clocks_noise(void **state)
{
    static const struct {
        uint32_t clock_ns;
        uint64_t ns;
        const char *text;
    } rows[] = {{60, 59, "<60ns <60ns"},  {60, 64, " 60ns  60ns"},  {60, 996, "1.00us 1.0us"},
                {60, 994, "990ns 990ns"}, {600, 59, " <1us  <1us"}, {1001, 900, " <2us  <2us"}};
    const struct trace_footer footer = {.wall_ns = 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct trace_header header = {.clock_ns = rows[i].clock_ns};
        struct summary *summary = summary_create();
        size_t len;
        add(summary, access_of("serial", "THR", true, rows[i].ns));
        char *text = summary_text(summary, &header, &footer, false, &len);
        assert_non_null(strstr(text, rows[i].text));
        free(text);
        summary_destroy(summary);
    }
}

static void figures_are_rounded(void **state)
{
    static const struct {
        double value;
        int digits;
        const char *text;
    } rows[] = {{0, 2, "0ns"},        {7, 2, "7ns"},        {94, 2, "94ns"},
                {124, 2, "120ns"},    {995, 2, "1.0us"},    {999, 3, "999ns"},
                {999.6, 3, "1.00us"}, {1049, 2, "1.0us"},   {99499, 2, "99us"},
                {99500, 2, "100us"},  {123456, 3, "123us"}, {123456, 2, "120us"},
                {9.95e9, 2, "10s"},   {9.949e9, 2, "9.9s"}, {1.234e12, 3, "1230s"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        summary_format(text, sizeof(text), rows[i].value, rows[i].digits,
                       (const char *const[]){"ns", "us", "ms", "s"});
        assert_string_equal(text, rows[i].text);
    }
}

/* A percentile is rounded to two digits, but not above the maximum. */
static void percentiles_stay_below_the_maximum(void **state)
{
    struct summary *summary = summary_create();

    (void)state;
    add(summary, access_of("serial", "THR", true, 8160));
    add(summary, access_of("serial", "IER", true, 8070));
    add(summary, access_of("serial", "LCR", true, 999600));
    char *text = text_of(summary, 1000000);
    assert_non_null(strstr(text, " 8.16us 8.2us 8.1us 8.1us 8.1us 8.2us "));
    assert_non_null(strstr(text, " 1.00ms 1.0ms 1.0ms 1.0ms 1.0ms 1.0ms "));
    free(text);
    summary_destroy(summary);
}

static void each_register_has_its_own_row(void **state)
{
    enum { NAMES = 256 };
    static char pool[NAMES][64];
    const char *names[NAMES];
    struct summary *summary = summary_create();

    (void)state;
    srandom(7);
    for (unsigned i = 0; i < NAMES; i++) {
        /* At uneven addresses, so that some meet in the hash table. */
        char *name = pool[i] + random() % 48;
        snprintf(name, 16, "d%u", i);
        names[i] = name;
        add(summary, access_of(name, "data", i % 2, 1000));
    }
    char *text = text_of(summary, 1000000);
    for (unsigned i = 0; i < NAMES; i++) {
        char line[80], name[40];
        snprintf(name, sizeof(name), "%s data, %s", names[i], i % 2 ? "out" : "in");
        snprintf(line, sizeof(line), "\n%-28s        1   0.4%%", name);
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

    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "r%u", i);
        add(summary, access_of("device", names[i], false, 1000));
        add(summary, access_of("device", names[i], false, 1000));
    }
    add(summary, access_of("device", names[NAMES - 1], true, 1000));
    add(summary, (struct trace_event){.kind = VM_EXIT_HLT});
    char *text = text_of(summary, 1000000);
    assert_non_null(strstr(text, "802 exits to kvmlens"));
    assert_non_null(strstr(text, "\nin                                800  99.8%"));
    assert_non_null(strstr(text, "\n(others), in                      288  35.9%"));
    assert_non_null(strstr(text, "\n(others), out                       1   0.1%"));
    assert_non_null(strstr(text, "\n(others): more than 256 registers were used; the rest share "
                                 "these lines\n"));
    const char *table = strstr(text, "\nby device register");
    for (const char *c = table + 1; strncmp(c, "(others):", 9) != 0; c = strchr(c, '\n') + 1)
        lines++;
    assert_int_equal(lines, 1 + 256 + 2);
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
        cmocka_unit_test(what_is_not_known),
        cmocka_unit_test(the_symbols),
        cmocka_unit_test(a_long_name_takes_more_room),
        cmocka_unit_test(the_clocks_noise),
        cmocka_unit_test(figures_are_rounded),
        cmocka_unit_test(percentiles_stay_below_the_maximum),
        cmocka_unit_test(each_register_has_its_own_row),
        cmocka_unit_test(a_full_table_says_so),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
