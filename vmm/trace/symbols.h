/*
 * symbols.h: names for guest code addresses, from the kernel's ELF symbol table (libelf).
 */
#ifndef KVMLENS_SYMBOLS_H
#define KVMLENS_SYMBOLS_H

#include <stdint.h>

struct symbols;

/* Reads the function (and untyped code) symbols of the ELF file open as FD (not kept).
 * NULL if there are none or on any error: symbols are a comfort, their absence no failure. */
struct symbols *symbols_read(int fd);
void symbols_free(struct symbols *symbols);

/* The symbol that ADDR is in, and the offset from its start; NULL if there is none (also when
 * SYMBOLS is NULL). The name is valid until symbols_free(). */
const char *symbols_find(const struct symbols *symbols, uint64_t addr, uint64_t *offset);

#endif
