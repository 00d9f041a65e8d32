#ifndef NESTED_COMMAND_H
#define NESTED_COMMAND_H

/* command.h: runs the host's command, with its input and output on the port. */
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* What the host wants to be run. */
struct setup {
    uid_t uid;
    gid_t gid;
    gid_t groups[256];
    size_t group_count;
    unsigned terminals; /* bit N: stream N is a terminal */
    struct winsize window;
    const char *folder;
    char **arguments; /* ends with NULL */
    char **environment;
};

/* Runs the command to its end, which is the last thing the host is told. */
void run_command(int port, const struct setup *setup);

#endif
