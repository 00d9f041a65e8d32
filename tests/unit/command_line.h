/*
 * command_line.h: a command line written as one string, parsed as main would, and what it sets or is
 * told.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

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

static inline struct options parsed(const char *line)
{
    struct options options;
    struct error err;

    if (parse_line(line, &options, &err) < 0)
        fail_msg("%s: %s", line, err.text);
    return options;
}

/* LINE is refused, and the message has each of the WORDS (which a '|' separates). */
static inline void assert_refused(const char *line, const char *words)
{
    struct options options;
    struct error err;
    char copy[256], *rest = copy;

    snprintf(copy, sizeof(copy), "%s", words);
    if (parse_line(line, &options, &err) == 0)
        fail_msg("%s: is taken", line);
    assert_int_equal(err.status, STATUS_USAGE);
    for (const char *word; (word = strsep(&rest, "|"));)
        if (!strstr(err.text, word))
            fail_msg("%s: \"%s\" does not say \"%s\"", line, err.text, word);
}

#endif
