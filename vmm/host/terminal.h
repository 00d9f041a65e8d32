/*
 * terminal.h: the user's terminal: raw while a guest runs, and as it was afterwards, whatever
 * happens (termios(3)).
 */
#ifndef KVMLENS_TERMINAL_H
#define KVMLENS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Makes sure that descriptors 0, 1 and 2 are open (to /dev/null where they are not), so that no
 * file opened later becomes the standard output by accident. Before anything else is opened. */
void terminal_reserve_stdio(void);

/* True if stdin is a terminal that a shell has taken from this job. */
bool terminal_in_background(void);

/* Puts stdin in raw mode, if it is a terminal and this process is in its foreground; else does
 * nothing. KEEP_SIGNALS: Ctrl-C and Ctrl-Z still send signals. The old state is kept, and
 * restored also when kvmlens dies of a fatal signal. May be called again (after a stop). */
void terminal_raw(bool keep_signals);

/* Puts the terminal back as it was before the first terminal_raw(), and leaves the view. Harmless at
 * any time. */
void terminal_restore(void);

/* A view has the whole screen: the alternate one (xterm's mode 1049), so that what was there comes
 * back, without a cursor and without line wrap. FD is a terminal. KEYS, if it is not negative, is a
 * terminal open for reading, not blocking, whose keys come at once and unechoed from now on. Both are
 * borrowed until terminal_view_end(). In the background there is no view until
 * terminal_view_back() finds kvmlens in the foreground. terminal_fit_for_view(): FD is a terminal
 * that knows such things (TERM is set, and not "dumb"). */
bool terminal_fit_for_view(int fd);
void terminal_view_begin(int fd, int keys);
void terminal_view_end(void);

/* The view may come back, if terminal_restore() has left it: after a stop. */
void terminal_view_again(void);

/* Brings the view back, if it may, once kvmlens is in the foreground: to be asked now and then, as a
 * shell tells nothing to a job that runs already. True if it has just come. From the thread that
 * draws. */
bool terminal_view_back(void);

/* Writes LEN bytes of TEXT, unless the view has been left. 0, or -errno. From one thread. */
int terminal_view_draw(const char *text, size_t len);

/* The next key that was pressed, or -1. */
int terminal_view_key(void);

#endif
