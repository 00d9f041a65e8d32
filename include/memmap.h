/*
 * memmap.h: where things are in guest physical memory.  Both sides include it: the VMM places
 * them there, the guest finds them there.  docs/machine.md is generated from these lines.
 *
 * The map is that of QEMU's microvm (QEMU, docs/system/i386/microvm.rst and hw/i386/microvm.c),
 * so that one guest runs on both.  All values are guest physical addresses (GPA) or bytes.
 *
 *   0                    640 KiB    1 MiB                          3 GiB        4 GiB
 *   | boot info, FDT, ... | (ROM alias) | RAM ...                   | devices    | RAM ...
 *                                                                        ROM --^
 */
#ifndef KVMLENS_MEMMAP_H
#define KVMLENS_MEMMAP_H

/* RAM */
#define RAM_LOW_TOP    0xc0000000   /* RAM below 4 GiB ends here at the latest (3 GiB) */
#define RAM_HIGH_BASE  0x100000000  /* RAM that does not fit below 3 GiB continues here (4 GiB) */
#define RAM_MIN_BYTES  0x100000     /* least RAM that -m takes (1 MiB) */
#define RAM_MAX_BYTES  0x1000000000 /* most RAM that -m takes (64 GiB) */
#define RAM_BASE_TOP   0xa0000      /* e820: RAM below 1 MiB ends here, as on a PC (640 KiB) */
#define RAM_KERNEL_MIN 0x100000     /* a PVH kernel's segments start here at the lowest (1 MiB) */

/* What the VMM writes before a PVH guest's first instruction */
#define BOOT_GDT_GPA     0x5000  /* flat GDT that the PVH entry state refers to */
#define BOOT_INFO_GPA    0x6000  /* struct hvm_start_info, its module list and memory map */
#define BOOT_CMDLINE_GPA 0x7000  /* kernel command line, NUL-terminated */
#define BOOT_CMDLINE_MAX 0x1000  /* its size at most, the NUL included (bytes) */
#define BOOT_AP_GPA      0x8000  /* free page for the guest's AP start code (SIPI vector 8) */
#define BOOT_FDT_GPA     0x10000 /* flattened device tree of this machine (not in QEMU) */
#define BOOT_FDT_MAX     0x10000 /* its size at most (bytes) */

/* Memory-mapped devices */
#define IOAPIC_GPA           0xfec00000 /* I/O APIC, in the kernel */
#define IOAPIC_SIZE          0x1000     /* bytes */
#define LAPIC_GPA            0xfee00000 /* local APIC, in the kernel */
#define LAPIC_SIZE           0x1000     /* bytes */
#define POWER_GPA            0xfea00200 /* ACPI GED sleep and reset registers (see power.h) */
#define POWER_SIZE           0x3        /* bytes */
#define VIRTIO_MMIO_GPA      0xfeb00000 /* first virtio-mmio slot */
#define VIRTIO_MMIO_STRIDE   0x200      /* bytes a slot */
#define VIRTIO_MMIO_SLOTS    8          /* the first device is in the last one, as in QEMU */
#define KVM_IDENTITY_MAP_GPA 0xfeffc000 /* one page KVM needs on Intel: identity map */
#define KVM_TSS_GPA          0xfeffd000 /* three pages KVM needs on Intel: real-mode TSS */

/* ROM (-bios) */
#define ROM_TOP       0x100000000 /* the ROM ends at 4 GiB */
#define ROM_ALIAS_TOP 0x100000    /* its last 128 KiB appear again below 1 MiB */
#define ROM_ALIAS_MAX 0x20000     /* how much of it (128 KiB) */
#define ROM_UNIT      0x10000     /* a ROM's size is a multiple of this (64 KiB) */
#define ROM_MAX       0x800000    /* and at most this (8 MiB) */
#define RESET_VECTOR  0xfffffff0  /* first instruction after reset */

#endif
