/*
 * loop.h: the event loop of the main thread: file descriptors, timers and pollers.
 *
 * It is poll(2), not epoll: there are a handful of descriptors, and a guest's input may come from
 * a regular file, which epoll refuses.
 */
#ifndef KVMLENS_LOOP_H
#define KVMLENS_LOOP_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct loop_fd {
    int fd;
    short events; /* POLLIN, POLLOUT, POLLHUP alone, or 0: do not look at it at all, not even for a
                     hang-up */
    void (*ready)(void *opaque, short revents);
    void *opaque;
};

struct loop_timer {
    uint64_t deadline; /* loop_now() ns; 0: not armed */
    void (*fire)(void *opaque);
    void *opaque;
};

struct loop;

/* Somebody with descriptors and timers of his own (libslirp). */
struct loop_poller {
    /* Before each wait: loop_poll() for each descriptor; and *DEADLINE (loop_now() ns; UINT64_MAX:
     * none), when it is to end at the latest, may become earlier. */
    void (*fill)(void *opaque, struct loop *loop, uint64_t *deadline);
    void (*ready)(void *opaque, const struct loop *loop); /* after it: loop_polled() tells */
    void *opaque;
};

/* A list of pointers that grows. */
struct loop_list {
    void **item;
    unsigned count, room;
};

struct loop {
    struct loop_list fds, timers, pollers; /* struct loop_fd, loop_timer, loop_poller */
    struct loop_list asked;                /* what polled[1] and the next ones are of: loop_fd */
    struct pollfd *polled;                 /* what is waited for; first of all wake_fd */
    unsigned polled_count, polled_room;
    int wake_fd;
    bool waiting; /* a change has to wake it up */
    atomic_bool quit;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_close(struct loop *loop);

/* Adds or removes a descriptor, timer or poller; it is borrowed until removed. -ENOMEM. With the
 * loop's lock held, or while it does not run. */
int loop_add_fd(struct loop *loop, struct loop_fd *fd);
void loop_remove_fd(struct loop *loop, struct loop_fd *fd);
int loop_add_timer(struct loop *loop, struct loop_timer *timer);
void loop_remove_timer(struct loop *loop, struct loop_timer *timer);
int loop_add_poller(struct loop *loop, struct loop_poller *poller);
void loop_remove_poller(struct loop *loop, struct loop_poller *poller);

/* Changes what a descriptor waits for, or a timer's deadline. With the loop's lock held, from any
 * thread. */
void loop_want(struct loop *loop, struct loop_fd *fd, short events);
void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline);

/* Some poller's descriptors or deadlines have changed. With the loop's lock held, from any thread. */
void loop_refill(struct loop *loop);

/* For pollers: waits for EVENTS of FD this once (poll(2)); the number to ask loop_polled() with, or
 * -1: no memory. */
int loop_poll(struct loop *loop, int fd, short events);

/* For pollers: the revents of number N; 0 for any that loop_poll() did not give out. */
short loop_polled(const struct loop *loop, int n);

/* Calls what is due until loop_quit(), at least once, so that nothing starves however soon the
 * loop is left. LOCK is held during every callback, and not while waiting. 0, or -errno when
 * poll(2) fails. */
int loop_run(struct loop *loop, pthread_mutex_t *lock);

/* Makes loop_run() return. From any thread. */
void loop_quit(struct loop *loop);

/* CLOCK_MONOTONIC, ns. */
uint64_t loop_now(void);

#endif
