/*
 * main.c: the spine.  Read it top to bottom: the command line; the images, checked before there is
 * a VM; the host's side; the machine; its end, as an exit status.
 */
#include "backends.h"
#include "board.h"
#include "command.h"
#include "doctor.h"
#include "files.h"
#include "host/signals.h"
#include "host/terminal.h"
#include "log.h"
#include "machine.h"
#include "options.h"
#include "report.h"
#include "trace/explain.h"
#include "trace/report_file.h"
#include "trace/tracefs.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull

/* Everything that outlives a reset of the guest. */
struct session {
    char *command; /* the command line as it was typed; NULL: no memory for it */
    struct options options;
    struct machine_images images;
    struct code *code;
    struct trace *trace;
    struct tracefs *tracefs; /* the kernel's events, or NULL */
    struct kvm_stats stats;  /* of all VMs that have ended, if there is a trace */
    bool host_open;
    struct loop loop;
    struct signals signals;
    struct backends backends;
    struct machine *machine; /* the running one */
    struct vm_end stop;      /* what ends kvmlens from outside; VM_END_NONE until then */
    enum vm_end_kind end;    /* how the guest ended; VM_END_NONE until then */
};

static enum status fail(const struct error *err)
{
    terminal_restore(); /* the message is for the screen that stays */
    log_say("%s", err->text);
    return err->status;
}

/* --- events from outside ---------------------------------------------------------------------- */

/* It is kept, because a guest that resets at the same moment must not come back to life. */
static void end_session(struct session *s, const struct vm_end *end)
{
    s->stop = *end;
    machine_end(s->machine, end);
}

static void end_by_signal(void *session, int signal)
{
    end_session(session, &(struct vm_end){.kind = VM_END_SIGNAL, .value = (uint32_t)signal});
}

static void end_from_terminal(void *session)
{
    end_session(session, &(struct vm_end){.kind = VM_END_QUIT});
    signals_limit_end(STATUS_SIGNAL); /* a signal has done so itself */
}

static void leave_terminal(void *session)
{
    struct session *s = session;

    terminal_restore();
    trace_stops(s->trace);
}

static void take_terminal(void *session)
{
    struct session *s = session;

    trace_goes_on(s->trace);
    for (unsigned i = 0; i < s->options.devices.chardev_count; i++)
        chardev_take_terminal(s->backends.chardev[i]);
    terminal_view_again();
}

static void resize_terminal(void *session)
{
    struct session *s = session;

    for (unsigned i = 0; i < s->options.devices.chardev_count; i++)
        chardev_resized(s->backends.chardev[i]);
}

/* --- before there is a VM ----------------------------------------------------------------------- */

static int open_images(struct session *s, struct error *err)
{
    const struct options *o = &s->options;
    struct machine_images *images = &s->images;

    if (o->bios)
        return rom_open(&images->rom, o->bios, err);
    if (board_cmdline(images->cmdline, o, err) < 0)
        return -1;
    if (o->kernel && kernel_open(&images->kernel, o->kernel, o->ram_bytes, err) < 0)
        return -1;
    if (o->initrd && initrd_open(&images->initrd, o->initrd, &images->kernel, o->ram_bytes,
                                 &images->initrd_gpa, err) < 0)
        return -1;
    return 0;
}

/* Without the right to see the kernel's events, the rest of the trace is worth having. */
static void open_tracefs(struct session *s)
{
    const struct tracefs_devices devices = {.irqchip = s->options.irqchip, .pit = s->options.pit};
    struct error err;

    for (unsigned i = 0; i < s->options.trace_count; i++) {
        if (s->options.trace[i].kind != TRACE_KERNEL || s->tracefs)
            continue;
        if (tracefs_open(&s->tracefs, devices, &err) < 0) {
            log_say("%s; the trace goes on without them", err.text);
            return;
        }
    }
}

static int open_trace(struct session *s, struct error *err)
{
    const struct options *o = &s->options;

    if (o->trace_count == 0)
        return 0;
    if (o->kernel)
        s->code = code_open(o->kernel);
    open_tracefs(s);

    const struct trace_config config = {
        .option = o->trace,
        .option_count = o->trace_count,
        .vcpus = o->smp,
        .code = s->code,
        .kernel = tracefs_source(s->tracefs),
        .command = s->command,
        .guest = o->kernel ? o->kernel : o->bios,
    };

    return trace_create(&s->trace, &config, err);
}

static int open_host(struct session *s, struct error *err)
{
    int r = loop_init(&s->loop);

    if (r < 0)
        return error_set(err, STATUS_INTERNAL, "eventfd: %s", strerror(-r));
    s->signals.deadly = end_by_signal;
    s->signals.stopping = leave_terminal;
    s->signals.continued = take_terminal;
    s->signals.resized = resize_terminal;
    s->signals.opaque = s;
    /* The opening of a FIFO may wait for its reader: signals work as usual until then. */
    s->host_open = true;
    if (backends_open(&s->backends, &s->options, &s->loop, err) < 0 ||
        signals_open(&s->signals, &s->loop, err) < 0)
        return -1;
    for (unsigned i = 0; i < s->options.devices.chardev_count; i++) {
        s->backends.chardev[i]->quit = end_from_terminal;
        s->backends.chardev[i]->quit_opaque = s;
    }
    take_terminal(s);
    return 0;
}

static void close_host(struct session *s)
{
    if (!s->host_open)
        return;
    s->host_open = false;
    terminal_restore();
    backends_close(&s->backends);
    signals_close(&s->signals, &s->loop);
    loop_close(&s->loop);
}

/* --- the VM ------------------------------------------------------------------------------------- */

/* KVM counts as well, also what the trace cannot see. */
static void count_stats(struct session *s)
{
    int r = s->trace ? vm_add_stats(machine_vm(s->machine), &s->stats) : 0;

    if (r == -ENOTTY || r == -EINVAL)
        log_say("this KVM has no statistics (KVM_CAP_BINARY_STATS_FD, Linux 5.14); the trace ends "
                "without its counts of exits");
    else if (r < 0)
        log_say("KVM's statistics: %s; the trace ends without them", strerror(-r));
    if (r < 0)
        s->stats.count = 0;
}

/* Builds the machine, runs it to its end and says what there is to say. */
static enum status run_once(struct session *s, const struct machine_config *config, bool *again)
{
    struct error err;
    struct vm_end end;

    if (*again) /* the first time they are held as it is */
        signals_hold(&s->signals);
    *again = false;

    int r = machine_create(&s->machine, config, &err);

    signals_release(&s->signals);
    if (r < 0)
        return fail(&err);
    if (s->stop.kind != VM_END_NONE)
        machine_end(s->machine, &s->stop);

    r = machine_run(s->machine, &end, &err);
    s->end = end.kind;
    count_stats(s);
    *again = r == 0 && end.kind == VM_END_RESET && !s->options.no_reboot;
    /* The last machine is left to the end of the process: while a VM's memory is still mapped, KVM
     * takes several times as long to take it down (it waits for readers of the MMU notifiers). */
    if (*again) {
        machine_destroy(s->machine);
        s->machine = NULL;
        return STATUS_POWEROFF;
    }
    if (end.kind != VM_END_TIMEOUT)
        signals_limit_run(0); /* what is left to write may take its time */
    /* The report wants a terminal that is not raw, and may meet a reader that is not there. */
    close_host(s);
    if (r < 0)
        return fail(&err);
    return report_end(machine_vm(s->machine), s->options.kernel ? s->images.kernel.file.fd : -1,
                      stderr);
}

static enum status run_guest(struct session *s)
{
    struct error err;

    signals_let_writes_fail();
    if (files_check(&s->options, &err) < 0 || open_images(s, &err) < 0)
        return fail(&err);
    if (s->options.dumpdtb)
        return machine_dump_dtb(&s->options, &s->images, &err) < 0 ? fail(&err) : STATUS_POWEROFF;
    if (open_trace(s, &err) < 0 || open_host(s, &err) < 0)
        return fail(&err);

    const struct machine_config config = {
        .options = &s->options,
        .images = &s->images,
        .loop = &s->loop,
        .backends = &s->backends,
        .trace = s->trace,
        /* One limit for all of it: a guest that resets for ever hangs as well. */
        .deadline = s->options.timeout_s ? loop_now() + s->options.timeout_s * NS_PER_S : 0,
    };
    enum status status;
    bool again = false;

    /* The machine ends itself at its deadline; this is for one that cannot. */
    if (s->options.timeout_s)
        signals_limit_run(s->options.timeout_s);
    do /* once more after each reset that the guest asks for */
        status = run_once(s, &config, &again);
    while (again);
    return status;
}

/* The exit status is the guest's; a trace that could not be written is said, but changes nothing. */
static void finish_trace(struct session *s, enum status status)
{
    struct trace_footer footer = {.end = vm_end_name(s->end), .status = (int)status};
    struct error err;

    for (; footer.stat_count < s->stats.count && footer.stat_count < TRACE_STATS_MAX;
         footer.stat_count++) {
        unsigned i = footer.stat_count;

        footer.stat[i] = (struct trace_stat){s->stats.stat[i].name, s->stats.stat[i].value};
    }
    if (trace_finish(s->trace, &footer, &err) < 0)
        fail(&err);
    if (footer.dropped > 0)
        log_say("the trace lacks %llu records: they came faster than they could be written; a "
                "filter= or a summary has fewer to write",
                (unsigned long long)footer.dropped);
    if (tracefs_lost(s->tracefs) > 0)
        log_say("the trace lacks %llu of the kernel's events: they came faster than they could be "
                "written",
                (unsigned long long)tracefs_lost(s->tracefs));
    tracefs_close(s->tracefs);
    code_close(s->code);
}

static void close_all(struct session *s, enum status status)
{
    close_host(s);
    finish_trace(s, status);
    free(s->command);
    image_file_close(&s->images.kernel.file);
    image_file_close(&s->images.initrd);
    image_file_close(&s->images.rom);
}

int main(int argc, char **argv)
{
    /* Static, because the last machine is left to the end of the process, and leak checkers look. */
    static struct session s = {
        .images = {.kernel.file.fd = -1, .initrd.fd = -1, .rom.fd = -1},
        .signals = {.fd.fd = -1, .told.fd = -1},
        .loop.wake_fd = -1,
    };
    static char line[4096];
    struct error err;

    terminal_reserve_stdio();
    setvbuf(stderr, line, _IOLBF, sizeof(line)); /* a report is written in lines, not in words */
    mallopt(M_ARENA_MAX, 1); /* a heap for each thread costs start-up time and memory */
    s.command = command_join(argc, argv); /* before the parser cuts it up */
    if (options_parse(&s.options, argc, argv, &err) < 0)
        return (int)fail(&err);
    log_set_name(s.options.name);
    switch (s.options.mode) {
    case MODE_HELP:
        return (int)options_help(s.options.help_topic);
    case MODE_VERSION:
        return (int)options_help("version");
    case MODE_CHECK:
        return (int)doctor_run();
    case MODE_EXPLAIN:
        return (int)explain_run(s.options.explain);
    case MODE_REPORT:
        return (int)report_file_run(argc - 1, argv + 1);
    case MODE_RUN:
        break;
    }

    enum status status = run_guest(&s);

    close_all(&s, status);
    return (int)status;
}
