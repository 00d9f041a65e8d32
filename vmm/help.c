/*
 * help.c: what -help and its topics print, made from the tables that the parser uses.
 */
#include "log.h"
#include "options_backends.h"

#include <stdio.h>
#include <string.h>

#ifndef KVMLENS_VERSION
#define KVMLENS_VERSION "unknown"
#endif

#define WIDTH  80 /* columns */
#define INDENT 6

/* Prints TEXT in lines of WIDTH columns, each behind INDENT spaces. */
static void print_wrapped(const char *text, int indent)
{
    int column = 0;

    for (const char *word = text; *word; word += strspn(word, " ")) {
        int len = (int)strcspn(word, " ");

        if (column > 0 && column + 1 + len > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += printf("%*s%.*s", column > 0 ? 1 : indent, "", len, word);
        word += len;
    }
    putchar('\n');
}

static void print_option(const struct option_def *def)
{
    printf("  -%s", def->name);
    if (def->alias)
        printf(", -%s", def->alias);
    printf("%s%s\n", def->argument ? " " : "", def->argument ? def->argument : "");
    print_wrapped(def->help, INDENT);
}

static void print_options(void)
{
    printf("usage: kvmlens -kernel FILE [OPTION]...   boot a kernel and show its VM exits\n"
           "       kvmlens -bios FILE [OPTION]...     boot a ROM\n"
           "       kvmlens check                      can this host run guests?\n"
           "       kvmlens explain [NAME]             an exit or a device register in words\n"
           "       kvmlens report FILE.jsonl [OPTION] a trace made before, in another form\n"
           "\n"
           "The options are spelled as QEMU's, with one dash or two; the machine is QEMU's\n"
           "microvm.\n");
    for (unsigned group = 0; group < OPTION_GROUPS; group++) {
        printf("\n%s\n", option_group_titles[group]);
        for (const struct option_def *def = option_table; def->name; def++)
            if (def->group == group)
                print_option(def);
    }
    printf("\nOn the terminal (-serial mon:stdio): Ctrl-A x quits, Ctrl-A h helps.\n"
           "Exit status: 0 the guest powered off; odd numbers are isa-debug-exit's; the\n"
           "others are explained in kvmlens(1).\n");
}

void help_escaped(const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text);
    }
}

static void print_markdown(void)
{
    printf("| Option | What it does |\n| --- | --- |\n");
    for (unsigned group = 0; group < OPTION_GROUPS; group++) {
        printf("| **%s** | |\n", option_group_titles[group]);
        for (const struct option_def *def = option_table; def->name; def++) {
            if (def->group != group)
                continue;
            printf("| `-%s", def->name);
            if (def->argument) {
                putchar(' ');
                help_escaped(def->argument);
            }
            putchar('`');
            if (def->alias)
                printf(", `-%s`", def->alias);
            printf(" | ");
            help_escaped(def->help);
            printf(" |\n");
        }
    }
}

/* The properties of TABLE that have a help text: kvmlens's own, or those that must have a value. */
static void print_properties(const struct property *table, bool own)
{
    for (; table->name; table++) {
        if (!table->help || (table->set != NULL) != own)
            continue;
        printf("  %s=%s\n", table->name, table->values);
        print_wrapped(table->help, INDENT);
    }
}

static void print_microvm(void)
{
    printf("Properties of the machine microvm:\n");
    print_properties(machine_properties, true);
    printf("\nTaken with these values only, which change nothing here:\n");
    print_properties(machine_properties, false);
}

static void print_cpu(void)
{
    int column = WIDTH;

    print_wrapped("Processor models: host, the host's processor as KVM offers it.", 0);
    printf("\nFeatures to take away (-NAME, NAME=off) or to insist on (+NAME, NAME=on):");
    for (unsigned word = 0; word < CPUID_WORDS; word++)
        for (unsigned bit = 0; bit < 32; bit++) {
            const char *name = cpu_feature_name((enum cpuid_word)word, bit);

            if (!name)
                continue;
            if (column + 1 + (int)strlen(name) > WIDTH) {
                printf("\n ");
                column = 1;
            }
            column += printf(" %s", name);
        }
    putchar('\n');
}

static void print_devices(void)
{
    printf("Devices to add (-device NAME,help: a device's properties):\n");
    for (const struct device_kind *kind = device_kinds; kind->name; kind++) {
        printf("  %s\n", kind->name);
        print_wrapped(kind->help, INDENT);
    }
}

static void print_device(const struct device_kind *kind)
{
    printf("-device %s[,PROPERTY=VALUE]...\n", kind->name);
    print_wrapped(kind->help, INDENT);
    printf("\n");
    print_properties(kind->properties, true);
    if (kind->sort == DEVICE_VIRTIO)
        print_properties(virtio_properties, true);
    if (kind->sort == DEVICE_CONSOLE_PORT)
        print_properties(console_port_base_properties, true);
}

static void print_global(void)
{
    printf("-global virtio-mmio.PROPERTY=VALUE\n");
    print_properties(global_properties, true);
}

static void print_chardev(void)
{
    printf("-chardev stdio|file|pty|socket|null,id=ID[,PROPERTY=VALUE]...\n");
    print_properties(chardev_properties, true);
}

static void print_drive(void)
{
    printf("-drive file=PATH,format=raw[,PROPERTY=VALUE]...\n");
    print_properties(drive_properties, true);
}

static void print_netdev(void)
{
    printf("-netdev user|tap,id=ID[,PROPERTY=VALUE]...\n");
    print_properties(netdev_properties, true);
}

static void print_objects(void)
{
    printf("Objects (-object NAME,PROPERTY=VALUE,...):\n");
    for (const struct object_kind *kind = object_kinds; kind->name; kind++) {
        printf("\n%s\n", kind->name);
        print_wrapped(kind->help, INDENT);
        print_properties(kind->properties, true);
    }
}

static void print_trace(void)
{
    printf("-trace exits[,file=PATH][,format=text|jsonl|chrome|html][,filter=EXPR]\n");
    print_wrapped("Each VM exit as a line: time, vCPU, kind, address, size, data, device and "
                  "register, guest symbol, time in guest and KVM, time in kvmlens; and what the "
                  "device said of it. Work outside of exits is told in lines called note.",
                  INDENT);
    printf("-trace summary[,file=PATH][,filter=EXPR]\n");
    print_wrapped(
        "At the end, for each kind of exit and each device register: count, share, "
        "total, mean, p50, p95, p99 and maximum; the guest's hot symbols, the split of wall "
        "time, KVM's own count.",
        INDENT);
    printf("-trace kernel[,file=PATH]\n");
    print_wrapped(
        "Each VM exit, and between them what never leaves the kernel: the events kvm:* of "
        "tracefs, of this process alone. Needs root, and libtracefs.",
        INDENT);
    printf("-trace setup[,file=PATH]\n");
    print_wrapped("Each ioctl by which the VM is made: its arguments by name, its result, how long "
                  "it took, and what it is for. KVM_RUN is left out: -trace exits shows it.",
                  INDENT);
    printf("-trace live[,filter=EXPR]\n");
    print_wrapped("A view on the terminal (stderr) while the guest runs: rates and costs of device "
                  "registers and guest symbols; keys r, c, n sort, k chooses, p pauses, q leaves.",
                  INDENT);
    printf("\n");
    print_properties(trace_properties, true);
    printf("\n");
    print_wrapped("Without file=, to stderr. Exits that KVM handles in the kernel do not come to "
                  "kvmlens, and are seen with -trace kernel alone.",
                  0);
}

static void print_topic(const char *topic)
{
    if (strcmp(topic, "machine") == 0)
        printf("Machines:\n  microvm   QEMU's microvm (-machine microvm,help: its properties)\n");
    else if (strcmp(topic, "microvm") == 0)
        print_microvm();
    else if (strcmp(topic, "accel") == 0)
        printf("Accelerators:\n  kvm   /dev/kvm (`kvmlens check` tells whether it works)\n");
    else if (strcmp(topic, "cpu") == 0)
        print_cpu();
    else if (strcmp(topic, "device") == 0)
        print_devices();
    else if (strcmp(topic, "virtio-mmio") == 0)
        print_global();
    else if (strcmp(topic, "chardev") == 0)
        print_chardev();
    else if (strcmp(topic, "drive") == 0)
        print_drive();
    else if (strcmp(topic, "netdev") == 0)
        print_netdev();
    else if (strcmp(topic, "object") == 0)
        print_objects();
    else if (strcmp(topic, "trace") == 0)
        print_trace();
    else if (strcmp(topic, "version") == 0)
        printf("kvmlens %s\n", KVMLENS_VERSION);
    else if (strcmp(topic, "markdown") == 0)
        print_markdown();
    else if (strcmp(topic, "options") == 0)
        help_option_list();
    else if (strcmp(topic, "qemu") == 0)
        help_qemu();
    else if (device_find_kind(topic))
        print_device(device_find_kind(topic));
    else
        print_options();
}

enum status options_help(const char *topic)
{
    print_topic(topic);
    return log_flush_stdout() ? STATUS_POWEROFF : STATUS_INTERNAL;
}
