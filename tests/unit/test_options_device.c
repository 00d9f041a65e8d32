/*
 * test_options_device.c: -device and -global: slots, buses, ids, names that come later, and what each
 * mistake is told.
 */
#include "command_line.h"
#include "options_backends.h"

#define DRIVE(id) " -drive if=none,file=f,format=raw,id=" id
#define DISK(id)  " -device virtio-blk-device,drive=" id

static void devices_fill_the_slots_from_the_last(void **state)
{
    (void)state;
    struct options o =
        parsed("-bios r" DISK("b") DRIVE("a") DRIVE("b") DISK("a") " -drive if=virtio,file=h");

    assert_int_equal(o.devices.virtio_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof(name), "virtio-blk%u", i);
        assert_int_equal(o.devices.virtio[i].kind, VIRTIO_BLK);
        assert_int_equal(o.devices.virtio[i].slot, 7 - i);
        assert_string_equal(o.devices.virtio[i].name, name);
    }
    /* Names are looked up at the end: a drive may come after its device. */
    assert_int_equal(o.devices.virtio[0].blk.drive, 1);
    assert_int_equal(o.devices.virtio[1].blk.drive, 0);
    assert_int_equal(o.devices.virtio[2].blk.drive, 2);
}

static void a_bus_is_a_slot(void **state)
{
    (void)state;
    struct options o =
        parsed("-bios r" DRIVE("a") DRIVE("b")
                   DRIVE("c") " -device virtio-blk-device,drive=a,bus=virtio-mmio-bus.0,id=x "
                              "-device virtio-blk-device,drive=b,bus=virtio-mmio-bus.7 "
                              "-device virtio-blk-device,drive=c");

    assert_int_equal(o.devices.virtio[0].slot, 0);
    assert_string_equal(o.devices.virtio[0].id, "x");
    assert_int_equal(o.devices.virtio[1].slot, 7);
    assert_int_equal(o.devices.virtio[2].slot, 6);
    assert_null(o.devices.virtio[2].id);

#define SLOT(name) "-bios r" DRIVE("a") " -device virtio-blk-device,drive=a,bus=" name
    assert_refused(SLOT("virtio-mmio-bus.8"), "no bus|virtio-mmio-bus.7");
    assert_refused(SLOT("virtio-mmio-bus."), "no bus");
    assert_refused(SLOT("virtio-mmio-bus.11"), "no bus");
    assert_refused(SLOT("virtio-mmio-bus"), "no bus");
    assert_refused(SLOT("pci.0"), "-device virtio-blk-device|'pci.0'");
    assert_refused("-bios r" DRIVE("a") DRIVE("b")
                       DISK("a") " -device virtio-blk-device,drive=b,bus=virtio-mmio-bus.7",
                   "already|virtio-mmio-bus.7");
}

static void eight_devices_at_most(void **state)
{
    (void)state;
    static const char eight[] =
        "-bios r -drive if=virtio,file=0 -drive if=virtio,file=1 -drive if=virtio,file=2 "
        "-drive if=virtio,file=3 -drive if=virtio,file=4 -drive if=virtio,file=5 "
        "-drive if=virtio,file=6 -drive if=virtio,file=7";
    struct options o = parsed(eight);
    char nine[400];

    assert_int_equal(o.devices.virtio_count, 8);
    assert_int_equal(o.devices.virtio[7].slot, 0);
    snprintf(nine, sizeof(nine), "%s -device virtio-blk-device", eight);
    assert_refused(nine, "-device|8 virtio devices");
}

static void ids_are_unique(void **state)
{
    (void)state;
    assert_refused("-bios r" DRIVE("a")
                       DRIVE("b") " -device virtio-blk-device,drive=a,id=x -device "
                                  "virtio-blk-device,drive=b,id=x",
                   "two devices|id=x");
    assert_refused("-bios r -device virtio-blk-device,id=", "id is empty");
}

static void names_are_looked_up(void **state)
{
    (void)state;
    assert_refused("-bios r" DISK("nobody"), "-device virtio-blk-device|nobody");
    assert_refused("-bios r" DRIVE("a") DISK("a") DISK("a"), "-device virtio-blk-device|a");
    assert_refused("-bios r -device virtio-blk-device", "-device virtio-blk-device|drive=");
}

/* The ports of the serial device NTH (0 up) of LINE. */
static struct serial_bus_option bus_of(const char *line, unsigned nth)
{
    struct options o = parsed(line);

    for (unsigned i = 0; i < o.devices.virtio_count; i++)
        if (o.devices.virtio[i].kind == VIRTIO_SERIAL && nth-- == 0)
            return o.devices.virtio[i].serial;
    fail_msg("%s: there is no such device", line);
    return (struct serial_bus_option){0};
}

#define CHARDEV(id) " -chardev null,id=" id
#define BUS(more)   " -device virtio-serial-device" more
#define PORT(more)  " -device virtserialport" more

static void ports_find_their_bus(void **state)
{
    (void)state;
    const char *two = "-bios r" CHARDEV("a") CHARDEV("b") BUS("") BUS(",id=s")
        PORT(",chardev=a,name=x,bus=s.0") " -device virtconsole,chardev=b";

    assert_int_equal(bus_of(two, 0).port_count, 1);
    assert_true(bus_of(two, 0).port[0].console);
    assert_int_equal(bus_of(two, 0).port[0].chardev, 1);
    assert_int_equal(bus_of(two, 1).port_count, 1);
    assert_false(bus_of(two, 1).port[0].console);
    assert_int_equal(bus_of(two, 1).port[0].chardev, 0);

    two = "-bios r" CHARDEV("a") BUS(",id=s") BUS("") BUS("")
        PORT(",chardev=a,name=x,bus=virtio-serial-bus.1");
    assert_int_equal(bus_of(two, 2).port_count, 1);

    assert_refused("-bios r" CHARDEV("a") PORT(",chardev=a,name=x") BUS(""),
                   "-device virtserialport|before");
    assert_refused("-bios r" CHARDEV("a") BUS(",id=s") PORT(",chardev=a,name=x,bus=s.1"), "'s.1'");
    assert_refused("-bios r" CHARDEV("a") BUS(",id=s") PORT(",chardev=a,name=x,bus=s"), "'s'");
    assert_refused("-bios r" CHARDEV("a") BUS(",id=s") PORT(",chardev=a,name=x,id=s"), "id=s");
    assert_refused("-bios r" BUS("") PORT(",chardev=nobody,name=x"), "nobody");
    assert_refused("-bios r" CHARDEV("a") BUS("") PORT(",chardev=a,name=x")
                       PORT(",chardev=a,name=y"),
                   "-device virtserialport|'a'");
    assert_refused("-bios r" BUS("") PORT("") PORT("") PORT("") PORT("") PORT("") PORT("") PORT("")
                       PORT("") PORT(""),
                   "8 ports");
}

/* No property is lost where a kind's own meet those of all kinds. */
static void every_property_has_room(void **state)
{
    (void)state;
    for (const struct device_kind *kind = device_kinds; kind->name; kind++) {
        const struct property *base =
            kind->sort == DEVICE_VIRTIO ? virtio_properties : console_port_base_properties;
        unsigned count = 0;

        for (const struct property *p = kind->properties; p->name; p++)
            count++;
        for (const struct property *p = base; p->name; p++)
            count++;
        assert_in_range(count, 1, DEVICE_PROPERTIES_MAX);
    }
}

static void what_qemu_has_elsewhere(void **state)
{
    (void)state;
    assert_refused("-device virtio-blk-pci,drive=d", "PCI|virtio-blk-device");
    assert_refused("-device virtio-blk-pci-non-transitional", "PCI|virtio-blk-device");
    assert_refused("-device virtio-blk-pci-transitional", "PCI|virtio-blk-device");
    assert_refused("-device virtio-blk", "PCI|virtio-blk-device");
    assert_refused("-device virtio-gpu-pci", "QEMU has|virtio-gpu-pci");
    assert_refused("-device virtio-blk-devcie", "did you mean virtio-blk-device");
    assert_refused("-device virtio-blk-device,drvie=d", "did you mean drive");
    assert_refused("-device virtio-blk-device,num-queues=4", "num-queues");
    assert_refused("-device virtio-blk-device,packed=on", "packed");
}

static void globals(void **state)
{
    (void)state;
    assert_true(parsed("-bios r").devices.ioeventfd);
    assert_true(parsed("-bios r -global virtio-mmio.force-legacy=false").devices.ioeventfd);
    assert_true(parsed("-bios r -global virtio-mmio.ioeventfd=on").devices.ioeventfd);
    assert_false(parsed("-bios r -global virtio-mmio.ioeventfd=off").devices.ioeventfd);
    assert_refused("-global virtio-mmio.force-legacy=true", "force-legacy|virtio 1");
    assert_refused("-global virtio-mmio.ioeventfd=maybe", "ioeventfd|on or off|maybe");
    assert_refused("-global virtio-mmio.ioeventfd", "ioeventfd needs a value");
    assert_refused("-global virtio-mmio.ioeventfd=on,force-legacy=off", "on or off");
    assert_refused("-global virtio-mmio.", "no property");
    assert_refused("-global virtio-mmio.ioevent=on", "did you mean ioeventfd");
    assert_refused("-global virtio-blk-device.serial=x", "virtio-mmio.PROPERTY=VALUE");
    assert_refused("-global x", "'x'");
    assert_refused("-global ", "''");
}

static void the_command_line_can_go_without_devices(void **state)
{
    (void)state;
    assert_true(parsed("-bios r").auto_cmdline);
    assert_false(parsed("-bios r -M microvm,acpi=off,auto-kernel-cmdline=off").auto_cmdline);
    assert_true(parsed("-bios r -M microvm,acpi=auto,auto-kernel-cmdline=on").auto_cmdline);
    assert_refused("-bios r -M auto-kernel-cmdline=auto", "on or off");
}

static void help_is_found(void **state)
{
    (void)state;
    assert_string_equal(parsed("-device help").help_topic, "device");
    assert_string_equal(parsed("-device virtio-blk-device,help").help_topic, "virtio-blk-device");
    assert_string_equal(parsed("-h virtio-blk-device").help_topic, "virtio-blk-device");
    assert_string_equal(parsed("-h virtio-mmio").help_topic, "virtio-mmio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_fill_the_slots_from_the_last),
        cmocka_unit_test(a_bus_is_a_slot),
        cmocka_unit_test(eight_devices_at_most),
        cmocka_unit_test(ids_are_unique),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(ports_find_their_bus),
        cmocka_unit_test(every_property_has_room),
        cmocka_unit_test(what_qemu_has_elsewhere),
        cmocka_unit_test(globals),
        cmocka_unit_test(the_command_line_can_go_without_devices),
        cmocka_unit_test(help_is_found),
    };
    return cmocka_run_group_tests_name("options_device", tests, NULL, NULL);
}
