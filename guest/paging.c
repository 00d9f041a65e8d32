/*
 * paging.c: the kernel's page tables (Intel SDM vol. 3A, 4.5: 4-level paging).
 *
 *     0x0000000000000000  not mapped: a NULL pointer faults
 *     0x0000000000001000  RAM below 1 MiB: boot information          read, write
 *     0x0000000000100000  text                                       read, execute
 *                         rodata                                     read
 *                         data, bss, RAM up to 2 MiB                 read, write
 *     0x0000000000200000  RAM up to 1 GiB at most, in 2 MiB pages    read, write
 *     0x0000000040000000  stacks, 64 KiB a CPU:                      read, write
 *                           [guard][ run 16 KiB ][guard][ double fault ][guard][ NMI ]
 *     0x0000000080000000  window for any GPA, two pages              read, write, uncached
 *     0x00000000fe......  device registers at their own GPA          read, write, uncached
 *
 * All RAM that is mapped is mapped at its GPA. Nothing is both writable and executable. A guard
 * page is not mapped: a stack that runs over faults instead of writing over its neighbour.
 */
#include "kernel.h"
#include "x86.h"

#define PAGE_PRESENT  (1ull << 0)
#define PAGE_WRITE    (1ull << 1)
#define PAGE_UNCACHED (1ull << 4)
#define PAGE_2M       (1ull << 7)
#define PAGE_NX       (1ull << 63)
#define ENTRY_GPA     0x000ffffffffff000ull
#define SIZE_2M       0x200000ull
#define STACKS        0x40000000ull
#define WINDOW        0x80000000ull

#define STACKS_PER_CPU  0x10000ull
#define STACK_RUN_PAGES 4

extern uint8_t text_start[], rodata_start[], data_start[]; /* kernel.ld */

static struct {
    uint64_t *root;
} paging;

static unsigned index(uint64_t address, unsigned level)
{
    return (address >> (12 + 9 * level)) & 511;
}

/* The table of LEVEL (0: its entries are pages of 4 KiB) that ADDRESS goes through; tables that
 * are missing on the way are made. */
static uint64_t *table_of(uint64_t address, unsigned level)
{
    uint64_t *table = paging.root;
    for (unsigned above = 3; above > level; above--) {
        uint64_t *entry = &table[index(address, above)];
        if (!(*entry & PAGE_PRESENT))
            *entry = (uint64_t)page_alloc() | PAGE_PRESENT | PAGE_WRITE;
        table = (uint64_t *)(*entry & ENTRY_GPA);
    }
    return table;
}

static void map_page(uint64_t address, uint64_t gpa, uint64_t flags)
{
    table_of(address, 0)[index(address, 0)] = gpa | flags | PAGE_PRESENT;
    invlpg((void *)address);
}

/* Maps [from, to) to itself in one table of LEVEL. */
static void map_ram(uint64_t from, uint64_t to, unsigned level, uint64_t flags)
{
    uint64_t *table = table_of(from, level);
    for (uint64_t gpa = from; gpa < to; gpa += PAGE_SIZE << (9 * level))
        table[index(gpa, level)] = gpa | flags | PAGE_PRESENT;
}

void paging_init(void)
{
    uint64_t text = (uint64_t)text_start, rodata = (uint64_t)rodata_start;
    uint64_t data = (uint64_t)data_start;
    uint64_t top = memory_top() < MAPPED_MAX ? memory_top() : MAPPED_MAX;

    paging.root = page_alloc();
    map_ram(PAGE_SIZE, text, 0, PAGE_WRITE | PAGE_NX);
    map_ram(text, rodata, 0, 0);
    map_ram(rodata, data, 0, PAGE_NX);
    map_ram(data, SIZE_2M, 0, PAGE_WRITE | PAGE_NX);
    map_ram(SIZE_2M, top, 1, PAGE_2M | PAGE_WRITE | PAGE_NX);
    write_cr3((uint64_t)paging.root);
    boot_cr3 = (uint64_t)paging.root;
}

volatile void *map_device(uint64_t gpa)
{
    uint64_t page = gpa & ~(PAGE_SIZE - 1);
    map_page(page, page, PAGE_WRITE | PAGE_NX | PAGE_UNCACHED);
    return (volatile void *)gpa;
}

volatile void *map_window(uint64_t gpa)
{
    uint64_t page = gpa & ENTRY_GPA;
    map_page(WINDOW, page, PAGE_WRITE | PAGE_NX | PAGE_UNCACHED);
    map_page(WINDOW + PAGE_SIZE, (page + PAGE_SIZE) & ENTRY_GPA,
             PAGE_WRITE | PAGE_NX | PAGE_UNCACHED);
    return (volatile void *)(WINDOW + gpa % PAGE_SIZE);
}

void *stack_top(unsigned cpu, unsigned which)
{
    /* Page numbers in the CPU's part of the stacks; each page before a first one is a guard. */
    static const struct {
        unsigned first, end;
    } place[] = {{1, 1 + STACK_RUN_PAGES},
                 {2 + STACK_RUN_PAGES, 3 + STACK_RUN_PAGES},
                 {4 + STACK_RUN_PAGES, 5 + STACK_RUN_PAGES}};
    uint64_t base = STACKS + cpu * STACKS_PER_CPU;
    for (unsigned page = place[which].first; page < place[which].end; page++)
        map_page(base + page * PAGE_SIZE, (uint64_t)page_alloc(), PAGE_WRITE | PAGE_NX);
    return (void *)(base + place[which].end * PAGE_SIZE);
}

bool on_stack(uint64_t address)
{
    return address >= STACKS && address < STACKS + CPUS_MAX * STACKS_PER_CPU;
}
