/*
 * jsonl_lines.c: a file, line by line (see jsonl_lines.h).
 */
#include "jsonl_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes room behind what is not yet taken, and reads. */
static int fill(struct jsonl_lines *lines)
{
    if (!lines->buffer) {
        lines->buffer = malloc(JSONL_BUFFER + 1);
        if (!lines->buffer)
            return -ENOMEM;
    }
    memmove(lines->buffer, lines->buffer + lines->at, lines->used - lines->at);
    lines->used -= lines->at;
    lines->at = 0;
    for (;;) {
        ssize_t got = read(lines->fd, lines->buffer + lines->used, JSONL_BUFFER - lines->used);
        if (got >= 0) {
            lines->used += (size_t)got;
            lines->end = got == 0;
            return 0;
        }
        if (errno != EINTR)
            return -errno;
    }
}

int jsonl_lines_next(struct jsonl_lines *lines, char **line, size_t *len)
{
    size_t seen = 0;

    for (;;) {
        size_t left = lines->used - lines->at;
        char *start = lines->buffer ? lines->buffer + lines->at : NULL;
        char *newline = left > seen ? memchr(start + seen, '\n', left - seen) : NULL;
        size_t size = newline ? (size_t)(newline - start) : left;
        bool whole = newline != NULL, skipped = lines->skipping;

        if (whole || size >= JSONL_LINE_MAX || (lines->end && left > 0)) {
            lines->at += size + whole;
            lines->skipping = !whole && !lines->end;
            if (skipped) {
                seen = 0;
                continue;
            }
            lines->number++;
            lines->whole = whole;
            *line = start;
            *len = size;
            return 1;
        }
        if (lines->end)
            return 0;
        seen = left;
        int r = fill(lines);
        if (r < 0)
            return r;
    }
}

void jsonl_lines_free(struct jsonl_lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}
