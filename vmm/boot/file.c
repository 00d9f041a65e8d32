/*
 * file.c: opening, reading and naming image files.
 *
 * Files are read with pread(), never mapped: a file that is cut short while it is mapped ends the
 * process with SIGBUS, and a short read is just an error.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SHOWN 120 /* so that a path never pushes the reason out of an error's text */

int image_error(const struct image_file *file, struct error *err, const char *format, ...)
{
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    size_t length = strlen(file->path);
    bool cut = length > PATH_SHOWN;
    return error_set(err, STATUS_IMAGE, "%s%s: %s", cut ? "..." : "",
                     cut ? file->path + length - PATH_SHOWN : file->path, text);
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a pipe";
    case S_IFCHR:
        return "a character device";
    case S_IFBLK:
        return "a block device";
    default:
        return "a special file";
    }
}

int image_file_open(struct image_file *file, const char *path, struct error *err)
{
    /* O_NONBLOCK: opening a pipe that nobody writes to would wait forever. */
    *file = (struct image_file){.path = path};
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return image_error(file, err, "cannot open: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return image_error(file, err, "found %s, expected a regular file", type_name(st.st_mode));
    if (st.st_size <= 0)
        return image_error(file, err, "found an empty file (0 bytes)");
    file->size = (uint64_t)st.st_size;
    return 0;
}

void image_file_close(struct image_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* pread() that a signal does not cut short. */
static ssize_t read_some(int fd, void *to, size_t size, uint64_t offset)
{
    ssize_t n;
    do {
        n = pread(fd, to, size, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

int image_file_read(const struct image_file *file, uint64_t offset, void *to, uint64_t size,
                    struct error *err)
{
    uint8_t *at = to;
    for (uint64_t done = 0; done < size;) {
        ssize_t n = read_some(file->fd, at + done, size - done, offset + done);
        if (n < 0)
            return image_error(file, err, "cannot read at offset %" PRIu64 ": %s", offset + done,
                               strerror(errno));
        if (n == 0)
            return image_error(file, err,
                               "the file ends at offset %" PRIu64 ", expected %" PRIu64
                               " more bytes: it shrank while it was in use",
                               offset + done, size - done);
        done += (uint64_t)n;
    }
    return 0;
}

size_t image_file_peek(const struct image_file *file, uint64_t offset, void *to, size_t size)
{
    ssize_t n = read_some(file->fd, to, size, offset);
    return n < 0 ? 0 : (size_t)n;
}

int image_file_load(const struct image_file *file, uint64_t offset, uint64_t size,
                    const struct mem *mem, uint64_t gpa, struct error *err)
{
    if (size == 0)
        return 0;
    void *to = mem_ptr(mem, gpa, size);
    if (!to)
        return image_error(file, err,
                           "cannot load %" PRIu64 " bytes at GPA 0x%" PRIx64 ": that is not RAM",
                           size, gpa);
    return image_file_read(file, offset, to, size, err);
}
