/*
 * code_insn.c: instructions as text, and the one that made an exit (see code_insn.h).
 *
 * The bytes may be anything: Zydis gets a length with them, and its failure is no instruction.
 */
#include "code_insn.h"

#include <Zydis/Zydis.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ZYDIS_VERSION_MAJOR(ZYDIS_VERSION) >= 4, "Zydis 4.0 or later is needed");

struct disassembler {
    void *library;
    __typeof__(ZydisDecoderDecodeFull) *decode;
    __typeof__(ZydisFormatterFormatInstruction) *format;
    ZydisDecoder decoder[CODE_MODES];
    ZydisFormatter formatter;
};

struct decoded {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

/* --- the library -------------------------------------------------------------------------------- */

/* Its name has the version whose structures the header describes. */
static void *load(void)
{
    char name[64];

    snprintf(name, sizeof(name), "libZydis.so.%u.%u", (unsigned)ZYDIS_VERSION_MAJOR(ZYDIS_VERSION),
             (unsigned)ZYDIS_VERSION_MINOR(ZYDIS_VERSION));
    return dlopen(name, RTLD_LAZY | RTLD_LOCAL);
}

/* Puts the library's FUNCTION into *POINTER, a pointer to a function. */
static bool find(void *library, const char *function, void *pointer)
{
    void *found = dlsym(library, function);

    memcpy(pointer, &found, sizeof(found));
    return found != NULL;
}

/* Numbers as everywhere else: small letters, no zeros in front. */
static bool set_style(void *library, ZydisFormatter *formatter)
{
    static const struct {
        ZydisFormatterProperty property;
        ZyanUPointer value;
    } style[] = {
        {ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE},
        {ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, (ZyanUPointer)ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_DISP_PADDING, (ZyanUPointer)ZYDIS_PADDING_DISABLED},
        {ZYDIS_FORMATTER_PROP_IMM_PADDING, (ZyanUPointer)ZYDIS_PADDING_DISABLED},
    };
    __typeof__(ZydisFormatterInit) *init;
    __typeof__(ZydisFormatterSetProperty) *set;

    if (!find(library, "ZydisFormatterInit", &init) ||
        !find(library, "ZydisFormatterSetProperty", &set) ||
        !ZYAN_SUCCESS(init(formatter, ZYDIS_FORMATTER_STYLE_INTEL)))
        return false;
    for (unsigned i = 0; i < sizeof(style) / sizeof(style[0]); i++) {
        if (!ZYAN_SUCCESS(set(formatter, style[i].property, style[i].value)))
            return false;
    }
    return true;
}

static bool prepare(struct disassembler *d)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } modes[CODE_MODES] = {
        [CODE_16] = {ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16},
        [CODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        [CODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    __typeof__(ZydisDecoderInit) *init_decoder;

    if (!find(d->library, "ZydisDecoderInit", &init_decoder) ||
        !find(d->library, "ZydisDecoderDecodeFull", &d->decode) ||
        !find(d->library, "ZydisFormatterFormatInstruction", &d->format) ||
        !set_style(d->library, &d->formatter))
        return false;
    for (unsigned i = 0; i < CODE_MODES; i++) {
        if (!ZYAN_SUCCESS(init_decoder(&d->decoder[i], modes[i].mode, modes[i].stack)))
            return false;
    }
    return true;
}

struct disassembler *disassembler_open(void)
{
    struct disassembler *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->library = load();
    if (d->library && prepare(d))
        return d;
    disassembler_close(d);
    return NULL;
}

void disassembler_close(struct disassembler *d)
{
    if (!d)
        return;
    if (d->library)
        dlclose(d->library);
    free(d);
}

/* --- does an instruction do the exit's I/O? ----------------------------------------------------- */

static bool decode(const struct disassembler *d, enum code_mode mode, const uint8_t *bytes,
                   unsigned len, struct decoded *out)
{
    return ZYAN_SUCCESS(d->decode(&d->decoder[mode], bytes, len, &out->insn, out->operand));
}

/* IN and OUT have the port in their second or first operand, and the data in the other one; INS and
 * OUTS are the same with memory for the data. */
static unsigned fits_port(const struct decoded *code, const struct trace_event *event)
{
    bool write = false, string = false;

    switch (code->insn.mnemonic) {
    case ZYDIS_MNEMONIC_IN:
        break;
    case ZYDIS_MNEMONIC_OUT:
        write = true;
        break;
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
        string = true;
        break;
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        write = string = true;
        break;
    default:
        return 0;
    }

    const ZydisDecodedOperand *port = &code->operand[write ? 0 : 1];
    const ZydisDecodedOperand *data = &code->operand[write ? 1 : 0];
    bool repeated = string && (code->insn.attributes & ZYDIS_ATTRIB_HAS_REP);

    if (write != event->write || data->size != event->size * 8u || (event->count > 1 && !repeated))
        return 0;
    return port->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && port->imm.value.u != event->addr ? 0 : 2;
}

/* The operand names the address of the exit itself, without registers. It tells modes apart: what
 * is an address in 32-bit mode is a distance from RIP in 64-bit mode. END: behind the instruction. */
static bool points_at(const struct decoded *code, const ZydisDecodedOperand *operand, uint64_t end,
                      uint64_t addr)
{
    uint64_t target = (uint64_t)operand->mem.disp.value;

    if (operand->mem.index != ZYDIS_REGISTER_NONE)
        return false;
    if (operand->mem.base == ZYDIS_REGISTER_RIP)
        target += end;
    else if (operand->mem.base != ZYDIS_REGISTER_NONE)
        return false;
    return (code->insn.address_width < 64 ? (uint32_t)target : target) == addr;
}

/* KVM splits an access that is wider than 8 bytes, or crosses a page. */
static unsigned fits_memory(const struct decoded *code, const struct trace_event *event,
                            uint64_t end)
{
    ZydisOperandActions wanted =
        event->write ? ZYDIS_OPERAND_ACTION_MASK_WRITE : ZYDIS_OPERAND_ACTION_MASK_READ;
    unsigned fit = 0;

    if (code->insn.meta.category ==
        ZYDIS_CATEGORY_WIDENOP) /* has an operand, and leaves it alone */
        return 0;
    for (unsigned i = 0; i < code->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &code->operand[i];
        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || !(operand->actions & wanted))
            continue;
        if (operand->size == event->size * 8u)
            return points_at(code, operand, end, event->addr) ? 3 : 2;
        if (operand->size > event->size * 8u)
            fit = 1;
    }
    return fit;
}

static unsigned fits(const struct decoded *code, const struct trace_event *event, bool behind)
{
    switch (event->kind) {
    case VM_EXIT_PIO:
        return fits_port(code, event);
    case VM_EXIT_MMIO:
        return fits_memory(code, event, event->rip + (behind ? 0 : code->insn.length));
    case VM_EXIT_HLT:
        return code->insn.mnemonic == ZYDIS_MNEMONIC_HLT ? 2 : 0;
    default:
        return 0;
    }
}

/* --- at RIP, or behind? ------------------------------------------------------------------------- */

/* The instruction that ends at RIP, if all up to there decode. */
static bool decode_up_to(const struct disassembler *d, enum code_mode mode,
                         const struct code_window *window, struct decoded *out)
{
    unsigned at = 0;

    while (at < window->before) {
        if (!decode(d, mode, window->bytes + at, window->before - at, out))
            return false;
        at += out->insn.length;
    }
    return window->before > 0;
}

static void format(const struct disassembler *d, const struct decoded *code, uint64_t addr,
                   char text[CODE_INSN_MAX])
{
    if (!ZYAN_SUCCESS(d->format(&d->formatter, &code->insn, code->operand,
                                code->insn.operand_count_visible, text, CODE_INSN_MAX, addr, NULL)))
        text[0] = '\0';
}

/* LONGER is SHORTER with more prefixes before it, and they mean something to it. */
static bool adds_prefixes(const struct disassembler *d, const struct decoded *longer,
                          const struct decoded *shorter)
{
    char long_text[CODE_INSN_MAX], short_text[CODE_INSN_MAX];

    if (longer->insn.length - longer->insn.raw.prefix_count !=
        shorter->insn.length - shorter->insn.raw.prefix_count)
        return false;
    format(d, longer, 0, long_text);
    format(d, shorter, 0, short_text);
    return strcmp(long_text, short_text) != 0;
}

/* Where instructions begin is not known: the shortest that ends at RIP and fits, with those
 * prefixes that mean something to it; so the last byte of an immediate is not taken for one. */
static unsigned search_behind(const struct disassembler *d, enum code_mode mode,
                              const struct code_window *window, const struct trace_event *event,
                              struct decoded *best)
{
    unsigned best_fit = 0;

    for (unsigned len = 1; len <= window->before && len <= CODE_INSN_BYTES; len++) {
        struct decoded found;
        if (!decode(d, mode, window->bytes + window->before - len, len, &found) ||
            found.insn.length != len)
            continue;
        unsigned fit = fits(&found, event, true);
        if (fit > best_fit || (fit > 0 && fit == best_fit && adds_prefixes(d, &found, best))) {
            best_fit = fit;
            *best = found;
        }
    }
    return best_fit;
}

void disassembler_choose(const struct disassembler *d, enum code_mode mode,
                         const struct code_window *window, const struct trace_event *event,
                         enum code_rip writes, struct code_choice *choice)
{
    struct decoded at, behind;
    unsigned at_fit = 0, behind_fit = 0;

    *choice = (struct code_choice){.told = CODE_RIP_UNKNOWN};
    if (!d)
        return;
    bool is_code =
        decode(d, mode, window->bytes + window->before, window->len - window->before, &at);
    if (is_code)
        at_fit = fits(&at, event, false);
    if (window->aligned && decode_up_to(d, mode, window, &behind))
        behind_fit = fits(&behind, event, true);
    else
        behind_fit = search_behind(d, mode, window, event, &behind);

    bool tie = at_fit == behind_fit;
    bool prefer_behind = event->kind == VM_EXIT_HLT || (event->write && writes != CODE_RIP_AT);

    if (behind_fit > at_fit || (tie && behind_fit > 0 && prefer_behind)) {
        choice->fit = behind_fit;
        choice->back = behind.insn.length;
        format(d, &behind, event->rip - choice->back, choice->text);
    } else if (is_code) {
        choice->fit = at_fit;
        format(d, &at, event->rip, choice->text);
    }
    if (at_fit == 0 || behind_fit == 0)
        choice->told = at_fit > 0       ? CODE_RIP_AT
                       : behind_fit > 0 ? CODE_RIP_BEHIND
                                        : CODE_RIP_UNKNOWN;
}
