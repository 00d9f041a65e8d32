/*
 * jsonl_lines.h: a file, line by line, in a fixed amount of memory.
 */
#ifndef KVMLENS_TRACE_JSONL_LINES_H
#define KVMLENS_TRACE_JSONL_LINES_H

#include "jsonl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSONL_BUFFER (4 * JSONL_LINE_MAX)

/* Zero-initialise, but for the file descriptor (borrowed). */
struct jsonl_lines {
    int fd;
    uint64_t number; /* of the line last returned; the first is 1 */
    bool whole;      /* it had its newline */
    bool end;        /* of the file was seen */
    bool skipping;   /* the rest of a line that is too long */
    size_t at, used;
    char *buffer; /* JSONL_BUFFER bytes, and one more */
};

/* The next line, without its newline, until the next call; the byte behind it may be written to.
 * Of a line longer than JSONL_LINE_MAX, the begin. 1; 0 at the end; or -errno. */
int jsonl_lines_next(struct jsonl_lines *lines, char **line, size_t *len);

void jsonl_lines_free(struct jsonl_lines *lines);

#endif
