/*
 * mem.h: guest physical memory, as a list of regions of host memory.
 *
 * The guest is hostile: every address and length in here is its own.  A range is found by
 * subtracting before comparing, so that nothing wraps around.
 */
#ifndef KVMLENS_MEM_H
#define KVMLENS_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define MEM_REGIONS_MAX 8

struct mem_region {
    uint64_t gpa;
    uint64_t size; /* bytes, at least 1 */
    uint8_t *host; /* borrowed: who maps it unmaps it */
    bool readonly; /* ROM: the guest and devices may only read it */
};

/* Regions are sorted by gpa and do not overlap. Zero-initialise. */
struct mem {
    struct mem_region region[MEM_REGIONS_MAX];
    unsigned count;
};

/* Adds a region. -EINVAL: empty, or it passes the end of the address space; -EEXIST: it overlaps
 * another; -ENOSPC: MEM_REGIONS_MAX are there already. */
int mem_add(struct mem *mem, uint64_t gpa, uint64_t size, uint8_t *host, bool readonly);

/* Host address of the writable RAM [gpa, gpa+len), or NULL unless all of it lies in one region
 * that is not read-only. A zero len gives NULL. */
void *mem_ptr(const struct mem *mem, uint64_t gpa, uint64_t len);

/* The same for reading: ROM counts too. */
const void *mem_peek(const struct mem *mem, uint64_t gpa, uint64_t len);

/* Host address of the byte at gpa, with *left the bytes from there to the end of its region; or
 * NULL: not memory, or ROM that is to be written. */
uint8_t *mem_find(const struct mem *mem, uint64_t gpa, bool write, uint64_t *left);

/* Copies len bytes from or to guest memory; a range may span neighbouring regions.
 * -EFAULT (nothing copied) unless all of it is memory; ROM cannot be written. */
int mem_read(const struct mem *mem, uint64_t gpa, void *to, uint64_t len);
int mem_write(const struct mem *mem, uint64_t gpa, const void *from, uint64_t len);

#endif
