/*
 * guest_memory.h: RAM and ROM: host memory, and where the guest sees it (include/memmap.h).
 */
#ifndef KVMLENS_GUEST_MEMORY_H
#define KVMLENS_GUEST_MEMORY_H

#include "boot/image.h"
#include "error.h"
#include "vm.h"

/* Owned host memory. Zero-initialise. */
struct guest_memory {
    uint8_t *ram;                /* all of it, also what the guest sees above 4 GiB */
    uint8_t *rom;                /* or NULL */
    uint64_t ram_size, rom_size; /* bytes */
};

/* Allocates RAM_BYTES of zeroed RAM, and the ROM's place with ROM in it (NULL: none), and maps
 * them into VM. -1 with *err on failure; unmap takes what is there. */
int guest_memory_map(struct guest_memory *memory, struct vm *vm, uint64_t ram_bytes,
                     const struct image_file *rom, struct error *err);

/* After vm_destroy(). */
void guest_memory_unmap(struct guest_memory *memory);

#endif
