/*
 * chardev.c: what goes through a character device in both directions; chardev_open.c opens it.  The
 * escape keys are QEMU's (qemu-system-x86_64(1), "Keys in the character backend multiplexer").
 */
#include "chardev_internal.h"

#include "../log.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE_KEY    0x01         /* Ctrl-A */
#define PTY_LOOK_NS   200000000ull /* how often a pty that nobody has open is looked at */
#define TYPED_AT_ONCE 64
#define NS_PER_MS     1000000ull
#define DRAIN_NS      (2000 * NS_PER_MS) /* how long a guest that has ended waits for its readers */

static const char escape_help[] = "\n"
                                  "C-a h    print this help\n"
                                  "C-a x    end kvmlens\n"
                                  "C-a b    send a break\n"
                                  "C-a C-a  send C-a\n";

void chardev_set_open(struct chardev *dev, bool open)
{
    if (dev->open == open)
        return;
    dev->open = open;
    if (dev->peer.opened)
        dev->peer.opened(dev->peer.opaque, open);
}

/* --- input -------------------------------------------------------------------------------------- */

/* A pty whose other side nobody has open reports a hang-up for ever: look again later. */
static void pty_wait(struct chardev *dev)
{
    loop_want(dev->loop, &dev->in, 0);
    loop_arm(dev->loop, &dev->retry, loop_now() + PTY_LOOK_NS);
    chardev_set_open(dev, false);
}

static bool pty_hung_up(const struct chardev *dev)
{
    struct pollfd look = {.fd = dev->in.fd, .events = POLLIN};

    return poll(&look, 1, 0) >= 0 && (look.revents & POLLHUP);
}

void chardev_look_at_pty(void *opaque)
{
    struct chardev *dev = opaque;

    if (pty_hung_up(dev)) {
        pty_wait(dev);
    } else {
        loop_want(dev->loop, &dev->in, POLLIN);
        chardev_set_open(dev, true);
    }
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

static void input_over(struct chardev *dev, short revents)
{
    if (dev->option.kind == CHARDEV_PTY && (revents & POLLHUP)) {
        pty_wait(dev);
    } else if (dev->option.kind == CHARDEV_SOCKET) {
        chardev_socket_disconnect(dev);
    } else {
        dev->input_ended = true;
        loop_want(dev->loop, &dev->in, 0);
    }
}

/* The guest takes nothing now. The end of a socket is still looked for: the next client waits for it. */
static void wait_for_room(struct chardev *dev, short revents)
{
    if (dev->option.kind != CHARDEV_SOCKET)
        loop_want(dev->loop, &dev->in, 0);
    else if (revents & (POLLHUP | POLLERR))
        chardev_socket_left(dev);
    else
        loop_want(dev->loop, &dev->in, POLLHUP);
}

void chardev_input_ready(void *opaque, short revents)
{
    struct chardev *dev = opaque;
    uint8_t bytes[CHARDEV_PENDING];
    unsigned space = CHARDEV_PENDING - dev->pending_count;

    if (dev->is_tty && terminal_in_background()) {
        chardev_take_terminal(dev);
        return;
    }
    /* A guest that does not listen must not keep a person from typing Ctrl-A x. A pipe waits. */
    if (dev->is_tty) {
        space = TYPED_AT_ONCE;
    } else if (space == 0) {
        wait_for_room(dev, revents);
        return;
    }

    ssize_t n = read(dev->in.fd, bytes, space);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        input_over(dev, revents);
        return;
    }

    unsigned count = (unsigned)n;

    if (dev->option.kind == CHARDEV_SOCKET)
        chardev_socket_heard(dev);
    if (dev->option.escape)
        count = filter_escapes(dev, bytes, count);
    for (unsigned i = 0; i < count && dev->pending_count < CHARDEV_PENDING; i++)
        dev->pending[(dev->pending_head + dev->pending_count++) % CHARDEV_PENDING] = bytes[i];
    deliver_pending(dev);
}

void chardev_accept_input(struct chardev *dev)
{
    deliver_pending(dev);
    bool nobody = dev->option.kind == CHARDEV_PTY && dev->retry.deadline != 0;

    if (dev->in.fd >= 0 && !dev->input_ended && !nobody)
        loop_want(dev->loop, &dev->in, POLLIN);
}

/* --- output ------------------------------------------------------------------------------------- */

void chardev_resume_output(struct chardev *dev)
{
    if (dev->peer.writable)
        dev->peer.writable(dev->peer.opaque);
}

void chardev_output_ready(void *opaque, short revents)
{
    struct chardev *dev = opaque;

    (void)revents; /* an error shows itself at the next write */
    loop_want(dev->loop, &dev->out, 0);
    chardev_resume_output(dev);
}

static void end_output(struct chardev *dev, int error)
{
    dev->output_ended = true;
    loop_want(dev->loop, &dev->out, 0);
    /* The loop, not the guest's device that is just sending, sees a socket's end and says so. */
    if (dev->option.kind == CHARDEV_SOCKET)
        loop_want(dev->loop, &dev->in, POLLIN);
    else
        log_say("%s: %s; the guest's output is dropped from here on", dev->name, strerror(error));
}

static bool has_room(const struct chardev *dev)
{
    struct pollfd can = {.fd = dev->out.fd, .events = POLLOUT};

    return poll(&can, 1, 0) > 0;
}

/* Is there nobody who could ever read what is written now? */
static bool nobody_reads(const struct chardev *dev)
{
    return dev->out.fd < 0 || dev->output_ended ||
           (dev->option.kind == CHARDEV_PTY && pty_hung_up(dev));
}

size_t chardev_write(struct chardev *dev, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    size_t done = 0;

    if (nobody_reads(dev))
        return count;
    while (done < count) {
        size_t part = count - done;

        if (dev->at_once > 0) {
            /* The descriptor may be shared with a shell, so it must not be made non-blocking. */
            if (!has_room(dev))
                break;
            part = part < dev->at_once ? part : dev->at_once;
        }

        ssize_t n = write(dev->out.fd, from + done, part);

        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n == 0 || errno != EINTR) {
            end_output(dev, n < 0 ? errno : ENOSPC);
            return count;
        }
    }
    if (done < count)
        loop_want(dev->loop, &dev->out, POLLOUT);
    return done;
}

bool chardev_send(struct chardev *dev, uint8_t byte)
{
    return chardev_write(dev, &byte, 1) == 1;
}

/* The guest has output that waits for room. */
static bool output_waits(const struct chardev *dev)
{
    return dev && dev->out.fd >= 0 && (dev->out.events & POLLOUT);
}

void chardev_drain(struct chardev *const dev[CHARDEVS_MAX], pthread_mutex_t *lock)
{
    uint64_t now, deadline = loop_now() + DRAIN_NS;

    while ((now = loop_now()) < deadline) {
        struct pollfd out[CHARDEVS_MAX];
        bool waits = false;

        for (unsigned i = 0; i < CHARDEVS_MAX; i++) {
            bool this_waits = output_waits(dev[i]);

            out[i] = (struct pollfd){.fd = this_waits ? dev[i]->out.fd : -1, .events = POLLOUT};
            waits = waits || this_waits;
        }
        if (!waits)
            return;
        if (poll(out, CHARDEVS_MAX, (int)((deadline - now) / NS_PER_MS) + 1) <= 0)
            continue;
        pthread_mutex_lock(lock);
        for (unsigned i = 0; i < CHARDEVS_MAX; i++)
            if (out[i].revents)
                chardev_output_ready(dev[i], out[i].revents);
        pthread_mutex_unlock(lock);
    }
    for (unsigned i = 0; i < CHARDEVS_MAX; i++)
        if (output_waits(dev[i]))
            log_say("%s: the guest's last output could not be written: nobody reads it",
                    dev[i]->name);
}

/* --- both --------------------------------------------------------------------------------------- */

void chardev_connect(struct chardev *dev, const struct chardev_peer *peer)
{
    dev->peer = peer ? *peer : (struct chardev_peer){0};
    if (!peer)
        return;
    if (dev->option.kind == CHARDEV_PTY)
        chardev_look_at_pty(dev);
    else
        chardev_accept_input(dev);
}

bool chardev_window_size(const struct chardev *dev, uint16_t *columns, uint16_t *rows)
{
    struct winsize size;

    if (dev->out.fd < 0 || ioctl(dev->out.fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return false;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return true;
}

void chardev_resized(const struct chardev *dev)
{
    if (dev->option.kind == CHARDEV_STDIO && dev->peer.resized)
        dev->peer.resized(dev->peer.opaque);
}
