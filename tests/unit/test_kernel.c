/*
 * test_kernel.c: kernel_open() and kernel_load(): each way in which an ELF file can be wrong has a
 * message of its own, and what is right arrives in guest memory.
 */
#include "boot/image.h"
#include "elf_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <memmap.h>
#include <stdlib.h>

#define MIB 0x100000ull
#define RAM (128 * MIB)

/* One way to be wrong: other bytes, a cut file, another value in a field, another descriptor of the
 * PVH note, or what a function makes. */
struct broken {
    const char *name;
    const char *expect; /* the message after the path */
    const void *bytes, *desc;
    size_t size, offset, width;
    uint64_t value;
    void (*make)(struct elf_builder *b);
};

#define BYTES(text) .bytes = text, .size = sizeof(text) - 1
#define CUT(length) .size = length
#define FIELD(type, field, at, new)                                                                \
    .offset = (at) + offsetof(type, field), .width = sizeof(((type *)0)->field), .value = new
#define HEADER(field, new)     FIELD(Elf64_Ehdr, field, 0, new)
#define PROGRAM(i, field, new) FIELD(Elf64_Phdr, field, ELF_PHDRS + (i) * sizeof(Elf64_Phdr), new)
#define ENTRY(type, address)   .desc = &(const type){address}, .width = sizeof(type)
#define MAKE(function)         .make = function

static void bz_image(struct elf_builder *b)
{
    memset(b->bytes, 0, sizeof(b->bytes));
    memcpy(b->bytes + 0x202, "HdrS", 4);
    b->size = 1024;
}

/* Puts a Multiboot header where nothing else is. */
static void add_multiboot(struct elf_builder *b, unsigned version)
{
    static const uint32_t header[2][4] = {{0x1badb002, 3, 0u - 0x1badb002 - 3},
                                          {0xe85250d6, 0, 16, 0u - 0xe85250d6 - 16}};
    memcpy(b->bytes + ELF_SIZE, header[version - 1], sizeof(header[0]));
    b->size = ELF_SIZE + 64;
}

static void flat_multiboot(struct elf_builder *b)
{
    memcpy(b->bytes, "flat", 4);
    add_multiboot(b, 1);
}

static void elf32_multiboot(struct elf_builder *b)
{
    elf_header(b)->e_ident[EI_CLASS] = ELFCLASS32;
    add_multiboot(b, 1);
}

static void no_load(struct elf_builder *b)
{
    elf_program(b, 0)->p_type = PT_NULL;
    elf_program(b, 1)->p_memsz = elf_program(b, 1)->p_filesz = 0;
}

static void many_segments(struct elf_builder *b)
{
    *elf_program(b, KERNEL_SEGMENTS_MAX + 1) = *elf_program(b, 2);
    for (unsigned i = 2; i <= KERNEL_SEGMENTS_MAX; i++) {
        *elf_program(b, i) = *elf_program(b, 1);
        elf_program(b, i)->p_paddr = ELF_DATA_GPA + i * 0x10000;
    }
    elf_header(b)->e_phnum = KERNEL_SEGMENTS_MAX + 2;
}

static void no_note_multiboot(struct elf_builder *b)
{
    elf_program(b, 2)->p_type = PT_NULL;
    add_multiboot(b, 2);
}

static void other_notes(struct elf_builder *b)
{
    size_t at = elf_add_note(b, ELF_NOTE, "GNU", 3, "abcd", 4);
    at = elf_add_note(b, at, "Xe\x1b[1mn", PVH_NOTE_TYPE, "abcd", 4);
    elf_program(b, 2)->p_filesz = at - ELF_NOTE;
}

#define WANTED    "-kernel takes an ELF64 x86-64 executable with a PVH note"
#define MULTIBOOT "; it has a Multiboot header, but kvmlens boots by the PVH protocol only"
#define NOTE_WANTED                                                                                \
    "expected a note named \"Xen\" of type 18 (XEN_ELFNOTE_PHYS32_ENTRY) in a PT_NOTE segment, "   \
    "with the kernel's 32-bit entry address"

static const struct broken broken[] = {
    {"a text file",
     "not an ELF file: found bytes 23 20 68 65 at offset 0, expected 7f 45 4c 46; " WANTED,
     BYTES("# hello\n")},
    {"two bytes", "not an ELF file: found bytes 7f 45 at offset 0, expected 7f 45 4c 46; " WANTED,
     BYTES("\177E")},
    {"gzip",
     "a file compressed with gzip (found bytes 1f 8b at offset 0, expected 7f 45 4c 46); unpack it "
     "first",
     BYTES("\x1f\x8b\x08\0")},
    {"zstd",
     "a file compressed with zstd (found bytes 28 b5 at offset 0, expected 7f 45 4c 46); unpack it "
     "first",
     BYTES("\x28\xb5\x2f\xfd")},
    {"bzImage",
     "a Linux bzImage (\"HdrS\" at offset 0x202); kvmlens boots ELF kernels with a PVH note: use "
     "the uncompressed vmlinux of a kernel built with CONFIG_PVH",
     MAKE(bz_image)},
    {"flat Multiboot kernel",
     "not an ELF file: found bytes 66 6c 61 74 at offset 0, expected 7f 45 4c 46; " WANTED
         MULTIBOOT,
     MAKE(flat_multiboot)},
    {"truncated ELF header", "truncated ELF header: the file ends at offset 40, expected 64 bytes",
     CUT(40)},
    {"ELF32", "an ELF32 file: found class 1 at offset 4, expected 2 (ELF64); " WANTED,
     HEADER(e_ident[EI_CLASS], ELFCLASS32)},
    {"ELF32 Multiboot kernel",
     "an ELF32 file: found class 1 at offset 4, expected 2 (ELF64); " WANTED MULTIBOOT,
     MAKE(elf32_multiboot)},
    {"ELF class 7", "found ELF class 7 at offset 4, expected 2 (ELF64)",
     HEADER(e_ident[EI_CLASS], 7)},
    {"big-endian",
     "a big-endian ELF file: found data encoding 2 at offset 5, expected 1 "
     "(little-endian); " WANTED,
     HEADER(e_ident[EI_DATA], ELFDATA2MSB)},
    {"no data encoding", "found data encoding 0 at offset 5, expected 1 (little-endian)",
     HEADER(e_ident[EI_DATA], 0)},
    {"ELF version", "found ELF versions 1 at offset 6 and 9 at offset 20, expected 1",
     HEADER(e_version, 9)},
    {"AArch64", "an ELF file for AArch64: found machine 183 at offset 18, expected 62 (x86-64)",
     HEADER(e_machine, EM_AARCH64)},
    {"RISC-V", "an ELF file for RISC-V: found machine 243 at offset 18, expected 62 (x86-64)",
     HEADER(e_machine, EM_RISCV)},
    {"i386 in ELF64", "an ELF file for i386: found machine 3 at offset 18, expected 62 (x86-64)",
     HEADER(e_machine, EM_386)},
    {"unknown machine",
     "an ELF file for an unknown machine: found machine 4660 at offset 18, expected 62 (x86-64)",
     HEADER(e_machine, 4660)},
    {"position-independent",
     "a position-independent ELF file: found type 3 (ET_DYN) at offset 16, expected 2 (ET_EXEC); "
     "link it with -no-pie at a fixed address",
     HEADER(e_type, ET_DYN)},
    {"object file",
     "an object file: found type 1 (ET_REL) at offset 16, expected 2 (ET_EXEC); link it first",
     HEADER(e_type, ET_REL)},
    {"core file", "found ELF type 4 at offset 16, expected 2 (ET_EXEC)", HEADER(e_type, ET_CORE)},
    {"no program headers",
     "found no program headers (e_phnum 0 at offset 56), expected at least PT_LOAD and PT_NOTE",
     HEADER(e_phnum, 0)},
    {"extended program headers", "found 65535 or more program headers (at offset 56)",
     HEADER(e_phnum, PN_XNUM)},
    {"program headers of ELF32 size",
     "found program headers of 32 bytes (at offset 54), expected 56", HEADER(e_phentsize, 32)},
    {"truncated program headers",
     "truncated: found 3 program headers at offset 64 (168 bytes), but the file ends at offset 100",
     CUT(100)},
    {"program headers near 2^64",
     "truncated: found 3 program headers at offset 18446744073709551607 (168 bytes), but the file "
     "ends at offset 1664",
     HEADER(e_phoff, UINT64_MAX - 8)},
    {"extended sections",
     "found a section table (e_shoff 1408 at offset 40) of 0 sections (e_shnum at offset 60)",
     HEADER(e_shnum, 0)},
    {"no PT_LOAD",
     "found 3 program headers at offset 64, none of them a PT_LOAD with memory: there is nothing "
     "to load",
     MAKE(no_load)},
    {"truncated segment",
     "truncated: program header 1 (at offset 120): its data are 64 bytes at offset 1216, but the "
     "file ends at offset 1223",
     CUT(ELF_DATA + 7)},
    {"segment data near 2^64",
     "truncated: program header 1 (at offset 120): its data are 64 bytes at offset "
     "18446744073709551607, but the file ends at offset 1664",
     PROGRAM(1, p_offset, UINT64_MAX - 8)},
    {"p_filesz over p_memsz",
     "program header 1 (at offset 120): found 64 bytes in the file (p_filesz) for 63 bytes in "
     "memory (p_memsz), expected no more",
     PROGRAM(1, p_memsz, 63)},
    {"overlap",
     "program header 1 (at offset 120): found a segment at 0x10003f-0x10103e, which overlaps the "
     "one at 0x100000-0x10003f",
     PROGRAM(1, p_paddr, ELF_TEXT_GPA + ELF_PART_SIZE - 1)},
    {"wrap around 2^64",
     "program header 1 (at offset 120): found a segment of 0x1000 bytes at 0xffffffffffffff00, "
     "which wraps around the end of the address space",
     PROGRAM(1, p_paddr, UINT64_MAX - 0xff)},
    {"below 1 MiB",
     "program header 0 (at offset 64): found a segment at 0xff000 (p_paddr), expected 0x100000 (1 "
     "MiB) or above: boot information, the BIOS area and devices are below; link the kernel higher",
     PROGRAM(0, p_paddr, RAM_KERNEL_MIN - 0x1000)},
    {"beyond RAM",
     "program header 1 (at offset 120): found a segment at 0x7fff800-0x80007ff, which is beyond "
     "this guest's 128 MiB of RAM; it needs -m 129M or more",
     PROGRAM(1, p_paddr, RAM - 0x800)},
    {"into the device hole",
     "program header 1 (at offset 120): found a segment at 0xbffff800-0xc00007ff, which runs into "
     "the devices at 0xc0000000-0xffffffff, where there is no RAM",
     PROGRAM(1, p_paddr, RAM_LOW_TOP - 0x800)},
    {"in the device hole",
     "program header 1 (at offset 120): found a segment at 0xfee00000-0xfee00fff, which runs into "
     "the devices at 0xc0000000-0xffffffff, where there is no RAM",
     PROGRAM(1, p_paddr, 0xfee00000)},
    {"above 4 GiB",
     "program header 1 (at offset 120): found a segment at 0x100000000-0x100000fff, which is "
     "beyond this guest's 128 MiB of RAM; it needs -m 3073M or more",
     PROGRAM(1, p_paddr, RAM_HIGH_BASE)},
    {"beyond any RAM",
     "program header 1 (at offset 120): found a segment at 0x10000000000-0x10000000fff, expected "
     "it to fit the largest RAM (64 GiB)",
     PROGRAM(1, p_paddr, 1ull << 40)},
    {"17 segments", "program header 16 (at offset 960): found one PT_LOAD more than the 16 allowed",
     MAKE(many_segments)},
    {"no PT_NOTE", "no PVH note: found no PT_NOTE, " NOTE_WANTED, PROGRAM(2, p_type, PT_NULL)},
    {"Multiboot instead of a note", "no PVH note: found no PT_NOTE, " NOTE_WANTED MULTIBOOT,
     MAKE(no_note_multiboot)},
    {"empty PT_NOTE", "no PVH note: found an empty PT_NOTE, " NOTE_WANTED, PROGRAM(2, p_filesz, 0)},
    {"other notes", "no PVH note: found \"GNU\" type 3, \"Xe\" type 18, " NOTE_WANTED,
     MAKE(other_notes)},
    {"truncated PT_NOTE",
     "truncated: program header 2 (at offset 176): its data are 20 bytes at offset 1654, but the "
     "file ends at offset 1664",
     PROGRAM(2, p_offset, ELF_SIZE - 10)},
    {"note passes its segment",
     "malformed note at offset 1088: its name or descriptor passes the end of its segment at "
     "offset 1107",
     PROGRAM(2, p_filesz, 19)},
    {"note name of 4 GiB",
     "malformed note at offset 1088: its name or descriptor passes the end of its segment at "
     "offset 1108",
     FIELD(Elf64_Nhdr, n_namesz, ELF_NOTE, UINT32_MAX)},
    {"descriptor of 2 bytes",
     "malformed PVH note: found a descriptor of 2 bytes at offset 1104, expected an address of 4 "
     "or 8",
     ENTRY(uint16_t, 0x6261)},
    {"entry in data",
     "found PVH entry 0x102000 in the note at offset 1104, expected a physical address (p_paddr) "
     "in an executable segment",
     ENTRY(uint32_t, ELF_DATA_GPA)},
    {"entry after text",
     "found PVH entry 0x100040 in the note at offset 1104, expected a physical address (p_paddr) "
     "in an executable segment",
     ENTRY(uint32_t, ELF_TEXT_GPA + ELF_PART_SIZE)},
    {"entry above 4 GiB",
     "found PVH entry 0x100000000 in the note at offset 1104, expected an address below 4 GiB: the "
     "guest starts in 32-bit mode",
     ENTRY(uint64_t, RAM_HIGH_BASE)},
};
#define BROKEN_COUNT (sizeof(broken) / sizeof(broken[0]))

/* Opens what B holds; its memory file stays open through the kernel's own descriptor. */
static int open_built(const struct elf_builder *b, struct kernel_image *kernel, uint64_t ram,
                      struct error *err, char path[static 32])
{
    int fd = memory_file(b->bytes, b->size, path);
    assert_true(fd >= 0);
    int result = kernel_open(kernel, path, ram, err);
    close(fd);
    return result;
}

static void refuses(void **state)
{
    const struct broken *test = *state;
    struct elf_builder b;
    elf_build(&b);
    if (test->bytes)
        memcpy(b.bytes, test->bytes, test->size);
    if (test->size > 0)
        b.size = test->size;
    if (test->desc)
        elf_set_pvh_note(&b, test->desc, (uint32_t)test->width);
    else
        memcpy(b.bytes + test->offset, &test->value, test->width);
    if (test->make)
        test->make(&b);

    struct kernel_image kernel;
    struct error err = {0};
    char path[32], expect[600];
    assert_int_equal(open_built(&b, &kernel, RAM, &err, path), -1);
    image_file_close(&kernel.file);
    snprintf(expect, sizeof(expect), "%s: %s", path, test->expect);
    assert_string_equal(err.text, expect);
    assert_int_equal(err.status, STATUS_IMAGE);
}

static void refuses_huge_notes(void **state)
{
    (void)state;
    struct elf_builder b;
    elf_build(&b);
    elf_program(&b, 2)->p_filesz = 0x100001;
    struct kernel_image kernel;
    struct error err = {0};
    char path[32];
    int fd = memory_file(b.bytes, b.size, path);
    assert_int_equal(ftruncate(fd, 0x200000), 0);
    assert_int_equal(kernel_open(&kernel, path, RAM, &err), -1);
    assert_non_null(strstr(err.text, "found 1048577 bytes of notes, expected at most 1048576"));
    image_file_close(&kernel.file);
    close(fd);
}

static void accepts(struct elf_builder *b, uint64_t ram, struct kernel_image *kernel)
{
    struct error err = {0};
    char path[32];
    if (open_built(b, kernel, ram, &err, path) < 0)
        fail_msg("%s", err.text);
}

static void opens_good(void **state)
{
    (void)state;
    struct elf_builder b;
    struct kernel_image kernel;
    elf_build(&b);
    accepts(&b, 2 * MIB, &kernel);
    assert_int_equal(kernel.entry, ELF_ENTRY);
    assert_int_equal(kernel.end, ELF_DATA_GPA + ELF_DATA_MEMSZ);
    assert_int_equal(kernel.segment_count, 2);
    assert_int_equal(kernel.segment[1].offset, ELF_DATA);
    assert_int_equal(kernel.segment[1].filesz, ELF_PART_SIZE);
    assert_int_equal(kernel.segment[1].memsz, ELF_DATA_MEMSZ);
    assert_int_equal(kernel.segment[1].gpa, ELF_DATA_GPA);
    image_file_close(&kernel.file);
}

/* What looks odd and is right: other notes first, notes aligned to 8, an 8-byte entry, no
 * sections, an empty PT_LOAD anywhere, as many segments as there may be. */
static void opens_odd(void **state)
{
    (void)state;
    struct elf_builder b;
    struct kernel_image kernel;

    elf_build(&b);
    size_t at = elf_add_note(&b, ELF_NOTE, "GNU", 3, "abcd", 4);
    uint64_t entry = ELF_ENTRY;
    at = elf_add_note(&b, at, PVH_NOTE_NAME, PVH_NOTE_TYPE, &entry, 8);
    elf_program(&b, 2)->p_filesz = at - ELF_NOTE;
    elf_header(&b)->e_shnum = 0;
    elf_header(&b)->e_shoff = 0;
    elf_program(&b, 3)->p_type = PT_LOAD;
    elf_program(&b, 3)->p_paddr = UINT64_MAX;
    elf_header(&b)->e_phnum = 4;
    accepts(&b, RAM, &kernel);
    assert_int_equal(kernel.entry, ELF_ENTRY);
    assert_int_equal(kernel.segment_count, 2);
    image_file_close(&kernel.file);

    elf_build(&b);
    at = elf_add_note(&b, ELF_NOTE, "GNU", 3, "abcd", 4) + 4;
    at = elf_add_note(&b, at, PVH_NOTE_NAME, PVH_NOTE_TYPE, &entry, 8);
    elf_program(&b, 2)->p_filesz = at - ELF_NOTE;
    elf_program(&b, 2)->p_align = 8;
    accepts(&b, RAM, &kernel);
    assert_int_equal(kernel.entry, ELF_ENTRY);
    image_file_close(&kernel.file);

    elf_build(&b);
    many_segments(&b);
    elf_program(&b, KERNEL_SEGMENTS_MAX)->p_type = PT_NULL;
    accepts(&b, RAM, &kernel);
    assert_int_equal(kernel.segment_count, KERNEL_SEGMENTS_MAX);
    image_file_close(&kernel.file);
}

static void opens_at_edges(void **state)
{
    (void)state;
    struct elf_builder b;
    struct kernel_image kernel;
    static const struct {
        uint64_t gpa, ram;
    } edge[] = {
        {RAM - ELF_DATA_MEMSZ, RAM},
        {RAM_LOW_TOP - ELF_DATA_MEMSZ, RAM_LOW_TOP},
        {RAM_HIGH_BASE, RAM_LOW_TOP + ELF_DATA_MEMSZ},
        {RAM_MAX_BYTES + RAM_HIGH_BASE - RAM_LOW_TOP - ELF_DATA_MEMSZ, RAM_MAX_BYTES},
    };
    for (size_t i = 0; i < sizeof(edge) / sizeof(edge[0]); i++) {
        elf_build(&b);
        elf_program(&b, 1)->p_paddr = edge[i].gpa;
        accepts(&b, edge[i].ram, &kernel);
        image_file_close(&kernel.file);

        struct error err;
        char path[32];
        assert_int_equal(open_built(&b, &kernel, edge[i].ram - 1, &err, path), -1);
        image_file_close(&kernel.file);
    }
}

static uint8_t *make_ram(struct mem *mem, size_t size)
{
    uint8_t *host = malloc(size);
    assert_non_null(host);
    memset(host, 0xaa, size);
    *mem = (struct mem){0};
    assert_int_equal(mem_add(mem, 0, size, host, false), 0);
    return host;
}

static void assert_all(const uint8_t *bytes, uint8_t value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != value)
            fail_msg("byte %zu of %zu is %02x, expected %02x", i, count, bytes[i], value);
    }
}

static void loads(void **state)
{
    (void)state;
    struct elf_builder b;
    struct kernel_image kernel;
    struct mem mem;
    struct error err;
    uint8_t *ram = make_ram(&mem, 2 * MIB);
    elf_build(&b);
    accepts(&b, 2 * MIB, &kernel);

    /* Into fresh memory: the BSS is not touched. */
    assert_int_equal(kernel_load(&kernel, &mem, &err), 0);
    assert_all(ram, 0xaa, ELF_TEXT_GPA);
    assert_all(ram + ELF_TEXT_GPA, 'T', ELF_PART_SIZE);
    assert_all(ram + ELF_DATA_GPA, 'D', ELF_PART_SIZE);
    assert_all(ram + ELF_DATA_GPA + ELF_PART_SIZE, 0xaa, ELF_DATA_MEMSZ - ELF_PART_SIZE);
    image_file_close(&kernel.file);
    free(ram);
}

static void refuses_to_load(void **state)
{
    (void)state;
    struct elf_builder b;
    struct kernel_image kernel;
    struct mem mem;
    struct error err;
    char path[32];
    elf_build(&b);
    int fd = memory_file(b.bytes, b.size, path);
    assert_int_equal(kernel_open(&kernel, path, RAM, &err), 0);

    /* RAM ends inside the BSS, then before the data. */
    uint8_t *ram = make_ram(&mem, ELF_DATA_GPA + 0x800);
    assert_int_equal(kernel_load(&kernel, &mem, &err), -1);
    assert_non_null(strstr(err.text, ": cannot load 4096 bytes at GPA 0x102000: that is not RAM"));
    mem.region[0].size = ELF_DATA_GPA;
    assert_int_equal(kernel_load(&kernel, &mem, &err), -1);
    assert_non_null(strstr(err.text, ": cannot load 4096 bytes at GPA 0x102000: that is not RAM"));
    free(ram);

    /* The file shrinks after it was checked. */
    ram = make_ram(&mem, 2 * MIB);
    assert_int_equal(ftruncate(fd, ELF_DATA + 10), 0);
    assert_int_equal(kernel_load(&kernel, &mem, &err), -1);
    assert_non_null(strstr(err.text, ": the file ends at offset 1226, expected 54 more bytes: it "
                                     "shrank while it was in use"));
    image_file_close(&kernel.file);
    close(fd);
    free(ram);
}

int main(void)
{
    struct CMUnitTest kernel[BROKEN_COUNT + 6] = {
        cmocka_unit_test(opens_good),      cmocka_unit_test(opens_odd),
        cmocka_unit_test(opens_at_edges),  cmocka_unit_test(loads),
        cmocka_unit_test(refuses_to_load), cmocka_unit_test(refuses_huge_notes),
    };
    for (size_t i = 0; i < BROKEN_COUNT; i++)
        kernel[i + 6] = (struct CMUnitTest){.name = broken[i].name,
                                            .test_func = refuses,
                                            .initial_state = (void *)(uintptr_t)&broken[i]};
    return cmocka_run_group_tests(kernel, NULL, NULL);
}
