/*
 * backtrace.h: who called whom, by the chain of frame pointers (System V ABI for x86-64, section
 * 3.2.2; i386: section 2.2.2).
 */
#ifndef KVMLENS_BACKTRACE_H
#define KVMLENS_BACKTRACE_H

#include "cpu_state.h"
#include "mem.h"

#include <stdint.h>

#define BACKTRACE_MAX 32

/* Writes RIP and the return addresses behind it, innermost first, to FRAME. Returns how many. The
 * chain is the guest's: it ends at a frame pointer that is not aligned, not mapped, or not above
 * the one before, so that it cannot loop. Real mode has no chain: only RIP. */
unsigned backtrace_walk(const struct mem *mem, const struct cpu_state *state,
                        uint64_t frame[BACKTRACE_MAX]);

#endif
