/*
 * dead_guest.h: a guest built in memory for the tests of page walks and post-mortems: 1 MiB of RAM,
 * mapped one to one by 4 KiB pages in 64-bit mode, with GDT, TSS, a full IDT and a stack. All is
 * well with it; each test breaks one thing.
 */
#ifndef KVMLENS_TEST_DEAD_GUEST_H
#define KVMLENS_TEST_DEAD_GUEST_H

#include "cpu_state.h"
#include "mem.h"
#include "postmortem.h"

#include <stdlib.h>
#include <string.h>

#define DEAD_RAM     0x100000
#define DEAD_PML4    0x1000
#define DEAD_PDPT    0x2000
#define DEAD_PD      0x3000
#define DEAD_PT      0x4000
#define DEAD_GDT     0x5000
#define DEAD_TSS     0x5800
#define DEAD_IDT     0x6000
#define DEAD_CODE    0x10000
#define DEAD_HANDLER 0x11000
#define DEAD_GUARD   0x1f000 /* not mapped */
#define DEAD_STACK   0x20000 /* one page */
#define DEAD_IST     0x22000 /* one page */

struct dead_guest {
    struct mem mem;
    struct cpu_state state;
    struct vm_exit exit;
    struct trace_event last[16];
    struct postmortem dead;
    uint8_t ram[DEAD_RAM];
};

static inline void poke64(struct dead_guest *g, uint64_t gpa, uint64_t value)
{
    memcpy(g->ram + gpa, &value, sizeof(value));
}

static inline uint64_t *pte(struct dead_guest *g, uint64_t linear)
{
    return (uint64_t *)(void *)(g->ram + DEAD_PT + linear / 0x1000 * 8);
}

static inline uint8_t *idt_entry(struct dead_guest *g, unsigned vector)
{
    return g->ram + DEAD_IDT + vector * 16;
}

static inline void set_gate(struct dead_guest *g, unsigned vector, uint64_t handler, uint8_t type,
                            uint8_t ist)
{
    uint8_t *entry = idt_entry(g, vector);

    memset(entry, 0, 16);
    memcpy(entry, &handler, 2);
    entry[2] = 0x08;
    entry[4] = ist;
    entry[5] = type;
    memcpy(entry + 6, (uint8_t *)&handler + 2, 6);
}

static inline void set_code(struct dead_guest *g, const char *bytes, size_t len)
{
    memcpy(g->ram + DEAD_CODE, bytes, len);
}

static inline struct dead_guest *dead_guest_create(void)
{
    struct dead_guest *g = calloc(1, sizeof(*g));
    struct cpu_state *s = &g->state;

    mem_add(&g->mem, 0, DEAD_RAM, g->ram, false);
    poke64(g, DEAD_PML4, DEAD_PDPT | 7);
    poke64(g, DEAD_PDPT, DEAD_PD | 7);
    poke64(g, DEAD_PD, DEAD_PT | 7);
    for (uint64_t at = 0x1000; at < DEAD_RAM; at += 0x1000)
        *pte(g, at) = at | 0x8000000000000003;
    *pte(g, DEAD_CODE) = DEAD_CODE | 1;
    *pte(g, DEAD_HANDLER) = DEAD_HANDLER | 1;
    *pte(g, DEAD_GUARD) = 0;

    poke64(g, DEAD_GDT + 0x08, 0x00af9a000000ffff);
    poke64(g, DEAD_GDT + 0x10, 0x00cf92000000ffff);
    poke64(g, DEAD_TSS + 0x24, DEAD_IST + 0x1000);
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(g, vector, DEAD_HANDLER, 0x8e, 0);
    memset(g->ram + DEAD_CODE - 16, 0x90, 0x1000);

    s->rip = DEAD_CODE;
    s->rflags = 0x46;
    s->gpr[RSP] = DEAD_STACK + 0x800;
    s->cr0 = CR0_PE | CR0_PG | 0x10000;
    s->cr3 = DEAD_PML4;
    s->cr4 = CR4_PAE;
    s->efer = EFER_LME | EFER_LMA | EFER_NXE;
    s->gdt = (struct cpu_table){DEAD_GDT, 0x17};
    s->idt = (struct cpu_table){DEAD_IDT, 32 * 16 - 1};
    s->seg[SEG_CS] = (struct cpu_segment){
        .selector = 0x08, .limit = 0xffffffff, .type = 0xb, .s = true, .present = true, .l = true};
    s->seg[SEG_SS] = (struct cpu_segment){
        .selector = 0x10, .limit = 0xffffffff, .type = 3, .s = true, .present = true, .db = true};
    s->seg[SEG_TR] = (struct cpu_segment){
        .selector = 0x18, .base = DEAD_TSS, .limit = 0x67, .type = 0xb, .present = true};
    s->seg[SEG_DS] = s->seg[SEG_ES] = s->seg[SEG_FS] = s->seg[SEG_GS] = s->seg[SEG_SS];
    s->seg[SEG_LDT].unusable = true;

    g->exit = (struct vm_exit){
        .kind = VM_EXIT_SHUTDOWN, .raw_reason = 8, .raw_name = "KVM_EXIT_SHUTDOWN"};
    g->dead =
        (struct postmortem){.exit = &g->exit, .state = &g->state, .mem = &g->mem, .last = g->last};
    return g;
}

#endif
