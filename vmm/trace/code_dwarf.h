/*
 * code_dwarf.h: source lines for code addresses, from an ELF file's DWARF (DWARF 5, section 6.2).
 *
 * libdw believes the file: a damaged one can crash it. So it is called in a process of its own
 * (code_lines.h).
 */
#ifndef KVMLENS_TRACE_CODE_DWARF_H
#define KVMLENS_TRACE_CODE_DWARF_H

#include <stdbool.h>
#include <stdint.h>

#define CODE_FILE_MAX                                                                              \
    256 /* the longest file name kept, with its NUL; longer ones lose their begin */

struct code_dwarf;

/* Reads from FD, which is borrowed until code_dwarf_close(). NULL: no DWARF, or not to be read. */
struct code_dwarf *code_dwarf_open(int fd);
void code_dwarf_close(struct code_dwarf *dwarf); /* NULL: nothing */

/* The line that the code at ADDR comes from; the name is as the compiler was told it. Of inlined
 * code it is the line of the function that ADDR is in, where that calls it: of all port I/O the
 * same line of a header would say nothing. False: not known. DWARF may be NULL. */
bool code_dwarf_find(struct code_dwarf *dwarf, uint64_t addr, char file[CODE_FILE_MAX],
                     unsigned *line);

#endif
