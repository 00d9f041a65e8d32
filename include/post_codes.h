/*
 * post_codes.h: the guest kernel's milestones: what it writes to PORT_POST as it boots, in the order
 * in which it passes them.  A machine without a serial port or a local APIC has no such milestone, and
 * virtio devices are looked for only when a command first wants one.  All other values are free: 0 is
 * what `bench` writes, 0x42 is `zoo`, and another kernel writes what it likes.
 *
 * One table for all: the guest takes the codes from it, the trace the names.
 */
#ifndef KVMLENS_POST_CODES_H
#define KVMLENS_POST_CODES_H

#define POST_MILESTONES(MILESTONE)                                                                 \
    MILESTONE(POST_FIRST_INSTRUCTION, 0x10, "first instruction")                                   \
    MILESTONE(POST_LONG_MODE, 0x11, "64-bit mode")                                                 \
    MILESTONE(POST_SERIAL, 0x12, "serial port ready")                                              \
    MILESTONE(POST_TRAPS, 0x13, "traps ready")                                                     \
    MILESTONE(POST_INTERRUPTS, 0x14, "interrupts ready")                                           \
    MILESTONE(POST_SHELL, 0x15, "shell ready")                                                     \
    MILESTONE(POST_VIRTIO, 0x16, "virtio devices looked for")                                      \
    MILESTONE(POST_POWER_OFF, 0x17, "power-off begins")

#ifdef __ASSEMBLER__
#define POST_CODE(symbol, value, name) symbol = value;
POST_MILESTONES(POST_CODE)
#else
#define POST_CODE(symbol, value, name) symbol = value,
enum post_code { POST_MILESTONES(POST_CODE) };
#endif

#endif
