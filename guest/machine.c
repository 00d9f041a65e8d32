/*
 * machine.c: what this machine is made of.  A flattened device tree tells it where the VMM left
 * one; otherwise the kernel's command line (QEMU's microvm appends virtio_mmio.device=... to it),
 * CPUID, and a look at the ports.
 */
#include "kernel.h"
#include "x86.h"

#include <memmap.h>
#include <ports.h>
#include <post_codes.h>

#define VIRTIO_SLOTS_MAX       32 /* that are looked through where nobody names them */
#define CPUID_TOPOLOGY         0xb
#define CPUID_1_EDX_HTT        (1u << 28)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

static struct {
    struct fdt fdt;
    bool have_fdt;
} machine;

static unsigned cpus_of_fdt(void)
{
    unsigned cpus = 0, depth = 0;
    bool in_cpus = false;
    uint32_t offset = 0;
    for (;;) {
        struct fdt_item item = fdt_next(&machine.fdt, &offset);
        if (item.token == FDT_END || (item.token == FDT_NODE_END && depth == 0))
            return cpus;
        if (item.token == FDT_NODE) {
            depth++;
            if (depth == 2)
                in_cpus = strcmp(item.name, "cpus") == 0;
            else if (depth == 3 && in_cpus && memcmp(item.name, "cpu@", 4) == 0)
                cpus++;
        } else if (item.token == FDT_NODE_END) {
            depth--;
        }
    }
}

static unsigned cpus_of_cpuid(void)
{
    if (cpuid(0, 0).eax >= CPUID_TOPOLOGY) {
        unsigned cpus = cpuid(CPUID_TOPOLOGY, 1).ebx & 0xffff;
        if (cpus)
            return cpus;
    }
    struct cpuid features = cpuid(1, 0);
    return features.edx & CPUID_1_EDX_HTT ? features.ebx >> 16 & 0xff : 1;
}

void machine_init(void)
{
    machine.have_fdt = fdt_open(&machine.fdt, (const uint8_t *)BOOT_FDT_GPA, BOOT_FDT_MAX);
}

unsigned machine_cpus(void)
{
    unsigned cpus = machine.have_fdt ? cpus_of_fdt() : cpus_of_cpuid();
    if (cpus == 0)
        return 1;
    return cpus < CPUS_MAX ? cpus : CPUS_MAX;
}

/* Each virtio_mmio.device=SIZE@GPA:IRQ of the command line. */
static unsigned slots_of_command_line(machine_slot *found)
{
    const char *key = "virtio_mmio.device=", *at = memory()->command_line;
    unsigned named = 0;
    while ((at = find(at, key))) {
        uint64_t size, gpa, irq;
        at += strlen(key);
        const char *end = scan_number(at, &size);
        if (end && *end == '@' && (end = scan_number(end + 1, &gpa)) && *end == ':' &&
            scan_number(end + 1, &irq)) {
            found(gpa, (uint32_t)irq);
            named++;
        }
    }
    return named;
}

/* Each node of the device tree that is compatible with "virtio,mmio". */
static unsigned slots_of_fdt(machine_slot *found)
{
    uint64_t gpa = 0;
    uint32_t irq = MACHINE_NO_IRQ, offset = 0;
    bool compatible = false;
    unsigned named = 0;
    for (;;) {
        struct fdt_item item = fdt_next(&machine.fdt, &offset);
        if (item.token != FDT_PROPERTY && compatible && gpa) {
            found(gpa, irq);
            named++;
        }
        if (item.token == FDT_END)
            return named;
        if (item.token != FDT_PROPERTY) {
            gpa = 0;
            irq = MACHINE_NO_IRQ;
            compatible = false;
        } else if (strcmp(item.name, "compatible") == 0) {
            compatible = fdt_is_text(&item) && strcmp((const char *)item.data, "virtio,mmio") == 0;
        } else if (strcmp(item.name, "reg") == 0) {
            gpa = (uint64_t)fdt_cell(&item, 0) << 32 | fdt_cell(&item, 1);
        } else if (strcmp(item.name, "interrupts") == 0) {
            irq = fdt_cell(&item, 0);
        }
    }
}

void machine_virtio_slots(machine_slot *found)
{
    if (slots_of_command_line(found) == 0 && (!machine.have_fdt || slots_of_fdt(found) == 0)) {
        for (unsigned i = 0; i < VIRTIO_SLOTS_MAX; i++)
            found(VIRTIO_MMIO_GPA + i * VIRTIO_MMIO_STRIDE, MACHINE_NO_IRQ);
    }
    out8(PORT_POST, POST_VIRTIO);
}

/* CPUID hands out names as the bytes of registers. */
static void print_signature(const char *label, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t words[3] = {a, b, c};
    char text[13] = {0};
    memcpy(text, words, 12);
    print("%s%s\n", label, text);
}

static void print_memory(void)
{
    const struct memory *mem = memory();
    for (unsigned i = 0; i < mem->range_count; i++) {
        const struct hvm_memmap_entry *range = &mem->range[i];
        if (range->size == 0)
            continue;
        print("memory:      %012lx - %012lx %s\n", range->addr, range->addr + range->size,
              range->type == E820_RAM ? "RAM" : "reserved");
    }
    if (mem->initrd_size)
        print("initrd:      %012lx, %lu bytes\n", mem->initrd, mem->initrd_size);
}

static void print_property(const struct fdt_item *item)
{
    print(" %s=", item->name);
    if (fdt_is_text(item)) {
        print("\"%s\"", (const char *)item->data);
        return;
    }
    print("<");
    for (uint32_t i = 0; i < item->size / 4; i++)
        print(i ? " 0x%x" : "0x%x", fdt_cell(item, i));
    print(">");
}

/* What binds the tree together but tells a reader nothing of the machine. */
static bool is_bookkeeping(const char *property)
{
    static const char *const names[] = {"ranges", "phandle", "interrupt-parent",
                                        "interrupt-controller", "device_type"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(property, names[i]) == 0)
            return true;
    }
    return property[0] == '#'; /* #address-cells and such */
}

/* The tree: a line a node, the properties behind its name. */
static void print_fdt(void)
{
    uint32_t offset = 0;
    unsigned depth = 0;
    for (;;) {
        struct fdt_item item = fdt_next(&machine.fdt, &offset);
        if (item.token == FDT_END || (item.token == FDT_NODE_END && depth == 0))
            break;
        if (item.token == FDT_NODE) {
            print("\n");
            for (unsigned i = 0; i < depth + 1; i++)
                print("  ");
            print("%s", *item.name ? item.name : "/");
            depth++;
        } else if (item.token == FDT_NODE_END) {
            depth--;
        } else if (!is_bookkeeping(item.name)) {
            print_property(&item);
        }
    }
    print("\n");
}

static void print_virtio_slots(void)
{
    const char *key = "virtio_mmio.device=";
    const char *at = memory()->command_line;
    unsigned count = 0;
    while ((at = find(at, key))) {
        at += strlen(key);
        print("  virtio-mmio slot ");
        for (; *at && *at != ' '; at++)
            print("%c", *at);
        print("\n");
        count++;
    }
    if (count == 0)
        print("  no virtio-mmio slots\n");
}

void machine_print(void)
{
    struct cpuid leaf = cpuid(0, 0);
    print_signature("processor:   ", leaf.ebx, leaf.edx, leaf.ecx);
    if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) {
        leaf = cpuid(CPUID_HYPERVISOR, 0);
        print_signature("hypervisor:  ", leaf.ebx, leaf.ecx, leaf.edx);
    }
    print("processors:  %u, from %s\n", machine_cpus(), machine.have_fdt ? "the FDT" : "CPUID");
    print("local APIC:  %s\n", apic_present() ? "yes, timer at 100 Hz" : "none: polling");
    print("debug exit:  %s\n", debug_exit_present() ? "yes" : "no");
    print_memory();
    print("command line: %s\n", memory()->command_line);
    if (machine.have_fdt) {
        print("devices, from the FDT at 0x%x:", BOOT_FDT_GPA);
        print_fdt();
    } else {
        print("devices, from the command line (there is no FDT):\n");
        print_virtio_slots();
    }
}
