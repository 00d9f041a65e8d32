/*
 * disk_internal.h: what the files of the disk share: disk.c opens it, disk_pool.c has its threads,
 * disk_io.c does one request.
 */
#ifndef KVMLENS_DISK_INTERNAL_H
#define KVMLENS_DISK_INTERNAL_H

#include "disk.h"

#include <stdatomic.h>

/* Enough to keep an SSD's queue filled; they are started as they are needed. */
#define DISK_THREADS 16

/* fdatasync() on behalf of many: one that starts after a request came serves the request. */
struct disk_sync {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint64_t started, finished; /* calls so far */
    bool running;
    int error; /* of the first that failed; all later ones fail with it */
};

/* A first-in, first-out list. */
struct request_list {
    struct block_request *first, *last;
};

struct disk_pool {
    pthread_mutex_t lock; /* taken after the device lock, where both are held */
    pthread_cond_t work;  /* something is pending, or the threads shall end */
    pthread_cond_t quiet; /* nothing is being worked on */
    pthread_mutex_t *device_lock;
    pthread_t owner; /* who connected the disk: no vCPU */
    struct block_client client;
    struct request_list pending, completed;
    unsigned threads, idle, busy;
    unsigned held;   /* completed ones that wait for the next of their kind */
    bool delivering; /* a thread is on its way to the client with what is completed */
    bool ending;
    pthread_t thread[DISK_THREADS];
};

struct disk {
    const char *path;
    int fd;
    struct block_info info;
    uint64_t file_bytes; /* when it was opened; the rest of the last sector reads as zeroes */
    uint32_t align;      /* O_DIRECT: of offsets, lengths and addresses; else 1 */
    bool block_device;
    bool discard;           /* discard=unmap */
    bool unsafe;            /* cache=unsafe: nothing is ever made durable */
    atomic_bool cancelled;  /* what is being worked on is wanted no more */
    pthread_rwlock_t edges; /* written by who rewrites a block of ALIGN bytes for a part of it */
    struct disk_sync sync;
    struct disk_pool pool;
};

/* Does REQUEST. 0 or a positive errno. */
int disk_perform(struct disk *disk, const struct block_request *request);

/* Reads or writes REQUEST's data; what the file lacks of its last sector reads as zeroes. 0 or a
 * positive errno. */
int disk_transfer(struct disk *disk, const struct block_request *request);

/* Reads REQUEST's data if all of it is in the host's page cache, without waiting for the disk. False:
 * it is not, or nobody can tell (some of the data may have been read). */
bool disk_read_cached(const struct disk *disk, const struct block_request *request);

/* Takes the lock that QEMU takes on an image. 0, or -errno: -EAGAIN if somebody else's forbids it. */
int disk_lock(int fd, bool readonly);

#endif
