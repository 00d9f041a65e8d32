/*
 * test_postmortem.c: the report on a guest built in memory, its backtrace, and hostile states.
 */
#include "backtrace.h"
#include "cpu_print.h"
#include "dead_guest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

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

/* The report; the caller frees it. */
static char *report(struct dead_guest *g, bool colour)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    postmortem_print(out, colour, &g->dead);
    fclose(out);
    return text;
}

/* The report must have all of LINES (ended by NULL), in this order, each a whole line. */
static void expect_lines(struct dead_guest *g, const char *const *lines)
{
    char *text = report(g, false);
    const char *at = text;

    assert_null(strchr(text, '\033'));
    assert_null(strstr(text, "(null)"));
    for (; *lines; lines++) {
        char line[256];
        snprintf(line, sizeof(line), "%s\n", *lines);
        const char *found = strstr(at, line);
        if (!found || (found != text && found[-1] != '\n'))
            fail_msg("'%s' is not (in this place) in:\n%s", *lines, text);
        at = found + strlen(line);
    }
    free(text);
}

#define EXPECT_LINES(g, ...) expect_lines(g, (const char *const[]){__VA_ARGS__, NULL})

static void long_mode(void **state)
{
    struct dead_guest *g = *state;

    set_code(g, "\x90\x90\x90\x90\x0f\x0b", 6);
    g->state.rip = DEAD_CODE + 4;
    g->state.gpr[RAX] = 0x1234;
    g->state.cr2 = DEAD_GUARD + 8;
    memset(idt_entry(g, 6), 0, 16);
    set_gate(g, 8, DEAD_HANDLER, 0x0e, 0);
    g->state.gpr[RBP] = DEAD_STACK + 0x900;
    poke64(g, DEAD_STACK + 0x908, DEAD_CODE + 0x77);
    poke64(g, DEAD_STACK + 0x800, DEAD_CODE + 0x55);
    g->last[0] = (struct trace_event){.kind = VM_EXIT_PIO,
                                      .write = true,
                                      .size = 1,
                                      .count = 1,
                                      .addr = 0x3f8,
                                      .data = {'H'},
                                      .data_len = 1,
                                      .device = "serial",
                                      .reg = "THR",
                                      .rip = 0x10000};
    g->dead.last_count = 1;
    EXPECT_LINES(
        g, "vCPU 0: triple fault (KVM_EXIT_SHUTDOWN) at 0x10004, in 64-bit mode", "Likely cause",
        "  IDT entry 6 (#UD) is empty (all zeros), so the #UD raised by `ud2` at 0x10004 could not "
        "be",
        "  delivered: exception -> double fault -> triple fault.", "Registers",
        "  RAX 0000000000001234  RBX 0000000000000000  RCX 0000000000000000  RDX 0000000000000000",
        "  RIP 0000000000010004  0x10004", "  RFLAGS 00000046  PF ZF IOPL=0",
        "  CR0  0000000080010001  PE WP PG", "  CR2  000000000001f008", "  CR3  0000000000001000",
        "  CR4  0000000000000020  PAE", "  EFER 0000000000000d00  LME LMA NXE", "Segments",
        "  CS  0008  base 0000000000000000  limit ffffffff  code 64-bit, readable, DPL 0",
        "  SS  0010  base 0000000000000000  limit ffffffff  data 32-bit, writable, DPL 0",
        "  LDT 0000  base 0000000000000000  limit 00000000  unusable",
        "  TR  0018  base 0000000000005800  limit 00000067  64-bit TSS, busy, DPL 0",
        "  GDT       base 0000000000005000  limit 0017",
        "  IDT       base 0000000000006000  limit 01ff", "Code",
        "  0x10004: 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 |> 0f 0b 90 90 90 90 90 90 90 "
        "90 "
        "90 90 90 90 90 90   ud2",
        "Page tables", "  RIP 0x10004",
        "    PML4 at 0x0000001000  0000000000002007  present writable user",
        "    PDPT at 0x0000002000  0000000000003007  present writable user",
        "    PD   at 0x0000003000  0000000000004007  present writable user",
        "    PT   at 0x0000004080  0000000000010001  present read-only supervisor",
        "    -> GPA 0x10004, 4 KiB page, read-only, executable, supervisor", "  CR2 0x1f008",
        "    PT   at 0x00000040f8  0000000000000000  not present", "    -> not mapped", "IDT",
        "   6 #UD  0000000000000000 0000000000000000  is empty (all zeros)",
        "   8 #DF  0000000000000000 00010e0000081000  is not present (P = 0)",
        "  13 #GP  0000000000000000 00018e0000081000  0x11000", "Stack",
        "  0x20800: 0000000000010055", "Backtrace (by frame pointers)", "  #0  0x0000000000010004",
        "  #1  0x0000000000010077", "Last exits",
        "         -   0 out        0x3f8      1      0x48 'H'                      -        -  "
        "serial THR         0x10000");
}

static void real_mode(void **state)
{
    struct dead_guest *g = *state;

    g->state.cr0 = 0x10;
    g->state.cr4 = g->state.efer = 0;
    g->state.seg[SEG_CS] = (struct cpu_segment){.selector = 0x1000,
                                                .base = DEAD_CODE,
                                                .limit = 0xffff,
                                                .type = 0xb,
                                                .s = true,
                                                .present = true};
    g->state.seg[SEG_SS].db = false;
    g->state.seg[SEG_SS].base = DEAD_STACK;
    g->state.gpr[RSP] = 0xfffe; /* wraps around in the segment */
    g->state.rip = 4;
    g->state.idt = (struct cpu_table){0, 0x3ff};
    poke64(g, 6 * 4, 0xf0001234);
    EXPECT_LINES(g, "vCPU 0: triple fault (KVM_EXIT_SHUTDOWN) at 0x4, in real mode",
                 "  CS  1000  base 0000000000010000  limit 0000ffff  code 16-bit, readable, DPL 0",
                 "Interrupt vectors", "   6 #UD  f000:1234  0x1234",
                 "   8 #DF  0000:0000  is empty: it points to 0000:0000, the vector table itself",
                 "Stack", "  0x2fffe: 0000", "  0x20000: 0000", "  #0  0x0000000000000004");
}

/* The same bytes are other instructions in each mode. */
static void instruction_of_each_mode(void **state)
{
    struct dead_guest *g = *state;

    set_code(g, "\x48\x8b\x05\x10\x00\x00\x00\xf4", 8);
    for (unsigned i = 8; i < 16; i++)
        g->ram[DEAD_CODE + i] = 0xf4;
    g->state.rip = DEAD_CODE;
    *pte(g, DEAD_CODE - 1) = 0; /* no bytes before it */
#define BYTES "  0x10000: |> 48 8b 05 10 00 00 00 f4 f4 f4 f4 f4 f4 f4 f4 f4   "
    EXPECT_LINES(g, BYTES "mov rax, [0x10017]");
    g->state.efer = 0;
    g->state.cr0 &= ~CR0_PG;
    g->state.seg[SEG_CS].l = false;
    g->state.seg[SEG_CS].db = true;
    for (unsigned i = 1; i <= 16; i++)
        g->ram[DEAD_CODE - i] = 0;
#undef BYTES
#define BYTES                                                                                      \
    "  0x10000: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 |> 48 8b 05 10 00 00 00 f4 f4 f4 " \
    "f4 f4 f4 f4 f4 f4   "
    EXPECT_LINES(g, BYTES "dec eax");
    g->state.seg[SEG_CS].db = false;
    EXPECT_LINES(g, BYTES "dec ax");
#undef BYTES
}

static void internal_error(void **state)
{
    struct dead_guest *g = *state;

    g->exit = (struct vm_exit){.kind = VM_EXIT_INTERNAL_ERROR,
                               .raw_name = "KVM_EXIT_INTERNAL_ERROR",
                               .detail = 1,
                               .detail_name = "emulation",
                               .info = {3, 0x10},
                               .info_count = 2,
                               .insn = {0x48, 0x0f, 0xc7, 0x0f},
                               .insn_len = 4};
    g->dead.software_backend = true;
    g->dead.vcpu = 3;
    EXPECT_LINES(
        g,
        "vCPU 3: KVM cannot go on (KVM_EXIT_INTERNAL_ERROR, suberror 1 emulation) at 0x10000, in "
        "64-bit mode",
        "  This KVM runs guest ring 0 by emulating it in software, and cannot emulate `cmpxchg16b` "
        "at",
        "  0x10000; a KVM with VMX or SVM (`scripts/with-kvm --nested COMMAND` has one) can run "
        "it.",
        "  KVM's copy of the instruction: 48 0f c7 0f", "  KVM's data: 0x3 0x10", "Registers");
}

static void registers_lost(void **state)
{
    struct dead_guest *g = *state;

    g->state.cr0 = 0x60000010;
    g->state.rip = 0xfff0;
    g->state.seg[SEG_CS] = (struct cpu_segment){.selector = 0xf000, .base = 0xffff0000};
    EXPECT_LINES(g, "vCPU 0: triple fault (KVM_EXIT_SHUTDOWN)", "Likely cause");
    char *text = report(g, false);
    assert_null(strstr(text, "Registers"));
    free(text);
}

static void without_idt(void **state)
{
    struct dead_guest *g = *state;

    g->state.idt.limit = 3;
    g->state.cr2 = DEAD_STACK;
    EXPECT_LINES(
        g, "  CR2 0x20000",
        "    PT   at 0x0000004100  8000000000020003  present writable supervisor no-execute",
        "    -> GPA 0x20000, 4 KiB page, writable, no-execute, supervisor", "IDT",
        "  There is no IDT (limit 3)", "Stack");
}

static void other_ends(void **state)
{
    struct dead_guest *g = *state;

    g->exit = (struct vm_exit){
        .kind = VM_EXIT_FAIL_ENTRY, .raw_name = "KVM_EXIT_FAIL_ENTRY", .detail = 0x80000021};
    EXPECT_LINES(g, "vCPU 0: the processor refused to run it (KVM_EXIT_FAIL_ENTRY, 0x80000021) at "
                    "0x10000, in 64-bit mode");
    g->exit = (struct vm_exit){.kind = VM_EXIT_OTHER, .raw_reason = 99};
    EXPECT_LINES(g, "vCPU 0: ended at 0x10000, in 64-bit mode");
}

static void nothing_readable(void **state)
{
    struct dead_guest *g = *state;

    g->state.rip = 0x800000000000;
    g->state.cr3 = 0x7ffff000;
    EXPECT_LINES(g, "  0x800000000000: |> cannot be read", "  RIP 0x800000000000",
                 "    is not a canonical address", "  0x20800: is not mapped to RAM",
                 "  #0  0x0000800000000000");
    g->state.rip = DEAD_CODE;
    EXPECT_LINES(g, "    PML4 at 0x007ffff000  is not in RAM", "    -> not mapped");
}

static void colour(void **state)
{
    struct dead_guest *g = *state;
    char *text = report(g, true);

    assert_memory_equal(text, "\033[1;31mvCPU 0: triple fault\033[0m", 31);
    assert_non_null(strstr(text, "\033[1mRegisters\033[0m\n"));
    free(text);
}

static void modes_have_names(void **state)
{
    struct dead_guest *g = *state;
    struct cpu_state *s = &g->state;

    assert_string_equal(cpu_mode_name(s), "64-bit mode");
    s->seg[SEG_CS].l = false;
    assert_string_equal(cpu_mode_name(s), "long mode, compatibility code");
    s->efer = 0;
    s->seg[SEG_CS].db = true;
    assert_string_equal(cpu_mode_name(s), "32-bit protected mode, PAE paging");
    s->cr4 = 0;
    assert_string_equal(cpu_mode_name(s), "32-bit protected mode, 32-bit paging");
    s->cr0 = CR0_PE;
    assert_string_equal(cpu_mode_name(s), "32-bit protected mode, no paging");
    s->seg[SEG_CS].db = false;
    assert_string_equal(cpu_mode_name(s), "16-bit protected mode, no paging");
    s->rflags |= 1 << 17;
    assert_string_equal(cpu_mode_name(s), "virtual 8086 mode");
}

static void chain(struct dead_guest *g, uint64_t rbp, uint64_t next, uint64_t ret)
{
    poke64(g, rbp, next);
    poke64(g, rbp + 8, ret);
}

static void backtrace_follows_the_chain(void **state)
{
    struct dead_guest *g = *state;
    uint64_t frame[BACKTRACE_MAX];

    g->state.gpr[RBP] = DEAD_STACK + 0x10;
    chain(g, DEAD_STACK + 0x10, DEAD_STACK + 0x40, 0x1111);
    chain(g, DEAD_STACK + 0x40, 0, 0x2222);
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    assert_int_equal(frame[0], DEAD_CODE);
    assert_int_equal(frame[1], 0x1111);
    assert_int_equal(frame[2], 0x2222);

    chain(g, DEAD_STACK + 0x40, DEAD_STACK + 0x10, 0x2222); /* a loop */
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    chain(g, DEAD_STACK + 0x40, DEAD_STACK + 0x40, 0x2222);
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    chain(g, DEAD_STACK + 0x83, 0, 0x3333);
    chain(g, DEAD_STACK + 0x40, DEAD_STACK + 0x83, 0x2222); /* not aligned */
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    chain(g, DEAD_STACK + 0x40, UINT64_MAX - 7, 0x2222); /* wraps around */
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    g->state.gpr[RBP] = DEAD_GUARD;
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 1);

    g->state.gpr[RBP] = DEAD_STACK;
    for (uint64_t at = DEAD_STACK; at < DEAD_STACK + 0xff0; at += 16)
        chain(g, at, at + 16, 0x3333);
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), BACKTRACE_MAX);
}

extern const char __executable_start[]; /* the linker's: where this program was loaded */

/* A return address belongs to the function that the call, before it, is in. */
static void backtrace_names_callers(void **state)
{
    struct dead_guest *g = *state;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct symbols *symbols = symbols_read(fd);
    uint64_t here = (uint64_t)((uintptr_t)modes_have_names - (uintptr_t)__executable_start);
    char frame0[80], frame1[80];

    close(fd);
    assert_non_null(symbols);
    g->dead.symbols = symbols;
    g->state.rip = here;
    g->state.gpr[RBP] = DEAD_STACK;
    chain(g, DEAD_STACK, 0, here);
    char *text = report(g, false);
    snprintf(frame0, sizeof(frame0), "  #0  0x%016" PRIx64 "  modes_have_names+0x0\n", here);
    snprintf(frame1, sizeof(frame1), "  #1  0x%016" PRIx64, here);
    assert_non_null(strstr(text, frame0));
    assert_non_null(strstr(text, frame1));
    assert_null(strstr(strstr(text, frame1), "modes_have_names"));
    free(text);
    symbols_free(symbols);
}

static void backtrace_of_32_bit_code(void **state)
{
    struct dead_guest *g = *state;
    uint64_t frame[BACKTRACE_MAX];

    g->state.cr0 = CR0_PE;
    g->state.efer = 0;
    g->state.seg[SEG_CS].l = false;
    g->state.gpr[RBP] = 0x500000000 | (DEAD_STACK + 4);
    poke64(g, DEAD_STACK + 4, 0x111100000000 | (DEAD_STACK + 0x10));
    poke64(g, DEAD_STACK + 0x10, 0x222200000000);
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 3);
    assert_int_equal(frame[1], 0x1111);
    assert_int_equal(frame[2], 0x2222);
    g->state.cr0 = 0;
    assert_int_equal(backtrace_walk(&g->mem, &g->state, frame), 1);
}

static void any_state_gets_a_report(void **state)
{
    struct dead_guest *g = *state;

    srandom(3);
    for (unsigned i = 0; i < 2000; i++) {
        const struct cpu_state good = g->state;
        uint8_t *bytes = (uint8_t *)&g->state;
        for (unsigned n = 0; n < 8; n++) {
            bytes[(size_t)random() % offsetof(struct cpu_state, seg)] = (uint8_t)random();
            g->ram[(size_t)random() % 0x8000] = (uint8_t)random();
        }
        if (i % 2)
            g->state.cr0 = (uint64_t)random() << 4 | (uint64_t)(random() & 1);
        g->state.cr2 = (uint64_t)random() << 33;
        g->state.idt.base = (uint64_t)random() & 0xfff0;
        char *text = report(g, false);
        assert_non_null(strstr(text, "Backtrace"));
        free(text);
        g->state = good;
    }
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(long_mode),
        WITH_GUEST(real_mode),
        WITH_GUEST(instruction_of_each_mode),
        WITH_GUEST(internal_error),
        WITH_GUEST(registers_lost),
        WITH_GUEST(without_idt),
        WITH_GUEST(other_ends),
        WITH_GUEST(nothing_readable),
        WITH_GUEST(colour),
        WITH_GUEST(modes_have_names),
        WITH_GUEST(backtrace_follows_the_chain),
        WITH_GUEST(backtrace_names_callers),
        WITH_GUEST(backtrace_of_32_bit_code),
        WITH_GUEST(any_state_gets_a_report),
    };
    return cmocka_run_group_tests_name("postmortem", tests, NULL, NULL);
}
