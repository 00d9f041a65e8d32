/*
 * test_diagnose.c: each likely cause, provoked in a guest built in memory; and the instructions
 * that a diagnosis knows by name.
 */
#include "dead_guest.h"
#include "diagnose.h"
#include "gate.h"
#include "insn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = dead_guest_create();
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* The sentence must have all of WORDS (ended by NULL), and be a sentence. */
static void expect(struct dead_guest *g, const char *const words[])
{
    char text[DIAGNOSIS_MAX];

    diagnose(&g->dead, text, sizeof(text));
    for (; *words; words++) {
        if (!strstr(text, *words))
            fail_msg("'%s' is not in '%s'", *words, text);
    }
    assert_int_equal(text[strlen(text) - 1], '.');
    assert_null(strstr(text, "(null)"));
}

#define EXPECT(g, ...) expect(g, (const char *const[]){__VA_ARGS__, NULL})
#define TRIPLE         " could not be delivered: exception -> double fault -> triple fault."

static void ud2(struct dead_guest *g)
{
    set_code(g, "\x0f\x0b", 2);
}

static void no_idt(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.idt.limit = 0;
    EXPECT(g, "There is no IDT (limit 0), so the #UD raised by `ud2` at 0x10000" TRIPLE);
    g->state.idt = (struct cpu_table){0, 0xffff};
    EXPECT(g, "There is no IDT (none was loaded: base 0, limit 0xffff", "#UD");
}

static void idt_that_cannot_be_read(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.idt.base = DEAD_GUARD;
    EXPECT(g, "The IDT at 0x1f000 is not mapped to RAM, so the #UD");
}

static void bad_gates(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    set_gate(g, 6, DEAD_HANDLER, 0x0e, 0);
    EXPECT(
        g,
        "IDT entry 6 (#UD) is not present (P = 0), so the #UD raised by `ud2` at 0x10000" TRIPLE);
    set_gate(g, 6, DEAD_HANDLER, 0x8c, 0);
    EXPECT(g, "IDT entry 6 (#UD) has type 0xc");
    memset(idt_entry(g, 6), 0, 16);
    EXPECT(g, "IDT entry 6 (#UD) is empty (all zeros)");
    g->state.idt.limit = 6 * 16 + 14;
    EXPECT(g, "IDT entry 6 (#UD) is beyond the end of the IDT (limit 0x6e)");
}

static void bad_handlers(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    set_gate(g, 6, DEAD_GUARD, 0x8e, 0);
    EXPECT(g, "IDT entry 6 (#UD) leads to 0x1f000, which no page maps, so");
    set_gate(g, 6, DEAD_STACK, 0x8e, 0);
    EXPECT(g, "leads to 0x20000, which is on a page that is not executable");
    set_gate(g, 6, 0x800000000000, 0x8e, 0);
    EXPECT(g, "leads to 0x800000000000, which is not a canonical address");
    *pte(g, 0x30000) = 0x7ff00001;
    set_gate(g, 6, 0x30000, 0x8e, 0);
    EXPECT(g, "leads to 0x30000, which is not RAM");
}

static void bad_code_segments(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    idt_entry(g, 6)[2] = 0x20;
    EXPECT(g, "names code segment 0x20, which the GDT does not contain (limit 0x17)");
    g->state.gdt.limit = 0xe; /* one byte short */
    idt_entry(g, 6)[2] = 0x08;
    EXPECT(g, "names code segment 0x8, which the GDT does not contain (limit 0xe)");
    g->state.gdt.limit = 0x17;
    idt_entry(g, 6)[2] = 0x10;
    EXPECT(g, "names segment 0x10, which is not code (descriptor 0x00cf92000000ffff)");
    idt_entry(g, 6)[2] = 0;
    EXPECT(g, "names the null selector");
    idt_entry(g, 6)[2] = 0x08;
    poke64(g, DEAD_GDT + 8, 0x00cf9a000000ffff);
    EXPECT(g, "names segment 0x8, which is not 64-bit code");
    poke64(g, DEAD_GDT + 8, 0x00af1a000000ffff);
    EXPECT(g, "names segment 0x8, which is not present");
    g->state.gdt.base = DEAD_GUARD;
    EXPECT(g, "names code segment 0x8, but the GDT at 0x1f000 is not mapped");
}

static void bad_stacks(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.gpr[RSP] = DEAD_STACK + 16; /* the frame does not fit any more */
    EXPECT(g, "IDT entry 6 (#UD) would push on a stack that is not mapped (RSP 0x20010)");
    g->state.gpr[RSP] = DEAD_CODE + 0x800;
    EXPECT(g, "would push on a stack that is read-only");
    g->state.gpr[RSP] = 0x800000000018;
    EXPECT(g, "would push on a stack that is not canonical");
    g->state.gpr[RSP] = 0;
    EXPECT(g, "would push on a stack that is not mapped (RSP 0x0)");

    /* The processor aligns the stack before it pushes. */
    *pte(g, DEAD_STACK + 0x1000) = 0;
    g->state.gpr[RSP] = DEAD_STACK + 0x1008;
    EXPECT(g, "Not known");
    g->state.gpr[RSP] = DEAD_STACK + 0x1018;
    EXPECT(g, "would push on a stack that is not mapped (RSP 0x21010)");
    g->state.gpr[RSP] = 0;
    /* A stack of its own mends it. */
    set_gate(g, 6, DEAD_HANDLER, 0x8e, 1);
    EXPECT(g,
           "A second exception hit the handler of the first, and IDT entry 8 (#DF) would push on");
    set_gate(g, 8, DEAD_HANDLER, 0x8e, 1);
    EXPECT(g, "Not known");
}

static void bad_ist(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    set_gate(g, 6, DEAD_HANDLER, 0x8e, 2);
    EXPECT(g, "would push on a stack that is not mapped (IST 2 0x0)");
    poke64(g, DEAD_TSS + 0x24 + 8, DEAD_GUARD + 0x800);
    EXPECT(g, "would push on a stack that is not mapped (IST 2 0x1f800)");
    g->state.seg[SEG_TR].limit = 0x24 + 14;
    EXPECT(g, "needs a stack from the TSS, but there is no TSS with one (limit 0x32)");
    g->state.seg[SEG_TR].limit = 0x67;
    g->state.seg[SEG_TR].base = 0xffffffffffff0000;
    EXPECT(g, "needs a stack from the TSS, but the TSS at 0xffffffffffff0000 is not mapped");

    g->state.seg[SEG_TR].base = DEAD_TSS; /* user mode needs RSP0 */
    set_gate(g, 6, DEAD_HANDLER, 0xee, 0);
    g->state.seg[SEG_SS].dpl = 3;
    EXPECT(g, "would push on a stack that is not mapped (RSP0 0x0)");
}

static void stack_overflow(void **state)
{
    struct dead_guest *g = *state;

    g->state.gpr[RSP] = DEAD_STACK;
    g->state.cr2 = DEAD_STACK - 8;
    EXPECT(
        g, "IDT entry 14 (#PF) would push on a stack that is not mapped (RSP 0x20000), so the #PF",
        "where the stack (RSP 0x20000) ran into a page that is not mapped (CR2 0x1fff8: a guard");
}

static void rip_in_nowhere(void **state)
{
    struct dead_guest *g = *state;

    memset(idt_entry(g, 14), 0, 16);
    memset(idt_entry(g, 13), 0, 16);
    g->state.rip = 0;
    EXPECT(g, "IDT entry 14 (#PF) is empty",
           "going to 0x0, which is not mapped (its PT entry 0x0 is "
           "not present), as a call through a null pointer does, could not");
    g->state.rip = 0x800000000000;
    EXPECT(g, "IDT entry 13 (#GP)", "0x800000000000, which is no canonical address");
    g->state.rip = DEAD_STACK;
    EXPECT(g, "executing 0x20000, on a page that is not executable (NX)");
    g->state.rip = DEAD_CODE;
    *pte(g, DEAD_CODE) |= 4;
    poke64(g, DEAD_PML4, DEAD_PDPT | 7);
    g->state.cr4 |= 1 << 20;
    EXPECT(g, "on a user page while SMEP is on");
    *pte(g, DEAD_CODE) = 0x7ff00001;
    memset(idt_entry(g, 8), 0, 16);
    EXPECT(g, "IDT entry 8 (#DF) is empty", "going to 0x10000, which is outside RAM");
}

static void tables_that_are_broken(void **state)
{
    struct dead_guest *g = *state;

    memset(g->ram + DEAD_CODE - 3, 0, 3);
    memset(idt_entry(g, 14), 0, 16);
    poke64(g, DEAD_PML4, DEAD_PDPT | 0x87);
    EXPECT(g, "The IDT at 0x6000 is not mapped to RAM, so",
           "its PML4 entry 0x2087 has a reserved bit set");
    poke64(g, DEAD_PML4, 0x7fff00000003);
    EXPECT(g, "its PDPT entry lies at 0x7fff00000000, outside RAM");
    g->state.cr3 = 0x123456000;
    EXPECT(g, "Paging is on, but CR3 (0x123456000) points outside RAM");
}

static void paging_that_unmaps_its_own_code(void **state)
{
    struct dead_guest *g = *state;

    set_code(g, "\x0f\x22\xc0\xeb\x00", 5);
    g->state.rip = DEAD_CODE + 3;
    *pte(g, DEAD_CODE) = 0;
    g->state.idt.limit = 0;
    EXPECT(g, "There is no IDT", "the first instruction after paging was turned on, at 0x10003");
}

static void zeros_executed(void **state)
{
    struct dead_guest *g = *state;

    memset(g->ram + DEAD_CODE, 0, 64);
    g->state.idt.limit = 0;
    EXPECT(g,
           "There is no IDT (limit 0), so the #PF raised at 0x10000, where the guest runs through "
           "zeroed memory (00 00 is `add %al,(%rax)`), could not");
}

static void zeros_run_through(void **state)
{
    struct dead_guest *g = *state;

    g->state.idt.limit = 0;
    memset(g->ram + DEAD_CODE, 0, 16);
    g->state.rip = DEAD_CODE + 16;
    EXPECT(g, "so an exception at 0x10010, where the guest perhaps came by running through zeroed");
    g->state.rip--;
    EXPECT(g, "so an exception at 0x1000f could not");
    g->state.rip = DEAD_GUARD;
    EXPECT(g, "is not present), after running through zeroed memory, could not");
    g->ram[DEAD_GUARD - 16] = 1;
    EXPECT(g, "is not present), could not");
}

static void sse_and_fpu_that_are_off(void **state)
{
    struct dead_guest *g = *state;

    memset(idt_entry(g, 6), 0, 16);
    memset(idt_entry(g, 7), 0, 16);
    set_code(g, "\x0f\x28\xc1", 3); /* movaps */
    EXPECT(g, "IDT entry 6 (#UD)",
           "an SSE instruction at 0x10000 while SSE is off (CR4.OSFXSR = 0");
    set_code(g, "\xd9\xe8", 2); /* fld1 */
    g->state.cr0 |= 8;
    EXPECT(g, "IDT entry 7 (#NM)", "an x87 instruction at 0x10000 while CR0.TS or CR0.EM is set");
}

static void suspects(void **state)
{
    struct dead_guest *g = *state;

    memset(idt_entry(g, 13), 0, 16);
    set_code(g, "\x0f\x30", 2);
    EXPECT(g, "IDT entry 13 (#GP) is empty", "the exception (probably #GP) raised by `wrmsr`");
    set_code(g, "\xcd\x80", 2);
    EXPECT(g, "IDT entry 128 (interrupt) is beyond the end", "the interrupt raised by `int n`");
}

static void access_that_is_not_mapped(void **state)
{
    struct dead_guest *g = *state;

    memset(idt_entry(g, 14), 0, 16);
    g->state.cr2 = 0x40000000;
    EXPECT(g,
           "IDT entry 14 (#PF) is empty (all zeros), so the #PF raised at 0x10000 by an access to "
           "0x40000000 (CR2), which is not mapped (its PDPT entry 0x0 is not present), could not");
    g->state.cr2 = DEAD_CODE;
    EXPECT(g, "by a write to 0x10000 (CR2), which is read-only");
}

static void interrupts(void **state)
{
    struct dead_guest *g = *state;

    g->state.idt.limit = 0;
    EXPECT(g, "so an exception at 0x10000");
    g->state.rflags |= 0x200;
    EXPECT(g, "so an interrupt or exception at 0x10000");
    set_code(g, "\xf4\xeb\xfd", 3);
    EXPECT(g, "so an interrupt that ended `hlt` at 0x10000");
    g->state.rip++;
    EXPECT(g, "so an interrupt that ended `hlt` at 0x10001");
}

static void double_fault_gate(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    set_gate(g, 8, DEAD_HANDLER, 0x0e, 0);
    EXPECT(g,
           "A second exception hit the handler of the first, and IDT entry 8 (#DF) is not present");
}

static void nothing_wrong(void **state)
{
    struct dead_guest *g = *state;

    EXPECT(g, "Not known: the IDT entries for the likely exceptions look good, and the code at "
              "0x10000 is mapped; look at");
    poke64(g, DEAD_PDPT, 0x83);
    EXPECT(g, "by a 1 GiB page, which not every processor has");
}

static void state_lost_on_amd(void **state)
{
    struct dead_guest *g = *state;

    g->state.cr0 = 0x60000010;
    g->state.efer = 0;
    g->state.rip = 0xfff0;
    g->state.seg[SEG_CS] = (struct cpu_segment){.selector = 0xf000, .base = 0xffff0000};
    EXPECT(g, "Not known: KVM on AMD processors resets",
           "its registers are gone. The same command");
    g->last[0] = (struct trace_event){.kind = VM_EXIT_PIO, .rip = 0x1234};
    g->last[1] = (struct trace_event){.kind = VM_EXIT_PIO, .rip = 0x5678, .vcpu = 1};
    g->last[2] = (struct trace_event){.kind = VM_EXIT_SHUTDOWN, .rip = 0xfff0};
    g->dead.last_count = 3;
    EXPECT(g, "; the last that was seen of the guest is its exit at 0x1234. The same command line");
}

static void protected_mode(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.cr0 = CR0_PE;
    g->state.cr4 = g->state.efer = 0;
    g->state.seg[SEG_CS].l = false;
    g->state.seg[SEG_CS].db = true;
    poke64(g, DEAD_GDT + 8, 0x00cf9a000000ffff);
    memset(g->ram + DEAD_IDT, 0, 0x1000);
    EXPECT(g, "IDT entry 6 (#UD) is empty");
    poke64(g, DEAD_IDT + 6 * 8, 0x00018e0000081000);
    EXPECT(g, "A second exception hit the handler of the first, and IDT entry 8 (#DF) is empty");
    poke64(g, DEAD_IDT + 8 * 8, 0x0000850000180000); /* a task gate */
    EXPECT(g, "Not known");
    g->state.gpr[RSP] = 0x7ff00000;
    EXPECT(g, "would push on a stack that is not RAM (ESP 0x7ff00000)");
    g->state.seg[SEG_SS].dpl = 3;
    poke64(g, DEAD_IDT + 6 * 8, 0x0001ee0000081000);
    EXPECT(g, "(ESP0 0x0)");
    g->state.seg[SEG_TR].unusable = true;
    EXPECT(g, "there is no TSS with one");
}

static void real_mode(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.cr0 = g->state.cr4 = g->state.efer = 0;
    g->state.seg[SEG_CS] = (struct cpu_segment){.base = DEAD_CODE, .selector = DEAD_CODE >> 4};
    g->state.rip = 0;
    g->state.idt = (struct cpu_table){0, 0};
    EXPECT(g, "There is no IDT (limit 0), so the #UD");
    g->state.idt.limit = 0x3ff;
    EXPECT(g, "IDT entry 6 (#UD) is empty: it points to 0000:0000, the vector table itself");
    poke64(g, 6 * 4, 0xffffff00);
    EXPECT(g, "leads to 0x10fef0, which is not RAM");
}

static void internal_errors(void **state)
{
    struct dead_guest *g = *state;

    g->exit = (struct vm_exit){
        .kind = VM_EXIT_INTERNAL_ERROR, .detail = 1, .insn = {0xcc}, .insn_len = 1};
    g->dead.software_backend = true;
    EXPECT(
        g,
        "This KVM runs guest ring 0 by emulating it in software, and could not emulate `int3` at "
        "0x10000; on a KVM with VMX or SVM it may work.");
    g->dead.software_backend = false;
    EXPECT(g, "KVM had to emulate `int3` at 0x10000 and cannot");
    g->exit.insn_len = 0;
    set_code(g, "\x66\x0f\x6f\x00", 4);
    EXPECT(g, "KVM had to emulate an SSE instruction at");
    set_code(g, "\x90\x90\x90\x90", 4);
    EXPECT(g, "KVM had to emulate the instruction at");
    g->exit.detail = 3;
    EXPECT(g, "while an exception or interrupt was delivered at 0x10000: the IDT (0x6000)");
    g->exit.detail = 4;
    g->exit.detail_name = "unexpected exit reason";
    EXPECT(g, "KVM gave up at 0x10000: suberror 4 (unexpected exit reason)");
    memset(g->ram + DEAD_CODE, 0, 64);
    EXPECT(g, "The guest runs through zeroed memory at 0x10000");
    *pte(g, DEAD_CODE) = 0x7ff00001;
    EXPECT(g, "The guest went to 0x10000, which is outside RAM");
    g->state.rip = DEAD_GUARD;
    EXPECT(g, "The guest went to 0x1f000, which no page maps");
    g->state.cr0 = g->state.efer = 0;
    g->state.seg[SEG_CS].l = false;
    g->state.rip = 0x18;
    EXPECT(g, "Real-mode code runs in the interrupt vector table (0x18)");
}

static void other_ends(void **state)
{
    struct dead_guest *g = *state;

    g->exit = (struct vm_exit){.kind = VM_EXIT_FAIL_ENTRY, .detail = 0x80000021};
    EXPECT(g, "The processor refused the guest's state at 0x10000", "'unrestricted guest'");
    g->exit.detail = 7;
    EXPECT(g, "The processor refused to enter the guest at 0x10000 (hardware reason 0x7).");
    g->exit =
        (struct vm_exit){.kind = VM_EXIT_OTHER, .raw_reason = 29, .raw_name = "KVM_EXIT_X86_RDMSR"};
    EXPECT(g, "KVM ended with KVM_EXIT_X86_RDMSR (29) at 0x10000");
    g->exit.raw_name = NULL;
    EXPECT(g, "KVM ended with an unknown reason (29)");
}

static void any_state_gets_a_sentence(void **state)
{
    struct dead_guest *g = *state;
    static const enum vm_exit_kind kinds[] = {VM_EXIT_SHUTDOWN, VM_EXIT_INTERNAL_ERROR,
                                              VM_EXIT_FAIL_ENTRY, VM_EXIT_DEBUG};

    srandom(2);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *bytes = (uint8_t *)&g->state;
        const struct cpu_state good = g->state;
        for (unsigned n = 0; n < 6; n++) {
            size_t at = (size_t)random() % offsetof(struct cpu_state, seg);
            bytes[at] = (uint8_t)random();
            g->ram[(size_t)random() % 0x8000] = (uint8_t)random();
        }
        g->state.cr0 = (uint64_t)random() & (CR0_PE | CR0_PG);
        g->state.cr3 = (uint64_t)random() & 0x7000;
        g->state.cr4 = (uint64_t)random() & 0x1030;
        g->state.efer = (uint64_t)random() & 0xd00;
        g->state.idt.base = (uint64_t)random() & 0xf000;
        g->state.cr2 = (uint64_t)random() << 32 | (uint64_t)random();
        g->exit.kind = kinds[i % 4];
        g->exit.detail = (uint64_t)random() % 5;
        EXPECT(g, "");
        g->state = good;
    }
}

static void short_buffers_are_enough(void **state)
{
    struct dead_guest *g = *state;
    char text[8] = "xxxxxxx";

    diagnose(&g->dead, text, 4);
    assert_string_equal(text, "Not");
    assert_int_equal(text[4], 'x');
}

static void instructions(void **state)
{
    static const struct {
        const char *bytes;
        unsigned len;
        const char *name;
    } known[] = {
        {"\xcc", 1, "int3"},
        {"\xcd\x80", 2, "int n"},
        {"\x0f\x0b", 2, "ud2"},
        {"\x48\x0f\xc7\x0f", 4, "cmpxchg16b"},
        {"\xf0\x48\x0f\xc7\x0f", 5, "cmpxchg16b"},
        {"\x0f\xc7\x0f", 3, NULL}, /* cmpxchg8b */
        {"\x0f\xc7\xf0", 3, "rdrand"},
        {"\x0f\x01\xd0", 3, "xgetbv"},
        {"\x0f\x01\xd1", 3, "xsetbv"},
        {"\x0f\x01\xc1", 3, "vmcall"},
        {"\x0f\x01\xd9", 3, "vmmcall"},
        {"\x0f\x01\xca", 3, "clac"},
        {"\x0f\x01\xcb", 3, "stac"},
        {"\x0f\x01\x1a", 3, NULL}, /* lidt */
        {"\xf3\x0f\xb8\xc0", 4, "popcnt"},
        {"\xf3\x48\x0f\xb8\xc0", 5, "popcnt"},
        {"\x66\x0f\x38\x82\x00", 5, "invpcid"},
        {"\x0f\x38\xf0\x00", 4, "movbe"},
        {"\xf2\x0f\x38\xf0\xc0", 5, "crc32"},
        {"\x0f\x10\x00", 3, "an SSE move"},
        {"\xf2\x0f\x10\x00", 4, "an SSE move"},
        {"\x66\x0f\x6f\x00", 4, "an SSE instruction"},
        {"\x0f\x6f\x00", 3, "an MMX instruction"},
        {"\xc5\xf8\x77", 3, "an AVX or BMI instruction (VEX prefix)"},
        {"\x62\xf1\x7c\x48", 4, "an AVX-512 instruction (EVEX prefix)"},
        {"\x0f\xae\x28", 3, "xrstor"},
        {"\x0f\xae\xe8", 3, "lfence"},
        {"\x48\xcf", 2, "iret"},
        {"\xf7\xf1", 2, "div"},
        {"\xff\xd0", 2, "call *%reg"},
        {"\xff\xe0", 2, "jmp *%reg"},
        {"\xff\x10", 2, NULL}, /* through memory */
        {"\xf7\xd1", 2, NULL}, /* not */
        {"\x90", 1, NULL},
        {"\x0f", 1, NULL},
        {"\x0f\xc7", 2, NULL},
        {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xcc", 16, NULL},
        {"", 0, NULL},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct insn insn = insn_decode((const uint8_t *)known[i].bytes, known[i].len, true);
        if (!known[i].name)
            assert_null(insn.name);
        else
            assert_string_equal(insn.name ? insn.name : "(unknown)", known[i].name);
    }
    assert_int_equal(insn_decode((const uint8_t *)"\xcd\x80", 2, true).vector, 0x80);
    assert_int_equal(insn_decode((const uint8_t *)"\xcd", 1, true).vector, INSN_NO_VECTOR);
    /* Without long mode 0x48 is DEC EAX, 0xc5 is LDS. */
    assert_null(insn_decode((const uint8_t *)"\x48\x0f\xc7\x0f", 4, false).name);
    assert_null(insn_decode((const uint8_t *)"\xc5\xf8\x77", 3, false).name);
}

static void names_of_exceptions(void **state)
{
    (void)state;
    assert_string_equal(exception_name(0), "#DE");
    assert_string_equal(exception_name(14), "#PF");
    assert_string_equal(exception_name(21), "#CP");
    assert_string_equal(exception_name(22), "reserved exception");
    assert_string_equal(exception_name(32), "interrupt");
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(no_idt),
        WITH_GUEST(idt_that_cannot_be_read),
        WITH_GUEST(bad_gates),
        WITH_GUEST(bad_handlers),
        WITH_GUEST(bad_code_segments),
        WITH_GUEST(bad_stacks),
        WITH_GUEST(bad_ist),
        WITH_GUEST(stack_overflow),
        WITH_GUEST(rip_in_nowhere),
        WITH_GUEST(tables_that_are_broken),
        WITH_GUEST(paging_that_unmaps_its_own_code),
        WITH_GUEST(zeros_executed),
        WITH_GUEST(zeros_run_through),
        WITH_GUEST(sse_and_fpu_that_are_off),
        WITH_GUEST(suspects),
        WITH_GUEST(access_that_is_not_mapped),
        WITH_GUEST(interrupts),
        WITH_GUEST(double_fault_gate),
        WITH_GUEST(nothing_wrong),
        WITH_GUEST(state_lost_on_amd),
        WITH_GUEST(protected_mode),
        WITH_GUEST(real_mode),
        WITH_GUEST(internal_errors),
        WITH_GUEST(other_ends),
        WITH_GUEST(any_state_gets_a_sentence),
        WITH_GUEST(short_buffers_are_enough),
        cmocka_unit_test(instructions),
        cmocka_unit_test(names_of_exceptions),
    };
    return cmocka_run_group_tests_name("diagnose", tests, NULL, NULL);
}
