/*
 * test_board.c: what the guest is told of the virtio devices: the kernel's command line, and the
 * device tree; and the interrupt that one of them shares with the clock.
 */
#include "board.h"
#include "fake_kvm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define FIRST  " virtio_mmio.device=512@0xfeb00e00:12"
#define SECOND " virtio_mmio.device=512@0xfeb00000:5"

/* Two devices: in the last slot, and in the first one. */
static struct options two_devices(const char *append)
{
    return (struct options){
        .append = append,
        .auto_cmdline = true,
        .serial = -1,
        .smp = 1,
        .ram_bytes = 128 << 20,
        .irqchip = true,
        .devices = {.virtio = {{.slot = 7}, {.slot = 0}}, .virtio_count = 2},
    };
}

static void devices_are_appended_in_order(void **state)
{
    (void)state;
    struct options o = two_devices("quiet");
    char text[BOOT_CMDLINE_MAX];
    struct error err;

    assert_int_equal(board_cmdline(text, &o, &err), 0);
    assert_string_equal(text, "quiet" FIRST SECOND);
    o.append = NULL;
    assert_int_equal(board_cmdline(text, &o, &err), 0);
    assert_string_equal(text, FIRST SECOND);
    o.append = "quiet";
    o.auto_cmdline = false;
    assert_int_equal(board_cmdline(text, &o, &err), 0);
    assert_string_equal(text, "quiet");
    o = (struct options){.auto_cmdline = true};
    assert_int_equal(board_cmdline(text, &o, &err), 0);
    assert_string_equal(text, "");
}

static void they_fit_or_are_refused(void **state)
{
    (void)state;
    static char append[2 * BOOT_CMDLINE_MAX];
    const size_t room = BOOT_CMDLINE_MAX - 1 - strlen(FIRST SECOND);
    struct options o = two_devices(append);
    char text[BOOT_CMDLINE_MAX];
    struct error err;

    memset(append, 'a', room);
    assert_int_equal(board_cmdline(text, &o, &err), 0);
    assert_int_equal(strlen(text), BOOT_CMDLINE_MAX - 1);
    assert_string_equal(text + room, FIRST SECOND);
    append[room] = 'a';
    assert_int_equal(board_cmdline(text, &o, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_non_null(strstr(err.text, "4096"));
    assert_non_null(strstr(err.text, "4095"));
    assert_non_null(strstr(err.text, "auto-kernel-cmdline=off"));
    memset(append, 'a', sizeof(append) - 1);
    assert_int_equal(board_cmdline(text, &o, &err), -1);
}

static void the_tree_has_them_and_no_empty_slot(void **state)
{
    (void)state;
    struct options o = two_devices(NULL);
    struct machine_images images = {.cmdline = "as made"};
    const struct machine_config config = {.options = &o, .images = &images};
    struct board board = {0};
    void *blob = malloc(BOOT_FDT_MAX);

    board_init(&board, &config, NULL);
    assert_in_range(board_fdt(&board, blob), 1, BOOT_FDT_MAX);

    unsigned count = 0;

    for (int node = -1; (node = fdt_node_offset_by_compatible(blob, node, "virtio,mmio")) >= 0;)
        count++;
    assert_int_equal(count, 2);
    assert_true(fdt_path_offset(blob, "/soc/virtio_mmio@feb00e00") > 0);

    int node = fdt_path_offset(blob, "/soc/virtio_mmio@feb00000"), len;
    const fdt32_t *interrupts = fdt_getprop(blob, node, "interrupts", &len);

    assert_int_equal(len, 8);
    assert_int_equal(fdt32_to_cpu(interrupts[0]), 5);
    assert_int_equal(fdt32_to_cpu(interrupts[1]), 3); /* a rising edge */
    assert_string_equal(fdt_getprop(blob, fdt_path_offset(blob, "/chosen"), "bootargs", NULL),
                        "as made");
    free(blob);
}

/* Slot 3 has the RTC's interrupt, and KVM makes an edge only of a line that was low. */
static void the_clock_leaves_its_line_low(void **state)
{
    (void)state;
    struct options o = {.serial = -1, .smp = 1, .rtc = true, .irqchip = true};
    struct loop loop;
    const struct machine_config config = {.options = &o, .loop = &loop};
    struct board board = {0};
    struct error err;
    struct vm vm;

    fake_kvm = (struct fake_kvm){0};
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(vm_create(&vm, 1, NULL, &err), 0);
    assert_int_equal(vm_create_irqchip(&vm, false, &err), 0);
    board_init(&board, &config, &vm);
    irq_set(&board.rtc.irq, true);
    assert_int_equal(fake_kvm.irqs, 2); /* an edge */
    assert_int_equal(fake_kvm.last_gsi, 8);
    assert_false(fake_kvm.last_level);
    irq_set(&board.rtc.irq, false);
    assert_int_equal(fake_kvm.irqs, 2);
    vm_destroy(&vm);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_appended_in_order),
        cmocka_unit_test(they_fit_or_are_refused),
        cmocka_unit_test(the_tree_has_them_and_no_empty_slot),
        cmocka_unit_test(the_clock_leaves_its_line_low),
    };
    return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
