/*
 * test_options_net.c: -netdev, -nic, -device virtio-net-device and -object filter-dump, as QEMU
 * spells them.
 */
#include "command_line.h"

static struct options options;

static const struct device_options *accepted(const char *line)
{
    char full[512];

    snprintf(full, sizeof full, "-kernel k %s", line);
    options = parsed(full);
    return &options.devices;
}

static void refused(const char *line, const char *text)
{
    char full[512];

    snprintf(full, sizeof full, "-kernel k %s", line);
    assert_refused(full, text);
}

static void assert_mac(const struct virtio_option *device, const char *mac)
{
    const uint8_t *m = device->net.mac;
    char text[18];

    snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
             m[5]);
    assert_string_equal(text, mac);
}

static void a_user_network_has_qemus_defaults(void **state)
{
    const struct device_options *d =
        accepted("-netdev user,id=n0 -device virtio-net-device,netdev=n0");

    (void)state;
    assert_int_equal(d->netdev_count, 1);
    assert_int_equal(d->netdev[0].kind, NETDEV_USER);
    assert_string_equal(d->netdev[0].id, "n0");
    assert_int_equal(d->netdev[0].net, 0x0a000200);
    assert_int_equal(d->netdev[0].mask, 0xffffff00);
    assert_false(d->netdev[0].restricted);
    assert_true(d->netdev[0].taken);
    assert_int_equal(d->virtio_count, 1);
    assert_int_equal(d->virtio[0].kind, VIRTIO_NET);
    assert_int_equal(d->virtio[0].net.netdev, 0);
    assert_string_equal(d->virtio[0].name, "virtio-net0");
    assert_mac(&d->virtio[0], "52:54:00:12:34:56");
}

static void its_network_can_be_set(void **state)
{
    static const struct {
        const char *line;
        uint32_t net, mask;
    } rows[] = {
        {"-netdev user,id=n,net=192.168.76.0/24", 0xc0a84c00, 0xffffff00},
        {"-netdev user,id=n,net=10.1.2.3/8", 0x0a000000, 0xff000000},
        {"-netdev user,id=n,net=172.16.0.0/255.255.0.0", 0xac100000, 0xffff0000},
        {"-netdev user,id=n,net=10.0.0.0/28", 0x0a000000, 0xfffffff0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct device_options *d = accepted(rows[i].line);

        assert_int_equal(d->netdev[0].net, rows[i].net);
        assert_int_equal(d->netdev[0].mask, rows[i].mask);
    }
    refused("-netdev user,id=n,net=10.0.2.0", "10.0.2.0/24");
    refused("-netdev user,id=n,net=10.0.2.0/", "ADDRESS/BITS");
    refused("-netdev user,id=n,net=10.0.2.0/29", "4 to 28");
    refused("-netdev user,id=n,net=10.0.2.0/3", "4 to 28");
    refused("-netdev user,id=n,net=10.0.2.0/99", "4 to 28");
    refused("-netdev user,id=n,net=10.0.2.0/255.0.255.0", "ADDRESS/BITS");
    refused("-netdev user,id=n,net=10.0.2/24", "ADDRESS/BITS");
    refused("-netdev user,id=n,net=fec0::/64", "ADDRESS/BITS");
    refused("-netdev user,id=n,net=999999999999999999999.0.0.0/8", "ADDRESS/BITS");
}

static void ports_are_forwarded(void **state)
{
    const struct device_options *d =
        accepted("-netdev user,id=n,hostfwd=tcp::2222-:22,restrict=on,"
                 "hostfwd=udp:127.0.0.1:5000-10.0.2.15:7,hostfwd=::80-:8080");
    const struct hostfwd_option *f = d->netdev[0].hostfwd;

    (void)state;
    assert_int_equal(d->netdev[0].hostfwd_count, 3);
    assert_true(d->netdev[0].restricted);
    assert_false(f[0].udp);
    assert_int_equal(f[0].host_ip, 0);
    assert_int_equal(f[0].host_port, 2222);
    assert_int_equal(f[0].guest_ip, 0);
    assert_int_equal(f[0].guest_port, 22);
    assert_true(f[1].udp);
    assert_int_equal(f[1].host_ip, 0x7f000001);
    assert_int_equal(f[1].host_port, 5000);
    assert_int_equal(f[1].guest_ip, 0x0a00020f);
    assert_int_equal(f[1].guest_port, 7);
    assert_false(f[2].udp);
    assert_int_equal(f[2].host_port, 80);

    refused("-netdev user,id=n,hostfwd=tcp::2222", "udp:[HOST]:PORT-[GUEST]:PORT");
    refused("-netdev user,id=n,hostfwd=sctp::1-:2", "udp:[HOST]:PORT-[GUEST]:PORT");
    refused("-netdev user,id=n,hostfwd=tcp:localhost:1-:2", "udp:[HOST]:PORT-[GUEST]:PORT");
    refused("-netdev user,id=n,hostfwd=tcp:127.0.0.1:1-guest:2", "udp:[HOST]:PORT-[GUEST]:PORT");
    refused("-netdev user,id=n,hostfwd=tcp::0-:22", "hostfwd: port");
    refused("-netdev user,id=n,hostfwd=tcp::1-:65536", "hostfwd: port");
    refused("-netdev user,id=n,hostfwd=tcp::x-:22", "a number is expected");
    refused("-netdev user,id=n,hostfwd=tcp::1-:", "a number is expected");
    refused("-netdev user,id=n,hostfwd=::1-:1,hostfwd=::2-:1,hostfwd=::3-:1,hostfwd=::4-:1,"
            "hostfwd=::5-:1,hostfwd=::6-:1,hostfwd=::7-:1,hostfwd=::8-:1,hostfwd=::9-:1",
            "8 at most");
}

static void a_tap_needs_its_interface(void **state)
{
    const struct device_options *d =
        accepted("-netdev tap,id=t,ifname=tap0,script=no,downscript=no");

    (void)state;
    assert_int_equal(d->netdev[0].kind, NETDEV_TAP);
    assert_string_equal(d->netdev[0].ifname, "tap0");
    refused("-netdev tap,id=t", "ifname=NAME");
    refused("-netdev tap,id=t,ifname=", "cannot be an interface's name");
    refused("-netdev tap,id=t,ifname=a-name-too-long1", "1 to 15 characters");
    refused("-netdev tap,id=t,ifname=tap%d", "cannot be an interface's name");
    refused("-netdev tap,id=t,ifname=t,script=/etc/qemu-ifup", "runs no scripts");
    refused("-netdev tap,id=t,ifname=t,hostfwd=tcp::1-:1", "tap has no property hostfwd");
    refused("-netdev tap,id=t,ifname=t,net=10.0.0.0/8", "tap has no property net");
    refused("-netdev user,id=t,ifname=t", "user has no property ifname");
    refused("-netdev user,id=t,script=no", "user has no property script");
}

static void networks_and_devices_find_each_other(void **state)
{
    /* A device may stand before its network. */
    const struct device_options *d =
        accepted("-device virtio-net-device,netdev=b,id=x -netdev user,id=a -netdev user,id=b "
                 "-device virtio-net-device,netdev=a");

    (void)state;
    assert_int_equal(d->virtio[0].net.netdev, 1);
    assert_int_equal(d->virtio[1].net.netdev, 0);
    refused("-device virtio-net-device", "netdev=ID is missing");
    refused("-device virtio-net-device,netdev=n", "no -netdev with id=n");
    refused("-netdev user,id=n -device virtio-net-device,netdev=n -device "
            "virtio-net-device,netdev=n",
            "in use already");
    refused("-netdev user,id=n -netdev user,id=n", "two networks with id=n");
    refused("-netdev user", "the id is missing");
    refused("-netdev user,id=", "the id is empty");
    refused("-netdev usr,id=n", "did you mean user");
    refused("-netdev bridge,id=n", "QEMU has the network bridge");
    refused("-netdev xyzzy,id=n", "user or tap");
    refused("-netdev user,id=n,tftp=/srv", "QEMU has the property tftp");
    refused("-netdev user,id=n,mac=52:54:00:00:00:01", "-device virtio-net-device");
    refused("-netdev user,id=n,model=virtio", "-nic");
}

static void addresses_are_qemus(void **state)
{
    const struct device_options *d = accepted(
        "-nic user -nic user,mac=52-54-00-12-34-57 -nic user -nic user,mac=A6:b0:C1:00:00:0F");

    (void)state;
    assert_mac(&d->virtio[0], "52:54:00:12:34:56");
    assert_mac(&d->virtio[1], "52:54:00:12:34:57");
    assert_mac(&d->virtio[2], "52:54:00:12:34:58");
    assert_mac(&d->virtio[3], "a6:b0:c1:00:00:0f");
    refused("-nic user,mac=52:54:00:12:34", "six bytes");
    refused("-nic user,mac=52:54:00:12:34:5", "six bytes");
    refused("-nic user,mac=52:54:00:12:34:567", "six bytes");
    refused("-nic user,mac=52:54:00:12:34:5g", "six bytes");
    refused("-nic user,mac=", "six bytes");
    refused("-nic user,mac=33:33:00:00:00:01", "multicast");
}

static void nic_is_both(void **state)
{
    const struct device_options *d =
        accepted("-nic user,model=virtio,hostfwd=tcp::1-:2 -nic tap,ifname=t0,id=t -nic none");

    (void)state;
    assert_int_equal(d->netdev_count, 2);
    assert_int_equal(d->virtio_count, 2);
    assert_null(d->netdev[0].id);
    assert_int_equal(d->netdev[0].hostfwd_count, 1);
    assert_int_equal(d->virtio[0].net.netdev, 0);
    assert_int_equal(d->virtio[1].net.netdev, 1);
    assert_true(d->netdev[0].taken);
    assert_int_equal(accepted("-nic none -net none")->virtio_count, 0);
    refused("-nic user,model=e1000", "model=virtio");
    refused("-nic tap", "ifname=NAME");
    refused("-nic user,id=n -device virtio-net-device,netdev=n", "in use already");
    refused("-nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user "
            "-nic user",
            "8 virtio devices");
}

static void dumps_find_their_network(void **state)
{
    const struct device_options *d =
        accepted("-object filter-dump,id=f,netdev=n,file=x.pcap,maxlen=96 -netdev user,id=m "
                 "-netdev user,id=n -object filter-dump,id=g,netdev=n,file=y.pcap");

    (void)state;
    assert_int_equal(d->dump_count, 2);
    assert_int_equal(d->dump[0].netdev, 1);
    assert_string_equal(d->dump[0].file, "x.pcap");
    assert_int_equal(d->dump[0].max_len, 96);
    assert_int_equal(d->dump[1].max_len, 65536);
    refused("-object filter-dump,id=f,netdev=n,file=x", "no -netdev with id=n");
    refused("-nic user,id=n -object filter-dump,netdev=n,file=x", "the id is missing");
    refused("-nic user,id=n -object filter-dump,id=f,file=x", "netdev is missing");
    refused("-nic user,id=n -object filter-dump,id=f,netdev=n", "file is missing");
    refused("-nic user,id=n -object filter-dump,id=f,netdev=n,file=", "file name is empty");
    refused("-nic user,id=n -object filter-dump,id=f,netdev=n,file=x,maxlen=0", "maxlen");
    refused("-nic user,id=n -object filter-dump,id=f,netdev=n,file=x -object "
            "filter-dump,id=f,netdev=n,file=y",
            "two objects with id=f");
    refused("-object filter-dunp,id=f", "did you mean filter-dump");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_network_has_qemus_defaults),
        cmocka_unit_test(its_network_can_be_set),
        cmocka_unit_test(ports_are_forwarded),
        cmocka_unit_test(a_tap_needs_its_interface),
        cmocka_unit_test(networks_and_devices_find_each_other),
        cmocka_unit_test(addresses_are_qemus),
        cmocka_unit_test(nic_is_both),
        cmocka_unit_test(dumps_find_their_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
