/*
 * rtc.c: the MC146818 real-time clock and its CMOS RAM (Motorola MC146818A data sheet, "Address
 * map", "Time, calendar and alarm locations", "Interrupts", "Update cycle", "Registers").
 *
 * Nothing ticks.  The time of day, the update flag and the interrupt flags are worked out from the
 * host's clock when somebody looks; the timer is armed only for an interrupt that is enabled.
 */
#include "rtc.h"

#include <stddef.h>
#include <time.h>

#define NS_PER_S      1000000000u
#define OSCILLATOR_HZ 32768u
#define UIP_NS        244000u /* UIP is up this long before an update ("Update cycle", table 6) */
#define DAY_S         86400

#define DIVIDER_32KHZ  0x20                /* the largest value of the DV bits that counts */
#define POWER_ON_REG_A (DIVIDER_32KHZ | 6) /* periodic rate 1024 Hz, as PC firmware leaves it */

/* The enable bits of register B and the flags of register C are at the same places. */
#define INTERRUPTS (RTC_C_PF | RTC_C_AF | RTC_C_UF)
_Static_assert(RTC_B_PIE == RTC_C_PF && RTC_B_AIE == RTC_C_AF && RTC_B_UIE == RTC_C_UF,
               "register B enables what register C flags, bit by bit");

#define ALARM_ANY   (-1)
#define ALARM_NEVER (-2)

static uint64_t clock_now(const struct rtc *rtc)
{
    return rtc->clock.now(rtc->clock.opaque);
}

static bool divider_counts(const struct rtc *rtc)
{
    return (rtc->cmos[RTC_REG_A] & RTC_A_DV) <= DIVIDER_32KHZ;
}

static bool time_runs(const struct rtc *rtc)
{
    return divider_counts(rtc) && !(rtc->cmos[RTC_REG_B] & RTC_B_SET);
}

static bool level(const struct rtc *rtc)
{
    return rtc->cmos[RTC_REG_C] & rtc->cmos[RTC_REG_B] & INTERRUPTS;
}

/* Values in the format that register B asks for: binary or BCD, 24 hours or 12 with bit 7 for PM
 * ("Time, calendar and alarm locations", table 3). */
static uint8_t encode(const struct rtc *rtc, int value)
{
    bool binary = rtc->cmos[RTC_REG_B] & RTC_B_BINARY;
    return (uint8_t)(binary ? value : value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *rtc, uint8_t byte)
{
    bool binary = rtc->cmos[RTC_REG_B] & RTC_B_BINARY;
    return binary ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
    if (rtc->cmos[RTC_REG_B] & RTC_B_24H) {
        return encode(rtc, hour);
    }
    return encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t byte)
{
    if (rtc->cmos[RTC_REG_B] & RTC_B_24H) {
        return decode(rtc, byte);
    }
    return decode(rtc, byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

/* The guest's time at NOW, in seconds since 1970. */
static int64_t seconds_at(const struct rtc *rtc, uint64_t now)
{
    return (int64_t)((now + rtc->phase_ns) / NS_PER_S) + rtc->offset_s;
}

/* Brings the registers of the time up to date. */
static void load_time(struct rtc *rtc, uint64_t now)
{
    time_t seconds = seconds_at(rtc, now);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    /* Four digits; a month or day of 0 may have carried back to before the year 0. */
    int year = (tm.tm_year + 1900 + 10000) % 10000;
    rtc->cmos[RTC_SECONDS] = encode(rtc, tm.tm_sec);
    rtc->cmos[RTC_MINUTES] = encode(rtc, tm.tm_min);
    rtc->cmos[RTC_HOURS] = encode_hour(rtc, tm.tm_hour);
    rtc->cmos[RTC_DAY_OF_WEEK] = encode(rtc, tm.tm_wday + 1);
    rtc->cmos[RTC_DAY_OF_MONTH] = encode(rtc, tm.tm_mday);
    rtc->cmos[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
    rtc->cmos[RTC_YEAR] = encode(rtc, year % 100);
    rtc->cmos[RTC_CENTURY] = encode(rtc, year / 100);
}

/* Sets the clock to what the registers of the time say.  Values out of range carry over, as in
 * timegm(3); the day of the week follows from the date. */
static void store_time(struct rtc *rtc, uint64_t now)
{
    int year = decode(rtc, rtc->cmos[RTC_CENTURY]) * 100 + decode(rtc, rtc->cmos[RTC_YEAR]);
    struct tm tm = {.tm_sec = decode(rtc, rtc->cmos[RTC_SECONDS]),
                    .tm_min = decode(rtc, rtc->cmos[RTC_MINUTES]),
                    .tm_hour = decode_hour(rtc, rtc->cmos[RTC_HOURS]),
                    .tm_mday = decode(rtc, rtc->cmos[RTC_DAY_OF_MONTH]),
                    .tm_mon = decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
                    .tm_year = year - 1900};
    rtc->offset_s += timegm(&tm) - seconds_at(rtc, now);
}

/* The value from 0 to COUNT - 1 that an alarm register waits for, ALARM_ANY for its "don't care"
 * codes (0xc0 up), or ALARM_NEVER. */
static int alarm_value(const struct rtc *rtc, uint8_t reg, int count,
                       uint8_t (*encoder)(const struct rtc *, int))
{
    uint8_t byte = rtc->cmos[reg];
    if (byte >= 0xc0) {
        return ALARM_ANY;
    }
    for (int value = 0; value < count; value++) {
        if (encoder(rtc, value) == byte) {
            return value;
        }
    }
    return ALARM_NEVER;
}

/* Seconds from FROM (the guest's seconds since 1970) to the next alarm: 1 to a day, or 0 if no
 * time of day matches. */
static int next_alarm(const struct rtc *rtc, int64_t from)
{
    int hour = alarm_value(rtc, RTC_HOURS_ALARM, 24, encode_hour);
    int minute = alarm_value(rtc, RTC_MINUTES_ALARM, 60, encode);
    int second = alarm_value(rtc, RTC_SECONDS_ALARM, 60, encode);
    if (hour == ALARM_NEVER || minute == ALARM_NEVER || second == ALARM_NEVER) {
        return 0;
    }
    int start = (int)(from % DAY_S + DAY_S);
    int ahead = 1;
    for (;;) {
        int time = (start + ahead) % DAY_S;
        if (hour != ALARM_ANY && time / 3600 != hour) {
            ahead += 3600 - time % 3600;
        } else if (minute != ALARM_ANY && time / 60 % 60 != minute) {
            ahead += 60 - time % 60;
        } else if (second != ALARM_ANY && time % 60 != second) {
            ahead++;
        } else {
            return ahead;
        }
    }
}

/* Ticks of the oscillator in a period of the periodic interrupt, or 0 ("Register A", table 5). */
static unsigned period_ticks(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[RTC_REG_A] & RTC_A_RATE;
    if (rate == 0) {
        return 0;
    }
    return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

/* How many periods of TICKS ticks have ended when the divider has counted NS nanoseconds. */
static uint64_t periods(uint64_t ns, unsigned ticks)
{
    uint64_t of_second = ns % NS_PER_S * OSCILLATOR_HZ / NS_PER_S;
    return (ns / NS_PER_S * OSCILLATOR_HZ + of_second) / ticks;
}

/* Sets the flags of what has happened since they were last worked out. */
static void catch_up(struct rtc *rtc, uint64_t now)
{
    uint64_t from = rtc->flags_since + rtc->phase_ns, to = now + rtc->phase_ns;
    rtc->flags_since = now;
    if (to <= from) {
        return; /* the host set its clock back */
    }
    unsigned ticks = period_ticks(rtc);
    if (ticks && divider_counts(rtc) && periods(from, ticks) != periods(to, ticks)) {
        rtc->cmos[RTC_REG_C] |= RTC_C_PF;
    }
    uint64_t updates = to / NS_PER_S - from / NS_PER_S;
    if (updates > 0 && time_runs(rtc)) {
        rtc->cmos[RTC_REG_C] |= RTC_C_UF;
        int ahead = next_alarm(rtc, (int64_t)(from / NS_PER_S) + rtc->offset_s);
        if (ahead && (uint64_t)ahead <= updates) {
            rtc->cmos[RTC_REG_C] |= RTC_C_AF;
        }
    }
}

/* When the line will next rise by itself (clock ns), or 0. */
static uint64_t next_interrupt(const struct rtc *rtc, uint64_t now)
{
    if (level(rtc) || !divider_counts(rtc)) {
        return 0; /* the next one comes after register C is read, or the divider started */
    }
    uint64_t second = (now + rtc->phase_ns) / NS_PER_S * NS_PER_S - rtc->phase_ns;
    uint64_t best = UINT64_MAX;
    unsigned ticks = period_ticks(rtc);
    if (ticks && (rtc->cmos[RTC_REG_B] & RTC_B_PIE)) {
        uint64_t end = (periods(now - second, ticks) + 1) * ticks;
        best = second + (end * NS_PER_S + OSCILLATOR_HZ - 1) / OSCILLATOR_HZ;
    }
    if (time_runs(rtc)) {
        uint64_t ahead = 0;
        if (rtc->cmos[RTC_REG_B] & RTC_B_UIE) {
            ahead = 1;
        } else if (rtc->cmos[RTC_REG_B] & RTC_B_AIE) {
            ahead = (uint64_t)next_alarm(rtc, seconds_at(rtc, now));
        }
        if (ahead && second + ahead * NS_PER_S < best) {
            best = second + ahead * NS_PER_S;
        }
    }
    return best == UINT64_MAX ? 0 : best;
}

/* After a change: the line and the timer follow from the registers. */
static void settle(struct rtc *rtc, uint64_t now, bool before)
{
    uint64_t deadline = next_interrupt(rtc, now);
    if (deadline != rtc->deadline) {
        rtc->deadline = deadline;
        rtc->timer.arm(rtc->timer.opaque, deadline);
    }
    if (level(rtc) != before) {
        irq_set(&rtc->irq, level(rtc));
    }
}

static bool is_time(uint8_t index)
{
    return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
           (index >= RTC_DAY_OF_WEEK && index <= RTC_YEAR) || index == RTC_CENTURY;
}

/* Register A or B: either can stop and start the clock. */
static void write_control(struct rtc *rtc, uint8_t index, uint8_t value, uint64_t now)
{
    bool counted = divider_counts(rtc), ran = time_runs(rtc);
    if (ran) {
        load_time(rtc, now);
    }
    rtc->cmos[index] = value;
    if (!counted && divider_counts(rtc)) {
        /* "the first update cycle begins one-half second later" ("Register A") */
        rtc->phase_ns = (uint32_t)((NS_PER_S + NS_PER_S / 2 - now % NS_PER_S) % NS_PER_S);
    }
    if (!ran && time_runs(rtc)) {
        store_time(rtc, now);
    }
}

static void write_register(struct rtc *rtc, uint8_t value, uint64_t now)
{
    switch (rtc->index) {
    case RTC_REG_A:
        write_control(rtc, RTC_REG_A, value & (uint8_t)~RTC_A_UIP, now);
        return;
    case RTC_REG_B: /* SET clears UIE ("Register B") */
        write_control(rtc, RTC_REG_B, value & (value & RTC_B_SET ? (uint8_t)~RTC_B_UIE : 0xff),
                      now);
        return;
    case RTC_REG_C:
    case RTC_REG_D:
        return; /* read-only */
    default:
        break;
    }
    bool sets_clock = is_time(rtc->index) && time_runs(rtc);
    if (sets_clock) {
        load_time(rtc, now);
    }
    rtc->cmos[rtc->index] = value;
    if (sets_clock) {
        store_time(rtc, now);
    }
}

static void rtc_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size; /* 1: see rtc_ops.width */
    struct rtc *rtc = dev;
    if (offset == 0) {
        rtc->index = (uint8_t)(value & (RTC_SIZE - 1)); /* bit 7 masks NMI; there is none */
        return;
    }
    uint64_t now = clock_now(rtc);
    bool before = level(rtc);
    catch_up(rtc, now);
    write_register(rtc, (uint8_t)value, now);
    settle(rtc, now, before);
}

/* Reading register C clears its flags, and so ends the interrupt. */
static uint8_t read_reg_c(struct rtc *rtc)
{
    uint64_t now = clock_now(rtc);
    bool before = level(rtc);
    catch_up(rtc, now);
    uint8_t flags = rtc->cmos[RTC_REG_C] | (level(rtc) ? RTC_C_IRQF : 0);
    rtc->cmos[RTC_REG_C] = 0;
    settle(rtc, now, before);
    return flags;
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned size)
{
    (void)size;
    struct rtc *rtc = dev;
    if (offset == 0) {
        return 0xff; /* the index can only be written */
    }
    if (rtc->index == RTC_REG_C) {
        return read_reg_c(rtc);
    }
    uint8_t uip = 0;
    if (time_runs(rtc)) {
        uint64_t now = clock_now(rtc);
        if (is_time(rtc->index)) {
            load_time(rtc, now);
        } else if (rtc->index == RTC_REG_A &&
                   (now + rtc->phase_ns) % NS_PER_S >= NS_PER_S - UIP_NS) {
            uip = RTC_A_UIP;
        }
    }
    return rtc->cmos[rtc->index] | uip;
}

/* The RESET pin ("Signal description"): time and RAM stay, interrupts go. */
static void rtc_reset(void *dev)
{
    struct rtc *rtc = dev;
    uint64_t now = clock_now(rtc);
    bool before = level(rtc);
    catch_up(rtc, now);
    rtc->cmos[RTC_REG_B] &= (uint8_t) ~(RTC_B_PIE | RTC_B_AIE | RTC_B_UIE | RTC_B_SQWE);
    rtc->cmos[RTC_REG_C] = 0;
    settle(rtc, now, before);
}

static const char *rtc_reg_name(const void *dev, uint64_t offset, bool write)
{
    static const char *const names[] = {"seconds", "seconds alarm", "minutes",     "minutes alarm",
                                        "hours",   "hours alarm",   "day of week", "day",
                                        "month",   "year",          "reg A",       "reg B",
                                        "reg C",   "reg D"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == RTC_RAM, "a name for each register");
    const struct rtc *rtc = dev;
    if (offset == 0) {
        return write ? "index" : NULL;
    }
    if (rtc->index < RTC_RAM) {
        return names[rtc->index];
    }
    return rtc->index == RTC_CENTURY ? "century" : "RAM";
}

const struct device_ops rtc_ops = {.name = "rtc",
                                   .width = 1,
                                   .read = rtc_read,
                                   .write = rtc_write,
                                   .reset = rtc_reset,
                                   .reg_name = rtc_reg_name};

void rtc_init(struct rtc *rtc, struct irq_line irq, struct device_clock clock,
              struct device_timer timer)
{
    *rtc = (struct rtc){.irq = irq, .clock = clock, .timer = timer};
    rtc->cmos[RTC_REG_A] = POWER_ON_REG_A;
    rtc->cmos[RTC_REG_B] = RTC_B_24H;
    rtc->cmos[RTC_REG_D] = RTC_D_VRT;
    rtc->flags_since = clock_now(rtc);
}

void rtc_timeout(struct rtc *rtc)
{
    uint64_t now = clock_now(rtc);
    bool before = level(rtc);
    rtc->deadline = 0; /* used up, even if the host set its clock back and it is early */
    catch_up(rtc, now);
    settle(rtc, now, before);
}
