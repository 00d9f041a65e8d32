/*
 * loop.c: the event loop (poll(2), eventfd(2)).
 */
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
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
    free(loop->fds.item);
    free(loop->timers.item);
    free(loop->pollers.item);
    free(loop->asked.item);
    free(loop->polled);
    *loop = (struct loop){.wake_fd = -1};
}

static void write_wake_fd(struct loop *loop)
{
    uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* If the loop waits, it shall look at everything anew; else it will do so by itself. */
static void wake(struct loop *loop)
{
    if (!loop->waiting)
        return;
    loop->waiting = false;
    write_wake_fd(loop);
}

/* --- lists -------------------------------------------------------------------------------------- */

static int list_add(struct loop_list *list, void *item)
{
    if (list->count == list->room) {
        unsigned room = list->room ? 2 * list->room : 8;
        void **grown = reallocarray(list->item, room, sizeof *grown);

        if (!grown)
            return -ENOMEM;
        list->item = grown;
        list->room = room;
    }
    list->item[list->count++] = item;
    return 0;
}

static void list_remove(struct loop_list *list, const void *item)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->item[i] == item)
            list->item[i] = list->item[--list->count];
}

int loop_add_fd(struct loop *loop, struct loop_fd *fd)
{
    wake(loop);
    return list_add(&loop->fds, fd);
}

void loop_remove_fd(struct loop *loop, struct loop_fd *fd)
{
    list_remove(&loop->fds, fd);
    /* It may be freed now, and the loop may be about to call it. */
    for (unsigned i = 0; i < loop->asked.count; i++)
        if (loop->asked.item[i] == fd)
            loop->asked.item[i] = NULL;
}

int loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
    wake(loop);
    return list_add(&loop->timers, timer);
}

void loop_remove_timer(struct loop *loop, struct loop_timer *timer)
{
    list_remove(&loop->timers, timer);
}

int loop_add_poller(struct loop *loop, struct loop_poller *poller)
{
    wake(loop);
    return list_add(&loop->pollers, poller);
}

void loop_remove_poller(struct loop *loop, struct loop_poller *poller)
{
    list_remove(&loop->pollers, poller);
}

/* --- what is waited for ------------------------------------------------------------------------- */

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

void loop_refill(struct loop *loop)
{
    wake(loop);
}

int loop_poll(struct loop *loop, int fd, short events)
{
    if (loop->polled_count == loop->polled_room) {
        unsigned room = loop->polled_room ? 2 * loop->polled_room : 8;
        struct pollfd *grown = reallocarray(loop->polled, room, sizeof *grown);

        if (!grown)
            return -1;
        loop->polled = grown;
        loop->polled_room = room;
    }
    loop->polled[loop->polled_count] = (struct pollfd){.fd = fd, .events = events};
    return (int)loop->polled_count++;
}

short loop_polled(const struct loop *loop, int n)
{
    return n >= 0 && (unsigned)n < loop->polled_count ? loop->polled[n].revents : 0;
}

/* Everything that is to be waited for. *DEADLINE: until when; UINT64_MAX: for ever. -ENOMEM. */
static int fill(struct loop *loop, uint64_t *deadline)
{
    *deadline = UINT64_MAX;
    loop->polled_count = 0;
    loop->asked.count = 0;
    if (loop_poll(loop, loop->wake_fd, POLLIN) < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < loop->fds.count; i++) {
        struct loop_fd *fd = loop->fds.item[i];

        if (fd->events == 0)
            continue;
        if (list_add(&loop->asked, fd) < 0 || loop_poll(loop, fd->fd, fd->events) < 0)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < loop->timers.count; i++) {
        const struct loop_timer *timer = loop->timers.item[i];

        if (timer->deadline != 0 && timer->deadline < *deadline)
            *deadline = timer->deadline;
    }
    for (unsigned i = 0; i < loop->pollers.count; i++) {
        struct loop_poller *poller = loop->pollers.item[i];

        poller->fill(poller->opaque, loop, deadline);
    }
    return 0;
}

/* Waits with LOCK released. What poll(2) gave, or -errno. */
static int wait_until(struct loop *loop, uint64_t deadline, pthread_mutex_t *lock)
{
    uint64_t now = deadline == UINT64_MAX ? 0 : loop_now();
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left / NS_PER_S),
                            .tv_nsec = (long)(left % NS_PER_S)};

    loop->waiting = true;
    pthread_mutex_unlock(lock);
    int r = ppoll(loop->polled, loop->polled_count, deadline == UINT64_MAX ? NULL : &wait, NULL);
    int error = r < 0 ? -errno : 0;
    pthread_mutex_lock(lock);
    loop->waiting = false;
    return error < 0 ? error : r;
}

/* --- what is due -------------------------------------------------------------------------------- */

static void fire_timers(struct loop *loop)
{
    uint64_t now = loop_now();

    for (unsigned i = 0; i < loop->timers.count; i++) {
        struct loop_timer *timer = loop->timers.item[i];

        if (timer->deadline == 0 || timer->deadline > now)
            continue;
        timer->deadline = 0; /* the callback may arm it again */
        timer->fire(timer->opaque);
    }
}

static void call_ready(struct loop *loop)
{
    uint64_t count;

    if (loop->polled[0].revents)
        while (read(loop->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
            ;
    for (unsigned i = 0; i < loop->asked.count; i++) {
        const struct loop_fd *fd = loop->asked.item[i];
        short revents = loop->polled[i + 1].revents;

        if (fd && revents && fd->events)
            fd->ready(fd->opaque, revents);
    }
}

int loop_run(struct loop *loop, pthread_mutex_t *lock)
{
    int result = 0;

    pthread_mutex_lock(lock);
    do {
        uint64_t deadline;

        result = fill(loop, &deadline);
        if (result < 0)
            break;

        int r = wait_until(loop, deadline, lock);

        if (r < 0 && r != -EINTR) {
            result = r;
            break;
        }
        if (r < 0) /* then poll(2) has not said anything of the descriptors */
            for (unsigned i = 0; i < loop->polled_count; i++)
                loop->polled[i].revents = 0;
        call_ready(loop);
        for (unsigned i = 0; i < loop->pollers.count; i++) {
            const struct loop_poller *poller = loop->pollers.item[i];

            poller->ready(poller->opaque, loop);
        }
        fire_timers(loop);
    } while (!atomic_load(&loop->quit));
    atomic_store(&loop->quit, false); /* the next machine uses the same loop */
    pthread_mutex_unlock(lock);
    return result;
}

void loop_quit(struct loop *loop)
{
    atomic_store(&loop->quit, true);
    write_wake_fd(loop);
}
