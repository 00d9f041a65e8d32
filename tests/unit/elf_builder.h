/*
 * elf_builder.h: a small ELF64 kernel with a PVH note, made in memory, for tests and fuzzers to
 * break in chosen ways (System V ABI, chapters 4 and 5).
 *
 *   0x000 ELF header      0x040 program headers: text, data, note (room for 18)
 *   0x440 note            0x480 text      0x4c0 data
 *   0x500 symbol table    0x560 strings   0x580 section headers: null, text, symbols, strings
 */
#ifndef KVMLENS_ELF_BUILDER_H
#define KVMLENS_ELF_BUILDER_H

#include <elf.h>
#include <pvh.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    ELF_PHDRS = 0x40,
    ELF_NOTE = 0x440,
    ELF_TEXT = 0x480,
    ELF_DATA = 0x4c0,
    ELF_PART_SIZE = 0x40, /* text and data */
    ELF_SYMBOLS = 0x500,
    ELF_STRINGS = 0x560,
    ELF_SHDRS = 0x580,
    ELF_SIZE = ELF_SHDRS + 4 * 64,
    ELF_TEXT_GPA = 0x100000,
    ELF_DATA_GPA = 0x102000,
    ELF_DATA_MEMSZ = 0x1000,
    ELF_ENTRY = ELF_TEXT_GPA + 0x10,
};

struct elf_builder {
    _Alignas(8) uint8_t bytes[2 * ELF_SIZE];
    size_t size;
};

static inline Elf64_Ehdr *elf_header(struct elf_builder *b)
{
    return (Elf64_Ehdr *)(void *)b->bytes;
}

static inline Elf64_Phdr *elf_program(struct elf_builder *b, unsigned i)
{
    return (Elf64_Phdr *)(void *)(b->bytes + ELF_PHDRS) + i;
}

static inline Elf64_Shdr *elf_section(struct elf_builder *b, unsigned i)
{
    return (Elf64_Shdr *)(void *)(b->bytes + ELF_SHDRS) + i;
}

/* Writes one note at OFFSET; the offset after it. */
static inline size_t elf_add_note(struct elf_builder *b, size_t offset, const char *name,
                                  uint32_t type, const void *desc, uint32_t size)
{
    Elf64_Nhdr note = {.n_namesz = (Elf64_Word)strlen(name) + 1, .n_descsz = size, .n_type = type};
    memcpy(b->bytes + offset, &note, sizeof(note));
    memcpy(b->bytes + offset + sizeof(note), name, note.n_namesz);
    offset += sizeof(note) + ((note.n_namesz + 3) & ~3u);
    memcpy(b->bytes + offset, desc, size);
    return offset + ((size + 3) & ~3u);
}

/* Makes the note segment hold the PVH note with ENTRY, and nothing else. */
static inline void elf_set_pvh_note(struct elf_builder *b, const void *entry, uint32_t size)
{
    size_t end = elf_add_note(b, ELF_NOTE, PVH_NOTE_NAME, PVH_NOTE_TYPE, entry, size);
    elf_program(b, 2)->p_filesz = end - ELF_NOTE;
}

/* One function, "start", and the sections that a symbol table needs. */
static inline void elf_build_symbols(struct elf_builder *b)
{
    Elf64_Sym symbol = {.st_name = 1,
                        .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                        .st_shndx = 1,
                        .st_value = ELF_ENTRY,
                        .st_size = 0x10};
    memcpy(b->bytes + ELF_SYMBOLS + sizeof(symbol), &symbol, sizeof(symbol));
    memcpy(b->bytes + ELF_STRINGS, "\0start", sizeof("\0start"));
    *elf_section(b, 1) = (Elf64_Shdr){.sh_type = SHT_PROGBITS,
                                      .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                      .sh_addr = ELF_TEXT_GPA,
                                      .sh_offset = ELF_TEXT,
                                      .sh_size = ELF_PART_SIZE};
    *elf_section(b, 2) = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                                      .sh_offset = ELF_SYMBOLS,
                                      .sh_size = 2 * sizeof(symbol),
                                      .sh_link = 3,
                                      .sh_info = 1,
                                      .sh_addralign = 8,
                                      .sh_entsize = sizeof(symbol)};
    *elf_section(b, 3) = (Elf64_Shdr){
        .sh_type = SHT_STRTAB, .sh_offset = ELF_STRINGS, .sh_size = 0x20, .sh_addralign = 1};
}

/* A kernel that is right in every way. */
static inline void elf_build(struct elf_builder *b)
{
    memset(b, 0, sizeof(*b));
    b->size = ELF_SIZE;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = ELF_TEXT_GPA,
        .e_phoff = ELF_PHDRS,
        .e_shoff = ELF_SHDRS,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 4};
    *elf_header(b) = header;
    *elf_program(b, 0) = (Elf64_Phdr){.p_type = PT_LOAD,
                                      .p_flags = PF_R | PF_X,
                                      .p_offset = ELF_TEXT,
                                      .p_vaddr = ELF_TEXT_GPA,
                                      .p_paddr = ELF_TEXT_GPA,
                                      .p_filesz = ELF_PART_SIZE,
                                      .p_memsz = ELF_PART_SIZE};
    *elf_program(b, 1) = (Elf64_Phdr){.p_type = PT_LOAD,
                                      .p_flags = PF_R | PF_W,
                                      .p_offset = ELF_DATA,
                                      .p_vaddr = ELF_DATA_GPA,
                                      .p_paddr = ELF_DATA_GPA,
                                      .p_filesz = ELF_PART_SIZE,
                                      .p_memsz = ELF_DATA_MEMSZ};
    *elf_program(b, 2) =
        (Elf64_Phdr){.p_type = PT_NOTE, .p_flags = PF_R, .p_offset = ELF_NOTE, .p_align = 4};
    uint32_t entry = ELF_ENTRY;
    elf_set_pvh_note(b, &entry, sizeof(entry));
    memset(b->bytes + ELF_TEXT, 'T', ELF_PART_SIZE);
    memset(b->bytes + ELF_DATA, 'D', ELF_PART_SIZE);
    elf_build_symbols(b);
}

/* Writes SIZE bytes to a new memory file and its path to PATH. The file descriptor, which keeps
 * the file alive until it is closed, or -1. */
static inline int memory_file(const void *bytes, size_t size, char path[static 32])
{
    int fd = memfd_create("image", MFD_CLOEXEC);
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
