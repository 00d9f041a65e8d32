/*
 * fuzz_code.c: guest code and its ELF file that somebody made to hurt: symbols, DWARF, bytes of
 * segments, instructions.
 *
 * An input that begins with 'R' is a whole ELF file (the R left out), one with 'I' is instructions:
 * mode, bytes before RIP, and an exit in one byte each, then the code. Any other is a list of
 * patches to a good file, four bytes each: offset (16 bits), width and shift, value. So a short
 * input reaches deep, and the corpus needs no binaries.
 */
#include "trace/code.h"
#include "trace/code_insn.h"

#include "../unit/code_elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text >= 0x7f)
            abort();
    }
}

static struct trace_event make_event(uint8_t what, uint64_t rip)
{
    static const enum vm_exit_kind kinds[] = {VM_EXIT_PIO, VM_EXIT_MMIO, VM_EXIT_HLT, VM_EXIT_INTR};

    return (struct trace_event){.kind = kinds[what & 3],
                                .write = what & 4,
                                .size = (uint8_t)(1 << (what >> 3 & 3)),
                                .count = what & 32 ? 2 : 1,
                                .addr = what & 64 ? 0x80 : 0x3f8,
                                .rip = rip};
}

static void read_instructions(const uint8_t *data, size_t size)
{
    if (size < 3)
        return;
    const unsigned len = (unsigned)(size - 3);
    const struct code_window window = {
        .bytes = data + 3, .before = data[1] % (len + 1), .len = len, .aligned = data[0] & 0x80};
    const struct trace_event event = make_event(data[2], 0x100000);
    struct disassembler *d = disassembler_open();
    struct code_choice choice;

    if (!d)
        abort();
    disassembler_choose(d, (enum code_mode)((data[0] & 0x7f) % CODE_MODES), &window, &event,
                        CODE_RIP_UNKNOWN, &choice);
    if (choice.back > window.before)
        abort();
    expect_printable(choice.text);
    disassembler_close(d);
}

static void read_file(const void *bytes, size_t size)
{
    char path[32], text[CODE_TEXT_MAX];
    int fd = code_elf_file(bytes, size, path);

    if (fd < 0)
        abort();
    struct code *code = code_open(path);
    for (unsigned i = 0; i <= CODE_ELF_SIZE; i++) {
        const struct trace_event event =
            make_event((uint8_t)i, (i & 8 ? CODE_ELF_PADDR : CODE_ELF_ADDR) + i);
        const struct code_place *place = code_find(code, &event);
        code_format(text, sizeof(text), place->insn, place->file, place->line);
        expect_printable(text);
        if (place->symbol)
            expect_printable(place->symbol);
    }
    code_close(code);
    close(fd);
}

/* One patch: the value, sign-extended and shifted, goes to OFFSET; behind the end of the file the
 * offset says how long it is instead. */
static void patch(struct code_elf *elf, size_t *end, const uint8_t data[static 4])
{
    size_t offset = data[0] | (size_t)data[1] << 8, width = (size_t)1 << (data[2] & 3);
    uint64_t value = (uint64_t)(int64_t)(int8_t)data[3] << (data[2] >> 2);

    if (offset + width <= sizeof(*elf))
        memcpy((uint8_t *)elf + offset, &value, width);
    else
        *end = offset % sizeof(*elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct code_elf elf;
    size_t end = sizeof(elf);

    if (size > 0 && data[0] == 'R') {
        read_file(data + 1, size - 1);
    } else if (size > 0 && data[0] == 'I') {
        read_instructions(data + 1, size - 1);
    } else {
        code_elf_build(&elf);
        for (; size >= 4; data += 4, size -= 4)
            patch(&elf, &end, data);
        read_file(&elf, end);
    }
    return 0;
}
