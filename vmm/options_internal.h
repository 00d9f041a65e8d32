/*
 * options_internal.h: what the files of the command line share.
 *
 * One table (options_table.c) says which options there are; the parser, the help, README.md's option
 * table and docs/qemu.md are made from it. Properties (-machine microvm,NAME=VALUE) have tables of their own.
 */
#ifndef KVMLENS_OPTIONS_INTERNAL_H
#define KVMLENS_OPTIONS_INTERNAL_H

#include "options.h"

struct option_def;
struct device_refs; /* options_backends.h */
struct pending_devices;

/* -smp's properties; 0: not given. */
struct smp_option {
    unsigned cpus, maxcpus, sockets, cores, threads;
};

/* Where the parser is. */
struct option_parser {
    struct options *options;
    struct error *err;
    const struct option_def *def; /* the option being parsed */
    const char *typed;            /* and how it was typed: "-M", "--machine" */
    bool accel_given, serial_given, trace_kind_given, trace_format_given;
    const char *serial_chardev;       /* -serial chardev:ID */
    bool socket_server, mux;          /* of the -chardev being parsed: server=on, mux=on */
    bool drive_plugged;               /* the -drive being parsed brings its device along */
    struct virtio_option *device;     /* -device virtio-*: the one whose properties are parsed */
    struct console_port_option *port; /* -device virtconsole, virtserialport */
    struct device_refs *refs;         /* the names that it refers to */
    struct pending_devices *pending;  /* all of them so far */
    struct smp_option smp;
};

enum option_group {
    GROUP_GUEST,
    GROUP_MACHINE,
    GROUP_LINES,
    GROUP_TRACE,
    GROUP_HELP,
    GROUP_IGNORED,
    OPTION_GROUPS
};

/* What an option is beside QEMU's of that name (QEMU 7.2, -machine microvm). */
enum qemu_relation {
    QEMU_SAME,
    QEMU_LIMITS,  /* the same as far as it goes */
    QEMU_IGNORED, /* taken, and changes nothing */
    QEMU_OWN,     /* kvmlens's own */
    QEMU_ABSENT,  /* QEMU's alone: not in this table, but in options_absent.c */
    QEMU_RELATIONS
};

struct option_def {
    enum option_group group;
    const char *name, *alias; /* without dashes; alias may be NULL */
    const char *argument;     /* as the help shows it; NULL: the option takes none */
    const char *help;         /* one line of any length; the help wraps it */
    /* ARGUMENT is writable, and NULL for an option without one. */
    int (*parse)(struct option_parser *parser, char *argument);
    enum qemu_relation relation;
    const char *note; /* on the relation: sentences; NULL: HELP says it */
};

extern const struct option_def option_table[]; /* ends with a NULL name */
extern const char *const option_group_titles[OPTION_GROUPS];

/* The note on DEF's relation to QEMU. */
const char *option_note(const struct option_def *def);

/* The options of kvmlens and of QEMU, printed: one line each for programs, or as Markdown. */
void help_option_list(void);
void help_qemu(void);

/* Prints TEXT as a cell of a Markdown table. */
void help_escaped(const char *text);

/* A property of an option's argument. SET given: kvmlens's own. Else with VALUES: accepted if it
 * has one of these values ("off|auto"), which is what kvmlens does anyway. Else QEMU's alone. */
struct property {
    const char *name;
    const char *values; /* as the help and messages show them */
    const char *help;   /* NULL: not shown in the help */
    int (*set)(struct option_parser *parser, const char *value);
};

extern const struct property machine_properties[], accel_properties[], memory_properties[],
    smp_properties[], name_properties[], chardev_properties[], drive_properties[],
    netdev_properties[], debug_exit_properties[], trace_properties[], global_properties[];

/* Parses "NAME=VALUE,..." by TABLE, which ends with a NULL name; ",," stands for a comma within a
 * value. The first item may be a value alone if IMPLIED says of which property. "help" as an item
 * asks for TOPIC (if not NULL): the parser's mode is MODE_HELP then. ARGUMENT is cut up. */
int properties_parse(struct option_parser *parser, const struct property *table,
                     const char *implied, const char *topic, char *argument);

/* Sets the property NAME of TABLE to VALUE (NULL: none was given); TOPIC as above. */
int property_set(struct option_parser *parser, const struct property *table, const char *topic,
                 const char *name, const char *value);

/* A STATUS_USAGE error that begins with the option as it was typed; -1. */
int option_error(struct option_parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Switches to MODE_HELP; 0. */
int option_help(struct option_parser *parser, const char *topic);

/* "on", "off" and the like (QEMU's words) into *ON. -1 with an error that names PROPERTY. */
int parse_on_off(struct option_parser *parser, const char *property, const char *value, bool *on);

/* A number from MIN to MAX: decimal, or hexadecimal after 0x. -1 with an error that names
 * PROPERTY (NULL: the option's own value). */
int parse_number(struct option_parser *parser, const char *property, const char *value,
                 uint64_t min, uint64_t max, uint64_t *number);

/* The name of a file, which may not be empty. */
int parse_file(struct option_parser *parser, const char *argument, const char **file);

/* The options of the table, by what they set. */
int option_machine(struct option_parser *parser, char *argument);
int option_accel(struct option_parser *parser, char *argument);
int option_enable_kvm(struct option_parser *parser, char *argument);
int option_cpu(struct option_parser *parser, char *argument);
int option_memory(struct option_parser *parser, char *argument);
int option_smp(struct option_parser *parser, char *argument);
int option_kernel(struct option_parser *parser, char *argument);
int option_initrd(struct option_parser *parser, char *argument);
int option_append(struct option_parser *parser, char *argument);
int option_bios(struct option_parser *parser, char *argument);
int option_serial(struct option_parser *parser, char *argument);
int option_chardev(struct option_parser *parser, char *argument);
int option_drive(struct option_parser *parser, char *argument);
int option_hd(struct option_parser *parser, char *argument);
int option_no_reboot(struct option_parser *parser, char *argument);
int option_name(struct option_parser *parser, char *argument);
int option_device(struct option_parser *parser, char *argument);
int option_netdev(struct option_parser *parser, char *argument);
int option_nic(struct option_parser *parser, char *argument);
int option_object(struct option_parser *parser, char *argument);
int option_global(struct option_parser *parser, char *argument);
int option_trace(struct option_parser *parser, char *argument);

/* All options are known: which traces can be together. */
int check_traces(struct options *options, struct error *err);
int option_show_help(struct option_parser *parser, char *argument);
int option_version(struct option_parser *parser, char *argument);
int option_none(struct option_parser *parser, char *argument);   /* takes "none" alone */
int option_ignore(struct option_parser *parser, char *argument); /* changes nothing here */

#endif
