/*
 * backtrace.c: the chain of frame pointers, walked with suspicion (see backtrace.h).
 */
#include "backtrace.h"

#include "pagewalk.h"

unsigned backtrace_walk(const struct mem *mem, const struct cpu_state *state,
                        uint64_t frame[BACKTRACE_MAX])
{
    bool wide = code_is_64bit(state);
    unsigned size = wide ? 8 : 4;
    uint64_t base = wide ? 0 : state->seg[SEG_SS].base;
    uint64_t rbp = wide ? state->gpr[RBP] : state->gpr[RBP] & 0xffffffff;
    unsigned count = 0;

    frame[count++] = state->rip;
    if (!(state->cr0 & CR0_PE))
        return count;
    while (count < BACKTRACE_MAX && rbp != 0 && rbp % size == 0) {
        uint64_t pair[2] = {0, 0}; /* the caller's frame pointer, and the return address */
        for (unsigned i = 0; i < 2; i++) {
            if (pagewalk_read(mem, state, base + rbp + i * size, &pair[i], size) != size)
                return count;
        }
        if (pair[1] == 0)
            break;
        frame[count++] = pair[1];
        if (pair[0] <= rbp)
            break;
        rbp = pair[0];
    }
    return count;
}
