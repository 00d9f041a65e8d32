/*
 * mem.c: guest physical memory (see mem.h).  Every comparison subtracts first, so that no guest
 * address or length can wrap around.
 */
#include "mem.h"

#include <errno.h>
#include <string.h>

int mem_add(struct mem *mem, uint64_t gpa, uint64_t size, uint8_t *host, bool readonly)
{
    if (size == 0 || size - 1 > UINT64_MAX - gpa) {
        return -EINVAL;
    }
    unsigned at = 0;
    while (at < mem->count && mem->region[at].gpa < gpa) {
        at++;
    }
    if (at > 0 && gpa - mem->region[at - 1].gpa < mem->region[at - 1].size) {
        return -EEXIST;
    }
    if (at < mem->count && mem->region[at].gpa - gpa < size) {
        return -EEXIST;
    }
    if (mem->count == MEM_REGIONS_MAX) {
        return -ENOSPC;
    }
    memmove(&mem->region[at + 1], &mem->region[at], (mem->count - at) * sizeof(mem->region[0]));
    mem->region[at] =
        (struct mem_region){.gpa = gpa, .size = size, .host = host, .readonly = readonly};
    mem->count++;
    return 0;
}

uint8_t *mem_find(const struct mem *mem, uint64_t gpa, bool write, uint64_t *left)
{
    for (unsigned i = 0; i < mem->count; i++) {
        const struct mem_region *region = &mem->region[i];
        if (gpa >= region->gpa && gpa - region->gpa < region->size) {
            *left = region->size - (gpa - region->gpa);
            return write && region->readonly ? NULL : region->host + (gpa - region->gpa);
        }
    }
    return NULL;
}

static uint8_t *find_all(const struct mem *mem, uint64_t gpa, uint64_t len, bool write)
{
    uint64_t left;
    uint8_t *host = mem_find(mem, gpa, write, &left);
    return host && len > 0 && len <= left ? host : NULL;
}

void *mem_ptr(const struct mem *mem, uint64_t gpa, uint64_t len)
{
    return find_all(mem, gpa, len, true);
}

const void *mem_peek(const struct mem *mem, uint64_t gpa, uint64_t len)
{
    return find_all(mem, gpa, len, false);
}

/* True if all of [gpa, gpa+len) is memory that may be accessed so. */
static bool covered(const struct mem *mem, uint64_t gpa, uint64_t len, bool write)
{
    if (len > 0 && len - 1 > UINT64_MAX - gpa) {
        return false;
    }
    for (uint64_t left; len > 0; gpa += left, len -= left) {
        if (!mem_find(mem, gpa, write, &left)) {
            return false;
        }
        left = left < len ? left : len;
    }
    return true;
}

int mem_read(const struct mem *mem, uint64_t gpa, void *to, uint64_t len)
{
    if (!covered(mem, gpa, len, false)) {
        return -EFAULT;
    }
    uint8_t *out = to;
    for (uint64_t left; len > 0; gpa += left, out += left, len -= left) {
        const uint8_t *host = mem_find(mem, gpa, false, &left);
        left = left < len ? left : len;
        memcpy(out, host, left);
    }
    return 0;
}

int mem_write(const struct mem *mem, uint64_t gpa, const void *from, uint64_t len)
{
    if (!covered(mem, gpa, len, true)) {
        return -EFAULT;
    }
    const uint8_t *in = from;
    for (uint64_t left; len > 0; gpa += left, in += left, len -= left) {
        uint8_t *host = mem_find(mem, gpa, true, &left);
        left = left < len ? left : len;
        memcpy(host, in, left);
    }
    return 0;
}
