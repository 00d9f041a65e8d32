/*
 * log.h: messages of the program itself, to stderr.  Devices and low layers do not call it.
 */
#ifndef KVMLENS_LOG_H
#define KVMLENS_LOG_H

#include <stdbool.h>
#include <stdio.h>

/* The guest's name (-name), shown in every message from now on; borrowed. Before any thread. */
void log_set_name(const char *name);

/* Prints "kvmlens: TEXT\n", or "kvmlens NAME: TEXT\n", to stderr in one write
 * (printf format). Safe from any thread. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes what stdout still holds; false, with a message, if any of it cannot be written. A full disk
 * shows only here, and must not look like success in a script. */
bool log_flush_stdout(void);

/* True if STREAM deserves colour: a terminal, TERM set and not "dumb", NO_COLOR unset or empty
 * (https://no-color.org). */
bool log_colour(FILE *stream);

#endif
