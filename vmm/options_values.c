/*
 * options_values.c: the options of the guest, its serial port, its devices, and of the trace.
 * Source: qemu-system-x86_64(1) and QEMU hw/misc/debugexit.c.
 */
#include "options_internal.h"

#include "options_qemu.h"
#include "suggest.h"

#include <memmap.h>
#include <string.h>

static bool asks_help(const char *argument)
{
    return strcmp(argument, "help") == 0 || strcmp(argument, "?") == 0;
}

static int set_file(struct option_parser *parser, const char *argument, const char **file)
{
    if (!*argument)
        return option_error(parser, "the file name is empty");
    *file = argument;
    return 0;
}

int option_kernel(struct option_parser *parser, char *argument)
{
    return set_file(parser, argument, &parser->options->kernel);
}

int option_initrd(struct option_parser *parser, char *argument)
{
    return set_file(parser, argument, &parser->options->initrd);
}

int option_bios(struct option_parser *parser, char *argument)
{
    return set_file(parser, argument, &parser->options->bios);
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

static int set_iobase(struct option_parser *parser, const char *value)
{
    uint64_t port;

    if (parse_number(parser, "iobase", value, 0, UINT16_MAX, &port) < 0)
        return -1;
    parser->options->debug_exit_iobase = (uint16_t)port;
    return 0;
}

static int set_iosize(struct option_parser *parser, const char *value)
{
    uint64_t ports;

    if (parse_number(parser, "iosize", value, 1, UINT16_MAX, &ports) < 0)
        return -1;
    parser->options->debug_exit_iosize = (uint16_t)ports;
    return 0;
}

static int set_id(struct option_parser *parser, const char *value)
{
    return *value ? 0 : option_error(parser, "the id is empty");
}

const struct property debug_exit_properties[] = {
    {"iobase", "PORT", "Its first I/O port (default: 0x501).", set_iobase},
    {"iosize", "N", "How many ports it has (default: 2).", set_iosize},
    {"id", "NAME", "A name for the device; not used.", set_id},
    {"bus", "isa.0", NULL, NULL},
    {0},
};

static int unknown_device(struct option_parser *parser, const char *name)
{
    struct suggestion near = {.word = name};

    if (qemu_has_device(name))
        return option_error(parser,
                            "QEMU has the device %s, kvmlens has not; -device help lists "
                            "what it has",
                            name);
    suggest_offer(&near, "isa-debug-exit");
    if (near.best[0])
        return option_error(parser, "there is no device %s; did you mean %s?", QUOTE(name),
                            near.best);
    qemu_suggest_device(&near);
    if (near.best[0])
        return option_error(parser, "there is no device %s; QEMU has %s, kvmlens has not",
                            QUOTE(name), near.best);
    return option_error(parser, "there is no device %s; -device help lists them", QUOTE(name));
}

int option_device(struct option_parser *parser, char *argument)
{
    struct options *options = parser->options;
    char *name = strncmp(argument, "driver=", 7) == 0 ? argument + 7 : argument;
    char *comma = strchr(name, ',');

    if (comma)
        *comma = '\0';
    if (asks_help(name))
        return option_help(parser, "device");
    if (!*name)
        return option_error(parser, "an argument is missing: %s", parser->def->argument);
    if (strcmp(name, "isa-debug-exit") != 0)
        return unknown_device(parser, name);
    if (options->debug_exit)
        return option_error(parser, "isa-debug-exit is given twice");
    options->debug_exit = true;
    options->debug_exit_iobase = 0x501;
    options->debug_exit_iosize = 2;
    if (comma &&
        properties_parse(parser, debug_exit_properties, NULL, "isa-debug-exit", comma + 1) < 0)
        return -1;
    if (options->debug_exit_iobase + options->debug_exit_iosize > 0x10000)
        return option_error(parser, "isa-debug-exit: %u ports from 0x%x pass the last port, 0xffff",
                            options->debug_exit_iosize, options->debug_exit_iobase);
    return 0;
}

static struct trace_option *current_trace(struct option_parser *parser)
{
    return &parser->options->trace[parser->options->trace_count];
}

static int set_trace_kind(struct option_parser *parser, const char *value)
{
    struct suggestion near = {.word = value};

    parser->trace_kind_given = true;
    if (strcmp(value, "exits") == 0) {
        current_trace(parser)->kind = TRACE_EXITS;
        return 0;
    }
    if (strcmp(value, "summary") == 0) {
        current_trace(parser)->kind = TRACE_SUMMARY;
        return 0;
    }
    suggest_offer(&near, "exits");
    suggest_offer(&near, "summary");
    if (near.best[0])
        return option_error(parser, "there is no trace %s; did you mean %s?", QUOTE(value),
                            near.best);
    return option_error(
        parser,
        "there is no trace %s; kvmlens traces VM exits (exits, summary), not QEMU's "
        "events",
        QUOTE(value));
}

static int set_trace_file(struct option_parser *parser, const char *value)
{
    return set_file(parser, value, &current_trace(parser)->file);
}

const struct property trace_properties[] = {
    {"enable", "exits|summary", "What to trace.", set_trace_kind},
    {"file", "PATH", "Where to (default: stderr).", set_trace_file},
    {"events", NULL, NULL, NULL},
    {0},
};

int option_trace(struct option_parser *parser, char *argument)
{
    if (parser->options->trace_count == TRACE_MAX)
        return option_error(parser, "there can be %d traces at most", TRACE_MAX);
    parser->trace_kind_given = false;
    if (properties_parse(parser, trace_properties, "enable", "trace", argument) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!parser->trace_kind_given)
        return option_error(parser, "what to trace is missing: exits or summary");
    parser->options->trace_count++;
    return 0;
}

int option_show_help(struct option_parser *parser, char *argument)
{
    static const char *const topics[] = {
        "options", "machine",        "microvm", "accel", "cpu",
        "device",  "isa-debug-exit", "chardev", "trace", "markdown",
    };
    struct suggestion near = {.word = argument};

    if (!argument || *argument == '-')
        return option_help(parser, "options");
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(argument, topics[i]) == 0)
            return option_help(parser, topics[i]);
        suggest_offer(&near, topics[i]);
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
    return option_error(parser, "QEMU may have %s, kvmlens has no %s: %s none is what it takes",
                        QUOTE(argument), parser->def->about, parser->typed);
}

int option_ignore(struct option_parser *parser, char *argument)
{
    (void)parser;
    (void)argument;
    return 0;
}
