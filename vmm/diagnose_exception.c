/*
 * diagnose_exception.c: a triple fault in two halves: what raised an exception, and what kept the
 * processor from delivering it (Intel SDM vol. 3A, chapters 4 to 6).
 */
#include "diagnose.h"

#include "gate.h"
#include "scene.h"

#include <inttypes.h>
#include <string.h>

#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_DF 8
#define VECTOR_GP 13
#define VECTOR_PF 14

#define RFLAGS_IF   0x200ull
#define CR0_TS_EM   0xcull
#define CR4_OSFXSR  (1ull << 9)
#define CR4_SMEP    (1ull << 20)
#define STACK_REACH 4096 /* how far below RSP a page fault is still the stack's (bytes) */

/* What raised the first exception: "the #UD raised by ..."; sets scene->vector. */

static void walk_failure(const struct pagewalk *walk, char *text, size_t size)
{
    const struct pagewalk_step *last = &walk->step[walk->steps > 0 ? walk->steps - 1 : 0];

    if (walk->reserved)
        snprintf(text, size, "its %s entry 0x%" PRIx64 " has a reserved bit set", last->level,
                 last->entry);
    else if (!last->readable)
        snprintf(text, size, "its %s entry lies at 0x%" PRIx64 ", outside RAM", last->level,
                 last->entry_gpa);
    else
        snprintf(text, size, "its %s entry 0x%" PRIx64 " is not present", last->level, last->entry);
}

static bool raised_by_wild_rip(struct scene *scene, struct sentence *s)
{
    if (scene->rip.canonical)
        return false;
    scene->vector = VECTOR_GP;
    return say(s,
               "the #GP raised by going to 0x%" PRIx64
               ", which is no canonical address (a garbage pointer, or a return address that was "
               "overwritten),",
               scene->at);
}

/* The sixteen bytes before RIP are zeros, which execute: whoever jumped here jumped far before. */
static bool came_through_zeros(const struct scene *scene)
{
    static const uint8_t zeros[16];
    uint8_t before[16];

    return scene->at >= sizeof(before) &&
           pagewalk_read(scene->mem, scene->state, scene->at - sizeof(before), before,
                         sizeof(before)) == sizeof(before) &&
           memcmp(before, zeros, sizeof(zeros)) == 0;
}

/* The instruction before RIP, in physical memory, is MOV to CR0: paging is a moment old. */
static bool paging_just_began(const struct scene *scene)
{
    uint8_t before[3];

    return scene->at >= 3 && mem_read(scene->mem, scene->at - 3, before, 3) == 0 &&
           before[0] == 0x0f && before[1] == 0x22 && (before[2] & 0xf8) == 0xc0;
}

static bool raised_by_unmapped_rip(struct scene *scene, struct sentence *s)
{
    char why[128];

    if (scene->rip.mapped)
        return false;
    scene->vector = VECTOR_PF;
    walk_failure(&scene->rip, why, sizeof(why));
    if (paging_just_began(scene))
        return say(s,
                   "the #PF raised by the first instruction after paging was turned on, at %s: the "
                   "page tables do not map the code that runs (%s),",
                   scene->where, why);
    return say(s, "the #PF raised by going to 0x%" PRIx64 ", which is not mapped (%s)%s", scene->at,
               why,
               scene->at < 0x1000          ? ", as a call through a null pointer does,"
               : came_through_zeros(scene) ? ", after running through zeroed memory,"
                                           : ",");
}

static bool raised_by_data_as_code(struct scene *scene, struct sentence *s)
{
    if (!scene->rip.executable) {
        scene->vector = VECTOR_PF;
        return say(s, "the #PF raised by executing %s, on a page that is not executable (NX),",
                   scene->where);
    }
    if (scene->rip.steps > 0 && scene->rip.user && scene->state->seg[SEG_SS].dpl < 3 &&
        (scene->state->cr4 & CR4_SMEP)) {
        scene->vector = VECTOR_PF;
        return say(s, "the #PF raised by executing %s, on a user page while SMEP is on,",
                   scene->where);
    }
    return false;
}

static bool raised_outside_ram(struct scene *scene, struct sentence *s)
{
    if (scene->rip_is_memory)
        return false;
    return say(s, "the exception raised by going to 0x%" PRIx64 ", which is outside RAM,",
               scene->at);
}

static bool raised_by_instruction(struct scene *scene, struct sentence *s)
{
    if (!scene->insn.always)
        return false;
    scene->vector = scene->insn.vector;
    return say(s, "the %s raised by `%s` at %s", exception_name((unsigned)scene->vector),
               scene->insn.name, scene->where);
}

static bool raised_by_zeros(struct scene *scene, struct sentence *s)
{
    struct pagewalk walk;

    if (!runs_zeros(scene))
        return false;
    pagewalk(scene->mem, scene->state, scene->state->cr2, &walk);
    if (!walk.mapped)
        scene->vector = VECTOR_PF;
    return say(s,
               "the %s raised at %s, where the guest runs through zeroed memory (00 00 is `add "
               "%%al,(%%rax)`),",
               walk.mapped ? "exception" : "#PF", scene->where);
}

static bool raised_by_sse(struct scene *scene, struct sentence *s)
{
    if (!scene->insn.sse || (scene->state->cr4 & CR4_OSFXSR))
        return false;
    scene->vector = VECTOR_UD;
    return say(s,
               "the #UD raised by %s at %s while SSE is off (CR4.OSFXSR = 0; kernels are compiled "
               "with -mgeneral-regs-only)",
               scene->insn.name, scene->where);
}

static bool raised_by_fpu(struct scene *scene, struct sentence *s)
{
    if (scene->insn.vector != VECTOR_NM || !(scene->state->cr0 & CR0_TS_EM))
        return false;
    scene->vector = VECTOR_NM;
    return say(s, "the #NM raised by %s at %s while CR0.TS or CR0.EM is set", scene->insn.name,
               scene->where);
}

static bool raised_by_stack(struct scene *scene, struct sentence *s)
{
    uint64_t cr2 = scene->state->cr2, rsp = scene->state->gpr[RSP];
    struct pagewalk walk;

    pagewalk(scene->mem, scene->state, cr2, &walk);
    if (scene->rip.steps == 0 || (walk.mapped && walk.writable) || cr2 == 0 ||
        cr2 - (rsp - STACK_REACH) >= STACK_REACH + 16)
        return false;
    scene->vector = VECTOR_PF;
    return say(s,
               "the #PF raised at %s, where the stack (RSP 0x%" PRIx64
               ") ran into a page that is %s "
               "(CR2 0x%" PRIx64 ": a guard page?),",
               scene->where, rsp, walk.mapped ? "read-only" : "not mapped", cr2);
}

static bool raised_by_suspect(struct scene *scene, struct sentence *s)
{
    if (!scene->insn.name[0] || scene->insn.vector == INSN_NO_VECTOR || scene->insn.sse ||
        scene->insn.vector == VECTOR_NM)
        return false;
    scene->vector = scene->insn.vector;
    return say(s, "the exception (probably %s) raised by `%s` at %s",
               exception_name((unsigned)scene->vector), scene->insn.name, scene->where);
}

static bool raised_by_access(struct scene *scene, struct sentence *s)
{
    uint64_t cr2 = scene->state->cr2;
    struct pagewalk walk;
    char why[128];

    pagewalk(scene->mem, scene->state, cr2, &walk);
    /* CR2 is 0 after reset, and keeps the address of a page fault that was handled. */
    if (cr2 == 0 || walk.steps == 0 || (walk.mapped && walk.writable))
        return false;
    scene->vector = VECTOR_PF;
    if (walk.mapped)
        return say(s, "the #PF raised at %s by a write to 0x%" PRIx64 " (CR2), which is read-only,",
                   scene->where, cr2);
    walk_failure(&walk, why, sizeof(why));
    return say(
        s, "the #PF raised at %s by an access to 0x%" PRIx64 " (CR2), which is not mapped (%s),",
        scene->where, cr2, why);
}

static bool raised_behind_zeros(struct scene *scene, struct sentence *s)
{
    if (!came_through_zeros(scene))
        return false;
    return say(s,
               "an exception at %s, where the guest perhaps came by running through zeroed "
               "memory (a jump to a wrong address),",
               scene->where);
}

/* The byte at RIP, or the one before, is HLT. */
static bool is_halted(const struct scene *scene)
{
    uint8_t before;

    if (scene->code_len > 0 && scene->code[0] == 0xf4)
        return true;
    return pagewalk_read(scene->mem, scene->state, scene->at - 1, &before, 1) == 1 &&
           before == 0xf4;
}

static bool raised_by_interrupt(struct scene *scene, struct sentence *s)
{
    if (!(scene->state->rflags & RFLAGS_IF))
        return false;
    return say(s, "%s at %s",
               is_halted(scene) ? "an interrupt that ended `hlt`" : "an interrupt or exception",
               scene->where);
}

static bool raised_somehow(struct scene *scene, struct sentence *s)
{
    return say(s, "an exception at %s", scene->where);
}

static const rule raised[] = {
    raised_by_wild_rip,  raised_by_unmapped_rip, raised_by_data_as_code,
    raised_outside_ram,  raised_by_instruction,  raised_by_zeros,
    raised_by_sse,       raised_by_fpu,          raised_by_stack,
    raised_by_suspect,   raised_by_access,       raised_behind_zeros,
    raised_by_interrupt, raised_somehow,         NULL,
};

/* What kept it from being delivered: "There is no IDT (limit 0)". */

static bool blocked_by_gate(struct scene *scene, struct sentence *s)
{
    struct gate gate;
    unsigned vector = scene->vector == INSN_NO_VECTOR ? VECTOR_DF : (unsigned)scene->vector;

    gate_check(scene->mem, scene->state, vector, &gate);
    switch (gate.problem) {
    case GATE_GOOD:
        return false;
    case GATE_NO_IDT:
        return say(s, "%s", gate.why);
    case GATE_IDT_BAD:
        return say(s, "The IDT at 0x%" PRIx64 " is not mapped to RAM", scene->state->idt.base);
    case GATE_BEYOND:
    case GATE_BAD:
    case GATE_CODE_BAD:
    case GATE_HANDLER_BAD:
    case GATE_STACK_BAD:
        break;
    }
    return say(s, "IDT entry %u (%s) %s", vector, exception_name(vector), gate.why);
}

static bool blocked_later(struct scene *scene, struct sentence *s)
{
    struct gate gate;

    gate_check(scene->mem, scene->state, VECTOR_DF, &gate);
    if (gate.problem == GATE_GOOD)
        return false;
    return say(s, "A second exception hit the handler of the first, and IDT entry 8 (#DF) %s",
               gate.why);
}

static const rule blocked[] = {blocked_by_gate, blocked_later, NULL};

bool explain_exception(struct scene *scene, struct sentence *s)
{
    char text[DIAGNOSIS_MAX] = "";
    struct sentence cause = {text, sizeof(text), 0};

    apply(raised, scene, &cause);
    if (!apply(blocked, scene, s))
        return false;
    return say(s, ", so %s could not be delivered: exception -> double fault -> triple fault.",
               text);
}
