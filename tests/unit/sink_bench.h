/*
 * sink_bench.h: events through a sink of the trace into a file in memory, and back.
 */
#ifndef KVMLENS_TEST_SINK_BENCH_H
#define KVMLENS_TEST_SINK_BENCH_H

#include "trace/item.h"
#include "trace/jsonl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct trace_header bench_header = {
    .command = "kvmlens -kernel a.elf -append \"x\\y\"",
    .guest = "a.elf",
    .host = "Linux 6.1.0",
    .backend = "vmx",
    .started_ns = 1700000000123456789,
    .clock_ns = 67,
    .vcpus = 2,
    .kernel = true,
};

static const struct trace_footer bench_footer = {
    .wall_ns = 5000000,
    .exits = 1234,
    .dropped = 7,
    .filtered = 8,
    .end = "power-off",
    .status = 3,
    .stat_count = 2,
    .stat = {{"exits", 99}, {"halt_exits", 18446744073709551615ull}},
};

static inline int memory_file(void)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* A file of LEN bytes, or of the string TEXT. */
static inline int file_of(const char *text, size_t len)
{
    int fd = memory_file();

    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Sends the ITEMS through SINK, with bench_header and, unless NULL, FOOTER. */
static inline void send_items(struct trace_sink *sink, const struct trace_item *item, size_t items,
                              const struct trace_footer *footer)
{
    assert_non_null(sink);
    assert_int_equal(sink->ops->begin(sink, &bench_header), 0);
    for (size_t i = 0; i < items; i++)
        assert_int_equal(sink->ops->item(sink, &item[i]), 0);
    if (footer)
        assert_int_equal(sink->ops->end(sink, footer), 0);
    else
        assert_int_equal(sink->ops->flush(sink), 0);
    sink->ops->destroy(sink);
}

/* A reader of what FD has from its begin on. */
static inline struct jsonl_reader *reopen(int fd)
{
    struct jsonl_reader *reader;
    struct error err;

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    if (jsonl_open(&reader, fd, "a.jsonl", &err) < 0)
        fail_msg("%s", err.text);
    return reader;
}

/* All of FD, which is closed, as a string to be freed. */
static inline char *text_of(int fd, size_t *len)
{
    *len = (size_t)lseek(fd, 0, SEEK_END);
    char *text = malloc(*len + 1);

    assert_non_null(text);
    assert_int_equal(pread(fd, text, *len, 0), *len);
    text[*len] = '\0';
    close(fd);
    return text;
}

#endif
