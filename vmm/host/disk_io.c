/*
 * disk_io.c: reads and writes, straight between the file and the guest's pages where the file can
 * take it, and else (direct I/O that is not aligned) through a buffer.
 */
#include "disk_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BOUNCE_BYTES (256u << 10)
#define WINDOW       64          /* buffers of a transfer that goes in parts */
#define AT_ONCE      (16u << 20) /* bytes of one call, so that a reset need not wait for more */

/* The next bytes of a request's buffers. */
struct cursor {
    const struct iovec *iov;
    unsigned count;
    size_t skip; /* bytes of the first buffer that are behind */
};

static void advance(struct cursor *at, size_t bytes)
{
    at->skip += bytes;
    while (at->count > 0 && at->skip >= at->iov->iov_len) {
        at->skip -= at->iov->iov_len;
        at->iov++;
        at->count--;
    }
}

enum direction { FROM_BUFFERS, TO_BUFFERS, ZERO_BUFFERS };

/* Copies LEN bytes between the request's buffers and FLAT, and passes over them. */
static void copy(struct cursor *at, void *flat, size_t len, enum direction direction)
{
    uint8_t *there = flat;

    advance(at, 0);
    while (len > 0 && at->count > 0) {
        uint8_t *here = (uint8_t *)at->iov->iov_base + at->skip;
        size_t left = at->iov->iov_len - at->skip, n = left < len ? left : len;

        if (direction == FROM_BUFFERS)
            memcpy(there, here, n);
        else if (direction == TO_BUFFERS)
            memcpy(here, there, n);
        else
            memset(here, 0, n);
        there += direction == ZERO_BUFFERS ? 0 : n;
        len -= n;
        advance(at, n);
    }
}

/* The next AT_ONCE bytes, or fewer, as buffers of their own. Returns how many. */
static unsigned cut(const struct cursor *at, struct iovec window[WINDOW])
{
    size_t room = AT_ONCE, skip = at->skip;
    unsigned n = 0;

    for (; n < WINDOW && n < at->count && room > 0; n++) {
        size_t len = at->iov[n].iov_len - skip;

        len = len < room ? len : room;
        window[n] = (struct iovec){(uint8_t *)at->iov[n].iov_base + skip, len};
        room -= len;
        skip = 0;
    }
    return n;
}

/* preadv() or pwritev() of the LEFT bytes that are left of the buffers, as far as one call goes. */
static ssize_t transfer_some(const struct disk *disk, const struct cursor *at, bool write,
                             uint64_t offset, uint64_t left)
{
    struct iovec window[WINDOW];
    const struct iovec *iov = at->iov;
    unsigned count = at->count;
    ssize_t n;

    if (at->skip > 0 || count > IOV_MAX || left > AT_ONCE) {
        count = cut(at, window);
        iov = window;
    }
    do
        n = write ? pwritev(disk->fd, iov, (int)count, (off_t)offset)
                  : preadv(disk->fd, iov, (int)count, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n;
}

/* All of [OFFSET, OFFSET+BYTES), straight. */
static int transfer_straight(const struct disk *disk, struct cursor at, bool write, uint64_t offset,
                             uint64_t bytes)
{
    uint64_t end = offset + bytes;

    while (offset < end) {
        ssize_t n = transfer_some(disk, &at, write, offset, end - offset);

        if (n < 0)
            return errno;
        if (n == 0 && (write || offset < disk->file_bytes))
            return EIO; /* the file has shrunk */
        if (n == 0) {
            copy(&at, NULL, end - offset, ZERO_BUFFERS);
            return 0;
        }
        offset += (uint64_t)n;
        advance(&at, (size_t)n);
        if (offset < end && atomic_load(&disk->cancelled))
            return ECANCELED;
    }
    return 0;
}

bool disk_read_cached(const struct disk *disk, const struct block_request *request)
{
    return disk->align == 1 && request->iov_count <= IOV_MAX &&
           preadv2(disk->fd, request->iov, (int)request->iov_count, (off_t)request->offset,
                   RWF_NOWAIT) == (ssize_t)request->bytes;
}

static int transfer_flat(const struct disk *disk, void *flat, size_t len, bool write,
                         uint64_t offset)
{
    struct iovec iov = {.iov_base = flat, .iov_len = len};

    return transfer_straight(disk, (struct cursor){.iov = &iov, .count = 1}, write, offset, len);
}

/* One buffer's worth of a request: [OFFSET, END) lies within [START, START+LEN), which is aligned. */
static int bounce_part(const struct disk *disk, struct cursor *at, uint8_t *buffer, bool write,
                       uint64_t start, size_t len, uint64_t offset, uint64_t end)
{
    uint64_t tail = start + len - disk->align;
    int error = 0;

    /* Of blocks that are written in part, the rest is to stay. */
    if (!write)
        error = transfer_flat(disk, buffer, len, false, start);
    if (write && (offset > start || end < start + disk->align))
        error = transfer_flat(disk, buffer, disk->align, false, start);
    if (write && end < start + len && tail > start && error == 0)
        error = transfer_flat(disk, buffer + (tail - start), disk->align, false, tail);
    if (error != 0)
        return error;
    copy(at, buffer + (offset - start), end - offset, write ? FROM_BUFFERS : TO_BUFFERS);
    return write ? transfer_flat(disk, buffer, len, true, start) : 0;
}

static int bounce(const struct disk *disk, struct cursor at, bool write, uint64_t offset,
                  uint64_t bytes)
{
    uint64_t end = offset + bytes, mask = ~(uint64_t)(disk->align - 1);
    void *buffer;
    int error = 0;

    if (posix_memalign(&buffer, BOUNCE_BYTES, BOUNCE_BYTES) != 0)
        return ENOMEM;
    while (offset < end && error == 0) {
        uint64_t start = offset & mask, limit = start + BOUNCE_BYTES;
        uint64_t part_end = end < limit ? end : limit;
        size_t len = (size_t)(((part_end + disk->align - 1) & mask) - start);

        error = bounce_part(disk, &at, buffer, write, start, len, offset, part_end);
        offset = part_end;
        if (atomic_load(&disk->cancelled) && offset < end && error == 0)
            error = ECANCELED;
    }
    free(buffer);
    return error;
}

static bool buffers_aligned(const struct disk *disk, const struct block_request *request)
{
    uintptr_t bits = 0;

    for (unsigned i = 0; i < request->iov_count; i++)
        bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
    return (bits & (disk->align - 1)) == 0;
}

int disk_transfer(struct disk *disk, const struct block_request *request)
{
    struct cursor at = {.iov = request->iov, .count = request->iov_count};
    bool write = request->op != BLOCK_READ;
    uint64_t offset = request->offset, bytes = request->bytes;
    bool whole_blocks = ((offset | bytes) & (disk->align - 1)) == 0;
    bool straight = disk->align == 1 || (whole_blocks && buffers_aligned(disk, request));
    /* Blocks larger than a sector: whoever rewrites the rest of one does so alone. */
    bool locked = write && disk->align > 512;

    if (locked && !whole_blocks)
        pthread_rwlock_wrlock(&disk->edges);
    else if (locked)
        pthread_rwlock_rdlock(&disk->edges);

    int error = straight ? transfer_straight(disk, at, write, offset, bytes)
                         : bounce(disk, at, write, offset, bytes);

    if (locked)
        pthread_rwlock_unlock(&disk->edges);
    return error;
}
