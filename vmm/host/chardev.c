/*
 * chardev.c: the host's end of a serial line.  The escape keys are QEMU's (qemu-system-x86_64(1),
 * "Keys in the character backend multiplexer").
 */
#include "chardev.h"

#include "../log.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE_KEY    0x01         /* Ctrl-A */
#define PTY_LOOK_NS   200000000ull /* how often a pty that nobody has open is looked at */
#define INPUT_AT_ONCE 64
#define DRAIN_MS      2000 /* how long a guest that has ended waits for its reader */

static const char escape_help[] = "\n"
                                  "C-a h    print this help\n"
                                  "C-a x    end kvmlens\n"
                                  "C-a b    send a break\n"
                                  "C-a C-a  send C-a\n";

static void end_output(struct chardev *dev, int error)
{
    dev->output_ended = true;
    loop_want(dev->loop, &dev->out, 0);
    log_say("%s: %s; the guest's output is dropped from here on", dev->name, strerror(error));
}

static void end_input(struct chardev *dev)
{
    dev->input_ended = true;
    loop_want(dev->loop, &dev->in, 0);
}

/* A pty whose other side nobody has open reports a hang-up for ever: look again later. */
static void pty_wait(struct chardev *dev)
{
    loop_want(dev->loop, &dev->in, 0);
    loop_arm(dev->loop, &dev->reconnect, loop_now() + PTY_LOOK_NS);
}

static void run_escape_command(struct chardev *dev, uint8_t key)
{
    switch (key) {
    case 'x':
        dev->quit(dev->quit_opaque);
        break;
    case 'b':
        if (dev->peer.receive_break)
            dev->peer.receive_break(dev->peer.opaque);
        break;
    case 'c':
        log_say("there is no monitor to switch to; C-a h lists the keys");
        break;
    default:
        fputs(escape_help, stderr);
        break;
    }
}

/* Takes the escape sequences out of BYTES; returns how many bytes are left for the guest. */
static unsigned filter_escapes(struct chardev *dev, uint8_t *bytes, unsigned count)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        bool is_escape = bytes[i] == ESCAPE_KEY;

        if (dev->escaped && !is_escape)
            run_escape_command(dev, bytes[i]);
        else if (dev->escaped || !is_escape)
            bytes[kept++] = bytes[i];
        dev->escaped = is_escape && !dev->escaped;
    }
    return kept;
}

/* Hands the guest what it has room for. */
static void deliver_pending(struct chardev *dev)
{
    while (dev->pending_count > 0 && dev->peer.room) {
        unsigned n = dev->peer.room(dev->peer.opaque);
        unsigned to_end = CHARDEV_PENDING - dev->pending_head;

        n = n < dev->pending_count ? n : dev->pending_count;
        n = n < to_end ? n : to_end;
        if (n == 0)
            return;

        const uint8_t *bytes = &dev->pending[dev->pending_head];

        dev->pending_head = (dev->pending_head + n) % CHARDEV_PENDING;
        dev->pending_count -= n;
        dev->peer.receive(dev->peer.opaque, bytes, n);
    }
}

static void input_ready(void *opaque, short revents)
{
    struct chardev *dev = opaque;
    uint8_t bytes[INPUT_AT_ONCE];
    unsigned space = CHARDEV_PENDING - dev->pending_count;

    /* A guest that does not listen must not keep a person from typing Ctrl-A x. A pipe waits. */
    if (space < sizeof bytes && !dev->is_tty) {
        loop_want(dev->loop, &dev->in, 0);
        return;
    }

    ssize_t n = read(dev->in.fd, bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        if (dev->is_pty && (revents & POLLHUP))
            pty_wait(dev);
        else
            end_input(dev);
        return;
    }

    unsigned count = (unsigned)n;

    if (dev->escape)
        count = filter_escapes(dev, bytes, count);
    for (unsigned i = 0; i < count && dev->pending_count < CHARDEV_PENDING; i++)
        dev->pending[(dev->pending_head + dev->pending_count++) % CHARDEV_PENDING] = bytes[i];
    deliver_pending(dev);
}

static void output_ready(void *opaque, short revents)
{
    struct chardev *dev = opaque;

    (void)revents; /* an error shows itself at the next write */
    loop_want(dev->loop, &dev->out, 0);
    if (dev->peer.writable)
        dev->peer.writable(dev->peer.opaque);
}

static void look_at_pty(void *opaque)
{
    struct chardev *dev = opaque;
    struct pollfd look = {.fd = dev->in.fd, .events = POLLIN};

    if (poll(&look, 1, 0) >= 0 && (look.revents & POLLHUP))
        pty_wait(dev);
    else
        loop_want(dev->loop, &dev->in, POLLIN);
}

bool chardev_send(struct chardev *dev, uint8_t byte)
{
    if (dev->out.fd < 0 || dev->output_ended)
        return true;
    if (!dev->always_ready) {
        /* The descriptor may be shared with a shell, so it must not be made non-blocking. */
        struct pollfd can = {.fd = dev->out.fd, .events = POLLOUT};

        if (poll(&can, 1, 0) >= 0 && dev->is_pty && (can.revents & POLLHUP))
            return true; /* nobody is there to read it */
        if (!(can.revents & (POLLOUT | POLLERR | POLLHUP))) {
            loop_want(dev->loop, &dev->out, POLLOUT);
            return false;
        }
    }
    for (;;) {
        ssize_t n = write(dev->out.fd, &byte, 1);

        if (n == 1)
            return true;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            loop_want(dev->loop, &dev->out, POLLOUT);
            return false;
        }
        end_output(dev, n < 0 ? errno : ENOSPC);
        return true;
    }
}

bool chardev_wait_writable(const struct chardev *dev)
{
    struct pollfd out = {.fd = dev->out.fd, .events = POLLOUT};
    int n;

    do
        n = poll(&out, 1, DRAIN_MS);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

void chardev_accept_input(struct chardev *dev)
{
    deliver_pending(dev);
    if (dev->in.fd >= 0 && !dev->input_ended && dev->reconnect.deadline == 0)
        loop_want(dev->loop, &dev->in, POLLIN);
}

void chardev_connect(struct chardev *dev, const struct chardev_peer *peer)
{
    dev->peer = peer ? *peer : (struct chardev_peer){0};
    if (!peer)
        return;
    if (dev->is_pty)
        look_at_pty(dev);
    else
        chardev_accept_input(dev);
}

static void open_stdio(struct chardev *dev, bool escape)
{
    dev->stdio = true;
    dev->name = "stdout";
    dev->escape = escape;
    dev->in.fd = STDIN_FILENO;
    dev->in.events = POLLIN; /* Ctrl-A x must work though the guest may have no serial port */
    dev->out.fd = STDOUT_FILENO;
    dev->is_tty = isatty(STDIN_FILENO);
}

static int open_file(struct chardev *dev, const char *path, struct error *err)
{
    dev->out.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
    if (dev->out.fd < 0)
        return error_set(err, STATUS_USAGE, "-serial file:%s: %s", path, strerror(errno));
    dev->name = path;
    return 0;
}

static int open_pty(struct chardev *dev, struct error *err)
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    int slave = -1;

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
        (slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 ||
        tcgetattr(slave, &raw) < 0) {
        int saved = errno;

        if (fd >= 0)
            close(fd);
        return error_set(err, STATUS_INTERNAL, "-serial pty: %s", strerror(saved));
    }
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    log_say("char device redirected to %s (label serial0)", ptsname(fd));
    close(slave); /* from now on a hang-up tells that nobody has it open */
    dev->in.fd = dev->out.fd = fd;
    dev->is_pty = true;
    dev->name = "pty";
    return 0;
}

int chardev_open(struct chardev *dev, struct loop *loop, const struct options *options,
                 struct error *err)
{
    struct stat st;
    int r = 0;

    *dev = (struct chardev){
        .loop = loop,
        .in = {.fd = -1, .ready = input_ready, .opaque = dev},
        .out = {.fd = -1, .ready = output_ready, .opaque = dev},
        .reconnect = {.fire = look_at_pty, .opaque = dev},
    };
    switch (options->serial) {
    case SERIAL_STDIO:
    case SERIAL_MON_STDIO:
        open_stdio(dev, options->serial == SERIAL_MON_STDIO);
        break;
    case SERIAL_FILE:
        r = open_file(dev, options->serial_path, err);
        break;
    case SERIAL_PTY:
        r = open_pty(dev, err);
        break;
    case SERIAL_NULL:
        break;
    }
    dev->always_ready = r == 0 && fstat(dev->out.fd, &st) == 0 && S_ISREG(st.st_mode);
    if (r == 0 && (loop_add_fd(loop, &dev->in) < 0 || loop_add_fd(loop, &dev->out) < 0 ||
                   loop_add_timer(loop, &dev->reconnect) < 0))
        r = error_set(err, STATUS_INTERNAL, "out of memory");
    return r;
}

void chardev_take_terminal(const struct chardev *dev)
{
    if (dev->stdio)
        terminal_raw(!dev->escape);
}

void chardev_close(struct chardev *dev)
{
    loop_remove_fd(dev->loop, &dev->in);
    loop_remove_fd(dev->loop, &dev->out);
    loop_remove_timer(dev->loop, &dev->reconnect);
    if (dev->stdio) {
        terminal_restore();
        return;
    }
    if (dev->out.fd >= 0)
        close(dev->out.fd);
}
