/*
 * measure.c: runs commands in turns, A B C A B C ..., and prints for each the median and least
 * wall time from spawn to exit, and the peak resident memory.  Small itself, since a child's peak
 * counts from its parent's size at the fork (getrusage(2), ru_maxrss).
 *
 *   measure ROUNDS STATUS COMMAND... -- COMMAND... [-- ...]
 *
 * One line for each command: median and least in microseconds, peak in KiB.  A command that ends
 * with another exit status than STATUS is an error.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define ROUNDS_MAX   1000

struct command {
    char **argv;
    double us[ROUNDS_MAX];
    long peak_kib;
};

extern char **environ;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs it once; returns the wait status. */
static int run(struct command *command, int round, const posix_spawn_file_actions_t *quiet)
{
    struct rusage usage;
    pid_t pid;
    int status;
    double start = now_us();
    if (posix_spawnp(&pid, command->argv[0], quiet, NULL, command->argv, environ) != 0)
        return -1;
    wait4(pid, &status, 0, &usage);
    command->us[round] = now_us() - start;
    if (usage.ru_maxrss > command->peak_kib)
        command->peak_kib = usage.ru_maxrss;
    return status;
}

int main(int argc, char **argv)
{
    static struct command commands[COMMANDS_MAX];
    int count = 0, rounds = argc > 3 ? atoi(argv[1]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fputs("usage: measure ROUNDS STATUS COMMAND... [-- COMMAND...]...\n", stderr);
        return 64;
    }
    commands[count++].argv = argv + 3;
    for (int i = 3; i < argc && count < COMMANDS_MAX; i++)
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            commands[count++].argv = argv + i + 1;
        }
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            int status = run(&commands[i], round, &quiet);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != atoi(argv[2])) {
                fprintf(stderr, "measure: %s: wait status %#x\n", commands[i].argv[0],
                        (unsigned)status);
                return 70;
            }
        }
    for (int i = 0; i < count; i++) {
        qsort(commands[i].us, (size_t)rounds, sizeof(double), ascending);
        printf("%.1f %.1f %ld\n", commands[i].us[rounds / 2], commands[i].us[0],
               commands[i].peak_kib);
    }
    return 0;
}
