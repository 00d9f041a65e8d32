/*
 * options.c: the command line, option by option (see options.h).  The options are in
 * options_table.c, their arguments are read in options_values.c and options_machine.c.
 * Source: qemu-system-x86_64(1), whose spellings these are.
 */
#include "options_backends.h"

#include "options_qemu.h"
#include "suggest.h"

#include <memmap.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RAM_DEFAULT (UINT64_C(128) << 20) /* QEMU's default */

int option_error(struct option_parser *parser, const char *format, ...)
{
    char text[sizeof(parser->err->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(parser->err, STATUS_USAGE, "%s: %s", parser->typed, text);
}

static const struct option_def *find_option(const char *name)
{
    for (const struct option_def *def = option_table; def->name; def++)
        if (strcmp(name, def->name) == 0 || (def->alias && strcmp(name, def->alias) == 0))
            return def;
    return NULL;
}

/* NAME is the option without its dashes. */
static int unknown_option(const char *typed, const char *name, struct error *err)
{
    const char *why = qemu_option_why(name, NULL);
    struct suggestion near = {.word = name};
    size_t len = strcspn(name, "=");
    char before[SUGGEST_MAX];

    if (why)
        return error_set(err, STATUS_USAGE, "%s: QEMU has this option, kvmlens has not. %s", typed,
                         why);
    if (len < sizeof(before) && name[len] == '=') {
        memcpy(before, name, len);
        before[len] = '\0';
        if (find_option(before))
            return error_set(err, STATUS_USAGE,
                             "unknown option %s; the argument is a word of its own: -%s %s",
                             QUOTE(typed), before, QUOTE(name + len + 1));
    }
    for (const struct option_def *def = option_table; def->name; def++) {
        suggest_offer(&near, def->name);
        if (def->alias)
            suggest_offer(&near, def->alias);
    }
    if (near.best[0])
        return error_set(err, STATUS_USAGE, "unknown option %s; did you mean -%s?", QUOTE(typed),
                         near.best);
    return error_set(err, STATUS_USAGE, "unknown option %s; `kvmlens -h` lists all", QUOTE(typed));
}

static int stray_word(const char *word, struct error *err)
{
    struct suggestion near = {.word = word};

    suggest_offer(&near, "check");
    suggest_offer(&near, "explain");
    suggest_offer(&near, "report");
    if (near.best[0])
        return error_set(err, STATUS_USAGE, "%s is no option; did you mean `kvmlens %s`?",
                         QUOTE(word), near.best);
    return error_set(err, STATUS_USAGE,
                     "%s is no option; QEMU would take it for a disk image: that is -hda FILE here "
                     "(to boot a kernel: -kernel FILE)",
                     QUOTE(word));
}

static bool is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "--help") == 0;
}

/* What can only be said once all options are known. */
static int check_together(const struct options *options, struct error *err)
{
    if (options->kernel && options->bios)
        return error_set(err, STATUS_USAGE,
                         "-kernel and -bios exclude each other: kvmlens boots one or the other");
    if (options->initrd && !options->kernel)
        return error_set(err, STATUS_USAGE, "-initrd needs -kernel");
    if (options->append && !options->kernel)
        return error_set(err, STATUS_USAGE, "-append needs -kernel");
    if (!options->kernel && !options->bios && !options->dumpdtb)
        return error_set(err, STATUS_USAGE,
                         "no guest to boot: give -kernel FILE (an ELF64 with a PVH note) or -bios "
                         "FILE (a ROM); `kvmlens -h` lists all options");
    if (options->smp > 1 && !options->irqchip && !options->dumpdtb)
        return error_set(err, STATUS_USAGE,
                         "-smp %u needs kernel-irqchip=on: processors are started through local "
                         "APICs, and kernel-irqchip=off has none",
                         options->smp);
    return 0;
}

static int parse_all(struct option_parser *parser, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];

        if (name[0] != '-' || !name[1])
            return stray_word(name, parser->err);
        name += name[1] == '-' ? 2 : 1;
        parser->typed = argv[i];
        parser->def = find_option(name);
        if (!parser->def)
            return unknown_option(argv[i], name, parser->err);

        char *argument = NULL;

        if (parser->def->argument) {
            if (i + 1 == argc)
                return option_error(parser, "an argument is missing: %s %s", argv[i],
                                    parser->def->argument);
            argument = argv[++i];
        } else if (parser->def->parse == option_show_help && i + 1 < argc) {
            argument = argv[i + 1];
        }
        if (parser->def->parse(parser, argument) < 0)
            return -1;
        /* As in QEMU, help and version do not wait for the rest of the line. */
        if (parser->options->mode != MODE_RUN)
            return 0;
    }
    if (connect_serial(parser) < 0 || connect_devices(parser) < 0 || connect_dumps(parser) < 0)
        return -1;
    if (check_traces(parser->options, parser->err) < 0)
        return -1;
    return check_together(parser->options, parser->err);
}

/* The COUNT words of WORD with blanks between them, into TEXT of SIZE bytes. */
static int join_words(char *text, size_t size, int count, char **word, struct error *err)
{
    size_t len = 0;

    for (int i = 0; i < count; i++) {
        int added = snprintf(text + len, size - len, "%s%s", i ? " " : "", word[i]);
        if (added < 0 || (size_t)added >= size - len)
            return error_set(err, STATUS_USAGE,
                             "explain: %s is no name; `kvmlens explain` lists all names",
                             QUOTE(word[i]));
        len += (size_t)added;
    }
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct error *err)
{
    struct pending_devices pending = {.count = 0};
    struct option_parser parser = {.options = options, .err = err, .pending = &pending};

    *options = (struct options){
        .irqchip = true,
        .pit = true,
        .rtc = true,
        .isa_serial = true,
        .serial = -1,
        .ram_bytes = RAM_DEFAULT,
        .smp = 1,
        .auto_cmdline = true,
        .devices.ioeventfd = true,
    };
    if (argc > 1 && strcmp(argv[1], "check") == 0) {
        if (argc > 2 && is_help(argv[2]))
            return option_help(&parser, "");
        options->mode = MODE_CHECK;
        if (argc > 2)
            return error_set(err, STATUS_USAGE, "check: %s is too much; it takes no options",
                             QUOTE(argv[2]));
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "explain") == 0) {
        options->mode = MODE_EXPLAIN;
        if (argc > 2 && is_help(argv[2])) /* its list begins with how it is called */
            return 0;
        return join_words(options->explain, sizeof(options->explain), argc - 2, argv + 2, err);
    }
    if (argc > 1 && strcmp(argv[1], "report") == 0) {
        options->mode = MODE_REPORT;
        return 0;
    }
    return parse_all(&parser, argc, argv);
}
