/*
 * gate.h: could the processor deliver an exception through this IDT entry?
 * (Intel SDM vol. 3A, chapter 6; real mode: chapter 20, section 20.1.4.)
 */
#ifndef KVMLENS_GATE_H
#define KVMLENS_GATE_H

#include "cpu_state.h"
#include "mem.h"

enum gate_problem {
    GATE_GOOD,        /* nothing wrong was found */
    GATE_NO_IDT,      /* the IDT's limit has no room for a single entry */
    GATE_IDT_BAD,     /* the entry cannot be read: not mapped, or not memory */
    GATE_BEYOND,      /* the IDT ends before this entry */
    GATE_BAD,         /* empty, not present, or of a wrong type */
    GATE_CODE_BAD,    /* its code segment cannot be used */
    GATE_HANDLER_BAD, /* the handler cannot be executed */
    GATE_STACK_BAD,   /* there is no stack to push the frame on */
};

struct gate {
    unsigned vector;
    enum gate_problem problem;
    char why[160]; /* what is wrong, as a verb phrase ("is not present (P = 0)"); for GATE_NO_IDT a
                         sentence; "" if good */
    uint8_t raw[16];
    unsigned size; /* bytes an entry: 4, 8 or 16 */
    bool readable; /* raw, selector and offset are valid */
    uint16_t selector;
    uint64_t offset; /* of the handler */
};

/* Follows the IDT entry for VECTOR as the processor would in STATE: the entry, the code segment,
 * the handler's page, the stack. */
void gate_check(const struct mem *mem, const struct cpu_state *state, unsigned vector,
                struct gate *gate);

#endif
