/*
 * code_dwarf.c: source lines for code addresses (see code_dwarf.h; libdw).
 */
#include "code_dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct code_dwarf {
    Elf *elf;
    Dwarf *handle;
};

struct code_dwarf *code_dwarf_open(int fd)
{
    struct code_dwarf *dwarf = calloc(1, sizeof(*dwarf));

    if (!dwarf || elf_version(EV_CURRENT) == EV_NONE)
        goto fail;
    dwarf->elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!dwarf->elf || elf_kind(dwarf->elf) != ELF_K_ELF)
        goto fail;
    dwarf->handle = dwarf_begin_elf(dwarf->elf, DWARF_C_READ, NULL);
    if (dwarf->handle)
        return dwarf;
fail:
    code_dwarf_close(dwarf);
    return NULL;
}

void code_dwarf_close(struct code_dwarf *dwarf)
{
    if (!dwarf)
        return;
    dwarf_end(dwarf->handle);
    elf_end(dwarf->elf);
    free(dwarf);
}

/* The compilation unit that ADDR's code is of. Not every compiler writes .debug_aranges. */
static bool find_unit(Dwarf *dwarf, Dwarf_Addr addr, Dwarf_Die *unit)
{
    Dwarf_CU *cu = NULL;

    if (dwarf_addrdie(dwarf, addr, unit))
        return true;
    while (dwarf_get_units(dwarf, cu, &cu, NULL, NULL, unit, NULL) == 0) {
        if (dwarf_tag(unit) == DW_TAG_compile_unit && dwarf_haspc(unit, addr) > 0)
            return true;
    }
    return false;
}

/* The last row of UNIT's table that is not above ADDR, unless a sequence ends there. */
static Dwarf_Line *find_row(Dwarf_Die *unit, Dwarf_Addr addr)
{
    Dwarf_Lines *rows;
    size_t low = 0, high;
    bool end = true;

    if (dwarf_getsrclines(unit, &rows, &high) != 0)
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        Dwarf_Addr start;
        if (dwarf_lineaddr(dwarf_onesrcline(rows, middle), &start) != 0)
            return NULL;
        if (start <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    Dwarf_Line *row = low > 0 ? dwarf_onesrcline(rows, low - 1) : NULL;
    return row && dwarf_lineendsequence(row, &end) == 0 && !end ? row : NULL;
}

/* libdw puts the directory of the compilation before a name that was relative to it. */
static const char *as_told(const char *name, Dwarf_Die *unit)
{
    Dwarf_Attribute attribute;
    const char *folder = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    size_t len = folder ? strlen(folder) : 0;

    if (len > 0 && strncmp(name, folder, len) == 0 && name[len] == '/') {
        name += len;
        name += strspn(name, "/");
    }
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    return name;
}

bool code_dwarf_find(struct code_dwarf *dwarf, uint64_t addr, char file[CODE_FILE_MAX],
                     unsigned *line)
{
    Dwarf_Die unit;
    int number = 0;

    if (!dwarf || !find_unit(dwarf->handle, addr, &unit))
        return false;
    Dwarf_Line *row = find_row(&unit, addr);
    const char *name = row ? dwarf_linesrc(row, NULL, NULL) : NULL;
    /* Line 0 is code that comes from no line. */
    if (!name || dwarf_lineno(row, &number) != 0 || number <= 0)
        return false;
    name = as_told(name, &unit);
    size_t len = strlen(name);
    if (len == 0)
        return false;
    if (len < CODE_FILE_MAX)
        memcpy(file, name, len + 1);
    else
        snprintf(file, CODE_FILE_MAX, "..%s", name + len - (CODE_FILE_MAX - 1 - 2));
    *line = (unsigned)number;
    return true;
}
