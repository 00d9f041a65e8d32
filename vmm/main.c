/*
 * main.c: the spine.  Read it top to bottom: the command line; the images, checked before there is
 * a VM; the host's side; the machine; its end, as an exit status.
 */
#include "doctor.h"
#include "log.h"
#include "host/signals.h"
#include "host/terminal.h"
#include "machine.h"
#include "options.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

/* Everything that outlives a reset of the guest. */
struct session {
    struct options options;
    struct machine_images images;
    struct symbols *symbols;
    struct trace *trace;
    struct loop loop;
    struct signals signals;
    struct chardev console;
    struct machine *machine; /* the running one */
};

static enum status fail(const struct error *err)
{
    log_say("%s", err->text);
    return err->status;
}

/* --- events from outside ---------------------------------------------------------------------- */

static void end_by_signal(void *session, int signal)
{
    struct session *s = session;

    machine_end(s->machine, &(struct vm_end){.kind = VM_END_SIGNAL, .value = (uint32_t)signal});
}

static void end_from_terminal(void *session)
{
    struct session *s = session;

    machine_end(s->machine, &(struct vm_end){.kind = VM_END_QUIT});
}

static void leave_terminal(void *session)
{
    (void)session;
    terminal_restore();
}

static void take_terminal(void *session)
{
    struct session *s = session;

    chardev_take_terminal(&s->console);
}

/* --- before there is a VM ----------------------------------------------------------------------- */

static int open_images(struct session *s, struct error *err)
{
    const struct options *o = &s->options;
    struct machine_images *images = &s->images;

    if (o->bios)
        return rom_open(&images->rom, o->bios, err);
    if (o->append && pvh_check_cmdline(o->append, err) < 0)
        return -1;
    if (o->kernel && kernel_open(&images->kernel, o->kernel, o->ram_bytes, err) < 0)
        return -1;
    if (o->initrd && initrd_open(&images->initrd, o->initrd, &images->kernel, o->ram_bytes,
                                 &images->initrd_gpa, err) < 0)
        return -1;
    return 0;
}

static int open_trace(struct session *s, struct error *err)
{
    const struct options *o = &s->options;

    if (o->trace_count == 0)
        return 0;
    if (o->kernel)
        s->symbols = symbols_read(s->images.kernel.file.fd);
    return trace_create(&s->trace, o->trace, o->trace_count, s->symbols, err);
}

static int open_host(struct session *s, struct error *err)
{
    int r = loop_init(&s->loop);

    if (r < 0)
        return error_set(err, STATUS_INTERNAL, "eventfd: %s", strerror(-r));
    s->signals.deadly = end_by_signal;
    s->signals.stopping = leave_terminal;
    s->signals.continued = take_terminal;
    s->signals.opaque = s;
    if (signals_open(&s->signals, &s->loop, err) < 0 ||
        chardev_open(&s->console, &s->loop, &s->options, err) < 0)
        return -1;
    s->console.quit = end_from_terminal;
    s->console.quit_opaque = s;
    return 0;
}

/* --- the VM ------------------------------------------------------------------------------------- */

/* Runs the guest, and again after each reset that it asks for. */
static enum status run(struct session *s)
{
    const struct machine_config config = {
        .options = &s->options,
        .images = &s->images,
        .loop = &s->loop,
        .console = &s->console,
        .trace = s->trace,
    };
    enum status status;
    struct vm_end end;

    do {
        struct error err;

        if (machine_create(&s->machine, &config, &err) < 0)
            return fail(&err);
        if (machine_run(s->machine, &end, &err) < 0) {
            status = fail(&err);
            end.kind = VM_END_NONE;
        } else {
            /* Nothing that is printed from here on may land on a raw terminal. */
            if (end.kind != VM_END_RESET || s->options.no_reboot)
                terminal_restore();
            if (!s->symbols && s->options.kernel)
                s->symbols = symbols_read(s->images.kernel.file.fd);
            status = report_end(machine_vm(s->machine), s->symbols, stderr);
        }
        machine_destroy(s->machine);
        s->machine = NULL;
    } while (end.kind == VM_END_RESET && !s->options.no_reboot);
    return status;
}

static enum status run_guest(struct session *s)
{
    struct error err;
    enum status status;

    if (open_images(s, &err) < 0)
        status = fail(&err);
    else if (s->options.dumpdtb)
        status = machine_dump_dtb(&s->options, &s->images, &err) < 0 ? fail(&err) : STATUS_POWEROFF;
    else if (open_trace(s, &err) < 0 || open_host(s, &err) < 0)
        status = fail(&err);
    else
        status = run(s);
    return status;
}

int main(int argc, char **argv)
{
    static struct session s; /* large, and zero */
    struct error err;

    terminal_reserve_stdio();
    if (options_parse(&s.options, argc, argv, &err) < 0)
        return fail(&err);
    switch (s.options.mode) {
    case MODE_HELP:
    case MODE_VERSION:
        return options_help(&s.options);
    case MODE_CHECK:
        return doctor_run();
    case MODE_RUN:
        break;
    }

    enum status status = run_guest(&s);

    return status;
}
