/*
 * buffer.c: collecting what a sink writes (see buffer.h).
 */
#include "buffer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_all(struct trace_buffer *buffer, const char *bytes, size_t len)
{
    while (len > 0 && buffer->error == 0) {
        ssize_t done = write(buffer->fd, bytes, len);
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = buffer->fd, .events = POLLOUT}, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            buffer->error = done == 0 ? -EIO : -errno;
        }
    }
}

int trace_buffer_flush(struct trace_buffer *buffer)
{
    write_all(buffer, buffer->bytes, buffer->used);
    buffer->used = 0;
    return buffer->error;
}

int trace_buffer_add(struct trace_buffer *buffer, const char *bytes, size_t len)
{
    if (len > TRACE_BUFFER_SIZE - buffer->used)
        trace_buffer_flush(buffer);
    if (len > TRACE_BUFFER_SIZE) {
        write_all(buffer, bytes, len);
    } else {
        memcpy(buffer->bytes + buffer->used, bytes, len);
        buffer->used += len;
    }
    return buffer->error;
}

int trace_buffer_print(struct trace_buffer *buffer, const char *format, ...)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        size_t room = TRACE_BUFFER_SIZE - buffer->used;
        va_list args;
        va_start(args, format);
        int len = vsnprintf(buffer->bytes + buffer->used, room, format, args);
        va_end(args);
        if (len >= 0 && (size_t)len < room) {
            buffer->used += (size_t)len;
            return buffer->error;
        }
        trace_buffer_flush(buffer);
    }
    return -EOVERFLOW;
}
