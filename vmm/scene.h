/*
 * scene.h: what the rules of a diagnosis look at and write to; for diagnose*.c alone.
 */
#ifndef KVMLENS_SCENE_H
#define KVMLENS_SCENE_H

#include "insn.h"
#include "pagewalk.h"
#include "postmortem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rules look at. */
struct scene {
    const struct postmortem *dead;
    const struct cpu_state *state;
    const struct mem *mem;
    uint64_t at;         /* linear address of the code */
    struct pagewalk rip; /* walk for it */
    bool rip_is_memory;
    uint8_t code[INSN_MAX_BYTES];
    unsigned code_len;
    struct insn insn;
    char where[SYMBOLS_TEXT_MAX]; /* RIP with its symbol */
    int vector;                   /* the exception that came first, or INSN_NO_VECTOR: not known */
};

struct sentence {
    char *text;
    size_t size, len;
};

/* Adds words (printf format). Always true, so that a rule ends with `return say(...)`. */
bool say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A rule either has something to say, or returns false. */
typedef bool (*rule)(struct scene *scene, struct sentence *s);

/* True if one of RULES (ended by NULL), tried in order, had something to say. */
bool apply(const rule *rules, struct scene *scene, struct sentence *s);

/* Eight zero bytes at RIP: nobody writes such code. */
bool runs_zeros(const struct scene *scene);

/* "The IDT entry ... is not present, so the #UD raised by `ud2` ... could not be delivered". False:
 * nothing is found that would keep an exception from being delivered. */
bool explain_exception(struct scene *scene, struct sentence *s);

#endif
