/*
 * boot/file.h: what the loaders of vmm/boot share: opening and reading an image file, and the one
 * line that says what is wrong with it.
 */
#ifndef KVMLENS_BOOT_FILE_H
#define KVMLENS_BOOT_FILE_H

#include "image.h"

#include <stddef.h>

/* Opens PATH, which must be a regular file and not empty. 0, or -1 with *err. */
int image_file_open(struct image_file *file, const char *path, struct error *err);

/* Reads SIZE bytes at OFFSET to TO. 0, or -1 with *err: a read error or the end of the file. */
int image_file_read(const struct image_file *file, uint64_t offset, void *to, uint64_t size,
                    struct error *err);

/* Reads at most SIZE bytes at OFFSET to TO; the bytes read, 0 at the end and on any error. For a
 * closer look at a file that is refused anyway. */
size_t image_file_peek(const struct image_file *file, uint64_t offset, void *to, size_t size);

/* error_set() with STATUS_IMAGE and the file's path in front (its tail, if it is long). */
int image_error(const struct image_file *file, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
