/*
 * gate.c: the path of an exception through the IDT, walked in software (see gate.h).
 *
 * Each step fills in the reason why it fails; what comes after the first failure is not looked at.
 */
#include "gate.h"

#include "pagewalk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FRAME_BYTES 48 /* what long mode pushes, with an error code: SDM figure 6-9 */
#define TSS64_RSP0  0x04
#define TSS64_IST1  0x24
#define TSS32_ESP0  0x04

#define CR4_SMEP (1ull << 20)

struct check {
    const struct mem *mem;
    const struct cpu_state *state;
    struct gate *gate;
    bool long_mode;
    uint8_t ist;
    uint8_t code_dpl; /* of the handler's code segment */
    uint64_t code_base;
};

static bool fail(struct gate *gate, enum gate_problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct gate *gate, enum gate_problem problem, const char *format, ...)
{
    va_list args;

    gate->problem = problem;
    va_start(args, format);
    vsnprintf(gate->why, sizeof(gate->why), format, args);
    va_end(args);
    return false;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static bool read_entry(struct check *c)
{
    struct gate *gate = c->gate;
    const struct cpu_table *idt = &c->state->idt;
    uint64_t at = idt->base + (uint64_t)gate->vector * gate->size;

    if (idt->limit + 1u < gate->size)
        return fail(gate, GATE_NO_IDT, "There is no IDT (limit %u)", idt->limit);
    /* Base 0 and limit 0xffff are the values after reset: real mode's table, and no IDT. */
    if (gate->size > 4 && idt->base == 0 && idt->limit == 0xffff)
        return fail(gate, GATE_NO_IDT,
                    "There is no IDT (none was loaded: base 0, limit 0xffff, as after reset)");
    if ((gate->vector + 1) * gate->size - 1 > idt->limit)
        return fail(gate, GATE_BEYOND, "is beyond the end of the IDT (limit 0x%x)", idt->limit);
    if (pagewalk_read(c->mem, c->state, at, gate->raw, gate->size) != gate->size)
        return fail(gate, GATE_IDT_BAD, "cannot be read: 0x%" PRIx64 " is not mapped to RAM", at);
    gate->readable = true;
    return true;
}

/* The gate descriptor: SDM figures 6-2 and 6-8. */
static bool read_gate(struct check *c)
{
    struct gate *gate = c->gate;
    const uint8_t *raw = gate->raw;
    static const uint8_t zeros[16];
    uint8_t type = raw[5] & 0x1f; /* with the S bit, which is 0 in a gate */

    gate->selector = (uint16_t)little_endian(raw + 2, 2);
    gate->offset = little_endian(raw, 2) | little_endian(raw + 6, 2) << 16;
    if (c->long_mode) {
        gate->offset |= little_endian(raw + 8, 4) << 32;
        c->ist = raw[4] & 7;
    } else if (type == 0x6 || type == 0x7) {
        gate->offset &= 0xffff;
    }
    if (memcmp(raw, zeros, gate->size) == 0)
        return fail(gate, GATE_BAD, "is empty (all zeros)");
    if (!(raw[5] & 0x80))
        return fail(gate, GATE_BAD, "is not present (P = 0)");
    if (type == 0xe || type == 0xf || (!c->long_mode && (type >= 0x5 && type <= 0x7)))
        return true;
    return fail(gate, GATE_BAD, "has type 0x%x: it is no interrupt gate (0xe) or trap gate (0xf)",
                type);
}

/* The code segment that the gate names: SDM section 3.4.5. */
static bool check_code_segment(struct check *c)
{
    struct gate *gate = c->gate;
    const struct cpu_segment *ldt = &c->state->seg[SEG_LDT];
    bool local = gate->selector & 4;
    uint64_t base = local ? ldt->base : c->state->gdt.base;
    uint64_t limit = local ? ldt->limit : c->state->gdt.limit;
    unsigned at = gate->selector & 0xfff8u, cpl = c->state->seg[SEG_SS].dpl;
    const char *table = local ? "LDT" : "GDT";
    uint8_t raw[8];

    if ((gate->selector & 0xfffc) == 0)
        return fail(gate, GATE_CODE_BAD, "names the null selector as its code segment");
    if (at + 7 > limit)
        return fail(gate, GATE_CODE_BAD,
                    "names code segment 0x%x, which the %s does not contain (limit 0x%" PRIx64 ")",
                    gate->selector, table, limit);
    if (pagewalk_read(c->mem, c->state, base + at, raw, sizeof(raw)) != sizeof(raw))
        return fail(gate, GATE_CODE_BAD,
                    "names code segment 0x%x, but the %s at 0x%" PRIx64 " is not mapped to RAM",
                    gate->selector, table, base);
    c->code_base = little_endian(raw + 2, 3) | (uint64_t)raw[7] << 24;
    c->code_dpl = raw[5] >> 5 & 3;
    bool conforming = raw[5] & 4;
    const char *wrong = (raw[5] & 0x18) != 0x18                   ? "is not code"
                        : !(raw[5] & 0x80)                        ? "is not present"
                        : c->long_mode && (raw[6] & 0x60) != 0x20 ? "is not 64-bit code"
                        : c->code_dpl > cpl                       ? "is less privileged"
                                                                  : NULL;
    if (wrong)
        return fail(gate, GATE_CODE_BAD,
                    "names segment 0x%x, which %s (descriptor 0x%016" PRIx64 ")", gate->selector,
                    wrong, little_endian(raw, 8));
    if (conforming)
        c->code_dpl = (uint8_t)cpl;
    return true;
}

static bool check_handler(struct check *c)
{
    struct gate *gate = c->gate;
    uint64_t at = c->long_mode ? gate->offset : (c->code_base + gate->offset) & 0xffffffff;
    struct pagewalk walk;
    const char *wrong = NULL;

    pagewalk(c->mem, c->state, at, &walk);
    if (!walk.canonical)
        wrong = "is not a canonical address";
    else if (!walk.mapped)
        wrong = "no page maps";
    else if (!mem_peek(c->mem, walk.gpa, 1))
        wrong = "is not RAM";
    else if (!walk.executable)
        wrong = "is on a page that is not executable";
    else if (walk.page_size != 0 && walk.user && c->code_dpl < 3 && (c->state->cr4 & CR4_SMEP))
        wrong = "is on a user page, and SMEP is on";
    if (wrong)
        return fail(gate, GATE_HANDLER_BAD, "leads to 0x%" PRIx64 ", which %s", at, wrong);
    return true;
}

/* Reads a stack pointer of SIZE bytes from the TSS. */
static bool read_tss(struct check *c, unsigned offset, unsigned size, uint64_t *value)
{
    const struct cpu_segment *tr = &c->state->seg[SEG_TR];
    uint8_t raw[8];

    if (tr->unusable || !tr->present || offset + size - 1 > tr->limit)
        return fail(c->gate, GATE_STACK_BAD,
                    "needs a stack from the TSS, but there is no TSS with one (limit 0x%x)",
                    tr->limit);
    if (pagewalk_read(c->mem, c->state, tr->base + offset, raw, size) != size)
        return fail(c->gate, GATE_STACK_BAD,
                    "needs a stack from the TSS, but the TSS at 0x%" PRIx64 " is not mapped to RAM",
                    tr->base);
    *value = little_endian(raw, size);
    return true;
}

/* Whether a frame can be pushed below TOP, which NAME says where from. */
static bool check_push(struct check *c, const char *name, uint64_t top, unsigned bytes)
{
    const uint64_t ends[] = {top - 1, top - bytes};

    for (unsigned i = 0; i < 2; i++) {
        struct pagewalk walk;
        pagewalk(c->mem, c->state, ends[i], &walk);
        const char *wrong = !walk.canonical                 ? "is not canonical"
                            : !walk.mapped                  ? "is not mapped"
                            : !walk.writable                ? "is read-only"
                            : !mem_ptr(c->mem, walk.gpa, 1) ? "is not RAM"
                                                            : NULL;
        if (wrong)
            return fail(c->gate, GATE_STACK_BAD, "would push on a stack that %s (%s 0x%" PRIx64 ")",
                        wrong, name, top);
    }
    return true;
}

static bool check_stack(struct check *c)
{
    bool inward = c->code_dpl < c->state->seg[SEG_SS].dpl;
    uint64_t top = c->state->gpr[RSP];
    char name[16] = "RSP";

    if (c->long_mode) {
        if (c->ist != 0) {
            snprintf(name, sizeof(name), "IST %u", c->ist);
            if (!read_tss(c, TSS64_IST1 + 8u * (c->ist - 1u), 8, &top))
                return false;
        } else if (inward) {
            snprintf(name, sizeof(name), "RSP0");
            if (!read_tss(c, TSS64_RSP0, 8, &top))
                return false;
        }
        return check_push(c, name, top & ~0xfull, FRAME_BYTES);
    }
    if (inward) {
        if (!read_tss(c, TSS32_ESP0, 4, &top))
            return false;
        return check_push(c, "ESP0", top, 24);
    }
    const struct cpu_segment *ss = &c->state->seg[SEG_SS];
    return check_push(c, "ESP", (ss->base + (top & (ss->db ? 0xffffffff : 0xffff))) & 0xffffffff,
                      16);
}

/* Real mode: the IDT is the interrupt vector table. */
static void check_vector(struct check *c)
{
    struct gate *gate = c->gate;

    if (!read_entry(c))
        return;
    gate->offset = little_endian(gate->raw, 2);
    gate->selector = (uint16_t)little_endian(gate->raw + 2, 2);
    if (gate->offset == 0 && gate->selector == 0) {
        fail(gate, GATE_BAD, "is empty: it points to 0000:0000, the vector table itself");
        return;
    }
    uint64_t at = (uint64_t)gate->selector * 16 + gate->offset;
    if (!mem_peek(c->mem, at, 1))
        fail(gate, GATE_HANDLER_BAD, "leads to 0x%" PRIx64 ", which is not RAM", at);
}

void gate_check(const struct mem *mem, const struct cpu_state *state, unsigned vector,
                struct gate *gate)
{
    struct check check = {.mem = mem, .state = state, .gate = gate};

    check.long_mode = state->efer & EFER_LMA;
    *gate = (struct gate){.vector = vector};
    if (!(state->cr0 & CR0_PE)) {
        gate->size = 4;
        check_vector(&check);
        return;
    }
    gate->size = check.long_mode ? 16 : 8;
    if (!read_entry(&check) || !read_gate(&check))
        return;
    /* A task gate has neither handler nor stack of its own: the task's TSS has them. */
    if (!check.long_mode && (gate->raw[5] & 0x1f) == 0x5)
        return;
    if (check_code_segment(&check) && check_handler(&check))
        check_stack(&check);
}
