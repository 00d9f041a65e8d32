/*
 * fdt.c: the flattened device tree, written front to back with libfdt's sequential-write calls
 * (Devicetree Specification v0.4; bindings: Linux Documentation/devicetree/bindings, intel,ce4100-*
 * for the APICs and processors, and the ISA bus binding to IEEE 1275 for I/O ports).
 *
 *   /            memory@..., chosen
 *   /cpus        cpu@APIC_ID
 *   /soc         simple-bus: the I/O APIC, the local APIC, devices on MMIO
 *   /soc/isa@0   devices on I/O ports: the PIC, the PIT, serial, ...
 */
#include "fdt.h"
#include "pvh.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <memmap.h>
#include <ports.h>
#include <stdio.h>
#include <string.h>

#define PHANDLE_IOAPIC 1
#define ISA_PATH       "/soc/isa@0"
#define NAME_MAX_BYTES 64

/* Second cell of an interrupt, as Linux's arch/x86/kernel/devicetree.c takes it. */
enum { SENSE_LEVEL_HIGH = 1, SENSE_EDGE_RISING = 3 };

/* First cell of an ISA address. */
enum { ISA_IO = 1 };

/* A tree in the making. After the first error all calls do nothing, so that only the end checks. */
struct tree {
    void *blob;
    int error; /* 0 or -FDT_ERR_... */
};

static void node(struct tree *t, const char *name)
{
    if (!t->error)
        t->error = fdt_begin_node(t->blob, name);
}

static void node_at(struct tree *t, const char *name, uint64_t address)
{
    char full[NAME_MAX_BYTES];
    snprintf(full, sizeof(full), "%s@%" PRIx64, name, address);
    node(t, full);
}

static void end_node(struct tree *t)
{
    if (!t->error)
        t->error = fdt_end_node(t->blob);
}

static void prop(struct tree *t, const char *name, const void *value, size_t size)
{
    if (!t->error)
        t->error = fdt_property(t->blob, name, value, (int)size);
}

static void prop_string(struct tree *t, const char *name, const char *value)
{
    prop(t, name, value, strlen(value) + 1);
}

static void prop_cells(struct tree *t, const char *name, const uint32_t *cells, unsigned count)
{
    fdt32_t value[8];
    for (unsigned i = 0; i < count; i++)
        value[i] = cpu_to_fdt32(cells[i]);
    prop(t, name, value, count * sizeof(value[0]));
}

#define PROP_CELLS(t, name, ...)                                                                   \
    prop_cells(t, name, (const uint32_t[]){__VA_ARGS__},                                           \
               sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A 64-bit value as two cells. */
#define CELLS64(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)

static void prop_u64(struct tree *t, const char *name, uint64_t value)
{
    PROP_CELLS(t, name, CELLS64(value));
}

static void address_cells(struct tree *t, uint32_t address, uint32_t size)
{
    PROP_CELLS(t, "#address-cells", address);
    PROP_CELLS(t, "#size-cells", size);
}

static void interrupt(struct tree *t, int gsi, uint32_t sense)
{
    PROP_CELLS(t, "interrupts", (uint32_t)gsi, sense);
}

static void chosen(struct tree *t, const struct fdt_machine *m)
{
    node(t, "chosen");
    if (m->bootargs)
        prop_string(t, "bootargs", m->bootargs);
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct fdt_device *d = &m->device[i];
        if (!d->pio || strcmp(d->name, "serial") != 0)
            continue;
        char path[NAME_MAX_BYTES];
        snprintf(path, sizeof(path), ISA_PATH "/serial@%" PRIx64, d->base);
        prop_string(t, "stdout-path", path);
        break;
    }
    if (m->initrd_size > 0) {
        prop_u64(t, "linux,initrd-start", m->initrd_gpa);
        prop_u64(t, "linux,initrd-end", m->initrd_gpa + m->initrd_size);
    }
    end_node(t);
}

/* The same ranges as the memory map of the PVH start info. */
static void memory(struct tree *t, uint64_t ram_bytes)
{
    struct ram_layout ram = ram_layout(ram_bytes);
    node_at(t, "memory", 0);
    prop_string(t, "device_type", "memory");
    const uint32_t reg[] = {CELLS64(0), CELLS64(RAM_BASE_TOP), CELLS64(RAM_KERNEL_MIN),
                            CELLS64(ram.low - RAM_KERNEL_MIN)};
    prop_cells(t, "reg", reg, ram.low > RAM_KERNEL_MIN ? 8 : 4);
    end_node(t);
    if (ram.high == 0)
        return;
    node_at(t, "memory", RAM_HIGH_BASE);
    prop_string(t, "device_type", "memory");
    PROP_CELLS(t, "reg", CELLS64(RAM_HIGH_BASE), CELLS64(ram.high));
    end_node(t);
}

/* The bindings ask for device_type and reg (the local APIC ID) only, and have no compatible
 * string for an x86 processor in general. */
static void cpus(struct tree *t, unsigned count)
{
    node(t, "cpus");
    address_cells(t, 1, 0);
    for (unsigned i = 0; i < count; i++) {
        node_at(t, "cpu", i);
        prop_string(t, "device_type", "cpu");
        PROP_CELLS(t, "reg", i);
        end_node(t);
    }
    end_node(t);
}

/* Opens the node of an interrupt controller; the caller adds reg and ends it. */
static void interrupt_controller(struct tree *t, uint64_t address, const char *compatible)
{
    node_at(t, "interrupt-controller", address);
    prop_string(t, "compatible", compatible);
    prop(t, "interrupt-controller", NULL, 0);
    PROP_CELLS(t, "#interrupt-cells", 2);
    PROP_CELLS(t, "#address-cells", 0);
}

static void apics(struct tree *t)
{
    interrupt_controller(t, IOAPIC_GPA, "intel,ce4100-ioapic");
    PROP_CELLS(t, "reg", CELLS64(IOAPIC_GPA), CELLS64(IOAPIC_SIZE));
    PROP_CELLS(t, "phandle", PHANDLE_IOAPIC);
    end_node(t);
    interrupt_controller(t, LAPIC_GPA, "intel,ce4100-lapic");
    PROP_CELLS(t, "reg", CELLS64(LAPIC_GPA), CELLS64(LAPIC_SIZE));
    end_node(t);
}

static void pic_and_pit(struct tree *t, bool pit)
{
    const uint32_t pit_hz = 1193182, ioapic_pin_of_pit = 2;
    interrupt_controller(t, PORT_PIC_MASTER, "intel,i8259");
    PROP_CELLS(t, "reg", ISA_IO, PORT_PIC_MASTER, 2, ISA_IO, PORT_PIC_SLAVE, 2);
    end_node(t);
    if (!pit)
        return;
    node_at(t, "timer", PORT_PIT);
    prop_string(t, "compatible", "pnpPNP,100"); /* PNP0100: AT timer */
    PROP_CELLS(t, "reg", ISA_IO, PORT_PIT, 4);
    PROP_CELLS(t, "clock-frequency", pit_hz);
    interrupt(t, (int)ioapic_pin_of_pit, SENSE_EDGE_RISING);
    end_node(t);
}

static void devices(struct tree *t, const struct fdt_machine *m, bool pio)
{
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct fdt_device *d = &m->device[i];
        if (d->pio != pio)
            continue;
        node_at(t, d->name, d->base);
        prop_string(t, "compatible", d->compatible);
        if (pio)
            PROP_CELLS(t, "reg", ISA_IO, (uint32_t)d->base, (uint32_t)d->size);
        else
            PROP_CELLS(t, "reg", CELLS64(d->base), CELLS64(d->size));
        if (d->irq >= 0 && m->irqchip)
            interrupt(t, d->irq, pio || d->edge ? SENSE_EDGE_RISING : SENSE_LEVEL_HIGH);
        if (d->clock_hz)
            PROP_CELLS(t, "clock-frequency", d->clock_hz);
        if (d->coherent)
            prop(t, "dma-coherent", NULL, 0);
        end_node(t);
    }
}

static void soc(struct tree *t, const struct fdt_machine *m)
{
    node(t, "soc");
    prop_string(t, "compatible", "simple-bus");
    address_cells(t, 2, 2);
    prop(t, "ranges", NULL, 0);
    if (m->irqchip)
        apics(t);
    devices(t, m, false);

    node_at(t, "isa", 0);
    prop_string(t, "compatible", "isa");
    address_cells(t, 2, 1);
    PROP_CELLS(t, "ranges", ISA_IO, 0, CELLS64(0), 0x10000);
    if (m->irqchip)
        pic_and_pit(t, m->pit);
    devices(t, m, true);
    end_node(t);
    end_node(t);
}

int fdt_build(const struct fdt_machine *m, void *blob, uint32_t capacity)
{
    struct tree t = {.blob = blob};
    t.error = fdt_create(blob, (int)capacity);
    if (!t.error)
        t.error = fdt_finish_reservemap(blob);

    node(&t, "");
    prop_string(&t, "compatible", "kvmlens,microvm");
    prop_string(&t, "model", m->model);
    address_cells(&t, 2, 2);
    if (m->irqchip)
        PROP_CELLS(&t, "interrupt-parent", PHANDLE_IOAPIC);
    chosen(&t, m);
    memory(&t, m->ram_bytes);
    cpus(&t, m->cpus);
    soc(&t, m);
    end_node(&t);

    if (!t.error)
        t.error = fdt_finish(blob);
    return t.error ? -ENOSPC : (int)fdt_totalsize(blob);
}
