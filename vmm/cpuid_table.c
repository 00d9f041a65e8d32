/*
 * cpuid_table.c: the CPUID table of a vCPU (see cpuid_table.h).
 * Source: Intel SDM vol. 2A, CPUID, leaves 1, 4, 0BH, 1FH; AMD APM vol. 3, appendix E.3 and E.4,
 * leaves 8000_0001, 8000_0008, 8000_001D, 8000_001E.
 */
#include "cpuid_table.h"

#include <stdio.h>
#include <string.h>

#define BIT(n) (UINT32_C(1) << (n))

#define LEAF1_EDX_APIC         BIT(9)
#define LEAF1_ECX_X2APIC       BIT(21)
#define LEAF1_ECX_TSC_DEADLINE BIT(24)
#define LEAF1_ECX_HYPERVISOR   BIT(31)

/* Bits of 8000_0001's EDX that repeat those of leaf 1 on AMD's processors. */
#define AMD_EDX_ALIASES 0x0183f3ffu

static const struct {
    uint32_t leaf, subleaf;
    enum cpuid_reg reg;
} places[CPUID_WORDS] = {
    [CPUID_1_EDX] = {0x1, 0, CPUID_EDX},
    [CPUID_1_ECX] = {0x1, 0, CPUID_ECX},
    [CPUID_6_EAX] = {0x6, 0, CPUID_EAX},
    [CPUID_7_EBX] = {0x7, 0, CPUID_EBX},
    [CPUID_7_ECX] = {0x7, 0, CPUID_ECX},
    [CPUID_7_EDX] = {0x7, 0, CPUID_EDX},
    [CPUID_7__1_EAX] = {0x7, 1, CPUID_EAX},
    [CPUID_D__1_EAX] = {0xd, 1, CPUID_EAX},
    [CPUID_8000_0001_EDX] = {0x80000001, 0, CPUID_EDX},
    [CPUID_8000_0001_ECX] = {0x80000001, 0, CPUID_ECX},
    [CPUID_8000_0007_EDX] = {0x80000007, 0, CPUID_EDX},
    [CPUID_8000_0008_EBX] = {0x80000008, 0, CPUID_EBX},
    [CPUID_4000_0001_EAX] = {0x40000001, 0, CPUID_EAX},
};

static const struct cpuid_entry *find(const struct cpuid_table *table, uint32_t leaf,
                                      uint32_t subleaf)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->entry[i].leaf == leaf && table->entry[i].subleaf == subleaf)
            return &table->entry[i];
    return NULL;
}

/* The register that WORD names, or NULL. */
static const uint32_t *find_word(const struct cpuid_table *table, enum cpuid_word word)
{
    const struct cpuid_entry *entry = find(table, places[word].leaf, places[word].subleaf);

    return entry ? &entry->reg[places[word].reg] : NULL;
}

static uint32_t *find_word_to_change(struct cpuid_table *table, enum cpuid_word word)
{
    return (uint32_t *)(uintptr_t)find_word(table, word);
}

void cpuid_offer(struct cpuid_table *table, bool irqchip, bool tsc_deadline)
{
    uint32_t *ecx = find_word_to_change(table, CPUID_1_ECX);
    uint32_t *edx = find_word_to_change(table, CPUID_1_EDX);

    if (!ecx || !edx)
        return;
    *ecx |= LEAF1_ECX_HYPERVISOR;
    if (!irqchip) {
        *ecx &= ~(LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE);
        *edx &= ~LEAF1_EDX_APIC;
    } else if (tsc_deadline) {
        *ecx |= LEAF1_ECX_TSC_DEADLINE;
    }
}

int cpuid_check_wanted(const struct cpuid_table *table, const struct cpu_features *features,
                       struct error *err)
{
    char missing[256] = "";
    size_t len = 0;

    for (unsigned word = 0; word < CPUID_WORDS; word++) {
        const uint32_t *offered = find_word(table, (enum cpuid_word)word);
        uint32_t lacking = features->wanted[word] & ~(offered ? *offered : 0);

        for (unsigned bit = 0; bit < 32; bit++) {
            const char *name = cpu_feature_name((enum cpuid_word)word, bit);

            if (!(lacking & BIT(bit)) || !name || len >= sizeof(missing))
                continue;
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s",
                                    len > 0 ? ", " : "", name);
        }
    }
    if (len == 0)
        return 0;
    return error_set(err, STATUS_USAGE, "-cpu: KVM does not offer its guests on this host: %s",
                     missing);
}

/* Bits that number COUNT things. */
static unsigned id_width(unsigned count)
{
    unsigned width = 0;

    while ((1u << width) < count)
        width++;
    return width;
}

static bool is_amd(const struct cpuid_table *table)
{
    const struct cpuid_entry *leaf0 = find(table, 0, 0);
    char vendor[12];

    if (!leaf0)
        return false;
    memcpy(vendor, &leaf0->reg[CPUID_EBX], 4);
    memcpy(vendor + 4, &leaf0->reg[CPUID_EDX], 4);
    memcpy(vendor + 8, &leaf0->reg[CPUID_ECX], 4);
    return memcmp(vendor, "AuthenticAMD", 12) == 0 || memcmp(vendor, "HygonGenuine", 12) == 0;
}

static void set_bits(uint32_t *word, unsigned first, unsigned width, uint32_t value)
{
    uint32_t mask = (BIT(width) - 1) << first;

    *word = (*word & ~mask) | ((value << first) & mask);
}

/* Leaf 4 and AMD's 8000_001D: who shares a cache. A core has its own first and second level. */
static void set_cache_sharing(uint32_t *eax, unsigned count)
{
    unsigned type = *eax & 0x1f, level = (*eax >> 5) & 7;

    if (type != 0)
        set_bits(eax, 14, 12, level >= 3 ? BIT(id_width(count)) - 1 : 0);
}

static void set_entry_topology(struct cpuid_entry *entry, unsigned index, unsigned count, bool amd)
{
    uint32_t *reg = entry->reg;

    switch (entry->leaf) {
    case 0x1:
        set_bits(&reg[CPUID_EBX], 24, 8, index);
        set_bits(&reg[CPUID_EBX], 16, 8, count);
        set_bits(&reg[CPUID_EDX], 28, 1, count > 1); /* HTT: the count is valid */
        break;
    case 0x4:
        set_cache_sharing(&reg[CPUID_EAX], count);
        if ((reg[CPUID_EAX] & 0x1f) != 0)
            set_bits(&reg[CPUID_EAX], 26, 6, BIT(id_width(count)) - 1);
        break;
    case 0x80000001:
        /* Linux takes this bit to mean "cores, not threads", on AMD's processors only. */
        set_bits(&reg[CPUID_ECX], 1, 1, amd && count > 1);
        break;
    case 0x80000008:
        reg[CPUID_ECX] = amd ? id_width(count) << 12 | (count - 1) : 0;
        break;
    case 0x8000001d:
        set_cache_sharing(&reg[CPUID_EAX], count);
        break;
    case 0x8000001e:
        reg[CPUID_EAX] = index;              /* extended APIC ID */
        reg[CPUID_EBX] = index;              /* core ID; one thread a core */
        reg[CPUID_ECX] = reg[CPUID_EDX] = 0; /* one node */
        break;
    default:
        break;
    }
}

static void add_entry(struct cpuid_table *table, struct cpuid_entry entry)
{
    if (table->count < CPUID_ENTRIES_MAX)
        table->entry[table->count++] = entry;
}

void cpuid_set_topology(struct cpuid_table *table, unsigned index, unsigned count)
{
    const struct cpuid_entry *leaf0 = find(table, 0, 0);
    bool extended = leaf0 && leaf0->reg[CPUID_EAX] >= 0xb;
    bool amd = is_amd(table);
    unsigned kept = 0;

    /* What KVM has for the extended topology leaves is the host's, or nothing. Leaf 1F, which
     * adds only levels that this machine has not, is left out: software then uses leaf B. */
    for (unsigned i = 0; i < table->count; i++) {
        if (table->entry[i].leaf == 0xb || table->entry[i].leaf == 0x1f)
            continue;
        table->entry[kept] = table->entry[i];
        set_entry_topology(&table->entry[kept++], index, count, amd);
    }
    table->count = kept;
    if (!extended)
        return;
    /* EAX: how far to shift the ID for the next level's; EBX: processors at this level;
     * ECX: subleaf, and the level's type (1: thread, 2: core, 0: no level); EDX: x2APIC ID. */
    add_entry(table, (struct cpuid_entry){0xb, 0, true, {0, 1, 1 << 8 | 0, index}});
    add_entry(table,
              (struct cpuid_entry){0xb, 1, true, {id_width(count), count, 2 << 8 | 1, index}});
    add_entry(table, (struct cpuid_entry){0xb, 2, true, {0, 0, 2, index}});
}

void cpuid_mask(struct cpuid_table *table, const struct cpu_features *features)
{
    for (unsigned word = 0; word < CPUID_WORDS; word++) {
        uint32_t *reg = find_word_to_change(table, (enum cpuid_word)word);

        if (!reg)
            continue;
        *reg &= ~features->off[word];
        if (word == CPUID_8000_0001_EDX)
            *reg &= ~(features->off[CPUID_1_EDX] & AMD_EDX_ALIASES);
    }
}
