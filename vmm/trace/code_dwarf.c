/*
 * code_dwarf.c: source lines for code addresses (see code_dwarf.h; libdw).
 */
#include "code_dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 1000000 /* looked at for one address: a damaged file may go in circles */

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

/* The first of DIE's children whose code ADDR is in, as CHILD. ENTRIES counts all that were seen. */
static bool find_child(Dwarf_Die *die, Dwarf_Addr addr, Dwarf_Die *child, unsigned *entries)
{
    if (dwarf_child(die, child) != 0)
        return false;
    do {
        int tag = dwarf_tag(child);
        if ((tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
             tag == DW_TAG_inlined_subroutine) &&
            dwarf_haspc(child, addr) > 0)
            return true;
    } while (++*entries < ENTRIES_MAX && dwarf_siblingof(child, child) == 0);
    return false;
}

/* A compiler that split a function may have put one half into the other. */
static bool is_named(Dwarf_Die *die, const char *name)
{
    const char *own = dwarf_diename(die);

    return own && name && strcmp(own, name) == 0;
}

/* If ADDR's code was inlined into a function: where that function calls it (DWARF 5, section
 * 3.3.8.2). Else NULL. */
static const char *find_call(Dwarf_Die *unit, Dwarf_Addr addr, int *line)
{
    Dwarf_Die die = *unit, child;
    Dwarf_Attribute attribute;
    Dwarf_Word number, file;
    Dwarf_Files *files;
    unsigned entries = 0;
    const char *function = NULL;

    do {
        if (!find_child(&die, addr, &child, &entries))
            return NULL;
        die = child;
        if (dwarf_tag(&die) == DW_TAG_subprogram)
            function = dwarf_diename(&die);
    } while (dwarf_tag(&die) != DW_TAG_inlined_subroutine || is_named(&die, function));
    if (dwarf_formudata(dwarf_attr(&die, DW_AT_call_line, &attribute), &number) != 0 ||
        dwarf_formudata(dwarf_attr(&die, DW_AT_call_file, &attribute), &file) != 0 ||
        number > INT_MAX || dwarf_getsrcfiles(unit, &files, NULL) != 0)
        return NULL;
    *line = (int)number;
    return dwarf_filesrc(files, file, NULL, NULL);
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
    const char *name = row ? find_call(&unit, addr, &number) : NULL;
    if (row && !name && dwarf_lineno(row, &number) == 0)
        name = dwarf_linesrc(row, NULL, NULL);
    /* Line 0 is code that comes from no line. */
    if (!name || number <= 0)
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
