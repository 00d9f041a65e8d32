/*
 * signals.c: signals as events of the loop (signalfd(2), signal(7)).
 */
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

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
        signals->deadly(signals->opaque, (int)info.ssi_signo);
        break;
    }
}

int signals_open(struct signals *signals, struct loop *loop, struct error *err)
{
    static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT};
    struct sigaction old;
    sigset_t set;

    signal(SIGPIPE, SIG_IGN); /* a vanished reader is an errno, not a death */
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
        if (sigaction(handled[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&set, handled[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);

    signals->fd = (struct loop_fd){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
        .events = POLLIN,
        .ready = signal_ready,
        .opaque = signals,
    };
    if (signals->fd.fd < 0 || loop_add_fd(loop, &signals->fd) < 0)
        return error_set(err, STATUS_INTERNAL, "signalfd: %s", strerror(errno));
    return 0;
}

void signals_close(struct signals *signals, struct loop *loop)
{
    loop_remove_fd(loop, &signals->fd);
    if (signals->fd.fd >= 0)
        close(signals->fd.fd);
}
