/*
 * options_values.c: the options of the guest, and those that are only named.
 * Source: qemu-system-x86_64(1) and QEMU hw/misc/debugexit.c.
 */
#include "options_backends.h"

#include "options_qemu.h"
#include "suggest.h"

#include <memmap.h>
#include <string.h>

int parse_file(struct option_parser *parser, const char *argument, const char **file)
{
    if (!*argument)
        return option_error(parser, "the file name is empty");
    *file = argument;
    return 0;
}

int option_kernel(struct option_parser *parser, char *argument)
{
    return parse_file(parser, argument, &parser->options->kernel);
}

int option_initrd(struct option_parser *parser, char *argument)
{
    return parse_file(parser, argument, &parser->options->initrd);
}

int option_bios(struct option_parser *parser, char *argument)
{
    return parse_file(parser, argument, &parser->options->bios);
}

int option_append(struct option_parser *parser, char *argument)
{
    size_t len = strlen(argument);

    if (len >= BOOT_CMDLINE_MAX)
        return option_error(parser, "the kernel's command line has %zu bytes, at most %d fit", len,
                            BOOT_CMDLINE_MAX - 1);
    parser->options->append = argument;
    return 0;
}

int option_no_reboot(struct option_parser *parser, char *argument)
{
    (void)argument;
    parser->options->no_reboot = true;
    return 0;
}

static int set_guest_name(struct option_parser *parser, const char *value)
{
    parser->options->name = value;
    return 0;
}

const struct property name_properties[] = {
    {"guest", "NAME", "The guest's name.", set_guest_name},
    {"debug-threads", "off", NULL, NULL},
    {"process", NULL, NULL, NULL},
    {0},
};

int option_name(struct option_parser *parser, char *argument)
{
    return properties_parse(parser, name_properties, "guest", NULL, argument);
}

int option_show_help(struct option_parser *parser, char *argument)
{
    static const char *const topics[] = {
        "options", "machine", "microvm", "accel",       "cpu",   "device",   "chardev",
        "drive",   "netdev",  "object",  "virtio-mmio", "trace", "markdown", "qemu",
    };
    struct suggestion near = {.word = argument};

    if (!argument || *argument == '-')
        return option_help(parser, "help");
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(argument, topics[i]) == 0)
            return option_help(parser, topics[i]);
        suggest_offer(&near, topics[i]);
    }
    for (const struct device_kind *kind = device_kinds; kind->name; kind++) {
        if (strcmp(argument, kind->name) == 0)
            return option_help(parser, kind->name);
        suggest_offer(&near, kind->name);
    }
    return option_error(parser, "there is no help on %s; %s%s%s", QUOTE(argument),
                        near.best[0] ? "did you mean " : "`kvmlens -h` names the topics", near.best,
                        near.best[0] ? "?" : "");
}

int option_version(struct option_parser *parser, char *argument)
{
    (void)argument;
    parser->options->mode = MODE_VERSION;
    return 0;
}

int option_none(struct option_parser *parser, char *argument)
{
    if (strcmp(argument, "none") == 0)
        return 0;
    return option_error(parser, "QEMU may have %s, kvmlens takes %s none only. %s", QUOTE(argument),
                        parser->typed, option_note(parser->def));
}

int option_ignore(struct option_parser *parser, char *argument)
{
    (void)parser;
    (void)argument;
    return 0;
}
