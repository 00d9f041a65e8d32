/*
 * disk_pool.c: the threads of a disk: requests come in lists, are done side by side, and go back in
 * lists: who brings one back takes along what others have finished while it waited for the device
 * lock, so that a burst costs one lock and one interrupt. A few reads that the host has in memory
 * need no thread.
 */
#include "disk_internal.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* A request that took less than this came out of memory, and the next one like it will too: the way
 * to the client can wait for it, and for a few more. */
#define QUICK_NS 20000
#define HELD_MAX 8

/* Reads of so many bytes, if they are in the page cache, take less time than to wake a thread for
 * them. The device lock is held meanwhile. */
#define AT_ONCE_MAX (128u << 10)

static void append(struct request_list *list, struct block_request *request)
{
    request->next = NULL;
    if (list->first)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static struct block_request *take_first(struct request_list *list)
{
    struct block_request *request = list->first;

    list->first = request->next;
    return request;
}

static struct block_request *take_all(struct request_list *list)
{
    struct block_request *request = list->first;

    list->first = NULL;
    return request;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* REQUEST is completed and took NS. True if it can wait for what this thread does next. */
static bool hold(struct disk_pool *pool, const struct block_request *request, uint64_t ns)
{
    const struct block_request *next = pool->pending.first;

    return ns < QUICK_NS && next && next->op == request->op &&
           (next->op == BLOCK_READ || next->op == BLOCK_WRITE) && ++pool->held < HELD_MAX;
}

/* Takes what is completed to the client. The pool's lock is held before and after, not meanwhile. */
static void deliver(struct disk_pool *pool)
{
    pool->delivering = true;
    pool->held = 0;
    while (pool->completed.first) {
        pthread_mutex_unlock(&pool->lock);
        pthread_mutex_lock(pool->device_lock);
        pthread_mutex_lock(&pool->lock);

        struct block_request *list = take_all(&pool->completed);

        pthread_mutex_unlock(&pool->lock);
        if (list)
            pool->client.done(pool->client.opaque, list);
        pthread_mutex_unlock(pool->device_lock);
        pthread_mutex_lock(&pool->lock);
    }
    pool->delivering = false;
}

static void *work(void *opaque);

/* One more thread. Signals are for the others. */
static int start_thread(struct disk *disk)
{
    struct disk_pool *pool = &disk->pool;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);

    int error = pthread_create(&pool->thread[pool->threads], NULL, work, disk);

    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pool->threads++;
    return -error;
}

/* A thread for what is pending: one that rests, or a new one; if there can be none, those that
 * work will come to it. True: one that rests is to be woken, once the lock is free: it would wait
 * for the lock at once. */
static bool summon(struct disk *disk)
{
    if (disk->pool.idle > 0)
        return true;
    if (disk->pool.threads < DISK_THREADS)
        start_thread(disk);
    return false;
}

static void *work(void *opaque)
{
    struct disk *disk = opaque;
    struct disk_pool *pool = &disk->pool;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->pending.first && !pool->ending) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (!pool->pending.first)
            break;

        struct block_request *request = take_first(&pool->pending);

        pool->busy++;

        bool wake = pool->pending.first && summon(disk);

        pthread_mutex_unlock(&pool->lock);
        if (wake)
            pthread_cond_signal(&pool->work);

        uint64_t begun = now_ns();

        request->error = disk_perform(disk, request);

        uint64_t ns = now_ns() - begun;

        pthread_mutex_lock(&pool->lock);
        append(&pool->completed, request);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->quiet);
        if (!pool->delivering && !hold(pool, request, ns))
            deliver(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* The event loop reads by itself what it can have at once; a vCPU never does. What is left of LIST. */
static struct block_request *read_at_once(const struct disk *disk, struct block_request *list)
{
    struct request_list done = {0};
    uint64_t room = AT_ONCE_MAX;

    if (!pthread_equal(disk->pool.owner, pthread_self()))
        return list;
    while (list && list->op == BLOCK_READ && list->bytes <= room && disk_read_cached(disk, list)) {
        struct block_request *next = list->next;

        list->error = 0;
        room -= list->bytes;
        append(&done, list);
        list = next;
    }
    if (done.first)
        disk->pool.client.done(disk->pool.client.opaque, done.first);
    return list;
}

static void submit(void *opaque, struct block_request *list)
{
    struct disk *disk = opaque;
    struct disk_pool *pool = &disk->pool;

    list = read_at_once(disk, list);
    if (!list)
        return;
    pthread_mutex_lock(&pool->lock);
    while (list) {
        struct block_request *next = list->next;

        append(&pool->pending, list);
        list = next;
    }

    bool wake = summon(disk);

    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->work);
}

static void drain(void *opaque)
{
    struct disk *disk = opaque;
    struct disk_pool *pool = &disk->pool;

    pthread_mutex_lock(&pool->lock);
    while (pool->pending.first) {
        struct block_request *request = take_first(&pool->pending);

        request->error = ECANCELED;
        append(&pool->completed, request);
    }
    atomic_store(&disk->cancelled, true);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->quiet, &pool->lock);
    atomic_store(&disk->cancelled, false);

    struct block_request *list = take_all(&pool->completed);

    pthread_mutex_unlock(&pool->lock);
    if (list)
        pool->client.done(pool->client.opaque, list);
}

int disk_connect(struct disk *disk, pthread_mutex_t *device_lock, struct block_client client,
                 struct block_backend *backend)
{
    struct disk_pool *pool = &disk->pool;

    pool->device_lock = device_lock;
    pool->owner = pthread_self();
    pool->client = client;
    pool->ending = false;
    *backend = (struct block_backend){.submit = submit, .drain = drain, .opaque = disk};
    pthread_mutex_lock(&pool->lock);

    int status = start_thread(disk);

    pthread_mutex_unlock(&pool->lock);
    return status;
}

void disk_disconnect(struct disk *disk)
{
    struct disk_pool *pool = &disk->pool;

    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pool->threads = 0;
}
