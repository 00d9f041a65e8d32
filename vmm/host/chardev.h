/*
 * chardev.h: the host's end of a serial line or console: the terminal (or whatever stdin and stdout
 * are), a file, a pseudo-terminal, a UNIX socket, or nothing.
 *
 * Input comes through the event loop. Output is written at once by whoever sends it, so that the
 * guest's words stand in order beside the trace; when the other side cannot take more, the sender
 * is told, and the guest's device waits.
 */
#ifndef KVMLENS_CHARDEV_H
#define KVMLENS_CHARDEV_H

#include "../error.h"
#include "../options_devices.h"
#include "loop.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#define CHARDEV_PENDING 4096 /* bytes typed ahead of the guest */

/* Who is at the guest's end. All calls are made with the loop's lock held; any may be NULL, but
 * receive where there is room. */
struct chardev_peer {
    unsigned (*room)(void *opaque); /* how many bytes receive() takes now */
    void (*receive)(void *opaque, const uint8_t *bytes, unsigned count);
    void (*receive_break)(void *opaque);
    void (*writable)(void *opaque); /* chardev_write() took less before, and can take bytes now */
    void (*opened)(void *opaque, bool open); /* somebody has connected at the far side, or left */
    void (*resized)(void *opaque);           /* chardev_window_size() may have changed */
    void *opaque;
};

struct chardev {
    struct loop *loop;
    struct chardev_option option; /* its strings are borrowed */
    struct loop_fd in, out;       /* fd -1: no such direction */
    struct loop_fd listener;      /* CHARDEV_SOCKET */
    struct loop_timer retry;      /* looks whether somebody opened the pty, or can connect again, or
                                    whether the terminal is kvmlens's again */
    dev_t socket_dev;             /* which socket file it is */
    ino_t socket_ino;
    bool is_tty;
    bool open;         /* somebody is at the far side (a pty or socket may have nobody) */
    size_t at_once;    /* bytes that a write(2) may have when poll(2) has found room; 0: the
                         descriptor never makes a writer wait, so poll(2) need not be asked */
    bool escaped;      /* the escape character came, and its command has not */
    bool input_ended;  /* end of file: stop reading for good */
    bool output_ended; /* nobody reads any more: drop everything */
    bool refusing;     /* nobody can connect to the socket, which has been said */
    bool deaf;         /* the guest takes nothing of what a client of the socket has left */
    bool cut_off;      /* the end of what a client sent was dropped, which has been said */
    uint8_t pending[CHARDEV_PENDING]; /* read, and not yet taken by the guest: a ring */
    unsigned pending_head, pending_count;
    const char *name; /* for messages: "stdout", a path */
    struct chardev_peer peer;
    void (*quit)(void *opaque); /* Ctrl-A x; with the loop's lock held */
    void *quit_opaque;
};

/* Opens what OPTION asks for. A socket with wait=on waits for somebody to connect, and says so. -1
 * with *err (STATUS_USAGE: a file, pty or socket that cannot be opened), and nothing to close. */
int chardev_open(struct chardev **dev, struct loop *loop, const struct chardev_option *option,
                 struct error *err);

/* Puts the terminal in raw mode, if the line goes there: at the start, and again after kvmlens was
 * stopped and continued. In the background it does so once the shell gives the terminal back; until
 * then nothing is read from it. With the loop's lock held, or while it does not run. */
void chardev_take_terminal(struct chardev *dev);

/* Stops, restores the terminal, closes and removes what chardev_open() opened, frees. May be NULL. */
void chardev_close(struct chardev *dev);

/* Connects the guest's end; NULL disconnects. With the loop's lock held, or before it runs. */
void chardev_connect(struct chardev *dev, const struct chardev_peer *peer);

/* Sends bytes; returns how many were taken. Fewer than COUNT: peer.writable() is called once there
 * is room again. Where nobody is there to read, all are taken (and dropped). */
size_t chardev_write(struct chardev *dev, const void *bytes, size_t count);

/* Sends a byte. False: not now. */
bool chardev_send(struct chardev *dev, uint8_t byte);

/* The guest has ended: what it has sent and could not be written yet (peer.writable() sends it)
 * gets 2 seconds, all devices together; what is left is said. DEV may have NULLs. The peers are
 * called with LOCK held; the loop does not run. */
void chardev_drain(struct chardev *const dev[CHARDEVS_MAX], pthread_mutex_t *lock);

/* The peer has room again. */
void chardev_accept_input(struct chardev *dev);

/* The size of the window, if the line goes to a terminal: false where there is none. */
bool chardev_window_size(const struct chardev *dev, uint16_t *columns, uint16_t *rows);

/* kvmlens's terminal has another size now (SIGWINCH). With the loop's lock held. */
void chardev_resized(const struct chardev *dev);

#endif
