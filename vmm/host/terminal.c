/*
 * terminal.c: raw mode and back (termios(3), tcsetattr(3)).
 *
 * The saved state and the view are the one piece of file-scope state in kvmlens beside the log's: a
 * handler of a fatal signal has no other way to reach them.
 */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t is_saved;

enum {
    VIEW_NONE,
    VIEW_SHOWN,
    VIEW_AWAY,   /* until terminal_view_again(): kvmlens is stopped, or ends */
    VIEW_WAITING /* for the foreground */
};

static struct {
    atomic_int state;
    atomic_bool drawing;
    int fd, keys;
    struct termios keys_before;
} view = {.fd = -1, .keys = -1};

#define VIEW_ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[2J"
#define VIEW_LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

void terminal_reserve_stdio(void)
{
    struct pollfd fd[] = {{.fd = STDIN_FILENO}, {.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};

    if (poll(fd, 3, 0) == 0) /* in order, so that each open() finds the one that is free */
        return;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fd[i].revents & POLLNVAL && open("/dev/null", O_RDWR) != i)
            _exit(70); /* STATUS_INTERNAL: not even /dev/null opens, and nowhere to say so */
}

/* The terminal FD is the shell's while a job is in its background. */
static bool in_background(int fd)
{
    pid_t foreground = tcgetpgrp(fd); /* -1: another session's terminal, or nobody's */

    return foreground >= 0 && foreground != getpgrp();
}

bool terminal_in_background(void)
{
    return in_background(STDIN_FILENO);
}

static void restore_and_die(int signal)
{
    terminal_restore();
    raise(signal); /* SA_RESETHAND: this time the default action takes it */
}

static void guard_against(int signal)
{
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};
    struct sigaction old;

    if (sigaction(signal, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        sigaction(signal, &action, NULL); /* a sanitizer's own handler stays */
}

static void guard_against_fatal_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,   SIGABRT, SIGTRAP,
                                SIGSYS,  SIGUSR1, SIGUSR2, SIGALRM,  SIGXCPU, SIGVTALRM,
                                SIGPROF, SIGIO,   SIGPWR,  SIGSTKFLT};

    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        guard_against(fatal[i]);
    for (int signal = SIGRTMIN + 1; signal <= SIGRTMAX; signal++) /* SIGRTMIN: vcpu_kick() */
        guard_against(signal);
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

/* A terminal that another program has made non-blocking is just slow. */
static int write_view(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t done = write(view.fd, text, len);
        if (done > 0) {
            text += done;
            len -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = view.fd, .events = POLLOUT}, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            return done == 0 ? -EIO : -errno;
        }
    }
    return 0;
}

/* Only a process in the foreground may read, or set modes. */
static bool has_keys(void)
{
    return view.keys >= 0 && tcgetpgrp(view.keys) == getpgrp();
}

/* Also from a handler of a fatal signal, which may have come in the middle of a frame. */
static void leave_view(int next)
{
    int shown = VIEW_SHOWN;

    if (!atomic_compare_exchange_strong(&view.state, &shown, next)) {
        int waiting = VIEW_WAITING;
        if (next == VIEW_NONE)
            atomic_store(&view.state, next);
        else
            atomic_compare_exchange_strong(&view.state, &waiting, next);
        return;
    }
    for (int i = 0; i < 100 && atomic_load(&view.drawing); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    /* The modes first: where output is stopped (Ctrl-S), the write may be this thread's last. */
    if (has_keys())
        tcsetattr(view.keys, TCSANOW, &view.keys_before);
    write_view(VIEW_LEAVE, strlen(VIEW_LEAVE));
}

bool terminal_view_back(void)
{
    int waiting = VIEW_WAITING;

    if (atomic_load(&view.state) != VIEW_WAITING || in_background(view.fd))
        return false;
    /* The modes are as whoever had the foreground before has left them. */
    bool keys = has_keys() && tcgetattr(view.keys, &view.keys_before) == 0;
    atomic_store(&view.drawing, true);
    bool back = atomic_compare_exchange_strong(&view.state, &waiting, VIEW_SHOWN);
    if (back) {
        if (keys) {
            struct termios modes = view.keys_before;
            modes.c_lflag &= ~(tcflag_t)(ECHO | ICANON); /* Ctrl-C and Ctrl-Z still send signals */
            modes.c_cc[VMIN] = 1;
            modes.c_cc[VTIME] = 0;
            tcsetattr(view.keys, TCSANOW, &modes);
        }
        write_view(VIEW_ENTER, strlen(VIEW_ENTER));
    }
    atomic_store(&view.drawing, false);
    return back;
}

bool terminal_fit_for_view(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

void terminal_view_begin(int fd, int keys)
{
    guard_against_fatal_signals();
    view.fd = fd;
    view.keys = keys;
    if (keys >= 0 && tcgetattr(keys, &view.keys_before) < 0)
        view.keys = -1;
    atomic_store(&view.state, VIEW_WAITING);
    terminal_view_back();
}

void terminal_view_end(void)
{
    leave_view(VIEW_NONE);
}

void terminal_view_again(void)
{
    int away = VIEW_AWAY;

    atomic_compare_exchange_strong(&view.state, &away, VIEW_WAITING);
}

int terminal_view_draw(const char *text, size_t len)
{
    int r = 0;

    atomic_store(&view.drawing, true);
    if (atomic_load(&view.state) == VIEW_SHOWN)
        r = write_view(text, len);
    atomic_store(&view.drawing, false);
    return r;
}

int terminal_view_key(void)
{
    unsigned char key;

    if (atomic_load(&view.state) != VIEW_SHOWN || !has_keys() || read(view.keys, &key, 1) != 1)
        return -1;
    return key;
}

void terminal_restore(void)
{
    leave_view(VIEW_AWAY);
    if (is_saved && tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}
