/*
 * command_line.h: a command line written as one string, parsed as main would.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include "options.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32

/* Words are separated by single spaces; two spaces in a row stand for an empty word between them.
 * Strings in OPTIONS live in the copy of the line, which is kept until the next call. */
static inline int parse_line(const char *line, struct options *options, struct error *err)
{
    static char *copy;
    char *words[WORDS_MAX] = {(char *)(uintptr_t) "kvmlens"};
    int count = 1;

    free(copy);
    copy = strdup(line);
    for (char *rest = *copy ? copy : NULL; rest && count < WORDS_MAX - 1;)
        words[count++] = strsep(&rest, " ");
    *err = (struct error){0};
    return options_parse(options, count, words, err);
}

#endif
