/*
 * live.c: -trace live: where the exits go, on the terminal, while the guest runs (see live.h).
 *
 * The writer's thread counts, and looks at the clock, the keys and the window when it has nothing to
 * count, at least ten times a second.
 */
#include "live.h"

#include "../host/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REFRESH_NS 1000000000u
#define LOOK_NS    50000000u /* between looks at keys and window */

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void end_period(struct live_figures *f, uint64_t count, uint64_t guest_ns, uint64_t vmm_ns)
{
    *f = (struct live_figures){.seen_count = count,
                               .seen_guest_ns = guest_ns,
                               .seen_vmm_ns = vmm_ns,
                               .count = count - f->seen_count,
                               .guest_ns = guest_ns - f->seen_guest_ns,
                               .vmm_ns = vmm_ns - f->seen_vmm_ns};
}

void live_count(struct live *live, uint64_t period_ns)
{
    const struct summary *summary = live->summary;

    live->period_ns = period_ns;
    live->exits = 0;
    for (unsigned i = 0; i < summary->rows; i++) {
        const struct summary_row *row = &summary->row[i];
        end_period(&live->row[i], row->guest.count, row->guest.sum, row->vmm.sum);
        if (summary_is_exit(row))
            live->exits += row->guest.count;
    }
    for (unsigned i = 0; i < SUMMARY_SYMBOLS; i++)
        if (summary->symbol[i].name)
            end_period(&live->symbol[i], summary->symbol[i].count, summary->symbol[i].ns, 0);
    end_period(&live->symbol[SUMMARY_SYMBOLS], summary->other_code.count, summary->other_code.ns,
               0);
}

/* The time since the last period, in which kvmlens ran. */
static uint64_t period(const struct live *live, uint64_t now)
{
    uint64_t passed = now - live->refreshed_ns;
    uint64_t stopped = live->sink.stopped_ns - live->stopped_ns;

    return passed > stopped ? passed - stopped : 0;
}

/* True if the window has another size now. */
static bool look_at_window(struct live *live)
{
    struct winsize size = {.ws_row = 0};
    unsigned columns = 80, lines = 24;

    if (ioctl(live->fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        columns = size.ws_col;
        lines = size.ws_row;
    }
    bool changed = columns != live->columns || lines != live->lines;
    live->columns = columns;
    live->lines = lines;
    return changed;
}

/* True if a key has changed what is to be seen. */
static bool obey(struct live *live, int key)
{
    switch (key) {
    case 'r':
    case 'c':
    case 'n':
        live->sort = (char)key;
        return true;
    case 'k':
        live->view = (live->view + 1) % LIVE_VIEWS;
        return true;
    case 'p':
        live->paused = !live->paused;
        return true;
    case 'q':
        live->left = true;
        terminal_view_end();
        return false;
    default:
        return false;
    }
}

static int draw(struct live *live)
{
    size_t len;
    char *text = live_picture(live, &len);

    if (!text)
        return -ENOMEM;
    int r = terminal_view_draw(text, len);
    free(text);
    return r;
}

static void begin_view(struct live *live, uint64_t now)
{
    live->begun = true;
    live->refreshed_ns = now;
    live->keys =
        live->no_keys ? -1 : open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (live->keys < 0 && !live->no_keys)
        live->no_keys = "there is no /dev/tty";
    terminal_view_begin(live->fd, live->keys);
}

/* --- the sink ----------------------------------------------------------------------------------- */

static int live_begin(struct trace_sink *sink, const struct trace_header *header)
{
    struct live *live = (struct live *)sink;

    live->header = *header;
    live->start_ns = live->refreshed_ns = monotonic_ns();
    return 0;
}

static int live_item(struct trace_sink *sink, const struct trace_item *item)
{
    summary_add(((struct live *)sink)->summary, item);
    return 0;
}

static int live_flush(struct trace_sink *sink)
{
    struct live *live = (struct live *)sink;
    uint64_t now = monotonic_ns();
    bool again = false;
    int key;

    if (live->left || now - live->looked_ns < LOOK_NS)
        return 0;
    live->looked_ns = now;
    if (!live->begun) {
        /* Before the guest runs there may be messages, for the screen that stays. */
        if (live->summary->rows == SUMMARY_KINDS)
            return 0;
        live_count(live, period(live, now));
        live->stopped_ns = live->sink.stopped_ns;
        begin_view(live, now);
        again = true;
    }
    again = terminal_view_back() || again;
    while (!live->left && (key = terminal_view_key()) >= 0)
        again = obey(live, key) || again;
    if (live->left)
        return 0;
    again = look_at_window(live) || again;
    uint64_t period_ns = period(live, now);
    if (!live->paused && period_ns >= REFRESH_NS) {
        live_count(live, period_ns);
        live->refreshed_ns = now;
        live->stopped_ns = live->sink.stopped_ns;
        again = true;
    }
    /* Also while it is paused: others may have written on the screen. */
    if (!again && now - live->drawn_ns < REFRESH_NS)
        return 0;
    live->drawn_ns = now;
    return draw(live);
}

static int live_end(struct trace_sink *sink, const struct trace_footer *footer)
{
    (void)sink;
    (void)footer;
    terminal_view_end();
    return 0;
}

static void live_destroy(struct trace_sink *sink)
{
    struct live *live = (struct live *)sink;

    terminal_view_end();
    if (live->keys >= 0)
        close(live->keys);
    summary_destroy(live->summary);
    free(live);
}

struct trace_sink *trace_live_sink(int fd, bool colour, bool keys)
{
    static const struct trace_sink_ops ops = {
        .name = "live",
        .begin = live_begin,
        .item = live_item,
        .flush = live_flush,
        .end = live_end,
        .destroy = live_destroy,
    };
    struct live *live = calloc(1, sizeof(*live));

    if (!live)
        return NULL;
    live->sink.ops = &ops;
    live->fd = fd;
    live->colour = colour;
    live->keys = -1;
    live->sort = 'r';
    if (!keys)
        live->no_keys = "the guest has this terminal (-serial null or -serial file:PATH frees it)";
    live->summary = summary_create();
    if (live->summary)
        return &live->sink;
    free(live);
    return NULL;
}
