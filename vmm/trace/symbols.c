/*
 * symbols.c: names for guest code addresses (System V gABI, "Symbol Table"; libelf).
 *
 * The file may be anything: each offset is checked against the data that libelf read. Everything
 * needed is copied, so that neither the file nor libelf is needed later.
 */
#include "symbols.h"

#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 16
#define NESTING_MAX  16 /* how many symbols that begin between an address and its own are passed */

struct symbol {
    uint64_t start;
    uint64_t end;  /* first address behind it */
    uint64_t size; /* as the file says: 0 is unknown */
    uint8_t rank;  /* of those at one address the highest is shown */
    char *name;    /* owned */
};

/* Where the file places virtual addresses in physical memory. */
struct segment {
    uint64_t vaddr, paddr, size;
};

struct symbols {
    struct symbol *symbol; /* sorted by start, one for each address */
    size_t count, capacity;
    struct segment segment[SEGMENTS_MAX];
    unsigned segments;
};

/* A name for a terminal from RAW, of which LEN bytes may be read. NULL: no name worth showing. */
static char *clean_name(const char *raw, size_t len)
{
    char name[SYMBOLS_NAME_MAX];
    const size_t head = SYMBOLS_NAME_MAX / 2, tail = SYMBOLS_NAME_MAX - 1 - head - 2;

    len = strnlen(raw, len);
    /* Assemblers' local labels and ARM-like mapping symbols say nothing to a person. */
    if (len == 0 || raw[0] == '$' || (raw[0] == '.' && len > 1 && raw[1] == 'L'))
        return NULL;
    if (len < SYMBOLS_NAME_MAX)
        snprintf(name, sizeof(name), "%.*s", (int)len, raw);
    else
        snprintf(name, sizeof(name), "%.*s..%.*s", (int)head, raw, (int)tail, raw + len - tail);
    for (char *c = name; *c != '\0'; c++) {
        if (*c <= 0x20 || *c >= 0x7f)
            *c = '?';
    }
    return strdup(name);
}

static uint64_t add_capped(uint64_t start, uint64_t size)
{
    return size > UINT64_MAX - start ? UINT64_MAX : start + size;
}

static bool append(struct symbols *symbols, const struct symbol *symbol)
{
    if (symbols->count == symbols->capacity) {
        size_t capacity = symbols->capacity ? 2 * symbols->capacity : 256;
        struct symbol *grown = realloc(symbols->symbol, capacity * sizeof(*grown));
        if (!grown)
            return false;
        symbols->symbol = grown;
        symbols->capacity = capacity;
    }
    symbols->symbol[symbols->count++] = *symbol;
    return true;
}

/* Takes one symbol in if it names code. False: out of memory. */
static bool take_symbol(struct symbols *symbols, Elf *elf, const GElf_Sym *sym,
                        const Elf_Data *strings)
{
    int type = GELF_ST_TYPE(sym->st_info);
    GElf_Shdr header;

    if ((type != STT_FUNC && type != STT_NOTYPE) || sym->st_shndx == SHN_UNDEF ||
        sym->st_shndx >= SHN_LORESERVE || sym->st_name >= strings->d_size)
        return true;
    Elf_Scn *section = elf_getscn(elf, sym->st_shndx);
    if (!section || !gelf_getshdr(section, &header) || !(header.sh_flags & SHF_EXECINSTR))
        return true;

    struct symbol symbol = {
        .start = sym->st_value,
        /* Without a size it reaches to the next symbol, or to the end of its section. */
        .end = sym->st_size != 0 ? add_capped(sym->st_value, sym->st_size)
                                 : add_capped(header.sh_addr, header.sh_size),
        .size = sym->st_size,
        .rank = (uint8_t)((type == STT_FUNC ? 4 : 0) + (sym->st_size != 0 ? 2 : 0) +
                          (GELF_ST_BIND(sym->st_info) != STB_LOCAL ? 1 : 0)),
        .name =
            clean_name((const char *)strings->d_buf + sym->st_name, strings->d_size - sym->st_name),
    };
    if (!symbol.name)
        return true;
    if (!append(symbols, &symbol)) {
        free(symbol.name);
        return false;
    }
    return true;
}

static bool take_table(struct symbols *symbols, Elf *elf, Elf_Scn *table, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(table, NULL);
    Elf_Scn *string_section = elf_getscn(elf, header->sh_link);
    Elf_Data *strings = string_section ? elf_getdata(string_section, NULL) : NULL;
    size_t entry = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);

    if (!data || !data->d_buf || !strings || !strings->d_buf || entry == 0)
        return true;
    size_t count = data->d_size / entry;
    for (size_t i = 0; i < count && i < INT32_MAX; i++) {
        GElf_Sym sym;
        if (gelf_getsym(data, (int)i, &sym) && !take_symbol(symbols, elf, &sym, strings))
            return false;
    }
    return true;
}

static void take_segments(struct symbols *symbols, Elf *elf)
{
    size_t count;

    if (elf_getphdrnum(elf, &count) != 0)
        return;
    for (size_t i = 0; i < count && symbols->segments < SEGMENTS_MAX; i++) {
        GElf_Phdr header;
        if (!gelf_getphdr(elf, (int)i, &header))
            return;
        if (header.p_type == PT_LOAD && header.p_paddr != header.p_vaddr)
            symbols->segment[symbols->segments++] =
                (struct segment){header.p_vaddr, header.p_paddr, header.p_memsz};
    }
}

static int compare(const void *left, const void *right)
{
    const struct symbol *a = left, *b = right;

    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (int)b->rank - (int)a->rank;
}

/* Sorts, keeps the best symbol of each address, and ends those without a size at the next. */
static void arrange(struct symbols *symbols)
{
    struct symbol *symbol = symbols->symbol;
    size_t kept = 0;

    qsort(symbol, symbols->count, sizeof(*symbol), compare);
    for (size_t i = 0; i < symbols->count; i++) {
        if (kept > 0 && symbol[kept - 1].start == symbol[i].start) {
            free(symbol[i].name);
            continue;
        }
        if (kept > 0 && symbol[kept - 1].size == 0 && symbol[kept - 1].end > symbol[i].start)
            symbol[kept - 1].end = symbol[i].start;
        symbol[kept++] = symbol[i];
    }
    symbols->count = kept;
}

struct symbols *symbols_read(int fd)
{
    struct symbols *symbols = calloc(1, sizeof(*symbols));
    Elf *elf = NULL;
    bool good = symbols && elf_version(EV_CURRENT) != EV_NONE;

    if (good)
        elf = elf_begin(fd, ELF_C_READ, NULL);
    good = elf && elf_kind(elf) == ELF_K_ELF;
    for (Elf_Scn *section = NULL; good && (section = elf_nextscn(elf, section)) != NULL;) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
            good = take_table(symbols, elf, section, &header);
    }
    if (good)
        take_segments(symbols, elf);
    elf_end(elf);
    if (!good || symbols->count == 0) {
        symbols_free(symbols);
        return NULL;
    }
    arrange(symbols);
    return symbols;
}

void symbols_free(struct symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->count; i++)
        free(symbols->symbol[i].name);
    free(symbols->symbol);
    free(symbols);
}

static const struct symbol *find_virtual(const struct symbols *symbols, uint64_t addr)
{
    size_t low = 0, high = symbols->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->symbol[middle].start <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    /* A function goes on behind a label within it. */
    for (size_t i = low; i > 0 && low - i < NESTING_MAX; i--) {
        if (addr < symbols->symbol[i - 1].end)
            return &symbols->symbol[i - 1];
    }
    return NULL;
}

const char *symbols_find(const struct symbols *symbols, uint64_t addr, uint64_t *offset)
{
    if (!symbols)
        return NULL;
    const struct symbol *symbol = find_virtual(symbols, addr);
    for (unsigned i = 0; !symbol && i < symbols->segments; i++) {
        const struct segment *segment = &symbols->segment[i];
        if (addr >= segment->paddr && addr - segment->paddr < segment->size) {
            addr = addr - segment->paddr + segment->vaddr;
            symbol = find_virtual(symbols, addr);
            break;
        }
    }
    if (!symbol)
        return NULL;
    *offset = addr - symbol->start;
    return symbol->name;
}

void symbols_format(const struct symbols *symbols, uint64_t addr, char *text)
{
    uint64_t offset;
    const char *name = symbols_find(symbols, addr, &offset);

    if (!name)
        snprintf(text, SYMBOLS_TEXT_MAX, "0x%" PRIx64, addr);
    else if (offset == 0)
        snprintf(text, SYMBOLS_TEXT_MAX, "%s", name);
    else
        snprintf(text, SYMBOLS_TEXT_MAX, "%s+0x%" PRIx64, name, offset);
}
