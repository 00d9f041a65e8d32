/*
 * rtc_bench.h: a real-time clock on a test bench: its line, the host's clock, and a timer.
 */
#ifndef KVMLENS_RTC_BENCH_H
#define KVMLENS_RTC_BENCH_H

#include "bus.h"
#include "dev/rtc.h"
#include "fake_wires.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define BINARY (RTC_B_24H | RTC_B_BINARY)

struct bench {
    struct rtc rtc;
    struct fake_wires wires;
    struct bus bus;
};

static inline struct bench *start(uint64_t seconds)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->wires.now = seconds * SECOND;
    rtc_init(&b->rtc, fake_irq(&b->wires, 8), fake_clock(&b->wires), fake_timer(&b->wires));
    assert_int_equal(bus_attach(&b->bus, 0x70, 2, &rtc_ops, &b->rtc), 0);
    return b;
}

#define NEW_YEAR_2024 1704067200ull /* Monday 2024-01-01 00:00:00 */

static inline int bench_set_up(void **state)
{
    *state = start(NEW_YEAR_2024);
    return 0;
}

static inline int bench_tear_down(void **state)
{
    struct bench *b = *state;
    assert_int_equal(b->wires.repeats, 0);
    free(b);
    return 0;
}

static inline uint8_t get(struct bench *b, uint8_t index)
{
    bus_write(&b->bus, 0x70, 1, index);
    return (uint8_t)bus_read(&b->bus, 0x71, 1);
}

static inline void put(struct bench *b, uint8_t index, uint8_t value)
{
    bus_write(&b->bus, 0x70, 2, (unsigned)value << 8 | index); /* outw, as some guests do */
}

static inline void pass(struct bench *b, uint64_t ns)
{
    if (fake_wires_pass(&b->wires, ns)) {
        rtc_timeout(&b->rtc);
    }
}

#define RTC_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

#endif
