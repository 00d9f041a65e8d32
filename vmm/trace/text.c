/*
 * text.c: one exit as an aligned line of text.
 *
 * The columns of usual values fit in 120 characters. The guest's code (symbol, instruction, source
 * line), whose width varies most, comes last, so that a long one moves nothing else.
 */
#include "text.h"

#include "buffer.h"
#include "code.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN   "\033[0m"
#define DIM     "\033[2m"
#define RED     "\033[1;31m"
#define CYAN    "\033[36m"
#define MAGENTA "\033[35m"

#define STRING_SHOWN 4 /* bytes of string I/O that the data column has room for */

struct line {
    char *text; /* TRACE_LINE_MAX bytes */
    size_t len;
    struct trace_columns *columns;
    bool colour;
    int owed; /* blanks that a text longer than its column has taken from those behind it */
};

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *format, ...)
{
    size_t room = TRACE_LINE_MAX - 1 - line->len; /* one byte is kept for the newline */
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line->text + line->len, room, format, args);
    va_end(args);
    if (len > 0)
        line->len += (size_t)len < room ? (size_t)len : room - 1;
}

/* A left-aligned column; COLOUR may be NULL. Blanks behind the text stay uncoloured. */
static void put_column(struct line *line, const char *colour, int width, const char *text)
{
    int pad = width - (int)strlen(text) - line->owed;

    line->owed = pad < 0 ? -pad : 0;
    if (pad < 0)
        pad = 0;
    if (line->colour && colour)
        put(line, " %s%s%s%*s", colour, text, PLAIN, pad, "");
    else
        put(line, " %s%*s", text, pad, "");
}

/* A column that becomes as wide as the longest text in it so far, up to LIMIT. */
static void put_growing(struct line *line, const char *colour, int *width, int limit,
                        const char *text)
{
    int len = (int)strlen(text);

    if (len > *width)
        *width = len < limit ? len : limit;
    put_column(line, colour, *width, text);
}

static size_t finish(struct line *line)
{
    while (line->len > 0 && line->text[line->len - 1] == ' ')
        line->len--;
    line->text[line->len++] = '\n';
    line->text[line->len] = '\0';
    return line->len;
}

size_t trace_format_header(char *text, bool colour)
{
    const struct trace_columns columns = trace_columns(colour);
    struct line line = {.text = text};

    put(&line, "%s%10s %3s %-10s %-10s %-6s %-21s %9s %8s  %-*s %s%s", colour ? DIM : "", "time/ms",
        "cpu", "exit", "address", "size", "data", "guest+KVM", "VMM", columns.device,
        "device register", "code", colour ? PLAIN : "");
    return finish(&line);
}

/* Microseconds while they fit in eight characters, so that most lines compare at a glance. */
static void format_time(char *out, size_t size, uint64_t ns)
{
    static const struct {
        uint64_t tenth_ns;
        const char *unit;
    } scale[] = {{100, "us"}, {100000, "ms"}, {100000000, "s"}};
    unsigned i = 0;

    while (i < 2 && ns / scale[i].tenth_ns >= 99999)
        i++;
    uint64_t tenths =
        ns / scale[i].tenth_ns + (ns % scale[i].tenth_ns >= scale[i].tenth_ns / 2 ? 1 : 0);
    snprintf(out, size, "%llu.%llu%s", (unsigned long long)(tenths / 10),
             (unsigned long long)(tenths % 10), scale[i].unit);
}

static bool printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

/* The value of a single access, and the characters it stands for, or the queue. */
static void format_value(char *out, size_t size, const struct trace_event *event)
{
    uint64_t value = 0;
    bool text = event->size == 4;

    for (unsigned i = 0; i < event->size; i++) {
        value |= (uint64_t)event->data[i] << (8 * i);
        text = text && printable(event->data[i]);
    }
    int len = snprintf(out, size, "0x%0*llx", 2 * event->size, (unsigned long long)value);
    char *tail = out + len;
    size -= (size_t)len;
    if (event->reg && strcmp(event->reg, "QueueNotify") == 0) {
        snprintf(tail, size, " queue %llu", (unsigned long long)value);
    } else if (text) {
        snprintf(tail, size, " \"%.4s\"", (const char *)event->data);
    } else if (event->size == 1) {
        static const char controls[] = "\b\t\n\r", letters[] = "btnr";
        const char *control = value != 0 ? strchr(controls, (int)value) : NULL;
        if (control)
            snprintf(tail, size, " '\\%c'", letters[control - controls]);
        else if (printable((uint8_t)value))
            snprintf(tail, size, " '%c'", (char)value);
    }
}

/* The first bytes of string I/O, as a hex dump shows them. */
static void format_string(char *out, size_t size, const struct trace_event *event)
{
    unsigned shown = event->data_len < STRING_SHOWN ? event->data_len : STRING_SHOWN;
    char text[STRING_SHOWN + 1] = "";
    size_t len = 0;

    for (unsigned i = 0; i < shown; i++) {
        len += (size_t)snprintf(out + len, size - len, "%02x ", event->data[i]);
        text[i] = printable(event->data[i]) ? (char)event->data[i] : '.';
    }
    uint64_t all = (uint64_t)event->size * event->count;
    snprintf(out + len, size - len, "|%s|%s", text, all > shown ? "..." : "");
}

static void format_data(char *out, size_t size, const struct trace_event *event)
{
    out[0] = '\0';
    if (event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO) {
        if (event->count > 1)
            format_string(out, size, event);
        else if (event->size > 0 && event->size <= 8 && event->data_len >= event->size)
            format_value(out, size, event);
    } else if (event->detail_name) {
        snprintf(out, size, "%s", event->detail_name);
    } else if (event->kind == VM_EXIT_OTHER && event->raw_name) {
        snprintf(out, size, "%s", event->raw_name);
    } else if (event->detail != 0) {
        snprintf(out, size, "0x%llx", (unsigned long long)event->detail);
    }
}

static const char *kind_colour(enum vm_exit_kind kind)
{
    switch (kind) {
    case VM_EXIT_PIO:
        return CYAN;
    case VM_EXIT_MMIO:
        return MAGENTA;
    case VM_EXIT_SHUTDOWN:
    case VM_EXIT_INTERNAL_ERROR:
    case VM_EXIT_FAIL_ENTRY:
        return RED;
    default:
        return NULL;
    }
}

static void put_access(struct line *line, const struct trace_event *event)
{
    char text[64] = "";
    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;

    if (access)
        snprintf(text, sizeof(text), "0x%llx", (unsigned long long)event->addr);
    put_column(line, NULL, 10, text);
    if (access && event->count > 1)
        snprintf(text, sizeof(text), "%ux%u", event->size, event->count);
    else if (access)
        snprintf(text, sizeof(text), "%u", event->size);
    put_column(line, NULL, 6, text);
    format_data(text, sizeof(text), event);
    put_column(line, NULL, 21, text);
}

static void put_device(struct line *line, const struct trace_event *event)
{
    char text[64] = "";
    const char *colour = NULL;

    if (event->device && event->reg) {
        snprintf(text, sizeof(text), "%s %s", event->device, event->reg);
    } else if (event->device) {
        snprintf(text, sizeof(text), "%s", event->device);
    } else if (event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO) {
        snprintf(text, sizeof(text), "nobody");
        colour = RED;
    }
    put(line, " ");
    put_growing(line, colour, &line->columns->device, 30, text);
}

/* What the device said, behind all columns. */
static void put_remark(struct line *line, const struct trace_item *item)
{
    if (item->remark)
        put(line, "  %s%s%s", line->colour ? DIM : "", item->remark, line->colour ? PLAIN : "");
}

/* An ioctl that makes the VM: its name and time, what it said, and why. */
static void put_call(struct line *line, const struct trace_item *item)
{
    char took[32];

    format_time(took, sizeof(took), item->event->vmm_ns);
    put_column(line, CYAN, 28, item->event->reg ? item->event->reg : "");
    put(line, " %-21s %9s %8s  %s", "", "", took, item->event->text);
    if (item->remark)
        put(line, "  %s# %s%s", line->colour ? DIM : "", item->remark, line->colour ? PLAIN : "");
}

/* A line without an exit: the device, and what it said where exits have the guest's code; or an
 * event of KVM's own, and its fields there. */
static void put_note(struct line *line, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    char vcpu[16] = "-";

    if (event->vcpu != TRACE_NO_VCPU)
        snprintf(vcpu, sizeof(vcpu), "%u", event->vcpu);
    put(line, " %3s", vcpu);
    if (event->kind == VM_EXIT_KERNEL) {
        put_column(line, DIM, 18, item->kind);
        put(line, "  %s%s%s", line->colour ? DIM : "", event->text ? event->text : "",
            line->colour ? PLAIN : "");
        if (event->device)
            put(line, "  %s%s%s", event->device, event->reg ? " " : "",
                event->reg ? event->reg : "");
        if (item->symbol)
            put(line, "  %s+0x%" PRIx64, item->symbol, item->symbol_offset);
        return;
    }
    if (event->text) {
        put_call(line, item);
        return;
    }
    put_column(line, DIM, 10, item->kind);
    put(line, " %-10s %-6s %-21s %9s %8s", "", "", "", "", "");
    put_device(line, event);
    if (item->remark)
        put(line, " %s%s%s", line->colour ? DIM : "", item->remark, line->colour ? PLAIN : "");
}

/* "THR_write+0x1a", what is executed there, and the line of the source that it comes from. */
static void put_code(struct line *line, const struct trace_item *item)
{
    char text[CODE_TEXT_MAX];

    if (item->symbol && item->symbol_offset)
        snprintf(text, sizeof(text), "%s+0x%" PRIx64, item->symbol, item->symbol_offset);
    else if (item->symbol)
        snprintf(text, sizeof(text), "%s", item->symbol);
    else
        snprintf(text, sizeof(text), "0x%" PRIx64, item->event->rip);
    put_growing(line, NULL, &line->columns->code, 28, text);
    code_format(text, sizeof(text), item->insn, item->file, item->line);
    if (text[0]) {
        put(line, " ");
        put_column(line, DIM, 32, text);
    }
}

struct trace_columns trace_columns(bool colour)
{
    return (struct trace_columns){.colour = colour, .device = 18, .code = 20};
}

size_t trace_format_item(char *text, struct trace_columns *columns, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    bool colour = columns->colour;
    struct line line = {.text = text, .columns = columns, .colour = colour};
    char start[32] = "-", guest[32] = "-", vmm[32] = "-";

    if (event->start_ns != 0) {
        snprintf(start, sizeof(start), "%" PRIu64 ".%03" PRIu64, event->start_ns / 1000000,
                 event->start_ns / 1000 % 1000);
        format_time(guest, sizeof(guest), event->guest_ns);
        format_time(vmm, sizeof(vmm), event->vmm_ns);
    }
    put(&line, "%s%10s%s", colour ? DIM : "", start, colour ? PLAIN : "");
    if (event->kind == VM_EXIT_NOTE || event->kind == VM_EXIT_KERNEL) {
        put_note(&line, item);
        return finish(&line);
    }
    put(&line, " %3u", event->vcpu);
    put_column(&line, kind_colour(event->kind), 10, item->kind);
    put_access(&line, event);
    put(&line, " %9s %8s", guest, vmm);
    put_device(&line, event);
    put_code(&line, item);
    put_remark(&line, item);
    return finish(&line);
}

void trace_print_header(FILE *out, bool colour)
{
    char line[TRACE_LINE_MAX];

    fwrite(line, 1, trace_format_header(line, colour), out);
}

void trace_print_event(FILE *out, struct trace_columns *columns, const struct trace_event *event,
                       const struct symbols *symbols)
{
    char line[TRACE_LINE_MAX], remark[TRACE_REMARK_MAX];
    struct code_place place = {0};
    struct trace_item item;

    place.symbol = symbols_find(symbols, event->rip, &place.offset);
    trace_item_make(&item, event, &place, remark);
    fwrite(line, 1, trace_format_item(line, columns, &item), out);
}

/* --- the sink ----------------------------------------------------------------------------------- */

struct text_sink {
    struct trace_sink sink;
    struct trace_columns columns;
    bool exits; /* it is about those, not about the ioctls of -trace setup */
    struct trace_buffer out;
};

static int text_begin(struct trace_sink *sink, const struct trace_header *header)
{
    struct text_sink *text = (struct text_sink *)sink;
    char line[TRACE_LINE_MAX];

    (void)header;
    return trace_buffer_add(&text->out, line, trace_format_header(line, text->columns.colour));
}

static int text_item(struct trace_sink *sink, const struct trace_item *item)
{
    struct text_sink *text = (struct text_sink *)sink;
    char line[TRACE_LINE_MAX];

    text->exits = text->exits || item->event->kind != VM_EXIT_NOTE;
    return trace_buffer_add(&text->out, line, trace_format_item(line, &text->columns, item));
}

static int text_flush(struct trace_sink *sink)
{
    return trace_buffer_flush(&((struct text_sink *)sink)->out);
}

/* What there was in all, whether or not it has a line. */
static void put_totals(struct text_sink *text, const struct trace_footer *footer)
{
    const struct trace_stat *kvm = trace_find_stat(footer, "exits");

    trace_buffer_print(&text->out, "(%" PRIu64 " exit%s came to kvmlens", footer->exits,
                       footer->exits == 1 ? "" : "s");
    if (kvm)
        trace_buffer_print(&text->out, "; KVM counted %" PRIu64 " in all", kvm->value);
    trace_buffer_print(&text->out, "; %" PRIu64 " record%s dropped%s)\n", footer->dropped,
                       footer->dropped == 1 ? "" : "s",
                       footer->dropped > 0 ? ": they came faster than they could be written" : "");
}

static int text_end(struct trace_sink *sink, const struct trace_footer *footer)
{
    struct text_sink *text = (struct text_sink *)sink;

    if (footer->filtered > 0)
        trace_buffer_print(&text->out, "(%" PRIu64 " more did not pass the filter)\n",
                           footer->filtered);
    if (text->exits || footer->dropped > 0 || footer->filtered > 0)
        put_totals(text, footer);
    return trace_buffer_flush(&text->out);
}

static void text_destroy(struct trace_sink *sink)
{
    free(sink);
}

struct trace_sink *trace_text_sink(int fd, bool colour)
{
    static const struct trace_sink_ops ops = {
        .name = "text",
        .begin = text_begin,
        .item = text_item,
        .flush = text_flush,
        .end = text_end,
        .destroy = text_destroy,
    };
    struct text_sink *text = calloc(1, sizeof(*text));

    if (!text)
        return NULL;
    text->sink.ops = &ops;
    text->columns = trace_columns(colour);
    text->out.fd = fd;
    return &text->sink;
}
