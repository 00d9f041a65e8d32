/*
 * live_draw.c: the picture of -trace live (see live.h), in the control sequences that all terminals
 * know (ECMA-48).
 */
#include "live.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX   256
#define FIGURES    52 /* columns behind the name */
#define NAME_MAX   48
#define HEAD_LINES 3
#define MIN_SPLIT  14 /* lines of a window that shows two tables */

#define BOLD    "\033[1m"
#define REVERSE "\033[7m"
#define PLAIN   "\033[0m"

struct picture {
    FILE *out;
    const struct live *live;
    unsigned line; /* the next one; none beyond the window is written */
};

/* The last column stays free: on a terminal that has just written there, "erase to the end of the
 * line" takes that character away. */
static unsigned room(const struct live *live)
{
    return live->columns > 1 ? live->columns - 1 : 1;
}

/* One line in STYLE (or NULL), cut at the window's width; what a terminal would obey is not let
 * through. */
__attribute__((format(printf, 3, 4))) static void put(struct picture *p, const char *style,
                                                      const char *format, ...)
{
    char text[LINE_MAX];
    va_list args;

    if (p->line >= p->live->lines)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (room(p->live) < sizeof(text))
        text[room(p->live)] = '\0';
    for (char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    if (!p->live->colour)
        style = NULL;
    fprintf(p->out, "%s%s%s%s\033[K", p->line > 0 ? "\r\n" : "", style ? style : "", text,
            style ? PLAIN : "");
    p->line++;
}

static void format_ns(char *out, size_t size, uint64_t ns, uint64_t count)
{
    if (count == 0)
        snprintf(out, size, "-");
    else
        summary_format(out, size, (double)ns / (double)count, 2,
                       (const char *const[]){"ns", "us", "ms", "s"});
}

static double per_second(const struct live *live, uint64_t count)
{
    return live->period_ns ? (double)count * 1e9 / (double)live->period_ns : 0;
}

/* In percent of the time that all vCPUs had. An exit counts where it ends, so that a period may have
 * some of what was before it: no more than all is said. */
static double share_of_time(const struct live *live, uint64_t ns)
{
    unsigned vcpus = live->header.vcpus ? live->header.vcpus : 1;
    double share = live->period_ns ? 100.0 * (double)ns / (double)live->period_ns / vcpus : 0;

    return share < 100 ? share : 100;
}

/* --- the tables --------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    const struct live_entry *l = left, *r = right;

    return strcmp(l->name, r->name);
}

static int by_numbers(uint64_t l, uint64_t r, uint64_t all_l, uint64_t all_r)
{
    return l != r ? (l < r ? 1 : -1) : all_l != all_r ? (all_l < all_r ? 1 : -1) : 0;
}

static int by_rate(const void *left, const void *right)
{
    const struct live_entry *l = left, *r = right;
    int order = by_numbers(l->count, r->count, l->total, r->total);

    return order ? order : by_name(l, r);
}

static int by_cost(const void *left, const void *right)
{
    const struct live_entry *l = left, *r = right;
    int order = by_numbers(l->guest_ns + l->vmm_ns, r->guest_ns + r->vmm_ns, l->total, r->total);

    return order ? order : by_name(l, r);
}

static void add_figures(struct live_entry *entry, uint64_t total, const struct live_figures *f)
{
    entry->total += total;
    entry->count += f->count;
    entry->guest_ns += f->guest_ns;
    entry->vmm_ns += f->vmm_ns;
}

static unsigned list_kinds(struct live *live)
{
    struct live_entry *entry = live->entry;
    unsigned count = 0;

    memset(entry, 0, SUMMARY_KINDS * sizeof(*entry));
    for (unsigned i = 0; i < live->summary->rows; i++) {
        const struct summary_row *row = &live->summary->row[i];
        if (summary_is_exit(row))
            add_figures(&entry[row->kind], live->row[i].seen_count, &live->row[i]);
    }
    for (unsigned kind = 0; kind < SUMMARY_KINDS; kind++) {
        if (entry[kind].total == 0)
            continue;
        snprintf(entry[kind].name, SUMMARY_NAME, "%s", summary_kind_name(kind));
        entry[count++] = entry[kind];
    }
    return count;
}

static unsigned list_registers(struct live *live)
{
    unsigned count = 0;

    for (unsigned i = 0; i < live->summary->rows; i++) {
        const struct summary_row *row = &live->summary->row[i];
        struct live_entry *entry = &live->entry[count];
        if (!summary_has_register(row) || live->row[i].seen_count == 0)
            continue;
        *entry = (struct live_entry){.total = 0};
        summary_row_name(row, entry->name);
        add_figures(entry, live->row[i].seen_count, &live->row[i]);
        count++;
    }
    return count;
}

static unsigned list_symbols(struct live *live)
{
    unsigned count = 0;

    for (unsigned i = 0; i <= SUMMARY_SYMBOLS; i++) {
        const struct summary_symbol *symbol =
            i < SUMMARY_SYMBOLS ? &live->summary->symbol[i] : &live->summary->other_code;
        struct live_entry *entry = &live->entry[count];
        if (!symbol->name || live->symbol[i].seen_count == 0)
            continue;
        *entry = (struct live_entry){.total = 0};
        snprintf(entry->name, SUMMARY_NAME, "%s", symbol->name);
        add_figures(entry, live->symbol[i].seen_count, &live->symbol[i]);
        count++;
    }
    return count;
}

static void put_entry(struct picture *p, int width, const struct live_entry *entry, uint64_t all,
                      bool split)
{
    char rate[16], total[16], guest[16], vmm[16] = "";

    summary_format_rate(rate, sizeof(rate), per_second(p->live, entry->count));
    summary_format_rate(total, sizeof(total), (double)entry->total);
    format_ns(guest, sizeof(guest), entry->guest_ns, entry->count);
    if (split)
        format_ns(vmm, sizeof(vmm), entry->vmm_ns, entry->count);
    put(p, NULL, "%-*.*s %8s %5.1f%% %8s %10s %8s %5.1f%%", width, width, entry->name, rate,
        all ? 100.0 * (double)entry->count / (double)all : 0, total, guest, vmm,
        share_of_time(p->live, entry->guest_ns + entry->vmm_ns));
}

/* A table of at most LINES lines with its head. */
static void put_table(struct picture *p, struct live *live, enum live_view view, unsigned lines)
{
    static const char *const title[] = {
        [LIVE_KINDS] = "kind of exit",
        [LIVE_REGISTERS] = "device register",
        [LIVE_SYMBOLS] = "guest symbol",
    };
    unsigned count = view == LIVE_KINDS       ? list_kinds(live)
                     : view == LIVE_REGISTERS ? list_registers(live)
                                              : list_symbols(live);
    int width = room(live) > FIGURES + NAME_MAX ? NAME_MAX
                : room(live) > FIGURES + 10     ? (int)room(live) - FIGURES
                                                : 10;
    bool split = view != LIVE_SYMBOLS;
    uint64_t all = 0;

    for (unsigned i = 0; i < count; i++)
        all += live->entry[i].count;
    qsort(live->entry, count, sizeof(live->entry[0]),
          live->sort == 'n'   ? by_name
          : live->sort == 'c' ? by_cost
                              : by_rate);
    put(p, BOLD, "%-*s %8s %6s %8s %10s %8s %6s", width, title[view], "exits/s", "share", "exits",
        split ? "guest+KVM" : "a time", split ? "kvmlens" : "", "time");
    for (unsigned i = 0; i < count && i + 1 < lines; i++)
        put_entry(p, width, &live->entry[i], all, split);
}

/* --- the whole ---------------------------------------------------------------------------------- */

static void put_head(struct picture *p)
{
    const struct live *live = p->live;
    uint64_t count = 0, guest_ns = 0, vmm_ns = 0;
    char rate[16], total[16], dropped[48] = "";
    double guest, vmm;

    for (unsigned i = 0; i < live->summary->rows; i++) {
        if (!summary_is_exit(&live->summary->row[i]))
            continue;
        count += live->row[i].count;
        guest_ns += live->row[i].guest_ns;
        vmm_ns += live->row[i].vmm_ns;
    }
    /* What is too much was in the guest, usually: an idle one is there for long. */
    vmm = share_of_time(live, vmm_ns);
    guest = share_of_time(live, guest_ns);
    guest = guest < 100 - vmm ? guest : 100 - vmm;
    summary_format_rate(rate, sizeof(rate), per_second(live, count));
    summary_format_rate(total, sizeof(total), (double)live->exits);
    put(p, REVERSE, "kvmlens: %s, %u vCPU%s, %llu s%s",
        live->header.guest ? live->header.guest : "guest", live->header.vcpus,
        live->header.vcpus == 1 ? "" : "s",
        (unsigned long long)((live->refreshed_ns - live->start_ns) / 1000000000),
        live->paused ? ", paused" : "");
    if (live->sink.dropped > 0)
        snprintf(dropped, sizeof(dropped), "; %llu dropped, not counted",
                 (unsigned long long)live->sink.dropped);
    put(p, NULL, "%s exits/s to kvmlens, %s in all; time: guest+KVM %.1f%%, kvmlens %.1f%%%s", rate,
        total, guest, vmm, dropped);
    if (live->no_keys)
        put(p, NULL, "no keys: %s", live->no_keys);
    else
        put(p, NULL,
            "r rate  c cost  n name (by %s)   k kinds, registers, symbols   p pause   q leave",
            live->sort == 'n'   ? "name"
            : live->sort == 'c' ? "cost"
                                : "rate");
}

static void put_tables(struct picture *p, struct live *live)
{
    unsigned lines = live->lines > HEAD_LINES ? live->lines - HEAD_LINES : 0;
    bool symbols = live->summary->symbols > 0;

    if (live->view != LIVE_ALL) {
        put_table(p, live, live->view, lines);
    } else if (live->lines >= MIN_SPLIT && symbols) {
        put_table(p, live, LIVE_REGISTERS, lines - lines / 3);
        /* What the registers leave is the symbols'. */
        put_table(p, live, LIVE_SYMBOLS, live->lines - p->line);
    } else {
        put_table(p, live, LIVE_REGISTERS, lines);
    }
}

char *live_picture(struct live *live, size_t *len)
{
    char *text = NULL;
    struct picture p = {.out = open_memstream(&text, len), .live = live};

    if (!p.out)
        return NULL;
    fprintf(p.out, "\033[H");
    put_head(&p);
    put_tables(&p, live);
    fprintf(p.out, "\033[J");
    if (fclose(p.out) == 0)
        return text;
    free(text);
    return NULL;
}
