/*
 * signals.h: the signals that end, stop and continue kvmlens, as events of the loop (signalfd(2)).
 */
#ifndef KVMLENS_SIGNALS_H
#define KVMLENS_SIGNALS_H

#include "../error.h"
#include "loop.h"

struct signals {
    struct loop_fd fd;
    void (*deadly)(void *opaque, int signal); /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
    void (*stopping)(void *opaque);           /* SIGTSTP, before kvmlens stops itself */
    void (*continued)(void *opaque);          /* SIGCONT */
    void *opaque;
};

/* Blocks the signals in this thread (and those that it starts later), ignores SIGPIPE, and tells
 * SIGNALS's functions, set by the caller, through LOOP. A SIGINT, SIGHUP or SIGQUIT that is ignored
 * (nohup, a background job) stays ignored. 0, or -1 with *err. */
int signals_open(struct signals *signals, struct loop *loop, struct error *err);
void signals_close(struct signals *signals, struct loop *loop);

#endif
