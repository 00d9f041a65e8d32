/*
 * cpu_print.h: a vCPU's registers, for a person.
 */
#ifndef KVMLENS_CPU_PRINT_H
#define KVMLENS_CPU_PRINT_H

#include "cpu_state.h"
#include "trace/symbols.h"

#include <stdio.h>

/* General registers, RIP with its symbol, and RFLAGS, control registers and EFER by their bits. */
void cpu_print_registers(FILE *out, const struct cpu_state *state, const struct symbols *symbols);

/* Segment registers with their type in words, GDT and IDT. */
void cpu_print_segments(FILE *out, const struct cpu_state *state);

/* "real mode", "32-bit protected mode, PAE paging", "64-bit mode", ...; static. */
const char *cpu_mode_name(const struct cpu_state *state);

#endif
