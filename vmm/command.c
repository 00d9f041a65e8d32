/*
 * command.c: a command line as one string (see command.h).
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

static const char plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

/* Writes WORD to TO; returns behind it. */
static char *put_word(char *to, const char *word)
{
    if (*word && !word[strspn(word, plain)])
        return stpcpy(to, word);
    *to++ = '\'';
    for (; *word; word++) {
        if (*word == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *word;
    }
    *to++ = '\'';
    return to;
}

char *command_join(int argc, char *const *argv)
{
    size_t size = 1;

    for (int i = 0; i < argc; i++)
        size += 4 * strlen(argv[i]) + 3; /* each byte a quote, two quotes, a blank */

    char *command = malloc(size), *to = command;

    for (int i = 0; command && i < argc; i++) {
        to = put_word(to, argv[i]);
        *to++ = ' ';
    }
    if (command)
        to[to > command ? -1 : 0] = '\0';
    return command;
}
