/*
 * html.c: the trace as one page that needs nothing else: the sink, and the page's facts. What the
 * file is made of: html_internal.h.
 */
#include "html_internal.h"
#include "html_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct html_sink {
    struct trace_sink sink;
    struct html_blocks blocks;
    struct trace_buffer buffer;
};

static struct html_sink *html_of(struct trace_sink *sink)
{
    return (struct html_sink *)(void *)sink;
}

/* Writes the page from FROM up to MARK, and FILE instead of MARK. Returns what comes behind it. */
static const char *write_upto(struct html_sink *html, const char *from, const char *mark,
                              const char *file, const char *file_end)
{
    const char *at = memmem(from, (size_t)(html_page_end - from), mark, strlen(mark));

    trace_buffer_add(&html->buffer, from, (size_t)(at - from));
    trace_buffer_add(&html->buffer, file, (size_t)(file_end - file));
    return at + strlen(mark);
}

static void write_page(struct html_sink *html)
{
    const char *rest = write_upto(html, html_page, HTML_STYLE_MARK, html_style, html_style_end);

    rest = write_upto(html, rest, HTML_SCRIPT_MARK, html_script, html_script_end);
    trace_buffer_add(&html->buffer, rest, (size_t)(html_page_end - rest));
}

static int html_begin(struct trace_sink *sink, const struct trace_header *header)
{
    struct html_sink *html = html_of(sink);
    struct html_blocks *blocks = &html->blocks;

    write_page(html);
    return trace_buffer_print(&html->buffer,
                              "<script type=\"application/x-kvmlens-facts\">{\"command\":%" PRIu64
                              ",\"guest\":%" PRIu64 ",\"host\":%" PRIu64 ",\"backend\":%" PRIu64
                              ",\"started_ms\":%" PRIu64 ",\"clock_ns\":%" PRIu32
                              ",\"vcpus\":%u,\"kernel\":%s}</script>\n",
                              html_string(blocks, header->command),
                              html_string(blocks, header->guest), html_string(blocks, header->host),
                              html_string(blocks, header->backend), header->started_ns / 1000000,
                              header->clock_ns, header->vcpus, header->kernel ? "true" : "false");
}

static int html_item(struct trace_sink *sink, const struct trace_item *item)
{
    return html_blocks_add(&html_of(sink)->blocks, item);
}

static int html_end(struct trace_sink *sink, const struct trace_footer *footer)
{
    struct html_sink *html = html_of(sink);
    struct trace_buffer *out = &html->buffer;
    uint64_t end = html_string(&html->blocks, footer->end);

    trace_buffer_print(out,
                       "<script type=\"application/x-kvmlens-facts\">{\"wall_ns\":%" PRIu64
                       ",\"exits\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"filtered\":%" PRIu64
                       ",\"end\":%" PRIu64 ",\"status\":%d,\"stats\":[",
                       footer->wall_ns, footer->exits, footer->dropped, footer->filtered, end,
                       footer->status);
    for (unsigned i = 0; i < footer->stat_count && i < TRACE_STATS_MAX; i++)
        trace_buffer_print(out, "%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "",
                           html_string(&html->blocks, footer->stat[i].name), footer->stat[i].value);
    trace_buffer_print(out, "]}</script>\n");
    html_blocks_write(&html->blocks);
    trace_buffer_print(out, "</body>\n</html>\n");
    int r = trace_buffer_flush(out);
    return html->blocks.error != 0 ? html->blocks.error : r;
}

static void html_destroy(struct trace_sink *sink)
{
    struct html_sink *html = html_of(sink);

    html_blocks_destroy(&html->blocks);
    free(html);
}

struct trace_sink *trace_html_sink(int fd)
{
    static const struct trace_sink_ops ops = {.name = "html",
                                              .begin = html_begin,
                                              .item = html_item,
                                              .end = html_end,
                                              .destroy = html_destroy};
    struct html_sink *html = calloc(1, sizeof(*html));

    if (!html)
        return NULL;
    html->sink.ops = &ops;
    html->buffer.fd = fd;
    if (html_blocks_init(&html->blocks, &html->buffer) < 0) {
        html_destroy(&html->sink);
        return NULL;
    }
    return &html->sink;
}
