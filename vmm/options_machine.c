/*
 * options_machine.c: -machine, -accel, -cpu, -m, -smp.
 * Source: QEMU docs/system/i386/microvm.rst; `qemu-system-x86_64 -M microvm,help`.
 */
#include "options_internal.h"

#include "options_qemu.h"
#include "suggest.h"

#include <memmap.h>
#include <string.h>

/* QEMU rounds the size of RAM up to this. */
#define RAM_UNIT 8192

static int set_type(struct option_parser *parser, const char *value)
{
    struct suggestion near = {.word = value};

    if (strcmp(value, "microvm") == 0)
        return 0;
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0)
        return option_help(parser, "machine");
    if (qemu_has_machine(value))
        return option_error(parser,
                            "QEMU has the machine %s, kvmlens has not: its machine is QEMU's "
                            "microvm",
                            value);
    suggest_offer(&near, "microvm");
    return option_error(parser, "there is no machine %s; %s", QUOTE(value),
                        near.best[0] ? "did you mean microvm?" : "kvmlens has one, microvm");
}

static int set_accelerator(struct option_parser *parser, const char *value)
{
    size_t len = strcspn(value, ":");

    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0)
        return option_help(parser, "accel");
    /* QEMU tries a list from left to right, kvm:tcg, and so does "-accel kvm -accel tcg". What is
     * behind kvm is never reached here: without KVM, kvmlens says so and ends. */
    if (len == 3 && memcmp(value, "kvm", 3) == 0) {
        parser->accel_given = true;
        return 0;
    }
    if (!qemu_has_accelerator(value))
        return option_error(parser, "there is no accelerator %s; kvmlens has one, kvm",
                            QUOTE(value));
    if (parser->accel_given)
        return 0;
    return option_error(parser,
                        "QEMU has the accelerator %s, kvmlens has not: kvmlens drives /dev/kvm "
                        "only",
                        value);
}

static int set_irqchip(struct option_parser *parser, const char *value)
{
    if (strcmp(value, "split") == 0)
        return option_error(parser, "QEMU has kernel-irqchip=split, kvmlens has on and off");
    return parse_on_off(parser, "kernel-irqchip", value, &parser->options->irqchip);
}

/* Like a switch, but "auto" means the default. */
static int set_auto(struct option_parser *parser, const char *name, const char *value, bool *on)
{
    if (strcmp(value, "auto") == 0) {
        *on = true;
        return 0;
    }
    return parse_on_off(parser, name, value, on);
}

static int set_pit(struct option_parser *parser, const char *value)
{
    return set_auto(parser, "pit", value, &parser->options->pit);
}

static int set_rtc(struct option_parser *parser, const char *value)
{
    return set_auto(parser, "rtc", value, &parser->options->rtc);
}

static int set_isa_serial(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "isa-serial", value, &parser->options->isa_serial);
}

static int set_auto_cmdline(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "auto-kernel-cmdline", value, &parser->options->auto_cmdline);
}

static int set_timeout(struct option_parser *parser, const char *value)
{
    uint64_t seconds;

    if (parse_number(parser, "timeout", value, 0, UINT32_MAX, &seconds) < 0)
        return -1;
    parser->options->timeout_s = (unsigned)seconds;
    return 0;
}

static int set_dumpdtb(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "dumpdtb needs a file name: dumpdtb=FILE");
    parser->options->dumpdtb = value;
    return 0;
}

const struct property machine_properties[] = {
    {"type", "microvm", NULL, set_type},
    {"timeout", "SECONDS", "End a guest that runs longer, with status 124; 0 (the default): never.",
     set_timeout},
    {"dumpdtb", "FILE", "Write the machine's device tree (DTB) to FILE and end.", set_dumpdtb},
    {"kernel-irqchip", "on|off",
     "PIC, I/O APIC and local APICs, in the kernel (on, the default); off: no interrupt "
     "controller at all.",
     set_irqchip},
    {"pit", "on|off", "The 8254 timer, in the kernel (default: on, if kernel-irqchip is).",
     set_pit},
    {"rtc", "on|off", "The MC146818 real-time clock (default: on).", set_rtc},
    {"isa-serial", "on|off", "The serial port (default: on); -serial none is the same as off.",
     set_isa_serial},
    {"auto-kernel-cmdline", "on|off",
     "Append virtio_mmio.device=512@ADDRESS:IRQ to the kernel's command line for each virtio "
     "device (default: on).",
     set_auto_cmdline},
    {"accel", "kvm", "The accelerator.", set_accelerator},
    {"acpi", "off|auto", "There are no ACPI tables.", NULL},
    {"dump-guest-core", "on", NULL, NULL},
    {"graphics", "off", "There is no display.", NULL},
    {"ioapic2", "off|auto", "There is one I/O APIC.", NULL},
    {"mem-merge", "off", "RAM is not offered to KSM.", NULL},
    {"pcie", "off|auto", "There is no PCI.", NULL},
    {"pic", "on|auto", "The PIC comes and goes with kernel-irqchip.", NULL},
    {"smm", "off|auto", "There is no system management mode.", NULL},
    {"usb", "off", "There is no USB.", NULL},
    {"x-option-roms", "off", "There are no option ROMs.", NULL},
    {"append", NULL, NULL, NULL},
    {"boot", NULL, NULL, NULL},
    {"bus-lock-ratelimit", NULL, NULL, NULL},
    {"confidential-guest-support", NULL, NULL, NULL},
    {"dt-compatible", NULL, NULL, NULL},
    {"dtb", NULL, NULL, NULL},
    {"firmware", NULL, NULL, NULL},
    {"initrd", NULL, NULL, NULL},
    {"kernel", NULL, NULL, NULL},
    {"kvm-shadow-mem", NULL, NULL, NULL},
    {"memory", NULL, NULL, NULL},
    {"memory-backend", NULL, NULL, NULL},
    {"memory-encryption", NULL, NULL, NULL},
    {"phandle-start", NULL, NULL, NULL},
    {"sgx-epc", NULL, NULL, NULL},
    {"smp", NULL, NULL, NULL},
    {"suppress-vmdesc", NULL, NULL, NULL},
    {"vmport", NULL, NULL, NULL},
    {"x-oem-id", NULL, NULL, NULL},
    {"x-oem-table-id", NULL, NULL, NULL},
    {0},
};

int option_machine(struct option_parser *parser, char *argument)
{
    /* "-machine help" is about machines, "-machine microvm,help" about this one's properties. */
    if (strcmp(argument, "help") == 0 || strcmp(argument, "?") == 0)
        return option_help(parser, "machine");
    return properties_parse(parser, machine_properties, "type", "microvm", argument);
}

const struct property accel_properties[] = {
    {"accel", "kvm", NULL, set_accelerator},
    {"kernel-irqchip", "on|off", "As with -machine.", set_irqchip},
    {"dirty-ring-size", "0", NULL, NULL},
    {"igd-passthru", "off", NULL, NULL},
    {"kvm-shadow-mem", NULL, NULL, NULL},
    {"notify-vmexit", NULL, NULL, NULL},
    {"notify-window", NULL, NULL, NULL},
    {"one-insn-per-tick", NULL, NULL, NULL},
    {"split-wx", NULL, NULL, NULL},
    {"tb-size", NULL, NULL, NULL},
    {"thread", NULL, NULL, NULL},
    {0},
};

int option_accel(struct option_parser *parser, char *argument)
{
    return properties_parse(parser, accel_properties, "accel", "accel", argument);
}

int option_enable_kvm(struct option_parser *parser, char *argument)
{
    (void)argument;
    parser->accel_given = true;
    return 0;
}

int option_cpu(struct option_parser *parser, char *argument)
{
    if (strcmp(argument, "help") == 0 || strcmp(argument, "?") == 0)
        return option_help(parser, "cpu");
    return cpu_features_parse(&parser->options->cpu, argument, parser->err);
}

/* The bytes that a suffix stands for; 0 for none of them. */
static uint64_t suffix_unit(const char *suffix)
{
    static const char letters[] = "bkmgtpe";
    const char *at = *suffix ? strchr(letters, *suffix | 0x20) : NULL;

    if (!*suffix)
        return UINT64_C(1) << 20; /* QEMU's -m counts in MiB */
    return at && *at && !suffix[1] ? UINT64_C(1) << (10 * (at - letters)) : 0;
}

static int set_size(struct option_parser *parser, const char *value)
{
    uint64_t whole = 0, fraction = 0, scale = 1;
    const char *c = value;
    const char *digits = c;

    for (; *c >= '0' && *c <= '9'; c++)
        whole = whole > RAM_MAX_BYTES ? whole : whole * 10 + (uint64_t)(*c - '0');

    bool none = c == digits;

    if (*c == '.') {
        /* Nine digits of a fraction are more exact than a byte of any size in range. */
        for (c++; *c >= '0' && *c <= '9'; c++)
            if (scale < 1000000000) {
                fraction = fraction * 10 + (uint64_t)(*c - '0');
                scale *= 10;
            }
        none = none || scale == 1;
    }

    uint64_t unit = suffix_unit(c);

    if (none || unit == 0)
        return option_error(parser,
                            "%s is no size; expected a number of MiB, or one with a suffix K, M "
                            "or G (64, 64M, 1.5G)",
                            QUOTE(value));

    bool fits = whole <= RAM_MAX_BYTES / unit;
    uint64_t bytes = fits && unit <= RAM_MAX_BYTES ? whole * unit + fraction * unit / scale : 0;

    bytes = (bytes + RAM_UNIT - 1) / RAM_UNIT * RAM_UNIT;
    if (bytes < RAM_MIN_BYTES || bytes > RAM_MAX_BYTES)
        return option_error(parser, "%s is out of range: a guest has 1M to 64G of RAM",
                            QUOTE(value));
    parser->options->ram_bytes = bytes;
    return 0;
}

const struct property memory_properties[] = {
    {"size", "SIZE", "The size of RAM.", set_size},
    {"slots", "0", NULL, NULL},
    {"maxmem", NULL, NULL, NULL},
    {0},
};

int option_memory(struct option_parser *parser, char *argument)
{
    return properties_parse(parser, memory_properties, "size", NULL, argument);
}

static int set_count(struct option_parser *parser, const char *name, const char *value,
                     unsigned *count)
{
    uint64_t number;

    if (parse_number(parser, name, value, 1, SMP_MAX, &number) < 0)
        return -1;
    *count = (unsigned)number;
    return 0;
}

static int set_cpus(struct option_parser *parser, const char *value)
{
    return set_count(parser, "cpus", value, &parser->smp.cpus);
}

static int set_maxcpus(struct option_parser *parser, const char *value)
{
    return set_count(parser, "maxcpus", value, &parser->smp.maxcpus);
}

static int set_sockets(struct option_parser *parser, const char *value)
{
    return set_count(parser, "sockets", value, &parser->smp.sockets);
}

static int set_cores(struct option_parser *parser, const char *value)
{
    return set_count(parser, "cores", value, &parser->smp.cores);
}

static int set_threads(struct option_parser *parser, const char *value)
{
    return set_count(parser, "threads", value, &parser->smp.threads);
}

const struct property smp_properties[] = {
    {"cpus", "N", "How many.", set_cpus},
    {"maxcpus", "N", "The same number again.", set_maxcpus},
    {"sockets", "1", "One.", set_sockets},
    {"dies", "1", NULL, NULL},
    {"clusters", "1", NULL, NULL},
    {"modules", "1", NULL, NULL},
    {"books", "1", NULL, NULL},
    {"drawers", "1", NULL, NULL},
    {"cores", "N", "The same number again.", set_cores},
    {"threads", "1", "One.", set_threads},
    {0},
};

int option_smp(struct option_parser *parser, char *argument)
{
    struct smp_option *smp = &parser->smp;

    *smp = (struct smp_option){0};
    if (properties_parse(parser, smp_properties, "cpus", NULL, argument) < 0)
        return -1;

    /* What is not given follows from the rest; cores take what is left, as in QEMU. */
    unsigned sockets = smp->sockets ? smp->sockets : 1, threads = smp->threads ? smp->threads : 1;
    unsigned cpus = smp->cpus      ? smp->cpus
                    : smp->maxcpus ? smp->maxcpus
                                   : sockets * threads * (smp->cores ? smp->cores : 1);
    unsigned maxcpus = smp->maxcpus ? smp->maxcpus : cpus;
    unsigned cores = smp->cores ? smp->cores : maxcpus / (sockets * threads);

    if (sockets * cores * threads != maxcpus)
        return option_error(parser,
                            "%u sockets of %u cores of %u threads are %u processors, not %u",
                            sockets, cores, threads, sockets * cores * threads, maxcpus);
    if (maxcpus != cpus)
        return option_error(parser,
                            "maxcpus=%u with %u processors: QEMU can add processors later, "
                            "kvmlens cannot",
                            maxcpus, cpus);
    if (sockets > 1 || threads > 1)
        return option_error(parser,
                            "QEMU has sockets and threads, kvmlens has one socket of cores with "
                            "one thread each: -smp %u",
                            cpus);
    if (cpus > SMP_MAX)
        return option_error(parser, "%u processors are too many: 1 to %u", cpus, SMP_MAX);
    parser->options->smp = cpus;
    return 0;
}
