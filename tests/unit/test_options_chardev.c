/*
 * test_options_chardev.c: -serial and -chardev: what each sets, and what each mistake is told.
 */
#include "command_line.h"

/* Where the serial port of LINE goes. */
static struct chardev_option serial_of(const char *line)
{
    struct options o = parsed(line);

    assert_in_range(o.serial, 0, (int)o.devices.chardev_count - 1);
    assert_true(o.devices.chardev[o.serial].taken);
    return o.devices.chardev[o.serial];
}

static void test_serial(void **state)
{
    (void)state;
    struct chardev_option c = serial_of("-bios r -serial stdio");

    assert_int_equal(c.kind, CHARDEV_STDIO);
    assert_true(c.signals && !c.escape);
    c = serial_of("-bios r -serial mon:stdio");
    assert_int_equal(c.kind, CHARDEV_STDIO);
    assert_true(c.escape && !c.signals);
    assert_int_equal(serial_of("-bios r -serial null").kind, CHARDEV_NULL);
    assert_int_equal(serial_of("-bios r -serial pty").kind, CHARDEV_PTY);
    assert_false(parsed("-bios r -serial none").isa_serial);
    c = serial_of("-bios r -serial file:/a,b:c");
    assert_int_equal(c.kind, CHARDEV_FILE);
    assert_string_equal(c.path, "/a,b:c");
    c = serial_of("-bios r -serial unix:/tmp/x,server=on,wait=off");
    assert_int_equal(c.kind, CHARDEV_SOCKET);
    assert_string_equal(c.path, "/tmp/x");
    assert_false(c.wait);
    assert_true(serial_of("-bios r -serial unix:/tmp/x,server=on").wait);
}

static void test_serial_mistakes(void **state)
{
    (void)state;
    assert_refused("-serial file:", "empty");
    assert_refused("-serial stdoi", "'stdoi'|did you mean stdio");
    assert_refused("-serial telnet:localhost:4", "QEMU has|telnet|file:PATH");
    assert_refused("-serial unix:/x", "server=on");
    assert_refused("-serial unix:", "missing");
    assert_refused("-serial vc", "QEMU has");
    assert_refused("-serial /dev/ttyS0", "QEMU has|/dev/ttyS0");
    assert_refused("-serial mon:pty", "QEMU has|mon:pty");
    assert_refused("-serial mon:unix:/x", "QEMU has|mon:unix");
    assert_refused("-serial mon:telnet::4", "QEMU has");
    assert_refused("-serial whatever", "'whatever'|mon:stdio");
    assert_refused("-serial  -bios r", "-serial");
    assert_refused("-serial stdio -serial null", "twice");
    assert_refused("-bios r -serial chardev:c", "-serial|no -chardev with id=c");
}

static void test_chardev(void **state)
{
    (void)state;
    struct options o = parsed("-bios r -serial null -chardev stdio,id=a -chardev file,id=b,path=p,"
                              ",q -chardev null,id=c -chardev pty,id=d -chardev "
                              "socket,id=e,path=s,server=on,wait=off");
    const struct chardev_option *c = o.devices.chardev;

    assert_int_equal(o.devices.chardev_count, 6);
    assert_int_equal(c[1].kind, CHARDEV_STDIO);
    assert_true(c[1].signals && !c[1].escape && !c[1].taken);
    assert_int_equal(c[2].kind, CHARDEV_FILE);
    assert_string_equal(c[2].path, "p,q");
    assert_false(c[2].append);
    assert_int_equal(c[3].kind, CHARDEV_NULL);
    assert_int_equal(c[4].kind, CHARDEV_PTY);
    assert_int_equal(c[5].kind, CHARDEV_SOCKET);
    assert_string_equal(c[5].id, "e");
    assert_false(c[5].wait);

    o = parsed("-bios r -serial null -chardev stdio,id=a,signal=off,mux=on");
    assert_true(!o.devices.chardev[1].signals && o.devices.chardev[1].escape);
    assert_true(parsed("-bios r -chardev file,id=a,path=p,append=on").devices.chardev[0].append);
    assert_true(parsed("-bios r -chardev socket,id=a,path=p,server=on").devices.chardev[0].wait);

    /* As QEMU spelt switches, and most of what is written about it still does. */
    struct chardev_option old =
        parsed("-bios r -chardev socket,id=a,path=p,server,nowait").devices.chardev[0];

    assert_false(old.wait);
    assert_true(parsed("-bios r -chardev socket,id=a,path=p,server,wait").devices.chardev[0].wait);
    assert_refused("-chardev socket,id=a,path=p,noserver", "server=on");
    assert_refused("-chardev socket,id,path=p", "id needs a value");
    assert_refused("-chardev socket,id=a,nopath", "'nopath'");
    parsed("-bios r -chardev backend=null,id=a,mux=off");
    assert_int_equal(parsed("-chardev help").mode, MODE_HELP);
    /* The chardev may come after the serial port that goes there. */
    o = parsed("-bios r -serial chardev:a -chardev stdio,id=a");
    assert_int_equal(o.serial, 0);
    assert_int_equal(o.devices.chardev_count, 1);
    /* Without a serial port the terminal is free. */
    o = parsed("-bios r -serial none -chardev stdio,id=a");
    assert_int_equal(o.serial, -1);
}

static void test_chardev_mistakes(void **state)
{
    (void)state;
    assert_refused("-chardev null", "-chardev|id is missing");
    assert_refused("-chardev null,id=", "id is empty");
    assert_refused("-chardev null,id=a -chardev pty,id=a", "two with id=a");
    assert_refused("-chardev nul,id=a", "'nul'|did you mean null");
    assert_refused("-chardev zzzz,id=a", "-chardev help");
    assert_refused("-chardev vc,id=a", "QEMU has");
    assert_refused("-chardev file,id=a", "empty");
    assert_refused("-chardev file,id=a,path=", "empty");
    assert_refused("-chardev socket,id=a,server=on", "empty");
    assert_refused("-chardev socket,id=a,path=p", "server=on");
    assert_refused("-chardev socket,id=a,path=p,server=off", "server=on");
    assert_refused("-chardev socket,id=a,path=p,server=on,wait=maybe", "wait|'maybe'");
    assert_refused("-chardev socket,id=a,host=h,port=1", "QEMU has|host");
    assert_refused("-chardev null,id=a,path=p", "null has no property path");
    assert_refused("-chardev pty,id=a,wait=off", "pty has no property wait");
    assert_refused("-chardev file,id=a,path=p,signal=off", "file has no property signal");
    assert_refused("-chardev pty,id=a,mux=on", "mux|stdio only");
    assert_refused("-chardev null,id=a,pat=x", "'pat'|path");
    assert_refused("-bios r -chardev stdio,id=a", "stdio,id=a|the serial port|-serial null");
    assert_refused("-bios r -serial stdio -chardev stdio,id=a", "in use|the serial port");
    assert_refused("-bios r -chardev stdio,id=a -serial mon:stdio", "in use|id=a");
    assert_refused("-chardev stdio,id=a -chardev stdio,id=b", "in use|id=a");
    assert_refused("-chardev null,id=0 -chardev null,id=1 -chardev null,id=2 -chardev null,id=3",
                   "no guest");
}

static void too_many(void **state)
{
    char *words[2 * CHARDEVS_MAX + 8] = {"kvmlens", "-bios", "r"}, ids[CHARDEVS_MAX + 1][24];
    struct options options;
    struct error err;
    int count = 3;

    (void)state;
    for (unsigned i = 0; i <= CHARDEVS_MAX; i++) {
        snprintf(ids[i], sizeof ids[i], "null,id=c%u", i);
        words[count++] = "-chardev";
        words[count++] = ids[i];
    }
    assert_int_equal(options_parse(&options, count, words, &err), -1);
    assert_non_null(strstr(err.text, "at most"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial),  cmocka_unit_test(test_serial_mistakes),
        cmocka_unit_test(test_chardev), cmocka_unit_test(test_chardev_mistakes),
        cmocka_unit_test(too_many),
    };

    return cmocka_run_group_tests_name("options_chardev", tests, NULL, NULL);
}
