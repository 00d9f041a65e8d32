/*
 * error.c: an error on its way up (see error.h).
 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    err->status = status;
    if (length < 0) {
        err->text[0] = '\0';
    } else if ((size_t)length >= sizeof(err->text)) {
        memcpy(err->text + sizeof(err->text) - sizeof("..."), "...", sizeof("..."));
    }
    /* File names and option values may hold anything; a message is one line and no escape code. */
    for (char *c = err->text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return -1;
}
