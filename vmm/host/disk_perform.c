/*
 * disk_perform.c: one request, whatever it asks for: data, durability, holes and zeroes.
 */
#include "../log.h"
#include "disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ZERO_BYTES (64u << 10) /* a page of zeroes, written again and again */
#define ZERO_PAGES 16

/* True if a file system or a device says so that it cannot do this at all, or not for this range. */
static bool unsupported(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == ENOTTY ||
           error == EINVAL;
}

/* Not while somebody rewrites a block: he would put back what is being cleared of it. */
static int allocate(struct disk *disk, int mode, const struct block_request *request)
{
    int status;

    pthread_rwlock_rdlock(&disk->edges);
    do
        status = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)request->offset,
                           (off_t)request->bytes);
    while (status < 0 && errno == EINTR);

    int error = status < 0 ? errno : 0;

    pthread_rwlock_unlock(&disk->edges);
    return error;
}

static int discard(struct disk *disk, const struct block_request *request)
{
    uint64_t range[2] = {request->offset, request->bytes};
    int error;

    if (!disk->discard)
        return 0;
    if (disk->block_device)
        error = ioctl(disk->fd, BLKDISCARD, range) < 0 ? errno : 0;
    else
        error = allocate(disk, FALLOC_FL_PUNCH_HOLE, request);
    return unsupported(error) ? 0 : error;
}

/* Writes zeroes where the file has no better way. */
static int write_zero_pages(struct disk *disk, const struct block_request *request)
{
    static const uint8_t zeroes[ZERO_BYTES] __attribute__((aligned(4096)));
    uint64_t offset = request->offset, end = offset + request->bytes;
    int error = 0;

    while (offset < end && error == 0) {
        struct iovec iov[ZERO_PAGES];
        struct block_request part = {.op = BLOCK_WRITE, .offset = offset, .iov = iov};

        while (offset < end && part.iov_count < ZERO_PAGES) {
            uint64_t left = end - offset;
            size_t len = left < ZERO_BYTES ? (size_t)left : ZERO_BYTES;

            iov[part.iov_count++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)zeroes, .iov_len = len};
            part.bytes += len;
            offset += len;
        }
        error = atomic_load(&disk->cancelled) ? ECANCELED : disk_transfer(disk, &part);
    }
    return error;
}

static int write_zeroes(struct disk *disk, const struct block_request *request)
{
    int error = EOPNOTSUPP;

    if (request->unmap && disk->discard)
        error = allocate(disk, FALLOC_FL_PUNCH_HOLE, request);
    if (unsupported(error))
        error = allocate(disk, FALLOC_FL_ZERO_RANGE, request);
    return unsupported(error) ? write_zero_pages(disk, request) : error;
}

/* fdatasync() tells of a lost write once, to one caller, and forgets it. One call at a time is made
 * here, on behalf of all who wait for one that starts after they came, and a failure stays. */
static int flush(struct disk *disk)
{
    struct disk_sync *sync = &disk->sync;

    if (disk->unsafe || disk->info.readonly)
        return 0;
    pthread_mutex_lock(&sync->lock);

    uint64_t wanted = sync->started + 1;

    while (sync->finished < wanted && sync->error == 0) {
        int status;

        if (sync->running) {
            pthread_cond_wait(&sync->ended, &sync->lock);
            continue;
        }
        sync->running = true;
        sync->started++;
        pthread_mutex_unlock(&sync->lock);
        do
            status = fdatasync(disk->fd);
        while (status < 0 && errno == EINTR);

        int error = status < 0 ? errno : 0;

        if (error != 0)
            log_say("%s: fdatasync: %s; what was written may be lost, and flushes fail from here "
                    "on",
                    disk->path, strerror(error));
        pthread_mutex_lock(&sync->lock);
        sync->running = false;
        sync->finished = sync->started;
        sync->error = error;
        pthread_cond_broadcast(&sync->ended);
    }

    int error = sync->error;

    pthread_mutex_unlock(&sync->lock);
    return error;
}

int disk_perform(struct disk *disk, const struct block_request *request)
{
    int error = 0;

    switch (request->op) {
    case BLOCK_READ:
        return disk_transfer(disk, request);
    case BLOCK_FLUSH:
        return flush(disk);
    case BLOCK_DISCARD:
        return discard(disk, request);
    case BLOCK_WRITE:
        error = disk_transfer(disk, request);
        break;
    case BLOCK_WRITE_ZEROES:
        error = write_zeroes(disk, request);
        break;
    }
    return error == 0 && request->stable ? flush(disk) : error;
}
