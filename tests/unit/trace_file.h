/*
 * trace_file.h: a trace to a file, for the tests of the trace.
 */
#ifndef KVMLENS_TEST_TRACE_FILE_H
#define KVMLENS_TEST_TRACE_FILE_H

#include "some_event.h"
#include "trace/trace.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS           4
#define EVENTS_PER_THREAD 400

/* A file that is gone at the end of the test, and its text. */
struct file {
    char path[64];
    char text[200000];
};

static inline void make_file(struct file *file)
{
    strcpy(file->path, "/tmp/kvmlens-trace-XXXXXX");
    int fd = mkstemp(file->path);

    assert_true(fd >= 0);
    close(fd);
}

static inline void read_file(struct file *file)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got;

    while ((got = read(fd, file->text + len, sizeof(file->text) - 1 - len)) > 0)
        len += (size_t)got;
    file->text[len] = '\0';
    close(fd);
    unlink(file->path);
}

static inline struct trace *create(const struct trace_option *options, unsigned count)
{
    const struct trace_config config = {.option = options, .option_count = count, .vcpus = THREADS};
    struct trace *trace;
    struct error err;

    assert_int_equal(trace_create(&trace, &config, &err), 0);
    return trace;
}

static inline void emit(struct trace *trace, struct trace_event event)
{
    trace_emit(trace, &event);
    trace_wait(trace, event.vcpu);
}

static inline int finish(struct trace *trace, struct error *err)
{
    struct trace_footer footer = {.end = "power-off"};

    return trace_finish(trace, &footer, err);
}

static inline unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* SUMMARY has a row NAME with COUNT exits, which are all of them. */
static inline void assert_summary_row(const char *summary, const char *name, unsigned count)
{
    const char *row = strstr(summary, name);
    unsigned found = 0;
    double share = 0;

    assert_non_null(row);
    assert_int_equal(sscanf(row + strlen(name), "%u %lf%%", &found, &share), 2);
    assert_int_equal(found, count);
    assert_int_equal(share, 100);
}

struct reader {
    int fd;
    size_t total;
    char *text; /* of read_all() */
};

static inline void *read_all(void *arg)
{
    struct reader *reader = arg;
    ssize_t len;

    while ((len = read(reader->fd, reader->text + reader->total, 65536)) > 0)
        reader->total += (size_t)len;
    return NULL;
}

#endif
