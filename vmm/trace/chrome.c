/*
 * chrome.c: the trace as Trace Event Format JSON, for ui.perfetto.dev and chrome://tracing
 * ("Trace Event Format", the JSON Array Format, whose closing bracket may be missing: so the file of
 * a killed run opens too).
 *
 *   process 1, the guest:    a track for each vCPU: slices "guest", then the exit's handling
 *   process 2, the devices:  a track for each device: the accesses that it answered, its notes
 *   process 3, KVM:          a track for each vCPU: slices between kvm_exit and kvm_entry, and
 *                            all other events of KVM's own
 *
 * Viewers want the slices of a track to be disjoint or nested, so a slice begins at the end of the
 * one before it, at the earliest: an access that waited for the device lock counts from its turn.
 */
#include "buffer.h"
#include "item.h"
#include "json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_MAX   (12 * JSON_STRING_MAX + 2048)
#define DEVICES_MAX 64       /* all others share the last track */
#define WINDOW_NS   10000000 /* the counter's step */
#define NO_TIME     UINT64_MAX

enum process { GUEST = 1, DEVICES, KVM };

struct vcpu_track {
    uint64_t end_ns;      /* of the last slice */
    uint64_t kvm_end_ns;  /* the same, of process KVM's track */
    uint64_t kvm_exit_ns; /* the begin of the slice that is open there, or NO_TIME */
    char kvm_exit[128];   /* its fields */
};

struct device_track {
    const char *name; /* borrowed: a device's name outlives the trace */
    uint64_t end_ns;
};

struct chrome_sink {
    struct trace_sink sink;
    struct trace_buffer out;
    unsigned vcpus;
    struct vcpu_track *vcpu;
    unsigned devices;
    struct device_track device[DEVICES_MAX];
    uint64_t window;  /* number of the counter's window */
    uint64_t counted; /* exits in it */
    bool first;       /* nothing was written yet */
};

/* --- events ------------------------------------------------------------------------------------- */

/* A number of microseconds; the nanoseconds behind the point. */
static char *put_us(char *at, uint64_t ns)
{
    unsigned rest = (unsigned)(ns % 1000);

    at = json_number(at, ns / 1000);
    *at++ = '.';
    *at++ = (char)('0' + rest / 100);
    *at++ = (char)('0' + rest / 10 % 10);
    *at++ = (char)('0' + rest % 10);
    return at;
}

/* The begin of an event, up to its time; PHASE is the format's "ph". */
static char *put_begin(struct chrome_sink *sink, char *at, char phase, enum process process,
                       unsigned track)
{
    at = sink->first ? JSON_PUT(at, "[\n{\"ph\":\"") : JSON_PUT(at, ",\n{\"ph\":\"");
    sink->first = false;
    *at++ = phase;
    at = JSON_PUT(at, "\",\"pid\":");
    at = json_number(at, process);
    at = JSON_PUT(at, ",\"tid\":");
    return json_number(at, track);
}

static char *put_time(char *at, uint64_t ns)
{
    at = JSON_PUT(at, ",\"ts\":");
    return put_us(at, ns);
}

/* "KEY":"TEXT", or "KEY":"TEXT MORE". */
static char *put_pair(char *at, const char *key, const char *text, const char *more)
{
    char joined[JSON_STRING_MAX];
    size_t len = strnlen(text, sizeof(joined) / 2),
           more_len = strnlen(more, sizeof(joined) / 2 - 2);

    at = json_string(at, key);
    *at++ = ':';
    if (more_len == 0)
        return json_string(at, text);
    memcpy(joined, text, len);
    joined[len++] = ' ';
    memcpy(joined + len, more, more_len);
    joined[len + more_len] = '\0';
    return json_string(at, joined);
}

static char *put_name(char *at, const char *category, const char *name, const char *more)
{
    *at++ = ',';
    at = put_pair(at, "cat", category, "");
    *at++ = ',';
    return put_pair(at, "name", name, more);
}

static int put_end(struct chrome_sink *sink, char *line, char *at)
{
    *at++ = '}';
    return trace_buffer_add(&sink->out, line, (size_t)(at - line));
}

/* Metadata: the name of a process or of a track. */
static void put_metadata(struct chrome_sink *sink, enum process process, unsigned track,
                         const char *what, const char *name, const char *more)
{
    char line[EVENT_MAX], *at = put_begin(sink, line, 'M', process, track);

    *at++ = ',';
    at = put_pair(at, "name", what, "");
    at = JSON_PUT(at, ",\"args\":{");
    at = put_pair(at, strcmp(what, "process_labels") == 0 ? "labels" : "name", name, more);
    *at++ = '}';
    put_end(sink, line, at);
}

static void put_track_name(struct chrome_sink *sink, enum process process, unsigned track,
                           const char *name, unsigned number)
{
    char digits[JSON_NUMBER_MAX + 1];

    *json_number(digits, number) = '\0';
    put_metadata(sink, process, track, "thread_name", name, digits);
}

/* A slice from BEGIN to END, but not before *AFTER, where the last one of its track ended. */
static char *put_slice(struct chrome_sink *sink, char *at, enum process process, unsigned track,
                       uint64_t begin, uint64_t end, uint64_t *after)
{
    if (begin < *after)
        begin = *after;
    if (end < begin)
        end = begin;
    *after = end;
    at = put_begin(sink, at, 'X', process, track);
    at = put_time(at, begin);
    at = JSON_PUT(at, ",\"dur\":");
    return put_us(at, end - begin);
}

/* --- tracks ------------------------------------------------------------------------------------- */

/* Tracks count from 1: viewers hide a thread 0. */
static unsigned device_track(struct chrome_sink *sink, const char *name)
{
    unsigned i = 0;

    while (i < sink->devices && sink->device[i].name != name &&
           strcmp(sink->device[i].name, name) != 0)
        i++;
    if (i == DEVICES_MAX)
        return DEVICES_MAX;
    if (i < sink->devices)
        return i + 1;
    sink->device[i].name = i + 1 < DEVICES_MAX ? name : "other devices";
    sink->devices++;
    if (i == 0)
        put_metadata(sink, DEVICES, 0, "process_name", "devices", "");
    put_metadata(sink, DEVICES, i + 1, "thread_name", sink->device[i].name, "");
    return i + 1;
}

static int chrome_begin(struct trace_sink *base, const struct trace_header *header)
{
    struct chrome_sink *sink = (struct chrome_sink *)base;

    sink->vcpus = header->vcpus;
    sink->vcpu = calloc(header->vcpus, sizeof(*sink->vcpu));
    if (!sink->vcpu)
        return -ENOMEM;
    put_metadata(sink, GUEST, 0, "process_name", "guest", header->guest);
    put_metadata(sink, GUEST, 0, "process_labels", header->command, "");
    for (unsigned i = 0; i < header->vcpus; i++) {
        sink->vcpu[i].kvm_exit_ns = NO_TIME;
        put_track_name(sink, GUEST, i + 1, "vCPU", i);
    }
    if (!header->kernel)
        return sink->out.error;
    put_metadata(sink, KVM, 0, "process_name", "KVM", header->host);
    for (unsigned i = 0; i < header->vcpus; i++)
        put_track_name(sink, KVM, i + 1, "vCPU", i);
    return sink->out.error;
}

/* --- the counter of exits ----------------------------------------------------------------------- */

static void put_count(struct chrome_sink *sink, uint64_t window, uint64_t exits)
{
    char line[EVENT_MAX], *at = put_begin(sink, line, 'C', GUEST, 0);

    at = put_time(at, window * WINDOW_NS);
    at = put_name(at, "vmm", "exits/s", "");
    at = JSON_PUT(at, ",\"args\":{\"exits/s\":");
    at = json_number(at, exits * (1000000000 / WINDOW_NS));
    *at++ = '}';
    put_end(sink, line, at);
}

static void end_window(struct chrome_sink *sink, uint64_t next)
{
    put_count(sink, sink->window, sink->counted);
    if (sink->counted > 0 && next > sink->window + 1)
        put_count(sink, sink->window + 1, 0);
    sink->window = next;
    sink->counted = 0;
}

static void count_exit(struct chrome_sink *sink, uint64_t end_ns)
{
    uint64_t window = end_ns / WINDOW_NS;

    if (window > sink->window)
        end_window(sink, window);
    sink->counted++;
}

/* --- items -------------------------------------------------------------------------------------- */

static char *put_source(char *at, const struct trace_item *item)
{
    if (item->symbol) {
        *at++ = ',';
        at = put_pair(at, "symbol", item->symbol, "");
    }
    if (item->insn) {
        *at++ = ',';
        at = put_pair(at, "instruction", item->insn, "");
    }
    if (item->file) {
        *at++ = ',';
        at = put_pair(at, "source", item->file, "");
        at[-1] = ':'; /* for the closing quote */
        at = json_number(at, item->line);
        *at++ = '"';
    }
    return at;
}

static char *put_args(char *at, const struct trace_item *item)
{
    const struct trace_event *event = item->event;

    at = JSON_PUT(at, ",\"args\":{\"rip\":");
    at = json_hex(at, event->rip);
    at = put_source(at, item);
    if (event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO) {
        at = JSON_PUT(at, ",\"address\":");
        at = json_hex(at, event->addr);
        at = JSON_PUT(at, ",\"size\":");
        at = json_number(at, event->size);
        at = JSON_PUT(at, ",\"count\":");
        at = json_number(at, event->count);
        at = JSON_PUT(at, ",\"bytes\":");
        at = json_hex_bytes(at, event->data, event->data_len);
    }
    if (event->detail_name) {
        *at++ = ',';
        at = put_pair(at, "detail", event->detail_name, "");
    }
    if (item->remark) {
        *at++ = ',';
        at = put_pair(at, "remark", item->remark, "");
    }
    *at++ = '}';
    return at;
}

static void put_device(struct chrome_sink *sink, const struct trace_item *item, uint64_t begin,
                       uint64_t end)
{
    const struct trace_event *event = item->event;
    unsigned track = device_track(sink, event->device);
    char line[EVENT_MAX], *at;

    at = put_slice(sink, line, DEVICES, track, begin, end, &sink->device[track - 1].end_ns);
    at = put_name(at, "device", event->write ? "write" : "read", event->reg ? event->reg : "");
    at = put_args(at, item);
    put_end(sink, line, at);
}

static int put_exit(struct chrome_sink *sink, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    struct vcpu_track *vcpu = &sink->vcpu[event->vcpu];
    uint64_t begin = event->start_ns, middle = begin + event->guest_ns,
             end = middle + event->vmm_ns;
    char line[EVENT_MAX], what[JSON_STRING_MAX] = "", *at;

    if (begin == 0) /* not timed: it was after the one before it */
        begin = middle = end = vcpu->end_ns;
    at = put_slice(sink, line, GUEST, event->vcpu + 1, begin, middle, &vcpu->end_ns);
    at = put_name(at, "guest", "guest", "");
    put_end(sink, line, at);

    if (event->device)
        snprintf(what, sizeof(what), "%s%s%s", event->device, event->reg ? " " : "",
                 event->reg ? event->reg : "");
    at = put_slice(sink, line, GUEST, event->vcpu + 1, middle, end, &vcpu->end_ns);
    at = put_name(at, "vmm", item->kind, what);
    at = put_args(at, item);
    put_end(sink, line, at);
    if (event->device)
        put_device(sink, item, middle, end);
    count_exit(sink, end);
    return sink->out.error;
}

/* A moment: a note, or an event of KVM's. */
static int put_instant(struct chrome_sink *sink, enum process process, unsigned track,
                       const struct trace_item *item, const char *category, const char *name)
{
    char line[EVENT_MAX], *at = put_begin(sink, line, 'i', process, track);
    const char *text = item->event->text ? item->event->text : item->remark;

    at = put_time(at, item->event->start_ns);
    at = put_name(at, category, name, "");
    /* Of its track, or of its process if it has none. */
    at = track ? JSON_PUT(at, ",\"s\":\"t\"") : JSON_PUT(at, ",\"s\":\"p\"");
    if (text) {
        at = JSON_PUT(at, ",\"args\":{");
        at = put_pair(at, "text", text, "");
        *at++ = '}';
    }
    return put_end(sink, line, at);
}

static int put_kernel(struct chrome_sink *sink, const struct trace_item *item)
{
    const struct trace_event *event = item->event;

    if (event->vcpu >= sink->vcpus)
        return put_instant(sink, KVM, 0, item, "kvm", item->kind);

    struct vcpu_track *vcpu = &sink->vcpu[event->vcpu];
    if (strcmp(item->kind, "kvm_exit") == 0) {
        vcpu->kvm_exit_ns = event->start_ns;
        snprintf(vcpu->kvm_exit, sizeof(vcpu->kvm_exit), "%s", event->text ? event->text : "");
        return 0;
    }
    if (vcpu->kvm_exit_ns != NO_TIME &&
        (strcmp(item->kind, "kvm_entry") == 0 || strcmp(item->kind, "kvm_userspace_exit") == 0)) {
        char line[EVENT_MAX], *at;

        at = put_slice(sink, line, KVM, event->vcpu + 1, vcpu->kvm_exit_ns, event->start_ns,
                       &vcpu->kvm_end_ns);
        at = put_name(at, "kvm", "kvm_exit", "");
        at = JSON_PUT(at, ",\"args\":{");
        at = put_pair(at, "text", vcpu->kvm_exit, "");
        *at++ = '}';
        vcpu->kvm_exit_ns = NO_TIME;
        return put_end(sink, line, at);
    }
    return put_instant(sink, KVM, event->vcpu + 1, item, "kvm", item->kind);
}

static int chrome_item(struct trace_sink *base, const struct trace_item *item)
{
    struct chrome_sink *sink = (struct chrome_sink *)base;
    const struct trace_event *event = item->event;

    if (event->kind == VM_EXIT_KERNEL)
        return put_kernel(sink, item);
    if (event->kind != VM_EXIT_NOTE)
        return event->vcpu < sink->vcpus ? put_exit(sink, item) : 0;
    return put_instant(sink, event->device ? DEVICES : GUEST,
                       event->device ? device_track(sink, event->device) : 0, item, "note",
                       item->remark ? item->remark : "note");
}

static int chrome_flush(struct trace_sink *base)
{
    return trace_buffer_flush(&((struct chrome_sink *)base)->out);
}

static int chrome_end(struct trace_sink *base, const struct trace_footer *footer)
{
    struct chrome_sink *sink = (struct chrome_sink *)base;
    char line[EVENT_MAX], *at;

    end_window(sink, sink->window + 2);
    at = put_begin(sink, line, 'i', GUEST, 0);
    at = put_time(at, footer->wall_ns);
    at = put_name(at, "end", "end:", footer->end ? footer->end : "unknown");
    at = JSON_PUT(at, ",\"s\":\"g\",\"args\":{\"exits\":");
    at = json_number(at, footer->exits);
    at = JSON_PUT(at, ",\"dropped\":");
    at = json_number(at, footer->dropped);
    at = JSON_PUT(at, ",\"filtered\":");
    at = json_number(at, footer->filtered);
    for (unsigned i = 0; i < footer->stat_count; i++) {
        trace_buffer_add(&sink->out, line, (size_t)(at - line));
        at = line;
        *at++ = ',';
        char name[JSON_STRING_MAX];
        snprintf(name, sizeof(name), "KVM's %s", footer->stat[i].name);
        at = json_string(at, name);
        *at++ = ':';
        at = json_number(at, footer->stat[i].value);
    }
    *at++ = '}';
    put_end(sink, line, at);
    trace_buffer_add(&sink->out, "\n]\n", 3);
    return trace_buffer_flush(&sink->out);
}

static void chrome_destroy(struct trace_sink *base)
{
    free(((struct chrome_sink *)base)->vcpu);
    free(base);
}

struct trace_sink *trace_chrome_sink(int fd)
{
    static const struct trace_sink_ops ops = {
        .name = "chrome",
        .begin = chrome_begin,
        .item = chrome_item,
        .flush = chrome_flush,
        .end = chrome_end,
        .destroy = chrome_destroy,
    };
    struct chrome_sink *sink = calloc(1, sizeof(*sink));

    if (!sink)
        return NULL;
    sink->sink.ops = &ops;
    sink->out.fd = fd;
    sink->first = true;
    return &sink->sink;
}
