/*
 * cpu_state.h: the registers of a vCPU, in neutral terms (Intel SDM vol. 3A, chapters 2 and 3).
 */
#ifndef KVMLENS_CPU_STATE_H
#define KVMLENS_CPU_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum cpu_gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum cpu_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDT, SEG_TR, SEG_COUNT };

struct cpu_segment {
    uint64_t base;
    uint32_t limit; /* bytes, already scaled by granularity */
    uint16_t selector;
    uint8_t type; /* 4 bits of the descriptor */
    uint8_t dpl;
    bool s, present, avl, l, db, g, unusable;
};

struct cpu_table {
    uint64_t base;
    uint16_t limit;
};

struct cpu_state {
    uint64_t gpr[16];
    uint64_t rip, rflags;
    struct cpu_segment seg[SEG_COUNT];
    struct cpu_table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
};

#define CR0_PE   0x1ull
#define CR0_PG   0x80000000ull
#define CR4_PSE  0x10ull
#define CR4_PAE  0x20ull
#define CR4_LA57 0x1000ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define EFER_NXE 0x800ull

#endif
