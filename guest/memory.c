/*
 * memory.c: the RAM that the VMM says there is (Xen docs/misc/pvh.pandoc, hvm_start_info), and a
 * page allocator that only gives: pages from the end of the kernel upwards.
 */
#include "kernel.h"

#include <memmap.h>

extern uint8_t kernel_end[]; /* kernel.ld */

static struct {
    struct memory told;
    char command_line[BOOT_CMDLINE_MAX];
    uint64_t next, limit; /* of the allocator */
} mem;

static void find_limit(void)
{
    mem.next = (uint64_t)kernel_end;
    mem.limit = 0;
    for (unsigned i = 0; i < mem.told.range_count; i++) {
        const struct hvm_memmap_entry *range = &mem.told.range[i];
        if (range->type == E820_RAM && mem.next >= range->addr &&
            mem.next - range->addr < range->size)
            mem.limit = range->addr + range->size;
    }
}

void memory_init(const struct hvm_start_info *start_info)
{
    if (start_info->magic != PVH_MAGIC)
        panic("EBX does not point to a PVH start info: its magic number is not there");
    if (start_info->version < 1)
        panic("the PVH start info is of version 0: it has no memory map");

    const struct hvm_memmap_entry *map = (void *)start_info->memmap_paddr;
    for (unsigned i = 0; i < start_info->memmap_entries && i < MEMORY_RANGES_MAX; i++)
        mem.told.range[mem.told.range_count++] = map[i];

    const char *line = (void *)start_info->cmdline_paddr;
    for (size_t i = 0; line && line[i] && i + 1 < sizeof(mem.command_line); i++)
        mem.command_line[i] = line[i];
    mem.told.command_line = mem.command_line;

    find_limit();
    if (start_info->nr_modules) {
        const struct hvm_modlist_entry *module = (void *)start_info->modlist_paddr;
        mem.told.initrd = module->paddr;
        mem.told.initrd_size = module->size;
        if (module->paddr >= mem.next && module->paddr < mem.limit)
            mem.limit = module->paddr & ~(PAGE_SIZE - 1);
    }
}

const struct memory *memory(void)
{
    return &mem.told;
}

uint64_t memory_top(void)
{
    return mem.limit;
}

uint64_t memory_free(void)
{
    uint64_t limit = mem.limit < MAPPED_MAX ? mem.limit : MAPPED_MAX;
    return limit > mem.next ? limit - mem.next : 0;
}

void *pages_alloc(uint64_t count)
{
    if (memory_free() / PAGE_SIZE < count)
        panic("out of memory: give the machine more with -m");
    void *pages = (void *)mem.next, *at = pages;
    mem.next += count * PAGE_SIZE;
    uint64_t words = count * PAGE_SIZE / 8;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0ull) : "memory");
    return pages;
}

void *page_alloc(void)
{
    return pages_alloc(1);
}
