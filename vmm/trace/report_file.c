/*
 * report_file.c: `kvmlens report FILE` (see report_file.h): the reader of the JSON lines, the filter,
 * and the sinks of a running trace, one behind the other.
 */
#include "report_file.h"

#include "../log.h"
#include "../suggest.h"
#include "diff.h"
#include "filter.h"
#include "jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT, SUMMARY, CHROME, HTML, FORMS, FILTER = FORMS, DIFF, HELP };

static const char usage[] =
    "usage: kvmlens report FILE.jsonl [OPTION]...\n"
    "FILE was made by -trace exits,format=jsonl,file=FILE; - is the standard input.\n"
    "  --summary         counts and times of each kind of exit and each register (default)\n"
    "  --text            each event as a line\n"
    "  --chrome OUT      Trace Event Format, for ui.perfetto.dev and chrome://tracing\n"
    "  --html OUT        one page with all of it, for a browser\n"
    "  --diff OTHER      what changed from FILE to OTHER\n"
    "  --filter EXPR     only what passes, as -trace filter=EXPR (kvmlens -h trace)\n"
    "Several forms may be asked for at once; OUT may be -.\n";

struct form {
    bool wanted;
    const char *out; /* NULL: stdout */
    int fd;
    struct trace_sink *sink;
};

struct report {
    const char *file, *diff;
    bool help;
    struct filter filter;
    uint64_t filtered;
    struct form form[FORMS];
};

/* --- the command line --------------------------------------------------------------------------- */

static const struct option words[] = {
    [TEXT] = {"text", no_argument, NULL, TEXT},
    [SUMMARY] = {"summary", no_argument, NULL, SUMMARY},
    [CHROME] = {"chrome", required_argument, NULL, CHROME},
    [HTML] = {"html", required_argument, NULL, HTML},
    [FILTER] = {"filter", required_argument, NULL, FILTER},
    [DIFF] = {"diff", required_argument, NULL, DIFF},
    [HELP] = {"help", no_argument, NULL, HELP},
    {0},
};

static int bad_word(const char *word, struct error *err)
{
    struct suggestion near = {.word = word + strspn(word, "-")};

    for (const struct option *known = words; known->name; known++) {
        if (strcmp(near.word, known->name) == 0)
            return error_set(err, STATUS_USAGE,
                             "report: %s needs an argument; see `kvmlens report --help`",
                             QUOTE(word));
        suggest_offer(&near, known->name);
    }
    return error_set(err, STATUS_USAGE, "report: unknown option %s; %s%s%s", QUOTE(word),
                     near.best[0] ? "did you mean --" : "`kvmlens report --help` lists all",
                     near.best, near.best[0] ? "?" : "");
}

static int check_words(struct report *report, struct error *err)
{
    unsigned forms = 0;

    for (unsigned i = 0; i < FORMS; i++)
        forms += report->form[i].wanted;
    if (forms == 0)
        report->form[SUMMARY].wanted = !report->diff;
    if (!report->file)
        return error_set(err, STATUS_USAGE,
                         "report: a trace is missing: kvmlens report FILE.jsonl (it is made by "
                         "-trace exits,format=jsonl,file=FILE.jsonl)");
    if (report->diff && forms > 0)
        return error_set(err, STATUS_USAGE,
                         "report: --diff is a form of its own; leave out the others");
    if (report->diff && strcmp(report->file, "-") == 0 && strcmp(report->diff, "-") == 0)
        return error_set(err, STATUS_USAGE, "report: only one of the two traces can be -");
    for (unsigned i = CHROME; i < FORMS && forms > 1; i++)
        if (report->form[i].wanted && !report->form[i].out)
            return error_set(err, STATUS_USAGE,
                             "report: --%s - leaves no room on stdout for another form",
                             words[i].name);
    return 0;
}

static int parse_words(struct report *report, int argc, char **argv, struct error *err)
{
    int word;

    opterr = 0;
    optind = 0; /* GNU: begin anew */
    while ((word = getopt_long_only(argc, argv, "h", words, NULL)) != -1) {
        if (word == '?')
            return bad_word(argv[optind - 1], err);
        if (word == FILTER && filter_parse(&report->filter, optarg, err) < 0)
            return -1;
        if (word == DIFF)
            report->diff = optarg;
        if (word == HELP || word == 'h')
            report->help = true;
        if (word < FORMS) {
            report->form[word].wanted = true;
            report->form[word].out = optarg && strcmp(optarg, "-") != 0 ? optarg : NULL;
        }
    }
    if (report->help)
        return 0;
    int at = optind;
    if (at + 1 < argc)
        return error_set(err, STATUS_USAGE,
                         "report: %s is too much: one trace at a time (--diff compares two)",
                         QUOTE(argv[at + 1]));
    report->file = argv[at];
    return check_words(report, err);
}

/* --- files -------------------------------------------------------------------------------------- */

static int open_trace(const char *file, struct error *err)
{
    int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, STATUS_IMAGE, "cannot open the trace '%s': %s", file,
                         strerror(errno));
    return fd;
}

static const char *shown_name(const char *file)
{
    return strcmp(file, "-") == 0 ? "standard input" : file;
}

/* Does a form before FORM go to the file TO? Devices, such as /dev/null, take any number. */
static bool is_taken(const struct report *report, const struct form *form, const struct stat *to)
{
    struct stat other;

    for (const struct form *f = report->form; f < form; f++)
        if (f->wanted && !S_ISCHR(to->st_mode) && fstat(f->fd, &other) == 0 &&
            other.st_dev == to->st_dev && other.st_ino == to->st_ino)
            return true;
    return false;
}

/* Opens FORM's file, but not the trace itself, open as IN, which writing would destroy. */
static int open_out(const struct report *report, struct form *form, int in, struct error *err)
{
    struct stat from, to;

    form->fd = STDOUT_FILENO;
    if (!form->out)
        return 0;
    form->fd = open(form->out, O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC, 0666);
    if (form->fd < 0 || fstat(form->fd, &to) < 0)
        return error_set(err, STATUS_USAGE, "cannot open '%s' to write the report: %s", form->out,
                         strerror(errno));
    if (fstat(in, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return error_set(err, STATUS_USAGE,
                         "'%s' is the trace itself: the report needs another file", form->out);
    if (is_taken(report, form, &to))
        return error_set(err, STATUS_USAGE,
                         "'%s' has another form already: each needs its own file", form->out);
    if (S_ISREG(to.st_mode) && ftruncate(form->fd, 0) < 0)
        return error_set(err, STATUS_USAGE, "cannot empty '%s': %s", form->out, strerror(errno));
    return 0;
}

static struct trace_sink *make_sink(unsigned form, int fd)
{
    bool colour = fd == STDOUT_FILENO && log_colour(stdout);

    return form == TEXT      ? trace_text_sink(fd, colour)
           : form == SUMMARY ? trace_summary_sink(fd, colour)
           : form == CHROME  ? trace_chrome_sink(fd)
                             : trace_html_sink(fd);
}

/* --- the forms ---------------------------------------------------------------------------------- */

/* The outcome of what FORM's sink did: R. */
static int sink_result(const struct form *form, int r, struct error *err)
{
    return r == 0 ? 0
                  : error_set(err, STATUS_INTERNAL, "cannot write the report to '%s': %s",
                              form->out ? form->out : "stdout", strerror(-r));
}

static int open_forms(struct report *report, int in, const struct trace_header *header,
                      struct error *err)
{
    for (unsigned i = 0; i < FORMS; i++) {
        struct form *form = &report->form[i];
        if (!form->wanted)
            continue;
        if (open_out(report, form, in, err) < 0)
            return -1;
        form->sink = make_sink(i, form->fd);
        if (!form->sink)
            return error_set(err, STATUS_INTERNAL, "out of memory for the report");
        if (sink_result(form, form->sink->ops->begin(form->sink, header), err) < 0)
            return -1;
    }
    return 0;
}

static int close_forms(struct report *report, struct error *err)
{
    int r = 0;

    for (unsigned i = 0; i < FORMS; i++) {
        struct form *form = &report->form[i];
        if (form->sink)
            form->sink->ops->destroy(form->sink);
        /* A network's file system may tell only now that its disk is full. */
        if (form->out && form->fd >= 0 && close(form->fd) < 0)
            r = sink_result(form, -errno, err);
    }
    return r;
}

static int make_forms(struct report *report, struct jsonl_reader *reader, struct error *err)
{
    struct trace_item item;
    int r;

    while ((r = jsonl_next(reader, &item, err)) > 0) {
        if (!filter_match(&report->filter, &item)) {
            report->filtered++;
            continue;
        }
        for (struct form *form = report->form; form < report->form + FORMS; form++)
            if (form->sink && sink_result(form, form->sink->ops->item(form->sink, &item), err) < 0)
                return -1;
    }
    struct trace_footer footer = *jsonl_footer(reader);
    footer.filtered += report->filtered;
    for (struct form *form = report->form; form < report->form + FORMS && r == 0; form++)
        if (form->sink)
            r = sink_result(form, form->sink->ops->end(form->sink, &footer), err);
    return r;
}

static void complain(struct jsonl_reader *reader)
{
    const char *complaint = jsonl_complaint(reader);

    if (complaint)
        log_say("%s", complaint);
}

static int run_forms(struct report *report, struct error *err)
{
    struct jsonl_reader *reader = NULL;
    struct error late;
    int in = open_trace(report->file, err);

    if (in < 0 || jsonl_open(&reader, in, shown_name(report->file), err) < 0)
        return -1;
    int r = open_forms(report, in, jsonl_header(reader), err);
    if (r == 0)
        r = make_forms(report, reader, err);
    if (close_forms(report, r == 0 ? err : &late) < 0)
        r = -1;
    if (r == 0)
        complain(reader);
    jsonl_close(reader);
    return r;
}

/* --- the difference of two ---------------------------------------------------------------------- */

static int add_side(struct report *report, struct diff *diff, unsigned side,
                    struct jsonl_reader *reader, struct error *err)
{
    struct trace_item item;
    int r;

    while ((r = jsonl_next(reader, &item, err)) > 0)
        if (filter_match(&report->filter, &item) && diff_add(diff, side, &item) < 0)
            return error_set(err, STATUS_INTERNAL, "out of memory for the difference");
    return r;
}

static int print_diff(struct report *report, struct diff *diff,
                      struct jsonl_reader *const reader[2], struct error *err)
{
    const char *const name[] = {shown_name(report->file), shown_name(report->diff)};
    const struct trace_footer *const footer[] = {jsonl_footer(reader[0]), jsonl_footer(reader[1])};

    diff_print(stdout, log_colour(stdout), diff, name, footer);
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_set(err, STATUS_INTERNAL, "cannot write to stdout: %s", strerror(errno));
    complain(reader[0]);
    complain(reader[1]);
    return 0;
}

static int run_diff(struct report *report, struct error *err)
{
    const char *const file[] = {report->file, report->diff};
    struct jsonl_reader *reader[2] = {NULL, NULL};
    struct diff *diff = diff_create();
    int r = diff ? 0 : error_set(err, STATUS_INTERNAL, "out of memory for the difference");

    for (unsigned side = 0; side < 2 && r == 0; side++) {
        int in = open_trace(file[side], err);
        r = in < 0 ? -1 : jsonl_open(&reader[side], in, shown_name(file[side]), err);
        if (r == 0)
            r = add_side(report, diff, side, reader[side], err);
    }
    if (r == 0)
        r = print_diff(report, diff, reader, err);
    diff_destroy(diff);
    jsonl_close(reader[0]);
    jsonl_close(reader[1]);
    return r;
}

enum status report_file_run(int argc, char **argv)
{
    struct report report = {.file = NULL};
    struct error err;
    int r;

    for (unsigned i = 0; i < FORMS; i++)
        report.form[i].fd = -1;
    r = parse_words(&report, argc, argv, &err);
    if (r == 0 && report.help)
        r = fputs(usage, stdout) >= 0 && fflush(stdout) == 0
                ? 0
                : error_set(&err, STATUS_INTERNAL, "cannot write to stdout: %s", strerror(errno));
    else if (r == 0 && report.diff)
        r = run_diff(&report, &err);
    else if (r == 0)
        r = run_forms(&report, &err);
    if (r == 0)
        return STATUS_POWEROFF;
    log_say("%s", err.text);
    return err.status;
}
