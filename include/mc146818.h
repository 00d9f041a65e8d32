/*
 * mc146818.h: registers of the MC146818 real-time clock (Motorola MC146818A data sheet, table 3).
 * The index is written to port 0x70 (bit 7 masks NMI), the data is at 0x71.
 */
#ifndef KVMLENS_MC146818_H
#define KVMLENS_MC146818_H

#define RTC_SECONDS       0x00
#define RTC_SECONDS_ALARM 0x01
#define RTC_MINUTES       0x02
#define RTC_MINUTES_ALARM 0x03
#define RTC_HOURS         0x04
#define RTC_HOURS_ALARM   0x05
#define RTC_DAY_OF_WEEK   0x06
#define RTC_DAY_OF_MONTH  0x07
#define RTC_MONTH         0x08
#define RTC_YEAR          0x09
#define RTC_REG_A         0x0a
#define RTC_REG_B         0x0b
#define RTC_REG_C         0x0c
#define RTC_REG_D         0x0d
#define RTC_RAM           0x0e /* battery-backed RAM from here to RTC_SIZE */
#define RTC_CENTURY       0x32 /* the PC's place for the century, in the RAM */
#define RTC_SIZE          0x80 /* bytes that the index reaches */

#define RTC_A_UIP  0x80 /* update in progress */
#define RTC_A_DV   0x70 /* divider */
#define RTC_A_RATE 0x0f /* periodic rate */

#define RTC_B_SET    0x80 /* updates are stopped while the time is set */
#define RTC_B_PIE    0x40 /* periodic interrupt enable */
#define RTC_B_AIE    0x20 /* alarm interrupt enable */
#define RTC_B_UIE    0x10 /* update-ended interrupt enable */
#define RTC_B_SQWE   0x08 /* square-wave output enable; the pin is not connected on a PC */
#define RTC_B_BINARY 0x04 /* binary, not BCD */
#define RTC_B_24H    0x02
#define RTC_B_DST    0x01

#define RTC_C_IRQF 0x80
#define RTC_C_PF   0x40
#define RTC_C_AF   0x20
#define RTC_C_UF   0x10

#define RTC_D_VRT 0x80 /* valid RAM and time */

#endif
