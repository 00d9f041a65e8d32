/*
 * fdt.c: a reader of flattened device trees (Devicetree Specification v0.4, chapter 5).  Each
 * offset and length in the blob is checked before it is followed.
 */
#include "kernel.h"

#define FDT_MAGIC       0xd00dfeed
#define FDT_HEADER_SIZE 40
#define FDT_VERSION     17
#define FDT_NOP         4

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool fdt_open(struct fdt *fdt, const uint8_t *blob, uint32_t capacity)
{
    if (capacity < FDT_HEADER_SIZE || big_endian(blob) != FDT_MAGIC)
        return false;
    uint32_t total = big_endian(blob + 4), structs = big_endian(blob + 8);
    uint32_t strings = big_endian(blob + 12), last_compatible = big_endian(blob + 24);
    uint32_t strings_size = big_endian(blob + 32), structs_size = big_endian(blob + 36);
    if (last_compatible > FDT_VERSION || total > capacity || structs > total || strings > total ||
        structs_size > total - structs || strings_size > total - strings || structs % 4)
        return false;
    *fdt = (struct fdt){blob, structs, structs + structs_size, strings, strings + strings_size};
    return true;
}

/* The text at OFFSET, or NULL if it does not end before END. */
static const char *text_at(const struct fdt *fdt, uint32_t offset, uint32_t end)
{
    for (uint32_t i = offset; i < end; i++) {
        if (fdt->blob[i] == 0)
            return (const char *)fdt->blob + offset;
    }
    return NULL;
}

/* Reads one 32-bit word and moves on; FDT_END when there is none left. */
static uint32_t word(const struct fdt *fdt, uint32_t *offset)
{
    uint32_t at = fdt->structs + *offset;
    if (*offset > fdt->structs_end - fdt->structs || fdt->structs_end - at < 4)
        return FDT_END;
    *offset += 4;
    return big_endian(fdt->blob + at);
}

struct fdt_item fdt_next(const struct fdt *fdt, uint32_t *offset)
{
    struct fdt_item end = {.token = FDT_END}, item = end;
    uint32_t token;
    do
        token = word(fdt, offset);
    while (token == FDT_NOP);

    if (token == FDT_NODE) {
        item.name = text_at(fdt, fdt->structs + *offset, fdt->structs_end);
        if (!item.name)
            return end;
        *offset += ((uint32_t)strlen(item.name) + 4) & ~3u; /* with its NUL, padded */
    } else if (token == FDT_PROPERTY) {
        item.size = word(fdt, offset);
        uint32_t name = word(fdt, offset), at = fdt->structs + *offset;
        if (name >= fdt->strings_end - fdt->strings || item.size > fdt->structs_end - at)
            return end;
        item.name = text_at(fdt, fdt->strings + name, fdt->strings_end);
        if (!item.name)
            return end;
        item.data = fdt->blob + at;
        *offset += (item.size + 3) & ~3u;
    } else if (token != FDT_NODE_END) {
        return end;
    }
    item.token = (enum fdt_token)token;
    return item;
}

bool fdt_is_text(const struct fdt_item *property)
{
    if (property->size < 2 || property->data[property->size - 1] != 0)
        return false;
    for (uint32_t i = 0; i + 1 < property->size; i++) {
        if (property->data[i] < ' ' || property->data[i] > '~')
            return false;
    }
    return true;
}

uint32_t fdt_cell(const struct fdt_item *property, uint32_t index)
{
    if (index >= property->size / 4)
        return 0;
    return big_endian(property->data + 4 * index);
}
