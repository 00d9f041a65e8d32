/*
 * test_explain.c: each exit and each register that the trace can name has an explanation.
 */
#include "dev/rtc.h"
#include "dev/serial.h"
#include "dev/simple.h"
#include "trace/explain.h"
#include "trace/irqchip.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "vm_exit.h"

#include <uart16550.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- every name --------------------------------------------------------------------------------- */

static void assert_known(const char *topic, const char *device, const char *name)
{
    char both[80];

    snprintf(both, sizeof(both), "%s %s", device, name);
    const struct explanation *e = explain_find(both);
    if (!e || strcmp(e->topic, topic) != 0 || !explain_find(name))
        fail_msg("no explanation of %s", both);
}

static unsigned check_registers(const struct device_ops *ops, const void *dev, uint64_t size)
{
    unsigned names = 0;

    for (uint64_t offset = 0; offset < size; offset++) {
        for (int write = 0; write < 2; write++) {
            const char *name = ops->reg_name(dev, offset, write);
            if (name) {
                assert_known(ops->name, ops->name, name);
                names++;
            }
        }
    }
    return names;
}

static void every_kind_of_exit(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < VM_EXIT_KINDS; kind++) {
        for (unsigned variant = 0; variant < 4; variant++) {
            struct vm_exit exit = {
                .kind = kind, .write = variant & 1, .count = variant & 2 ? 2 : 1};
            const struct explanation *e = explain_find(vm_exit_kind_name(&exit));
            assert_non_null(e);
            assert_string_equal(e->topic, "exits");
        }
    }
}

static void every_register(void **state)
{
    static struct serial serial;
    static struct rtc rtc;

    (void)state;
    assert_int_equal(check_registers(&serial_ops, &serial, 8), 16);
    serial.lcr = UART_LCR_DLAB;
    assert_int_equal(check_registers(&serial_ops, &serial, 8), 16);
    for (unsigned index = 0; index < 128; index++) {
        rtc.index = (uint8_t)index;
        assert_int_equal(check_registers(&rtc_ops, &rtc, 2), 3);
    }
    assert_int_equal(check_registers(&i8042_ops, &(struct i8042){0}, 5), 4);
    assert_int_equal(check_registers(&power_ops, &(struct power){0}, 3), 6);
    assert_int_equal(check_registers(&post_ops, &(struct post){0}, 1), 2);
    assert_int_equal(check_registers(&debug_exit_ops, &(struct debug_exit){0}, 1), 2);
}

static void check_virtio(struct virtio_device *dev, const char *topic, unsigned fields)
{
    struct virtio_mmio mmio = {.dev = dev};
    char device[32];
    unsigned named = 0;

    snprintf(device, sizeof(device), "%s0", topic);
    for (uint64_t offset = 0; offset < 0x100; offset++) {
        const char *name = virtio_mmio_ops.reg_name(&mmio, offset, false);
        if (name)
            assert_known("virtio-mmio", device, name);
        named += name != NULL;
    }
    assert_true(named >= 29);
    assert_known("virtio-mmio", device, "config");
    const char *last = "";
    for (uint32_t offset = 0; offset < dev->ops->config_size; offset++) {
        const char *name = dev->ops->config_name ? dev->ops->config_name(dev, offset) : NULL;
        if (!name)
            continue;
        assert_known(topic, device, name);
        fields -= strcmp(name, last) != 0;
        last = name;
    }
    assert_int_equal(fields, 0);
}

static void every_field_of_the_virtio_devices(void **state)
{
    static struct virtio_blk blk;
    static struct console console;
    static struct virtio_net net;
    static struct rng rng;
    static struct balloon balloon;
    static const struct mem mem;
    const struct device_remark remark = {0};

    (void)state;
    virtio_blk_init(&blk, "b", &mem, remark,
                    (struct block_info){.bytes = 512, .physical_block = 512}, "", true);
    check_virtio(&blk.dev, "virtio-blk", 21);
    console_init(&console, "c", &mem, remark, 4, true);
    check_virtio(&console.virtio, "virtio-console", 4);
    virtio_net_init(&net, "n", &mem, remark, (const uint8_t[6]){2}, &(struct net_backend){0});
    check_virtio(&net.dev, "virtio-net", 2);
    rng_init(&rng, "r", &mem, remark, (struct rng_backend){0}, (struct device_clock){0},
             (struct device_timer){0}, 0, 0);
    check_virtio(&rng.virtio, "virtio-rng", 0);
    balloon_init(&balloon, "v", &mem, remark, (struct balloon_backend){0}, (struct device_clock){0},
                 (struct device_timer){0}, 0, 0);
    check_virtio(&balloon.virtio, "virtio-balloon", 2);
}

/* What KVM has in the kernel, and nothing beside it. */
static void every_register_in_the_kernel(void **state)
{
    static const struct {
        uint64_t addr;
        const char *name; /* NULL: none of them */
    } some[] = {
        {0x1f, NULL},
        {0x20, "PIC master command"},
        {0x22, NULL},
        {0x42, "PIT channel"},
        {0x43, "PIT mode"},
        {0x44, NULL},
        {0x61, "PIT gate"},
        {0x4d1, "PIC ELCR"},
        {0x3f8, NULL},
        {0xfebfffff, NULL},
        {0xfec00000, "IOAPIC IOREGSEL"},
        {0xfec00010, "IOAPIC IOWIN"},
        {0xfec01000, NULL},
        {0xfee000b0, "LAPIC EOI"},
        {0xfee00310, "LAPIC ICR"},
        {0xfee01000, NULL},
    };
    const char *device, *reg;
    unsigned names = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        char found[64] = "";
        irqchip_name(some[i].addr < 0x10000 ? VM_EXIT_PIO : VM_EXIT_MMIO, some[i].addr, &device,
                     &reg);
        if (device)
            snprintf(found, sizeof(found), "%s %s", device, reg);
        assert_string_equal(found, some[i].name ? some[i].name : "");
    }
    irqchip_name(VM_EXIT_MMIO, 0xfee00000, &device, &reg); /* reserved */
    assert_string_equal(device, "LAPIC");
    assert_null(reg);
    for (uint64_t addr = 0; addr < 0x10000; addr++) {
        irqchip_name(VM_EXIT_PIO, addr, &device, &reg);
        if (device)
            assert_known(device, device, reg);
        names += device != NULL;
        uint64_t page = addr < 0x1000 ? 0xfec00000 : 0xfee00000 - 0x1000;
        irqchip_name(VM_EXIT_MMIO, page + addr, &device, &reg);
        if (reg)
            assert_known(device, device, reg);
        names += reg != NULL;
    }
    assert_int_equal(names, 11 + 2 * 4 + 45 * 16);
}

static void every_entry_is_whole(void **state)
{
    (void)state;
    for (const struct explanation *e = explanations; e->name; e++) {
        assert_true(strlen(e->topic) > 0 && strlen(e->name) > 0 && strlen(e->source) > 0);
        assert_true(strlen(e->cause) > 5);
        assert_null(strstr(e->cause, "  "));
        assert_ptr_equal(explain_find(e->name)->name ? e : NULL, e);
        for (const struct explanation *other = explanations; other != e; other++)
            assert_false(strcmp(other->topic, e->topic) == 0 &&
                         strcasecmp(other->name, e->name) == 0);
    }
}

/* --- finding ------------------------------------------------------------------------------------ */

static void names_are_found(void **state)
{
    static const struct {
        const char *asked, *topic, *name;
    } rows[] = {
        {"serial THR", "serial", "THR"},
        {"thr", "serial", "THR"},
        {"SERIAL thr", "serial", "THR"},
        {"hlt", "exits", "hlt"},
        {"vmx exits hlt", "vmx exits", "HLT"},
        {"KVM_EXIT_IO", "exit reasons", "KVM_EXIT_IO"},
        {"virtio-blk12 QueueNotify", "virtio-mmio", "QueueNotify"},
        {"virtio-net0 status", "virtio-net", "status"},
        {"virtio-net0 Status", "virtio-mmio", "Status"},
        {"virtio-blk0 capacity", "virtio-blk", "capacity"},
        {"power sleep control", "power", "sleep control"},
        {"kvm_hv_send_ipi", "kvm events", "kvm_hv_*"},
        {"kvm:kvm_entry", "kvm events", "kvm_entry"},
    };
    static const char *const unknown[] = {
        "",        " ",   "serial", "serial ", "rtc THR", "virtio-blk0 mac", "serialx THR",
        "kvm:THR", "kvm_"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct explanation *e = explain_find(rows[i].asked);
        assert_non_null(e);
        assert_string_equal(e->topic, rows[i].topic);
        assert_string_equal(e->name, rows[i].name);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_null(explain_find(unknown[i]));
}

/* What explain_run() prints to stdout (or, with ERR, to stderr). */
static const char *printed(const char *name, FILE *stream, enum status expected)
{
    static char text[65536];
    FILE *file = tmpfile();
    int fd = fileno(stream), saved = dup(fd);

    assert_non_null(file);
    fflush(stream);
    dup2(fileno(file), fd);
    enum status status = explain_run(name);
    fflush(stream);
    dup2(saved, fd);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(status, expected);
    return text;
}

static void the_printed_text(void **state)
{
    (void)state;
    assert_string_equal(
        printed("serial thr", stdout, STATUS_POWEROFF),
        "THR (serial)\n"
        "  cause  Transmitter Holding Register (port +0, write, DLAB 0): the guest sends\n"
        "         a byte.\n"
        "  effect The byte goes to what -serial names. One exit for each byte: what a\n"
        "         printed character costs.\n"
        "  source PC16550D data sheet, 8.0, table II\n");
    assert_non_null(
        strstr(printed("power", stdout, STATUS_POWEROFF), "\n\nsleep status (power)\n"));
    assert_non_null(strstr(printed(NULL, stdout, STATUS_POWEROFF),
                           "\n\ni8042:\n  data, command, status\n\npower:\n"));
    for (const char *line = printed("", stdout, STATUS_POWEROFF); *line;
         line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 80);
    assert_non_null(strstr(printed("queuenotifi", stderr, STATUS_USAGE),
                           "'queuenotifi'; did you mean `kvmlens explain QueueNotify`?"));
    assert_non_null(strstr(printed("serial thhr", stderr, STATUS_USAGE), "explain THR`?"));
    assert_non_null(strstr(printed("qqqqqqq", stderr, STATUS_USAGE), "`kvmlens explain` lists"));
}

static void the_tables_of_the_documents(void **state)
{
    (void)state;
    const char *text = printed("markdown", stdout, STATUS_POWEROFF);

    assert_non_null(strstr(text, "\n\n### post\n| name | what causes it | what comes of it |\n"
                                 "|---|---|---|\n| `POST code` | Port 0x80: "));
    assert_non_null(strstr(text, " (value \\<\\< 1) \\| 1. "));
    assert_non_null(
        strstr(text, "| `kvm_hv_*` | A Hyper-V interface of KVM, for guests that use it. |  |"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_exit),
        cmocka_unit_test(every_register),
        cmocka_unit_test(every_field_of_the_virtio_devices),
        cmocka_unit_test(every_register_in_the_kernel),
        cmocka_unit_test(every_entry_is_whole),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(the_printed_text),
        cmocka_unit_test(the_tables_of_the_documents),
    };
    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
