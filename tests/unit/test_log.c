/*
 * test_log.c: messages and errors (vmm/log.h, vmm/error.h), and interrupt lines (vmm/irq.h).
 */
#include "error.h"
#include "fake_wires.h"
#include "log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What log_say() makes of TEXT (NULL: of something it cannot print), read back through a pipe as
 * one packet. */
static void said(const char *text, char *out, size_t size)
{
    int pipe_fd[2], saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && pipe(pipe_fd) == 0);
    assert_true(dup2(pipe_fd[1], STDERR_FILENO) >= 0);
    if (text) {
        log_say("%s", text);
    } else {
        log_say("%ls", L"\u1234");
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(pipe_fd[1]);
    ssize_t length = read(pipe_fd[0], out, size - 1);
    assert_true(length >= 0);
    out[length] = '\0';
    close(pipe_fd[0]);
}

static void say_prefixes(void **state)
{
    (void)state;
    char line[4096];
    said("no such port", line, sizeof(line));
    assert_string_equal(line, "kvmlens: no such port\n");
    said("", line, sizeof(line));
    assert_string_equal(line, "kvmlens: \n");
}

static void say_names_the_guest(void **state)
{
    (void)state;
    char line[4096], name[300];
    log_set_name("web1");
    said("ended", line, sizeof(line));
    assert_string_equal(line, "kvmlens web1: ended\n");
    log_set_name("a\x1b[31m\n");
    said("ended", line, sizeof(line));
    assert_string_equal(line, "kvmlens a?[31m?: ended\n");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    log_set_name(name);
    said("ended", line, sizeof(line));
    assert_int_equal(strlen(line), strlen("kvmlens : ended\n") + 64);
    log_set_name(NULL);
}

static void say_cuts_what_is_too_long(void **state)
{
    (void)state;
    char text[3000], line[4096];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    said(text, line, sizeof(line));
    size_t length = strlen(line);
    assert_true(length > 1000 && length < sizeof(text));
    assert_int_equal(line[length - 1], '\n');
    assert_int_equal(line[length - 2], 'x');
    assert_null(memchr(line, '\n', length - 1));

    /* what just fits is whole, and a byte more does no harm */
    const size_t fits = length - strlen("kvmlens: \n");
    for (size_t size = fits - 1; size <= fits + 1; size++) {
        text[size] = '\0';
        said(text, line, sizeof(line));
        assert_int_equal(strlen(line), size < fits ? length - 1 : length);
        text[size] = 'x';
    }
}

/* vsnprintf() fails on a wide character that the locale has no code for. */
static void what_cannot_be_printed(void **state)
{
    (void)state;
    char line[64];
    struct error err;
    memset(&err, 'x', sizeof(err));
    assert_int_equal(error_set(&err, STATUS_USAGE, "%ls", L"\u1234"), -1);
    assert_string_equal(err.text, "");
    said(NULL, line, sizeof(line));
    assert_string_equal(line, "kvmlens: \n");
}

static void colour_needs_a_terminal(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_false(log_colour(file));
    fclose(file);
}

static void colour_on_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *term, *no_color;
        bool colour;
    } cases[] = {
        {"xterm", NULL, true}, {"xterm", "", true}, {"xterm", "1", false},
        {"dumb", NULL, false}, {NULL, NULL, false},
    };
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    FILE *terminal = fopen(ptsname(master), "w");
    assert_non_null(terminal);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cases[i].term ? setenv("TERM", cases[i].term, 1) : unsetenv("TERM");
        cases[i].no_color ? setenv("NO_COLOR", cases[i].no_color, 1) : unsetenv("NO_COLOR");
        assert_int_equal(log_colour(terminal), cases[i].colour);
    }
    fclose(terminal);
    close(master);
}

static void error_is_filled_in(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(error_set(&err, STATUS_IMAGE, "%s: %d bytes", "a.elf", 12), -1);
    assert_int_equal(err.status, STATUS_IMAGE);
    assert_string_equal(err.text, "a.elf: 12 bytes");
}

static void error_is_one_clean_line(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, STATUS_USAGE, "%s", "a\nb\033[1m\x7f \xc3\xa4");
    assert_string_equal(err.text, "a?b?[1m? \xc3\xa4");
}

static void error_says_that_it_was_cut(void **state)
{
    (void)state;
    struct error err;
    const size_t room = sizeof(err.text) - 1;
    error_set(&err, STATUS_USAGE, "%*d", (int)room, 1); /* just fits */
    assert_int_equal(strlen(err.text), room);
    assert_int_equal(err.text[room - 1], '1');
    error_set(&err, STATUS_USAGE, "%*d", (int)room + 1, 1);
    assert_int_equal(strlen(err.text), room);
    assert_string_equal(err.text + room - 3, "...");
}

static void irq_line(void **state)
{
    (void)state;
    struct fake_wires wires = {0};
    struct irq_line line = fake_irq(&wires, 4);
    irq_set(&line, true);
    assert_true(wires.level);
    assert_int_equal(wires.gsi, 4);
    irq_set(&line, false);
    assert_false(wires.level);
    assert_int_equal(wires.rises, 1);
    irq_set(&(struct irq_line){0}, true); /* not connected */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(say_prefixes),
        cmocka_unit_test(say_names_the_guest),
        cmocka_unit_test(say_cuts_what_is_too_long),
        cmocka_unit_test(what_cannot_be_printed),
        cmocka_unit_test(colour_needs_a_terminal),
        cmocka_unit_test(colour_on_a_terminal),
        cmocka_unit_test(error_is_filled_in),
        cmocka_unit_test(error_is_one_clean_line),
        cmocka_unit_test(error_says_that_it_was_cut),
        cmocka_unit_test(irq_line),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
