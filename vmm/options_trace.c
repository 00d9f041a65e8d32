/*
 * options_trace.c: -trace: what of the exits is shown, in which form, and where.
 */
#include "options_internal.h"

#include "suggest.h"

#include <string.h>

/* A word of the command line and what it stands for. */
struct choice {
    const char *word;
    unsigned value;
};

static const struct choice kinds[] = {{"exits", TRACE_EXITS},
                                      {"summary", TRACE_SUMMARY},
                                      {"kernel", TRACE_KERNEL},
                                      {"setup", TRACE_SETUP},
                                      {"live", TRACE_LIVE}};

static const struct choice formats[] = {
    {"text", TRACE_TEXT}, {"jsonl", TRACE_JSONL}, {"chrome", TRACE_CHROME}, {"html", TRACE_HTML}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct trace_option *current_trace(struct option_parser *parser)
{
    return &parser->options->trace[parser->options->trace_count];
}

/* The choice that VALUE names, or NULL; then NEAR has the most similar one. */
static const struct choice *choose(const struct choice *choices, size_t count, const char *value,
                                   struct suggestion *near)
{
    near->word = value;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, choices[i].word) == 0)
            return &choices[i];
        suggest_offer(near, choices[i].word);
    }
    return NULL;
}

static int set_kind(struct option_parser *parser, const char *value)
{
    struct suggestion near = {0};
    const struct choice *kind = choose(kinds, COUNT(kinds), value, &near);

    parser->trace_kind_given = true;
    if (kind) {
        current_trace(parser)->kind = kind->value;
        return 0;
    }
    if (near.best[0])
        return option_error(parser, "there is no trace %s; did you mean %s?", QUOTE(value),
                            near.best);
    return option_error(
        parser,
        "there is no trace %s; kvmlens traces VM exits (exits, summary, kernel, setup, live), "
        "not QEMU's events",
        QUOTE(value));
}

static int set_format(struct option_parser *parser, const char *value)
{
    struct suggestion near = {0};
    const struct choice *format = choose(formats, COUNT(formats), value, &near);

    if (!format)
        return option_error(parser, "there is no format %s; %s%s%s", QUOTE(value),
                            near.best[0] ? "did you mean " : "`kvmlens -h trace` names them",
                            near.best, near.best[0] ? "?" : "");
    current_trace(parser)->format = format->value;
    parser->trace_format_given = true;
    return 0;
}

static int set_file(struct option_parser *parser, const char *value)
{
    return parse_file(parser, value, &current_trace(parser)->file);
}

static int set_filter(struct option_parser *parser, const char *value)
{
    struct error err;

    if (filter_parse(&current_trace(parser)->filter, value, &err) < 0)
        return option_error(parser, "filter: %s", err.text);
    return 0;
}

const struct property trace_properties[] = {
    {"enable", "exits|summary|kernel|setup|live", "What to trace.", set_kind},
    {"file", "PATH", "Where to (default: stderr).", set_file},
    {"format", "text|jsonl|chrome|html",
     "In which form (default: text); jsonl is one JSON object a line, for kvmlens report and other "
     "programs; chrome opens in ui.perfetto.dev; html is a page for a browser.",
     set_format},
    {"filter", "EXPR",
     "Only the exits for which all terms hold, joined by +: " FILTER_SYNTAX ". Each may be negated "
     "(!device=serial) and may have alternatives (device=serial|rtc); names are shell patterns, "
     "upper or lower case.",
     set_filter},
    {"events", NULL, NULL, NULL},
    {0},
};

int option_trace(struct option_parser *parser, char *argument)
{
    if (parser->options->trace_count == TRACE_MAX)
        return option_error(parser, "there can be %d traces at most", TRACE_MAX);
    parser->trace_kind_given = parser->trace_format_given = false;
    if (properties_parse(parser, trace_properties, "enable", "trace", argument) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!parser->trace_kind_given)
        return option_error(parser,
                            "what to trace is missing: exits, summary, kernel, setup or live");
    if (current_trace(parser)->kind == TRACE_LIVE &&
        (current_trace(parser)->file || parser->trace_format_given))
        return option_error(parser,
                            "live is a view on the terminal: it has neither file nor format");
    if (current_trace(parser)->kind == TRACE_SUMMARY && current_trace(parser)->format != TRACE_TEXT)
        return option_error(parser, "a summary is text; the other formats are for exits");
    if (current_trace(parser)->format == TRACE_HTML && !current_trace(parser)->file)
        return option_error(parser, "format=html makes a page: it needs file=PATH");
    parser->options->trace_count++;
    return 0;
}

/* Lines on the terminal, while the view has all of it, are lost. */
static bool disturbs(const struct trace_option *option)
{
    return option->kind != TRACE_SUMMARY && !option->file;
}

int check_traces(struct options *options, struct error *err)
{
    for (unsigned i = 0; i < options->trace_count; i++) {
        if (options->trace[i].kind != TRACE_LIVE)
            continue;
        for (unsigned k = i + 1; k < options->trace_count; k++)
            if (options->trace[k].kind == TRACE_LIVE)
                return error_set(err, STATUS_USAGE,
                                 "there can be one -trace live: it has the terminal for itself");
        for (unsigned k = 0; k < options->trace_count; k++)
            if (k != i && disturbs(&options->trace[k]))
                return error_set(err, STATUS_USAGE,
                                 "-trace live has the terminal for itself: give the other trace a "
                                 "file=PATH");
        for (unsigned k = 0; k < options->devices.chardev_count; k++)
            if (options->devices.chardev[k].kind == CHARDEV_STDIO)
                options->trace[i].terminal_taken = true;
    }
    return 0;
}
