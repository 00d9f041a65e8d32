/*
 * power.h: the ACPI sleep and reset registers of QEMU's generic event device
 * (QEMU include/hw/acpi/generic_event_device.h, docs/specs; ACPI 6.4 section 4.8.3.7).
 * Offsets are from POWER_GPA, each register is one byte.
 */
#ifndef KVMLENS_POWER_H
#define KVMLENS_POWER_H

#define POWER_SLEEP_CTL    0 /* sleep control: SLP_TYP in bits 2 to 4, SLP_EN in bit 5 */
#define POWER_SLEEP_STATUS 1 /* sleep status: reads as 0 */
#define POWER_RESET        2 /* reset: writing POWER_RESET_VALUE resets the machine */

#define POWER_SLEEP_MASK  0x3c /* the bits of SLP_EN and SLP_TYP */
#define POWER_SLEEP_S5    0x34 /* SLP_EN | SLP_TYP 5: power off */
#define POWER_RESET_VALUE 0x42

#endif
