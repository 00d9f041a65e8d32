/*
 * pvh.c: the PVH direct boot protocol: start info, memory map, module list, command line and the
 * first vCPU's registers (Xen docs/misc/pvh.pandoc; descriptors: Intel SDM vol. 3A, section 3.4.5).
 */
#include "pvh.h"

#include <memmap.h>
#include <pvh.h>
#include <stddef.h>
#include <string.h>

#define MEMMAP_MAX 4

/* All that lies in the page at BOOT_INFO_GPA. */
struct boot_info {
    struct hvm_start_info start;
    struct hvm_modlist_entry initrd;
    struct hvm_memmap_entry map[MEMMAP_MAX];
};
_Static_assert(sizeof(struct boot_info) <= BOOT_CMDLINE_GPA - BOOT_INFO_GPA,
               "the boot info fits before the command line");

/* The GDT that the entry state's selectors refer to. The ABI leaves the selectors open and a guest
 * may not count on this table; but a debugger shows it, and one that reloads a selector works. */
enum { SELECTOR_CODE = 0x08, SELECTOR_DATA = 0x10, SELECTOR_TSS = 0x18 };
static const uint64_t gdt[] = {
    0, 0x00cf9b000000ffff, /* 32-bit code, execute/read, accessed, 4 GiB */
    0x00cf93000000ffff,    /* 32-bit data, read/write, accessed, 4 GiB */
    0x00008b0000000067,    /* 32-bit TSS, busy, limit 0x67 */
};

struct ram_layout ram_layout(uint64_t ram_bytes)
{
    if (ram_bytes <= RAM_LOW_TOP)
        return (struct ram_layout){.low = ram_bytes};
    return (struct ram_layout){.low = RAM_LOW_TOP, .high = ram_bytes - RAM_LOW_TOP};
}

int pvh_check_cmdline(const char *cmdline, struct error *err)
{
    size_t length = strlen(cmdline);
    if (length >= BOOT_CMDLINE_MAX)
        return error_set(err, STATUS_USAGE,
                         "the kernel command line is too long: found %zu bytes, expected at most "
                         "%d; shorten -append",
                         length, BOOT_CMDLINE_MAX - 1);
    return 0;
}

/* Fills in MAP; the number of entries. */
static uint32_t fill_memmap(struct hvm_memmap_entry *map, uint64_t ram_bytes)
{
    struct ram_layout ram = ram_layout(ram_bytes);
    uint32_t n = 0;
    map[n++] = (struct hvm_memmap_entry){.addr = 0, .size = RAM_BASE_TOP, .type = E820_RAM};
    map[n++] = (struct hvm_memmap_entry){
        .addr = RAM_BASE_TOP, .size = RAM_KERNEL_MIN - RAM_BASE_TOP, .type = E820_RESERVED};
    if (ram.low > RAM_KERNEL_MIN)
        map[n++] = (struct hvm_memmap_entry){
            .addr = RAM_KERNEL_MIN, .size = ram.low - RAM_KERNEL_MIN, .type = E820_RAM};
    if (ram.high > 0)
        map[n++] =
            (struct hvm_memmap_entry){.addr = RAM_HIGH_BASE, .size = ram.high, .type = E820_RAM};
    return n;
}

int pvh_write(const struct pvh_boot *boot, const struct mem *mem, struct error *err)
{
    if (pvh_check_cmdline(boot->cmdline, err) < 0)
        return -1;

    struct boot_info info = {
        .start = {.magic = PVH_MAGIC,
                  .version = PVH_VERSION,
                  .cmdline_paddr = BOOT_CMDLINE_GPA,
                  .memmap_paddr = BOOT_INFO_GPA + offsetof(struct boot_info, map)},
    };
    info.start.memmap_entries = fill_memmap(info.map, boot->ram_bytes);
    if (boot->initrd_size > 0) {
        info.start.nr_modules = 1;
        info.start.modlist_paddr = BOOT_INFO_GPA + offsetof(struct boot_info, initrd);
        info.initrd.paddr = boot->initrd_gpa;
        info.initrd.size = boot->initrd_size;
    }

    if (mem_write(mem, BOOT_GDT_GPA, gdt, sizeof(gdt)) < 0 ||
        mem_write(mem, BOOT_INFO_GPA, &info, sizeof(info)) < 0 ||
        mem_write(mem, BOOT_CMDLINE_GPA, boot->cmdline, strlen(boot->cmdline) + 1) < 0)
        return error_set(err, STATUS_INTERNAL,
                         "cannot write the boot information at GPA 0x%x: there is no RAM",
                         BOOT_GDT_GPA);
    return 0;
}

static struct cpu_segment flat_segment(uint16_t selector, uint8_t type)
{
    return (struct cpu_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .s = true,
                                .present = true,
                                .db = true,
                                .g = true};
}

void pvh_cpu_state(const struct pvh_boot *boot, struct cpu_state *state)
{
    const uint64_t cr0_et = 0x10;    /* hardwired to 1 */
    const uint64_t rflags_one = 0x2; /* bit 1 is always 1 */

    state->gpr[RBX] = BOOT_INFO_GPA;
    state->rip = boot->entry;
    state->rflags = rflags_one;
    state->cr0 = CR0_PE | cr0_et;
    state->cr3 = 0;
    state->cr4 = 0;
    state->efer = 0;

    const uint8_t code = 0xb, data = 0x3, busy_tss32 = 0xb;
    state->seg[SEG_CS] = flat_segment(SELECTOR_CODE, code);
    static const enum cpu_seg data_seg[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    for (size_t i = 0; i < sizeof(data_seg) / sizeof(data_seg[0]); i++)
        state->seg[data_seg[i]] = flat_segment(SELECTOR_DATA, data);
    state->seg[SEG_TR] = (struct cpu_segment){
        .limit = 0x67, .selector = SELECTOR_TSS, .type = busy_tss32, .present = true};

    state->gdt = (struct cpu_table){.base = BOOT_GDT_GPA, .limit = sizeof(gdt) - 1};
    /* The ABI leaves the IDT open. An empty one makes an early fault a plain triple fault, where
     * the limit after reset would make the processor take page 0 for gates. */
    state->idt = (struct cpu_table){0};
}
