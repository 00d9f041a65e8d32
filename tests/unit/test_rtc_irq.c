/*
 * test_rtc_irq.c: the MC146818's flags and its update, periodic and alarm interrupts (MC146818A
 * data sheet, "Interrupts").
 */
#include "rtc_bench.h"

/* Register C: UF at each update, AF and PF as well; reading clears all. */
static void flags_without_interrupts(void **state)
{
    struct bench *b = *state;
    assert_int_equal(get(b, RTC_REG_C), 0);
    b->wires.now += SECOND / 4;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_PF);
    assert_int_equal(get(b, RTC_REG_C), 0);
    put(b, RTC_REG_A, 0x20); /* rate 0: no periodic flag */
    b->wires.now += 3 * SECOND / 4;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_UF);
    assert_int_equal(get(b, RTC_REG_C), 0);
    put(b, RTC_HOURS_ALARM, 0xff);
    put(b, RTC_MINUTES_ALARM, 0xff);
    put(b, RTC_SECONDS_ALARM, 0xff);
    b->wires.now += SECOND;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_UF | RTC_C_AF);
    put(b, RTC_REG_B, RTC_B_SET | RTC_B_24H);
    b->wires.now += 5 * SECOND; /* no updates, no flags */
    put(b, RTC_REG_B, RTC_B_24H);
    assert_int_equal(get(b, RTC_REG_C), 0);
    assert_int_equal(b->wires.arms, 0); /* and the timer was never needed */
    assert_int_equal(b->wires.rises, 0);
    put(b, RTC_REG_C, 0xff);
    put(b, RTC_REG_D, 0);
    assert_int_equal(get(b, RTC_REG_C), 0);
    assert_int_equal(get(b, RTC_REG_D), RTC_D_VRT);
}

/* A flag that is up stays so while another one comes, whichever is first. */
static void flags_add_up(void **state)
{
    struct bench *b = *state;
    put(b, RTC_REG_A, 0x20);
    b->wires.now += SECOND;
    put(b, RTC_REG_A, 0x26); /* a write works the flags out */
    b->wires.now += SECOND / 4;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_UF | RTC_C_PF);
    b->wires.now += SECOND / 4;
    put(b, RTC_REG_A, 0x20);
    b->wires.now += SECOND;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_UF | RTC_C_PF);
}

/* UIE: an interrupt each second, ended by reading register C. */
static void update_interrupt(void **state)
{
    struct bench *b = *state;
    b->wires.now += SECOND / 3;
    put(b, RTC_REG_B, RTC_B_UIE | RTC_B_24H);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + i) * SECOND);
        pass(b, b->wires.deadline - b->wires.now - 1);
        assert_false(b->wires.level);
        pass(b, 1);
        assert_true(b->wires.level);
        assert_int_equal(b->wires.gsi, 8);
        assert_int_equal(b->wires.deadline, 0); /* nothing to do until it is read */
        assert_int_equal(get(b, RTC_REG_C) & ~RTC_C_PF, RTC_C_IRQF | RTC_C_UF);
        assert_false(b->wires.level);
    }
    put(b, RTC_REG_B, RTC_B_SET | RTC_B_UIE | RTC_B_24H); /* SET clears UIE */
    assert_int_equal(b->wires.deadline, 0);
    assert_int_equal(get(b, RTC_REG_B), RTC_B_SET | RTC_B_24H);
}

/* Enabling an interrupt whose flag is up already raises the line, disabling it lowers it. */
static void enable_after_the_fact(void **state)
{
    struct bench *b = *state;
    b->wires.now += SECOND;
    put(b, RTC_REG_B, RTC_B_UIE | RTC_B_24H);
    assert_true(b->wires.level);
    put(b, RTC_REG_B, RTC_B_24H);
    assert_false(b->wires.level);
    put(b, RTC_REG_B, RTC_B_UIE | RTC_B_24H);
    assert_int_equal(b->wires.rises, 2);
    get(b, RTC_REG_C);
    assert_false(b->wires.level);
}

/* Table 5: every rate, with the 32.768 kHz time base. */
static void periodic_interrupt(void **state)
{
    struct bench *b = *state;
    for (uint8_t rate = 1; rate <= 15; rate++) {
        unsigned hz = rate <= 2 ? 512u >> rate : 65536u >> rate;
        b->wires.now = (NEW_YEAR_2024 + 60u * rate) * SECOND;
        put(b, RTC_REG_A, 0x20 | rate);
        get(b, RTC_REG_C);
        put(b, RTC_REG_B, RTC_B_PIE | RTC_B_24H);
        for (uint64_t i = 1; i <= hz && i < 100; i++) {
            uint64_t due = (NEW_YEAR_2024 + 60u * rate) * SECOND + (i * SECOND + hz - 1) / hz;
            assert_int_equal(b->wires.deadline, due);
            pass(b, due - b->wires.now);
            assert_true(b->wires.level);
            assert_int_equal(get(b, RTC_REG_C) & ~RTC_C_UF, RTC_C_IRQF | RTC_C_PF);
            assert_false(b->wires.level);
        }
        put(b, RTC_REG_B, RTC_B_24H);
        assert_int_equal(b->wires.deadline, 0);
    }
    put(b, RTC_REG_A, 0x20); /* rate 0 */
    put(b, RTC_REG_B, RTC_B_PIE | RTC_B_24H);
    assert_int_equal(b->wires.deadline, 0);
    put(b, RTC_REG_A, 0x76); /* a divider held in reset */
    assert_int_equal(b->wires.deadline, 0);
    put(b, RTC_REG_A, 0x26);
    assert_true(b->wires.deadline != 0);
}

/* The alarm: when it comes, from noon on 2024-01-01, in seconds; 0: never. */
static void alarm_times(void **state)
{
    static const struct {
        uint8_t format, hour, minute, second;
        unsigned after;
    } cases[] = {
        {BINARY, 12, 0, 1, 1},
        {BINARY, 12, 0, 0, 86400}, /* now is not an update */
        {BINARY, 11, 59, 59, 86399},
        {BINARY, 0, 0, 0, 43200}, /* across midnight */
        {BINARY, 13, 30, 15, 5415},
        {BINARY, 0xff, 0xff, 0xff, 1},
        {BINARY, 0xc0, 0xc0, 30, 30},
        {BINARY, 0xff, 0xff, 0, 60},
        {BINARY, 0xff, 30, 0, 1800},
        {BINARY, 0xff, 0, 0, 3600},
        {BINARY, 12, 0xff, 0xff, 1},
        {BINARY, 11, 0xff, 0xff, 82800},
        {BINARY, 12, 0, 0xff, 1},
        {BINARY, 12, 5, 0xff, 300},
        {BINARY, 0xff, 59, 0xff, 3540},
        {RTC_B_24H, 0x13, 0x30, 0x15, 5415},
        {RTC_B_24H, 0xbf, 0, 0, 0}, /* one below "don't care" */
        {RTC_B_24H, 0x24, 0, 0, 0},
        {RTC_B_24H, 0xff, 0x60, 0, 0},
        {RTC_B_24H, 0xff, 0xff, 0x0a, 0}, /* no BCD digit */
        {BINARY, 0xff, 0xff, 60, 0},
        {0, 0x81, 0x30, 0x15, 5415},  /* 1 pm */
        {0, 0x12, 0x00, 0x00, 43200}, /* 12 am */
        {0, 0x92, 0x01, 0x00, 60},    /* 12 pm */
        {0, 0x13, 0x00, 0x00, 0},
        {RTC_B_BINARY, 0x81, 30, 15, 5415},
    };
    struct bench *b = *state;
    const uint64_t noon = (NEW_YEAR_2024 + 43200) * SECOND;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b->wires.now = noon + 1000;
        put(b, RTC_REG_B, cases[i].format);
        put(b, RTC_HOURS_ALARM, cases[i].hour);
        put(b, RTC_MINUTES_ALARM, cases[i].minute);
        put(b, RTC_SECONDS_ALARM, cases[i].second);
        get(b, RTC_REG_C);
        put(b, RTC_REG_B, cases[i].format | RTC_B_AIE);
        uint64_t due = cases[i].after ? noon + cases[i].after * SECOND : 0;
        assert_int_equal(b->wires.deadline, due);
        if (due) {
            /* without the interrupt the flag comes at the same time */
            put(b, RTC_REG_B, cases[i].format);
            b->wires.now = due - 1;
            assert_int_equal(get(b, RTC_REG_C) & RTC_C_AF, 0);
            b->wires.now = due;
            assert_int_equal(get(b, RTC_REG_C) & RTC_C_AF, RTC_C_AF);
        } else {
            b->wires.now += 2 * 86400 * SECOND;
            assert_int_equal(get(b, RTC_REG_C) & RTC_C_AF, 0);
        }
    }
}

static void alarm_interrupt(void **state)
{
    struct bench *b = *state;
    put(b, RTC_HOURS_ALARM, 0);
    put(b, RTC_MINUTES_ALARM, 0);
    put(b, RTC_SECONDS_ALARM, 0x05);
    put(b, RTC_REG_B, RTC_B_AIE | RTC_B_24H);
    assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + 5) * SECOND);
    put(b, RTC_SECONDS, 0x03); /* the alarm comes nearer */
    assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + 2) * SECOND);
    put(b, RTC_SECONDS_ALARM, 0x04);
    assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + 1) * SECOND);
    pass(b, SECOND);
    assert_true(b->wires.level);
    assert_int_equal(get(b, RTC_REG_C) & ~RTC_C_PF, RTC_C_IRQF | RTC_C_AF | RTC_C_UF);
    assert_false(b->wires.level);
    assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + 1 + 86400) * SECOND);
    put(b, RTC_REG_B, RTC_B_AIE | RTC_B_UIE | RTC_B_PIE | RTC_B_24H); /* the first that comes */
    assert_int_equal(b->wires.deadline, (NEW_YEAR_2024 + 1) * SECOND + 976563);
}

/* A long pause of the VM sets each flag once; a host clock that is set back sets none. */
static void clock_jumps(void **state)
{
    struct bench *b = *state;
    put(b, RTC_SECONDS_ALARM, 0x30);
    b->wires.now += 1000000 * SECOND;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_PF | RTC_C_AF | RTC_C_UF);
    b->wires.now -= 500000 * SECOND;
    assert_int_equal(get(b, RTC_REG_C), 0);
    b->wires.now += SECOND;
    assert_int_equal(get(b, RTC_REG_C), RTC_C_PF | RTC_C_UF);
    /* The timer does not see the jump: it comes early, and is set again. */
    put(b, RTC_REG_B, RTC_B_UIE | RTC_B_24H);
    uint64_t deadline = b->wires.deadline;
    b->wires.now -= SECOND / 2;
    b->wires.deadline = 0;
    rtc_timeout(&b->rtc);
    assert_false(b->wires.level);
    assert_int_equal(b->wires.deadline, deadline - SECOND);
    pass(b, SECOND / 2);
    assert_true(b->wires.level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RTC_TEST(flags_without_interrupts), RTC_TEST(flags_add_up),
        RTC_TEST(update_interrupt),         RTC_TEST(enable_after_the_fact),
        RTC_TEST(periodic_interrupt),       RTC_TEST(alarm_times),
        RTC_TEST(alarm_interrupt),          RTC_TEST(clock_jumps),
    };
    return cmocka_run_group_tests_name("rtc_irq", tests, NULL, NULL);
}
