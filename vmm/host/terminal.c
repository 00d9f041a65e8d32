/*
 * terminal.c: raw mode and back (termios(3), tcsetattr(3)).
 *
 * The saved state is the one piece of file-scope state in kvmlens beside the log's: a handler of a
 * fatal signal has no other way to reach it.
 */
#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t is_saved;

void terminal_reserve_stdio(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(70); /* STATUS_INTERNAL: not even /dev/null opens, and nowhere to say so */
}

static void restore_and_die(int signal)
{
    terminal_restore();
    raise(signal); /* SA_RESETHAND: this time the default action takes it */
}

static void guard_against_fatal_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT,   SIGTRAP, SIGSYS,
                                SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU, SIGVTALRM, SIGPROF, SIGIO};
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};
    struct sigaction old;

    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(fatal[i], &action, NULL); /* a sanitizer's own handler stays */
}

void terminal_raw(bool keep_signals)
{
    struct termios raw;

    /* tcsetattr() would stop a background process (SIGTTOU). */
    if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &raw) < 0)
        return;
    if (!is_saved) {
        saved = raw;
        is_saved = 1;
        guard_against_fatal_signals();
    }
    raw = saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!keep_signals)
        raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    /* OPOST stays: the guest's and kvmlens's own lines end in a plain newline. */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

void terminal_restore(void)
{
    if (is_saved && tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}
