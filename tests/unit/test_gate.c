/*
 * test_gate.c: each way in which an exception cannot be delivered, and the words for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "expect_diagnosis.h"

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

static void double_fault_gate(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    set_gate(g, 8, DEAD_HANDLER, 0x0e, 0);
    EXPECT(g,
           "A second exception hit the handler of the first, and IDT entry 8 (#DF) is not present");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(idt_that_cannot_be_read), WITH_GUEST(bad_gates),      WITH_GUEST(bad_handlers),
        WITH_GUEST(bad_code_segments),       WITH_GUEST(bad_stacks),     WITH_GUEST(bad_ist),
        WITH_GUEST(double_fault_gate),       WITH_GUEST(protected_mode), WITH_GUEST(real_mode),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
