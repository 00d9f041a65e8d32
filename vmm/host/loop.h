/*
 * loop.h: the event loop of the main thread: file descriptors and timers.
 *
 * It is poll(2), not epoll: there are a handful of descriptors, and a guest's input may come from
 * a regular file, which epoll refuses.
 */
#ifndef KVMLENS_LOOP_H
#define KVMLENS_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_FDS_MAX    64
#define LOOP_TIMERS_MAX 8

struct loop_fd {
    int fd;
    short events; /* POLLIN, POLLOUT, or 0: do not look at it at all, not even for a hang-up */
    void (*ready)(void *opaque, short revents);
    void *opaque;
};

struct loop_timer {
    uint64_t deadline; /* loop_now() ns; 0: not armed */
    void (*fire)(void *opaque);
    void *opaque;
};

struct loop {
    struct loop_fd *fd[LOOP_FDS_MAX];
    unsigned fds;
    struct loop_timer *timer[LOOP_TIMERS_MAX];
    unsigned timers;
    int wake_fd;
    atomic_bool quit;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_close(struct loop *loop);

/* Adds or removes a descriptor or timer; it is borrowed until removed. -ENOSPC: no room. */
int loop_add_fd(struct loop *loop, struct loop_fd *fd);
void loop_remove_fd(struct loop *loop, struct loop_fd *fd);
int loop_add_timer(struct loop *loop, struct loop_timer *timer);
void loop_remove_timer(struct loop *loop, struct loop_timer *timer);

/* Changes what a descriptor waits for, or a timer's deadline. With the loop's lock held, from any
 * thread. */
void loop_want(struct loop *loop, struct loop_fd *fd, short events);
void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline);

/* Calls what is due until loop_quit(), at least once, so that nothing starves however soon the
 * loop is left. LOCK is held during every callback, and not while waiting. 0, or -errno when
 * poll(2) fails. */
int loop_run(struct loop *loop, pthread_mutex_t *lock);

/* Makes loop_run() return. From any thread. */
void loop_quit(struct loop *loop);

/* CLOCK_MONOTONIC, ns. */
uint64_t loop_now(void);

#endif
