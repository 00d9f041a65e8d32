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

struct code;

/* What is known of an address; NULL or 0 where it is not. Strings live as long as the code. */
struct code_place {
    const char *symbol; /* interned */
    uint64_t offset;    /* bytes from the symbol's start */
    const char *file;   /* interned; as the compiler was told it */
    unsigned line;
    uint64_t insn_addr; /* where the instruction that made the exit begins: at RIP, or before it */
    const char *insn;   /* "out dx, al" */
};

/* Opens the ELF file PATH (a guest's kernel). NULL if it cannot be read: then nothing is known. */
struct code *code_open(const char *path);
void code_close(struct code *code); /* NULL: nothing */

/* What EVENT's RIP leads to. After an I/O exit RIP is at the instruction or behind it
 * (docs/backends.md): the instruction is decoded at RIP and just before it, and the one that does
 * the exit's I/O is taken. CODE may be NULL. From one thread. */
const struct code_place *code_find(struct code *code, const struct trace_event *event);

#endif
