/*
 * test_rtc.c: the MC146818's time of day in all its forms, setting it, the update flag, CMOS RAM
 * (MC146818A data sheet).  test_rtc_irq.c has flags and interrupts.
 */
#include "rtc_bench.h"

/* century, year, month, day, day of week, hours, minutes, seconds */
static const uint8_t time_registers[8] = {RTC_CENTURY,     RTC_YEAR,  RTC_MONTH,   RTC_DAY_OF_MONTH,
                                          RTC_DAY_OF_WEEK, RTC_HOURS, RTC_MINUTES, RTC_SECONDS};

static void expect_time(struct bench *b, const uint8_t expected[8])
{
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(get(b, time_registers[i]), expected[i]);
    }
}

static void set_time(struct bench *b, uint8_t reg_b, const uint8_t value[8])
{
    put(b, RTC_REG_B, RTC_B_SET | reg_b);
    for (unsigned i = 0; i < 8; i++) {
        put(b, time_registers[i], value[i]);
    }
    put(b, RTC_REG_B, reg_b);
}

/* The host's clock in UTC, as the guest reads it; a second later; and across boundaries. */
static void time_of_day(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        uint8_t bcd[8], next[8];
    } cases[] = {
        {0, {0x19, 0x70, 1, 1, 5, 0, 0, 0}, {0x19, 0x70, 1, 1, 5, 0, 0, 1}},
        {951782399, /* to a leap day in a century that has one */
         {0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59},
         {0x20, 0x00, 0x02, 0x29, 3, 0, 0, 0}},
        {1709251199, /* from a leap day */
         {0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x59},
         {0x20, 0x24, 0x03, 0x01, 6, 0, 0, 0}},
        {1677628799, /* a year without */
         {0x20, 0x23, 0x02, 0x28, 3, 0x23, 0x59, 0x59},
         {0x20, 0x23, 0x03, 0x01, 4, 0, 0, 0}},
        {4107542399, /* a century that has none */
         {0x21, 0x00, 0x02, 0x28, 1, 0x23, 0x59, 0x59},
         {0x21, 0x00, 0x03, 0x01, 2, 0, 0, 0}},
        {4102444799, /* the century changes */
         {0x20, 0x99, 0x12, 0x31, 5, 0x23, 0x59, 0x59},
         {0x21, 0x00, 0x01, 0x01, 6, 0, 0, 0}},
        {2147483647, /* past 32 bits */
         {0x20, 0x38, 0x01, 0x19, 3, 0x03, 0x14, 0x07},
         {0x20, 0x38, 0x01, 0x19, 3, 0x03, 0x14, 0x08}},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench *b = start(cases[i].seconds);
        assert_int_equal(get(b, RTC_DAY_OF_WEEK), cases[i].bcd[4]);
        expect_time(b, cases[i].bcd);
        b->wires.now += SECOND - 1;
        expect_time(b, cases[i].bcd);
        b->wires.now += 1;
        expect_time(b, cases[i].next);
        free(b);
    }
}

/* Table 3 of the data sheet: the same hour in the four formats. */
static void hour_formats(void **state)
{
    static const struct {
        uint8_t hour, bcd, binary, bcd12, binary12;
    } cases[] = {
        {0, 0x00, 0, 0x12, 12},     {1, 0x01, 1, 0x01, 1},      {9, 0x09, 9, 0x09, 9},
        {10, 0x10, 10, 0x10, 10},   {11, 0x11, 11, 0x11, 11},   {12, 0x12, 12, 0x92, 0x8c},
        {13, 0x13, 13, 0x81, 0x81}, {22, 0x22, 22, 0x90, 0x8a}, {23, 0x23, 23, 0x91, 0x8b},
    };
    static const uint8_t formats[] = {RTC_B_24H, BINARY, 0, RTC_B_BINARY};
    struct bench *b = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t coded[] = {cases[i].bcd, cases[i].binary, cases[i].bcd12, cases[i].binary12};
        for (unsigned f = 0; f < 4; f++) {
            b->wires.now = (NEW_YEAR_2024 + cases[i].hour * 3600u) * SECOND;
            put(b, RTC_REG_B, formats[f]);
            assert_int_equal(get(b, RTC_HOURS), coded[f]);
            /* and set from it, on the same day */
            b->wires.now = (NEW_YEAR_2024 + 5 * 3600) * SECOND;
            put(b, RTC_HOURS, coded[f]);
            assert_int_equal(get(b, RTC_DAY_OF_MONTH), 1);
            assert_int_equal(get(b, RTC_HOURS), coded[f]);
            put(b, RTC_REG_B, BINARY);
            assert_int_equal(get(b, RTC_HOURS), cases[i].hour);
            /* back to the host's time */
            rtc_init(&b->rtc, b->rtc.irq, b->rtc.clock, b->rtc.timer);
        }
    }
}

/* Register B, SET: the registers hold still, take what is written, and start from there. */
static void set_and_run(void **state)
{
    static const uint8_t before[8] = {19, 99, 12, 31, 6, 23, 59, 58};
    static const uint8_t after[8] = {20, 0, 1, 1, 7, 0, 0, 0};
    struct bench *b = *state;
    b->wires.now += 300000000; /* 0.3 s into a second */
    put(b, RTC_REG_B, RTC_B_SET | BINARY);
    for (unsigned i = 0; i < 8; i++) {
        put(b, time_registers[i], before[i]);
    }
    pass(b, 5 * SECOND);
    expect_time(b, before); /* the weekday as well: it was a Friday, and that shows when it runs */
    put(b, RTC_REG_B, BINARY);
    assert_int_equal(get(b, RTC_DAY_OF_WEEK), 6);
    /* SET does not touch the divider: the next second comes after 0.7 s */
    pass(b, 700000000 - 1);
    assert_int_equal(get(b, RTC_SECONDS), 58);
    pass(b, 1);
    assert_int_equal(get(b, RTC_SECONDS), 59);
    pass(b, SECOND);
    expect_time(b, after);
}

/* SET alone stops the clock where it is, and lets it go on from there. */
static void set_holds_the_time(void **state)
{
    struct bench *b = *state;
    pass(b, 5 * SECOND);
    put(b, RTC_REG_B, RTC_B_SET | RTC_B_24H);
    pass(b, 10 * SECOND);
    assert_int_equal(get(b, RTC_SECONDS), 5);
    put(b, RTC_REG_B, RTC_B_24H);
    assert_int_equal(get(b, RTC_SECONDS), 5);
    pass(b, SECOND);
    assert_int_equal(get(b, RTC_SECONDS), 6);
}

/* With SET a date may be impossible for a moment: the registers do not know of each other. */
static void set_in_any_order(void **state)
{
    struct bench *b = *state;
    put(b, RTC_REG_B, BINARY);
    put(b, RTC_REG_B, RTC_B_SET | BINARY);
    put(b, RTC_DAY_OF_MONTH, 31);
    put(b, RTC_MONTH, 2);
    assert_int_equal(get(b, RTC_DAY_OF_MONTH), 31);
    put(b, RTC_DAY_OF_MONTH, 28);
    put(b, RTC_REG_B, BINARY);
    static const uint8_t expected[8] = {20, 24, 2, 28, 4, 0, 0, 0};
    expect_time(b, expected);
}

/* A change of format alone changes the format alone. */
static void format_changes_while_running(void **state)
{
    struct bench *b = *state;
    b->wires.now += (13 * 3600 + 45 * 60) * SECOND;
    put(b, RTC_REG_B, 0);
    assert_int_equal(get(b, RTC_HOURS), 0x81);
    assert_int_equal(get(b, RTC_MINUTES), 0x45);
    put(b, RTC_REG_B, BINARY);
    assert_int_equal(get(b, RTC_HOURS), 13);
    assert_int_equal(get(b, RTC_MINUTES), 45);
    assert_int_equal(get(b, RTC_YEAR), 24);
}

static void write_without_set(void **state)
{
    struct bench *b = *state;
    put(b, RTC_REG_B, BINARY);
    put(b, RTC_MONTH, 12);
    put(b, RTC_DAY_OF_MONTH, 25);
    put(b, RTC_YEAR, 99);
    put(b, RTC_CENTURY, 21);
    static const uint8_t expected[8] = {21, 99, 12, 25, 4, 0, 0, 0};
    expect_time(b, expected);
}

/* No register's value can do harm; out of range ones carry over. */
static void nonsense_times(void **state)
{
    struct bench *b = *state;
    static const uint8_t formats[] = {RTC_B_24H, BINARY, 0, RTC_B_BINARY};
    static const uint8_t values[] = {0x00, 0x0f, 0x5a, 0x7f, 0x80, 0xa0, 0xff};
    for (unsigned f = 0; f < 4; f++) {
        for (unsigned i = 0; i < sizeof(values); i++) {
            uint8_t all[8];
            memset(all, values[i], sizeof(all));
            set_time(b, formats[f], all);
            put(b, RTC_REG_B, BINARY);
            assert_in_range(get(b, RTC_SECONDS), 0, 59);
            assert_in_range(get(b, RTC_MINUTES), 0, 59);
            assert_in_range(get(b, RTC_HOURS), 0, 23);
            assert_in_range(get(b, RTC_DAY_OF_WEEK), 1, 7);
            assert_in_range(get(b, RTC_DAY_OF_MONTH), 1, 31);
            assert_in_range(get(b, RTC_MONTH), 1, 12);
            assert_in_range(get(b, RTC_YEAR), 0, 99);
            assert_in_range(get(b, RTC_CENTURY), 0, 99);
        }
    }
    static const uint8_t leap[8] = {20, 23, 2, 29, 1, 23, 59, 60}; /* 2023 has no such day */
    static const uint8_t carried[8] = {20, 23, 3, 2, 5, 0, 0, 0};
    set_time(b, BINARY, leap);
    expect_time(b, carried);
}

/* Register A: UIP from 244 us before each update to the update ("Update cycle"). */
static void update_in_progress(void **state)
{
    static const struct {
        uint64_t ns;
        bool uip;
    } cases[] = {
        {0, false},         {SECOND / 2, false}, {SECOND - 244001, false}, {SECOND - 244000, true},
        {SECOND - 1, true}, {SECOND, false}};
    struct bench *b = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b->wires.now = NEW_YEAR_2024 * SECOND + cases[i].ns;
        assert_int_equal(get(b, RTC_REG_A), cases[i].uip ? 0xa6 : 0x26);
    }
    b->wires.now = NEW_YEAR_2024 * SECOND + SECOND - 1;
    put(b, RTC_REG_B, RTC_B_SET);
    assert_int_equal(get(b, RTC_REG_A), 0x26); /* SET clears it */
    put(b, RTC_REG_B, RTC_B_24H);
    put(b, RTC_REG_A, 0xff); /* UIP cannot be written; the divider is held: no update either */
    assert_int_equal(get(b, RTC_REG_A), 0x7f);
}

/* Register A: the divider held in reset; the first update half a second after it is let go. */
static void divider_reset(void **state)
{
    struct bench *b = *state;
    b->wires.now += 123456789;
    get(b, RTC_REG_C);
    put(b, RTC_REG_A, 0x76);
    put(b, RTC_REG_B, BINARY);
    pass(b, 7 * SECOND);
    assert_int_equal(get(b, RTC_SECONDS), 0);
    put(b, RTC_SECONDS, 30); /* holds still, so it can be set without SET */
    assert_int_equal(get(b, RTC_REG_C), 0);
    put(b, RTC_REG_A, 0x26);
    pass(b, SECOND / 2 - 1);
    assert_int_equal(get(b, RTC_SECONDS), 30);
    assert_int_equal(get(b, RTC_REG_C) & RTC_C_UF, 0);
    pass(b, 1);
    assert_int_equal(get(b, RTC_SECONDS), 31);
    assert_int_equal(get(b, RTC_REG_C) & RTC_C_UF, RTC_C_UF);
    /* from now on seconds end when this divider says so, not the host's clock */
    uint64_t update = b->wires.now + SECOND;
    put(b, RTC_REG_B, BINARY | RTC_B_UIE);
    assert_int_equal(b->wires.deadline, update);
    b->wires.now = update - 244001;
    assert_int_equal(get(b, RTC_REG_A), 0x26);
    b->wires.now++;
    assert_int_equal(get(b, RTC_REG_A), 0xa6);
}

/* As Linux sets it: SET, divider reset, time, and both back in the other order. */
static void divider_reset_within_set(void **state)
{
    static const uint8_t time[8] = {20, 30, 6, 15, 7, 12, 30, 45};
    struct bench *b = *state;
    b->wires.now += 900000000;
    put(b, RTC_REG_B, RTC_B_SET | BINARY);
    put(b, RTC_REG_A, 0x76);
    for (unsigned i = 0; i < 8; i++) {
        put(b, time_registers[i], time[i]);
    }
    put(b, RTC_REG_B, BINARY);
    put(b, RTC_REG_A, 0x26);
    expect_time(b, time);
    pass(b, SECOND / 2);
    assert_int_equal(get(b, RTC_SECONDS), 46);
}

static void ram_keeps_bytes(void **state)
{
    struct bench *b = *state;
    for (unsigned i = RTC_RAM; i < RTC_SIZE; i++) {
        assert_int_equal(i == RTC_CENTURY ? 0 : get(b, (uint8_t)i), 0);
        put(b, (uint8_t)i, (uint8_t)(i == RTC_CENTURY ? 0x20 : ~i));
    }
    bus_reset(&b->bus);
    for (unsigned i = RTC_RAM; i < RTC_SIZE; i++) {
        assert_int_equal(get(b, (uint8_t)(i | 0x80)), /* bit 7 is not part of the index */
                         i == RTC_CENTURY ? 0x20 : (uint8_t)~i);
    }
    assert_int_equal(bus_read(&b->bus, 0x70, 1), 0xff);
}

/* The RESET pin: interrupts off and flags clear; time, format, alarm and rate stay. */
static void reset_keeps_the_time(void **state)
{
    static const uint8_t time[8] = {20, 50, 7, 8, 6, 9, 10, 11};
    struct bench *b = *state;
    set_time(b, BINARY, time);
    put(b, RTC_SECONDS_ALARM, 12);
    put(b, RTC_REG_A, 0x2a);
    put(b, RTC_REG_B, BINARY | RTC_B_PIE | RTC_B_AIE | RTC_B_UIE | RTC_B_SQWE);
    pass(b, SECOND / 2);
    assert_true(b->wires.level);
    b->wires.now += SECOND / 4; /* flags that come before the reset, too, are gone */
    bus_reset(&b->bus);
    assert_false(b->wires.level);
    assert_int_equal(b->wires.deadline, 0);
    assert_int_equal(get(b, RTC_REG_C), 0);
    assert_int_equal(get(b, RTC_REG_B), BINARY);
    assert_int_equal(get(b, RTC_REG_A), 0x2a);
    assert_int_equal(get(b, RTC_SECONDS_ALARM), 12);
    expect_time(b, time);
}

static void register_names(void **state)
{
    struct bench *b = *state;
    static const struct {
        uint8_t index;
        const char *name;
    } cases[] = {{0, "seconds"}, {5, "hours alarm"}, {6, "day of week"}, {9, "year"},
                 {0xa, "reg A"}, {0xd, "reg D"},     {0xe, "RAM"},       {0x32, "century"},
                 {0x7f, "RAM"},  {0x8b, "reg B"}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bus_write(&b->bus, 0x70, 1, cases[i].index);
        assert_string_equal(rtc_ops.reg_name(&b->rtc, 1, i % 2), cases[i].name);
    }
    assert_string_equal(rtc_ops.reg_name(&b->rtc, 0, true), "index");
    assert_null(rtc_ops.reg_name(&b->rtc, 0, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_of_day),
        RTC_TEST(hour_formats),
        RTC_TEST(set_and_run),
        RTC_TEST(set_holds_the_time),
        RTC_TEST(set_in_any_order),
        RTC_TEST(format_changes_while_running),
        RTC_TEST(write_without_set),
        RTC_TEST(nonsense_times),
        RTC_TEST(update_in_progress),
        RTC_TEST(divider_reset),
        RTC_TEST(divider_reset_within_set),
        RTC_TEST(ram_keeps_bytes),
        RTC_TEST(reset_keeps_the_time),
        RTC_TEST(register_names),
    };
    return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}
