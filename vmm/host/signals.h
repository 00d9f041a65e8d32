/*
 * signals.h: the signals that end, stop and continue kvmlens, as events of the loop (signalfd(2)).
 */
#ifndef KVMLENS_SIGNALS_H
#define KVMLENS_SIGNALS_H

#include "../error.h"
#include "loop.h"

#include <signal.h>

struct signals {
    struct loop_fd fd, told;
    sigset_t set;                             /* those that fd tells of */
    sigset_t handled;                         /* those with a handler, which may write to told */
    void (*deadly)(void *opaque, int signal); /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
    void (*stopping)(void *opaque);           /* SIGTSTP, before kvmlens stops itself */
    void (*continued)(void *opaque);          /* SIGCONT */
    void (*resized)(void *opaque);            /* SIGWINCH: the terminal has another size */
    void *opaque;
};

/* Makes a vanished reader (SIGPIPE) and a limit on file sizes (SIGXFSZ) errors of write(2), not
 * deaths. Before anything is written. */
void signals_let_writes_fail(void);

/* Tells SIGNALS's functions, set by the caller, through LOOP; a deadly signal also does what
 * signals_limit_end() does, at once, whatever this thread is doing. A signal that is ignored (nohup,
 * a background job) stays ignored. Until signals_release() the deadly ones wait. 0, or -1 with
 * *err. */
int signals_open(struct signals *signals, struct loop *loop, struct error *err);

/* From here on a deadly signal only limits the end. */
void signals_close(struct signals *signals, struct loop *loop);

/* Threads started while the deadly ones are held never run the handlers: those are for the loop's
 * thread. */
void signals_hold(const struct signals *signals);
void signals_release(const struct signals *signals);

/* kvmlens is to end: what it still has to do may hold it up for 5 seconds at the most (a pipe may
 * have no reader, a disk may hang); then it exits with STATUS, the terminal restored. The first
 * STATUS counts. */
void signals_limit_end(enum status status);

/* In so many seconds the time limit passes, which then limits the end, with STATUS_TIMEOUT. 0: it
 * does not pass any more. */
void signals_limit_run(unsigned seconds);

#endif
