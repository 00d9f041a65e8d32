/*
 * jsonl.c: the trace as JSON lines (docs/trace.md, "The jsonl schema"): a header, one object for each
 * exit, note and event of KVM, a footer.  What is 0, or goes without saying, is left out.
 */
#include "jsonl.h"

#include "buffer.h"
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_MAX    (12 * JSON_STRING_MAX + 2048) /* twelve texts, and all that is no text */
#define COMMAND_MAX (JSONL_LINE_MAX / 4)          /* bytes of the longest text of a header */

const struct jsonl_kind jsonl_kinds[] = {
    {"out", VM_EXIT_PIO, true, "KVM_EXIT_IO"},
    {"in", VM_EXIT_PIO, false, "KVM_EXIT_IO"},
    {"outs", VM_EXIT_PIO, true, "KVM_EXIT_IO"},
    {"ins", VM_EXIT_PIO, false, "KVM_EXIT_IO"},
    {"mmio write", VM_EXIT_MMIO, true, "KVM_EXIT_MMIO"},
    {"mmio read", VM_EXIT_MMIO, false, "KVM_EXIT_MMIO"},
    {"hlt", VM_EXIT_HLT, false, "KVM_EXIT_HLT"},
    {"shutdown", VM_EXIT_SHUTDOWN, false, "KVM_EXIT_SHUTDOWN"},
    {"system", VM_EXIT_SYSTEM_EVENT, false, "KVM_EXIT_SYSTEM_EVENT"},
    {"kvm error", VM_EXIT_INTERNAL_ERROR, false, "KVM_EXIT_INTERNAL_ERROR"},
    {"fail entry", VM_EXIT_FAIL_ENTRY, false, "KVM_EXIT_FAIL_ENTRY"},
    {"debug", VM_EXIT_DEBUG, false, "KVM_EXIT_DEBUG"},
    {"intr", VM_EXIT_INTR, false, "KVM_EXIT_INTR"},
    {"again", VM_EXIT_AGAIN, false, NULL},
    {"note", VM_EXIT_NOTE, false, NULL},
    {"kernel", VM_EXIT_KERNEL, false, NULL},
    {"other", VM_EXIT_OTHER, false, NULL},
    {0},
};

struct jsonl_sink {
    struct trace_sink sink;
    struct trace_buffer out;
};

static int jsonl_begin(struct trace_sink *base, const struct trace_header *header)
{
    struct jsonl_sink *sink = (struct jsonl_sink *)base;
    char *line = malloc(JSONL_LINE_MAX), *at = line;

    if (!line)
        return -ENOMEM;
    at = JSON_PUT(at, "{\"kvmlens_trace\":");
    at = json_number(at, JSONL_VERSION);
    at = JSON_PUT(at, ",\"command\":");
    at = json_long_string(at, header->command, COMMAND_MAX);
    at = JSON_PUT(at, ",\"guest\":");
    at = json_long_string(at, header->guest, COMMAND_MAX);
    at = JSON_PUT(at, ",\"host\":");
    at = json_string(at, header->host);
    at = JSON_PUT(at, ",\"backend\":");
    at = json_string(at, header->backend);
    at = JSON_PUT(at, ",\"started_ns\":");
    at = json_number(at, header->started_ns);
    at = JSON_PUT(at, ",\"clock_ns\":");
    at = json_number(at, header->clock_ns);
    at = JSON_PUT(at, ",\"vcpus\":");
    at = json_number(at, header->vcpus);
    at =
        header->kernel ? JSON_PUT(at, ",\"kernel\":true}\n") : JSON_PUT(at, ",\"kernel\":false}\n");
    trace_buffer_add(&sink->out, line, (size_t)(at - line));
    free(line);
    return sink->out.error;
}

static const struct jsonl_kind *kind_of(const struct trace_event *event)
{
    const struct jsonl_kind *kind = jsonl_kinds;
    bool string = event->count > 1;

    if (event->kind == VM_EXIT_PIO)
        return &kind[(string ? 2 : 0) + (event->write ? 0 : 1)];
    while (kind->kind != event->kind && kind->kind != VM_EXIT_OTHER)
        kind++;
    return kind->kind == VM_EXIT_MMIO && !event->write ? kind + 1 : kind;
}

static char *put_text(char *at, const char *key, size_t len, const char *text)
{
    if (!text)
        return at;
    memcpy(at, key, len);
    return json_string(at + len, text);
}

#define PUT_TEXT(at, key, text) put_text(at, ",\"" key "\":", sizeof(",\"" key "\":") - 1, text)

static char *put_access(char *at, const struct trace_event *event)
{
    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;

    if (access || event->addr != 0) {
        at = JSON_PUT(at, ",\"a\":");
        at = json_hex(at, event->addr);
    }
    if (event->size != 0) {
        at = JSON_PUT(at, ",\"n\":");
        at = json_number(at, event->size);
    }
    if (event->count != (access ? 1 : 0)) {
        at = JSON_PUT(at, ",\"x\":");
        at = json_number(at, event->count);
    }
    if (event->data_len != 0) {
        at = JSON_PUT(at, ",\"d\":");
        at = json_hex_bytes(at, event->data,
                            event->data_len < TRACE_DATA_MAX ? event->data_len : TRACE_DATA_MAX);
    }
    if (event->detail != 0) {
        at = JSON_PUT(at, ",\"i\":");
        at = json_hex(at, event->detail);
    }
    return at;
}

static char *put_code(char *at, const struct trace_item *item)
{
    if (item->event->rip != 0) {
        at = JSON_PUT(at, ",\"rip\":");
        at = json_hex(at, item->event->rip);
    }
    if (item->symbol) {
        at = PUT_TEXT(at, "sym", item->symbol);
        at = JSON_PUT(at, ",\"off\":");
        at = json_number(at, item->symbol_offset);
    }
    if (item->file) {
        at = PUT_TEXT(at, "file", item->file);
        at = JSON_PUT(at, ",\"line\":");
        at = json_number(at, item->line);
    }
    return PUT_TEXT(at, "insn", item->insn);
}

static char *put_registers(char *at, const struct trace_registers *registers)
{
    at = JSON_PUT(at, ",\"regs\":\"");
    for (unsigned i = 0; i < 16; i++) {
        at = json_hex_digits(at, registers->gpr[i]);
        *at++ = ' ';
    }
    at = json_hex_digits(at, registers->rflags);
    *at++ = '"';
    return at;
}

static char *put_item(char *at, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    const struct jsonl_kind *kind = kind_of(event);

    at = JSON_PUT(at, "{\"k\":");
    at = json_string(at, kind->name);
    if (event->vcpu != TRACE_NO_VCPU) {
        at = JSON_PUT(at, ",\"c\":");
        at = json_number(at, event->vcpu);
    }
    if (event->start_ns != 0) {
        at = JSON_PUT(at, ",\"t\":");
        at = json_number(at, event->start_ns);
        at = JSON_PUT(at, ",\"g\":");
        at = json_number(at, event->guest_ns);
        at = JSON_PUT(at, ",\"v\":");
        at = json_number(at, event->vmm_ns);
    }
    at = put_access(at, event);
    at = PUT_TEXT(at, "what", event->detail_name);
    if (event->raw_name && (!kind->raw || strcmp(event->raw_name, kind->raw) != 0))
        at = PUT_TEXT(at, "raw", event->raw_name);
    at = PUT_TEXT(at, "dev", event->device);
    at = PUT_TEXT(at, "reg", event->reg);
    at = put_code(at, item);
    at = PUT_TEXT(at, "rem", item->remark);
    at = PUT_TEXT(at, "text", event->text);
    if (event->has_registers)
        at = put_registers(at, &event->registers);
    return JSON_PUT(at, "}\n");
}

static int jsonl_item(struct trace_sink *base, const struct trace_item *item)
{
    struct jsonl_sink *sink = (struct jsonl_sink *)base;
    char line[ITEM_MAX];
    char *end = put_item(line, item);

    return trace_buffer_add(&sink->out, line, (size_t)(end - line));
}

static int jsonl_flush(struct trace_sink *base)
{
    return trace_buffer_flush(&((struct jsonl_sink *)base)->out);
}

static int jsonl_end(struct trace_sink *base, const struct trace_footer *footer)
{
    struct jsonl_sink *sink = (struct jsonl_sink *)base;
    char line[ITEM_MAX], *at = line;

    at = JSON_PUT(at, "{\"end\":");
    at = json_string(at, footer->end ? footer->end : "");
    trace_buffer_add(&sink->out, line, (size_t)(at - line));
    trace_buffer_print(&sink->out,
                       ",\"status\":%d,\"wall_ns\":%llu,\"exits\":%llu,\"dropped\":%llu,"
                       "\"filtered\":%llu,\"stats\":{",
                       footer->status, (unsigned long long)footer->wall_ns,
                       (unsigned long long)footer->exits, (unsigned long long)footer->dropped,
                       (unsigned long long)footer->filtered);
    for (unsigned i = 0; i < footer->stat_count && i < TRACE_STATS_MAX; i++) {
        at = line;
        if (i > 0)
            *at++ = ',';
        at = json_string(at, footer->stat[i].name);
        *at++ = ':';
        at = json_number(at, footer->stat[i].value);
        trace_buffer_add(&sink->out, line, (size_t)(at - line));
    }
    trace_buffer_print(&sink->out, "}}\n");
    return trace_buffer_flush(&sink->out);
}

static void jsonl_destroy(struct trace_sink *sink)
{
    free(sink);
}

struct trace_sink *trace_jsonl_sink(int fd)
{
    static const struct trace_sink_ops ops = {
        .name = "jsonl",
        .begin = jsonl_begin,
        .item = jsonl_item,
        .flush = jsonl_flush,
        .end = jsonl_end,
        .destroy = jsonl_destroy,
    };
    struct jsonl_sink *sink = calloc(1, sizeof(*sink));

    if (!sink)
        return NULL;
    sink->sink.ops = &ops;
    sink->out.fd = fd;
    return &sink->sink;
}
