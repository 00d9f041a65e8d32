/*
 * debug_exit.h: QEMU's isa-debug-exit (QEMU hw/misc/debugexit.c).  Writing VALUE to its port ends
 * the VMM with exit status (VALUE << 1) | 1.  A read returns 0; an absent device reads all ones,
 * which is how a guest tells that it is there.
 */
#ifndef KVMLENS_DEBUG_EXIT_H
#define KVMLENS_DEBUG_EXIT_H

#define DEBUG_EXIT_STATUS(value) ((int)((((unsigned)(value) << 1) | 1u) & 0xffu))

#endif
