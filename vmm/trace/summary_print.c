/*
 * summary_print.c: the summary as text (see summary.h).
 *
 * Figures: counts are exact. Times are known to the clock's cost, percentiles to 3 %, and a mean to
 * its spread: two digits, three for a total; what is shorter than the clock's cost is not told apart.
 */
#include "summary_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH 28
#define TOP        10 /* symbols shown */

#define BOLD  "\033[1m"
#define RED   "\033[31m"
#define PLAIN "\033[0m"

struct report {
    FILE *out;
    const struct summary *summary;
    const struct trace_header *header;
    const struct trace_footer *footer;
    bool colour;
    struct summary_row *kinds; /* SUMMARY_KINDS of them, then all together */
    struct summary_row *all;
};

static const char *style(const struct report *r, const char *code)
{
    return r->colour ? code : "";
}

/* NS with DIGITS digits. */
static void format_ns(const struct report *r, char *out, size_t size, uint64_t ns, int digits)
{
    if (ns > 0 && ns < r->header->clock_ns) {
        /* At most five characters, as any other time. */
        if (r->header->clock_ns < 100)
            snprintf(out, size, "<%uns", r->header->clock_ns);
        else
            snprintf(out, size, "<%uus",
                     r->header->clock_ns < 99000 ? (r->header->clock_ns + 999) / 1000 : 99);
        return;
    }
    if (r->header->clock_ns >= 10 && ns < 1000)
        ns = (ns + 5) / 10 * 10;
    summary_format(out, size, (double)ns, digits, (const char *const[]){"ns", "us", "ms", "s"});
}

/* --- the tables of times ------------------------------------------------------------------------ */

static void print_times(const struct report *r, const struct histogram *h)
{
    static const unsigned permille[] = {500, 950, 990};
    char text[16];

    format_ns(r, text, sizeof(text), h->sum, 3);
    fprintf(r->out, " %6s", text);
    format_ns(r, text, sizeof(text), h->count ? h->sum / h->count : 0, 2);
    fprintf(r->out, " %5s", text);
    for (unsigned i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
        /* The middle of a bucket may be beyond the maximum, which is exact. */
        uint64_t value = histogram_percentile(h, permille[i]);
        format_ns(r, text, sizeof(text), value < h->max ? value : h->max, 2);
        fprintf(r->out, " %5s", text);
    }
    format_ns(r, text, sizeof(text), h->max, 2);
    fprintf(r->out, " %5s", text);
}

void summary_print_name(FILE *out, const char *name, uint64_t count, int width)
{
    char digits[24];

    width -= snprintf(digits, sizeof(digits), "%" PRIu64, count);
    /* A long name takes the blanks before the count; a very long one a line of its own. */
    if ((int)strlen(name) >= width)
        fprintf(out, "%.119s\n%*s", name, width, "");
    else
        fprintf(out, "%-*s", width, name);
    fputs(digits, out);
}

static void print_row(const struct report *r, const char *name, const struct histogram *guest,
                      const struct histogram *vmm)
{
    summary_print_name(r->out, name, guest->count, NAME_WIDTH + 9);
    fprintf(r->out, " %5.1f%%", 100.0 * (double)guest->count / (double)r->all->guest.count);
    print_times(r, guest);
    fprintf(r->out, "  ");
    print_times(r, vmm);
    fprintf(r->out, "\n");
}

static void print_head(const struct report *r, const char *by)
{
    fprintf(
        r->out,
        "\n%s%-44s  ----------- guest and KVM ---------    ------------- kvmlens -----------%s\n",
        style(r, BOLD), "", style(r, PLAIN));
    fprintf(r->out, "%s%-28s %8s %6s", style(r, BOLD), by, "exits", "share");
    for (int i = 0; i < 2; i++)
        fprintf(r->out, "%s %6s %5s %5s %5s %5s %5s", i ? "  " : "", "total", "mean", "p50", "p95",
                "p99", "max");
    fprintf(r->out, "%s\n", style(r, PLAIN));
}

static int by_total(const void *left, const void *right)
{
    const struct summary_row *const *l = left, *const *r = right;
    uint64_t a = (*l)->guest.sum + (*l)->vmm.sum, b = (*r)->guest.sum + (*r)->vmm.sum;

    return a < b ? 1 : a > b ? -1 : 0;
}

static void add_up(struct report *r)
{
    const struct summary *summary = r->summary;

    for (unsigned i = 0; i < summary->rows; i++) {
        const struct summary_row *row = &summary->row[i];
        if (!summary_is_exit(row))
            continue;
        r->kinds[row->kind].kind = row->kind;
        histogram_merge(&r->kinds[row->kind].guest, &row->guest);
        histogram_merge(&r->kinds[row->kind].vmm, &row->vmm);
        histogram_merge(&r->all->guest, &row->guest);
        histogram_merge(&r->all->vmm, &row->vmm);
    }
}

static void print_kinds(const struct report *r)
{
    struct summary_row *order[SUMMARY_KINDS];
    unsigned count = 0;

    for (unsigned i = 0; i < SUMMARY_KINDS; i++)
        if (r->kinds[i].guest.count > 0)
            order[count++] = &r->kinds[i];
    qsort(order, count, sizeof(order[0]), by_total);
    print_head(r, "by kind of exit");
    for (unsigned i = 0; i < count; i++)
        print_row(r, summary_kind_name(order[i]->kind), &order[i]->guest, &order[i]->vmm);
    print_row(r, "all", &r->all->guest, &r->all->vmm);
}

static void print_registers(const struct report *r)
{
    const struct summary *summary = r->summary;
    const struct summary_row *order[SUMMARY_KINDS + SUMMARY_ROWS];
    unsigned count = 0;
    bool others = false;

    for (unsigned i = 0; i < summary->rows; i++) {
        if (!summary_has_register(&summary->row[i]))
            continue;
        order[count++] = &summary->row[i];
        others = others || summary->row[i].others;
    }
    if (count == 0)
        return;
    qsort(order, count, sizeof(order[0]), by_total);
    print_head(r, "by device register");
    for (unsigned i = 0; i < count; i++) {
        char name[SUMMARY_NAME];
        summary_row_name(order[i], name);
        print_row(r, name, &order[i]->guest, &order[i]->vmm);
    }
    if (others)
        fprintf(r->out, "(others): more than %d registers were used; the rest share these lines\n",
                SUMMARY_ROWS);
}

/* --- symbols ------------------------------------------------------------------------------------ */

static int by_ns(const void *left, const void *right)
{
    const struct summary_symbol *const *l = left, *const *r = right;

    return (*l)->ns < (*r)->ns ? 1 : (*l)->ns > (*r)->ns ? -1 : strcmp((*l)->name, (*r)->name);
}

static int by_count(const void *left, const void *right)
{
    const struct summary_symbol *const *l = left, *const *r = right;

    return (*l)->count < (*r)->count   ? 1
           : (*l)->count > (*r)->count ? -1
                                       : strcmp((*l)->name, (*r)->name);
}

static void print_symbol(const struct report *r, const struct summary_symbol *symbol)
{
    uint64_t all_ns = r->all->guest.sum + r->all->vmm.sum;
    char time[16], name[34];

    format_ns(r, time, sizeof(time), symbol->ns, 3);
    snprintf(name, sizeof(name), "%s", symbol->name);
    fprintf(r->out, "%-33s %8" PRIu64 " %6s %5.1f%%", name, symbol->count, time,
            all_ns ? 100.0 * (double)symbol->ns / (double)all_ns : 0);
}

static void print_symbols(const struct report *r, const struct summary_symbol **by_time,
                          const struct summary_symbol **by_exits)
{
    const struct summary_symbol *elsewhere = &r->summary->other_code;
    unsigned count = 0;

    for (unsigned i = 0; i < SUMMARY_SYMBOLS; i++)
        if (r->summary->symbol[i].name)
            by_time[count++] = &r->summary->symbol[i];
    if (count == 0)
        return;
    if (elsewhere->count > 0)
        by_time[count++] = elsewhere;
    memcpy(by_exits, by_time, count * sizeof(by_time[0]));
    qsort(by_time, count, sizeof(by_time[0]), by_ns);
    qsort(by_exits, count, sizeof(by_exits[0]), by_count);
    fprintf(r->out, "\n%s", style(r, BOLD));
    for (int i = 0; i < 2; i++)
        fprintf(r->out, "%s%-33s %8s %6s %6s", i ? "     " : "",
                i ? "guest symbols by exits" : "guest symbols by time", "exits", "time", "share");
    fprintf(r->out, "%s\n", style(r, PLAIN));
    for (unsigned i = 0; i < count && i < TOP; i++) {
        print_symbol(r, by_time[i]);
        fprintf(r->out, "     ");
        print_symbol(r, by_exits[i]);
        fprintf(r->out, "\n");
    }
}

/* --- what is known besides ---------------------------------------------------------------------- */

/* Of each vCPU's wall time, all together. Idle is hlt that sleeps in the kernel. */
static void print_split(const struct report *r)
{
    const struct trace_stat *halted = trace_find_stat(r->footer, "halt_wait_ns");
    unsigned vcpus = r->header->vcpus ? r->header->vcpus : 1;
    double wall = (double)(r->footer->wall_ns ? r->footer->wall_ns : 1) * vcpus / 100;
    double guest = (double)r->all->guest.sum, vmm = (double)r->all->vmm.sum, idle = 0;

    if (r->footer->filtered > 0) { /* the time of the others would be nobody's */
        fprintf(r->out, "How the wall time splits is not known: the filter left events out.\n");
        return;
    }
    if (halted)
        idle = (double)halted->value < guest ? (double)halted->value : guest;
    double rest = 100 - (guest + vmm) / wall;
    fprintf(r->out, "Wall time");
    if (vcpus > 1)
        fprintf(r->out, " of %u vCPUs", vcpus);
    fprintf(r->out, ": guest and KVM %.1f%%, ", (guest - idle) / wall);
    if (halted)
        fprintf(r->out, "idle (hlt, in KVM) %.1f%%, ", idle / wall);
    fprintf(r->out, "kvmlens %.1f%%, else (start, end, tracing) %.1f%%.\n", vmm / wall,
            rest > 0 ? rest : 0);
    if (!halted)
        fprintf(r->out, "%s how long it slept in hlt: that is in guest and KVM.\n",
                r->footer->cut ? "The end of the trace is missing, where KVM tells"
                               : "This KVM does not tell");
}

static void print_stats(const struct report *r)
{
    static const char *const names[] = {"exits",        "io_exits",       "mmio_exits",
                                        "halt_exits",   "irq_exits",      "irq_window_exits",
                                        "signal_exits", "irq_injections", "insn_emulation",
                                        "hypercalls",   "pf_taken",       "pf_mmio_spte_created"};
    int column = 0;

    if (r->footer->stat_count == 0) {
        fprintf(r->out, "\n%s: how many exits it handled in the kernel is not known.\n",
                r->footer->cut ? "The end of the trace is missing, with KVM's statistics"
                               : "This KVM keeps no statistics");
        return;
    }
    fprintf(r->out, "\n%sKVM's own count%s, where kvmlens saw %" PRIu64 ":\n", style(r, BOLD),
            style(r, PLAIN), r->footer->exits);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct trace_stat *stat = trace_find_stat(r->footer, names[i]);
        if (!stat || (stat->value == 0 && i > 2))
            continue;
        if (column == 4) {
            fprintf(r->out, "\n");
            column = 0;
        }
        fprintf(r->out, "  %-16s %10" PRIu64, stat->name, stat->value);
        column++;
    }
    fprintf(r->out, "\n");
}

static int by_events(const void *left, const void *right)
{
    const struct summary_row *const *l = left, *const *r = right;
    uint64_t a = (*l)->guest.count, b = (*r)->guest.count;

    return a < b ? 1 : a > b ? -1 : 0;
}

static bool has_kernel_events(const struct report *r)
{
    for (unsigned i = 0; i < r->summary->rows; i++)
        if (r->summary->row[i].kind / 4 == VM_EXIT_KERNEL && r->summary->row[i].guest.count > 0)
            return true;
    return false;
}

static void print_kernel_events(const struct report *r)
{
    const struct summary_row *order[SUMMARY_KINDS + SUMMARY_ROWS];
    unsigned count = 0;

    for (unsigned i = 0; i < r->summary->rows; i++)
        if (r->summary->row[i].kind / 4 == VM_EXIT_KERNEL && r->summary->row[i].guest.count > 0)
            order[count++] = &r->summary->row[i];
    if (count == 0)
        return;
    qsort(order, count, sizeof(order[0]), by_events);
    fprintf(r->out, "\n%sKVM's events%s\n", style(r, BOLD), style(r, PLAIN));
    for (unsigned i = 0; i < count; i++)
        fprintf(r->out, "  %-26.26s %10" PRIu64 "%s",
                order[i]->device ? order[i]->device : "(others)", order[i]->guest.count,
                i % 3 == 2 || i + 1 == count ? "\n" : "");
}

/* The command line's last word on a property that is on unless it says off. */
static bool is_off(const struct report *r, const char *property)
{
    const char *at = r->header->command, *last = NULL;

    while (at && (at = strstr(at, property)))
        last = at += strlen(property);
    return last && strncmp(last, "=off", 4) == 0;
}

static void print_unseen(const struct report *r)
{
    bool irqchip = !is_off(r, "kernel-irqchip"), ioeventfd = !is_off(r, "ioeventfd");

    fprintf(r->out, "\n%sNot among these exits%s%s:\n", style(r, BOLD), style(r, PLAIN),
            has_kernel_events(r) ? ", but among KVM's events" : " (-trace kernel shows them)");
    if (irqchip)
        fprintf(r->out,
                "  PIC, I/O APIC, local APIC, PIT, hlt: devices of KVM's own (in-kernel irqchip; "
                "-M kernel-irqchip=off has none)\n");
    if (ioeventfd)
        fprintf(r->out, "  QueueNotify of virtio devices: KVM writes an eventfd (ioeventfd; "
                        "-global virtio-mmio.ioeventfd=off)\n");
    fprintf(r->out,
            "  cpuid, MSRs, control registers, first touches of RAM, interrupts of the host: KVM "
            "handles them\n"
            "  Coalesced MMIO is not used: no store is held back.\n");
}

static void print_honesty(const struct report *r)
{
    const struct trace_footer *footer = r->footer;

    fprintf(r->out, "\nMeasuring costs about %uns an exit, which is in kvmlens's time.\n",
            r->header->clock_ns);
    if (footer->filtered > 0)
        fprintf(r->out,
                "%" PRIu64
                " more did not pass the filter: shares and sums are of those that did.\n",
                footer->filtered);
    if (footer->dropped > 0)
        fprintf(r->out,
                "%s%" PRIu64 " are missing: they came faster than they could be recorded.%s\n",
                style(r, RED), footer->dropped, style(r, PLAIN));
}

static void print_report(struct report *r, const struct summary_symbol **scratch)
{
    const uint64_t wall_ns = r->footer->wall_ns;
    char wall[16], rate[16];

    add_up(r);
    uint64_t count = r->all->guest.count;
    format_ns(r, wall, sizeof(wall), wall_ns, 3);
    fprintf(r->out, "%s%" PRIu64 " exit%s to kvmlens in %s", style(r, BOLD), count,
            count == 1 ? "" : "s", wall);
    if (count > 0) {
        summary_format_rate(rate, sizeof(rate),
                            (double)count * 1e9 / (double)(wall_ns ? wall_ns : 1));
        fprintf(r->out, ", %s a second.%s\n", rate, style(r, PLAIN));
        print_split(r);
        print_kinds(r);
        print_registers(r);
        print_symbols(r, scratch, scratch + SUMMARY_SYMBOLS + 1);
    } else {
        fprintf(r->out, ": %s%s\n",
                r->footer->filtered ? "none passed the filter"
                : r->footer->cut    ? "the trace is cut off before the first"
                                    : "the guest never needed it",
                style(r, PLAIN));
    }
    print_stats(r);
    print_kernel_events(r);
    print_unseen(r);
    print_honesty(r);
}

char *summary_text(const struct summary *summary, const struct trace_header *header,
                   const struct trace_footer *footer, bool colour, size_t *len)
{
    struct summary_row *kinds = calloc(SUMMARY_KINDS + 1, sizeof(*kinds));
    const struct summary_symbol **scratch =
        calloc(2 * (SUMMARY_SYMBOLS + 1), sizeof(struct summary_symbol *));
    char *text = NULL;
    FILE *out = kinds && scratch ? open_memstream(&text, len) : NULL;
    struct report report = {out, summary, header, footer, colour, kinds, kinds + SUMMARY_KINDS};

    if (out)
        print_report(&report, scratch);
    free(kinds);
    free(scratch);
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
