/*
 * chardev_open.c: opening and closing character devices (open(2), posix_openpt(3), termios(3)).
 */
#include "chardev_internal.h"

#include "../log.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define FOREGROUND_LOOK_NS 200000000ull /* a job in the background looks for its terminal */

const char *chardev_label(const struct chardev *dev, struct chardev_label *label)
{
    static const char *const kinds[] = {
        [CHARDEV_STDIO] = "stdio", [CHARDEV_FILE] = "file",     [CHARDEV_NULL] = "null",
        [CHARDEV_PTY] = "pty",     [CHARDEV_SOCKET] = "socket",
    };
    const struct chardev_option *o = &dev->option;
    const char *path = o->path ? o->path : "";

    if (o->id)
        snprintf(label->text, sizeof label->text, "-chardev %s,id=%s%s%s", kinds[o->kind], o->id,
                 *path ? ",path=" : "", path);
    else
        snprintf(label->text, sizeof label->text, "-serial %s%s%s",
                 o->kind == CHARDEV_SOCKET ? "unix" : kinds[o->kind], *path ? ":" : "", path);
    return label->text;
}

/* How much a blocking descriptor takes at least when poll(2) has found room: a pipe a whole
 * PIPE_BUF (pipe(7)), and of others a byte is all that is sure. */
static size_t safe_to_write(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return 1;
    return S_ISREG(st.st_mode) ? 0 : S_ISFIFO(st.st_mode) ? PIPE_BUF : 1;
}

static void look_at_terminal(void *opaque)
{
    struct chardev *dev = opaque;

    chardev_take_terminal(dev);
    chardev_accept_input(dev);
}

static void open_stdio(struct chardev *dev)
{
    dev->name = "stdout";
    dev->in.fd = STDIN_FILENO;
    dev->in.events = POLLIN; /* Ctrl-A x must work though the guest may have no serial port */
    dev->out.fd = STDOUT_FILENO;
    dev->is_tty = isatty(STDIN_FILENO);
    dev->retry.fire = look_at_terminal;
    dev->at_once = safe_to_write(STDOUT_FILENO);
}

static int open_file(struct chardev *dev, struct error *err)
{
    const int how = dev->option.append ? O_APPEND : O_TRUNC;

    dev->name = dev->option.path;
    dev->out.fd = open(dev->name, O_WRONLY | O_CREAT | how | O_NOCTTY | O_CLOEXEC, 0666);
    /* The opening of a FIFO waits for its reader, but writing must not. */
    if (dev->out.fd < 0 || fcntl(dev->out.fd, F_SETFL, (how & O_APPEND) | O_NONBLOCK) < 0)
        return error_set(err, STATUS_USAGE, "%s: %s", LABEL(dev), strerror(errno));
    return 0;
}

static int open_pty(struct chardev *dev, struct error *err)
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    int slave = -1;

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
        (slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 ||
        tcgetattr(slave, &raw) < 0) {
        int saved = errno;

        if (fd >= 0)
            close(fd);
        return error_set(err, STATUS_INTERNAL, "%s: %s", LABEL(dev), strerror(saved));
    }
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    log_say("char device redirected to %s (label %s)", ptsname(fd),
            dev->option.id ? dev->option.id : "serial0");
    close(slave); /* from now on a hang-up tells that nobody has it open */
    dev->in.fd = dev->out.fd = fd;
    dev->open = false;
    dev->name = "pty";
    return 0;
}

static int open_kind(struct chardev *dev, struct error *err)
{
    switch (dev->option.kind) {
    case CHARDEV_STDIO:
        open_stdio(dev);
        return 0;
    case CHARDEV_FILE:
        return open_file(dev, err);
    case CHARDEV_PTY:
        return open_pty(dev, err);
    case CHARDEV_SOCKET:
        return chardev_socket_open(dev, err);
    case CHARDEV_NULL:
        break;
    }
    return 0;
}

int chardev_open(struct chardev **out, struct loop *loop, const struct chardev_option *option,
                 struct error *err)
{
    struct chardev *dev = malloc(sizeof *dev);

    if (!dev)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    *dev = (struct chardev){
        .loop = loop,
        .option = *option,
        .in = {.fd = -1, .ready = chardev_input_ready, .opaque = dev},
        .out = {.fd = -1, .ready = chardev_output_ready, .opaque = dev},
        .listener = {.fd = -1},
        .retry = {.fire = chardev_look_at_pty, .opaque = dev},
        .open = true,
    };
    if (open_kind(dev, err) < 0) {
        chardev_close(dev);
        return -1;
    }
    if (loop_add_fd(loop, &dev->in) < 0 || loop_add_fd(loop, &dev->out) < 0 ||
        (dev->listener.fd >= 0 && loop_add_fd(loop, &dev->listener) < 0) ||
        loop_add_timer(loop, &dev->retry) < 0) {
        chardev_close(dev);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    *out = dev;
    return 0;
}

void chardev_take_terminal(struct chardev *dev)
{
    if (dev->option.kind != CHARDEV_STDIO || !dev->is_tty)
        return;
    if (!terminal_in_background()) {
        terminal_raw(dev->option.signals);
        return;
    }
    /* What is typed is the shell's, and reading it would stop kvmlens (SIGTTIN). The shell tells
     * nothing to a job that runs already when it gets the terminal. */
    loop_want(dev->loop, &dev->in, 0);
    loop_arm(dev->loop, &dev->retry, loop_now() + FOREGROUND_LOOK_NS);
}

void chardev_close(struct chardev *dev)
{
    if (!dev)
        return;
    loop_remove_fd(dev->loop, &dev->in);
    loop_remove_fd(dev->loop, &dev->out);
    loop_remove_timer(dev->loop, &dev->retry);
    if (dev->option.kind == CHARDEV_STDIO)
        terminal_restore();
    else if (dev->out.fd >= 0)
        close(dev->out.fd);
    if (dev->option.kind == CHARDEV_SOCKET)
        chardev_socket_close(dev);
    free(dev);
}
