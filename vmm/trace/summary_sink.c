/*
 * summary_sink.c: the summary as a form of the trace (see summary.h, item.h).
 */
#include "buffer.h"
#include "item.h"
#include "summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct summary_sink {
    struct trace_sink sink;
    struct trace_header header;
    bool colour;
    struct summary *summary;
    struct trace_buffer out;
};

static int summary_begin(struct trace_sink *sink, const struct trace_header *header)
{
    ((struct summary_sink *)sink)->header = *header;
    return 0;
}

static int summary_item(struct trace_sink *sink, const struct trace_item *item)
{
    summary_add(((struct summary_sink *)sink)->summary, item);
    return 0;
}

static int summary_end(struct trace_sink *base, const struct trace_footer *footer)
{
    struct summary_sink *sink = (struct summary_sink *)base;
    size_t len;
    char *text = summary_text(sink->summary, &sink->header, footer, sink->colour, &len);

    if (!text)
        return -ENOMEM;
    trace_buffer_add(&sink->out, text, len);
    free(text);
    return trace_buffer_flush(&sink->out);
}

static void summary_sink_destroy(struct trace_sink *base)
{
    summary_destroy(((struct summary_sink *)base)->summary);
    free(base);
}

struct trace_sink *trace_summary_sink(int fd, bool colour)
{
    static const struct trace_sink_ops ops = {
        .name = "summary",
        .begin = summary_begin,
        .item = summary_item,
        .end = summary_end,
        .destroy = summary_sink_destroy,
    };
    struct summary_sink *sink = calloc(1, sizeof(*sink));

    if (!sink)
        return NULL;
    sink->colour = colour;
    sink->sink.ops = &ops;
    sink->out.fd = fd;
    sink->summary = summary_create();
    if (!sink->summary) {
        free(sink);
        return NULL;
    }
    return &sink->sink;
}
