/*
 * disk.c: opening a disk image or block device (see disk.h).
 */
#include "disk.h"

#include "../log.h"
#include "disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR       512
#define ALIGN_MAX    4096
#define PHYSICAL_MAX 65536
#define PATH_SHOWN   120 /* so that a path never pushes the reason out of an error's text */
#define OPEN_FLAGS   (O_CLOEXEC | O_NOCTTY | O_NONBLOCK) /* a pipe would wait for its other end */
#define DIRECT_REFUSED                                                                             \
    "its file system has no direct I/O: cache=none cannot be had, try cache=writeback"

/* The end of a long path. */
static const char *shown(const struct disk *disk)
{
    size_t length = strlen(disk->path);

    return disk->path + (length > PATH_SHOWN ? length - PATH_SHOWN : 0);
}

__attribute__((format(printf, 3, 4))) static int
disk_error(const struct disk *disk, struct error *err, const char *format, ...)
{
    char text[sizeof(err->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(err, STATUS_IMAGE, "%s%s: %s", shown(disk) == disk->path ? "" : "...",
                     shown(disk), text);
}

static int open_file(struct disk *disk, const struct drive_option *drive, struct error *err)
{
    int direct = drive->cache == CACHE_NONE ? O_DIRECT : 0;

    disk->fd = open(drive->file, OPEN_FLAGS | direct | (drive->readonly ? O_RDONLY : O_RDWR));
    if (disk->fd < 0 && errno == EINVAL && direct)
        return disk_error(disk, err, DIRECT_REFUSED);
    if (disk->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM) && !drive->readonly)
        return disk_error(disk, err,
                          "cannot open for reading and writing: %s (readonly=on asks for reading "
                          "only)",
                          strerror(errno));
    if (disk->fd < 0)
        return disk_error(disk, err, "cannot open: %s", strerror(errno));
    if (fcntl(disk->fd, F_SETFL, direct) < 0)
        return disk_error(disk, err, "cannot be made to block: %s", strerror(errno));
    return 0;
}

static int measure(struct disk *disk, struct error *err)
{
    struct stat st;
    unsigned physical;
    int protected = 0;

    if (fstat(disk->fd, &st) < 0)
        return disk_error(disk, err, "cannot ask its size: %s", strerror(errno));
    disk->block_device = S_ISBLK(st.st_mode);
    if (!disk->block_device && !S_ISREG(st.st_mode))
        return disk_error(disk, err, "found %s, expected a disk image (a file or a block device)",
                          S_ISDIR(st.st_mode)    ? "a directory"
                          : S_ISFIFO(st.st_mode) ? "a pipe"
                          : S_ISCHR(st.st_mode)  ? "a character device"
                                                 : "a special file");
    physical = (unsigned)st.st_blksize;
    disk->file_bytes = (uint64_t)st.st_size;
    if (disk->block_device && (ioctl(disk->fd, BLKGETSIZE64, &disk->file_bytes) < 0 ||
                               ioctl(disk->fd, BLKPBSZGET, &physical) < 0))
        return disk_error(disk, err, "cannot ask the block device's size: %s", strerror(errno));
    /* Linux opens it for writing all the same, and fails each write. */
    if (disk->block_device && !disk->info.readonly && ioctl(disk->fd, BLKROGET, &protected) == 0 &&
        protected)
        return disk_error(disk, err,
                          "the block device is read-only (readonly=on opens it for reading only)");
    if (disk->file_bytes == 0)
        return disk_error(disk, err,
                          "found an empty file (0 bytes), expected a disk image; "
                          "`truncate -s 64M FILE` makes one");
    if (physical < SECTOR || physical > PHYSICAL_MAX || (physical & (physical - 1)) != 0)
        physical = SECTOR;
    disk->info.physical_block = physical;
    disk->info.bytes = (disk->file_bytes + SECTOR - 1) / SECTOR * SECTOR;
    if (disk->info.bytes != disk->file_bytes)
        log_say("%s: %" PRIu64
                " bytes are no whole number of sectors of 512 bytes; the rest of the "
                "last one reads as zeroes, and a write to it makes the file larger",
                shown(disk), disk->file_bytes);
    return 0;
}

static int lock_file(const struct disk *disk, const struct drive_option *drive, struct error *err)
{
    int status = drive->locking ? disk_lock(disk->fd, drive->readonly) : 0;

    if (status == -EAGAIN)
        return disk_error(disk, err,
                          "cannot be locked for %s. Is another process using the image? (With "
                          "readonly=on all of them may read it; locking=off goes without)",
                          drive->readonly ? "reading" : "writing");
    if (status < 0)
        return disk_error(disk, err, "cannot be locked: %s (locking=off goes without)",
                          strerror(-status));
    return 0;
}

/* Finds the alignment of direct I/O by trying, and goes without where the image does not end at it:
 * its last bytes could not be reached. */
static int align(struct disk *disk, struct error *err)
{
    void *buffer;
    ssize_t n = -1;

    disk->align = SECTOR;
    if (posix_memalign(&buffer, ALIGN_MAX, ALIGN_MAX) != 0)
        return disk_error(disk, err, "out of memory");
    while (disk->align <= ALIGN_MAX) {
        n = pread(disk->fd, buffer, disk->align, 0);
        if (n >= 0 || errno != EINVAL)
            break;
        disk->align *= 2;
    }
    free(buffer);
    if (n < 0 && errno == EINVAL)
        return disk_error(disk, err, DIRECT_REFUSED);
    if (disk->file_bytes % disk->align == 0)
        return 0;
    log_say("%s: %" PRIu64 " bytes are no multiple of %u, as direct I/O (cache=none) needs it; "
            "the page cache is used",
            shown(disk), disk->file_bytes, disk->align);
    disk->align = 1;
    if (fcntl(disk->fd, F_SETFL, 0) < 0)
        return disk_error(disk, err, "cannot leave direct I/O: %s", strerror(errno));
    return 0;
}

int disk_open(struct disk **out, const struct drive_option *drive, struct error *err)
{
    struct disk *disk = calloc(1, sizeof(*disk));

    if (!disk)
        return error_set(err, STATUS_INTERNAL, "%s: out of memory", drive->file);
    disk->path = drive->file;
    disk->align = 1;
    disk->discard = drive->discard;
    disk->unsafe = drive->cache == CACHE_UNSAFE;
    disk->info.readonly = drive->readonly;
    disk->info.writeback = drive->cache != CACHE_WRITETHROUGH;
    pthread_mutex_init(&disk->sync.lock, NULL);
    pthread_cond_init(&disk->sync.ended, NULL);
    pthread_rwlock_init(&disk->edges, NULL);
    pthread_mutex_init(&disk->pool.lock, NULL);
    pthread_cond_init(&disk->pool.work, NULL);
    pthread_cond_init(&disk->pool.quiet, NULL);
    if (open_file(disk, drive, err) < 0 || measure(disk, err) < 0 ||
        lock_file(disk, drive, err) < 0 || (drive->cache == CACHE_NONE && align(disk, err) < 0)) {
        disk_close(disk);
        return -1;
    }
    *out = disk;
    return 0;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    if (disk->fd >= 0)
        close(disk->fd);
    pthread_mutex_destroy(&disk->sync.lock);
    pthread_cond_destroy(&disk->sync.ended);
    pthread_rwlock_destroy(&disk->edges);
    pthread_mutex_destroy(&disk->pool.lock);
    pthread_cond_destroy(&disk->pool.work);
    pthread_cond_destroy(&disk->pool.quiet);
    free(disk);
}

struct block_info disk_info(const struct disk *disk)
{
    return disk->info;
}
