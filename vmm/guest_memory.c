/*
 * guest_memory.c: RAM with the hole below 4 GiB, and the ROM with its alias (include/memmap.h;
 * QEMU hw/i386/microvm.c and x86.c, x86_bios_rom_init).
 */
#include "guest_memory.h"

#include "boot/pvh.h"

#include <errno.h>
#include <memmap.h>
#include <string.h>
#include <sys/mman.h>

/* FLAGS: more flags for mmap(2). */
static uint8_t *map_host_memory(uint64_t size, int flags, struct error *err)
{
    void *host =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    if (host == MAP_FAILED) {
        error_set(err, STATUS_INTERNAL, "cannot get %llu MiB of guest memory: %s",
                  (unsigned long long)(size >> 20), strerror(errno));
        return NULL;
    }
    return host;
}

static uint64_t alias_size(const struct image_file *rom)
{
    return rom->size < ROM_ALIAS_MAX ? rom->size : ROM_ALIAS_MAX;
}

/* The ROM ends at 4 GiB, and its last 128 KiB are seen again below 1 MiB. */
static int map_rom(struct guest_memory *memory, struct vm *vm, const struct image_file *rom,
                   struct error *err)
{
    uint64_t alias = alias_size(rom);

    memory->rom = map_host_memory(rom->size, MAP_POPULATE, err); /* all of it is written next */
    if (!memory->rom)
        return -1;
    memory->rom_size = rom->size;
    if (rom_load(rom, memory->rom, err) < 0 ||
        vm_map(vm, ROM_TOP - rom->size, rom->size, memory->rom, true, err) < 0)
        return -1;
    return vm_map(vm, ROM_ALIAS_TOP - alias, alias, memory->rom + rom->size - alias, true, err);
}

int guest_memory_map(struct guest_memory *memory, struct vm *vm, uint64_t ram_bytes,
                     const struct image_file *rom, struct error *err)
{
    struct ram_layout layout = ram_layout(ram_bytes);
    uint64_t first = rom ? ROM_ALIAS_TOP - alias_size(rom) : layout.low; /* up to the alias */

    /* Not reserved: a guest of 8 GiB costs what it touches. */
    memory->ram = map_host_memory(ram_bytes, MAP_NORESERVE, err);
    if (!memory->ram)
        return -1;
    memory->ram_size = ram_bytes;
    if (rom && map_rom(memory, vm, rom, err) < 0)
        return -1;
    if (vm_map(vm, 0, first, memory->ram, false, err) < 0)
        return -1;
    if (rom && layout.low > ROM_ALIAS_TOP &&
        vm_map(vm, ROM_ALIAS_TOP, layout.low - ROM_ALIAS_TOP, memory->ram + ROM_ALIAS_TOP, false,
               err) < 0)
        return -1;
    if (layout.high > 0 &&
        vm_map(vm, RAM_HIGH_BASE, layout.high, memory->ram + layout.low, false, err) < 0)
        return -1;
    return 0;
}

void guest_memory_unmap(struct guest_memory *memory)
{
    if (memory->ram)
        munmap(memory->ram, memory->ram_size);
    if (memory->rom)
        munmap(memory->rom, memory->rom_size);
}
