/*
 * test_options.c: the command line: what each option sets, and what each mistake is told.
 */
#include "command_line.h"
#include "options_internal.h"

#include <memmap.h>

static void test_defaults(void **state)
{
    (void)state;
    struct options o = parsed("-kernel k");

    assert_int_equal(o.mode, MODE_RUN);
    assert_string_equal(o.kernel, "k");
    assert_null(o.initrd);
    assert_null(o.append);
    assert_null(o.bios);
    assert_null(o.name);
    assert_null(o.dumpdtb);
    assert_int_equal(o.timeout_s, 0);
    assert_true(o.irqchip && o.pit && o.rtc && o.isa_serial);
    assert_int_equal(o.ram_bytes, 128u << 20);
    assert_int_equal(o.smp, 1);
    assert_int_equal(o.serial, 0);
    assert_int_equal(o.devices.chardev_count, 1);
    assert_int_equal(o.devices.chardev[0].kind, CHARDEV_STDIO);
    assert_true(o.devices.chardev[0].escape && !o.devices.chardev[0].signals);
    assert_false(o.no_reboot);
    assert_false(o.debug_exit);
    assert_int_equal(o.trace_count, 0);
    for (unsigned word = 0; word < CPUID_WORDS; word++)
        assert_int_equal(o.cpu.off[word] | o.cpu.wanted[word], 0);
}

static void test_guest(void **state)
{
    (void)state;
    struct options o = parsed("-kernel k -initrd i -append x=1,,y -no-reboot -name n");

    assert_string_equal(o.kernel, "k");
    assert_string_equal(o.initrd, "i");
    assert_string_equal(o.append, "x=1,,y"); /* no properties here: commas are just commas */
    assert_true(o.no_reboot);
    assert_string_equal(o.name, "n");
    assert_string_equal(parsed("-bios rom").bios, "rom");
    assert_string_equal(parsed("-kernel k -append ").append, "");
    assert_string_equal(parsed("-kernel k -name guest=a,,b,debug-threads=off").name, "a,b");
    assert_string_equal(parsed("-kernel a -kernel b").kernel, "b"); /* the last one wins */
}

static void test_machine(void **state)
{
    (void)state;
    struct options o =
        parsed("-M microvm,timeout=30,dumpdtb=a,,b=c,kernel-irqchip=off,pit=off,rtc=off");

    assert_int_equal(o.timeout_s, 30);
    assert_string_equal(o.dumpdtb, "a,b=c");
    assert_false(o.irqchip || o.pit || o.rtc);
    o = parsed("-machine type=microvm,accel=kvm:tcg,pit=auto,rtc=auto,isa-serial=off -kernel k");
    assert_true(o.irqchip && o.pit && o.rtc);
    assert_false(o.isa_serial);
    /* Several of them add up. */
    o = parsed("-M microvm,pit=off -M rtc=no,timeout=0xff -accel kvm,kernel-irqchip=off -bios r");
    assert_false(o.irqchip || o.pit || o.rtc);
    assert_int_equal(o.timeout_s, 255);
    parsed("-bios r -M acpi=off,acpi=auto,auto-kernel-cmdline=on,graphics=off,ioapic2=off,"
           "mem-merge=off,pcie=off,pic=on,smm=off,usb=off,x-option-roms=off,dump-guest-core=on");
    /* QEMU's fallback is never reached. */
    parsed("-bios r -accel kvm -accel tcg");
    parsed("-bios r -enable-kvm -accel tcg");
}

static void test_memory(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t bytes;
    } rows[] = {
        {"-bios r -m 64", UINT64_C(64) << 20},
        {"-bios r -m 64M", UINT64_C(64) << 20},
        {"-bios r -m 64m", UINT64_C(64) << 20},
        {"-bios r -m size=1G", UINT64_C(1) << 30},
        {"-bios r -m 1.5G", UINT64_C(3) << 29},
        {"-bios r -m 0.001953125G", UINT64_C(2) << 20},
        {"-bios r -m 1048576b", UINT64_C(1) << 20},
        {"-bios r -m 1", RAM_MIN_BYTES},
        {"-bios r -m 1048575b", RAM_MIN_BYTES}, /* rounded up to 8 KiB, as QEMU does */
        {"-bios r -m 1025K", (UINT64_C(1) << 20) + 8192},
        {"-bios r -m 64G", RAM_MAX_BYTES},
        {"-bios r -m 64.0G,slots=0", RAM_MAX_BYTES},
        {"-bios r -m 65536", RAM_MAX_BYTES},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (parsed(rows[i].line).ram_bytes != rows[i].bytes)
            fail_msg("%s: %llu bytes", rows[i].line,
                     (unsigned long long)parsed(rows[i].line).ram_bytes);
}

static void test_memory_refused(void **state)
{
    (void)state;
    static const char *const range[] = {
        "0",
        "1b",
        "1000K",
        "65537",
        "64.1G",
        "1T",
        "16E",
        "17592186044416",
        "17179869185G",
        "18446744073709551616",
        "99999999999999999999999999999E",
    };
    static const char *const malformed[] = {
        "x", "-1", "+1", "64MB", "64X", "M", ".", ".M", "1..5G", "0x40", "1e3",
    };
    char line[128];

    for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
        snprintf(line, sizeof(line), "-bios r -m %s", range[i]);
        assert_refused(line, "-m: |out of range|1M|64G");
    }
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        snprintf(line, sizeof(line), "-m %s", malformed[i]);
        assert_refused(line, "-m: ");
    }
    assert_refused("-m 64MB", "'64MB'|64M");
    assert_refused("-m 64,maxmem=128M", "QEMU has|maxmem");
    assert_refused("-m 64,slots=2", "slots");
}

static void test_smp(void **state)
{
    (void)state;
    assert_int_equal(parsed("-bios r -smp 4").smp, 4);
    assert_int_equal(parsed("-bios r -smp cpus=64").smp, SMP_MAX);
    assert_int_equal(parsed("-bios r -smp cores=3").smp, 3);
    assert_int_equal(parsed("-bios r -smp maxcpus=3").smp, 3);
    assert_int_equal(parsed("-bios r -smp 2,sockets=1,dies=1,cores=2,threads=1,maxcpus=2").smp, 2);
    assert_int_equal(parsed("-bios r -smp 8,cores=8 -smp 2").smp, 2);
    assert_refused("-smp 0", "cpus|out of range|1 to 64");
    assert_refused("-smp 65", "1 to 64");
    assert_refused("-smp 4294967297", "1 to 64");
    assert_refused("-smp two", "number|'two'");
    assert_refused("-smp -1", "'-1'");
    assert_refused("-smp 4,cores=3", "3 cores|not 4");
    assert_refused("-smp 4,sockets=2", "one socket|-smp 4");
    assert_refused("-smp 4,threads=2", "one thread");
    assert_refused("-smp 2,maxcpus=4", "maxcpus=4|kvmlens cannot");
    assert_refused("-smp 2,dies=2", "dies=1");
    assert_refused("-smp sockets=64,cores=64,threads=64", "QEMU has sockets");
    assert_refused("-smp 2,core=2", "'core'|cores");
}

static void test_device(void **state)
{
    (void)state;
    struct options o = parsed("-bios r -device isa-debug-exit");

    assert_true(o.debug_exit);
    assert_int_equal(o.debug_exit_iobase, 0x501); /* QEMU's defaults */
    assert_int_equal(o.debug_exit_iosize, 2);
    o = parsed("-bios r -device driver=isa-debug-exit,iobase=0xF4,id=x,bus=isa.0,iosize=4");
    assert_int_equal(o.debug_exit_iobase, 0xf4);
    assert_int_equal(o.debug_exit_iosize, 4);
    o = parsed("-bios r -device isa-debug-exit,iobase=65535,iosize=1");
    assert_int_equal(o.debug_exit_iobase, 0xffff);
    assert_refused("-device isa-debug-exit,iobase=0xffff", "0xffff|pass");
    assert_refused("-device isa-debug-exit,iobase=0x10000", "iobase|0x0 to 0xffff");
    assert_refused("-device isa-debug-exit,iobase=65536", "0 to 65535");
    assert_refused("-device isa-debug-exit,iosize=0", "iosize|1 to 65535");
    assert_refused("-device isa-debug-exit,iobase=zz", "iobase|'zz'");
    assert_refused("-device isa-debug-exit,iobase=0x", "'0x'");
    assert_refused("-device isa-debug-exit,iobase", "iobase needs a value");
    assert_refused("-device isa-debug-exit,", "missing");
    assert_refused("-device isa-debug-exit,iobas=1", "'iobas'|iobase");
    assert_refused("-device isa-debug-exit -device isa-debug-exit", "twice");
    assert_refused("-device isa-debug-exti", "did you mean isa-debug-exit");
    assert_refused("-device nvme,drive=d", "QEMU has|nvme");
    assert_refused("-device usb-tablte", "QEMU has usb-tablet");
    assert_refused("-device qqqqqqqqqq", "'qqqqqqqqqq'|-device help");
    assert_refused("-device  -bios r", "missing");
}

static void test_machine_refused(void **state)
{
    (void)state;
    assert_refused("-M pc", "QEMU has|pc|microvm");
    assert_refused("-M pc-q35-7.2", "QEMU has");
    assert_refused("-M none", "QEMU has");
    assert_refused("-M micorvm", "did you mean microvm");
    assert_refused("-M x", "'x'|microvm");
    assert_refused("-M  -bios r", "-M");
    assert_refused("-M microvm,", "missing");
    assert_refused("-M microvm,pit", "pit=on|off");
    assert_refused("-M microvm,pit=", "pit is on or off");
    assert_refused("-M microvm,pti=on", "'pti'|did you mean pit");
    assert_refused("-M microvm,frobnicate=1", "'frobnicate'|microvm");
    assert_refused("-M microvm,acpi=on", "acpi=off|'on'");
    assert_refused("-M microvm,memory-backend=m", "QEMU has|memory-backend");
    assert_refused("-M microvm,kernel-irqchip=split", "split|on and off");
    assert_refused("-M microvm,kernel-irqchip=x", "kernel-irqchip|'x'");
    assert_refused("-M microvm,kernel-irqchip=off -smp 2 -kernel k", "-smp 2|kernel-irqchip=on");
    assert_refused("-M microvm,timeout=4294967296", "timeout|4294967295");
    assert_refused("-M microvm,timeout=18446744073709551617", "timeout|out of range");
    assert_refused("-M microvm,timeout=1s", "'1s'");
    assert_refused("-M microvm,timeout=", "number");
    assert_refused("-M microvm,dumpdtb=", "file name");
    assert_refused("-M accel=xen", "QEMU has|xen|/dev/kvm");
    assert_refused("-accel tcg", "QEMU has|tcg|/dev/kvm only");
    assert_refused("-accel kmv", "'kmv'|kvm");
    assert_refused("-accel kvm,thread=multi", "QEMU has|thread");
    assert_refused("-cpu host,-sse9", "-cpu|'sse9'");
}

static void test_unknown(void **state)
{
    (void)state;
    assert_refused("-kernal k", "'-kernal'|did you mean -kernel?");
    assert_refused("--kernal k", "'--kernal'|did you mean -kernel?");
    assert_refused("-no-rebot", "-no-reboot");
    assert_refused("-Kernel k", "did you mean -kernel?");
    assert_refused("-qqqqq", "'-qqqqq'|kvmlens -h");
    assert_refused("-m=64", "-m '64'");
    assert_refused("--smp=2", "-smp '2'");
    assert_refused("-blockdev file=x", "QEMU has this option|-drive");
    assert_refused("--virtfs local,id=n", "QEMU has this option|no file sharing");
    assert_refused("-uuid 1", "QEMU has this option, kvmlens has not");
    assert_refused("-S", "QEMU has this option|no monitor");
    assert_refused("disk.img", "'disk.img'|disk image|-kernel");
    assert_refused("-", "'-'");
    assert_refused("--", "'--'");
    assert_refused("chek", "kvmlens check");
    assert_refused("check -v", "check|'-v'");
    assert_refused("-kernel k check", "kvmlens check");
    assert_refused("-kernel", "-kernel: |missing|FILE");
    assert_refused("-kernel  ", "empty");
    assert_refused("-display gtk", "no display|-display none");
    assert_refused("--monitor stdio", "no monitor|--monitor none");
}

static void test_together(void **state)
{
    (void)state;
    assert_refused("", "no guest|-kernel FILE|-bios FILE");
    assert_refused("-m 64", "no guest");
    assert_refused("-kernel k -bios b", "-kernel and -bios");
    assert_refused("-initrd i", "-initrd needs -kernel");
    assert_refused("-append a", "-append needs -kernel");
    assert_refused("-bios b -append a", "-append needs -kernel");
    parsed("-M dumpdtb=x");
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *line, *topic;
    } rows[] = {
        {"-h", "help"},
        {"-help", "help"},
        {"--help", "help"},
        {"-h -nonsense", "help"}, /* as in QEMU, the rest is not looked at */
        {"-h trace", "trace"},
        {"-h markdown", "markdown"},
        {"-h options", "options"},
        {"-h qemu", "qemu"},
        {"-M help", "machine"},
        {"-machine ?", "machine"},
        {"-M microvm,help", "microvm"},
        {"-accel help", "accel"},
        {"-M accel=help", "accel"},
        {"-cpu help", "cpu"},
        {"-device help", "device"},
        {"-device isa-debug-exit,help", "isa-debug-exit"},
        {"-trace help", "trace"},
        {"-trace exits,help", "trace"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct options o = parsed(rows[i].line);

        assert_int_equal(o.mode, MODE_HELP);
        assert_string_equal(o.help_topic, rows[i].topic);
    }
    assert_int_equal(parsed("-version -nonsense").mode, MODE_VERSION);
    assert_int_equal(parsed("check").mode, MODE_CHECK);
    assert_refused("-h frace", "did you mean trace");
    assert_refused("-h qqqqq", "'qqqqq'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_guest),
        cmocka_unit_test(test_machine),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_refused), cmocka_unit_test(test_smp),
        cmocka_unit_test(test_device),         cmocka_unit_test(test_machine_refused),
        cmocka_unit_test(test_unknown),        cmocka_unit_test(test_together),
        cmocka_unit_test(test_modes),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
