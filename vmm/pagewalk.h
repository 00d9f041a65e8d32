/*
 * pagewalk.h: a guest's page tables, walked in software (Intel SDM vol. 3A, chapter 4).
 */
#ifndef KVMLENS_PAGEWALK_H
#define KVMLENS_PAGEWALK_H

#include "cpu_state.h"
#include "mem.h"

#include <stdbool.h>
#include <stdint.h>

/* True if STATE executes 64-bit code. */
bool code_is_64bit(const struct cpu_state *state);

/* The linear address of the next instruction in STATE: CS base + RIP. */
uint64_t code_address(const struct cpu_state *state);

struct pagewalk_step {
    const char *level; /* "PML5", "PML4", "PDPT", "PD", "PT" */
    uint64_t entry_gpa;
    uint64_t entry; /* its value; 0 if entry_gpa is not memory */
    bool readable;  /* entry_gpa is memory */
};

struct pagewalk {
    struct pagewalk_step step[5];
    unsigned steps; /* 0: paging is off */
    bool mapped;
    uint64_t gpa;                    /* if mapped */
    uint64_t page_size;              /* bytes: 4 KiB, 2 MiB, 4 MiB, 1 GiB; 0 with paging off */
    bool writable, user, executable; /* all levels together */
    bool canonical;                  /* false: in long mode, bits 63 to 47 (56) differ */
    bool reserved;                   /* an entry has a reserved bit set */
};

/* Walks LINEAR with the paging mode that STATE is in. */
void pagewalk(const struct mem *mem, const struct cpu_state *state, uint64_t linear,
              struct pagewalk *walk);

/* Copies up to LEN bytes at LINEAR, page by page, to TO. Returns how many bytes could be read: it
 * ends before the first page that is not mapped, or mapped to what is not memory. */
uint64_t pagewalk_read(const struct mem *mem, const struct cpu_state *state, uint64_t linear,
                       void *to, uint64_t len);

#endif
