/*
 * test_fdt.c: the device tree that fdt_build() writes, read back with libfdt.
 */
#include "boot/fdt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <libfdt.h>
#include <memmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB      0x100000ull
#define GIB      0x40000000ull
#define CAPACITY BOOT_FDT_MAX

static const struct fdt_device devices[] = {
    {"serial", "ns16550a", .pio = true, .base = 0x3f8, .size = 8, .irq = 4, .clock_hz = 1843200},
    {"rtc", "motorola,mc146818", .pio = true, .base = 0x70, .size = 2, .irq = 8},
    {"post", "kvmlens,post", .pio = true, .base = 0x80, .size = 1, .irq = -1},
    {"virtio_mmio", "virtio,mmio", .base = 0xfeb00000, .size = 0x200, .irq = 5},
    {"virtio_mmio", "virtio,mmio", .base = 0xfeb00e00, .size = 0x200, .irq = 12, .edge = true,
     .coherent = true},
};

static const struct fdt_machine full = {
    .model = "kvmlens,microvm",
    .ram_bytes = 128 * MIB,
    .cpus = 2,
    .bootargs = "run=zoo",
    .initrd_gpa = 0x7fff000,
    .initrd_size = 0x123,
    .irqchip = true,
    .pit = true,
    .device = devices,
    .device_count = sizeof(devices) / sizeof(devices[0]),
};

static void *build(const struct fdt_machine *machine)
{
    void *blob = malloc(CAPACITY);
    assert_non_null(blob);
    int size = fdt_build(machine, blob, CAPACITY);
    assert_in_range(size, 1, CAPACITY);
    assert_int_equal(fdt_check_full(blob, (size_t)size), 0);
    assert_int_equal(fdt_totalsize(blob), size);
    return blob;
}

static const void *property(const void *blob, const char *path, const char *name, int *length)
{
    int node = fdt_path_offset(blob, path);
    if (node < 0)
        fail_msg("no node %s", path);
    return fdt_getprop(blob, node, name, length);
}

static void expect_text(const void *blob, const char *path, const char *name, const char *expect)
{
    int length;
    const char *value = property(blob, path, name, &length);
    if (!value)
        fail_msg("no %s in %s", name, path);
    assert_string_equal(value, expect);
    assert_int_equal(length, strlen(expect) + 1);
}

static void expect_cells(const void *blob, const char *path, const char *name, unsigned count,
                         const uint32_t *expect)
{
    int length;
    const fdt32_t *value = property(blob, path, name, &length);
    if (!value)
        fail_msg("no %s in %s", name, path);
    assert_int_equal(length, 4 * count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(fdt32_to_cpu(value[i]), expect[i]);
}
#define EXPECT_CELLS(blob, path, name, ...)                                                        \
    expect_cells(blob, path, name, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),           \
                 (uint32_t[]){__VA_ARGS__})

static bool has_node(const void *blob, const char *path)
{
    return fdt_path_offset(blob, path) >= 0;
}

static bool has_property(const void *blob, const char *path, const char *name)
{
    return property(blob, path, name, NULL) != NULL;
}

static void root_and_chosen(void **state)
{
    (void)state;
    void *blob = build(&full);
    expect_text(blob, "/", "compatible", "kvmlens,microvm");
    expect_text(blob, "/", "model", "kvmlens,microvm");
    EXPECT_CELLS(blob, "/", "#address-cells", 2);
    EXPECT_CELLS(blob, "/", "#size-cells", 2);
    expect_text(blob, "/chosen", "bootargs", "run=zoo");
    EXPECT_CELLS(blob, "/chosen", "linux,initrd-start", 0, 0x7fff000);
    EXPECT_CELLS(blob, "/chosen", "linux,initrd-end", 0, 0x7fff123);

    int length;
    const char *path = property(blob, "/chosen", "stdout-path", &length);
    assert_non_null(path);
    expect_text(blob, path, "compatible", "ns16550a");
    free(blob);
}

static void leaves_out(void **state)
{
    (void)state;
    struct fdt_machine least = {.model = "m", .ram_bytes = MIB, .cpus = 1};
    void *blob = build(&least);
    assert_false(has_property(blob, "/chosen", "bootargs"));
    assert_false(has_property(blob, "/chosen", "stdout-path"));
    assert_false(has_property(blob, "/chosen", "linux,initrd-start"));
    assert_false(has_property(blob, "/", "interrupt-parent"));
    assert_false(has_node(blob, "/soc/interrupt-controller@fec00000"));
    assert_false(has_node(blob, "/soc/isa@0/interrupt-controller@20"));
    assert_false(has_node(blob, "/soc/isa@0/timer@40"));
    assert_false(has_node(blob, "/cpus/cpu@1"));
    free(blob);

    struct fdt_machine no_irqchip = full;
    no_irqchip.irqchip = false;
    blob = build(&no_irqchip);
    assert_false(has_property(blob, "/soc/isa@0/serial@3f8", "interrupts"));
    assert_false(has_node(blob, "/soc/isa@0/timer@40"));
    free(blob);

    struct fdt_machine no_pit = full;
    no_pit.pit = false;
    blob = build(&no_pit);
    assert_true(has_node(blob, "/soc/isa@0/interrupt-controller@20"));
    assert_false(has_node(blob, "/soc/isa@0/timer@40"));
    free(blob);
}

static void memory(void **state)
{
    (void)state;
    struct fdt_machine machine = full;
    void *blob = build(&machine);
    expect_text(blob, "/memory@0", "device_type", "memory");
    EXPECT_CELLS(blob, "/memory@0", "reg", 0, 0, 0, 0xa0000, 0, 0x100000, 0, 0x7f00000);
    assert_false(has_node(blob, "/memory@100000000"));
    free(blob);

    machine.ram_bytes = RAM_MIN_BYTES;
    blob = build(&machine);
    EXPECT_CELLS(blob, "/memory@0", "reg", 0, 0, 0, 0xa0000);
    free(blob);

    machine.ram_bytes = 3 * GIB;
    blob = build(&machine);
    EXPECT_CELLS(blob, "/memory@0", "reg", 0, 0, 0, 0xa0000, 0, 0x100000, 0, 0xbff00000);
    assert_false(has_node(blob, "/memory@100000000"));
    free(blob);

    machine.ram_bytes = RAM_MAX_BYTES;
    blob = build(&machine);
    EXPECT_CELLS(blob, "/memory@0", "reg", 0, 0, 0, 0xa0000, 0, 0x100000, 0, 0xbff00000);
    EXPECT_CELLS(blob, "/memory@100000000", "reg", 1, 0, 0xf, 0x40000000);
    expect_text(blob, "/memory@100000000", "device_type", "memory");
    free(blob);
}

static void processors(void **state)
{
    (void)state;
    struct fdt_machine machine = full;
    machine.cpus = 64;
    void *blob = build(&machine);
    unsigned count = 0;
    int node;
    fdt_for_each_subnode(node, blob, fdt_path_offset(blob, "/cpus"))
    {
        char path[32];
        snprintf(path, sizeof(path), "/cpus/cpu@%x", count);
        assert_int_equal(fdt_path_offset(blob, path), node);
        expect_text(blob, path, "device_type", "cpu");
        EXPECT_CELLS(blob, path, "reg", count);
        count++;
    }
    assert_int_equal(count, 64);
    EXPECT_CELLS(blob, "/cpus", "#address-cells", 1);
    EXPECT_CELLS(blob, "/cpus", "#size-cells", 0);
    free(blob);
}

static void interrupt_controllers(void **state)
{
    (void)state;
    void *blob = build(&full);
    static const char ioapic[] = "/soc/interrupt-controller@fec00000";
    expect_text(blob, ioapic, "compatible", "intel,ce4100-ioapic");
    EXPECT_CELLS(blob, ioapic, "reg", 0, 0xfec00000, 0, 0x1000);
    EXPECT_CELLS(blob, ioapic, "#interrupt-cells", 2);
    assert_true(has_property(blob, ioapic, "interrupt-controller"));
    expect_text(blob, "/soc/interrupt-controller@fee00000", "compatible", "intel,ce4100-lapic");

    int length;
    const fdt32_t *parent = property(blob, "/", "interrupt-parent", &length);
    assert_non_null(parent);
    assert_int_equal(fdt_node_offset_by_phandle(blob, fdt32_to_cpu(*parent)),
                     fdt_path_offset(blob, ioapic));

    EXPECT_CELLS(blob, "/soc/isa@0/interrupt-controller@20", "reg", 1, 0x20, 2, 1, 0xa0, 2);
    EXPECT_CELLS(blob, "/soc/isa@0/timer@40", "reg", 1, 0x40, 4);
    EXPECT_CELLS(blob, "/soc/isa@0/timer@40", "interrupts", 2, 3);
    EXPECT_CELLS(blob, "/soc/isa@0/timer@40", "clock-frequency", 1193182);
    free(blob);
}

static void device_nodes(void **state)
{
    (void)state;
    void *blob = build(&full);
    expect_text(blob, "/soc", "compatible", "simple-bus");
    expect_text(blob, "/soc/isa@0", "compatible", "isa");
    EXPECT_CELLS(blob, "/soc/isa@0", "#address-cells", 2);
    EXPECT_CELLS(blob, "/soc/isa@0", "#size-cells", 1);
    EXPECT_CELLS(blob, "/soc/isa@0", "ranges", 1, 0, 0, 0, 0x10000);
    EXPECT_CELLS(blob, "/soc/isa@0/serial@3f8", "reg", 1, 0x3f8, 8);
    EXPECT_CELLS(blob, "/soc/isa@0/serial@3f8", "interrupts", 4, 3);
    EXPECT_CELLS(blob, "/soc/isa@0/serial@3f8", "clock-frequency", 1843200);
    expect_text(blob, "/soc/isa@0/rtc@70", "compatible", "motorola,mc146818");
    assert_false(has_property(blob, "/soc/isa@0/rtc@70", "clock-frequency"));
    assert_false(has_property(blob, "/soc/isa@0/post@80", "interrupts"));
    EXPECT_CELLS(blob, "/soc/virtio_mmio@feb00000", "reg", 0, 0xfeb00000, 0, 0x200);
    EXPECT_CELLS(blob, "/soc/virtio_mmio@feb00000", "interrupts", 5, 1);
    assert_false(has_property(blob, "/soc/virtio_mmio@feb00000", "dma-coherent"));
    EXPECT_CELLS(blob, "/soc/virtio_mmio@feb00e00", "interrupts", 12, 3);
    assert_true(has_property(blob, "/soc/virtio_mmio@feb00e00", "dma-coherent"));
    free(blob);
}

/* Whatever the capacity: the whole tree or -ENOSPC, and nothing behind the buffer's end; also when
 * one long property does not fit, but all that follows would. */
static void runs_out_of_space(void **state)
{
    (void)state;
    char line[3000];
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    struct fdt_machine machine = full;
    machine.bootargs = line;
    void *blob = build(&machine);
    uint32_t size = fdt_totalsize(blob);
    free(blob);
    unsigned short_of = 0;
    for (uint32_t capacity = 0; capacity < size + 256; capacity++) {
        void *exact = malloc(capacity ? capacity : 1);
        assert_non_null(exact);
        int result = fdt_build(&machine, exact, capacity);
        if (result < 0) {
            assert_int_equal(result, -ENOSPC);
            short_of++;
        } else {
            assert_int_equal(result, size);
            assert_int_equal(fdt_check_full(exact, capacity), 0);
        }
        free(exact);
    }
    assert_true(short_of >= size);
}

/* The largest machine and the longest command line fit the place in guest memory. */
static void largest_fits(void **state)
{
    (void)state;
    char *line = malloc(BOOT_CMDLINE_MAX);
    assert_non_null(line);
    memset(line, 'a', BOOT_CMDLINE_MAX - 1);
    line[BOOT_CMDLINE_MAX - 1] = '\0';
    struct fdt_machine machine = full;
    machine.cpus = 64;
    machine.ram_bytes = RAM_MAX_BYTES;
    machine.bootargs = line;
    void *blob = build(&machine);
    expect_text(blob, "/chosen", "bootargs", line);
    free(blob);
    free(line);
}

int main(void)
{
    const struct CMUnitTest fdt[] = {
        cmocka_unit_test(root_and_chosen),
        cmocka_unit_test(leaves_out),
        cmocka_unit_test(memory),
        cmocka_unit_test(processors),
        cmocka_unit_test(interrupt_controllers),
        cmocka_unit_test(device_nodes),
        cmocka_unit_test(runs_out_of_space),
        cmocka_unit_test(largest_fits),
    };
    return cmocka_run_group_tests(fdt, NULL, NULL);
}
