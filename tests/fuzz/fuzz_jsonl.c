/*
 * fuzz_jsonl.c: traces as JSON lines that somebody made to hurt: the reader, what it promises of its
 * items, and all that is made of them. An input is a file; one that begins with '{' but not with a
 * header gets one.
 */
#include "trace/diff.h"
#include "trace/jsonl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char header[] = "{\"kvmlens_trace\":1,\"vcpus\":2,\"kernel\":true}\n";

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static void expect_fit(const char *text)
{
    for (; text && *text != '\0'; text++)
        expect((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void expect_item(const struct trace_item *item, const struct trace_header *head)
{
    const struct trace_event *event = item->event;
    const char *const text[] = {item->kind,    item->symbol,       item->file, item->insn,
                                item->remark,  event->detail_name, event->reg, event->raw_name,
                                event->device, event->text};

    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        expect_fit(text[i]);
    expect(item->kind != NULL);
    expect(event->vcpu < head->vcpus || event->vcpu == TRACE_NO_VCPU);
    expect(event->data_len <= TRACE_DATA_MAX && event->size <= 8);
    expect(event->start_ns <= JSONL_TIME_MAX && event->guest_ns <= JSONL_TIME_MAX &&
           event->vmm_ns <= JSONL_TIME_MAX);
    expect(event->kind < VM_EXIT_KINDS);
}

static void read_trace(struct jsonl_reader *reader, struct trace_sink *const sink[], unsigned sinks)
{
    struct diff *diff = diff_create();
    struct trace_item item;
    struct error err;
    unsigned side = 0;

    expect(diff != NULL);
    for (unsigned i = 0; i < sinks; i++)
        expect(sink[i]->ops->begin(sink[i], jsonl_header(reader)) == 0);
    while (jsonl_next(reader, &item, &err) > 0) {
        expect_item(&item, jsonl_header(reader));
        for (unsigned i = 0; i < sinks; i++)
            expect(sink[i]->ops->item(sink[i], &item) == 0);
        expect(diff_add(diff, side++ % 2, &item) == 0);
    }
    for (unsigned i = 0; i < sinks; i++)
        expect(sink[i]->ops->end(sink[i], jsonl_footer(reader)) == 0);
    expect_fit(jsonl_complaint(reader));
    FILE *out = fopen("/dev/null", "w");
    const char *const name[] = {"a", "b"};
    const struct trace_footer *const footer[] = {jsonl_footer(reader), jsonl_footer(reader)};
    expect(out != NULL);
    diff_print(out, true, diff, name, footer);
    fclose(out);
    diff_destroy(diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jsonl_reader *reader;
    struct error err;
    int fd = memfd_create("trace", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool headless = size > 1 && data[0] == '{' && memcmp(data, header, size < 6 ? size : 6) != 0;

    expect(fd >= 0 && null >= 0);
    if (headless)
        expect(write(fd, header, sizeof(header) - 1) == sizeof(header) - 1);
    expect(write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    if (jsonl_open(&reader, fd, "a", &err) == 0) {
        struct trace_sink *const sink[] = {trace_text_sink(null, true),
                                           trace_summary_sink(null, true), trace_jsonl_sink(null),
                                           trace_chrome_sink(null)};
        const unsigned sinks = sizeof(sink) / sizeof(sink[0]);
        read_trace(reader, sink, sinks);
        for (unsigned i = 0; i < sinks; i++)
            sink[i]->ops->destroy(sink[i]);
        jsonl_close(reader);
    }
    close(fd);
    close(null);
    return 0;
}
