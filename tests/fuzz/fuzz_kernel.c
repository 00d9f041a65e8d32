/*
 * fuzz_kernel.c: kernel images that somebody made to hurt.  What kernel_open() accepts is loaded
 * and its symbols are read.
 *
 * An input that begins with 'R' is a whole file (the R left out). Any other is a list of patches
 * to a good kernel, four bytes each: offset (16 bits), width and shift, value. So a short input
 * reaches deep, and the corpus needs no binaries.
 */
#include "boot/image.h"
#include "trace/symbols.h"

#include "../unit/elf_builder.h"

#include <stdlib.h>

#define RAM 0x400000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One patch: the value, sign-extended and shifted, goes to OFFSET; behind the end of the image the
 * offset says how long the file is instead. */
static void patch(struct elf_builder *b, const uint8_t data[static 4])
{
    size_t offset = data[0] | (size_t)data[1] << 8;
    size_t width = (size_t)1 << (data[2] & 3);
    uint64_t value = (uint64_t)(int64_t)(int8_t)data[3] << (data[2] >> 2);
    if (offset + width <= ELF_SIZE)
        memcpy(b->bytes + offset, &value, width);
    else
        b->size = offset % sizeof(b->bytes);
}

static void load(const struct kernel_image *kernel)
{
    uint8_t *ram = calloc(1, RAM);
    struct mem mem = {0};
    struct error err;
    uint64_t offset;
    if (!ram || mem_add(&mem, 0, RAM, ram, false) < 0 || kernel->segment_count == 0 ||
        kernel->end > RAM || kernel_load(kernel, &mem, &err) < 0)
        abort();
    struct symbols *symbols = symbols_read(kernel->file.fd);
    symbols_find(symbols, kernel->entry, &offset);
    symbols_free(symbols);
    free(ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_builder b;
    elf_build(&b);
    bool raw = size > 0 && data[0] == 'R';
    if (!raw) {
        for (; size >= 4; data += 4, size -= 4)
            patch(&b, data);
    }

    char path[32];
    int fd = raw ? memory_file(data + 1, size - 1, path) : memory_file(b.bytes, b.size, path);
    if (fd < 0)
        abort();
    struct kernel_image kernel;
    struct error err = {.text = ""};
    if (kernel_open(&kernel, path, RAM, &err) == 0)
        load(&kernel);
    else if (err.status != STATUS_IMAGE || err.text[0] == '\0')
        abort();
    image_file_close(&kernel.file);
    close(fd);
    return 0;
}
