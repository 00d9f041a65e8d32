/*
 * test_diagnose.c: each likely cause, provoked in a guest built in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "expect_diagnosis.h"

static void no_idt(void **state)
{
    struct dead_guest *g = *state;

    ud2(g);
    g->state.idt.limit = 0;
    EXPECT(g, "There is no IDT (limit 0), so the #UD raised by `ud2` at 0x10000" TRIPLE);
    g->state.idt = (struct cpu_table){0, 0xffff};
    EXPECT(g, "There is no IDT (none was loaded: base 0, limit 0xffff", "#UD");
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

static void stack_that_did_not_overflow(void **state)
{
    struct dead_guest *g = *state;

    g->state.idt.limit = 0;
    g->state.cr2 = g->state.gpr[RSP] - 8; /* an old fault: it is mapped */
    EXPECT(g, "so an exception at 0x10000 could not");
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
    g->state.cr4 |= 0x200;
    EXPECT(g, "Not known");
    set_code(g, "\xd9\xe8", 2); /* fld1 */
    EXPECT(g, "Not known");
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
    EXPECT(g, "IDT entry 128 (interrupt) is beyond the end", "the interrupt raised by `int 0x80`");
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

static void paging_that_a_software_kvm_lacks(void **state)
{
    struct dead_guest *g = *state;

    set_code(g, "\x0f\x22\xc1", 3); /* mov %ecx, %cr0 */
    g->state.cr0 = CR0_PE;
    g->state.cr4 = g->state.efer = 0;
    g->state.seg[SEG_CS].l = false;
    g->state.gpr[RCX] = CR0_PG | CR0_PE;
    g->state.idt.limit = 0;
    EXPECT(g,
           "`mov to cr0` at 0x10000 could not be delivered: exception -> double fault -> triple");
    for (unsigned software = 0; software < 2; software++) {
        char text[DIAGNOSIS_MAX];
        g->dead.software_backend = software;
        diagnose(&g->dead, text, sizeof(text));
        assert_int_equal(strstr(text, "This KVM") != NULL, software);
    }
    EXPECT(g, "`mov to cr0` at 0x10000 could not",
           "turns on 32-bit paging with #GP; a KVM with VMX", "scripts/with-kvm --nested COMMAND",
           "can run it.");
    g->state.cr4 = CR4_PAE;
    EXPECT(g, "turns on PAE paging with #GP");
    g->state.gpr[RCX] = CR0_PE;
    char text[DIAGNOSIS_MAX];
    diagnose(&g->dead, text, sizeof(text));
    assert_null(strstr(text, "This KVM"));
}

static void internal_errors(void **state)
{
    struct dead_guest *g = *state;

    g->exit = (struct vm_exit){
        .kind = VM_EXIT_INTERNAL_ERROR, .detail = 1, .insn = {0xcc}, .insn_len = 1};
    g->dead.software_backend = true;
    EXPECT(
        g,
        "This KVM runs guest ring 0 by emulating it in software, and cannot emulate `int3` at "
        "0x10000; a KVM with VMX or SVM (`scripts/with-kvm --nested COMMAND` has one) can run it.");
    memcpy(g->exit.insn, "\xcd\x30", g->exit.insn_len = 2);
    EXPECT(g, "cannot emulate `int 0x30` at 0x10000");
    memcpy(g->exit.insn, "\xc5\xf8", g->exit.insn_len = 2);
    EXPECT(g, "cannot emulate an AVX or BMI instruction (VEX prefix) at", " may run it.");
    memcpy(g->exit.insn, "\xcc", g->exit.insn_len = 1);
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
    g->exit = (struct vm_exit){.kind = VM_EXIT_SYSTEM_EVENT, .detail = 3, .detail_name = "crash"};
    EXPECT(g, "reported its own end to KVM at 0x10000 (system event 3, crash)");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(no_idt),
        WITH_GUEST(stack_overflow),
        WITH_GUEST(stack_that_did_not_overflow),
        WITH_GUEST(rip_in_nowhere),
        WITH_GUEST(tables_that_are_broken),
        WITH_GUEST(paging_that_unmaps_its_own_code),
        WITH_GUEST(zeros_executed),
        WITH_GUEST(zeros_run_through),
        WITH_GUEST(sse_and_fpu_that_are_off),
        WITH_GUEST(suspects),
        WITH_GUEST(access_that_is_not_mapped),
        WITH_GUEST(interrupts),
        WITH_GUEST(nothing_wrong),
        WITH_GUEST(state_lost_on_amd),
        WITH_GUEST(paging_that_a_software_kvm_lacks),
        WITH_GUEST(internal_errors),
        WITH_GUEST(other_ends),
        WITH_GUEST(any_state_gets_a_sentence),
        WITH_GUEST(short_buffers_are_enough),
    };
    return cmocka_run_group_tests_name("diagnose", tests, NULL, NULL);
}
