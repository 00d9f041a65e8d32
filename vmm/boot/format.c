/*
 * format.c: the ELF header of a kernel, and names for the files that people hand over instead
 * (System V ABI, chapter 4, "ELF Header"; Linux Documentation/arch/x86/boot.rst; Multiboot 0.6.96
 * section 3.1; Multiboot2 2.0 section 3.1).
 */
#include "format.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define WANTED    "-kernel takes an ELF64 x86-64 executable with a PVH note"
#define AT(field) (int)offsetof(Elf64_Ehdr, field)

static const char *compression(const uint8_t head[static 4])
{
    if (head[0] == 0x1f && head[1] == 0x8b)
        return "gzip";
    if (!memcmp(head, "\x28\xb5\x2f\xfd", 4))
        return "zstd";
    if (!memcmp(head,
                "\xfd"
                "7zX",
                4))
        return "xz";
    if (!memcmp(head, "BZh", 3))
        return "bzip2";
    return NULL;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_AARCH64:
        return "AArch64";
    case EM_ARM:
        return "Arm";
    case EM_RISCV:
        return "RISC-V";
    case EM_LOONGARCH:
        return "LoongArch";
    case EM_MIPS:
        return "MIPS";
    case EM_PPC64:
        return "PowerPC64";
    case EM_S390:
        return "S/390";
    default:
        return "an unknown machine";
    }
}

const char *format_multiboot_hint(const struct image_file *file)
{
    static const char hint[] =
        "; it has a Multiboot header, but kvmlens boots by the PVH protocol only";
    uint32_t words[32768 / 4] = {0};
    size_t count = image_file_peek(file, 0, words, sizeof(words)) / 4;
    for (size_t i = 0; i + 4 <= count; i++) {
        const uint32_t *w = &words[i];
        if (i < 8192 / 4 && w[0] == 0x1badb002 && w[0] + w[1] + w[2] == 0)
            return hint;
        if (i % 2 == 0 && w[0] == 0xe85250d6 && w[0] + w[1] + w[2] + w[3] == 0)
            return hint;
    }
    return "";
}

/* The error for a FILE that begins with the COUNT bytes of HEAD, which are no ELF header's. */
static int not_elf(const struct image_file *file, const uint8_t head[static 4], size_t count,
                   struct error *err)
{
    char mark[4];
    if (image_file_peek(file, 0x202, mark, sizeof(mark)) == sizeof(mark) &&
        !memcmp(mark, "HdrS", sizeof(mark)))
        return image_error(file, err,
                           "a Linux bzImage (\"HdrS\" at offset 0x202); kvmlens boots ELF kernels "
                           "with a PVH note: use the uncompressed vmlinux of a kernel built with "
                           "CONFIG_PVH");
    const char *packed = count < 4 ? NULL : compression(head);
    if (packed)
        return image_error(file, err,
                           "a file compressed with %s (found bytes %02x %02x at offset 0, expected "
                           "7f 45 4c 46); unpack it first",
                           packed, head[0], head[1]);

    char found[16] = "";
    for (size_t i = 0; i < count && i < 4; i++)
        snprintf(found + 3 * i, sizeof(found) - 3 * i, " %02x", head[i]);
    return image_error(
        file, err, "not an ELF file: found bytes%s at offset 0, expected 7f 45 4c 46; " WANTED "%s",
        found, format_multiboot_hint(file));
}

static int check_ident(const struct image_file *file, const Elf64_Ehdr *header, struct error *err)
{
    const unsigned char *ident = header->e_ident;
    if (ident[EI_CLASS] == ELFCLASS32)
        return image_error(
            file, err, "an ELF32 file: found class 1 at offset 4, expected 2 (ELF64); " WANTED "%s",
            format_multiboot_hint(file));
    if (ident[EI_CLASS] != ELFCLASS64)
        return image_error(file, err, "found ELF class %u at offset 4, expected 2 (ELF64)",
                           ident[EI_CLASS]);
    if (ident[EI_DATA] == ELFDATA2MSB)
        return image_error(file, err,
                           "a big-endian ELF file: found data encoding 2 at offset 5, expected 1 "
                           "(little-endian); " WANTED);
    if (ident[EI_DATA] != ELFDATA2LSB)
        return image_error(file, err,
                           "found data encoding %u at offset 5, expected 1 "
                           "(little-endian)",
                           ident[EI_DATA]);
    if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
        return image_error(
            file, err, "found ELF versions %u at offset 6 and %" PRIu32 " at offset %d, expected 1",
            ident[EI_VERSION], header->e_version, AT(e_version));
    if (header->e_machine != EM_X86_64)
        return image_error(
            file, err, "an ELF file for %s: found machine %u at offset %d, expected %d (x86-64)",
            machine_name(header->e_machine), header->e_machine, AT(e_machine), EM_X86_64);
    return 0;
}

static int check_type(const struct image_file *file, const Elf64_Ehdr *header, struct error *err)
{
    switch (header->e_type) {
    case ET_EXEC:
        return 0;
    case ET_DYN:
        return image_error(file, err,
                           "a position-independent ELF file: found type 3 (ET_DYN) at offset %d, "
                           "expected 2 (ET_EXEC); link it with -no-pie at a fixed address",
                           AT(e_type));
    case ET_REL:
        return image_error(file, err,
                           "an object file: found type 1 (ET_REL) at offset %d, expected 2 "
                           "(ET_EXEC); link it first",
                           AT(e_type));
    default:
        return image_error(file, err, "found ELF type %u at offset %d, expected 2 (ET_EXEC)",
                           header->e_type, AT(e_type));
    }
}

static int check_tables(const struct image_file *file, const Elf64_Ehdr *header, struct error *err)
{
    uint64_t size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
    if (header->e_phnum == 0)
        return image_error(file, err,
                           "found no program headers (e_phnum 0 at offset %d), expected at least "
                           "PT_LOAD and PT_NOTE",
                           AT(e_phnum));
    if (header->e_phnum == PN_XNUM)
        return image_error(file, err, "found 65535 or more program headers (at offset %d)",
                           AT(e_phnum));
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return image_error(file, err,
                           "found program headers of %u bytes (at offset %d), expected %zu",
                           header->e_phentsize, AT(e_phentsize), sizeof(Elf64_Phdr));
    if (header->e_phoff > file->size || file->size - header->e_phoff < size)
        return image_error(file, err,
                           "truncated: found %u program headers at offset %" PRIu64 " (%" PRIu64
                           " bytes), but the file ends at offset %" PRIu64,
                           header->e_phnum, header->e_phoff, size, file->size);
    /* Extended numbering would have libelf allocate what section 0 says; no kernel needs it. */
    if (header->e_shnum == 0 && header->e_shoff != 0)
        return image_error(file, err,
                           "found a section table (e_shoff %" PRIu64 " at offset %d) of 0 sections "
                           "(e_shnum at offset %d)",
                           header->e_shoff, AT(e_shoff), AT(e_shnum));
    return 0;
}

int format_check(const struct image_file *file, Elf64_Ehdr *header, struct error *err)
{
    *header = (Elf64_Ehdr){0};
    size_t count = image_file_peek(file, 0, header, sizeof(*header));
    if (count < SELFMAG || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return not_elf(file, header->e_ident, count, err);
    if (count < sizeof(*header))
        return image_error(file, err,
                           "truncated ELF header: the file ends at offset %zu, expected %zu bytes",
                           count, sizeof(*header));
    if (check_ident(file, header, err) < 0 || check_type(file, header, err) < 0)
        return -1;
    return check_tables(file, header, err);
}
