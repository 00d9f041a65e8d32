/*
 * code_lines.h: source lines for code addresses, asked of a process that reads the file's DWARF.
 *
 *   code.c --address--> socket --> child: code_dwarf.c, libdw
 *          <--file:line--
 *
 * The file is the guest's, and libdw is not made for hostile ones. The child has no file but that
 * one, may make no system call beyond reading it and answering, and has a limit to memory; when it
 * dies or hangs, lines are no longer known, and that is all.
 */
#ifndef KVMLENS_TRACE_CODE_LINES_H
#define KVMLENS_TRACE_CODE_LINES_H

#include "code_dwarf.h"

struct code_lines;

/* Starts the child for the ELF file open as FD (not kept). To be called before there are threads
 * or guest memory, for it forks. NULL: there is no child, and no lines. */
struct code_lines *code_lines_open(int fd);
void code_lines_close(struct code_lines *lines); /* NULL: nothing */

/* As code_dwarf_find(), with "?" for what a terminal should not see. LINES may be NULL. */
bool code_lines_find(struct code_lines *lines, uint64_t addr, char file[CODE_FILE_MAX],
                     unsigned *line);

#endif
