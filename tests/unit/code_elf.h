/*
 * code_elf.h: a small ELF64 file with code, symbols and DWARF 5 lines, made in memory, for tests
 * and fuzzers to break in chosen ways (System V gABI, chapters 4 and 5; DWARF 5, sections 6.2, 7.5).
 *
 *   offset  code        line     symbol
 *   +0      nop nop     a.c:10   start, 4 bytes
 *   +2      out dx, al  a.c:11
 *   +3      hlt         inc.h:12
 *   +4      nop         inc.h:12
 *   +8      nop         none     tail, 8 bytes, to the end of the segment
 *   +15     out dx, al
 */
#ifndef KVMLENS_CODE_ELF_H
#define KVMLENS_CODE_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_ELF_ADDR  0xffffffff80100000
#define CODE_ELF_PADDR 0x100000
#define CODE_ELF_SIZE  16

enum {
    CODE_ELF_NULL,
    CODE_ELF_TEXT,
    CODE_ELF_SYMTAB,
    CODE_ELF_STRTAB,
    CODE_ELF_ABBREV,
    CODE_ELF_INFO,
    CODE_ELF_LINE,
    CODE_ELF_SECTIONS
};

#define CODE_ELF_STRINGS                                                                           \
    "\0start\0tail\0.text\0.symtab\0.strtab\0.debug_abbrev\0.debug_info\0.debug_line"

/* A compilation unit: its lines, its code, its folder, all in the entry itself. */
#define CODE_ELF_ABBREVS "\1\x11\0\x10\x17\x11\1\x12\6\x1b\x8\0\0"

struct __attribute__((packed)) code_elf_info {
    uint32_t length;
    uint16_t version;
    uint8_t type, address_size;
    uint32_t abbrev_offset;
    uint8_t abbrev;
    uint32_t lines;
    uint64_t low;
    uint32_t size;
    char folder[5];
};

/* Folders: /src and /src/include; files: a.c twice (0 is the unit's own), and inc.h. */
#define CODE_ELF_LINE_HEAD                                                                         \
    "\1\1\1\xfb\xe\xd\0\1\1\1\1\0\0\0\1\0\0\1"                                                     \
    "\1\1\x8\2/src\0/src/include"
#define CODE_ELF_LINE_FILES "\2\1\x8\2\xb\3a.c\0\0a.c\0\0inc.h\0\1"
/* +0 line 10; +2 line 11; +3 inc.h line 12; end at +8. */
#define CODE_ELF_LINE_ROWS "\3\x9\1\2\2\3\1\1\4\2\2\1\3\1\1\2\5\0\1\1"

struct __attribute__((packed)) code_elf_line {
    uint32_t length;
    uint16_t version;
    uint8_t address_size, selector_size;
    uint32_t header_length;
    char head[sizeof(CODE_ELF_LINE_HEAD)];
    char files[sizeof(CODE_ELF_LINE_FILES) - 1];
    char set_address[3];
    uint64_t address;
    char rows[sizeof(CODE_ELF_LINE_ROWS) - 1];
};

struct code_elf {
    Elf64_Ehdr ehdr;
    Elf64_Phdr phdr;
    Elf64_Shdr shdr[CODE_ELF_SECTIONS];
    Elf64_Sym sym[3];
    uint8_t text[CODE_ELF_SIZE];
    char strings[sizeof(CODE_ELF_STRINGS)];
    char abbrevs[sizeof(CODE_ELF_ABBREVS)];
    struct code_elf_info info;
    struct code_elf_line line;
};

static inline Elf64_Word code_elf_string(const char *name)
{
    static const char strings[] = CODE_ELF_STRINGS;
    size_t len = strlen(name) + 1, at = 0;

    while (at + len < sizeof(strings) && memcmp(strings + at, name, len) != 0)
        at++;
    return (Elf64_Word)at;
}

static inline void code_elf_section(struct code_elf *elf, unsigned i, Elf64_Word type,
                                    const char *name, const void *start, size_t size)
{
    elf->shdr[i] = (Elf64_Shdr){.sh_name = code_elf_string(name),
                                .sh_type = type,
                                .sh_offset = (Elf64_Off)((const char *)start - (const char *)elf),
                                .sh_size = size,
                                .sh_addralign = 1};
}

static inline void code_elf_dwarf(struct code_elf *elf)
{
    memcpy(elf->abbrevs, CODE_ELF_ABBREVS, sizeof(elf->abbrevs));
    elf->info = (struct code_elf_info){.length = sizeof(elf->info) - 4,
                                       .version = 5,
                                       .type = 1, /* DW_UT_compile */
                                       .address_size = 8,
                                       .abbrev = 1,
                                       .low = CODE_ELF_ADDR,
                                       .size = CODE_ELF_SIZE,
                                       .folder = "/src"};
    elf->line = (struct code_elf_line){
        .length = sizeof(elf->line) - 4,
        .version = 5,
        .address_size = 8,
        .header_length = sizeof(elf->line.head) + sizeof(elf->line.files),
        .set_address = {0, 9, 2},
        .address = CODE_ELF_ADDR,
    };
    memcpy(elf->line.head, CODE_ELF_LINE_HEAD, sizeof(elf->line.head));
    memcpy(elf->line.files, CODE_ELF_LINE_FILES, sizeof(elf->line.files));
    memcpy(elf->line.rows, CODE_ELF_LINE_ROWS, sizeof(elf->line.rows));
}

static inline void code_elf_build(struct code_elf *elf)
{
    memset(elf, 0, sizeof(*elf));
    elf->ehdr = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phoff = offsetof(struct code_elf, phdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
        .e_shoff = offsetof(struct code_elf, shdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = CODE_ELF_SECTIONS,
        .e_shstrndx = CODE_ELF_STRTAB};
    elf->phdr = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_offset = offsetof(struct code_elf, text),
                             .p_vaddr = CODE_ELF_ADDR,
                             .p_paddr = CODE_ELF_PADDR,
                             .p_filesz = CODE_ELF_SIZE,
                             .p_memsz = 2 * CODE_ELF_SIZE};
    code_elf_section(elf, CODE_ELF_TEXT, SHT_PROGBITS, ".text", elf->text, CODE_ELF_SIZE);
    elf->shdr[CODE_ELF_TEXT].sh_addr = CODE_ELF_ADDR;
    elf->shdr[CODE_ELF_TEXT].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    code_elf_section(elf, CODE_ELF_SYMTAB, SHT_SYMTAB, ".symtab", elf->sym, sizeof(elf->sym));
    elf->shdr[CODE_ELF_SYMTAB].sh_link = CODE_ELF_STRTAB;
    elf->shdr[CODE_ELF_SYMTAB].sh_entsize = sizeof(elf->sym[0]);
    elf->shdr[CODE_ELF_SYMTAB].sh_addralign = 8;
    code_elf_section(elf, CODE_ELF_STRTAB, SHT_STRTAB, ".strtab", elf->strings,
                     sizeof(elf->strings));
    code_elf_section(elf, CODE_ELF_ABBREV, SHT_PROGBITS, ".debug_abbrev", elf->abbrevs,
                     sizeof(elf->abbrevs));
    code_elf_section(elf, CODE_ELF_INFO, SHT_PROGBITS, ".debug_info", &elf->info,
                     sizeof(elf->info));
    code_elf_section(elf, CODE_ELF_LINE, SHT_PROGBITS, ".debug_line", &elf->line,
                     sizeof(elf->line));
    elf->sym[1] = (Elf64_Sym){.st_name = code_elf_string("start"),
                              .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                              .st_shndx = CODE_ELF_TEXT,
                              .st_value = CODE_ELF_ADDR,
                              .st_size = 4};
    elf->sym[2] = elf->sym[1];
    elf->sym[2].st_name = code_elf_string("tail");
    elf->sym[2].st_value = CODE_ELF_ADDR + 8;
    elf->sym[2].st_size = 8;
    memset(elf->text, 0x90, sizeof(elf->text));
    elf->text[2] = elf->text[15] = 0xee;
    elf->text[3] = 0xf4;
    memcpy(elf->strings, CODE_ELF_STRINGS, sizeof(elf->strings));
    code_elf_dwarf(elf);
}

/* Writes SIZE bytes to a new memory file and its path to PATH. Its descriptor, to be closed, or -1. */
static inline int code_elf_file(const void *bytes, size_t size, char path[static 32])
{
    int fd = memfd_create("code", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, bytes, size) != (ssize_t)size) {
        close(fd);
        return -1;
    }
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
