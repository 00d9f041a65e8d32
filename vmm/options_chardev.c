/*
 * options_chardev.c: -serial and -chardev: the far ends of serial ports and consoles.
 * Source: qemu-system-x86_64(1), "Character device options"; QEMU chardev/char.c.
 */
#include "options_backends.h"

#include "options_qemu.h"
#include "suggest.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct device_options *devices(struct option_parser *parser)
{
    return &parser->options->devices;
}

/* The chardev being parsed; it counts once it is complete. */
static struct chardev_option *current(struct option_parser *parser)
{
    return &devices(parser)->chardev[devices(parser)->chardev_count];
}

static int begin_chardev(struct option_parser *parser, const struct chardev_option *start)
{
    if (devices(parser)->chardev_count == CHARDEVS_MAX)
        return option_error(parser, "there can be %d character devices at most", CHARDEVS_MAX);
    *current(parser) = *start;
    parser->socket_server = parser->mux = false;
    return 0;
}

static int end_chardev(struct option_parser *parser)
{
    struct device_options *d = devices(parser);
    struct chardev_option *it = current(parser);

    if (it->kind == CHARDEV_SOCKET && !parser->socket_server)
        return option_error(parser, "server=on is missing: kvmlens waits for others to connect, "
                                    "it does not connect to them");
    if (it->kind == CHARDEV_STDIO)
        for (unsigned i = 0; i < d->chardev_count; i++)
            if (d->chardev[i].kind == CHARDEV_STDIO)
                return option_error(parser, "the terminal (stdio) is in use already, by %s%s",
                                    d->chardev[i].id ? "-chardev stdio,id=" : "the serial port",
                                    d->chardev[i].id ? d->chardev[i].id : "");
    if ((it->kind == CHARDEV_FILE || it->kind == CHARDEV_SOCKET) && (!it->path || !*it->path))
        return option_error(parser, "the file name is empty");
    d->chardev_count++;
    return 0;
}

/* --- -chardev ----------------------------------------------------------------------------------- */

static const struct {
    const char *name, *takes; /* properties beside id, mux */
    enum chardev_kind kind;
} kinds[] = {
    {"stdio", "signal", CHARDEV_STDIO},
    {"file", "path append", CHARDEV_FILE},
    {"null", "", CHARDEV_NULL},
    {"pty", "", CHARDEV_PTY},
    {"socket", "path server wait", CHARDEV_SOCKET},
};

/* Is NAME a property of the kind being parsed? */
static int check_taken(struct option_parser *parser, const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].kind == current(parser)->kind && !strstr(kinds[i].takes, name))
            return option_error(parser, "%s has no property %s", kinds[i].name, name);
    return 0;
}

static int set_switch(struct option_parser *parser, const char *name, const char *value, bool *on)
{
    return check_taken(parser, name) < 0 ? -1 : parse_on_off(parser, name, value, on);
}

static int set_id(struct option_parser *parser, const char *value)
{
    struct device_options *d = devices(parser);

    if (!*value)
        return option_error(parser, "the id is empty");
    for (unsigned i = 0; i < d->chardev_count; i++)
        if (d->chardev[i].id && strcmp(d->chardev[i].id, value) == 0)
            return option_error(parser, "there are two with id=%s", value);
    current(parser)->id = value;
    return 0;
}

static int set_path(struct option_parser *parser, const char *value)
{
    if (check_taken(parser, "path") < 0)
        return -1;
    current(parser)->path = value;
    return 0;
}

static int set_append(struct option_parser *parser, const char *value)
{
    return set_switch(parser, "append", value, &current(parser)->append);
}

static int set_server(struct option_parser *parser, const char *value)
{
    return set_switch(parser, "server", value, &parser->socket_server);
}

static int set_wait(struct option_parser *parser, const char *value)
{
    return set_switch(parser, "wait", value, &current(parser)->wait);
}

static int set_signal(struct option_parser *parser, const char *value)
{
    return set_switch(parser, "signal", value, &current(parser)->signals);
}

static int set_mux(struct option_parser *parser, const char *value)
{
    if (parse_on_off(parser, "mux", value, &parser->mux) < 0)
        return -1;
    if (parser->mux && current(parser)->kind != CHARDEV_STDIO)
        return option_error(parser, "QEMU has mux=on here, kvmlens has it with stdio only");
    current(parser)->escape = parser->mux;
    return 0;
}

const struct property chardev_properties[] = {
    {"id", "ID", "Its name, for chardev=ID.", set_id},
    {"path", "PATH", "file: what is written to; socket: the UNIX stream socket to make.", set_path},
    {"append", "on|off", "file: keep what is there (default: off).", set_append},
    {"server", "on", "socket: others connect, one at a time.", set_server},
    {"wait", "on|off", "socket: the guest starts when somebody has connected (default: on).",
     set_wait},
    {"signal", "on|off",
     "stdio: Ctrl-C ends kvmlens (on, the default), or is a key for the guest (off).", set_signal},
    {"mux", "on|off", "stdio: Ctrl-A is the escape character (default: off).", set_mux},
    {"telnet", "off", NULL, NULL},
    {"tls-creds", NULL, NULL, NULL},
    {"websocket", "off", NULL, NULL},
    {"abstract", "off", NULL, NULL},
    {"tight", "on", NULL, NULL},
    {"reconnect", "0", NULL, NULL},
    {"input-path", NULL, NULL, NULL},
    {"logfile", NULL, NULL, NULL},
    {"logappend", NULL, NULL, NULL},
    {"host", NULL, NULL, NULL},
    {"port", NULL, NULL, NULL},
    {"to", NULL, NULL, NULL},
    {"ipv4", NULL, NULL, NULL},
    {"ipv6", NULL, NULL, NULL},
    {"nodelay", NULL, NULL, NULL},
    {"fd", NULL, NULL, NULL},
    {0},
};

static int unknown_kind(struct option_parser *parser, const char *name)
{
    struct suggestion near = {.word = name};

    for (size_t i = 0; i < COUNT(kinds); i++)
        suggest_offer(&near, kinds[i].name);
    if (qemu_has_chardev(name))
        return option_error(parser,
                            "QEMU has the character device %s, kvmlens has not; -chardev help "
                            "lists what it has",
                            name);
    return option_error(parser, "there is no character device %s; %s%s%s", QUOTE(name),
                        near.best[0] ? "did you mean " : "-chardev help lists them", near.best,
                        near.best[0] ? "?" : "");
}

int option_chardev(struct option_parser *parser, char *argument)
{
    char *name = strncmp(argument, "backend=", 8) == 0 ? argument + 8 : argument;
    char *comma = strchr(name, ',');
    size_t kind = 0;

    if (comma)
        *comma = '\0';
    if (strcmp(name, "help") == 0 || strcmp(name, "?") == 0)
        return option_help(parser, "chardev");
    while (kind < COUNT(kinds) && strcmp(kinds[kind].name, name) != 0)
        kind++;
    if (kind == COUNT(kinds))
        return unknown_kind(parser, name);
    if (begin_chardev(parser, &(struct chardev_option){
                                  .kind = kinds[kind].kind, .signals = true, .wait = true}) < 0)
        return -1;
    if (comma && properties_parse(parser, chardev_properties, NULL, "chardev", comma + 1) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!current(parser)->id)
        return option_error(parser, "the id is missing: -chardev %s,id=ID", name);
    return end_chardev(parser);
}

int take_chardev(struct option_parser *parser, const char *typed, const char *id)
{
    struct device_options *d = devices(parser);

    for (unsigned i = 0; i < d->chardev_count; i++) {
        if (!d->chardev[i].id || strcmp(d->chardev[i].id, id) != 0)
            continue;
        if (d->chardev[i].taken)
            return error_set(parser->err, STATUS_USAGE,
                             "%s: chardev %s is in use already; it takes one device", typed,
                             QUOTE(id));
        d->chardev[i].taken = true;
        return (int)i;
    }
    return error_set(parser->err, STATUS_USAGE, "%s: there is no -chardev with id=%s", typed, id);
}

/* --- -serial ------------------------------------------------------------------------------------ */

static const struct chardev_option mon_stdio = {.kind = CHARDEV_STDIO, .escape = true};

static const struct {
    const char *name;
    struct chardev_option chardev;
} serial_words[] = {
    {"stdio", {.kind = CHARDEV_STDIO, .signals = true}},
    {"mon:stdio", {.kind = CHARDEV_STDIO, .escape = true}},
    {"null", {.kind = CHARDEV_NULL}},
    {"pty", {.kind = CHARDEV_PTY}},
};

static int unknown_serial(struct option_parser *parser, const char *argument)
{
    const char *kind = strncmp(argument, "mon:", 4) == 0 ? argument + 4 : argument;
    size_t len = strcspn(kind, ":,");
    struct suggestion near = {.word = argument};
    char name[SUGGEST_MAX + 1];

    if (kind != argument && (strncmp(kind, "file:", 5) == 0 || strncmp(kind, "unix:", 5) == 0 ||
                             strcmp(kind, "pty") == 0 || strcmp(kind, "null") == 0))
        return option_error(parser, "QEMU has %s, kvmlens has mon: with stdio only",
                            QUOTE(argument));
    if (len <= SUGGEST_MAX) {
        memcpy(name, kind, len);
        name[len] = '\0';
        if (qemu_has_chardev(strncmp(kind, "/dev/", 5) == 0 ? "/dev/" : name))
            return option_error(parser, "QEMU has the serial line %s, kvmlens has not: it has %s",
                                QUOTE(argument), parser->def->argument);
    }
    for (size_t i = 0; i < COUNT(serial_words); i++)
        suggest_offer(&near, serial_words[i].name);
    suggest_offer(&near, "none");
    if (near.best[0])
        return option_error(parser, "there is no serial line %s; did you mean %s?", QUOTE(argument),
                            near.best);
    return option_error(parser, "there is no serial line %s; expected %s", QUOTE(argument),
                        parser->def->argument);
}

static int make_serial(struct option_parser *parser, const struct chardev_option *chardev)
{
    if (begin_chardev(parser, chardev) < 0)
        return -1;
    current(parser)->taken = true;
    parser->options->serial = (int)devices(parser)->chardev_count;
    return 0;
}

/* A UNIX socket, whose properties follow the path. */
static int make_serial_socket(struct option_parser *parser, char *argument)
{
    if (make_serial(parser, &(struct chardev_option){.kind = CHARDEV_SOCKET, .wait = true}) < 0 ||
        properties_parse(parser, chardev_properties, "path", NULL, argument) < 0)
        return -1;
    return end_chardev(parser);
}

int option_serial(struct option_parser *parser, char *argument)
{
    if (parser->serial_given)
        return option_error(parser, "given twice; the machine has one serial port");
    parser->serial_given = true;
    for (size_t i = 0; i < COUNT(serial_words); i++)
        if (strcmp(argument, serial_words[i].name) == 0)
            return make_serial(parser, &serial_words[i].chardev) < 0 ? -1 : end_chardev(parser);
    if (strcmp(argument, "none") == 0) {
        parser->options->isa_serial = false;
        return 0;
    }
    if (strncmp(argument, "file:", 5) == 0) {
        const struct chardev_option file = {.kind = CHARDEV_FILE, .path = argument + 5};

        return make_serial(parser, &file) < 0 ? -1 : end_chardev(parser);
    }
    if (strncmp(argument, "unix:", 5) == 0)
        return make_serial_socket(parser, argument + 5);
    if (strncmp(argument, "chardev:", 8) == 0) {
        parser->serial_chardev = argument + 8;
        return 0;
    }
    return unknown_serial(parser, argument);
}

int connect_serial(struct option_parser *parser)
{
    struct device_options *d = devices(parser);

    if (parser->serial_chardev) {
        parser->options->serial = take_chardev(parser, "-serial", parser->serial_chardev);
        return parser->options->serial < 0 ? -1 : 0;
    }
    if (parser->options->serial >= 0)
        return 0;
    for (unsigned i = 0; i < d->chardev_count; i++) {
        if (d->chardev[i].kind != CHARDEV_STDIO)
            continue;
        /* Without a serial port nobody else wants the terminal. */
        if (!parser->options->isa_serial)
            return 0;
        return error_set(parser->err, STATUS_USAGE,
                         "-chardev stdio,id=%s: the serial port has the terminal (-serial "
                         "mon:stdio is the default); give it another place, such as -serial null",
                         d->chardev[i].id);
    }
    /* The escape character ends kvmlens also where the guest has no serial port. */
    parser->typed = "-serial";
    return make_serial(parser, &mon_stdio) < 0 ? -1 : end_chardev(parser);
}
