/*
 * outputs.c: the files that the trace goes to, and what becomes of them on a full disk or a closed
 * pipe.
 */
#include "trace_internal.h"

#include "../host/terminal.h"
#include "../log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct trace_sink *make_sink(const struct trace_option *option, int fd, bool colour)
{
    switch (option->kind) {
    case TRACE_SUMMARY:
        return trace_summary_sink(fd, colour);
    case TRACE_LIVE:
        return trace_live_sink(fd, colour, !option->terminal_taken || !isatty(STDIN_FILENO));
    case TRACE_EXITS:
    case TRACE_KERNEL:
    case TRACE_SETUP:
        break;
    }
    switch (option->format) {
    case TRACE_TEXT:
        break;
    case TRACE_JSONL:
        return trace_jsonl_sink(fd);
    case TRACE_CHROME:
        return trace_chrome_sink(fd);
    case TRACE_HTML:
        return trace_html_sink(fd);
    }
    return trace_text_sink(fd, colour);
}

/* True if OPTION asks for each exit. */
static bool shows_exits(const struct trace_option *option)
{
    return option->kind == TRACE_EXITS || option->kind == TRACE_KERNEL;
}

/* True if EVENT is of the kind that OPTION asks for. */
static bool wants(const struct trace_option *option, const struct trace_event *event)
{
    bool call = event->kind == VM_EXIT_NOTE && event->text;

    if (event->kind == VM_EXIT_KERNEL)
        return option->kind == TRACE_KERNEL || option->kind == TRACE_SUMMARY;
    return (option->kind == TRACE_SETUP) == call;
}

bool output_wants_registers(const struct trace_option *option)
{
    return shows_exits(option) && (option->format == TRACE_JSONL || option->format == TRACE_HTML);
}

int output_open(struct output *output, const struct trace_option *option, struct error *err)
{
    bool colour = !option->file && log_colour(stderr);

    *output = (struct output){.option = option, .fd = STDERR_FILENO};
    output->in_step = shows_exits(option) && option->format == TRACE_TEXT && !option->file;
    if (option->kind == TRACE_LIVE && !terminal_fit_for_view(STDERR_FILENO))
        return error_set(err, STATUS_USAGE,
                         "-trace live needs a terminal on stderr (with TERM set, and not dumb); "
                         "-trace summary needs none");
    if (option->file) {
        /* Appending lets two traces go to one file without overwriting each other. */
        output->fd = open(option->file,
                          O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
        if (output->fd < 0)
            return error_set(err, STATUS_USAGE, "cannot open the trace file '%s': %s", option->file,
                             strerror(errno));
    }
    output->sink = make_sink(option, output->fd, colour);
    if (!output->sink)
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace");
    return 0;
}

int output_close(struct output *output)
{
    if (output->sink)
        output->sink->ops->destroy(output->sink);
    if (output->option && output->option->file && output->fd >= 0 && close(output->fd) < 0 &&
        output->error == 0)
        output->error = errno;
    return output->error;
}

/* The outcome of an operation on OUTPUT. */
static void note_result(struct trace *trace, struct output *output, int r)
{
    if (r == 0)
        return;
    output->error = -r;
    if (output->in_step)
        atomic_store(&trace->in_step, false);
}

void outputs_begin(struct trace *trace)
{
    for (unsigned i = 0; i < trace->outputs; i++) {
        struct output *output = &trace->output[i];
        struct trace_header header = trace->header;

        header.kernel = header.kernel && output->option->kind == TRACE_KERNEL;
        note_result(trace, output, output->sink->ops->begin(output->sink, &header));
    }
    outputs_flush(trace);
}

void outputs_item(struct trace *trace, const struct trace_item *item)
{
    for (unsigned i = 0; i < trace->outputs; i++) {
        struct output *output = &trace->output[i];
        if (!wants(output->option, item->event))
            continue;
        if (!filter_match(&output->option->filter, item))
            output->filtered++;
        else if (output->error == 0)
            note_result(trace, output, output->sink->ops->item(output->sink, item));
    }
}

void outputs_flush(struct trace *trace)
{
    uint64_t dropped = trace_dropped(trace), stopped_ns = trace_stopped(trace);

    for (unsigned i = 0; i < trace->outputs; i++) {
        struct output *output = &trace->output[i];
        output->sink->dropped = dropped;
        output->sink->stopped_ns = stopped_ns;
        if (output->error == 0 && output->sink->ops->flush)
            note_result(trace, output, output->sink->ops->flush(output->sink));
    }
}

void outputs_end(struct trace *trace, struct trace_footer *footer)
{
    /* Lines first: a summary in the same file belongs behind them. */
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < trace->outputs; i++) {
            struct output *output = &trace->output[i];
            footer->filtered = output->filtered;
            if ((output->option->kind == TRACE_SUMMARY) == (pass == 1) && output->error == 0)
                note_result(trace, output, output->sink->ops->end(output->sink, footer));
        }
    }
}
