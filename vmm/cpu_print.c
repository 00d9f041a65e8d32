/*
 * cpu_print.c: a vCPU's registers, with the names of their bits (Intel SDM vol. 3A, chapter 2 and
 * section 3.4.5).
 */
#include "cpu_print.h"

#include <inttypes.h>

struct bit {
    uint8_t number;
    const char *name;
};

static const struct bit rflags_bits[] = {
    {0, "CF"},  {2, "PF"},   {4, "AF"},   {6, "ZF"},  {7, "SF"},  {8, "TF"},
    {9, "IF"},  {10, "DF"},  {11, "OF"},  {14, "NT"}, {16, "RF"}, {17, "VM"},
    {18, "AC"}, {19, "VIF"}, {20, "VIP"}, {21, "ID"}, {0, NULL}};
static const struct bit cr0_bits[] = {{0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},
                                      {4, "ET"},  {5, "NE"},  {16, "WP"}, {18, "AM"},
                                      {29, "NW"}, {30, "CD"}, {31, "PG"}, {0, NULL}};
static const struct bit cr4_bits[] = {
    {0, "VME"},   {1, "PVI"},   {2, "TSD"},   {3, "DE"},        {4, "PSE"},         {5, "PAE"},
    {6, "MCE"},   {7, "PGE"},   {8, "PCE"},   {9, "OSFXSR"},    {10, "OSXMMEXCPT"}, {11, "UMIP"},
    {12, "LA57"}, {13, "VMXE"}, {14, "SMXE"}, {16, "FSGSBASE"}, {17, "PCIDE"},      {18, "OSXSAVE"},
    {20, "SMEP"}, {21, "SMAP"}, {22, "PKE"},  {23, "CET"},      {24, "PKS"},        {0, NULL}};
static const struct bit efer_bits[] = {{0, "SCE"},   {8, "LME"},    {10, "LMA"}, {11, "NXE"},
                                       {12, "SVME"}, {14, "FFXSR"}, {0, NULL}};

static void print_bits(FILE *out, uint64_t value, const struct bit *bits)
{
    const char *blank = "  ";

    for (; bits->name; bits++) {
        if (value >> bits->number & 1) {
            fprintf(out, "%s%s", blank, bits->name);
            blank = " ";
        }
    }
}

const char *cpu_mode_name(const struct cpu_state *state)
{
    bool wide = state->seg[SEG_CS].db;

    if (!(state->cr0 & CR0_PE))
        return "real mode";
    if (state->efer & EFER_LMA)
        return state->seg[SEG_CS].l ? "64-bit mode" : "long mode, compatibility code";
    if (state->rflags & 1 << 17)
        return "virtual 8086 mode";
    if (!(state->cr0 & CR0_PG))
        return wide ? "32-bit protected mode, no paging" : "16-bit protected mode, no paging";
    if (state->cr4 & CR4_PAE)
        return wide ? "32-bit protected mode, PAE paging" : "16-bit protected mode, PAE paging";
    return wide ? "32-bit protected mode, 32-bit paging" : "16-bit protected mode, 32-bit paging";
}

void cpu_print_registers(FILE *out, const struct cpu_state *state, const struct symbols *symbols)
{
    static const struct {
        const char *name;
        enum cpu_gpr reg;
    } gpr[] = {{"RAX", RAX}, {"RBX", RBX}, {"RCX", RCX}, {"RDX", RDX}, {"RSI", RSI}, {"RDI", RDI},
               {"RBP", RBP}, {"RSP", RSP}, {"R8 ", R8},  {"R9 ", R9},  {"R10", R10}, {"R11", R11},
               {"R12", R12}, {"R13", R13}, {"R14", R14}, {"R15", R15}};
    const struct {
        const char *name;
        uint64_t value;
        const struct bit *bits;
    } control[] = {{"CR0 ", state->cr0, cr0_bits}, {"CR2 ", state->cr2, NULL},
                   {"CR3 ", state->cr3, NULL},     {"CR4 ", state->cr4, cr4_bits},
                   {"CR8 ", state->cr8, NULL},     {"EFER", state->efer, efer_bits}};
    char text[SYMBOLS_TEXT_MAX];

    for (unsigned i = 0; i < 16; i++)
        fprintf(out, "%s%s %016" PRIx64 "%s", "  ", gpr[i].name, state->gpr[gpr[i].reg],
                i % 4 == 3 ? "\n" : "");
    symbols_format(symbols, state->rip, text);
    fprintf(out, "  RIP %016" PRIx64 "  %s\n", state->rip, text);
    fprintf(out, "  RFLAGS %08" PRIx64, state->rflags);
    print_bits(out, state->rflags, rflags_bits);
    fprintf(out, " IOPL=%u\n", (unsigned)(state->rflags >> 12 & 3));
    for (unsigned i = 0; i < sizeof(control) / sizeof(control[0]); i++) {
        fprintf(out, "  %s %016" PRIx64, control[i].name, control[i].value);
        if (control[i].bits)
            print_bits(out, control[i].value, control[i].bits);
        fputc('\n', out);
    }
}

/* Code and data types: SDM table 3-1; system types: table 3-2. */
static void print_type(FILE *out, const struct cpu_state *state, const struct cpu_segment *seg)
{
    bool long_mode = state->efer & EFER_LMA;

    if (!seg->s) {
        switch (seg->type) {
        case 0x1:
        case 0x3:
            fprintf(out, "16-bit TSS%s", seg->type & 2 ? ", busy" : "");
            return;
        case 0x2:
            fprintf(out, "LDT");
            return;
        case 0x9:
        case 0xb:
            fprintf(out, "%s TSS%s", long_mode ? "64-bit" : "32-bit",
                    seg->type & 2 ? ", busy" : "");
            return;
        default:
            fprintf(out, "system type 0x%x", seg->type);
            return;
        }
    }
    if (seg->type & 8)
        fprintf(out, "code %s, %s%s",
                seg->l && long_mode ? "64-bit"
                : seg->db           ? "32-bit"
                                    : "16-bit",
                seg->type & 2 ? "readable" : "execute-only", seg->type & 4 ? ", conforming" : "");
    else
        fprintf(out, "data %s, %s%s", seg->db ? "32-bit" : "16-bit",
                seg->type & 2 ? "writable" : "read-only", seg->type & 4 ? ", expand-down" : "");
}

void cpu_print_segments(FILE *out, const struct cpu_state *state)
{
    static const struct {
        const char *name;
        enum cpu_seg seg;
    } order[] = {{"CS ", SEG_CS}, {"SS ", SEG_SS}, {"DS ", SEG_DS},  {"ES ", SEG_ES},
                 {"FS ", SEG_FS}, {"GS ", SEG_GS}, {"LDT", SEG_LDT}, {"TR ", SEG_TR}};

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct cpu_segment *seg = &state->seg[order[i].seg];
        fprintf(out, "  %s %04x  base %016" PRIx64 "  limit %08x  ", order[i].name, seg->selector,
                seg->base, seg->limit);
        if (seg->unusable) {
            fprintf(out, "unusable\n");
            continue;
        }
        print_type(out, state, seg);
        fprintf(out, ", DPL %u%s\n", seg->dpl, seg->present ? "" : ", not present");
    }
    fprintf(out, "  GDT       base %016" PRIx64 "  limit %04x\n", state->gdt.base,
            state->gdt.limit);
    fprintf(out, "  IDT       base %016" PRIx64 "  limit %04x\n", state->idt.base,
            state->idt.limit);
}
