/*
 * test_code.c: symbol, line and instruction of an address: at edges, of files without them, of
 * damaged files, and of this very program.
 */
#include "trace/code.h"

#include "code_elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct code *open_bytes(const void *bytes, size_t size)
{
    char path[32];
    int fd = code_elf_file(bytes, size, path);

    assert_true(fd >= 0);
    struct code *code = code_open(path);
    close(fd);
    return code;
}

static const struct code_place *find(struct code *code, enum vm_exit_kind kind, uint64_t rip)
{
    const struct trace_event event = {
        .kind = kind, .write = true, .size = 1, .count = 1, .addr = 0x3f8, .rip = rip};

    return code_find(code, &event);
}

static void expect(const struct code_place *place, uint64_t at, const char *symbol, uint64_t offset,
                   const char *file, unsigned line)
{
    assert_int_equal(place->insn_addr, at);
    if (symbol)
        assert_string_equal(place->symbol, symbol);
    else
        assert_null(place->symbol);
    assert_int_equal(place->offset, offset);
    if (file)
        assert_string_equal(place->file, file);
    else
        assert_null(place->file);
    assert_int_equal(place->line, line);
}

static void edges(void **state)
{
    struct code_elf elf;
    const uint64_t base = CODE_ELF_ADDR;

    (void)state;
    code_elf_build(&elf);
    struct code *code = open_bytes(&elf, sizeof(elf));
    assert_non_null(code);
    assert_non_null(code_symbols(code));
    /* An exit without I/O is at RIP. */
    expect(find(code, VM_EXIT_INTR, base), base, "start", 0, "a.c", 10);
    expect(find(code, VM_EXIT_INTR, base + 1), base + 1, "start", 1, "a.c", 10);
    expect(find(code, VM_EXIT_INTR, base + 2), base + 2, "start", 2, "a.c", 11);
    expect(find(code, VM_EXIT_INTR, base + 3), base + 3, "start", 3, "include/inc.h", 12);
    expect(find(code, VM_EXIT_INTR, base + 4), base + 4, NULL, 0, "include/inc.h", 12);
    expect(find(code, VM_EXIT_INTR, base + 7), base + 7, NULL, 0, "include/inc.h", 12);
    expect(find(code, VM_EXIT_INTR, base + 8), base + 8, "tail", 0, NULL, 0);
    expect(find(code, VM_EXIT_INTR, base + 15), base + 15, "tail", 7, NULL, 0);
    expect(find(code, VM_EXIT_INTR, base + 16), base + 16, NULL, 0, NULL, 0);
    expect(find(code, VM_EXIT_INTR, base - 1), base - 1, NULL, 0, NULL, 0);
    assert_null(find(code, VM_EXIT_INTR, base + 16)->insn);
    assert_null(find(code, VM_EXIT_INTR, base - 1)->insn);
    expect(find(code, VM_EXIT_INTR, 0), 0, NULL, 0, NULL, 0);
    expect(find(code, VM_EXIT_INTR, UINT64_MAX), UINT64_MAX, NULL, 0, NULL, 0);
    /* Before paging the same code runs at its physical address. */
    expect(find(code, VM_EXIT_INTR, CODE_ELF_PADDR + 3), CODE_ELF_PADDR + 3, "start", 3,
           "include/inc.h", 12);
    assert_string_equal(find(code, VM_EXIT_INTR, CODE_ELF_PADDR + 3)->insn, "hlt");
    code_close(code);
}

/* The place is that of the instruction, wherever the backend left RIP. */
static void place_of_the_instruction(void **state)
{
    struct code_elf elf;
    const uint64_t base = CODE_ELF_ADDR;

    (void)state;
    code_elf_build(&elf);
    struct code *code = open_bytes(&elf, sizeof(elf));
    for (uint64_t rip = base + 2; rip <= base + 3; rip++) {
        const struct code_place *place = find(code, VM_EXIT_PIO, rip);
        expect(place, base + 2, "start", 2, "a.c", 11);
        assert_string_equal(place->insn, "out dx, al");
    }
    for (uint64_t rip = base + 3; rip <= base + 4; rip++) {
        const struct code_place *place = find(code, VM_EXIT_HLT, rip);
        expect(place, base + 3, "start", 3, "include/inc.h", 12);
        assert_string_equal(place->insn, "hlt");
    }
    /* The last instruction of the segment, which ends where RIP is. */
    const struct code_place *place = find(code, VM_EXIT_PIO, base + 16);
    expect(place, base + 15, "tail", 7, NULL, 0);
    assert_string_equal(place->insn, "out dx, al");
    /* Neither does it: RIP's own. */
    place = find(code, VM_EXIT_PIO, base);
    expect(place, base, "start", 0, "a.c", 10);
    assert_string_equal(place->insn, "nop");
    code_close(code);
}

/* Two OUT in a row: where the other exits left RIP tells whose this one is. */
static void ties_follow_the_backend(void **state)
{
    struct code_elf elf;
    const uint64_t base = CODE_ELF_ADDR;

    (void)state;
    for (unsigned behind = 0; behind < 2; behind++) {
        code_elf_build(&elf);
        memset(elf.text + 2, 0xee, 2); /* +2 and +3 */
        elf.sym[1].st_size = 8;
        struct code *code = open_bytes(&elf, sizeof(elf));
        assert_int_equal(find(code, VM_EXIT_PIO, base + (behind ? 4 : 2))->insn_addr,
                         base + (behind ? 3 : 2));
        assert_int_equal(find(code, VM_EXIT_PIO, base + 3)->insn_addr, base + (behind ? 2 : 3));
        code_close(code);
    }
}

static void kept(void **state)
{
    struct code_elf elf;
    struct trace_event event = {.kind = VM_EXIT_PIO, .write = true, .size = 1, .count = 1};

    (void)state;
    code_elf_build(&elf);
    memcpy(elf.text + 2, "\xe6\0", 2); /* out 0x0, al */
    struct code *code = open_bytes(&elf, sizeof(elf));
    event.rip = CODE_ELF_ADDR + 2;
    event.addr = 0x3f8;
    assert_int_equal(code_find(code, &event)->insn_addr, CODE_ELF_ADDR + 2);
    const struct code_place *place = code_find(code, &event);
    assert_ptr_equal(code_find(code, &event), place);
    /* Another exit at the same RIP is another question. */
    event.rip = CODE_ELF_ADDR + 4;
    event.addr = 0;
    place = code_find(code, &event);
    assert_int_equal(place->insn_addr, CODE_ELF_ADDR + 2);
    assert_string_equal(place->insn, "out 0x0, al");
    event.addr = 0x3f8;
    assert_int_equal(code_find(code, &event)->insn_addr, CODE_ELF_ADDR + 4);
    event.kind = VM_EXIT_INTR;
    assert_int_equal(code_find(code, &event)->insn_addr, CODE_ELF_ADDR + 4);
    /* Equal texts of different places are one. */
    assert_ptr_equal(find(code, VM_EXIT_INTR, CODE_ELF_ADDR)->insn,
                     find(code, VM_EXIT_INTR, CODE_ELF_ADDR + 8)->insn);
    code_close(code);
}

/* A guest that exits everywhere does not fill the host's memory; symbols are still there. */
static void bounded(void **state)
{
    struct code_elf elf;

    (void)state;
    code_elf_build(&elf);
    struct code *code = open_bytes(&elf, sizeof(elf));
    for (unsigned i = 0; i <= CODE_PLACES_MAX; i++)
        expect(find(code, VM_EXIT_INTR, i), i, NULL, 0, NULL, 0);
    expect(find(code, VM_EXIT_INTR, CODE_ELF_ADDR + 2), CODE_ELF_ADDR + 2, "start", 2, NULL, 0);
    assert_null(find(code, VM_EXIT_INTR, CODE_ELF_ADDR + 2)->insn);
    code_close(code);
}

static void files_without(void **state)
{
    struct code_elf elf;
    const uint64_t base = CODE_ELF_ADDR;

    (void)state;
    assert_null(code_open("/nonexistent"));
    assert_null(code_open("/"));
    assert_null(code_open("/dev/null"));
    assert_null(open_bytes("", 0));
    assert_null(open_bytes("a text file\n", 12));
    code_close(NULL);
    assert_null(code_symbols(NULL));
    expect(find(NULL, VM_EXIT_PIO, base), 0, NULL, 0, NULL, 0);

    code_elf_build(&elf); /* stripped of its lines, */
    elf.shdr[CODE_ELF_LINE].sh_name = elf.shdr[CODE_ELF_INFO].sh_name = 0;
    struct code *code = open_bytes(&elf, sizeof(elf));
    expect(find(code, VM_EXIT_PIO, base + 3), base + 2, "start", 2, NULL, 0);
    code_close(code);

    elf.ehdr.e_shnum = 0; /* and of its symbols */
    code = open_bytes(&elf, sizeof(elf));
    assert_null(code_symbols(code));
    expect(find(code, VM_EXIT_PIO, base + 3), base + 2, NULL, 0, NULL, 0);
    assert_string_equal(find(code, VM_EXIT_PIO, base + 3)->insn, "out dx, al");
    code_close(code);

    code_elf_build(&elf); /* no code in it */
    elf.phdr.p_filesz = 0;
    code = open_bytes(&elf, sizeof(elf));
    expect(find(code, VM_EXIT_INTR, base), base, "start", 0, "a.c", 10);
    assert_null(find(code, VM_EXIT_INTR, base)->insn);
    code_close(code);
}

static void hostile_names(void **state)
{
    struct code_elf elf;

    (void)state;
    code_elf_build(&elf);
    memcpy(memmem(elf.line.files, sizeof(elf.line.files), "inc.h", 5), "\x1b[0mh", 5);
    struct code *code = open_bytes(&elf, sizeof(elf));
    assert_string_equal(find(code, VM_EXIT_INTR, CODE_ELF_ADDR + 3)->file, "include/?[0mh");
    code_close(code);
}

/* What is known of each byte of code; nothing of it may be more than printable text. */
static void look_everywhere(struct code *code)
{
    char text[CODE_TEXT_MAX];

    for (unsigned i = 0; i <= CODE_ELF_SIZE; i++) {
        const struct code_place *place = find(code, i % 2 ? VM_EXIT_PIO : VM_EXIT_MMIO,
                                              (i % 3 ? CODE_ELF_ADDR : CODE_ELF_PADDR) + i);
        code_format(text, sizeof(text), place->insn, place->file, place->line);
        for (const char *c = text; *c; c++)
            assert_true(*c >= 0x20 && *c < 0x7f);
    }
    code_close(code);
}

static void damaged_files(void **state)
{
    struct code_elf elf;

    (void)state;
    code_elf_build(&elf);
    for (size_t size = 0; size < sizeof(elf); size += 7)
        look_everywhere(open_bytes(&elf, size));
    srandom(4);
    for (unsigned i = 0; i < 200; i++) {
        code_elf_build(&elf);
        for (unsigned n = 0; n < 4; n++) {
            size_t at = (size_t)random() % sizeof(elf);
            ((uint8_t *)&elf)[at >= EI_DATA ? at : EI_DATA] = (uint8_t)random();
        }
        look_everywhere(open_bytes(&elf, sizeof(elf)));
    }
}

extern const char __executable_start[]; /* the linker's: where this program was loaded */

static void this_program(void **state)
{
    struct code *code = code_open("/proc/self/exe");
    uint64_t here = (uint64_t)((uintptr_t)this_program - (uintptr_t)__executable_start);

    (void)state;
    const struct code_place *place = find(code, VM_EXIT_INTR, here);
    assert_string_equal(place->symbol, "this_program");
    assert_string_equal(place->file, "tests/unit/test_code.c");
    assert_in_range(place->line, __LINE__ - 8, __LINE__ - 6);
    assert_non_null(place->insn);
    code_close(code);
}

static void formatted(void **state)
{
    char text[16];

    (void)state;
    assert_int_equal(code_format(text, sizeof(text), "hlt", "a.c", 7), 10);
    assert_string_equal(text, "hlt  a.c:7");
    assert_int_equal(code_format(text, sizeof(text), NULL, "a.c", 7), 5);
    assert_string_equal(text, "a.c:7");
    assert_int_equal(code_format(text, sizeof(text), "hlt", NULL, 0), 3);
    assert_int_equal(code_format(text, sizeof(text), NULL, NULL, 0), 0);
    assert_string_equal(text, "");
    assert_int_equal(code_format(text, sizeof(text), "hlt", "long/name.c", 7), 15);
    assert_string_equal(text, "hlt  long/name.");
    assert_int_equal(code_format(text, sizeof(text), "hlt", "name.c", 4294967295), 15);
    assert_string_equal(text, "hlt  name.c:429");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(place_of_the_instruction),
        cmocka_unit_test(ties_follow_the_backend),
        cmocka_unit_test(kept),
        cmocka_unit_test(bounded),
        cmocka_unit_test(files_without),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(this_program),
        cmocka_unit_test(formatted),
    };
    return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}
