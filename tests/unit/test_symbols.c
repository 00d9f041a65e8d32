/*
 * test_symbols.c: symbols of this very program, of a small ELF built here, and of garbage.
 */
#include "trace/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { NULL_SECTION, TEXT, DATA, SYMTAB, STRTAB, SECTIONS };

#define TEXT_ADDR  0xffffffff80001000
#define TEXT_SIZE  0x400
#define TEXT_PADDR 0x101000

static const char strings[] =
    "\0start\0outer\0label\0local_alias\0Global\0data\0$x\0.Ltmp\0last\0bad\x1b[0mname\0"
    "tail";

/* An ELF64 kernel of one text section, linked high and loaded low. */
struct kernel {
    Elf64_Ehdr ehdr;
    Elf64_Phdr phdr;
    Elf64_Shdr shdr[SECTIONS];
    Elf64_Sym sym[13];
    char strings[sizeof(strings)];
};

static Elf64_Word string_at(const char *name)
{
    size_t len = strlen(name) + 1;

    for (Elf64_Word i = 0; i + len <= sizeof(strings); i++) {
        if (memcmp(strings + i, name, len) == 0)
            return i;
    }
    fail_msg("no string '%s'", name);
    return 0;
}

static Elf64_Sym sym(const char *name, int bind, int type, Elf64_Half section, uint64_t offset,
                     uint64_t size)
{
    return (Elf64_Sym){.st_name = string_at(name),
                       .st_info = (unsigned char)ELF64_ST_INFO(bind, type),
                       .st_shndx = section,
                       .st_value = TEXT_ADDR + offset,
                       .st_size = size};
}

static void make_kernel(struct kernel *k)
{
    *k = (struct kernel){
        .ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_X86_64,
                 .e_version = EV_CURRENT,
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phoff = offsetof(struct kernel, phdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 1,
                 .e_shoff = offsetof(struct kernel, shdr),
                 .e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = SECTIONS,
                 .e_shstrndx = STRTAB},
        .phdr = {.p_type = PT_LOAD,
                 .p_vaddr = TEXT_ADDR,
                 .p_paddr = TEXT_PADDR,
                 .p_memsz = TEXT_SIZE - 0x80},
        .shdr = {[TEXT] = {.sh_type = SHT_NOBITS,
                           .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                           .sh_addr = TEXT_ADDR,
                           .sh_size = TEXT_SIZE},
                 [DATA] = {.sh_type = SHT_NOBITS,
                           .sh_flags = SHF_ALLOC | SHF_WRITE,
                           .sh_addr = TEXT_ADDR + TEXT_SIZE,
                           .sh_size = 0x1000},
                 [SYMTAB] = {.sh_type = SHT_SYMTAB,
                             .sh_link = STRTAB,
                             .sh_offset = offsetof(struct kernel, sym),
                             .sh_size = sizeof(k->sym),
                             .sh_entsize = sizeof(Elf64_Sym)},
                 [STRTAB] = {.sh_type = SHT_STRTAB,
                             .sh_offset = offsetof(struct kernel, strings),
                             .sh_size = sizeof(strings)}},
        .sym = {[1] = sym("outer", STB_GLOBAL, STT_FUNC, TEXT, 0x10, 0xf0),
                [2] = sym("label", STB_LOCAL, STT_NOTYPE, TEXT, 0x20, 0x10),
                [3] = sym("local_alias", STB_LOCAL, STT_FUNC, TEXT, 0x100, 0x20),
                [4] = sym("Global", STB_GLOBAL, STT_FUNC, TEXT, 0x100, 0x20),
                [5] = sym("data", STB_GLOBAL, STT_NOTYPE, DATA, TEXT_SIZE, 0),
                [6] = sym("$x", STB_LOCAL, STT_NOTYPE, TEXT, 0x108, 0),
                [7] = sym(".Ltmp", STB_LOCAL, STT_NOTYPE, TEXT, 0x109, 0),
                [8] = sym("bad\x1b[0mname", STB_GLOBAL, STT_NOTYPE, TEXT, 0x200, 0),
                [9] = sym("last", STB_GLOBAL, STT_NOTYPE, TEXT, 0x300, 0),
                [10] = sym("tail", STB_GLOBAL, STT_FUNC, SHN_UNDEF, 0x310, 4),
                [11] = sym("tail", STB_GLOBAL, STT_FUNC, SHN_ABS, 0x310, 4),
                [12] = sym("start", STB_GLOBAL, STT_NOTYPE, TEXT, 0x8, 0)},
    };
    memcpy(k->strings, strings, sizeof(strings));
}

static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("symbols", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

static struct symbols *read_bytes(const void *bytes, size_t len)
{
    int fd = file_of(bytes, len);
    struct symbols *symbols = symbols_read(fd);

    close(fd);
    return symbols;
}

static void expect(const struct symbols *symbols, uint64_t addr, const char *text)
{
    char found[SYMBOLS_TEXT_MAX];

    symbols_format(symbols, addr, found);
    assert_string_equal(found, text);
}

static void addresses_to_names(void **state)
{
    struct kernel k;

    (void)state;
    make_kernel(&k);
    struct symbols *symbols = read_bytes(&k, sizeof(k));
    assert_non_null(symbols);
    expect(symbols, TEXT_ADDR + 0x7, "0xffffffff80001007"); /* before the first */
    expect(symbols, TEXT_ADDR + 0xf, "start+0x7");
    expect(symbols, TEXT_ADDR + 0x10, "outer");
    expect(symbols, TEXT_ADDR + 0x11, "outer+0x1");
    expect(symbols, TEXT_ADDR + 0x2f, "label+0xf");
    expect(symbols, TEXT_ADDR + 0x30, "outer+0x20"); /* behind the label, still in the function */
    expect(symbols, TEXT_ADDR + 0xff, "outer+0xef");
    expect(symbols, TEXT_ADDR + 0x100, "Global");             /* not its local alias */
    expect(symbols, TEXT_ADDR + 0x11f, "Global+0x1f");        /* not $x, not .Ltmp */
    expect(symbols, TEXT_ADDR + 0x120, "0xffffffff80001120"); /* a gap */
    expect(symbols, TEXT_ADDR + 0x2ff, "bad?[0mname+0xff");   /* no size: up to the next one */
    expect(symbols, TEXT_ADDR + 0x3ff, "last+0xff");          /* or to the end of the section */
    expect(symbols, TEXT_ADDR + 0x400, "0xffffffff80001400"); /* data is not code */
    expect(symbols, 0, "0x0");
    expect(symbols, UINT64_MAX, "0xffffffffffffffff");
    symbols_free(symbols);
}

static void physical_addresses(void **state)
{
    struct kernel k;

    (void)state;
    make_kernel(&k);
    struct symbols *symbols = read_bytes(&k, sizeof(k));
    expect(symbols, TEXT_PADDR + 0x12, "outer+0x2");
    expect(symbols, TEXT_PADDR + 0x37f, "last+0x7f");
    expect(symbols, TEXT_PADDR + 0x380, "0x101380"); /* behind the segment */
    expect(symbols, TEXT_PADDR - 1, "0x100fff");
    symbols_free(symbols);
}

static void no_symbols(void **state)
{
    uint64_t offset;

    (void)state;
    assert_null(symbols_find(NULL, 0x1234, &offset));
    expect(NULL, 0x1234, "0x1234");
    symbols_free(NULL);
    assert_null(symbols_read(-1));
    assert_null(read_bytes("", 0));
    assert_null(read_bytes("a text file\n", 12));
    assert_null(read_bytes("\177ELF", 4));

    struct kernel k;
    make_kernel(&k);
    k.shdr[SYMTAB].sh_type = SHT_NULL; /* stripped */
    assert_null(read_bytes(&k, sizeof(k)));
}

static void hostile_tables(void **state)
{
    struct kernel k;

    (void)state;
    make_kernel(&k);
    for (unsigned i = 1; i < 13; i++)
        k.sym[i].st_name = 0xffffffff; /* names outside the table */
    assert_null(read_bytes(&k, sizeof(k)));

    make_kernel(&k);
    for (unsigned i = 1; i < 13; i++)
        k.sym[i].st_shndx = 0x7fff; /* sections that do not exist */
    assert_null(read_bytes(&k, sizeof(k)));

    make_kernel(&k);
    k.sym[9].st_name = sizeof(strings) - 5; /* "tail", without its NUL */
    k.shdr[STRTAB].sh_size = sizeof(strings) - 1;
    struct symbols *symbols = read_bytes(&k, sizeof(k));
    expect(symbols, TEXT_ADDR + 0x300, "tail");
    symbols_free(symbols);

    make_kernel(&k);
    k.sym[9].st_size = UINT64_MAX; /* passes the end of the address space */
    symbols = read_bytes(&k, sizeof(k));
    expect(symbols, UINT64_MAX - 1, "last+0x7fffecfe");
    symbols_free(symbols);

    make_kernel(&k);
    k.shdr[SYMTAB].sh_link = SYMTAB;
    symbols_free(read_bytes(&k, sizeof(k)));
    k.shdr[SYMTAB].sh_link = TEXT; /* no bytes in the file */
    assert_null(read_bytes(&k, sizeof(k)));
    k.shdr[SYMTAB].sh_link = 0xffffffff;
    assert_null(read_bytes(&k, sizeof(k)));
    make_kernel(&k);
    k.shdr[SYMTAB].sh_entsize = 0;
    symbols_free(read_bytes(&k, sizeof(k)));
    k.shdr[SYMTAB].sh_size = UINT64_MAX;
    symbols_free(read_bytes(&k, sizeof(k)));
}

static void long_names_lose_their_middle(void **state)
{
    static char names[4096];
    struct {
        struct kernel k;
        char names[4096];
    } file;

    (void)state;
    memset(names, 'm', sizeof(names));
    memcpy(names + 1, "begin", 5);
    memcpy(names + sizeof(names) - 5, "stop", 5);
    names[0] = '\0';
    make_kernel(&file.k);
    memcpy(file.names, names, sizeof(names));
    file.k.shdr[STRTAB].sh_offset = sizeof(file.k);
    file.k.shdr[STRTAB].sh_size = sizeof(names);
    memset(&file.k.sym[2], 0, sizeof(file.k.sym) - 2 * sizeof(file.k.sym[0]));
    file.k.sym[1].st_name = 1;
    struct symbols *symbols = read_bytes(&file, sizeof(file));
    uint64_t offset;
    const char *name = symbols_find(symbols, TEXT_ADDR + 0x10, &offset);
    assert_non_null(name);
    assert_int_equal(strlen(name), SYMBOLS_NAME_MAX - 1);
    assert_memory_equal(name, "beginmmm", 8);
    assert_non_null(strstr(name, "mm..mm"));
    assert_string_equal(name + strlen(name) - 5, "mstop");
    symbols_free(symbols);
}

/* Whatever the damage: no crash, and no name that a terminal should not see. */
static void damaged_files(void **state)
{
    struct kernel k;

    (void)state;
    make_kernel(&k);
    for (size_t len = 0; len < sizeof(k); len++)
        symbols_free(read_bytes(&k, len));
    srandom(4);
    for (unsigned i = 0; i < 5000; i++) {
        make_kernel(&k);
        for (unsigned n = 0; n < 4; n++) {
            size_t at = (size_t)random() % sizeof(k);
            ((uint8_t *)&k)[at >= EI_DATA ? at : EI_DATA] = (uint8_t)random();
        }
        struct symbols *symbols = read_bytes(&k, sizeof(k));
        char text[SYMBOLS_TEXT_MAX];
        symbols_format(symbols, TEXT_ADDR + (uint64_t)random() % TEXT_SIZE, text);
        for (const char *c = text; *c; c++)
            assert_true(*c > 0x20 && *c < 0x7f);
        symbols_free(symbols);
    }
}

extern const char __executable_start[]; /* the linker's: where this program was loaded */

static void this_program(void **state)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct symbols *symbols = symbols_read(fd);
    uint64_t offset = 1;

    (void)state;
    close(fd);
    assert_non_null(symbols);
    uint64_t here = (uint64_t)((uintptr_t)this_program - (uintptr_t)__executable_start);
    const char *name = symbols_find(symbols, here, &offset);
    if (!name) /* linked at a fixed address */
        name = symbols_find(symbols, (uint64_t)(uintptr_t)this_program, &offset);
    assert_non_null(name);
    assert_string_equal(name, "this_program");
    assert_int_equal(offset, 0);
    symbols_free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_to_names),
        cmocka_unit_test(physical_addresses),
        cmocka_unit_test(no_symbols),
        cmocka_unit_test(hostile_tables),
        cmocka_unit_test(long_names_lose_their_middle),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(this_program),
    };
    return cmocka_run_group_tests_name("symbols", tests, NULL, NULL);
}
