/*
 * options.h: the command line, in QEMU's spelling (qemu-system-x86_64(1)), turned into a struct.
 */
#ifndef KVMLENS_OPTIONS_H
#define KVMLENS_OPTIONS_H

#include "cpu_features.h"
#include "error.h"
#include "options_devices.h"
#include "trace/filter.h"

#include <stdbool.h>
#include <stdint.h>

#define SMP_MAX   64
#define TRACE_MAX 4

enum trace_kind {
    TRACE_EXITS,
    TRACE_SUMMARY,
    TRACE_KERNEL, /* the exits, and KVM's own events between them */
    TRACE_SETUP,  /* the ioctls that make the VM */
    TRACE_LIVE    /* a view of the exits on the terminal */
};
enum trace_format { TRACE_TEXT, TRACE_JSONL, TRACE_CHROME, TRACE_HTML };

struct trace_option {
    enum trace_kind kind;
    enum trace_format format;
    const char *file; /* file=PATH, or NULL for stderr */
    struct filter filter;
    bool terminal_taken; /* TRACE_LIVE: a serial line or console has the terminal's keys */
};

enum run_mode {
    MODE_RUN,     /* boot a guest */
    MODE_HELP,    /* -h, -device help, ...: options_help() prints it */
    MODE_VERSION, /* -version */
    MODE_CHECK,   /* kvmlens check */
    MODE_EXPLAIN, /* kvmlens explain */
    MODE_REPORT,  /* kvmlens report; its own words are report_file.h's */
};

/* Strings point into argv (or static storage): valid as long as argv is. */
struct options {
    enum run_mode mode;
    const char *help_topic; /* MODE_HELP: static; "help", "machine", "cpu", ... */
    char explain[64];       /* MODE_EXPLAIN: of what; empty: the list */

    /* -M microvm,... */
    const char *dumpdtb; /* write the device tree there and end */
    unsigned timeout_s;  /* 0: no limit */
    bool irqchip;        /* kernel-irqchip=on|off; off: no interrupt controller at all */
    bool pit, rtc;       /* pit=on|off, rtc=on|off */
    bool auto_cmdline;   /* auto-kernel-cmdline=on|off: virtio devices on the command line */
    bool isa_serial;     /* isa-serial=on|off, or -serial none: no UART in the machine */

    struct cpu_features cpu;
    uint64_t ram_bytes; /* -m, default 128 MiB as QEMU */
    unsigned smp;       /* 1 to SMP_MAX */

    const char *kernel, *initrd, *append, *bios; /* or NULL */
    int serial; /* where the serial port goes: index into devices.chardev; -1: nowhere */
    bool no_reboot;
    const char *name; /* -name, or NULL */

    bool debug_exit;
    uint16_t debug_exit_iobase, debug_exit_iosize;

    struct device_options devices; /* virtio, and what it is connected to */

    struct trace_option trace[TRACE_MAX];
    unsigned trace_count;
};

/* Parses ARGV into *OPTIONS (defaults first). 0, or -1 with *ERR (STATUS_USAGE). Arguments with
 * properties are cut up in place, so ARGV's strings must be writable, as main's are. */
int options_parse(struct options *options, int argc, char **argv, struct error *err);

/* Prints the help of TOPIC (see help_topic; "version" for MODE_VERSION) to stdout. STATUS_INTERNAL
 * if it cannot be written, else 0. */
enum status options_help(const char *topic);

#endif
