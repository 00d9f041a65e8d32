/*
 * summary.c: where the exits went, added up by kind of exit, by device register and by guest symbol.
 *
 * An event is added to one row, found by hashing the kind and the two name pointers, which are
 * static strings. The table has a fixed size; when it is full, new registers share the row of
 * their kind, so that the sums by kind stay right.
 */
#include "summary_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Memory from calloc() costs nothing before it is touched: a row takes 10 KiB. */
struct summary *summary_create(void)
{
    struct summary *summary = calloc(1, sizeof(*summary));

    if (!summary)
        return NULL;
    summary->rows = SUMMARY_KINDS;
    summary->other_code.name = "(elsewhere)";
    return summary;
}

void summary_destroy(struct summary *summary)
{
    free(summary);
}

static unsigned kind_of(const struct trace_event *event)
{
    return (unsigned)event->kind * 4 + (event->write ? 2 : 0) + (event->count > 1 ? 1 : 0);
}

const char *summary_kind_name(unsigned kind)
{
    struct vm_exit exit = {.kind = kind / 4, .write = kind & 2, .count = kind & 1 ? 2 : 1};

    return vm_exit_kind_name(&exit);
}

bool summary_is_exit(const struct summary_row *row)
{
    return row->guest.count > 0 && row->kind / 4 != VM_EXIT_KERNEL;
}

bool summary_has_register(const struct summary_row *row)
{
    enum vm_exit_kind kind = row->kind / 4;

    return summary_is_exit(row) && (kind <= VM_EXIT_MMIO || kind == VM_EXIT_OTHER);
}

void summary_row_name(const struct summary_row *row, char name[SUMMARY_NAME])
{
    const char *device = row->others ? "(others)" : row->device ? row->device : "nobody";
    bool mmio = row->kind / 4 == VM_EXIT_MMIO;
    const char *kind = !mmio ? summary_kind_name(row->kind) : row->kind & 2 ? "write" : "read";

    snprintf(name, SUMMARY_NAME, "%s%s%s, %s", device, row->reg ? " " : "",
             row->reg ? row->reg : "", kind);
}

static uint64_t hash_of(uint64_t key)
{
    return key * 0x9e3779b97f4a7c15ull >> 40;
}

static struct summary_row *find_row(struct summary *summary, unsigned kind, const char *device,
                                    const char *reg)
{
    uint64_t key = ((uint64_t)(uintptr_t)device * 31 + (uintptr_t)reg) * 31 + kind;
    unsigned i = (unsigned)hash_of(key) % SUMMARY_SLOTS;

    for (; summary->slot[i] != 0; i = (i + 1) % SUMMARY_SLOTS) {
        struct summary_row *row = &summary->row[summary->slot[i]];
        if (row->kind == kind && row->device == device && row->reg == reg)
            return row;
    }
    if (summary->rows == SUMMARY_KINDS + SUMMARY_ROWS) {
        summary->row[kind].kind = kind;
        summary->row[kind].others = true;
        return &summary->row[kind];
    }
    summary->slot[i] = (uint16_t)summary->rows;
    struct summary_row *row = &summary->row[summary->rows++];
    row->kind = kind;
    row->device = device;
    row->reg = reg;
    return row;
}

static struct summary_symbol *find_symbol(struct summary *summary, const char *name)
{
    unsigned i = (unsigned)hash_of((uintptr_t)name) % SUMMARY_SYMBOLS;

    if (!name)
        return &summary->other_code;
    for (; summary->symbol[i].name; i = (i + 1) % SUMMARY_SYMBOLS)
        if (summary->symbol[i].name == name)
            return &summary->symbol[i];
    /* A quarter stays free, so that a search ends soon. */
    if (summary->symbols == SUMMARY_SYMBOLS / 4 * 3)
        return &summary->other_code;
    summary->symbols++;
    summary->symbol[i].name = name;
    return &summary->symbol[i];
}

void summary_add(struct summary *summary, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;

    if (event->kind == VM_EXIT_NOTE)
        return; /* no exit */

    struct summary_row *row =
        find_row(summary, kind_of(event), access ? event->device : event->raw_name,
                 access ? event->reg : event->detail_name);
    uint64_t guest_ns = event->guest_ns - item->stopped_guest_ns;
    uint64_t vmm_ns = event->vmm_ns - item->stopped_vmm_ns;

    histogram_add(&row->guest, guest_ns);
    histogram_add(&row->vmm, vmm_ns);
    if (event->kind == VM_EXIT_KERNEL)
        return;

    struct summary_symbol *symbol = find_symbol(summary, item->symbol);
    symbol->count++;
    symbol->ns += guest_ns + vmm_ns;
}

/* --- figures ------------------------------------------------------------------------------------ */

void summary_format(char *out, size_t size, double value, int digits, const char *const unit[4])
{
    double step = 1; /* of the last digit that counts */
    unsigned i = 0;
    int decimals = 0;

    for (double limit = digits == 2 ? 99.5 : 999.5; value / step >= limit; step *= 10)
        ;
    value = step * (double)(uint64_t)(value / step + 0.5);
    while (i < 3 && value >= 1000) {
        value /= 1000;
        i++;
    }
    if (i > 0)
        decimals = digits - (value >= 100 ? 3 : value >= 10 ? 2 : 1);
    snprintf(out, size, "%.*f%s", decimals < 0 ? 0 : decimals, value, unit[i]);
}

void summary_format_rate(char *out, size_t size, double rate)
{
    summary_format(out, size, rate, 3, (const char *const[]){"", "k", "M", "G"});
}
