/*
 * loop.c: the event loop (poll(2), eventfd(2)).
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

uint64_t loop_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int loop_init(struct loop *loop)
{
    *loop = (struct loop){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    return loop->wake_fd < 0 ? -errno : 0;
}

void loop_close(struct loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    loop->wake_fd = -1;
}

/* The waiting thread looks at everything anew. An eventfd that is full has woken it already. */
static void wake(struct loop *loop)
{
    uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

int loop_add_fd(struct loop *loop, struct loop_fd *fd)
{
    if (loop->fds == LOOP_FDS_MAX)
        return -ENOSPC;
    loop->fd[loop->fds++] = fd;
    return 0;
}

void loop_remove_fd(struct loop *loop, struct loop_fd *fd)
{
    for (unsigned i = 0; i < loop->fds; i++)
        if (loop->fd[i] == fd)
            loop->fd[i] = loop->fd[--loop->fds];
}

int loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
    if (loop->timers == LOOP_TIMERS_MAX)
        return -ENOSPC;
    loop->timer[loop->timers++] = timer;
    return 0;
}

void loop_remove_timer(struct loop *loop, struct loop_timer *timer)
{
    for (unsigned i = 0; i < loop->timers; i++)
        if (loop->timer[i] == timer)
            loop->timer[i] = loop->timer[--loop->timers];
}

void loop_want(struct loop *loop, struct loop_fd *fd, short events)
{
    if (fd->events == events)
        return;
    fd->events = events;
    wake(loop);
}

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline)
{
    timer->deadline = deadline;
    if (deadline != 0)
        wake(loop);
}

/* How long poll(2) may wait, in *TS; false: for ever. */
static bool next_wait(const struct loop *loop, struct timespec *ts)
{
    uint64_t first = UINT64_MAX;

    for (unsigned i = 0; i < loop->timers; i++)
        if (loop->timer[i]->deadline != 0 && loop->timer[i]->deadline < first)
            first = loop->timer[i]->deadline;
    if (first == UINT64_MAX)
        return false;

    uint64_t now = loop_now();
    uint64_t wait = first > now ? first - now : 0;

    *ts =
        (struct timespec){.tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S)};
    return true;
}

static void fire_timers(struct loop *loop)
{
    uint64_t now = loop_now();

    for (unsigned i = 0; i < loop->timers; i++) {
        struct loop_timer *timer = loop->timer[i];

        if (timer->deadline == 0 || timer->deadline > now)
            continue;
        timer->deadline = 0; /* the callback may arm it again */
        timer->fire(timer->opaque);
    }
}

int loop_run(struct loop *loop, pthread_mutex_t *lock)
{
    struct pollfd polled[LOOP_FDS_MAX + 1];
    struct loop_fd *asked[LOOP_FDS_MAX];
    int result = 0;

    pthread_mutex_lock(lock);
    do {
        unsigned n = 0;
        struct timespec wait;
        bool limited = next_wait(loop, &wait);

        for (unsigned i = 0; i < loop->fds; i++) {
            if (loop->fd[i]->events == 0)
                continue;
            asked[n] = loop->fd[i];
            polled[n++] = (struct pollfd){.fd = loop->fd[i]->fd, .events = loop->fd[i]->events};
        }
        polled[n] = (struct pollfd){.fd = loop->wake_fd, .events = POLLIN};

        pthread_mutex_unlock(lock);
        int r = ppoll(polled, n + 1, limited ? &wait : NULL, NULL);
        int saved = errno;
        pthread_mutex_lock(lock);

        if (r < 0 && saved != EINTR) {
            result = -saved;
            break;
        }
        if (r > 0 && polled[n].revents) {
            uint64_t count;

            while (read(loop->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
                ;
        }
        for (unsigned i = 0; r > 0 && i < n; i++)
            if (polled[i].revents && asked[i]->events)
                asked[i]->ready(asked[i]->opaque, polled[i].revents);
        fire_timers(loop);
    } while (!atomic_load(&loop->quit));
    atomic_store(&loop->quit, false); /* the next machine uses the same loop */
    pthread_mutex_unlock(lock);
    return result;
}

void loop_quit(struct loop *loop)
{
    atomic_store(&loop->quit, true);
    wake(loop);
}
