/*
 * html_block.c: the events of the page, in columns (see html_internal.h).
 */
#include "html_internal.h"

#include "explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for LEN more bytes at the end of B, or NULL, and the error is remembered. */
static unsigned char *grow(struct html_blocks *blocks, struct html_bytes *b, size_t len)
{
    if (b->room - b->used < len) {
        size_t room = 2 * b->room + len + 1024;
        unsigned char *bytes = realloc(b->bytes, room);
        if (!bytes) {
            blocks->error = -ENOMEM;
            return NULL;
        }
        b->bytes = bytes;
        b->room = room;
    }
    return b->bytes + b->used;
}

static void append(struct html_blocks *blocks, struct html_bytes *b, const void *bytes, size_t len)
{
    unsigned char *end = grow(blocks, b, len);

    if (end && len > 0) {
        memcpy(end, bytes, len);
        b->used += len;
    }
}

static void number(struct html_blocks *blocks, struct html_bytes *b, uint64_t value)
{
    unsigned char *end = grow(blocks, b, 10);

    if (!end)
        return;
    for (; value >= 0x80; value >>= 7, b->used++)
        *end++ = (unsigned char)(value | 0x80);
    *end = (unsigned char)value;
    b->used++;
}

static void put(struct html_blocks *blocks, enum html_column column, uint64_t value)
{
    number(blocks, &blocks->column[column], value);
}

/* FNV-1a, in words where it can be. */
static uint32_t hash_of(const void *key, size_t len)
{
    const unsigned char *bytes = key;
    uint64_t hash = 0xcbf29ce484222325;

    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0x100000001b3;
        hash ^= hash >> 32;
    }
    for (; len > 0; len--, bytes++)
        hash = (hash ^ *bytes) * 0x100000001b3;
    return (uint32_t)(hash ^ hash >> 32);
}

/* The number of KEY; *FRESH tells whether it is new. */
static uint32_t table_find(struct html_blocks *blocks, struct html_table *table, const void *key,
                           size_t len, bool *fresh)
{
    uint32_t hash = hash_of(key, len), at = hash % HTML_TABLE_SLOTS;
    struct html_slot *slot;

    for (; (slot = &table->slot[at])->number != 0; at = (at + 1) % HTML_TABLE_SLOTS) {
        if (slot->hash == hash && slot->len == len &&
            memcmp(table->keys.bytes + slot->key, key, len) == 0) {
            *fresh = false;
            return slot->number;
        }
    }
    *fresh = true;
    table->last++;
    if (table->used < HTML_TABLE_ENTRIES && table->keys.used < UINT32_MAX / 2) {
        *slot = (struct html_slot){hash, table->last, (uint32_t)table->keys.used, (uint32_t)len};
        append(blocks, &table->keys, key, len);
        if (blocks->error != 0)
            slot->number = 0;
        table->used++;
    }
    return table->last;
}

uint64_t html_string(struct html_blocks *blocks, const char *text)
{
    bool fresh;

    if (!text)
        return 0;
    size_t len = strlen(text) + 1;
    uint32_t found = table_find(blocks, &blocks->strings, text, len, &fresh);
    if (fresh)
        append(blocks, &blocks->column[HTML_STRINGS], text, len);
    return found;
}

static void put_string(struct html_blocks *blocks, enum html_column column, const char *text)
{
    put(blocks, column, html_string(blocks, text));
}

/* The page's number of the explanation of NAME ("out", "serial THR"); 0: there is none. */
static uint32_t find_why(struct html_blocks *blocks, const char *name)
{
    const struct explanation *why = name ? explain_find(name) : NULL;

    if (!why)
        return 0;
    uint32_t *seen = &blocks->why[why - explanations];
    if (*seen == 0) {
        *seen = ++blocks->whys;
        put_string(blocks, HTML_WHY_NAME, why->name);
        put_string(blocks, HTML_WHY_CAUSE, why->cause);
        put_string(blocks, HTML_WHY_EFFECT, why->effect);
        put_string(blocks, HTML_WHY_SOURCE, why->source);
    }
    return *seen;
}

static uint32_t find_why_device(struct html_blocks *blocks, const char *device, const char *reg)
{
    char name[128];

    if (!device || !reg)
        return find_why(blocks, device);
    int len = snprintf(name, sizeof(name), "%s %s", device, reg);
    return len > 0 && (size_t)len < sizeof(name) ? find_why(blocks, name) : 0;
}

static enum html_family family_of(enum vm_exit_kind kind)
{
    switch (kind) {
    case VM_EXIT_PIO:
        return HTML_PIO;
    case VM_EXIT_MMIO:
        return HTML_MMIO;
    case VM_EXIT_SHUTDOWN:
    case VM_EXIT_INTERNAL_ERROR:
    case VM_EXIT_FAIL_ENTRY:
        return HTML_FAILURE;
    case VM_EXIT_NOTE:
        return HTML_NOTE;
    case VM_EXIT_KERNEL:
        return HTML_KERNEL;
    default:
        return HTML_CPU;
    }
}

/* Names are compared as pointers, and this is fast; two that are equal make two rows, which the page
 * takes for one. */
static uint32_t find_what(struct html_blocks *blocks, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    struct {
        const char *kind, *device, *reg, *detail_name, *raw;
        uint64_t addr, detail;
        uint32_t size, count;
    } key = {item->kind,  event->device, event->reg,  event->detail_name, event->raw_name,
             event->addr, event->detail, event->size, event->count};
    bool fresh;
    uint32_t found = table_find(blocks, &blocks->whats, &key, sizeof(key), &fresh);

    if (!fresh)
        return found;
    put(blocks, HTML_WHAT_FAMILY, family_of(event->kind));
    put_string(blocks, HTML_WHAT_KIND, key.kind);
    put_string(blocks, HTML_WHAT_DEVICE, key.device);
    put_string(blocks, HTML_WHAT_REG, key.reg);
    put(blocks, HTML_WHAT_ADDR, key.addr);
    put(blocks, HTML_WHAT_SIZE, key.size);
    put(blocks, HTML_WHAT_COUNT, key.count);
    put(blocks, HTML_WHAT_DETAIL, key.detail);
    put_string(blocks, HTML_WHAT_DETAIL_NAME, key.detail_name);
    put_string(blocks, HTML_WHAT_RAW, key.raw);
    put(blocks, HTML_WHAT_WHY_KIND, find_why(blocks, key.kind));
    put(blocks, HTML_WHAT_WHY_REG, find_why_device(blocks, key.device, key.reg));
    return found;
}

static uint32_t find_place(struct html_blocks *blocks, const struct trace_item *item)
{
    struct {
        const char *symbol, *file, *insn;
        uint64_t rip, offset, line;
    } key = {item->symbol,     item->file,          item->insn,
             item->event->rip, item->symbol_offset, item->line};
    bool fresh;
    uint32_t found = table_find(blocks, &blocks->places, &key, sizeof(key), &fresh);

    if (!fresh)
        return found;
    put(blocks, HTML_PLACE_RIP, key.rip);
    put_string(blocks, HTML_PLACE_SYMBOL, key.symbol);
    put(blocks, HTML_PLACE_OFFSET, key.offset);
    put_string(blocks, HTML_PLACE_FILE, key.file);
    put(blocks, HTML_PLACE_LINE, key.line);
    put_string(blocks, HTML_PLACE_INSN, key.insn);
    return found;
}

static void put_registers(struct html_blocks *blocks, const struct trace_event *event)
{
    uint64_t differ[17], mask = 1u << 17;

    if (!event->has_registers) {
        put(blocks, HTML_REGISTERS, 0);
        return;
    }
    for (unsigned i = 0; i < 17; i++) {
        uint64_t value = i < 16 ? event->registers.gpr[i] : event->registers.rflags;
        differ[i] = value ^ blocks->registers[i];
        blocks->registers[i] = value;
        mask |= differ[i] != 0 ? 1u << i : 0;
    }
    put(blocks, HTML_REGISTERS, mask);
    for (unsigned i = 0; i < 17; i++) {
        if (differ[i] != 0)
            put(blocks, HTML_REGISTERS, differ[i]);
    }
}

int html_blocks_add(struct html_blocks *blocks, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    uint64_t later = event->start_ns - blocks->start_ns, zigzag = later << 1;
    unsigned data_len = event->data_len < TRACE_DATA_MAX ? event->data_len : TRACE_DATA_MAX;

    blocks->start_ns = event->start_ns;
    put(blocks, HTML_START, later >> 63 ? ~zigzag : zigzag);
    put(blocks, HTML_GUEST, event->guest_ns);
    put(blocks, HTML_VMM, event->vmm_ns);
    put(blocks, HTML_VCPU, event->vcpu == TRACE_NO_VCPU ? 0 : (uint64_t)event->vcpu + 1);
    put(blocks, HTML_WHAT, find_what(blocks, item));
    put(blocks, HTML_PLACE, find_place(blocks, item));
    put_string(blocks, HTML_TEXT, event->text);
    put_string(blocks, HTML_REMARK, item->remark);
    put(blocks, HTML_DATA_LEN, data_len);
    append(blocks, &blocks->column[HTML_DATA], event->data, data_len);
    put_registers(blocks, event);
    if (blocks->error == 0 && ++blocks->events == HTML_BLOCK_EVENTS)
        return html_blocks_write(blocks);
    return blocks->error;
}

/* Base64 (RFC 4648, section 4). */
static void write_base64(struct html_blocks *blocks, const unsigned char *bytes, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[4096];
    size_t used = 0;

    for (size_t i = 0; i < len; i += 3) {
        unsigned left = len - i < 3 ? (unsigned)(len - i) : 3;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        text[used++] = digit[three >> 18];
        text[used++] = digit[three >> 12 & 63];
        text[used++] = '=';
        text[used++] = '=';
        if (left > 1)
            text[used - 2] = digit[three >> 6 & 63];
        if (left > 2)
            text[used - 1] = digit[three & 63];
        if (used == sizeof(text) || i + 3 >= len) {
            trace_buffer_add(blocks->out, text, used);
            used = 0;
        }
    }
}

int html_blocks_write(struct html_blocks *blocks)
{
    blocks->raw.used = 0;
    for (unsigned i = 0; i < HTML_COLUMNS; i++) {
        number(blocks, &blocks->raw, blocks->column[i].used);
        append(blocks, &blocks->raw, blocks->column[i].bytes, blocks->column[i].used);
        blocks->column[i].used = 0;
    }
    blocks->events = 0;
    memset(blocks->registers, 0, sizeof(blocks->registers));
    if (blocks->error != 0)
        return blocks->error;
    trace_buffer_print(blocks->out, "<script type=\"application/x-kvmlens-block\">");
    write_base64(blocks, blocks->raw.bytes, blocks->raw.used);
    blocks->error = trace_buffer_print(blocks->out, "</script>\n");
    return blocks->error;
}

int html_blocks_init(struct html_blocks *blocks, struct trace_buffer *out)
{
    size_t count = 0;

    while (explanations[count].name)
        count++;
    *blocks = (struct html_blocks){.out = out};
    blocks->strings.slot = calloc(HTML_TABLE_SLOTS, sizeof(struct html_slot));
    blocks->whats.slot = calloc(HTML_TABLE_SLOTS, sizeof(struct html_slot));
    blocks->places.slot = calloc(HTML_TABLE_SLOTS, sizeof(struct html_slot));
    blocks->why = calloc(count + 1, sizeof(*blocks->why));
    return blocks->strings.slot && blocks->whats.slot && blocks->places.slot && blocks->why
               ? 0
               : -ENOMEM;
}

static void table_destroy(struct html_table *table)
{
    free(table->slot);
    free(table->keys.bytes);
}

void html_blocks_destroy(struct html_blocks *blocks)
{
    table_destroy(&blocks->strings);
    table_destroy(&blocks->whats);
    table_destroy(&blocks->places);
    free(blocks->why);
    for (unsigned i = 0; i < HTML_COLUMNS; i++)
        free(blocks->column[i].bytes);
    free(blocks->raw.bytes);
}
