/*
 * chardev.h: the host's end of a serial line: the terminal (or whatever stdin and stdout are), a
 * file, a pseudo-terminal, or nothing.
 *
 * Input comes through the event loop. Output is written at once by whoever sends it, so that the
 * guest's words stand in order beside the trace; when the other side cannot take more, the sender
 * is told, and the guest's UART waits.
 */
#ifndef KVMLENS_CHARDEV_H
#define KVMLENS_CHARDEV_H

#include "../error.h"
#include "../options.h"
#include "loop.h"

#include <stddef.h>

#define CHARDEV_PENDING 1024 /* bytes typed ahead of the guest */

/* Who is at the guest's end. All calls are made with the loop's lock held. */
struct chardev_peer {
    unsigned (*room)(void *opaque); /* how many bytes receive() takes now */
    void (*receive)(void *opaque, const uint8_t *bytes, unsigned count);
    void (*receive_break)(void *opaque);
    void (*writable)(void *opaque); /* chardev_send() said no before, and can take bytes now */
    void *opaque;
};

struct chardev {
    struct loop *loop;
    struct loop_fd in, out;      /* fd -1: no such direction */
    struct loop_timer reconnect; /* looks whether somebody opened the pty */
    bool stdio, is_tty, is_pty;
    bool always_ready;                /* the output is a regular file: writing never waits */
    bool escape;                      /* Ctrl-A is the escape character */
    bool escaped;                     /* it came, and its command has not */
    bool input_ended;                 /* end of file: stop reading for good */
    bool output_ended;                /* nobody reads any more: drop everything */
    uint8_t pending[CHARDEV_PENDING]; /* read, and not yet taken by the guest: a ring */
    unsigned pending_head, pending_count;
    const char *name; /* for messages: "stdout", a path */
    struct chardev_peer peer;
    void (*quit)(void *opaque); /* Ctrl-A x; with the loop's lock held */
    void *quit_opaque;
};

/* Opens what OPTIONS->serial asks for. -1 with *err if a file or pty cannot be opened. */
int chardev_open(struct chardev *dev, struct loop *loop, const struct options *options,
                 struct error *err);

/* Puts the terminal in raw mode, if the serial line goes there: at the start, and again after
 * kvmlens was stopped and continued. */
void chardev_take_terminal(const struct chardev *dev);

/* Stops, restores the terminal, closes what chardev_open() opened. */
void chardev_close(struct chardev *dev);

/* Connects the guest's end; NULL disconnects. With the loop's lock held, or before it runs. */
void chardev_connect(struct chardev *dev, const struct chardev_peer *peer);

/* Sends a byte. False: not now; peer.writable() is called once there is room. */
bool chardev_send(struct chardev *dev, uint8_t byte);

/* Waits, for 2 seconds at the most, until chardev_send() can take a byte. False: it still cannot. */
bool chardev_wait_writable(const struct chardev *dev);

/* The peer has room again. */
void chardev_accept_input(struct chardev *dev);

#endif
