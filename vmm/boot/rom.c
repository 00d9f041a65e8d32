/*
 * rom.c: the ROM of -bios: a flat image that ends at 4 GiB, so that its last 16 bytes are at the
 * reset vector (Intel SDM vol. 3A, section 9.1.4).
 */
#include "file.h"

#include <elf.h>
#include <inttypes.h>
#include <memmap.h>
#include <string.h>

int rom_open(struct image_file *rom, const char *path, struct error *err)
{
    if (image_file_open(rom, path, err) < 0)
        return -1;

    char magic[SELFMAG];
    if (image_file_peek(rom, 0, magic, sizeof(magic)) == sizeof(magic) &&
        !memcmp(magic, ELFMAG, sizeof(magic)))
        return image_error(rom, err,
                           "found an ELF file, expected a flat ROM; use -kernel to boot an ELF "
                           "kernel");
    if (rom->size > ROM_MAX)
        return image_error(rom, err,
                           "found a ROM of %" PRIu64 " bytes, expected at most %d (8 MiB)",
                           rom->size, ROM_MAX);
    if (rom->size % ROM_UNIT)
        return image_error(rom, err,
                           "found a ROM of %" PRIu64 " bytes, expected a multiple of %d (64 KiB); "
                           "pad it at its start: its last 16 bytes are the reset vector",
                           rom->size, ROM_UNIT);
    return 0;
}

int rom_load(const struct image_file *rom, uint8_t *host, struct error *err)
{
    return image_file_read(rom, 0, host, rom->size, err);
}
