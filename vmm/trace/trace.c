/*
 * trace.c: the outputs of the exit trace, and what becomes of them on a full disk or a closed pipe.
 */
#include "trace.h"

#include "../log.h"
#include "summary.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_SIZE (64 * 1024)

struct output {
    enum trace_kind kind;
    const char *path; /* NULL: stderr */
    int fd;
    bool colour;
    int error; /* errno of the first failed write: nothing more is written; 0: good */
    struct summary *summary;
    char *buffer; /* BUFFER_SIZE bytes of lines for a file; NULL on stderr */
    size_t used;
};

struct trace {
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    const struct symbols *symbols;
    pthread_mutex_t lock; /* protects the outputs */
    unsigned count;
    struct output output[TRACE_MAX];
};

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t trace_now(const struct trace *trace)
{
    return monotonic_ns() - trace->start_ns;
}

static void write_all(struct output *output, const char *text, size_t len)
{
    while (len > 0 && output->error == 0) {
        ssize_t done = write(output->fd, text, len);
        if (done > 0) {
            text += done;
            len -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            /* A terminal that another program has made non-blocking is just slow. */
            poll(&(struct pollfd){.fd = output->fd, .events = POLLOUT}, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            output->error = done == 0 ? EIO : errno;
        }
    }
}

static void flush(struct output *output)
{
    write_all(output, output->buffer, output->used);
    output->used = 0;
}

/* A line goes to stderr at once, in one write, so that it stands in order and in one piece beside
 * what the guest prints; lines for a file are collected. */
static void write_line(struct output *output, const char *line, size_t len)
{
    if (!output->buffer) {
        write_all(output, line, len);
        return;
    }
    if (BUFFER_SIZE - output->used < len)
        flush(output);
    memcpy(output->buffer + output->used, line, len);
    output->used += len;
}

static int open_output(struct output *output, const struct trace_option *option, struct error *err)
{
    *output = (struct output){.kind = option->kind, .path = option->file, .fd = STDERR_FILENO};
    if (output->path) {
        /* Appending lets two traces go to one file without overwriting each other. */
        output->fd = open(output->path,
                          O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
        if (output->fd < 0)
            return error_set(err, STATUS_USAGE, "cannot open the trace file '%s': %s", output->path,
                             strerror(errno));
    }
    if (output->kind == TRACE_SUMMARY)
        output->summary = summary_create();
    else if (output->path)
        output->buffer = malloc(BUFFER_SIZE);
    else
        output->colour = log_colour(stderr);
    if ((output->kind == TRACE_SUMMARY && !output->summary) ||
        (output->kind == TRACE_EXITS && output->path && !output->buffer))
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace");
    return 0;
}

static void destroy(struct trace *trace)
{
    for (unsigned i = 0; i < trace->count; i++) {
        struct output *output = &trace->output[i];
        summary_destroy(output->summary);
        free(output->buffer);
        if (output->path && output->fd >= 0)
            close(output->fd);
    }
    pthread_mutex_destroy(&trace->lock);
    free(trace);
}

int trace_create(struct trace **trace_out, const struct trace_option *options, unsigned count,
                 const struct symbols *symbols, struct error *err)
{
    struct trace *trace = calloc(1, sizeof(*trace));

    *trace_out = NULL;
    if (!trace)
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace");
    trace->symbols = symbols;
    pthread_mutex_init(&trace->lock, NULL);
    while (trace->count < count && trace->count < TRACE_MAX) {
        unsigned i = trace->count++;
        if (open_output(&trace->output[i], &options[i], err) < 0) {
            destroy(trace);
            return -1;
        }
    }
    for (unsigned i = 0; i < trace->count; i++) {
        char line[TRACE_LINE_MAX];
        struct output *output = &trace->output[i];
        if (output->kind == TRACE_EXITS)
            write_line(output, line, trace_format_header(line, output->colour));
    }
    trace->start_ns = monotonic_ns() - 1; /* so that no event begins at 0, "not timed" */
    *trace_out = trace;
    return 0;
}

uint64_t trace_emit(struct trace *trace, const struct trace_event *event)
{
    bool wrote = false;

    pthread_mutex_lock(&trace->lock);
    for (unsigned i = 0; i < trace->count; i++) {
        struct output *output = &trace->output[i];
        char line[TRACE_LINE_MAX];
        if (output->summary) {
            summary_add(output->summary, event);
        } else if (output->error == 0) {
            write_line(output, line,
                       trace_format_event(line, output->colour, event, trace->symbols));
            wrote = true;
        }
    }
    pthread_mutex_unlock(&trace->lock);
    return wrote ? trace_now(trace) : event->start_ns + event->guest_ns + event->vmm_ns;
}

static void write_summary(struct output *output, uint64_t wall_ns)
{
    size_t len;
    char *text = summary_text(output->summary, wall_ns, &len);

    if (text)
        write_all(output, text, len);
    else
        output->error = ENOMEM;
    free(text);
}

int trace_finish(struct trace *trace, struct error *err)
{
    int result = 0;

    if (!trace)
        return 0;
    uint64_t wall_ns = trace_now(trace);
    /* Lines first: a summary in the same file belongs behind them. */
    for (unsigned i = 0; i < trace->count; i++) {
        if (trace->output[i].buffer)
            flush(&trace->output[i]);
    }
    for (unsigned i = 0; i < trace->count; i++) {
        struct output *output = &trace->output[i];
        if (output->summary)
            write_summary(output, wall_ns);
        if (output->path) {
            /* A full disk may show only now, on a network file system. */
            if (close(output->fd) < 0 && output->error == 0)
                output->error = errno;
            output->fd = -1;
        }
        if (output->error != 0 && result == 0)
            result = error_set(err, STATUS_INTERNAL, "the trace to %s%s%s is incomplete: %s",
                               output->path ? "'" : "", output->path ? output->path : "stderr",
                               output->path ? "'" : "", strerror(output->error));
    }
    destroy(trace);
    return result;
}
