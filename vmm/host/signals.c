/*
 * signals.c: signals as events of the loop (signalfd(2), signal(7)).
 */
#include "signals.h"

#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define END_S 5 /* for what is still to be written when kvmlens is told to end */

static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

#define COUNT(array) (sizeof array / sizeof *array)

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
    case SIGWINCH:
        signals->resized(signals->opaque);
        break;
    default:
        signals->deadly(signals->opaque, (int)info.ssi_signo);
        break;
    }
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

int signals_open(struct signals *signals, struct loop *loop, struct error *err)
{
    sigemptyset(&signals->set);
    for (size_t i = 0; i < COUNT(deadly); i++)
        add_unless_ignored(&signals->set, deadly[i]);
    add_unless_ignored(&signals->set, SIGTSTP);
    sigaddset(&signals->set, SIGCONT); /* these two only tell */
    sigaddset(&signals->set, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &signals->set, NULL);

    signals->fd = (struct loop_fd){
        .fd = signalfd(-1, &signals->set, SFD_CLOEXEC | SFD_NONBLOCK),
        .events = POLLIN,
        .ready = signal_ready,
        .opaque = signals,
    };
    if (signals->fd.fd < 0 || loop_add_fd(loop, &signals->fd) < 0)
        return error_set(err, STATUS_INTERNAL, "signalfd: %s", strerror(errno));
    return 0;
}

static void limit_end(int signal)
{
    (void)signal;
    signals_limit_end();
}

void signals_close(struct signals *signals, struct loop *loop)
{
    struct sigaction action = {.sa_handler = limit_end, .sa_flags = SA_RESTART};

    for (size_t i = 0; i < COUNT(deadly); i++)
        if (sigismember(&signals->set, deadly[i]))
            sigaction(deadly[i], &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
    loop_remove_fd(loop, &signals->fd);
    if (signals->fd.fd >= 0)
        close(signals->fd.fd);
}

static void give_up(int signal)
{
    (void)signal;
    terminal_restore();
    _exit(STATUS_SIGNAL);
}

void signals_limit_end(void)
{
    struct sigaction action = {.sa_handler = give_up};
    sigset_t set;

    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    alarm(END_S);
}
