/*
 * error.h: an error on its way up.  A low layer fills it in and says nothing; main prints it.
 */
#ifndef KVMLENS_ERROR_H
#define KVMLENS_ERROR_H

#include "status.h"

/* One line for a person: what was found, what was expected, what to do; no newline, no prefix. */
struct error {
    enum status status; /* the exit status this error asks for */
    char text[512];
};

/* Fills in *err (printf format) and returns -1, so that callers write `return error_set(...)`.
 * Control characters become "?", and a text that is too long ends in "...". */
int error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
