/*
 * rtc.h: the MC146818 real-time clock and its CMOS RAM (Motorola MC146818A data sheet).
 */
#ifndef KVMLENS_RTC_H
#define KVMLENS_RTC_H

#include "../device.h"
#include "../irq.h"
#include <mc146818.h>

struct rtc {
    struct irq_line irq;
    struct device_clock clock; /* UTC: nanoseconds since 1970; may be stepped by the host */
    struct device_timer timer; /* on the same clock */
    uint8_t index;
    /* All registers. Those of the time are brought up to date when they are looked at, and hold
     * still while the clock is stopped; register C is without IRQF, register A without UIP. */
    uint8_t cmos[RTC_SIZE];
    /* The divider counts the host's nanoseconds, phase_ns (below a second) ahead of them; the
     * guest's time, in seconds since 1970, is the divider's whole seconds plus offset_s. */
    uint32_t phase_ns;
    int64_t offset_s;
    uint64_t flags_since; /* clock ns up to which register C's flags have been worked out */
    uint64_t deadline;    /* what the timer is set to (clock ns); 0: disarmed */
};

extern const struct device_ops rtc_ops; /* 2 bytes of ports; dev is a struct rtc */

/* Makes a clock that shows the host's time, in BCD and 24 hours, its line low. Everything handed
 * in is borrowed; CLOCK is read at once. */
void rtc_init(struct rtc *rtc, struct irq_line irq, struct device_clock clock,
              struct device_timer timer);

/* The timer's deadline has come. */
void rtc_timeout(struct rtc *rtc);

#endif
