/*
 * jsonl_read.c: JSON lines back to the trace (docs/trace.md, "The jsonl schema").
 *
 * The file may be a stranger's, and may have been cut off at any byte. A line that does not follow
 * the schema is passed over and counted; members that are not known are passed over.
 */
#include "jsonl.h"

#include "json_parse.h"
#include "jsonl_lines.h"
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jsonl_reader {
    const char *name;
    struct jsonl_lines lines;
    struct names *names;
    uint64_t version; /* 0: no header was read */
    struct trace_header header;
    struct trace_footer footer;
    struct trace_footer counted; /* as it was before the footer's line */
    bool more;                   /* there is something behind it */
    uint64_t items, damaged, first_damaged;
    char complaint[512];

    /* The line that is being read. */
    struct trace_event event;
    struct trace_item item;
    const struct jsonl_kind *kind;
    unsigned next; /* where the next member is likely to be in the table of members */
    bool footer_line;
};

static int get_name(struct jsonl_reader *reader, struct json_value *value, const char **name)
{
    const char *text = json_get_text(value);

    if (!text)
        return -EINVAL;
    *name = names_keep(reader->names, text, value->len);
    return 0;
}

/* --- the header --------------------------------------------------------------------------------- */

static int header_member(void *opaque, const char *key, struct json_value *value)
{
    struct jsonl_reader *reader = opaque;
    struct trace_header *header = &reader->header;
    uint64_t number = 0;
    int r = 0;

    /* A newer version may mean other things by the other members. */
    if (strcmp(key, "kvmlens_trace") == 0)
        return json_get_number(value, UINT64_MAX, &reader->version);
    if (reader->version != JSONL_VERSION)
        return 0;
    if (strcmp(key, "command") == 0)
        return get_name(reader, value, &header->command);
    if (strcmp(key, "guest") == 0)
        return get_name(reader, value, &header->guest);
    if (strcmp(key, "host") == 0)
        return get_name(reader, value, &header->host);
    if (strcmp(key, "backend") == 0)
        return get_name(reader, value, &header->backend);
    if (strcmp(key, "kernel") == 0)
        return json_get_bool(value, &header->kernel);
    if (strcmp(key, "started_ns") == 0) {
        r = json_get_number(value, UINT64_MAX, &header->started_ns);
    } else if (strcmp(key, "clock_ns") == 0) {
        r = json_get_number(value, UINT32_MAX, &number);
        header->clock_ns = (uint32_t)number;
    } else if (strcmp(key, "vcpus") == 0) {
        r = json_get_number(value, JSONL_VCPUS_MAX, &number);
        header->vcpus = (unsigned)number;
    }
    return r;
}

static int read_header(struct jsonl_reader *reader, struct error *err)
{
    char *line;
    size_t len;
    int r = jsonl_lines_next(&reader->lines, &line, &len);

    if (r < 0)
        return error_set(err, STATUS_IMAGE, "cannot read '%s': %s", reader->name, strerror(-r));
    reader->header =
        (struct trace_header){.command = "", .guest = "", .host = "", .backend = "unknown"};
    if (r > 0)
        r = json_parse(line, len, header_member, reader);
    if (reader->version > JSONL_VERSION)
        return error_set(err, STATUS_IMAGE,
                         "'%s' is a trace of version %llu; this kvmlens reads version %d: read it "
                         "with the kvmlens that wrote it",
                         reader->name, (unsigned long long)reader->version, JSONL_VERSION);
    if (r < 0 || reader->version == 0 || reader->header.vcpus == 0)
        return error_set(err, STATUS_IMAGE,
                         "'%s' is no trace of kvmlens: its first line is not "
                         "{\"kvmlens_trace\":%d,...}; "
                         "one is made by -trace exits,format=jsonl,file=PATH",
                         reader->name, JSONL_VERSION);
    return 0;
}

/* --- the footer --------------------------------------------------------------------------------- */

static int stat_member(void *opaque, const char *key, struct json_value *value)
{
    struct jsonl_reader *reader = opaque;
    struct trace_footer *footer = &reader->footer;
    struct json_value name = {JSON_TEXT, (char *)(uintptr_t)key, strlen(key)};

    if (footer->stat_count == TRACE_STATS_MAX)
        return 0;
    struct trace_stat *stat = &footer->stat[footer->stat_count];
    if (json_get_number(value, UINT64_MAX, &stat->value) < 0)
        return -EINVAL;
    footer->stat_count++;
    return get_name(reader, &name, &stat->name);
}

static int footer_member(struct jsonl_reader *reader, const char *key, struct json_value *value)
{
    struct trace_footer *footer = &reader->footer;
    uint64_t number;

    if (strcmp(key, "end") == 0)
        return get_name(reader, value, &footer->end);
    if (strcmp(key, "wall_ns") == 0)
        return json_get_number(value, JSONL_TIME_MAX, &footer->wall_ns);
    if (strcmp(key, "exits") == 0)
        return json_get_number(value, UINT64_MAX, &footer->exits);
    if (strcmp(key, "dropped") == 0)
        return json_get_number(value, UINT64_MAX, &footer->dropped);
    if (strcmp(key, "filtered") == 0)
        return json_get_number(value, UINT64_MAX, &footer->filtered);
    if (strcmp(key, "stats") == 0 && value->type == JSON_OBJECT) {
        footer->stat_count = 0;
        return json_parse(value->text, value->len, stat_member, reader);
    }
    if (strcmp(key, "status") == 0) {
        if (json_get_number(value, 255, &number) < 0)
            return -EINVAL;
        footer->status = (int)number;
    }
    return 0;
}

/* --- items -------------------------------------------------------------------------------------- */

static int set_kind(struct jsonl_reader *reader, struct json_value *value)
{
    const char *name;
    const struct jsonl_kind *kind = jsonl_kinds;

    if (get_name(reader, value, &name) < 0)
        return -EINVAL;
    while (kind->kind != VM_EXIT_OTHER && strcmp(kind->name, name) != 0)
        kind++;
    reader->kind = kind;
    reader->item.kind = name;
    reader->event.kind = kind->kind;
    reader->event.write = kind->write;
    return 0;
}

static int set_data(struct trace_event *event, const struct json_value *value)
{
    if (value->type != JSON_TEXT || value->len % 2 != 0 || value->len > 2 * TRACE_DATA_MAX)
        return -EINVAL;
    for (size_t i = 0; i < value->len; i += 2) {
        char hex[] = {'0', 'x', value->text[i], value->text[i + 1], '\0'};
        uint64_t byte;
        if (json_get_hex(&(struct json_value){JSON_TEXT, hex, 4}, &byte) < 0)
            return -EINVAL;
        event->data[i / 2] = (uint8_t)byte;
    }
    event->data_len = (uint8_t)(value->len / 2);
    return 0;
}

static int set_registers(struct trace_event *event, const struct json_value *value)
{
    uint64_t number[17] = {0};
    unsigned count = 0;
    bool digit_before = false;

    if (value->type != JSON_TEXT)
        return -EINVAL;
    for (size_t i = 0; i < value->len; i++) {
        char c = value->text[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (digit != (c != ' ') || (digit && !digit_before && count++ == 17))
            return -EINVAL;
        if (digit)
            number[count - 1] =
                number[count - 1] << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        digit_before = digit;
    }
    memcpy(event->registers.gpr, number, sizeof(event->registers.gpr));
    event->registers.rflags = number[16];
    event->has_registers = true;
    return count == 17 ? 0 : -EINVAL;
}

enum member {
    KIND,
    VCPU,
    START,
    GUEST,
    VMM,
    ADDR,
    SIZE,
    COUNT,
    DATA,
    DETAIL,
    WHAT,
    RAW,
    DEVICE,
    REG,
    RIP,
    SYMBOL,
    OFFSET,
    FILE_NAME,
    LINE,
    INSN,
    REMARK,
    TEXT,
    REGISTERS,
    END,
    MEMBERS
};

static int set_number(struct jsonl_reader *reader, enum member member,
                      const struct json_value *value)
{
    struct trace_event *event = &reader->event;
    uint64_t number = 0;
    int r = 0;

    switch (member) {
    case VCPU:
        r = json_get_number(value, reader->header.vcpus - 1, &number);
        event->vcpu = (unsigned)number;
        return r;
    case START:
        return json_get_number(value, JSONL_TIME_MAX, &event->start_ns);
    case GUEST:
        return json_get_number(value, JSONL_TIME_MAX, &event->guest_ns);
    case VMM:
        return json_get_number(value, JSONL_TIME_MAX, &event->vmm_ns);
    case SIZE:
        r = json_get_number(value, 8, &number);
        event->size = (uint8_t)number;
        return r;
    case COUNT:
        r = json_get_number(value, UINT32_MAX, &number);
        event->count = (uint32_t)number;
        return r;
    case OFFSET:
        return json_get_number(value, UINT64_MAX, &reader->item.symbol_offset);
    default:
        r = json_get_number(value, UINT32_MAX, &number);
        reader->item.line = (unsigned)number;
        return r;
    }
}

static int set_member(struct jsonl_reader *reader, enum member member, struct json_value *value)
{
    struct trace_event *event = &reader->event;
    struct trace_item *item = &reader->item;

    switch (member) {
    case KIND:
        return set_kind(reader, value);
    case ADDR:
        return json_get_hex(value, &event->addr);
    case DATA:
        return set_data(event, value);
    case DETAIL:
        return json_get_hex(value, &event->detail);
    case WHAT:
        return get_name(reader, value, &event->detail_name);
    case RAW:
        return get_name(reader, value, &event->raw_name);
    case DEVICE:
        return get_name(reader, value, &event->device);
    case REG:
        return get_name(reader, value, &event->reg);
    case RIP:
        return json_get_hex(value, &event->rip);
    case SYMBOL:
        return get_name(reader, value, &item->symbol);
    case FILE_NAME:
        return get_name(reader, value, &item->file);
    case INSN:
        return get_name(reader, value, &item->insn);
    case REMARK:
        item->remark = json_get_text(value);
        return item->remark ? 0 : -EINVAL;
    case TEXT:
        event->text = json_get_text(value);
        return event->text ? 0 : -EINVAL;
    case REGISTERS:
        return set_registers(event, value);
    default:
        return set_number(reader, member, value);
    }
}

static int line_member(void *opaque, const char *key, struct json_value *value)
{
    static const char names[MEMBERS][5] = {
        "k",   "c",   "t",   "g",   "v",   "a",    "n",    "x",    "d",   "i",    "what", "raw",
        "dev", "reg", "rip", "sym", "off", "file", "line", "insn", "rem", "text", "regs", "end"};
    struct jsonl_reader *reader = opaque;
    unsigned member = reader->next;

    if (reader->footer_line)
        return footer_member(reader, key, value);
    /* They come in the table's order. */
    for (unsigned tries = 0; strcmp(names[member], key) != 0; tries++) {
        if (tries == MEMBERS)
            return 0;
        member = (member + 1) % MEMBERS;
    }
    reader->next = (member + 1) % MEMBERS;
    if (member != END)
        return set_member(reader, member, value);
    reader->footer_line = true;
    reader->counted = reader->footer;
    return footer_member(reader, key, value);
}

/* What goes without saying, and what a sink may rely on. */
static int complete_item(struct jsonl_reader *reader)
{
    struct trace_event *event = &reader->event;
    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;

    if (!reader->kind)
        return -EINVAL;
    if (access && event->count == 0)
        event->count = 1;
    if (access && event->size == 0)
        return -EINVAL;
    if (!event->raw_name)
        event->raw_name = reader->kind->raw;
    if (event->kind == VM_EXIT_KERNEL && event->raw_name)
        reader->item.kind = event->raw_name;
    /* No other exit comes from no vCPU: sinks have a place for each. */
    if (event->vcpu == TRACE_NO_VCPU && event->kind != VM_EXIT_NOTE &&
        event->kind != VM_EXIT_KERNEL)
        return -EINVAL;
    return 0;
}

static int read_line(struct jsonl_reader *reader, char *line, size_t len)
{
    reader->event = (struct trace_event){.vcpu = TRACE_NO_VCPU};
    reader->item = (struct trace_item){.event = &reader->event};
    reader->kind = NULL;
    reader->next = 0;
    reader->footer_line = false;
    int r = json_parse(line, len, line_member, reader);
    if (r == 0 && !reader->footer_line)
        return complete_item(reader);
    if (r < 0 && reader->footer_line)
        reader->footer = reader->counted;
    reader->footer.cut = r < 0;
    return r;
}

/* Without a footer, these are all that is known. */
static void count_item(struct jsonl_reader *reader)
{
    const struct trace_event *event = &reader->event;
    uint64_t end = event->start_ns + event->guest_ns + event->vmm_ns;

    reader->items++;
    if (event->kind != VM_EXIT_NOTE && event->kind != VM_EXIT_KERNEL)
        reader->footer.exits++;
    if (end > reader->footer.wall_ns)
        reader->footer.wall_ns = end;
}

/* --- the file ----------------------------------------------------------------------------------- */

int jsonl_open(struct jsonl_reader **out, int fd, const char *name, struct error *err)
{
    struct jsonl_reader *reader = calloc(1, sizeof(*reader));
    int r;

    if (!reader || !(reader->names = names_create())) {
        free(reader);
        return error_set(err, STATUS_INTERNAL, "out of memory for the trace '%s'", name);
    }
    reader->name = name;
    reader->lines.fd = fd;
    reader->footer.end = "unknown";
    reader->footer.cut = true;
    r = read_header(reader, err);
    if (r < 0)
        jsonl_close(reader);
    else
        *out = reader;
    return r;
}

void jsonl_close(struct jsonl_reader *reader)
{
    if (!reader)
        return;
    jsonl_lines_free(&reader->lines);
    names_destroy(reader->names);
    free(reader);
}

const struct trace_header *jsonl_header(const struct jsonl_reader *reader)
{
    return &reader->header;
}

int jsonl_next(struct jsonl_reader *reader, struct trace_item *item, struct error *err)
{
    for (;;) {
        char *line;
        size_t len;
        int r = jsonl_lines_next(&reader->lines, &line, &len);

        if (r < 0)
            return error_set(err, STATUS_IMAGE, "cannot read '%s' at line %llu: %s", reader->name,
                             (unsigned long long)reader->lines.number + 1, strerror(-r));
        if (r == 0)
            return 0;
        if (!reader->footer.cut) {
            reader->more = true;
            return 0;
        }
        r = read_line(reader, line, len);
        if (r == 0 && reader->footer.cut) {
            count_item(reader);
            *item = reader->item;
            return 1;
        }
        if (r < 0 && reader->damaged++ == 0)
            reader->first_damaged = reader->lines.number;
    }
}

const struct trace_footer *jsonl_footer(const struct jsonl_reader *reader)
{
    return &reader->footer;
}

const char *jsonl_complaint(struct jsonl_reader *reader)
{
    char ending[160] = "", damaged[120] = "";

    if (reader->damaged > 0)
        snprintf(damaged, sizeof(damaged),
                 "; %llu damaged line%s passed over, the first is line %llu",
                 (unsigned long long)reader->damaged, reader->damaged == 1 ? " was" : "s were",
                 (unsigned long long)reader->first_damaged);
    if (reader->footer.cut)
        snprintf(
            ending, sizeof(ending),
            "; the last line is missing: the run was killed or goes on, or the file was cut off");
    else if (reader->more)
        snprintf(ending, sizeof(ending), "; there is more behind the last line");
    if (!ending[0] && !damaged[0])
        return NULL;
    snprintf(reader->complaint, sizeof(reader->complaint),
             "'%s' is not whole: shown are %llu events%s%s", reader->name,
             (unsigned long long)reader->items, ending, damaged);
    return reader->complaint;
}
