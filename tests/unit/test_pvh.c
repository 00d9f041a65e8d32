/*
 * test_pvh.c: what a PVH kernel finds in memory and in its registers.
 */
#include "boot/pvh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <memmap.h>
#include <pvh.h>
#include <stdlib.h>
#include <string.h>

#define MIB 0x100000ull
#define GIB 0x40000000ull

/* The first MiB of a guest's memory, filled with ones. */
struct fixture {
    uint8_t *ram;
    struct mem mem;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->ram = malloc(MIB);
    memset(f->ram, 0xff, MIB);
    *state = f;
    return mem_add(&f->mem, 0, MIB, f->ram, false);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    free(f->ram);
    free(f);
    return 0;
}

static struct hvm_start_info start_info(const struct fixture *f)
{
    struct hvm_start_info info;
    assert_int_equal(mem_read(&f->mem, BOOT_INFO_GPA, &info, sizeof(info)), 0);
    return info;
}

static void layout(void **state)
{
    (void)state;
    static const struct {
        uint64_t ram, low, high;
    } expect[] = {
        {RAM_MIN_BYTES, MIB, 0},   {3 * GIB - 1, 3 * GIB - 1, 0},      {3 * GIB, 3 * GIB, 0},
        {3 * GIB + 1, 3 * GIB, 1}, {RAM_MAX_BYTES, 3 * GIB, 61 * GIB},
    };
    for (size_t i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
        struct ram_layout ram = ram_layout(expect[i].ram);
        assert_int_equal(ram.low, expect[i].low);
        assert_int_equal(ram.high, expect[i].high);
    }
}

static void writes_start_info(void **state)
{
    const struct fixture *f = *state;
    struct error err;
    struct pvh_boot boot = {.ram_bytes = 128 * MIB, .cmdline = "run=zoo", .entry = 0x100000};
    assert_int_equal(pvh_write(&boot, &f->mem, &err), 0);
    struct hvm_start_info info = start_info(f);
    assert_int_equal(info.magic, 0x336ec578);
    assert_int_equal(info.version, 1);
    assert_int_equal(info.flags, 0);
    assert_int_equal(info.nr_modules, 0);
    assert_int_equal(info.modlist_paddr, 0);
    assert_int_equal(info.rsdp_paddr, 0);
    assert_int_equal(info.reserved, 0);
    assert_string_equal((char *)f->ram + info.cmdline_paddr, "run=zoo");
    assert_int_equal(info.cmdline_paddr, BOOT_CMDLINE_GPA);
}

static void writes_module(void **state)
{
    const struct fixture *f = *state;
    struct error err;
    struct pvh_boot boot = {.ram_bytes = 128 * MIB,
                            .cmdline = "",
                            .initrd_gpa = 0x7fff000,
                            .initrd_size = 1234,
                            .entry = 0x100000};
    assert_int_equal(pvh_write(&boot, &f->mem, &err), 0);
    struct hvm_start_info info = start_info(f);
    struct hvm_modlist_entry module;
    assert_int_equal(info.nr_modules, 1);
    assert_int_equal(mem_read(&f->mem, info.modlist_paddr, &module, sizeof(module)), 0);
    assert_int_equal(module.paddr, 0x7fff000);
    assert_int_equal(module.size, 1234);
    assert_int_equal(module.cmdline_paddr, 0);
    assert_int_equal(module.reserved, 0);
}

static void expect_memmap(const struct fixture *f, uint64_t ram,
                          const struct hvm_memmap_entry *expect, unsigned count)
{
    struct error err;
    struct pvh_boot boot = {.ram_bytes = ram, .cmdline = ""};
    assert_int_equal(pvh_write(&boot, &f->mem, &err), 0);
    struct hvm_start_info info = start_info(f);
    assert_int_equal(info.memmap_entries, count);
    assert_memory_equal(f->ram + info.memmap_paddr, expect, count * sizeof(*expect));
}

static void writes_memmap(void **state)
{
    const struct fixture *f = *state;
    struct hvm_memmap_entry map[] = {
        {.addr = 0, .size = 0xa0000, .type = E820_RAM},
        {.addr = 0xa0000, .size = 0x60000, .type = E820_RESERVED},
        {.addr = MIB, .size = 3 * GIB - MIB, .type = E820_RAM},
        {.addr = 4 * GIB, .size = 61 * GIB, .type = E820_RAM},
    };
    expect_memmap(f, 64 * GIB, map, 4);
    map[3].size = MIB;
    expect_memmap(f, 3 * GIB + MIB, map, 4);
    expect_memmap(f, 3 * GIB, map, 3);
    map[2].size = 127 * MIB;
    expect_memmap(f, 128 * MIB, map, 3);
    expect_memmap(f, MIB, map, 2);
}

static void limits_cmdline(void **state)
{
    const struct fixture *f = *state;
    struct error err;
    char *line = malloc(65537);
    memset(line, 'a', 65536);
    line[65536] = '\0';
    assert_int_equal(pvh_check_cmdline(line, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_string_equal(err.text,
                        "the kernel command line is too long: found 65536 bytes, expected "
                        "at most 4095; shorten -append");
    line[4096] = '\0';
    assert_int_equal(pvh_check_cmdline(line, &err), -1);
    struct pvh_boot boot = {.ram_bytes = 2 * MIB, .cmdline = line};
    assert_int_equal(pvh_write(&boot, &f->mem, &err), -1);
    assert_int_equal(f->ram[BOOT_CMDLINE_GPA], 0xff);

    line[4095] = '\0';
    assert_int_equal(pvh_check_cmdline(line, &err), 0);
    assert_int_equal(pvh_write(&boot, &f->mem, &err), 0);
    assert_string_equal((char *)f->ram + BOOT_CMDLINE_GPA, line);
    assert_int_equal(f->ram[BOOT_CMDLINE_GPA + BOOT_CMDLINE_MAX], 0xff);
    free(line);
}

static void needs_ram(void **state)
{
    (void)state;
    struct mem none = {0};
    struct error err;
    struct pvh_boot boot = {.ram_bytes = 2 * MIB, .cmdline = ""};
    assert_int_equal(pvh_write(&boot, &none, &err), -1);
    assert_int_equal(err.status, STATUS_INTERNAL);
}

static void expect_flat(const struct fixture *f, const struct cpu_state *cpu, enum cpu_seg index,
                        uint8_t type)
{
    const struct cpu_segment *seg = &cpu->seg[index];
    assert_int_equal(seg->base, 0);
    assert_int_equal(seg->limit, 0xffffffff);
    assert_int_equal(seg->type, type);
    assert_int_equal(seg->dpl, 0);
    assert_true(seg->s && seg->present && seg->db && seg->g);
    assert_false(seg->l || seg->unusable);

    /* The descriptor that the selector names says the same (SDM vol. 3A, figure 3-8). */
    uint64_t d;
    assert_true(seg->selector + 7u <= cpu->gdt.limit);
    assert_int_equal(mem_read(&f->mem, cpu->gdt.base + seg->selector, &d, sizeof(d)), 0);
    assert_int_equal(d, 0x00cf90000000ffff | (uint64_t)type << 40);
}

static void entry_state(void **state)
{
    const struct fixture *f = *state;
    struct error err;
    struct pvh_boot boot = {.ram_bytes = 2 * MIB, .cmdline = "", .entry = 0x100010};
    struct cpu_state cpu;
    memset(&cpu, 0xff, sizeof(cpu));
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu.seg[i] = (struct cpu_segment){.unusable = true};
    assert_int_equal(pvh_write(&boot, &f->mem, &err), 0);
    pvh_cpu_state(&boot, &cpu);

    assert_int_equal(cpu.rip, 0x100010);
    assert_int_equal(cpu.gpr[RBX], BOOT_INFO_GPA);
    assert_int_equal(cpu.rflags, 2);
    assert_int_equal(cpu.cr0, 0x11); /* PE, and ET, which cannot be cleared */
    assert_int_equal(cpu.cr4, 0);
    assert_int_equal(cpu.efer, 0);
    expect_flat(f, &cpu, SEG_CS, 0xb);
    expect_flat(f, &cpu, SEG_DS, 0x3);
    expect_flat(f, &cpu, SEG_ES, 0x3);
    expect_flat(f, &cpu, SEG_SS, 0x3);

    const struct cpu_segment *tr = &cpu.seg[SEG_TR];
    assert_int_equal(tr->base, 0);
    assert_int_equal(tr->limit, 0x67);
    assert_int_equal(tr->type, 0xb);
    assert_true(tr->present);
    assert_false(tr->s || tr->g || tr->unusable);
    assert_int_equal(cpu.idt.limit, 0);
}

int main(void)
{
    const struct CMUnitTest pvh[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test_setup_teardown(writes_start_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_module, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_memmap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_cmdline, set_up, tear_down),
        cmocka_unit_test(needs_ram),
        cmocka_unit_test_setup_teardown(entry_state, set_up, tear_down),
    };
    return cmocka_run_group_tests(pvh, NULL, NULL);
}
