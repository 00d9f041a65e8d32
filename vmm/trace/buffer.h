/*
 * buffer.h: what a sink writes, collected into large write(2) calls.
 */
#ifndef KVMLENS_TRACE_BUFFER_H
#define KVMLENS_TRACE_BUFFER_H

#include <stddef.h>

#define TRACE_BUFFER_SIZE (64 * 1024)

/* Initialise with the file descriptor (borrowed); the rest is 0. */
struct trace_buffer {
    int fd;
    int error; /* -errno of the first write that failed: nothing more is written; 0: good */
    size_t used;
    char bytes[TRACE_BUFFER_SIZE];
};

/* All return 0 or -errno. A descriptor that another program has made non-blocking is waited for. */
int trace_buffer_add(struct trace_buffer *buffer, const char *bytes, size_t len);
int trace_buffer_print(struct trace_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* at most TRACE_BUFFER_SIZE - 1 bytes at once */
int trace_buffer_flush(struct trace_buffer *buffer);

#endif
