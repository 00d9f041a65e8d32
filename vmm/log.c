/*
 * log.c: messages of the program itself (see log.h).
 */
#include "log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void log_say(const char *format, ...)
{
    static const char prefix[] = "kvmlens: ";
    char line[2048];
    const size_t start = sizeof(prefix) - 1;
    const size_t room = sizeof(line) - start - 1; /* one byte is the newline's */
    memcpy(line, prefix, start);

    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + start, room, format, args);
    va_end(args);
    size_t length = wanted < 0 ? 0 : (size_t)wanted < room ? (size_t)wanted : room - 1;
    line[start + length] = '\n';

    fwrite(line, 1, start + length + 1, stderr);
    fflush(stderr);
}

bool log_colour(FILE *stream)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0 &&
           (!no_color || no_color[0] == '\0');
}
