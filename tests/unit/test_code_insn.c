/*
 * test_code_insn.c: which instruction made an exit: at RIP or behind it, in code of each mode, and
 * in garbage.
 */
#include "trace/code_insn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT_RIP 0x100000

static struct disassembler *disassembler;

static int open_it(void **state)
{
    (void)state;
    disassembler = disassembler_open();
    return disassembler ? 0 : -1;
}

static int close_it(void **state)
{
    (void)state;
    disassembler_close(disassembler);
    return 0;
}

/* CODE with RIP after BEFORE of its bytes; they begin an instruction if ALIGNED. */
static struct code_choice choose(enum code_mode mode, const char *code, unsigned len,
                                 unsigned before, bool aligned, const struct trace_event *event)
{
    struct code_choice choice;
    uint8_t *exact = malloc(len ? len : 1); /* so that the sanitizer sees a byte too many */

    assert_non_null(exact);
    memcpy(exact, code, len);
    const struct code_window window = {exact, before, len, aligned};
    disassembler_choose(disassembler, mode, &window, event, CODE_RIP_UNKNOWN, &choice);
    free(exact);
    return choice;
}

#define IN(port, size_, count_)                                                                    \
    {                                                                                              \
        .kind = VM_EXIT_PIO, .addr = (port), .size = (size_), .count = (count_), .rip = AT_RIP     \
    }
#define OUT(port, size_, count_)                                                                   \
    {                                                                                              \
        .kind = VM_EXIT_PIO, .write = true, .addr = (port), .size = (size_), .count = (count_),    \
        .rip = AT_RIP                                                                              \
    }
#define LOAD(size_)                                                                                \
    {                                                                                              \
        .kind = VM_EXIT_MMIO, .size = (size_), .count = 1, .rip = AT_RIP                           \
    }
#define STORE(size_)                                                                               \
    {                                                                                              \
        .kind = VM_EXIT_MMIO, .write = true, .size = (size_), .count = 1, .rip = AT_RIP            \
    }

static const struct {
    enum code_mode mode;
    const char *code;
    unsigned len;
    struct trace_event event;
    const char *text;
} forms[] = {
    {CODE_64, "\xe4\xf4", 2, IN(0xf4, 1, 1), "in al, 0xf4"},
    {CODE_64, "\x66\xe5\xf4", 3, IN(0xf4, 2, 1), "in ax, 0xf4"},
    {CODE_64, "\xe5\xf4", 2, IN(0xf4, 4, 1), "in eax, 0xf4"},
    {CODE_64, "\xec", 1, IN(0x3f8, 1, 1), "in al, dx"},
    {CODE_64, "\x66\xed", 2, IN(0x3f8, 2, 1), "in ax, dx"},
    {CODE_64, "\xed", 1, IN(0xcfc, 4, 1), "in eax, dx"},
    {CODE_64, "\xe6\x80", 2, OUT(0x80, 1, 1), "out 0x80, al"},
    {CODE_64, "\x66\xe7\x80", 3, OUT(0x80, 2, 1), "out 0x80, ax"},
    {CODE_64, "\xe7\x80", 2, OUT(0x80, 4, 1), "out 0x80, eax"},
    {CODE_64, "\xee", 1, OUT(0x3f8, 1, 1), "out dx, al"},
    {CODE_64, "\x66\xef", 2, OUT(0x3f8, 2, 1), "out dx, ax"},
    {CODE_64, "\xef", 1, OUT(0xcf8, 4, 1), "out dx, eax"},
    {CODE_64, "\x6c", 1, IN(0x1f0, 1, 1), "insb"},
    {CODE_64, "\xf3\x6c", 2, IN(0x1f0, 1, 64), "rep insb"},
    {CODE_64, "\xf3\x66\x6d", 3, IN(0x1f0, 2, 64), "rep insw"},
    {CODE_64, "\xf3\x6d", 2, IN(0x1f0, 4, 64), "rep insd"},
    {CODE_64, "\x6e", 1, OUT(0x3f8, 1, 1), "outsb"},
    {CODE_64, "\xf3\x6e", 2, OUT(0x3f8, 1, 64), "rep outsb"},
    {CODE_64, "\xf3\x66\x6f", 3, OUT(0x3f8, 2, 64), "rep outsw"},
    {CODE_64, "\xf3\x6f", 2, OUT(0x3f8, 4, 64), "rep outsd"},
    {CODE_32, "\xed", 1, IN(0xcfc, 4, 1), "in eax, dx"},
    {CODE_32, "\x66\xef", 2, OUT(0x3f8, 2, 1), "out dx, ax"},
    {CODE_16, "\xee", 1, OUT(0x3f8, 1, 1), "out dx, al"},
    {CODE_16, "\xef", 1, OUT(0x3f8, 2, 1), "out dx, ax"},
    {CODE_16, "\x66\xef", 2, OUT(0x3f8, 4, 1), "out dx, eax"},
    {CODE_16, "\xf3\x6e", 2, OUT(0x3f8, 1, 8), "rep outsb"},
    {CODE_64, "\x8b\x47\x10", 3, LOAD(4), "mov eax, [rdi+0x10]"},
    {CODE_64, "\x0f\xb6\x07", 3, LOAD(1), "movzx eax, byte ptr [rdi]"},
    {CODE_64, "\x48\x8b\x07", 3, LOAD(8), "mov rax, [rdi]"},
    {CODE_64, "\x85\x07", 2, LOAD(4), "test [rdi], eax"},
    {CODE_64, "\x89\x47\x10", 3, STORE(4), "mov [rdi+0x10], eax"},
    {CODE_64, "\x44\x89\x07", 3, STORE(4), "mov [rdi], r8d"},
    {CODE_64, "\xc6\x07\x05", 3, STORE(1), "mov byte ptr [rdi], 0x5"},
    {CODE_64, "\x66\xc7\x07\x05\x00", 5, STORE(2), "mov word ptr [rdi], 0x5"},
    {CODE_64, "\x0f\x29\x07", 3, STORE(8), "movaps [rdi], xmm0"}, /* in halves */
    {CODE_64, "\xf3\xa4", 2, LOAD(1), "rep movsb"},
    {CODE_64, "\xf3\xa4", 2, STORE(1), "rep movsb"},
    {CODE_64, "\xaa", 1, STORE(1), "stosb"},
    {CODE_32, "\xa3\x00\x0e\xb0\xfe", 5, STORE(4), "mov [0xfeb00e00], eax"},
    {CODE_16, "\x88\x07", 2, STORE(1), "mov [bx], al"},
    {CODE_64, "\xf4", 1, {.kind = VM_EXIT_HLT, .rip = AT_RIP}, "hlt"},
};

/* Each form, at RIP and behind it, between instructions that do no I/O; where instructions begin
 * is known (at a symbol), or not. */
static void each_form(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct trace_event *event = &forms[i].event;
        unsigned len = forms[i].len;
        char code[32];

        memset(code, 0x90, sizeof(code));
        memcpy(code + 8, forms[i].code, len);
        for (unsigned aligned = 0; aligned < 2; aligned++) {
            struct code_choice choice =
                choose(forms[i].mode, code, sizeof(code), 8, aligned, event);
            assert_string_equal(choice.text, forms[i].text);
            assert_int_equal(choice.back, 0);
            assert_int_equal(choice.told, CODE_RIP_AT);
            choice = choose(forms[i].mode, code, sizeof(code), 8 + len, aligned, event);
            assert_string_equal(choice.text, forms[i].text);
            assert_int_equal(choice.back, len);
            assert_int_equal(choice.told, CODE_RIP_BEHIND);
            /* At the very end of the known bytes, and at their very begin. */
            choice = choose(forms[i].mode, code, 8 + len, 8 + len, aligned, event);
            assert_string_equal(choice.text, forms[i].text);
            choice = choose(forms[i].mode, code + 8, len, 0, aligned, event);
            assert_string_equal(choice.text, forms[i].text);
        }
    }
}

/* It has to be that port, that size, that direction, and repeated. */
static void other_io(void **state)
{
    static const struct trace_event other[] = {OUT(0x81, 1, 1), OUT(0x80, 2, 1), IN(0x80, 1, 1),
                                               OUT(0x80, 1, 2), STORE(1),        LOAD(1)};
    const struct trace_event same = OUT(0x80, 1, 1);

    (void)state;
    assert_int_equal(choose(CODE_64, "\xe6\x80\x90", 3, 2, true, &same).back, 2);
    for (unsigned i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct code_choice choice = choose(CODE_64, "\xe6\x80\x90", 3, 2, true, &other[i]);
        assert_int_equal(choice.fit, 0);
        assert_int_equal(choice.back, 0);
        assert_string_equal(choice.text, "nop");
    }
    /* LEA and NOP have a memory operand, and do not access it. */
    const struct trace_event load = LOAD(4);
    assert_int_equal(choose(CODE_64, "\x8d\x07", 2, 0, true, &load).fit, 0);
    assert_int_equal(choose(CODE_64, "\x0f\x1f\x00", 3, 0, true, &load).fit, 0);
}

static void ties(void **state)
{
    const struct trace_event in = IN(0x3f8, 1, 1), out = OUT(0x3f8, 1, 1), load = LOAD(4),
                             store = STORE(4), half = STORE(8),
                             halt = {.kind = VM_EXIT_HLT, .rip = AT_RIP};
    const struct code_window window = {(const uint8_t *)"\xee\xee", 1, 2, true};
    struct code_choice choice;

    (void)state;
    choice = choose(CODE_64, "\xec\xec", 2, 1, true, &in);
    assert_int_equal(choice.back, 0);
    assert_int_equal(choice.told, CODE_RIP_UNKNOWN);
    assert_int_equal(choose(CODE_64, "\xee\xee", 2, 1, true, &out).back, 1);
    assert_int_equal(choose(CODE_64, "\x8b\x07\x8b\x07", 4, 2, true, &load).back, 0);
    assert_int_equal(choose(CODE_64, "\x89\x07\x89\x07", 4, 2, true, &store).back, 2);
    assert_int_equal(choose(CODE_64, "\xf4\xf4", 2, 1, true, &halt).back, 1);
    /* A read-modify-write: its read leaves RIP at it, its write behind it. */
    assert_int_equal(choose(CODE_64, "\x09\x07\x09\x07", 4, 2, true, &load).back, 0);
    assert_int_equal(choose(CODE_64, "\x09\x07\x09\x07", 4, 2, true, &store).back, 2);
    /* That of the exit's size goes before a wider one, which KVM would split. */
    assert_int_equal(choose(CODE_64, "\x0f\x29\x07\x48\x89\x07", 6, 3, true, &half).back, 0);
    assert_int_equal(choose(CODE_64, "\x48\x89\x07\x0f\x29\x07", 6, 3, true, &half).back, 3);
    assert_int_equal(choose(CODE_64, "\x0f\x29\x07\x0f\x29\x07", 6, 3, true, &half).back, 3);
    /* Where the backend's writes are known to leave RIP. */
    disassembler_choose(disassembler, CODE_64, &window, &out, CODE_RIP_AT, &choice);
    assert_int_equal(choice.back, 0);
    disassembler_choose(disassembler, CODE_64, &window, &out, CODE_RIP_BEHIND, &choice);
    assert_int_equal(choice.back, 1);
}

/* A fixed address fits best in the mode in which it is that of the exit. */
static void address_tells_the_mode(void **state)
{
    /* mov byte ptr [ADDRESS], 0x34: as it stands, or relative to RIP in 64-bit mode */
    const char *code = "\xc6\x05\x00\x02\xa0\xfe\x34";
    struct trace_event store = STORE(1);

    (void)state;
    store.addr = 0xfea00200;
    assert_int_equal(choose(CODE_32, code, 7, 7, true, &store).fit, 3);
    assert_int_equal(choose(CODE_64, code, 7, 7, true, &store).fit, 2);
    store.addr = (uint64_t)AT_RIP + 0xfffffffffea00200;
    assert_int_equal(choose(CODE_32, code, 7, 7, true, &store).fit, 2);
    assert_int_equal(choose(CODE_64, code, 7, 7, true, &store).fit, 3);
    store.addr += 7; /* behind the instruction, that RIP is still at */
    assert_int_equal(choose(CODE_64, code, 7, 0, true, &store).fit, 3);
    /* Registers add to it. */
    store.addr = 0x10;
    assert_int_equal(choose(CODE_64, "\xc6\x47\x10\x34", 4, 4, true, &store).fit, 2);
}

/* The end of one instruction may look like another. */
static void wolves(void **state)
{
    const struct trace_event out = OUT(0x3f8, 1, 1), store = STORE(4);

    (void)state;
    /* mov al, 0xee */
    assert_int_equal(choose(CODE_64, "\xb0\xee\x90", 3, 2, true, &out).fit, 0);
    /* mov eax, 0x48000000; out dx, al: 48 is no prefix of it, known or guessed */
    assert_int_equal(choose(CODE_64, "\xb8\x00\x00\x00\x48\xee", 6, 6, true, &out).back, 1);
    assert_int_equal(choose(CODE_64, "\xb8\x00\x00\x00\x48\xee", 6, 6, false, &out).back, 1);
    /* Without alignment the shortest is taken: mov [rdi], eax, and no longer one that ends so. */
    assert_int_equal(choose(CODE_64, "\xc7\x07\x00\x00\x89\x07", 6, 6, false, &store).back, 2);
    /* Nothing that decodes up to RIP: guessed. */
    assert_int_equal(choose(CODE_64, "\x06\xee", 2, 2, true, &out).back, 1);
}

static void garbage(void **state)
{
    const struct trace_event out = OUT(0x3f8, 1, 1);
    struct code_choice choice;
    char code[31];

    (void)state;
    choice = choose(CODE_64, "", 0, 0, true, &out);
    assert_int_equal(choice.fit, 0);
    assert_string_equal(choice.text, "");
    assert_string_equal(choose(CODE_64, "\x06\x06", 2, 1, true, &out).text,
                        "");                                                 /* no such opcode */
    assert_string_equal(choose(CODE_64, "\x0f", 1, 0, true, &out).text, ""); /* cut off */
    disassembler_choose(NULL, CODE_64, &(struct code_window){.len = 0}, &out, CODE_RIP_UNKNOWN,
                        &choice);
    assert_string_equal(choice.text, "");
    srandom(5);
    for (unsigned i = 0; i < 20000; i++) {
        for (unsigned n = 0; n < sizeof(code); n++)
            code[n] = (char)random();
        unsigned len = (unsigned)random() % (sizeof(code) + 1);
        choice = choose((enum code_mode)(i % CODE_MODES), code, len, (unsigned)random() % (len + 1),
                        i & 1, &forms[i % (sizeof(forms) / sizeof(forms[0]))].event);
        assert_true(choice.back <= CODE_INSN_BYTES);
        assert_true(memchr(choice.text, 0, sizeof(choice.text)) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form), cmocka_unit_test(other_io),
        cmocka_unit_test(ties),      cmocka_unit_test(address_tells_the_mode),
        cmocka_unit_test(wolves),    cmocka_unit_test(garbage),
    };
    return cmocka_run_group_tests_name("code_insn", tests, open_it, close_it);
}
