/*
 * signals.c: signals as events of the loop (signalfd(2), signal-safety(7)).
 *
 * Those that end kvmlens have a handler as well: what has to end it must not depend on the loop.
 */
#include "signals.h"

#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define END_S 5 /* for what is still to be written when kvmlens is told to end */

static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

#define COUNT(array) (sizeof array / sizeof *array)

/* What the handlers share with the rest: a handler is given no pointer. */
static volatile sig_atomic_t told_fd = -1;  /* wakes the loop for a deadly signal; -1: no loop */
static volatile sig_atomic_t told_signal;   /* the last one */
static volatile sig_atomic_t ending_status; /* of the end that is limited; 0: none is */

static void signal_ready(void *opaque, short revents)
{
    struct signals *signals = opaque;
    struct signalfd_siginfo info;

    (void)revents;
    if (read(signals->fd.fd, &info, sizeof info) != sizeof info)
        return;
    switch (info.ssi_signo) {
    case SIGTSTP:
        signals->stopping(signals->opaque);
        raise(SIGSTOP);
        break;
    case SIGCONT:
        signals->continued(signals->opaque);
        break;
    default:
        signals->resized(signals->opaque);
        break;
    }
}

static void told_ready(void *opaque, short revents)
{
    struct signals *signals = opaque;
    uint64_t count;

    (void)revents;
    if (read(signals->told.fd, &count, sizeof count) == sizeof count)
        signals->deadly(signals->opaque, told_signal);
}

void signals_let_writes_fail(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* What a parent has made be ignored (nohup, a script's `trap ""`) stays so. */
static void add_unless_ignored(sigset_t *set, int signal)
{
    struct sigaction old;

    if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaddset(set, signal);
}

/* The limit first, from here: the loop's thread may be in a write(2), or wait for a disk. */
static void deadly_comes(int signal)
{
    const uint64_t one = 1;
    int error = errno;

    signals_limit_end(STATUS_SIGNAL);
    told_signal = signal;
    if (told_fd >= 0)
        while (write(told_fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
    errno = error;
}

/* They are blocked meanwhile, so that a handler which is taken back has not run. */
static void handle_deadly(void)
{
    struct sigaction action = {.sa_handler = deadly_comes, .sa_flags = SA_RESTART}, old;

    for (size_t i = 0; i < COUNT(deadly); i++)
        if (sigaction(deadly[i], &action, &old) == 0 && old.sa_handler == SIG_IGN)
            sigaction(deadly[i], &old, NULL);
}

int signals_open(struct signals *signals, struct loop *loop, struct error *err)
{
    sigset_t both;

    sigemptyset(&signals->handled);
    for (size_t i = 0; i < COUNT(deadly); i++)
        sigaddset(&signals->handled, deadly[i]);
    sigaddset(&signals->handled, SIGALRM);
    sigemptyset(&signals->set);
    add_unless_ignored(&signals->set, SIGTSTP);
    sigaddset(&signals->set, SIGCONT); /* these two only tell */
    sigaddset(&signals->set, SIGWINCH);
    sigorset(&both, &signals->set, &signals->handled);
    pthread_sigmask(SIG_BLOCK, &both, NULL);

    signals->fd = (struct loop_fd){
        .fd = signalfd(-1, &signals->set, SFD_CLOEXEC | SFD_NONBLOCK),
        .events = POLLIN,
        .ready = signal_ready,
        .opaque = signals,
    };
    if (signals->fd.fd < 0 || loop_add_fd(loop, &signals->fd) < 0)
        return error_set(err, STATUS_INTERNAL, "signalfd: %s", strerror(errno));
    signals->told = (struct loop_fd){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .events = POLLIN,
        .ready = told_ready,
        .opaque = signals,
    };
    if (signals->told.fd < 0 || loop_add_fd(loop, &signals->told) < 0)
        return error_set(err, STATUS_INTERNAL, "eventfd: %s", strerror(errno));
    told_fd = signals->told.fd;
    handle_deadly();
    return 0;
}

static void close_fd(struct loop_fd *fd, struct loop *loop)
{
    loop_remove_fd(loop, fd);
    if (fd->fd >= 0)
        close(fd->fd);
}

void signals_close(struct signals *signals, struct loop *loop)
{
    told_fd = -1; /* a handler runs in this thread only: none is between the two */
    pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
    close_fd(&signals->fd, loop);
    close_fd(&signals->told, loop);
}

void signals_hold(const struct signals *signals)
{
    pthread_sigmask(SIG_BLOCK, &signals->handled, NULL);
}

void signals_release(const struct signals *signals)
{
    pthread_sigmask(SIG_UNBLOCK, &signals->handled, NULL);
}

/* --- the limit ---------------------------------------------------------------------------------- */

/* The time limit first, if it is SIGALRM's first; then the end's. */
static void alarm_rings(int signal)
{
    (void)signal;
    if (!ending_status) {
        signals_limit_end(STATUS_TIMEOUT);
        return;
    }
    alarm(1); /* the terminal may not take what it is sent: the second time that is left out */
    terminal_restore();
    _exit(ending_status);
}

static void set_alarm(unsigned seconds)
{
    /* SA_NODEFER: the alarm above is for the handler itself. */
    struct sigaction action = {.sa_handler = alarm_rings, .sa_flags = SA_RESTART | SA_NODEFER};

    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

void signals_limit_end(enum status status)
{
    if (ending_status) /* who is told again and again has no more time for it */
        return;
    ending_status = (int)status;
    set_alarm(END_S);
}

void signals_limit_run(unsigned seconds)
{
    if (ending_status)
        return;
    set_alarm(seconds);
    if (ending_status) /* a signal came between the two, and has lost its alarm */
        set_alarm(END_S);
}
