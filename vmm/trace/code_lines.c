/*
 * code_lines.c: the process that reads a guest's DWARF, and what is believed of its answers (see
 * code_lines.h; seccomp(2)).
 */
#include "code_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS  10000 /* the first answer may need all of a big kernel's DWARF */
#define MEMORY_BYTES (4ull << 30)
#define ELF_FD       3 /* in the child */
#define SOCKET_FD    4

struct code_lines {
    int socket;
    pid_t child;
};

struct answer {
    uint32_t line; /* 0: not known */
    char file[CODE_FILE_MAX];
};

/* --- the child ---------------------------------------------------------------------------------- */

static bool limit_calls(void)
{
    /* What libelf, malloc() and serve() need; all else fails. (libdw looks for further files.) */
#define ALLOW(number)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                           \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_recvfrom),
        ALLOW(SYS_sendto),
        ALLOW(SYS_pread64),
        ALLOW(SYS_fstat),
        ALLOW(SYS_newfstatat),
        ALLOW(SYS_fcntl),
        ALLOW(SYS_brk),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_madvise),
        ALLOW(SYS_futex),
        ALLOW(SYS_getrandom),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
#undef ALLOW
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* Leaves of the parent's files the two that are wanted, as ELF_FD and SOCKET_FD. */
static bool keep_files(int elf, int socket)
{
    /* Above both places first, for one may be the other's. */
    int high_elf = fcntl(elf, F_DUPFD, SOCKET_FD + 1);
    int high_socket = fcntl(socket, F_DUPFD, SOCKET_FD + 1);

    return high_elf >= 0 && high_socket >= 0 && dup2(high_elf, ELF_FD) >= 0 &&
           dup2(high_socket, SOCKET_FD) >= 0 && close_range(0, ELF_FD - 1, 0) == 0 &&
           close_range(SOCKET_FD + 1, ~0u, 0) == 0;
}

/* So much more than there is now: a sanitizer's shadow is far bigger than any limit. */
static bool limit_memory(void)
{
    const struct rlimit none = {0, 0};
    FILE *statm = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    bool found = statm && fscanf(statm, "%lu", &pages) == 1;

    if (statm)
        fclose(statm);
    rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_BYTES;
    return found && setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == 0 &&
           setrlimit(RLIMIT_CORE, &none) == 0;
}

/* Answers until the parent is gone. */
static void serve(void)
{
    struct code_dwarf *dwarf = code_dwarf_open(ELF_FD);
    uint64_t addr;

    while (recv(SOCKET_FD, &addr, sizeof(addr), 0) == sizeof(addr)) {
        struct answer answer = {.line = 0};
        if (!code_dwarf_find(dwarf, addr, answer.file, &answer.line))
            answer.line = 0;
        if (send(SOCKET_FD, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
            break;
    }
}

static void run_child(int elf, int socket)
{
    if (keep_files(elf, socket) && limit_memory() && limit_calls())
        serve();
    _exit(0);
}

/* --- the parent --------------------------------------------------------------------------------- */

struct code_lines *code_lines_open(int fd)
{
    struct code_lines *lines = calloc(1, sizeof(*lines));
    sigset_t all, old;
    int pair[2];

    if (!lines || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        free(lines);
        return NULL;
    }
    /* The end of the parent ends the child: a signal from the terminal must not come first. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    lines->child = fork();
    if (lines->child == 0)
        run_child(fd, pair[1]);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(pair[1]);
    lines->socket = pair[0];
    if (lines->child < 0) {
        close(pair[0]);
        free(lines);
        return NULL;
    }
    return lines;
}

static void end_child(struct code_lines *lines)
{
    if (lines->child < 0)
        return;
    close(lines->socket);
    kill(lines->child, SIGKILL);
    while (waitpid(lines->child, NULL, 0) < 0 && errno == EINTR)
        ;
    lines->child = -1;
}

void code_lines_close(struct code_lines *lines)
{
    if (!lines)
        return;
    end_child(lines);
    free(lines);
}

/* Sends ADDR and waits for the answer. False: the child is dead, or hangs. */
static bool ask(const struct code_lines *lines, uint64_t addr, struct answer *answer)
{
    struct pollfd ready = {lines->socket, POLLIN, 0};
    int polled;

    if (send(lines->socket, &addr, sizeof(addr), MSG_NOSIGNAL) != sizeof(addr))
        return false;
    do
        polled = poll(&ready, 1, PATIENCE_MS);
    while (polled < 0 && errno == EINTR);
    return polled > 0 &&
           recv(lines->socket, answer, sizeof(*answer), MSG_DONTWAIT) == sizeof(*answer);
}

bool code_lines_find(struct code_lines *lines, uint64_t addr, char file[CODE_FILE_MAX],
                     unsigned *line)
{
    struct answer answer;

    if (!lines || lines->child < 0)
        return false;
    if (!ask(lines, addr, &answer)) {
        end_child(lines);
        return false;
    }
    if (answer.line == 0)
        return false;
    answer.file[CODE_FILE_MAX - 1] = '\0';
    for (char *c = answer.file; *c != '\0'; c++) {
        if (*c < 0x20 || *c >= 0x7f)
            *c = '?';
    }
    memcpy(file, answer.file, sizeof(answer.file));
    *line = answer.line;
    return true;
}
