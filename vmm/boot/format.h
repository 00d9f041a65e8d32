/*
 * boot/format.h: what kind of file a kernel image is, before anything in it is believed.
 */
#ifndef KVMLENS_BOOT_FORMAT_H
#define KVMLENS_BOOT_FORMAT_H

#include "file.h"

#include <elf.h>

/* Reads FILE's ELF header to *HEADER and checks it: ELF64, little-endian, x86-64, ET_EXEC, with
 * its program headers inside the file. 0, or -1 with *err, which names what the file is instead. */
int format_check(const struct image_file *file, Elf64_Ehdr *header, struct error *err);

/* What to say of a kernel that cannot boot but has a Multiboot header, else "". */
const char *format_multiboot_hint(const struct image_file *file);

#endif
