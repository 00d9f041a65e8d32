/*
 * help_text.h: what `kvmlens -h TOPIC` prints, for the tests of the help.
 */
#ifndef KVMLENS_TEST_HELP_TEXT_H
#define KVMLENS_TEST_HELP_TEXT_H

#include "options.h"
#include "status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define HELP_SIZE 65536

/* Runs options_help(TOPIC) with stdout as a file, and returns what it printed; static. */
static inline const char *help_of(const char *topic)
{
    static char text[HELP_SIZE];
    FILE *file = tmpfile();
    int saved = dup(STDOUT_FILENO);

    assert_non_null(file);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);

    enum status status = options_help(topic);

    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(status, STATUS_POWEROFF);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

#endif
