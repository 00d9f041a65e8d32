/*
 * boot/pvh.h: the PVH direct boot protocol: what lies in memory and in the registers at a
 * kernel's first instruction (Xen docs/misc/pvh.pandoc; structures in include/pvh.h).
 */
#ifndef KVMLENS_BOOT_PVH_H
#define KVMLENS_BOOT_PVH_H

#include "../cpu_state.h"
#include "../error.h"
#include "../mem.h"

struct pvh_boot {
    uint64_t ram_bytes;
    const char *cmdline;              /* never NULL */
    uint64_t initrd_gpa, initrd_size; /* size 0: no initrd */
    uint32_t entry;                   /* GPA */
};

/* A command line too long for its place (BOOT_CMDLINE_MAX) is a STATUS_USAGE error; call this
 * before a VM exists. */
int pvh_check_cmdline(const char *cmdline, struct error *err);

/* Writes start info, memory map, module list, command line and GDT into guest memory. */
int pvh_write(const struct pvh_boot *boot, const struct mem *mem, struct error *err);

/* Changes STATE (a vCPU's after reset) to the PVH entry state: 32-bit protected mode, paging off,
 * flat segments, EBX = GPA of the start info. */
void pvh_cpu_state(const struct pvh_boot *boot, struct cpu_state *state);

/* How RAM_BYTES are laid out: bytes from 0 up, and bytes from 4 GiB up. */
struct ram_layout {
    uint64_t low, high;
};
struct ram_layout ram_layout(uint64_t ram_bytes);

#endif
