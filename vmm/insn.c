/*
 * insn.c: a few x86 instructions by name (see insn.h).
 *
 * Prefixes are read in one place; then one table is searched from the top, so that a more special
 * line stands above a more general one.
 */
#include "insn.h"

#include <stdio.h>

enum map { ONE, TWO, THREE_38, THREE_3A, VEX, EVEX };
enum { P_NONE = 1, P_66 = 2, P_F3 = 4, P_F2 = 8, P_ANY = 15 }; /* mandatory prefix */
enum { W_ANY, W_SET, R_SET };                                  /* REX.W or REX.R */

/* What the ModRM byte must be: any, an exact byte, or /digit of any form. */
#define ANY      0x00, 0x00
#define EXACT(m) 0xff, (m)
#define DIGIT(n) 0x38, (n) << 3
#define REG(n)   0xf8, 0xc0 | (n) << 3 /* /digit, register form */

/* Which exception it raises, if any. */
#define NEVER   INSN_NO_VECTOR, false, false
#define MAY(v)  (v), false, false
#define WILL(v) (v), true, false
#define SSE     6, false, true

static const struct pattern {
    uint8_t map, prefixes, rex, first, last, modrm_mask, modrm;
    const char *name;
    int vector;
    bool always, sse;
} patterns[] = {
    {ONE, P_ANY, W_ANY, 0xcc, 0xcc, ANY, "int3", WILL(3)},
    {ONE, P_ANY, W_ANY, 0xcd, 0xcd, ANY, "int n", WILL(0)}, /* the vector follows */
    {ONE, P_ANY, W_ANY, 0xf1, 0xf1, ANY, "int1", WILL(1)},
    {ONE, P_ANY, W_ANY, 0xcf, 0xcf, ANY, "iret", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xca, 0xcb, ANY, "lret", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xea, 0xea, ANY, "ljmp", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xff, 0xff, REG(2), "call *%reg", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xff, 0xff, REG(4), "jmp *%reg", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xff, 0xff, DIGIT(5), "ljmp", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xff, 0xff, DIGIT(3), "lcall", MAY(13)},
    {ONE, P_ANY, W_ANY, 0x8e, 0x8e, ANY, "mov to a segment register", MAY(13)},
    {ONE, P_ANY, W_ANY, 0xf6, 0xf7, DIGIT(6), "div", MAY(0)},
    {ONE, P_ANY, W_ANY, 0xf6, 0xf7, DIGIT(7), "idiv", MAY(0)},
    {ONE, P_ANY, W_ANY, 0xf4, 0xf4, ANY, "hlt", NEVER},
    {ONE, P_ANY, W_ANY, 0x9b, 0x9b, ANY, "fwait (x87)", MAY(7)},
    {ONE, P_ANY, W_ANY, 0xd8, 0xdf, ANY, "an x87 instruction", MAY(7)},
    {TWO, P_ANY, W_ANY, 0x0b, 0x0b, ANY, "ud2", WILL(6)},
    {TWO, P_ANY, W_ANY, 0xb9, 0xb9, ANY, "ud1", WILL(6)},
    {TWO, P_ANY, W_ANY, 0xff, 0xff, ANY, "ud0", WILL(6)},
    {TWO, P_ANY, W_ANY, 0x00, 0x00, DIGIT(2), "lldt", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x00, 0x00, DIGIT(3), "ltr", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xc1), "vmcall", MAY(6)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xd9), "vmmcall", MAY(6)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xca), "clac", MAY(6)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xcb), "stac", MAY(6)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xd0), "xgetbv", MAY(6)},
    {TWO, P_ANY, W_ANY, 0x01, 0x01, EXACT(0xd1), "xsetbv", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x20, 0x20, ANY, "mov from a control register", MAY(6)},
    {TWO, P_ANY, R_SET, 0x22, 0x22, ANY, "mov to cr8", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x22, 0x22, DIGIT(0), "mov to cr0", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x22, 0x22, DIGIT(3), "mov to cr3", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x22, 0x22, DIGIT(4), "mov to cr4", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x22, 0x22, ANY, "mov to a control register", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x30, 0x30, ANY, "wrmsr", MAY(13)},
    {TWO, P_ANY, W_ANY, 0x32, 0x32, ANY, "rdmsr", MAY(13)},
    {TWO, P_F3, W_ANY, 0xb8, 0xb8, ANY, "popcnt", MAY(6)},
    {TWO, P_F3, W_ANY, 0xbc, 0xbc, ANY, "tzcnt", NEVER},
    {TWO, P_F3, W_ANY, 0xbd, 0xbd, ANY, "lzcnt", NEVER},
    {TWO, P_ANY, W_SET, 0xc7, 0xc7, DIGIT(1), "cmpxchg16b", MAY(13)},
    {TWO, P_ANY, W_ANY, 0xc7, 0xc7, REG(6), "rdrand", MAY(6)},
    {TWO, P_ANY, W_ANY, 0xc7, 0xc7, REG(7), "rdseed", MAY(6)},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(0), "fxsave", MAY(7)},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, REG(5), "lfence", NEVER},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(1), "fxrstor", MAY(7)},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(2), "ldmxcsr", SSE},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(3), "stmxcsr", SSE},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(4), "xsave", MAY(6)},
    {TWO, P_NONE, W_ANY, 0xae, 0xae, DIGIT(5), "xrstor", MAY(6)},
    {TWO, P_NONE | P_66, W_ANY, 0xc3, 0xc3, ANY, "movnti", NEVER},
    {TWO, P_ANY, W_ANY, 0x10, 0x17, ANY, "an SSE move", SSE},
    {TWO, P_ANY, W_ANY, 0x28, 0x2f, ANY, "an SSE instruction", SSE},
    {TWO, P_ANY, W_ANY, 0x50, 0x5f, ANY, "an SSE instruction", SSE},
    {TWO, P_NONE, W_ANY, 0x77, 0x77, ANY, "emms", MAY(7)},
    {TWO, P_NONE, W_ANY, 0x78, 0x79, ANY, "vmread or vmwrite", MAY(6)},
    {TWO, P_NONE, W_ANY, 0x60, 0x7f, ANY, "an MMX instruction", MAY(7)},
    {TWO, P_ANY, W_ANY, 0x60, 0x7f, ANY, "an SSE instruction", SSE},
    {TWO, P_ANY, W_ANY, 0xc2, 0xc2, ANY, "an SSE comparison", SSE},
    {TWO, P_ANY, W_ANY, 0xc4, 0xc6, ANY, "an SSE instruction", SSE},
    {TWO, P_NONE, W_ANY, 0xd0, 0xfe, ANY, "an MMX instruction", MAY(7)},
    {TWO, P_ANY, W_ANY, 0xd0, 0xfe, ANY, "an SSE instruction", SSE},
    {THREE_38, P_66, W_ANY, 0x80, 0x80, ANY, "invept", MAY(6)},
    {THREE_38, P_66, W_ANY, 0x82, 0x82, ANY, "invpcid", MAY(6)},
    {THREE_38, P_F2, W_ANY, 0xf0, 0xf1, ANY, "crc32", MAY(6)},
    {THREE_38, P_NONE | P_66, W_ANY, 0xf0, 0xf1, ANY, "movbe", MAY(6)},
    {THREE_38, P_66 | P_F3, W_ANY, 0xf6, 0xf6, ANY, "adcx or adox", MAY(6)},
    {THREE_38, P_ANY, W_ANY, 0x00, 0xdf, ANY, "an SSSE3, SSE4 or AES instruction", SSE},
    {THREE_3A, P_ANY, W_ANY, 0x00, 0xff, ANY, "an SSSE3, SSE4 or AES instruction", SSE},
    {VEX, P_ANY, W_ANY, 0x00, 0xff, ANY, "an AVX or BMI instruction (VEX prefix)", MAY(6)},
    {EVEX, P_ANY, W_ANY, 0x00, 0xff, ANY, "an AVX-512 instruction (EVEX prefix)", MAY(6)},
};

struct code {
    const uint8_t *bytes;
    unsigned len, at;
    uint8_t prefix; /* P_... */
    bool rex_w, rex_r;
    enum map map;
    uint8_t opcode;
};

/* The next byte. False: there is none. */
static bool next(struct code *code, uint8_t *byte)
{
    if (code->at >= code->len || code->at >= INSN_MAX_BYTES)
        return false;
    *byte = code->bytes[code->at++];
    return true;
}

/* Legacy prefixes and REX; then BYTE is the first one of the opcode. */
static bool read_prefixes(struct code *code, bool long_mode, uint8_t *byte)
{
    bool operand_size = false;
    uint8_t repeat = 0;

    for (;;) {
        if (!next(code, byte))
            return false;
        if (*byte == 0x66)
            operand_size = true;
        else if (*byte == 0xf2)
            repeat = P_F2;
        else if (*byte == 0xf3)
            repeat = P_F3;
        else if (*byte != 0xf0 && *byte != 0x67 && *byte != 0x2e && *byte != 0x36 &&
                 *byte != 0x3e && *byte != 0x26 && *byte != 0x64 && *byte != 0x65)
            break;
    }
    code->prefix = repeat != 0 ? repeat : operand_size ? P_66 : P_NONE;
    if (long_mode && (*byte & 0xf0) == 0x40) {
        code->rex_w = *byte & 8;
        code->rex_r = *byte & 4;
        return next(code, byte);
    }
    return true;
}

/* The opcode map and the opcode byte. */
static bool read_opcode(struct code *code, bool long_mode)
{
    uint8_t byte;

    if (!read_prefixes(code, long_mode, &byte))
        return false;
    code->map = ONE;
    code->opcode = byte;
    if (long_mode && (byte == 0xc4 || byte == 0xc5)) {
        code->map = VEX;
    } else if (long_mode && byte == 0x62) {
        code->map = EVEX;
    } else if (byte == 0x0f) {
        code->map = TWO;
        if (!next(code, &code->opcode))
            return false;
        if (code->opcode == 0x38 || code->opcode == 0x3a) {
            code->map = code->opcode == 0x38 ? THREE_38 : THREE_3A;
            return next(code, &code->opcode);
        }
    }
    return true;
}

static bool matches(const struct pattern *p, const struct code *code)
{
    if (p->map != code->map || !(p->prefixes & code->prefix) || (p->rex == W_SET && !code->rex_w) ||
        (p->rex == R_SET && !code->rex_r) || code->opcode < p->first || code->opcode > p->last)
        return false;
    if (p->modrm_mask == 0)
        return true;
    return code->at < code->len && (code->bytes[code->at] & p->modrm_mask) == p->modrm;
}

struct insn insn_decode(const uint8_t *bytes, unsigned len, bool long_mode)
{
    struct code code = {.bytes = bytes, .len = len};
    struct insn insn = {"", INSN_NO_VECTOR, false, false};

    if (!read_opcode(&code, long_mode))
        return insn;
    for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        const struct pattern *p = &patterns[i];
        if (!matches(p, &code))
            continue;
        insn = (struct insn){"", p->vector, p->always, p->sse};
        snprintf(insn.name, sizeof(insn.name), "%s", p->name);
        if (code.map == ONE && code.opcode == 0xcd) {
            uint8_t vector;
            insn.vector = INSN_NO_VECTOR;
            if (next(&code, &vector)) {
                insn.vector = vector;
                snprintf(insn.name, sizeof(insn.name), "int 0x%02x", vector);
            }
        }
        break;
    }
    return insn;
}

const char *exception_name(unsigned vector)
{
    static const char *const names[] = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9",  "#TS",
        "#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    };

    if (vector < sizeof(names) / sizeof(names[0]))
        return names[vector];
    return vector < 32 ? "reserved exception" : "interrupt";
}
