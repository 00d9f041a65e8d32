/*
 * code_insn.h: instructions as text, and the one that made an exit (Zydis; Intel SDM vol. 2).
 *
 * Zydis is loaded when the first disassembler is opened, so that a run without a trace does not
 * pay for it. Without the library there is no disassembler, and nobody sees instructions.
 */
#ifndef KVMLENS_TRACE_CODE_INSN_H
#define KVMLENS_TRACE_CODE_INSN_H

#include "event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_INSN_MAX   96 /* the longest text, with its NUL */
#define CODE_INSN_BYTES 15 /* the longest instruction */

enum code_mode { CODE_16, CODE_32, CODE_64, CODE_MODES };

/* Where RIP was left by an exit. */
enum code_rip { CODE_RIP_UNKNOWN, CODE_RIP_AT, CODE_RIP_BEHIND };

struct disassembler;

/* NULL: there is no Zydis on this machine. To be closed. */
struct disassembler *disassembler_open(void);
void disassembler_close(struct disassembler *d); /* NULL: nothing */

/* Code around RIP. */
struct code_window {
    const uint8_t *bytes;
    unsigned before; /* how many of them are in front of RIP */
    unsigned len;    /* all of them; those from RIP on are LEN - BEFORE */
    bool aligned;    /* the first byte begins an instruction */
};

/* An instruction that may have made an exit. */
struct code_choice {
    unsigned fit;  /* 0: it cannot have; 1: the exit's I/O is a part of its own; 2: it does that
                           I/O; 3: and names its address */
    unsigned back; /* bytes from its begin to RIP: 0, or its length */
    enum code_rip told; /* what this tells of where RIP is left; unknown if both would do */
    char text[CODE_INSN_MAX];
};

/* Chooses the instruction that made EVENT's exit, at RIP or just before it: for port I/O and MMIO
 * one that does that I/O, for HLT that. Where both would do, a read is at RIP, and a write where
 * WRITES says, or else behind it (docs/backends.md). For other exits the one at RIP is taken.
 * The bytes may come from anywhere: an ELF file, or, of a ROM, guest memory. Operands relative to
 * RIP are shown with EVENT's. D may be NULL: no text. */
void disassembler_choose(const struct disassembler *d, enum code_mode mode,
                         const struct code_window *window, const struct trace_event *event,
                         enum code_rip writes, struct code_choice *choice);

#endif
