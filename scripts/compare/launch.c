/*
 * launch.c: runs one command for compare-qemu, and tells what its parent alone can know.
 *
 *   launch SOCKET WATCH LIMIT_MS OUTPUT ERRORS COMMAND...
 *
 * It is a small program of its own because a child's peak memory counts from its parent's size at
 * the fork (getrusage(2), ru_maxrss).  It talks in lines over the descriptor SOCKET:
 *   "pid N"      the child is there and waits; goes on at a line from the other end
 *   "exiting N"  (WATCH is 1) the thread N ends; it stands still until a line comes back, so that
 *                all of /proc/N can be read
 *   "done KEY=VALUE..."  times are CLOCK_MONOTONIC in ns, CPU times us, memory KiB
 * The child's standard output goes through a pipe to the file OUTPUT, and the moment of its first
 * byte is kept; standard input is /dev/null.  LIMIT_MS after it may go on, its process group is killed;
 * where that was before it became the command there is no start, and no time to tell: both are 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOT_RUN 127 /* exit status of a child that could not become the command, as a shell's */

struct launch {
    int socket;
    bool watch;
    pid_t child;
    int pipe, output;
    uint64_t *start;                      /* shared with the child: the moment before execvp() */
    uint64_t first, end, limit, deadline; /* limit: ns */
    unsigned threads;                     /* started, the first one included */
    bool limited, ended;
    int status;
    struct rusage usage;
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    exit(70);
}

/* One line out, and (ANSWER) a line back. Without the other end there is nobody to measure for. */
static void tell(const struct launch *l, const char *line, bool answer)
{
    char byte = 0;

    if (write(l->socket, line, strlen(line)) < 0)
        exit(70);
    while (answer && byte != '\n')
        if (read(l->socket, &byte, 1) != 1)
            exit(70);
}

static _Noreturn void become(struct launch *l, int go, int out, int err, char **command)
{
    sigset_t none;
    char byte;
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    close(l->socket);
    if (read(go, &byte, 1) != 1)
        _exit(NOT_RUN);
    *l->start = now();
    execvp(command[0], command);
    fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
    _exit(NOT_RUN);
}

static void spawn(struct launch *l, const char *errors, char **command)
{
    int go[2], out[2];
    int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (err < 0)
        fail(errors);
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        fail("pipe");
    l->child = fork();
    if (l->child < 0)
        fail("fork");
    if (l->child == 0)
        become(l, go[0], out[1], err, command);
    setpgid(l->child, l->child); /* as it does itself: the group is there for both */
    close(out[1]);
    close(go[0]);
    l->pipe = out[0];
    if (l->watch &&
        ptrace(PTRACE_SEIZE, l->child, 0L,
               (long)(PTRACE_O_TRACEEXIT | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)) < 0)
        l->watch = false; /* not allowed here: what /proc tells at the end is not known then */

    char line[32];

    snprintf(line, sizeof(line), "pid %d\n", (int)l->child);
    tell(l, line, true);
    l->deadline = now() + l->limit;
    if (write(go[1], "g", 1) != 1)
        fail("the child");
    close(go[1]);
}

/* A thread stands still. */
static void resume(struct launch *l, pid_t thread, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    char line[32];

    switch (event) {
    case PTRACE_EVENT_EXIT:
        snprintf(line, sizeof(line), "exiting %d\n", (int)thread);
        tell(l, line, true);
        signal = 0;
        break;
    case PTRACE_EVENT_CLONE:
        l->threads++;
        signal = 0;
        break;
    case PTRACE_EVENT_STOP: /* a new thread's first, or a stop by job control */
        if (signal != SIGTRAP) {
            ptrace(PTRACE_LISTEN, thread, 0L, 0L);
            return;
        }
        signal = 0;
        break;
    default:
        break;
    }
    ptrace(PTRACE_CONT, thread, 0L, (long)signal);
}

static void take_waits(struct launch *l)
{
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
        if (WIFSTOPPED(status)) {
            resume(l, pid, status);
        } else if (pid == l->child) {
            l->end = now();
            l->ended = true;
            l->status = status;
            l->usage = usage;
        }
    }
}

/* False at the end of the output. */
static bool take_output(struct launch *l)
{
    char buffer[65536];
    ssize_t n = read(l->pipe, buffer, sizeof(buffer));

    if (n <= 0)
        return false;
    if (!l->first)
        l->first = now();
    for (ssize_t done = 0, w; done < n; done += w) {
        w = write(l->output, buffer + done, (size_t)(n - done));
        if (w < 0)
            fail("the file of the output");
    }
    return true;
}

/* Until the child has ended and its output with it. */
static void follow(struct launch *l, int signals)
{
    struct pollfd fd[2] = {{.fd = signals, .events = POLLIN}, {.fd = l->pipe, .events = POLLIN}};
    struct signalfd_siginfo info;

    take_waits(l); /* what happened before the first look */
    while (!l->ended || fd[1].fd >= 0) {
        uint64_t t = now();
        int wait_ms = t < l->deadline ? (int)((l->deadline - t) / 1000000 + 1) : 0;

        if (poll(fd, 2, wait_ms) == 0) {
            if (l->ended) /* a child of the child's keeps the pipe */
                return;
            l->limited = true;
            l->deadline += 5000000000u;
            kill(-l->child, SIGKILL);
        }
        if (fd[1].revents && !take_output(l))
            fd[1].fd = -1;
        if (fd[0].revents && read(signals, &info, sizeof(info)) > 0)
            take_waits(l);
    }
}

static void report(const struct launch *l)
{
    const struct rusage *u = &l->usage;
    char line[512];

    snprintf(line, sizeof(line),
             "done status=%d limited=%d start=%" PRIu64 " first=%" PRIu64 " end=%" PRIu64
             " user=%lld system=%lld rss=%ld threads=%u voluntary=%ld involuntary=%ld\n",
             l->status, l->limited, *l->start, l->first, *l->start ? l->end : 0,
             u->ru_utime.tv_sec * 1000000ll + u->ru_utime.tv_usec,
             u->ru_stime.tv_sec * 1000000ll + u->ru_stime.tv_usec, u->ru_maxrss, l->threads,
             u->ru_nvcsw, u->ru_nivcsw);
    tell(l, line, false);
}

int main(int argc, char **argv)
{
    sigset_t child;

    if (argc < 7) {
        fputs("usage: launch SOCKET WATCH LIMIT_MS OUTPUT ERRORS COMMAND...\n", stderr);
        return 64;
    }

    struct launch l = {
        .socket = atoi(argv[1]),
        .watch = atoi(argv[2]) != 0,
        .threads = 1,
        .limit = strtoull(argv[3], NULL, 10) * 1000000u,
        .output = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
    };

    if (l.output < 0)
        fail(argv[4]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    l.start =
        mmap(NULL, sizeof(*l.start), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (l.start == MAP_FAILED)
        fail("mmap");
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);

    int signals = signalfd(-1, &child, SFD_CLOEXEC);

    if (signals < 0)
        fail("signalfd");
    spawn(&l, argv[5], argv + 6);
    follow(&l, signals);
    report(&l);
    return 0;
}
