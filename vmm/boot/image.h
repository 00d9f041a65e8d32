/*
 * image.h: what the guest starts from: an ELF kernel, a ROM, an initrd.  Files are opened and
 * wholly checked before a VM exists; loading them into guest memory comes later.
 */
#ifndef KVMLENS_IMAGE_H
#define KVMLENS_IMAGE_H

#include "../error.h"
#include "../mem.h"

#include <stdbool.h>
#include <stdint.h>

/* An open regular file. Release with image_file_close() (also after a failed open). */
struct image_file {
    const char *path; /* borrowed */
    int fd;           /* -1: not open */
    uint64_t size;    /* bytes */
};

void image_file_close(struct image_file *file);

/* Reads SIZE bytes at OFFSET of the file straight into guest memory at GPA. 0, or -1 with *err:
 * a file that shrank since it was checked, a read error, or a GPA range that is not RAM. */
int image_file_load(const struct image_file *file, uint64_t offset, uint64_t size,
                    const struct mem *mem, uint64_t gpa, struct error *err);

#define KERNEL_SEGMENTS_MAX 16

struct kernel_segment {
    uint64_t offset; /* in the file */
    uint64_t filesz, memsz;
    uint64_t gpa;
};

/* An ELF64 x86-64 executable with a PVH entry note. */
struct kernel_image {
    struct image_file file;
    struct kernel_segment segment[KERNEL_SEGMENTS_MAX];
    unsigned segment_count;
    uint32_t entry; /* PVH entry point, GPA */
    uint64_t end;   /* GPA after the highest segment */
};

/* Opens and checks a kernel for a machine with RAM_BYTES of RAM. On failure *err (STATUS_IMAGE)
 * is one line: the path, what was found at which offset, and what was expected. */
int kernel_open(struct kernel_image *kernel, const char *path, uint64_t ram_bytes,
                struct error *err);
/* Copies the segments into MEM, which is fresh and all zero: the BSS is not touched, so that it
 * costs no host memory. 0, or -1 with *err. */
int kernel_load(const struct kernel_image *kernel, const struct mem *mem, struct error *err);

/* Opens and checks a ROM: a multiple of 64 KiB, at most 8 MiB (ROM_UNIT, ROM_MAX). */
int rom_open(struct image_file *rom, const char *path, struct error *err);
/* Copies the ROM to HOST, which has rom->size bytes. */
int rom_load(const struct image_file *rom, uint8_t *host, struct error *err);

/* Opens an initrd and finds its place: page-aligned, as high as it fits in RAM below 3 GiB, and
 * not on KERNEL. Sets *gpa. */
int initrd_open(struct image_file *initrd, const char *path, const struct kernel_image *kernel,
                uint64_t ram_bytes, uint64_t *gpa, struct error *err);

#endif
