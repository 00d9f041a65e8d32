/*
 * status.h: how kvmlens ends.  kvmlens.1 and README.md list the same values (a test compares them).
 * Odd values belong to the guest: isa-debug-exit ends with (value << 1) | 1, as in QEMU.
 */
#ifndef KVMLENS_STATUS_H
#define KVMLENS_STATUS_H

enum status {
    STATUS_POWEROFF = 0,  /* the guest powered off, or reset with -no-reboot */
    STATUS_USAGE = 64,    /* the command line is wrong */
    STATUS_IMAGE = 66,    /* a guest image (or a trace) is missing, unreadable or malformed */
    STATUS_NO_KVM = 68,   /* no usable KVM on this host */
    STATUS_INTERNAL = 70, /* the host or kvmlens itself failed */
    STATUS_CRASH = 72,    /* the guest crashed (triple fault) */
    STATUS_KVM_FAIL = 74, /* KVM cannot run the guest (internal error, failed entry) */
    STATUS_SIGNAL = 76,   /* ended by a signal, or from the terminal (Ctrl-A x) */
    STATUS_TIMEOUT = 124, /* the time limit (-M timeout=SECONDS) passed */
};

#endif
