/*
 * summary.c: where the exits went, added up by kind of exit and by device register.
 *
 * An event is added to one row, found by hashing the kind and the two name pointers, which are
 * static strings. The table has a fixed size; when it is full, new registers share the row of
 * their kind, so that the sums by kind stay right.
 */
#include "summary.h"

#include "histogram.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS (VM_EXIT_KINDS * 4) /* kind of exit, read or write, single or string */
#define ROWS  256                 /* registers told apart */
#define SLOTS 1024                /* hash table: a power of two, well above ROWS */

struct row {
    unsigned kind; /* below KINDS */
    bool others;   /* what found no row of its own */
    const char *device, *reg;
    struct histogram guest, vmm;
};

struct summary {
    uint16_t slot[SLOTS]; /* number of a row; 0: free */
    unsigned rows;        /* used; the first KINDS rows are each kind's "others" */
    struct row row[KINDS + ROWS];
};

/* Memory from calloc() costs nothing before it is touched: a row takes 10 KiB. */
struct summary *summary_create(void)
{
    struct summary *summary = calloc(1, sizeof(*summary));

    if (summary)
        summary->rows = KINDS;
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

static const char *kind_name(unsigned kind)
{
    struct vm_exit exit = {.kind = kind / 4, .write = kind & 2, .count = kind & 1 ? 2 : 1};

    return vm_exit_kind_name(&exit);
}

static struct row *find_row(struct summary *summary, unsigned kind, const char *device,
                            const char *reg)
{
    uint64_t hash = ((uint64_t)(uintptr_t)device * 31 + (uintptr_t)reg) * 31 + kind;
    unsigned i = (unsigned)((hash * 0x9e3779b97f4a7c15ull) >> 54) % SLOTS;

    for (; summary->slot[i] != 0; i = (i + 1) % SLOTS) {
        struct row *row = &summary->row[summary->slot[i]];
        if (row->kind == kind && row->device == device && row->reg == reg)
            return row;
    }
    if (summary->rows == KINDS + ROWS) {
        summary->row[kind].kind = kind;
        summary->row[kind].others = true;
        return &summary->row[kind];
    }
    summary->slot[i] = (uint16_t)summary->rows;
    struct row *row = &summary->row[summary->rows++];
    row->kind = kind;
    row->device = device;
    row->reg = reg;
    return row;
}

void summary_add(struct summary *summary, const struct trace_event *event)
{
    if (event->kind == VM_EXIT_NOTE || event->kind == VM_EXIT_KERNEL)
        return; /* no exit */

    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;
    struct row *row = find_row(summary, kind_of(event), access ? event->device : event->raw_name,
                               access ? event->reg : event->detail_name);

    histogram_add(&row->guest, event->guest_ns);
    histogram_add(&row->vmm, event->vmm_ns);
}

/* VALUE with DIGITS (2 or 3) significant digits and one of four units, each 1000 of the last. */
static void format_scaled(char *out, size_t size, double value, int digits,
                          const char *const unit[4])
{
    unsigned i = 0;

    while (i < 3 && value >= 999.5) {
        value /= 1000;
        i++;
    }
    int decimals = digits - (value >= 99.95 ? 3 : value >= 9.995 ? 2 : 1);
    snprintf(out, size, "%.*f%s", i == 0 || decimals < 0 ? 0 : decimals, value, unit[i]);
}

static void format_ns(char *out, size_t size, uint64_t ns, int digits)
{
    format_scaled(out, size, (double)ns, digits, (const char *const[]){"ns", "us", "ms", "s"});
}

static void format_rate(char *out, size_t size, double rate)
{
    format_scaled(out, size, rate, 3, (const char *const[]){"", "k", "M", "G"});
}

/* Percentiles are known to 3 %: two digits, but never above the maximum, which is exact. */
static void format_percentile(char *out, size_t size, const struct histogram *h, unsigned permille)
{
    uint64_t value = histogram_percentile(h, permille), step = 1;

    while (value / step >= 100)
        step *= 10;
    value = (value + step / 2) / step * step;
    if (value > h->max)
        format_ns(out, size, h->max, 3);
    else
        format_ns(out, size, value, 2);
}

static void print_times(FILE *out, const struct histogram *h)
{
    char total[16], mean[16], p50[16], p99[16], max[16];

    format_ns(total, sizeof(total), h->sum, 3);
    format_ns(mean, sizeof(mean), h->count ? h->sum / h->count : 0, 3);
    format_percentile(p50, sizeof(p50), h, 500);
    format_percentile(p99, sizeof(p99), h, 990);
    format_ns(max, sizeof(max), h->max, 3);
    fprintf(out, " %6s %6s %6s %6s %6s", total, mean, p50, p99, max);
}

static void print_row(FILE *out, const char *name, uint64_t all, const struct histogram *guest,
                      const struct histogram *vmm)
{
    fprintf(out, "%-32s %8" PRIu64 " %5.1f%%", name, guest->count,
            100.0 * (double)guest->count / (double)all);
    print_times(out, guest);
    fprintf(out, "  ");
    print_times(out, vmm);
    fprintf(out, "\n");
}

static void print_head(FILE *out, const char *by)
{
    fprintf(out, "\n%-48s  ------- guest and KVM --------    ---------- kvmlens -----------\n", "");
    fprintf(out, "%-32s %8s %6s", by, "exits", "share");
    for (int i = 0; i < 2; i++)
        fprintf(out, "%s %6s %6s %6s %6s %6s", i ? "  " : "", "total", "mean", "p50", "p99", "max");
    fprintf(out, "\n");
}

static int by_total(const void *left, const void *right)
{
    const struct row *const *l = left, *const *r = right;
    uint64_t a = (*l)->guest.sum + (*l)->vmm.sum, b = (*r)->guest.sum + (*r)->vmm.sum;

    return a < b ? 1 : a > b ? -1 : 0;
}

static void print_kinds(FILE *out, const struct summary *summary, struct row *kinds)
{
    struct row *order[KINDS], *all = &kinds[KINDS];
    unsigned count = 0;

    for (unsigned i = 0; i < summary->rows; i++) {
        const struct row *row = &summary->row[i];
        if (row->guest.count == 0)
            continue;
        kinds[row->kind].kind = row->kind;
        histogram_merge(&kinds[row->kind].guest, &row->guest);
        histogram_merge(&kinds[row->kind].vmm, &row->vmm);
        histogram_merge(&all->guest, &row->guest);
        histogram_merge(&all->vmm, &row->vmm);
    }
    for (unsigned i = 0; i < KINDS; i++) {
        if (kinds[i].guest.count > 0)
            order[count++] = &kinds[i];
    }
    qsort(order, count, sizeof(order[0]), by_total);
    print_head(out, "by kind of exit");
    for (unsigned i = 0; i < count; i++)
        print_row(out, kind_name(order[i]->kind), all->guest.count, &order[i]->guest,
                  &order[i]->vmm);
    print_row(out, "all", all->guest.count, &all->guest, &all->vmm);
}

static void print_registers(FILE *out, const struct summary *summary, uint64_t all)
{
    const struct row *order[KINDS + ROWS];
    unsigned count = 0;
    bool others = false;

    for (unsigned i = 0; i < summary->rows; i++) {
        const struct row *row = &summary->row[i];
        enum vm_exit_kind kind = row->kind / 4;
        /* Other kinds have no register to tell apart, unless KVM has no name of ours for them. */
        if (row->guest.count == 0 || (kind > VM_EXIT_MMIO && kind != VM_EXIT_OTHER))
            continue;
        order[count++] = row;
        others = others || row->others;
    }
    if (count == 0)
        return;
    qsort(order, count, sizeof(order[0]), by_total);
    print_head(out, "by device register");
    for (unsigned i = 0; i < count; i++) {
        const char *device = order[i]->others   ? "(others)"
                             : order[i]->device ? order[i]->device
                                                : "nobody";
        const char *reg = order[i]->reg ? order[i]->reg : "";
        char name[80];
        snprintf(name, sizeof(name), "%s%s%s, %s", device, *reg ? " " : "", reg,
                 kind_name(order[i]->kind));
        print_row(out, name, all, &order[i]->guest, &order[i]->vmm);
    }
    if (others)
        fprintf(out, "(others): more than %d registers were used; the rest share these lines\n",
                ROWS);
}

static void print_report(FILE *out, const struct summary *summary, struct row *kinds,
                         uint64_t wall_ns)
{
    uint64_t count = 0;
    char wall[16], rate[16];

    for (unsigned i = 0; i < summary->rows; i++)
        count += summary->row[i].guest.count;
    format_ns(wall, sizeof(wall), wall_ns, 3);
    fprintf(out, "%" PRIu64 " exit%s to kvmlens in %s", count, count == 1 ? "" : "s", wall);
    if (count == 0) {
        fprintf(out, ": the guest never needed it\n");
        return;
    }
    format_rate(rate, sizeof(rate), (double)count * 1e9 / (double)(wall_ns ? wall_ns : 1));
    fprintf(out,
            ", %s a second. What KVM handles by itself (PIC, I/O APIC, local APIC,\n"
            "PIT, HLT, page faults, MSRs, ...) never comes here and is not counted.\n",
            rate);
    print_kinds(out, summary, kinds);
    print_registers(out, summary, count);
}

char *summary_text(const struct summary *summary, uint64_t wall_ns, size_t *len)
{
    struct row *kinds = calloc(KINDS + 1, sizeof(*kinds)); /* the last one: all together */
    char *text = NULL;
    FILE *out = kinds ? open_memstream(&text, len) : NULL;

    if (out)
        print_report(out, summary, kinds, wall_ns);
    free(kinds);
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
