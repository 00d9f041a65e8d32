/*
 * names.c: names kept once each (see names.h): a hash table with open addressing over blocks of text.
 */
#include "names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK      (64 * 1024)
#define FIRST_SIZE 1024 /* slots; a power of two */

struct block {
    struct block *next;
    char bytes[];
};

struct slot {
    const char *text; /* NULL: free */
    uint32_t hash, len;
};

struct names {
    struct slot *slot;
    size_t slots, count, bytes;
    struct block *block;
    char *at;    /* the next name's place in the first block */
    size_t room; /* bytes from there to its end */
};

struct names *names_create(void)
{
    struct names *names = calloc(1, sizeof(*names));

    if (!names)
        return NULL;
    names->slots = FIRST_SIZE;
    names->slot = calloc(names->slots, sizeof(*names->slot));
    if (!names->slot) {
        free(names);
        return NULL;
    }
    return names;
}

void names_destroy(struct names *names)
{
    if (!names)
        return;
    while (names->block) {
        struct block *block = names->block;
        names->block = block->next;
        free(block);
    }
    free(names->slot);
    free(names);
}

/* FNV-1a. */
static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

static struct slot *find(const struct names *names, const char *text, size_t len, uint32_t hash)
{
    for (size_t i = hash;; i++) {
        struct slot *slot = &names->slot[i & (names->slots - 1)];
        if (!slot->text ||
            (slot->hash == hash && slot->len == len && memcmp(slot->text, text, len) == 0))
            return slot;
    }
}

static int grow(struct names *names)
{
    struct names larger = *names;

    larger.slots *= 2;
    larger.slot = calloc(larger.slots, sizeof(*larger.slot));
    if (!larger.slot)
        return -1;
    for (size_t i = 0; i < names->slots; i++) {
        const struct slot *slot = &names->slot[i];
        if (slot->text)
            *find(&larger, slot->text, slot->len, slot->hash) = *slot;
    }
    free(names->slot);
    *names = larger;
    return 0;
}

static const char *copy(struct names *names, const char *text, size_t len)
{
    if (len + 1 > names->room) {
        size_t size = len < BLOCK ? BLOCK : len + 1;
        struct block *block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        block->next = names->block;
        names->block = block;
        names->at = block->bytes;
        names->room = size;
        names->bytes += size;
    }
    char *kept = names->at;
    memcpy(kept, text, len);
    kept[len] = '\0';
    names->at += len + 1;
    names->room -= len + 1;
    return kept;
}

const char *names_keep(struct names *names, const char *text, size_t len)
{
    uint32_t hash = hash_of(text, len);
    struct slot *slot = find(names, text, len, hash);

    if (slot->text)
        return slot->text;
    if (names->count == NAMES_MAX || names->bytes + len > NAMES_BYTES_MAX || len > UINT32_MAX - 1)
        return NAMES_TOO_MANY;
    if (names->count * 2 >= names->slots) {
        if (grow(names) < 0)
            return NAMES_TOO_MANY;
        slot = find(names, text, len, hash);
    }
    const char *kept = copy(names, text, len);
    if (!kept)
        return NAMES_TOO_MANY;
    *slot = (struct slot){kept, hash, (uint32_t)len};
    names->count++;
    return kept;
}
