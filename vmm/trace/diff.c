/*
 * diff.c: what changed between two traces (see diff.h).
 *
 * No two runs are alike. A count has changed if it differs by more than three standard deviations of
 * two Poisson counts, and by more than 2 %; a median time, by more than three of its standard errors,
 * by more than 20 %, and by more than 100 ns. A register that only one guest used is no noise,
 * however few accesses there were; interruptions, halts and KVM's own events come by chance.
 */
#include "diff.h"

#include "histogram.h"
#include "summary_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_SIZE 256 /* a power of two */
#define SIGMAS     3
#define COUNT_STEP 0.02
#define TIME_STEP  0.20
#define TIME_NS    100
#define NAME_WIDTH 32 /* characters */
#define TIMES_MIN  10 /* fewer times have no median worth a word */

struct side {
    struct histogram guest, vmm;
};

struct row {
    enum vm_exit_kind of;
    const char *kind, *device, *reg; /* NULL: none */
    struct side side[2];
};

struct cached {
    const char *kind, *device, *reg;
    struct row *row;
};

struct diff {
    unsigned rows;
    struct row *row[DIFF_ROWS_MAX + 1]; /* the last one: all others */
    struct cached cache[2][CACHE_SIZE];
};

struct diff *diff_create(void)
{
    return calloc(1, sizeof(struct diff));
}

void diff_destroy(struct diff *diff)
{
    if (!diff)
        return;
    for (unsigned i = 0; i < diff->rows; i++)
        free(diff->row[i]);
    free(diff);
}

/* --- counting ----------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct row *search(struct diff *diff, const struct row *wanted)
{
    for (unsigned i = 0; i < diff->rows; i++) {
        struct row *row = diff->row[i];
        if (same(row->kind, wanted->kind) && same(row->device, wanted->device) &&
            same(row->reg, wanted->reg))
            return row;
    }
    if (diff->rows > DIFF_ROWS_MAX)
        return diff->row[DIFF_ROWS_MAX];

    struct row *row = calloc(1, sizeof(*row));
    if (!row)
        return NULL;
    if (diff->rows < DIFF_ROWS_MAX) {
        row->of = wanted->of;
        row->kind = wanted->kind;
        row->device = wanted->device;
        row->reg = wanted->reg;
    } else {
        row->of = VM_EXIT_OTHER;
        row->kind = "(all others)";
    }
    diff->row[diff->rows++] = row;
    return row;
}

int diff_add(struct diff *diff, unsigned side, const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    bool access = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;
    const struct row wanted = {
        .of = event->kind,
        .kind = item->kind,
        .device = access && !event->device ? "nobody" : event->device,
        .reg = access ? event->reg : event->detail_name,
    };

    if (event->kind == VM_EXIT_NOTE)
        return 0;
    uintptr_t hash =
        (uintptr_t)wanted.kind * 3 + (uintptr_t)wanted.device * 5 + (uintptr_t)wanted.reg * 7;
    struct cached *cached = &diff->cache[side][(hash ^ hash >> 8) % CACHE_SIZE];
    if (!cached->row || cached->kind != wanted.kind || cached->device != wanted.device ||
        cached->reg != wanted.reg) {
        struct row *row = search(diff, &wanted);
        if (!row)
            return -ENOMEM;
        *cached = (struct cached){wanted.kind, wanted.device, wanted.reg, row};
    }
    histogram_add(&cached->row->side[side].guest, event->guest_ns);
    histogram_add(&cached->row->side[side].vmm, event->vmm_ns);
    return 0;
}

/* --- what is noise ------------------------------------------------------------------------------ */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double square(double a)
{
    return a * a;
}

static bool count_changed(const struct row *row)
{
    double a = (double)row->side[0].guest.count, b = (double)row->side[1].guest.count;
    bool access = row->of == VM_EXIT_PIO || row->of == VM_EXIT_MMIO;

    if (access && (a == 0) != (b == 0))
        return true;
    return square(a - b) > square(SIGMAS) * (a + b) &&
           square(a - b) > square(COUNT_STEP * larger(a, b));
}

/* Of the median, squared: that of a normal distribution with the same middle two thirds. */
static double variance(const struct histogram *h)
{
    double spread =
        ((double)histogram_percentile(h, 841) - (double)histogram_percentile(h, 159)) / 2;

    return 1.5708 * square(spread) / (double)h->count;
}

static bool median_changed(const struct histogram *a, const struct histogram *b)
{
    if (a->count < TIMES_MIN || b->count < TIMES_MIN)
        return false;
    double x = (double)histogram_percentile(a, 500), y = (double)histogram_percentile(b, 500);
    double difference = larger(x, y) - (x + y - larger(x, y));

    return square(difference) > square(SIGMAS) * (variance(a) + variance(b)) &&
           difference > TIME_STEP * larger(x, y) && difference > TIME_NS;
}

static bool changed(const struct row *row)
{
    return count_changed(row) || median_changed(&row->side[0].guest, &row->side[1].guest) ||
           median_changed(&row->side[0].vmm, &row->side[1].vmm);
}

/* --- printing ----------------------------------------------------------------------------------- */

/* Two digits: medians are known to 3 %. */
static void format_time(char out[16], const struct histogram *h)
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};
    uint64_t ns = histogram_percentile(h, 500), step = 1;
    unsigned i = 0;

    if (h->count == 0) {
        strcpy(out, "-");
        return;
    }
    while (ns / step >= 100)
        step *= 10;
    double value = (double)((ns + step / 2) / step * step);
    for (; i < 3 && value >= 1000; i++)
        value /= 1000;
    snprintf(out, 16, "%.*f%s", i > 0 && value < 10 ? 1 : 0, value, unit[i]);
}

static void print_times(FILE *out, const struct row *row, size_t part)
{
    const struct histogram *a = part ? &row->side[0].vmm : &row->side[0].guest;
    const struct histogram *b = part ? &row->side[1].vmm : &row->side[1].guest;
    char first[16], second[16];

    format_time(first, a);
    format_time(second, b);
    fprintf(out, "  %6s %6s", first, second);
    if (median_changed(a, b))
        fprintf(out, " %+5.0f%%",
                100 * ((double)histogram_percentile(b, 500) /
                           larger((double)histogram_percentile(a, 500), 1) -
                       1));
    else
        fprintf(out, " %6s", "");
}

static void print_row(FILE *out, const struct row *row, const uint64_t all[2])
{
    char name[128];
    uint64_t a = row->side[0].guest.count, b = row->side[1].guest.count;

    snprintf(name, sizeof(name), "%s%s%s%s%s", row->device ? row->device : "",
             row->device && row->reg ? " " : "", row->reg ? row->reg : "",
             row->device || row->reg ? ", " : "", row->kind);
    summary_print_name(out, name, a, NAME_WIDTH + 10);
    fprintf(out, " %9" PRIu64, b);
    if (a == 0 || b == 0)
        fprintf(out, " %7s", a == 0 ? "new" : "gone");
    else if (!count_changed(row))
        fprintf(out, " %7s", "");
    else if (b > 10 * a)
        fprintf(out, " %6.0fx", (double)b / (double)a);
    else if (a > 10 * b)
        fprintf(out, "  1/%-4.0f", (double)a / (double)b);
    else
        fprintf(out, " %+6.0f%%", 100 * ((double)b / (double)a - 1));
    if (row->of == VM_EXIT_KERNEL) { /* no exits, and they take no time */
        fprintf(out, "\n");
        return;
    }
    fprintf(out, "  %5.1f%% %5.1f%%", 100 * (double)a / larger((double)all[0], 1),
            100 * (double)b / larger((double)all[1], 1));
    print_times(out, row, 0);
    print_times(out, row, 1);
    fprintf(out, "\n");
}

/* How much longer or shorter all of a row's exits took. */
static uint64_t weight(const struct row *row)
{
    uint64_t a = row->side[0].guest.sum + row->side[0].vmm.sum,
             b = row->side[1].guest.sum + row->side[1].vmm.sum;

    return a > b ? a - b : b - a;
}

static int by_weight(const void *left, const void *right)
{
    uint64_t a = weight(*(struct row *const *)left), b = weight(*(struct row *const *)right);

    return a < b ? 1 : a > b ? -1 : 0;
}

enum group { IN_BOTH, ONLY_FIRST, ONLY_SECOND, GROUPS };

static enum group group_of(const struct row *row)
{
    return row->side[1].guest.count == 0   ? ONLY_FIRST
           : row->side[0].guest.count == 0 ? ONLY_SECOND
                                           : IN_BOTH;
}

static void print_group(FILE *out, bool colour, const struct diff *diff, enum group group,
                        const char *title, const uint64_t all[2])
{
    bool any = false;

    for (unsigned i = 0; i < diff->rows; i++) {
        const struct row *row = diff->row[i];
        if (group_of(row) != group || !changed(row))
            continue;
        if (!any)
            fprintf(out,
                    "\n%s%-*s ---------- exits ----------  --- share ----  ---- guest and KVM ---"
                    "  ------- kvmlens ------%s\n",
                    colour ? "\033[1m" : "", NAME_WIDTH, title, colour ? "\033[0m" : "");
        any = true;
        print_row(out, row, all);
    }
}

static void print_run(FILE *out, char letter, const char *name, const struct trace_footer *footer)
{
    fprintf(out, "%c: %s: %" PRIu64 " exits in %.3g s, end: %s", letter, name, footer->exits,
            (double)footer->wall_ns / 1e9, footer->end);
    if (footer->dropped > 0)
        fprintf(out, "; %" PRIu64 " were dropped, and are missing in the counts", footer->dropped);
    if (footer->filtered > 0)
        fprintf(out, "; %" PRIu64 " did not pass the filter", footer->filtered);
    fprintf(out, "\n");
}

void diff_print(FILE *out, bool colour, struct diff *diff, const char *const name[2],
                const struct trace_footer *const footer[2])
{
    uint64_t all[2] = {0};
    unsigned same_rows = 0;

    qsort(diff->row, diff->rows, sizeof(diff->row[0]), by_weight);
    for (unsigned i = 0; i < diff->rows; i++) {
        for (unsigned side = 0; side < 2 && diff->row[i]->of != VM_EXIT_KERNEL; side++)
            all[side] += diff->row[i]->side[side].guest.count;
        same_rows += !changed(diff->row[i]);
    }
    print_run(out, 'A', name[0], footer[0]);
    print_run(out, 'B', name[1], footer[1]);
    if (same_rows == diff->rows)
        fprintf(out, "\nNothing changed beyond noise.\n");
    print_group(out, colour, diff, IN_BOTH, "changed (A, then B; p50)", all);
    print_group(out, colour, diff, ONLY_FIRST, "only in A", all);
    print_group(out, colour, diff, ONLY_SECOND, "only in B", all);
    if (same_rows > 0 && same_rows < diff->rows)
        fprintf(out, "\n%u more did not change beyond noise.\n", same_rows);
}
