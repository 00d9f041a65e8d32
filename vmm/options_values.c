/*
 * options_values.c: the options of the guest and of the trace.
 * Source: qemu-system-x86_64(1) and QEMU hw/misc/debugexit.c.
 */
#include "options_backends.h"

#include "options_qemu.h"
#include "suggest.h"

#include <memmap.h>
#include <string.h>

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
        "options", "machine", "microvm", "accel",       "cpu",   "device",   "chardev",
        "drive",   "netdev",  "object",  "virtio-mmio", "trace", "markdown",
    };
    struct suggestion near = {.word = argument};

    if (!argument || *argument == '-')
        return option_help(parser, "options");
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
    return option_error(parser, "QEMU may have %s, kvmlens has no %s: %s none is what it takes",
                        QUOTE(argument), parser->def->about, parser->typed);
}

int option_ignore(struct option_parser *parser, char *argument)
{
    (void)parser;
    (void)argument;
    return 0;
}
