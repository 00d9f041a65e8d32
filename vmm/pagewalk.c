/*
 * pagewalk.c: a guest's page tables, walked in software (Intel SDM vol. 3A, chapter 4: 32-bit
 * paging, PAE paging, 4-level and 5-level paging).
 *
 * The tables are the guest's: they may be anywhere, point at themselves, or be garbage. A walk is
 * at most five steps long, and each entry is read through mem.
 */
#include "pagewalk.h"

#define PTE_PRESENT  0x1ull
#define PTE_WRITABLE 0x2ull
#define PTE_USER     0x4ull
#define PTE_LARGE    0x80ull /* PS: this entry maps a page, not a table */
#define PTE_NX       0x8000000000000000ull
#define PTE_ADDRESS  0x000ffffffffff000ull /* bits 51 to 12 */

#define PAGE_SIZE 0x1000ull

bool code_is_64bit(const struct cpu_state *state)
{
    return (state->efer & EFER_LMA) && state->seg[SEG_CS].l;
}

uint64_t code_address(const struct cpu_state *state)
{
    uint64_t linear = state->seg[SEG_CS].base + state->rip;

    return code_is_64bit(state) ? state->rip : linear & 0xffffffff;
}

/* Bits LOW to HIGH set. */
static uint64_t bits(unsigned high, unsigned low)
{
    return (~0ull >> (63 - high)) & (~0ull << low);
}

/* One level of tables in one paging mode. */
struct level {
    const char *name;
    unsigned shift;          /* lowest bit of a linear address that indexes this table */
    unsigned index;          /* number of such bits */
    bool large;              /* PS may be set here */
    bool rights;             /* the entry has R/W and U/S (a PAE PDPTE has not) */
    uint64_t reserved;       /* bits that must be 0 */
    uint64_t large_reserved; /* more of them, when PS is set */
};

struct mode {
    struct level level[5];
    unsigned levels;
    unsigned entry_size; /* bytes */
    uint64_t root;       /* GPA of the first table */
};

static void add_level(struct mode *mode, struct level level)
{
    mode->level[mode->levels++] = level;
}

/* 32-bit paging: 4-byte entries; 4 MiB pages have address bits 39 to 32 in bits 20 to 13. */
static void mode_32bit(struct mode *mode, const struct cpu_state *state)
{
    mode->entry_size = 4;
    mode->root = state->cr3 & 0xfffff000;
    add_level(mode, (struct level){.name = "PD",
                                   .shift = 22,
                                   .index = 10,
                                   .large = state->cr4 & CR4_PSE,
                                   .rights = true,
                                   .large_reserved = bits(21, 21)});
    add_level(mode, (struct level){.name = "PT", .shift = 12, .index = 10, .rights = true});
}

static void mode_pae(struct mode *mode, const struct cpu_state *state)
{
    uint64_t nx = state->efer & EFER_NXE ? 0 : PTE_NX;

    mode->entry_size = 8;
    mode->root = state->cr3 & 0xffffffe0;
    add_level(mode, (struct level){.name = "PDPT",
                                   .shift = 30,
                                   .index = 2,
                                   .reserved = bits(63, 52) | bits(8, 5) | bits(2, 1)});
    add_level(mode, (struct level){.name = "PD",
                                   .shift = 21,
                                   .index = 9,
                                   .large = true,
                                   .rights = true,
                                   .reserved = bits(62, 52) | nx,
                                   .large_reserved = bits(20, 13)});
    add_level(
        mode,
        (struct level){
            .name = "PT", .shift = 12, .index = 9, .rights = true, .reserved = bits(62, 52) | nx});
}

static void mode_long(struct mode *mode, const struct cpu_state *state)
{
    uint64_t nx = state->efer & EFER_NXE ? 0 : PTE_NX;
    struct level level = {.index = 9, .rights = true, .reserved = nx | PTE_LARGE};

    mode->entry_size = 8;
    mode->root = state->cr3 & PTE_ADDRESS;
    if (state->cr4 & CR4_LA57) {
        level.name = "PML5";
        level.shift = 48;
        add_level(mode, level);
    }
    level.name = "PML4";
    level.shift = 39;
    add_level(mode, level);

    level.reserved = nx;
    level.large = true;
    level.name = "PDPT";
    level.shift = 30;
    level.large_reserved = bits(29, 13);
    add_level(mode, level);
    level.name = "PD";
    level.shift = 21;
    level.large_reserved = bits(20, 13);
    add_level(mode, level);
    add_level(mode, (struct level){
                        .name = "PT", .shift = 12, .index = 9, .rights = true, .reserved = nx});
}

static bool is_canonical(const struct cpu_state *state, uint64_t linear)
{
    uint64_t high = bits(63, state->cr4 & CR4_LA57 ? 56 : 47);

    return (linear & high) == 0 || (linear & high) == high;
}

/* Takes the step at LEVEL. True: there is a next table, at *TABLE. */
static bool take_step(const struct mem *mem, const struct mode *mode, const struct level *level,
                      uint64_t linear, uint64_t *table, struct pagewalk *walk)
{
    uint64_t index = linear >> level->shift & bits(level->index - 1, 0);
    struct pagewalk_step *step = &walk->step[walk->steps++];

    step->level = level->name;
    step->entry_gpa = *table + index * mode->entry_size;
    step->readable = mem_read(mem, step->entry_gpa, &step->entry, mode->entry_size) == 0;
    if (!step->readable || !(step->entry & PTE_PRESENT))
        return false;

    uint64_t entry = step->entry;
    bool large = level->large && (entry & PTE_LARGE);
    walk->reserved = (entry & level->reserved) || (large && (entry & level->large_reserved));
    if (walk->reserved)
        return false;
    if (level->rights) {
        walk->writable = walk->writable && (entry & PTE_WRITABLE);
        walk->user = walk->user && (entry & PTE_USER);
    }
    walk->executable = walk->executable && !(mode->entry_size == 8 && (entry & PTE_NX));
    *table = entry & PTE_ADDRESS & (mode->entry_size == 4 ? 0xffffffff : ~0ull);
    if (!large && level->shift > 12)
        return true;

    uint64_t page = *table;
    walk->page_size = 1ull << level->shift;
    if (large && mode->entry_size == 4)
        page = (page & 0xffc00000) | (entry >> 13 & 0xff) << 32;
    walk->gpa = (page & ~(walk->page_size - 1)) | (linear & (walk->page_size - 1));
    walk->mapped = true;
    return false;
}

void pagewalk(const struct mem *mem, const struct cpu_state *state, uint64_t linear,
              struct pagewalk *walk)
{
    bool long_mode = state->efer & EFER_LMA;
    struct mode mode = {.levels = 0};

    *walk =
        (struct pagewalk){.writable = true, .user = true, .executable = true, .canonical = true};
    if (!long_mode)
        linear &= 0xffffffff;
    if (!(state->cr0 & CR0_PG)) {
        walk->mapped = true;
        walk->gpa = linear;
        return;
    }
    if (long_mode) {
        walk->canonical = is_canonical(state, linear);
        mode_long(&mode, state);
    } else if (state->cr4 & CR4_PAE) {
        mode_pae(&mode, state);
    } else {
        mode_32bit(&mode, state);
    }
    uint64_t table = mode.root;
    for (unsigned i = 0; walk->canonical && i < mode.levels; i++) {
        if (!take_step(mem, &mode, &mode.level[i], linear, &table, walk))
            break;
    }
    if (!walk->mapped)
        walk->writable = walk->user = walk->executable = false;
}

uint64_t pagewalk_read(const struct mem *mem, const struct cpu_state *state, uint64_t linear,
                       void *to, uint64_t len)
{
    uint64_t done = 0;

    while (done < len) {
        struct pagewalk walk;
        uint64_t part = PAGE_SIZE - ((linear + done) & (PAGE_SIZE - 1));
        if (part > len - done)
            part = len - done;
        pagewalk(mem, state, linear + done, &walk);
        if (!walk.mapped || mem_read(mem, walk.gpa, (uint8_t *)to + done, part) != 0)
            break;
        done += part;
    }
    return done;
}
