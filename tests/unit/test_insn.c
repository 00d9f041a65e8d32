/*
 * test_insn.c: the instructions that a diagnosis knows by name.
 */
#include "insn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *bytes;
    unsigned len;
    const char *name;
} known[] = {
    {"\xcc", 1, "int3"},
    {"\xcd\x30", 2, "int 0x30"},
    {"\xcd", 1, "int n"},
    {"\x0f\x22\xc0", 3, "mov to cr0"},
    {"\x0f\x22\xd9", 3, "mov to cr3"},
    {"\x0f\x22\xe0", 3, "mov to cr4"},
    {"\x44\x0f\x22\xc0", 4, "mov to cr8"},
    {"\x0f\x0b", 2, "ud2"},
    {"\x48\x0f\xc7\x0f", 4, "cmpxchg16b"},
    {"\xf0\x48\x0f\xc7\x0f", 5, "cmpxchg16b"},
    {"\x0f\xc7\x0f", 3, ""}, /* cmpxchg8b */
    {"\x0f\xc7\xf0", 3, "rdrand"},
    {"\x0f\x01\xd0", 3, "xgetbv"},
    {"\x0f\x01\xd1", 3, "xsetbv"},
    {"\x0f\x01\xc1", 3, "vmcall"},
    {"\x0f\x01\xd9", 3, "vmmcall"},
    {"\x0f\x01\xca", 3, "clac"},
    {"\x0f\x01\xcb", 3, "stac"},
    {"\x0f\x01\x1a", 3, ""}, /* lidt */
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
    {"\xff\x10", 2, ""}, /* through memory */
    {"\xf7\xd1", 2, ""}, /* not */
    {"\x90", 1, ""},
    {"\x0f", 1, ""},
    {"\x0f\xc7", 2, ""},
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xcc", 16, ""},
    {"", 0, ""},
};

static void instructions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct insn insn = insn_decode((const uint8_t *)known[i].bytes, known[i].len, true);
        assert_string_equal(insn.name, known[i].name);
    }
    assert_int_equal(insn_decode((const uint8_t *)"\xcd\x80", 2, true).vector, 0x80);
    assert_int_equal(insn_decode((const uint8_t *)"\xcd", 1, true).vector, INSN_NO_VECTOR);
    /* Without long mode 0x48 is DEC EAX, 0xc5 is LDS. */
    assert_string_equal(insn_decode((const uint8_t *)"\x48\x0f\xc7\x0f", 4, false).name, "");
    assert_string_equal(insn_decode((const uint8_t *)"\xc5\xf8\x77", 3, false).name, "");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions),
        cmocka_unit_test(names_of_exceptions),
    };
    return cmocka_run_group_tests_name("insn", tests, NULL, NULL);
}
