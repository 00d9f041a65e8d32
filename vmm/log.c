/*
 * log.c: messages of the program itself (see log.h).
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_SHOWN 64 /* bytes of a guest's name that a message shows at most */

static const char *guest_name; /* NULL: none */

void log_set_name(const char *name)
{
    guest_name = name;
}

/* "kvmlens: " or "kvmlens NAME: " into LINE, which is large enough; returns its length. */
static size_t put_prefix(char *line)
{
    size_t length = (size_t)sprintf(line, "kvmlens%s%.*s: ", guest_name ? " " : "", NAME_SHOWN,
                                    guest_name ? guest_name : "");

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?'; /* a name may hold anything; a terminal must not obey it */
    return length;
}

void log_say(const char *format, ...)
{
    char line[2048];
    const size_t start = put_prefix(line);
    const size_t room = sizeof(line) - start - 1; /* one byte is the newline's */

    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + start, room, format, args);
    va_end(args);
    size_t length = wanted < 0 ? 0 : (size_t)wanted < room ? (size_t)wanted : room - 1;
    line[start + length] = '\n';

    fwrite(line, 1, start + length + 1, stderr);
    fflush(stderr);
}

bool log_flush_stdout(void)
{
    errno = EIO; /* what stands when an earlier write has failed */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    log_say("cannot write to stdout: %s", strerror(errno));
    return false;
}

bool log_colour(FILE *stream)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0 &&
           (!no_color || no_color[0] == '\0');
}
