/*
 * pvh.h: the PVH boot protocol's structures (Xen, docs/misc/pvh.pandoc and
 * xen/include/public/arch-x86/hvm/start_info.h; the note: xen/include/public/elfnote.h).
 * All addresses are guest physical; all fields little-endian.
 */
#ifndef KVMLENS_PVH_H
#define KVMLENS_PVH_H

#include <stdint.h>

#define PVH_NOTE_NAME "Xen"      /* owner of the ELF note */
#define PVH_NOTE_TYPE 18         /* XEN_ELFNOTE_PHYS32_ENTRY: 32-bit physical entry address */
#define PVH_MAGIC     0x336ec578 /* "xEn3" with bit 7 of the E set */
#define PVH_VERSION   1          /* of hvm_start_info: with a memory map */

struct hvm_start_info {
    uint32_t magic;   /* PVH_MAGIC */
    uint32_t version; /* PVH_VERSION */
    uint32_t flags;   /* 0 */
    uint32_t nr_modules;
    uint64_t modlist_paddr; /* array of hvm_modlist_entry, or 0 */
    uint64_t cmdline_paddr; /* NUL-terminated, or 0 */
    uint64_t rsdp_paddr;    /* ACPI root pointer, or 0 */
    uint64_t memmap_paddr;  /* array of hvm_memmap_entry (version 1) */
    uint32_t memmap_entries;
    uint32_t reserved; /* 0 */
};

struct hvm_modlist_entry {
    uint64_t paddr;
    uint64_t size;          /* bytes */
    uint64_t cmdline_paddr; /* or 0 */
    uint64_t reserved;      /* 0 */
};

struct hvm_memmap_entry {
    uint64_t addr;
    uint64_t size;     /* bytes */
    uint32_t type;     /* E820_... */
    uint32_t reserved; /* 0 */
};

#define E820_RAM      1
#define E820_RESERVED 2

_Static_assert(sizeof(struct hvm_start_info) == 56, "start_info is 56 bytes");
_Static_assert(sizeof(struct hvm_modlist_entry) == 32, "modlist entry is 32 bytes");
_Static_assert(sizeof(struct hvm_memmap_entry) == 24, "memmap entry is 24 bytes");

#endif
