/*
 * command.h: a command line as one string.
 */
#ifndef KVMLENS_COMMAND_H
#define KVMLENS_COMMAND_H

/* ARGV's words with blanks between them, quoted so that a shell reads the same words back
 * (POSIX.1-2017, Shell Command Language, 2.2.2). The caller frees it; NULL: out of memory. */
char *command_join(int argc, char *const *argv);

#endif
