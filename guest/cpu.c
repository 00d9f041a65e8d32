/*
 * cpu.c: what each processor has of its own: GDT, TSS, stacks, and a place that GS points to
 * (Intel SDM vol. 3A, 3.4.5 and 8.7).
 */
#include "kernel.h"
#include "x86.h"

static struct cpu *cpus[CPUS_MAX];

_Static_assert(sizeof(struct tss) == 104, "the TSS is 104 bytes");
_Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "a CPU's place is one page");

struct cpu *cpu_make(unsigned index, uint32_t apic_id)
{
    struct cpu *cpu = page_alloc();
    cpu->self = cpu;
    cpu->index = index;
    cpu->apic_id = apic_id;
    cpu->tss.io_map = sizeof(cpu->tss); /* past the end: no I/O map */
    cpu->tss.ist[IST_DOUBLE_FAULT - 1] = (uint64_t)stack_top(index, 1);
    cpu->tss.ist[IST_NMI - 1] = (uint64_t)stack_top(index, 2);

    uint64_t base = (uint64_t)&cpu->tss, limit = sizeof(cpu->tss) - 1;
    cpu->gdt[SEL_CODE64 / 8] = 0x00af9b000000ffff;
    cpu->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
    cpu->gdt[SEL_TSS / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 /* present, TSS */
                            | (base >> 24 & 0xff) << 56;
    cpu->gdt[SEL_TSS / 8 + 1] = base >> 32;
    cpus[index] = cpu;
    return cpu;
}

void cpu_load(struct cpu *cpu)
{
    struct table_register gdt = {sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt};
    lgdt(&gdt);
    ltr(SEL_TSS);
    traps_load();
    wrmsr(MSR_GS_BASE, (uint64_t)cpu);
}

struct cpu *cpu_this(void)
{
    struct cpu *cpu;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

struct cpu *cpu_get(unsigned index)
{
    return index < CPUS_MAX ? cpus[index] : NULL;
}
