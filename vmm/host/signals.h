/*
 * signals.h: the signals that end, stop and continue kvmlens, as events of the loop (signalfd(2)).
 */
#ifndef KVMLENS_SIGNALS_H
#define KVMLENS_SIGNALS_H

#include "../error.h"
#include "loop.h"

#include <signal.h>

struct signals {
    struct loop_fd fd;
    sigset_t set;                             /* those that fd tells of */
    void (*deadly)(void *opaque, int signal); /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
    void (*stopping)(void *opaque);           /* SIGTSTP, before kvmlens stops itself */
    void (*continued)(void *opaque);          /* SIGCONT */
    void (*resized)(void *opaque);            /* SIGWINCH: the terminal has another size */
    void *opaque;
};

/* Makes a vanished reader (SIGPIPE) and a limit on file sizes (SIGXFSZ) errors of write(2), not
 * deaths. Before anything is written. */
void signals_let_writes_fail(void);

/* Blocks the signals in this thread (and those that it starts later), and tells SIGNALS's
 * functions, set by the caller, through LOOP. A signal that is ignored (nohup, a background job)
 * stays ignored. 0, or -1 with *err. */
int signals_open(struct signals *signals, struct loop *loop, struct error *err);

/* From here on a signal that ends kvmlens does what signals_limit_end() does. */
void signals_close(struct signals *signals, struct loop *loop);

/* kvmlens is to end: what it still has to write may hold it up for 5 seconds at the most (a pipe
 * may have no reader); then it exits with STATUS_SIGNAL, the terminal restored. */
void signals_limit_end(void);

#endif
