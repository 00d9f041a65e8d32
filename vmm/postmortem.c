/*
 * postmortem.c: the report on a guest that died, the likely cause first (see postmortem.h).
 */
#include "postmortem.h"

#include "backtrace.h"
#include "cpu_print.h"
#include "diagnose.h"
#include "gate.h"
#include "insn.h"
#include "pagewalk.h"
#include "trace/code_insn.h"
#include "trace/text.h"

#include <inttypes.h>
#include <string.h>

#define CODE_BEFORE 16 /* bytes shown before RIP */
#define CODE_AFTER  16
#define STACK_WORDS 8

struct report {
    FILE *out;
    bool colour;
    const struct postmortem *dead;
};

static void heading(const struct report *r, const char *text)
{
    fprintf(r->out, "%s%s%s\n", r->colour ? "\033[1m" : "", text, r->colour ? "\033[0m" : "");
}

static void print_headline(const struct report *r)
{
    const struct vm_exit *exit = r->dead->exit;
    const char *what = exit->kind == VM_EXIT_SHUTDOWN         ? "triple fault"
                       : exit->kind == VM_EXIT_INTERNAL_ERROR ? "KVM cannot go on"
                       : exit->kind == VM_EXIT_FAIL_ENTRY     ? "the processor refused to run it"
                                                              : "ended";
    char at[SYMBOLS_TEXT_MAX];

    symbols_format(r->dead->symbols, r->dead->state->rip, at);
    fprintf(r->out, "%svCPU %u: %s%s", r->colour ? "\033[1;31m" : "", r->dead->vcpu, what,
            r->colour ? "\033[0m" : "");
    if (exit->raw_name)
        fprintf(r->out, " (%s", exit->raw_name);
    if (exit->raw_name && exit->kind == VM_EXIT_INTERNAL_ERROR)
        fprintf(r->out, ", suberror %" PRIu64 " %s", exit->detail,
                exit->detail_name ? exit->detail_name : "unknown");
    else if (exit->raw_name && exit->detail != 0)
        fprintf(r->out, ", 0x%" PRIx64 "%s%s", exit->detail, exit->detail_name ? " " : "",
                exit->detail_name ? exit->detail_name : "");
    fprintf(r->out, "%s", exit->raw_name ? ")" : "");
    if (!registers_are_lost(r->dead))
        fprintf(r->out, " at %s, in %s", at, cpu_mode_name(r->dead->state));
    fputc('\n', r->out);
}

/* Likely cause, folded at 100 columns. */
static void print_cause(const struct report *r)
{
    char text[DIAGNOSIS_MAX];
    const char *rest = text;

    diagnose(r->dead, text, sizeof(text));
    heading(r, "Likely cause");
    while (*rest != '\0') {
        size_t len = strlen(rest), cut = 98;
        if (len <= cut) {
            cut = len;
        } else {
            while (cut > 0 && rest[cut] != ' ')
                cut--;
            if (cut == 0)
                cut = 98;
        }
        fprintf(r->out, "  %.*s\n", (int)cut, rest);
        rest += cut;
        rest += strspn(rest, " ");
    }
}

/* What KVM gave with the exit. */
static void print_exit_data(const struct report *r)
{
    const struct vm_exit *exit = r->dead->exit;

    if (exit->insn_len > 0) {
        fprintf(r->out, "  KVM's copy of the instruction:");
        for (unsigned i = 0; i < exit->insn_len && i < sizeof(exit->insn); i++)
            fprintf(r->out, " %02x", exit->insn[i]);
        fputc('\n', r->out);
    }
    if (exit->info_count > 0) {
        fprintf(r->out, "  KVM's data:");
        for (unsigned i = 0; i < exit->info_count && i < 8; i++)
            fprintf(r->out, " 0x%" PRIx64, exit->info[i]);
        fputc('\n', r->out);
    }
}

static bool code_byte(const struct report *r, uint64_t at, uint8_t *byte)
{
    return pagewalk_read(r->dead->mem, r->dead->state, at, byte, 1) == 1;
}

/* The instruction at the begin of CODE; without Zydis its name, if it is one of those known. */
static void print_insn(const struct report *r, uint64_t at, const uint8_t *code, unsigned len)
{
    const struct cpu_state *state = r->dead->state;
    bool wide = code_is_64bit(state);
    enum code_mode mode = wide ? CODE_64 : state->seg[SEG_CS].db ? CODE_32 : CODE_16;
    const struct code_window window = {.bytes = code, .len = len};
    const struct trace_event event = {.kind = VM_EXIT_OTHER, .rip = at};
    struct disassembler *disassembler = disassembler_open();
    struct code_choice choice;

    disassembler_choose(disassembler, mode, &window, &event, CODE_RIP_UNKNOWN, &choice);
    disassembler_close(disassembler);
    struct insn known = insn_decode(code, len, wide);
    const char *text = choice.text[0] ? choice.text : known.name;
    if (*text)
        fprintf(r->out, "   %s", text);
}

static void print_code(const struct report *r)
{
    const struct cpu_state *state = r->dead->state;
    uint64_t at = code_address(state);
    uint8_t code[CODE_AFTER];
    unsigned len = 0;

    heading(r, "Code");
    fprintf(r->out, "  0x%" PRIx64 ":", at);
    for (unsigned i = CODE_BEFORE; i > 0; i--) {
        uint8_t byte;
        if (at >= i && code_byte(r, at - i, &byte))
            fprintf(r->out, " %02x", byte);
    }
    fprintf(r->out, " |>");
    while (len < CODE_AFTER && code_byte(r, at + len, &code[len])) {
        fprintf(r->out, " %02x", code[len]);
        len++;
    }
    if (len == 0)
        fprintf(r->out, " cannot be read");
    print_insn(r, at, code, len);
    fputc('\n', r->out);
}

/* One level's entry and its flags; PAE's first level has fewer. */
static void print_step(const struct report *r, const struct pagewalk_step *step)
{
    uint64_t entry = step->entry;

    fprintf(r->out, "    %-4s at 0x%010" PRIx64, step->level, step->entry_gpa);
    if (!step->readable) {
        fprintf(r->out, "  is not in RAM\n");
        return;
    }
    fprintf(r->out, "  %016" PRIx64 "  %s", entry, entry & 1 ? "present" : "not present");
    if (entry & 1)
        fprintf(r->out, "%s%s%s%s%s", entry & 2 ? " writable" : " read-only",
                entry & 4 ? " user" : " supervisor", entry & 0x20 ? " accessed" : "",
                entry & 0x80 && strcmp(step->level, "PT") != 0 ? " large" : "",
                entry >> 63 ? " no-execute" : "");
    fputc('\n', r->out);
}

static void print_walk(const struct report *r, const char *name, uint64_t linear)
{
    static const struct {
        uint64_t size;
        const char *name;
    } pages[] = {
        {0x1000, "4 KiB"}, {0x200000, "2 MiB"}, {0x400000, "4 MiB"}, {0x40000000, "1 GiB"}};
    struct pagewalk walk;

    pagewalk(r->dead->mem, r->dead->state, linear, &walk);
    fprintf(r->out, "  %s 0x%" PRIx64 "\n", name, linear);
    for (unsigned i = 0; i < walk.steps; i++)
        print_step(r, &walk.step[i]);
    if (!walk.canonical) {
        fprintf(r->out, "    is not a canonical address\n");
    } else if (walk.reserved) {
        fprintf(r->out, "    -> not mapped: a reserved bit is set\n");
    } else if (!walk.mapped) {
        fprintf(r->out, "    -> not mapped\n");
    } else {
        fprintf(r->out, "    -> GPA 0x%" PRIx64 "%s", walk.gpa,
                mem_peek(r->dead->mem, walk.gpa, 1) ? "" : ", which is not RAM");
        for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
            if (pages[i].size == walk.page_size)
                fprintf(r->out, ", %s page%s%s%s", pages[i].name,
                        walk.writable ? ", writable" : ", read-only",
                        walk.executable ? ", executable" : ", no-execute",
                        walk.user ? ", user" : ", supervisor");
        }
        fputc('\n', r->out);
    }
}

static void print_walks(const struct report *r)
{
    const struct cpu_state *state = r->dead->state;

    if (!(state->cr0 & CR0_PG))
        return;
    heading(r, "Page tables");
    print_walk(r, "RIP", code_address(state));
    if (state->cr2 != 0 && state->cr2 != code_address(state))
        print_walk(r, "CR2", state->cr2);
}

/* The entries that a triple fault passes through; those in order are one line. */
static void print_gates(const struct report *r)
{
    static const uint8_t vectors[] = {6, 8, 13, 14}; /* #UD, #DF, #GP, #PF */

    heading(r, r->dead->state->cr0 & CR0_PE ? "IDT" : "Interrupt vectors");
    for (unsigned i = 0; i < sizeof(vectors); i++) {
        struct gate gate;
        gate_check(r->dead->mem, r->dead->state, vectors[i], &gate);
        if (gate.problem == GATE_NO_IDT) {
            fprintf(r->out, "  %s\n", gate.why);
            return;
        }
        fprintf(r->out, "  %2u %s ", vectors[i], exception_name(vectors[i]));
        if (gate.readable && gate.size == 4)
            fprintf(r->out, " %04x:%04x", gate.selector, (unsigned)gate.offset);
        for (unsigned byte = gate.readable && gate.size > 4 ? gate.size : 0; byte > 0; byte--)
            fprintf(r->out, "%s%02x", byte % 8 == 0 ? " " : "", gate.raw[byte - 1]);
        if (gate.problem == GATE_GOOD) {
            char handler[SYMBOLS_TEXT_MAX];
            symbols_format(r->dead->symbols, gate.offset, handler);
            fprintf(r->out, "  %s\n", handler);
        } else {
            fprintf(r->out, "  %s\n", gate.why);
        }
    }
}

static void print_stack(const struct report *r)
{
    const struct cpu_state *state = r->dead->state;
    bool wide = code_is_64bit(state);
    unsigned size = wide ? 8 : state->seg[SEG_SS].db ? 4 : 2;
    uint64_t mask = wide ? ~0ull : size == 4 ? 0xffffffff : 0xffff;
    uint64_t sp = state->gpr[RSP] & mask;

    heading(r, "Stack");
    for (unsigned i = 0; i < STACK_WORDS; i++) {
        uint64_t at = (wide ? 0 : state->seg[SEG_SS].base) + ((sp + i * size) & mask);
        uint64_t word = 0, offset;
        if (pagewalk_read(r->dead->mem, state, at, &word, size) != size) {
            fprintf(r->out, "  0x%" PRIx64 ": is not mapped to RAM\n", at);
            return;
        }
        const char *name = symbols_find(r->dead->symbols, word, &offset);
        fprintf(r->out, "  0x%" PRIx64 ": %0*" PRIx64, at, (int)size * 2, word);
        if (name)
            fprintf(r->out, "  %s+0x%" PRIx64, name, offset);
        fputc('\n', r->out);
    }
}

static void print_backtrace(const struct report *r)
{
    uint64_t frame[BACKTRACE_MAX];
    unsigned count = backtrace_walk(r->dead->mem, r->dead->state, frame);

    heading(r, "Backtrace (by frame pointers)");
    for (unsigned i = 0; i < count; i++) {
        /* A call at the end of a function returns behind it: the call itself names the function. */
        unsigned back = i > 0 ? 1 : 0;
        uint64_t offset;
        const char *name = symbols_find(r->dead->symbols, frame[i] - back, &offset);
        fprintf(r->out, "  #%-2u 0x%016" PRIx64, i, frame[i]);
        if (name)
            fprintf(r->out, "  %s+0x%" PRIx64, name, offset + back);
        fputc('\n', r->out);
    }
}

static void print_last(const struct report *r)
{
    if (r->dead->last_count == 0)
        return;
    heading(r, "Last exits");
    struct trace_columns columns = trace_columns(r->colour);
    trace_print_header(r->out, r->colour);
    for (unsigned i = 0; i < r->dead->last_count; i++)
        trace_print_event(r->out, &columns, &r->dead->last[i], r->dead->symbols);
}

void postmortem_print(FILE *out, bool colour, const struct postmortem *dead)
{
    const struct report r = {out, colour, dead};

    print_headline(&r);
    print_cause(&r);
    print_exit_data(&r);
    if (!registers_are_lost(dead)) {
        heading(&r, "Registers");
        cpu_print_registers(out, dead->state, dead->symbols);
        heading(&r, "Segments");
        cpu_print_segments(out, dead->state);
        print_code(&r);
        print_walks(&r);
        print_gates(&r);
        print_stack(&r);
        print_backtrace(&r);
    }
    print_last(&r);
}
