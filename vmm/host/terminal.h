/*
 * terminal.h: the user's terminal: raw while a guest runs, and as it was afterwards, whatever
 * happens (termios(3)).
 */
#ifndef KVMLENS_TERMINAL_H
#define KVMLENS_TERMINAL_H

#include <stdbool.h>

/* Makes sure that descriptors 0, 1 and 2 are open (to /dev/null where they are not), so that no
 * file opened later becomes the standard output by accident. Before anything else is opened. */
void terminal_reserve_stdio(void);

/* Puts stdin in raw mode, if it is a terminal and this process is in its foreground; else does
 * nothing. KEEP_SIGNALS: Ctrl-C and Ctrl-Z still send signals. The old state is kept, and
 * restored also when kvmlens dies of a fatal signal. May be called again (after a stop). */
void terminal_raw(bool keep_signals);

/* Puts the terminal back as it was before the first terminal_raw(). Harmless at any time. */
void terminal_restore(void);

#endif
