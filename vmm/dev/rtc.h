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
    struct device_clock clock; /* UTC: nanoseconds since 1970, for the time of day and the flags */
    struct device_timer timer; /* on the same clock */
    uint8_t index;
    uint8_t cmos[RTC_SIZE];
    int64_t offset_ns;    /* what the guest set the clock to, minus the host's clock */
    uint64_t flags_since; /* clock ns up to which register C's flags have been worked out */
};

extern const struct device_ops rtc_ops; /* 2 bytes of ports; dev is a struct rtc */

void rtc_init(struct rtc *rtc, struct irq_line irq, struct device_clock clock,
              struct device_timer timer);

/* The timer's deadline has come. */
void rtc_timeout(struct rtc *rtc);

#endif
