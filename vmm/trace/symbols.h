/*
 * symbols.h: names for guest code addresses, from the kernel's ELF symbol table (libelf).
 */
#ifndef KVMLENS_SYMBOLS_H
#define KVMLENS_SYMBOLS_H

#include <stdint.h>

#define SYMBOLS_NAME_MAX 64                      /* longest name kept, with its NUL */
#define SYMBOLS_TEXT_MAX (SYMBOLS_NAME_MAX + 24) /* longest "NAME+0xOFFSET", with its NUL */

struct symbols;

/* Reads the function (and untyped code) symbols of the ELF file open as FD (not kept).
 * NULL if there are none or on any error: symbols are a comfort, their absence no failure.
 * Names are made fit for a terminal: what is not printable ASCII becomes '?', and long ones lose
 * their middle. */
struct symbols *symbols_read(int fd);
void symbols_free(struct symbols *symbols);

/* The symbol that ADDR is in, and the offset from its start; NULL if there is none (also when
 * SYMBOLS is NULL). ADDR is virtual; if no symbol has it, it is tried as a physical address, for a
 * kernel that is linked high and has not set up paging yet. Valid until symbols_free(). */
const char *symbols_find(const struct symbols *symbols, uint64_t addr, uint64_t *offset);

/* Writes "name", "name+0x12" or, where there is no symbol, "0x101234" to TEXT, which has
 * SYMBOLS_TEXT_MAX bytes. */
void symbols_format(const struct symbols *symbols, uint64_t addr, char *text);

#endif
