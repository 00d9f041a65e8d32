/*
 * disk_bench.h: a disk image on the host, a client that waits for its requests, and system calls
 * that fail, stop short or stand still when a test says so.
 */
#ifndef DISK_BENCH_H
#define DISK_BENCH_H

#include "host/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* clang-format off */
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

enum call { CALL_READ, CALL_WRITE, CALL_SYNC, CALL_FALLOCATE, CALLS };

/* What the system calls do in this test; all zero: what they always do. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count[CALLS];
    int fail[CALLS];      /* errno of every call, or 0 */
    int fail_once[CALLS]; /* errno of the next call, or 0 */
    bool cached;          /* reads need not wait for the disk */
    size_t at_once;       /* bytes of a transfer at most; 0: all */
    bool held[CALLS];     /* calls wait until this is taken back */
    unsigned waiting[CALLS];
    unsigned writes_done, writes_synced; /* those that had ended when a sync began that is over */
    int last_mode;                       /* of fallocate() */
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void shim_reset(void)
{
    memset(shim.count, 0, sizeof(shim.count));
    memset(shim.fail, 0, sizeof(shim.fail));
    memset(shim.fail_once, 0, sizeof(shim.fail_once));
    memset(shim.held, 0, sizeof(shim.held));
    shim.at_once = 0;
    shim.cached = false;
    shim.writes_done = shim.writes_synced = 0;
}

static inline int shim_enter(enum call call)
{
    pthread_mutex_lock(&shim.lock);
    shim.count[call]++;
    shim.waiting[call]++;
    pthread_cond_broadcast(&shim.changed);
    while (shim.held[call])
        pthread_cond_wait(&shim.changed, &shim.lock);
    shim.waiting[call]--;

    int error = shim.fail_once[call] ? shim.fail_once[call] : shim.fail[call];

    shim.fail_once[call] = 0;
    pthread_mutex_unlock(&shim.lock);
    errno = error;
    return error ? -1 : 0;
}

static inline void shim_hold(enum call call, bool on)
{
    pthread_mutex_lock(&shim.lock);
    shim.held[call] = on;
    pthread_cond_broadcast(&shim.changed);
    pthread_mutex_unlock(&shim.lock);
}

/* Waits until COUNT calls stand still. */
static inline void shim_await(enum call call, unsigned count)
{
    pthread_mutex_lock(&shim.lock);
    while (shim.waiting[call] < count)
        pthread_cond_wait(&shim.changed, &shim.lock);
    pthread_mutex_unlock(&shim.lock);
}

static inline ssize_t shim_transfer(long number, int fd, const struct iovec *iov, int count,
                                    off_t offset)
{
    struct iovec first = iov[0];

    if (shim.at_once) {
        first.iov_len = first.iov_len < shim.at_once ? first.iov_len : shim.at_once;
        iov = &first;
        count = 1;
    }
    return syscall(number, fd, iov, count, offset, 0);
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    return shim_enter(CALL_READ) < 0 ? -1 : shim_transfer(SYS_preadv, fd, iov, count, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    assert_int_equal(flags, RWF_NOWAIT);
    errno = EAGAIN;
    return shim.cached ? shim_transfer(SYS_preadv, fd, iov, count, offset) : -1;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (shim_enter(CALL_WRITE) < 0)
        return -1;

    ssize_t n = shim_transfer(SYS_pwritev, fd, iov, count, offset);

    pthread_mutex_lock(&shim.lock);
    shim.writes_done++;
    pthread_mutex_unlock(&shim.lock);
    return n;
}

int fdatasync(int fd)
{
    pthread_mutex_lock(&shim.lock);
    unsigned covered = shim.writes_done;
    pthread_mutex_unlock(&shim.lock);
    if (shim_enter(CALL_SYNC) < 0 || syscall(SYS_fdatasync, fd) < 0)
        return -1;
    pthread_mutex_lock(&shim.lock);
    if (shim.writes_synced < covered)
        shim.writes_synced = covered;
    pthread_mutex_unlock(&shim.lock);
    return 0;
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    shim.last_mode = mode;
    return shim_enter(CALL_FALLOCATE) < 0 ? -1
                                          : (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

struct bench {
    char path[64];
    struct drive_option drive;
    struct disk *disk;
    struct block_backend backend;
    pthread_mutex_t device_lock;
    pthread_cond_t came;
    unsigned done, lists;
    struct block_request *order[512]; /* as they came back */
    unsigned synced[512];             /* shim.writes_synced when each did */
};

static inline void on_done(void *opaque, struct block_request *list)
{
    struct bench *b = opaque;

    assert_int_equal(pthread_mutex_trylock(&b->device_lock), EBUSY);
    b->lists++;
    pthread_mutex_lock(&shim.lock);
    for (; list; list = list->next) {
        b->synced[b->done % 512] = shim.writes_synced;
        b->order[b->done++ % 512] = list;
    }
    pthread_mutex_unlock(&shim.lock);
    pthread_cond_broadcast(&b->came);
}

/* An image of BYTES, 0x5a all over, under /tmp or in FOLDER. */
static inline void make_image(struct bench *b, const char *folder, size_t bytes)
{
    *b = (struct bench){.device_lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER};
    snprintf(b->path, sizeof(b->path), "%s/kvmlens-disk-XXXXXX", folder);

    int fd = mkstemp(b->path);
    void *data = malloc(bytes + 1);

    assert_true(fd >= 0);
    memset(data, 0x5a, bytes + 1);
    assert_int_equal(write(fd, data, bytes), bytes);
    free(data);
    close(fd);
    b->drive = (struct drive_option){.id = "d", .file = b->path, .locking = true};
    shim_reset();
}

static inline void connect(struct bench *b)
{
    struct error err = {0};

    if (disk_open(&b->disk, &b->drive, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(disk_connect(b->disk, &b->device_lock,
                                  (struct block_client){.done = on_done, .opaque = b}, &b->backend),
                     0);
}

static inline void submit(struct bench *b, struct block_request *list)
{
    pthread_mutex_lock(&b->device_lock);
    b->backend.submit(b->backend.opaque, list);
    pthread_mutex_unlock(&b->device_lock);
}

static inline void await(struct bench *b, unsigned done)
{
    pthread_mutex_lock(&b->device_lock);
    while (b->done < done)
        pthread_cond_wait(&b->came, &b->device_lock);
    pthread_mutex_unlock(&b->device_lock);
}

/* One request, alone; its error. */
static inline int perform(struct bench *b, struct block_request *request)
{
    unsigned before = b->done;

    request->next = NULL;
    submit(b, request);
    await(b, before + 1);
    return request->error;
}

/* A read or write of one buffer. */
static inline int transfer(struct bench *b, enum block_op op, uint64_t offset, void *data,
                           size_t bytes)
{
    struct iovec iov = {.iov_base = data, .iov_len = bytes};
    struct block_request request = {
        .op = op, .offset = offset, .bytes = bytes, .iov = &iov, .iov_count = 1};

    return perform(b, &request);
}

static inline int flush(struct bench *b)
{
    struct block_request request = {.op = BLOCK_FLUSH};

    return perform(b, &request);
}

static inline void drain(struct bench *b)
{
    pthread_mutex_lock(&b->device_lock);
    b->backend.drain(b->backend.opaque);
    pthread_mutex_unlock(&b->device_lock);
}

static inline void end(struct bench *b)
{
    if (b->disk) {
        drain(b);
        disk_disconnect(b->disk);
        disk_close(b->disk);
    }
    unlink(b->path);
}

static inline uint64_t file_size(const struct bench *b)
{
    struct stat st;

    assert_int_equal(stat(b->path, &st), 0);
    return (uint64_t)st.st_size;
}

/* Is [AT, AT+BYTES) of the file nothing but BYTE? */
static inline bool file_holds(const struct bench *b, uint64_t at, size_t bytes, uint8_t byte)
{
    uint8_t *data = malloc(bytes);
    int fd = open(b->path, O_RDONLY);
    bool holds = pread(fd, data, bytes, (off_t)at) == (ssize_t)bytes;

    for (size_t i = 0; i < bytes && holds; i++)
        holds = data[i] == byte;
    close(fd);
    free(data);
    return holds;
}

#endif
