/*
 * disk_lock.c: keeps two programs off one image, with QEMU's protocol, so that kvmlens and QEMU keep
 * off each other too: single bytes of the file are locked (for reading only, by open file
 * description) that say what the owner does and what it does not want others to do.
 * Source: QEMU block/file-posix.c, raw_check_lock_bytes(); docs/system/qemu-block-drivers "locking".
 */
#include "disk_internal.h"

#include <errno.h>
#include <fcntl.h>

/* A byte for each permission: locked by who uses it, and by who forbids it to others. */
#define USED_BASE      100
#define FORBIDDEN_BASE 200

#define PERMISSION_READ  0 /* consistent read */
#define PERMISSION_WRITE 1
#define PERMISSIONS      2 /* that are of interest here */

static int lock_byte(int fd, int command, off_t at, short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    if (fcntl(fd, command, &range) < 0)
        return -errno;
    return command == F_OFD_GETLK && range.l_type != F_UNLCK ? -EAGAIN : 0;
}

int disk_lock(int fd, bool readonly)
{
    const bool used[PERMISSIONS] = {[PERMISSION_READ] = true, [PERMISSION_WRITE] = !readonly};
    const bool forbidden[PERMISSIONS] = {[PERMISSION_WRITE] = true};
    int status = 0;

    /* First say, then look: of two that start at once, one sees the other at least. */
    for (int p = 0; p < PERMISSIONS && status == 0; p++) {
        if (used[p])
            status = lock_byte(fd, F_OFD_SETLK, USED_BASE + p, F_RDLCK);
        if (forbidden[p] && status == 0)
            status = lock_byte(fd, F_OFD_SETLK, FORBIDDEN_BASE + p, F_RDLCK);
    }
    for (int p = 0; p < PERMISSIONS && status == 0; p++) {
        if (used[p])
            status = lock_byte(fd, F_OFD_GETLK, FORBIDDEN_BASE + p, F_WRLCK);
        if (forbidden[p] && status == 0)
            status = lock_byte(fd, F_OFD_GETLK, USED_BASE + p, F_WRLCK);
    }
    return status == -EACCES ? -EAGAIN : status;
}
