/*
 * test_options_console.c: the console device, its ports, the entropy device and the balloon: what
 * each option sets, and what each mistake is told.
 */
#include "command_line.h"

#define BUS  "-bios r -chardev null,id=a -chardev null,id=b -device virtio-serial-device "
#define RNGS "-bios r -object rng-random,id=r -object rng-builtin,id=b "

static void test_ports(void **state)
{
    (void)state;
    struct options o = parsed(BUS "-device virtserialport,chardev=b,name=org.qemu.guest_agent.0 "
                                  "-device virtconsole,chardev=a,id=x");
    const struct serial_bus_option *bus = &o.devices.virtio[0].serial;

    assert_int_equal(o.devices.virtio_count, 1);
    assert_int_equal(o.devices.virtio[0].kind, VIRTIO_SERIAL);
    assert_string_equal(o.devices.virtio[0].name, "virtio-serial0");
    assert_int_equal(bus->max_ports, CONSOLE_PORTS_MAX);
    assert_int_equal(bus->port_count, 2);
    assert_false(bus->port[0].console);
    assert_int_equal(bus->port[0].nr, 1); /* 0 is kept for a console */
    assert_string_equal(bus->port[0].name, "org.qemu.guest_agent.0");
    assert_int_equal(bus->port[0].chardev, 1);
    assert_true(bus->port[1].console);
    assert_int_equal(bus->port[1].nr, 0);
    assert_int_equal(bus->port[1].chardev, 0);
    assert_true(o.devices.chardev[0].taken && o.devices.chardev[1].taken);

    o = parsed(BUS "-device virtconsole,chardev=a -device virtconsole,chardev=b");
    assert_int_equal(o.devices.virtio[0].serial.port[1].nr, 1);
    o = parsed(BUS "-device virtserialport,chardev=a,nr=5 -device virtserialport,chardev=b");
    assert_int_equal(o.devices.virtio[0].serial.port[0].nr, 5);
    assert_int_equal(o.devices.virtio[0].serial.port[1].nr, 1);
    /* The chardev may come after the port, and be the terminal. */
    o = parsed("-bios r -serial null -device virtio-serial-device,max_ports=1 -device "
               "virtconsole,chardev=t -chardev stdio,id=t");
    assert_int_equal(o.devices.virtio[0].serial.max_ports, 1);
    assert_int_equal(o.devices.virtio[0].serial.port[0].chardev, 1);
}

static void test_port_mistakes(void **state)
{
    (void)state;
    assert_refused("-bios r -device virtconsole,chardev=a", "virtconsole|virtio-serial-device");
    assert_refused(BUS "-device virtconsole", "virtconsole|chardev=ID is missing");
    assert_refused(BUS "-device virtconsole,chardev=zz", "virtconsole|no -chardev with id=zz");
    assert_refused(BUS "-device virtconsole,chardev=a -device virtconsole,chardev=a", "in use");
    assert_refused(BUS "-serial chardev:a -device virtconsole,chardev=a", "in use");
    assert_refused(BUS "-device virtserialport,chardev=a,nr=0", "nr=0 is for a virtconsole");
    assert_refused(BUS "-device virtserialport,chardev=a,nr=8", "nr='8'|0 to 7");
    assert_refused(BUS "-device virtserialport,chardev=a,nr=2 -device "
                       "virtserialport,chardev=b,nr=2",
                   "nr=2 already");
    assert_refused(BUS "-device virtserialport,chardev=a,name=n -device "
                       "virtserialport,chardev=b,name=n",
                   "name=n already");
    assert_refused(BUS "-device virtserialport,chardev=a,name=", "name is empty");
    assert_refused("-bios r -chardev null,id=a -device virtio-serial-device,max_ports=2 -device "
                   "virtserialport,chardev=a,nr=2",
                   "nr=2|max_ports=2|0 to 1");
    assert_refused("-bios r -chardev null,id=a -device virtio-serial-device,max_ports=1 -device "
                   "virtserialport,chardev=a",
                   "no port left|max_ports=1|port 0");
    assert_refused("-device virtio-serial-device,max_ports=9", "max_ports='9'|1 to 8");
    assert_refused("-device virtio-serial-device,max_ports=0", "max_ports='0'|1 to 8");
}

static void test_rng(void **state)
{
    (void)state;
    struct options o = parsed(RNGS "-object rng-random,filename=/x,,y,id=z -device "
                                   "virtio-rng-device,rng=z,max-bytes=1024,period=1000 -device "
                                   "virtio-rng-device");
    const struct device_options *d = &o.devices;

    assert_int_equal(d->rng_source_count, 3);
    assert_string_equal(d->rng_source[0].filename, "/dev/urandom");
    assert_null(d->rng_source[1].filename);
    assert_string_equal(d->rng_source[2].filename, "/x,y");
    assert_int_equal(d->virtio[0].kind, VIRTIO_RNG);
    assert_int_equal(d->virtio[0].rng.source, 2);
    assert_int_equal(d->virtio[0].rng.max_bytes, 1024);
    assert_int_equal(d->virtio[0].rng.period_ms, 1000);
    assert_int_equal(d->virtio[1].rng.source, -1);
    assert_int_equal(d->virtio[1].rng.max_bytes, UINT64_MAX);
    assert_int_equal(d->virtio[1].rng.period_ms, 65536);
    assert_int_equal(parsed("-object rng-random,help").mode, MODE_HELP);
    assert_refused(RNGS "-object rng-random,id=r", "two with id=r");
    assert_refused("-object rng-random", "id is missing|rng-random");
    assert_refused("-object rng-builtin,filename=x,id=b", "filename");
    assert_refused("-object rng-random,id=x,filename=", "file name is empty");
    assert_refused("-object rng-rando,id=x", "did you mean rng-random");
    assert_refused(RNGS "-device virtio-rng-device,rng=q", "virtio-rng-device|id=q");
    assert_refused(RNGS "-device virtio-rng-device,rng=r -device virtio-rng-device,rng=r",
                   "in use");
    assert_refused("-device virtio-rng-device,period=0", "period='0'|1 to");
    assert_refused("-device virtio-rng-device,max-bytes=9223372036854775808", "max-bytes");
}

static void test_balloon(void **state)
{
    (void)state;
    struct options o =
        parsed("-bios r -device virtio-balloon-device,free-page-reporting=on,deflate-on-oom=on,"
               "guest-stats-polling-interval=2,page-poison=on");
    const struct balloon_option *b = &o.devices.virtio[0].balloon;

    assert_true(b->free_page_reporting && b->deflate_on_oom);
    assert_int_equal(b->stats_interval_s, 2);
    o = parsed("-bios r -device virtio-balloon-device");
    assert_false(b->free_page_reporting || b->deflate_on_oom);
    assert_int_equal(b->stats_interval_s, 0);
    assert_refused("-device virtio-balloon-device,free-page-hint=on", "free-page-hint=off");
    assert_refused("-bios r -device virtio-balloon-device -device virtio-balloon-device", "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_port_mistakes),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_balloon),
    };

    return cmocka_run_group_tests_name("options_console", tests, NULL, NULL);
}
