/*
 * insn.h: the x86 instructions that a post-mortem knows by name: those that raise an exception of
 * themselves, and those that an instruction emulator is likely not to know
 * (Intel SDM vol. 2, appendix A: opcode map).
 */
#ifndef KVMLENS_INSN_H
#define KVMLENS_INSN_H

#include <stdbool.h>
#include <stdint.h>

#define INSN_MAX_BYTES 15
#define INSN_NAME_MAX  48

#define INSN_NO_VECTOR (-1)

struct insn {
    char name[INSN_NAME_MAX]; /* empty: not one of those known here */
    int vector;               /* the exception it raises or may raise, or INSN_NO_VECTOR */
    bool always;              /* it raises that one whenever it is executed */
    bool sse;                 /* needs CR4.OSFXSR */
};

/* Names the instruction in the first LEN of BYTES. LONG_MODE: the code is 64-bit. */
struct insn insn_decode(const uint8_t *bytes, unsigned len, bool long_mode);

/* "#UD", "#PF", ... for an exception's vector, "interrupt" from 32 up; static. */
const char *exception_name(unsigned vector);

#endif
