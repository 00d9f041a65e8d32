/*
 * code.h: what the guest's code says at an address: symbol, source line, instruction.
 *
 * From the guest's ELF file: symbol table (libelf), line table (libdw), bytes of its segments
 * (disassembled by Zydis). Answers are kept by address, for an exit comes from few places.
 */
#ifndef KVMLENS_TRACE_CODE_H
#define KVMLENS_TRACE_CODE_H

#include "event.h"
#include "symbols.h"

#include <stddef.h>
#include <stdint.h>

#define CODE_PLACES_MAX 65536 /* places kept; for those beyond, only the symbol is known */
#define CODE_TEXT_MAX   384   /* the longest text of code_format(), with its NUL */

struct code;

/* What is known of the instruction that made an exit; NULL or 0 where it is not. Strings live as
 * long as the code; the place itself until the next call. */
struct code_place {
    const char *symbol; /* interned */
    uint64_t offset;    /* bytes from the symbol's start */
    const char *file;   /* interned; as the compiler was told it */
    unsigned line;
    uint64_t insn_addr; /* where the instruction that made the exit begins: at RIP, or before it */
    const char *insn;   /* interned; "out dx, al" */
};

/* Opens the ELF file PATH (a guest's kernel). NULL if it cannot be read: then nothing is known. To
 * be called before there are threads or guest memory, for it forks (code_lines.h). */
struct code *code_open(const char *path);
void code_close(struct code *code); /* NULL: nothing */

/* The symbols of its file, for as long as CODE lives; NULL if there are none, or CODE is NULL. */
const struct symbols *code_symbols(const struct code *code);

/* What EVENT's RIP leads to. After an I/O exit RIP is at the instruction or behind it
 * (docs/backends.md): the instruction is decoded at RIP and just before it, and the one that does
 * the exit's I/O is taken; symbol and line are that one's, so they do not depend on the backend.
 * If neither does it, all are RIP's. CODE may be NULL. From one thread; never NULL. */
const struct code_place *code_find(struct code *code, const struct trace_event *event);

/* Writes "out dx, al  guest/serial.c:42", or what is known of it (INSN and FILE may be NULL), to
 * TEXT of SIZE bytes. Returns its length; what does not fit is cut. */
size_t code_format(char *text, size_t size, const char *insn, const char *file, unsigned line);

#endif
