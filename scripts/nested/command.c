/* command.c: one process (and its children), whose streams are frames on the port. */
#include "command.h"

#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    LINGER_MS = 1000, /* how long output is awaited once the command has ended */
    OPEN_FILES = 65536,
};

/* A stream of the command: its own end, and this program's. */
struct stream {
    int theirs;
    int ours;
};

/* The command, seen from here.  A descriptor is -1 where there is none. */
struct command {
    pid_t pid;
    int terminal; /* the pseudo-terminal's master */
    int input;    /* where to write its stdin; may be the terminal */
    int output;
    int errors;
    int children; /* readable when a process has ended */
    bool ended;
    int status; /* as of wait(2), once ended */
    char pending[INPUT_SIZE];
    size_t pending_size;
    bool input_ended;
};

/* Frames as they arrive: at most one is incomplete. */
struct receiver {
    char data[sizeof(struct frame) + INPUT_SIZE];
    size_t size;
};

static struct stream open_terminal(int port, const struct setup *setup)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios mode;

    if (master < 0 || unlockpt(master) != 0)
        fail(port, "cannot open a pseudo-terminal");
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcgetattr(slave, &mode) != 0)
        fail(port, "cannot open the pseudo-terminal's other end");
    mode.c_iflag |= IUTF8;
    (void)tcsetattr(slave, TCSANOW, &mode);
    (void)ioctl(master, TIOCSWINSZ, &setup->window);
    (void)fchown(slave, setup->uid, (gid_t)-1);
    return (struct stream){.theirs = slave, .ours = master};
}

static struct stream open_pipe(int port, bool to_command)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        fail(port, "cannot make a pipe");
    struct stream stream = {.theirs = ends[!to_command], .ours = ends[to_command]};
    (void)fcntl(stream.ours, F_SETFL, O_NONBLOCK);
    return stream;
}

/* In the child: becomes the command.  Returns only if that failed. */
static void execute(const struct setup *setup, const struct stream streams[3])
{
    struct rlimit files = {.rlim_cur = 1024, .rlim_max = OPEN_FILES};
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)setsid();
    for (int i = 0; i < 3; i++) {
        if (setup->terminals & 1U << i)
            (void)ioctl(streams[i].theirs, TIOCSCTTY, 0);
        if (dup2(streams[i].theirs, i) < 0)
            return;
    }
    if (setgroups(setup->group_count, setup->groups) != 0 || setgid(setup->gid) != 0 ||
        setuid(setup->uid) != 0 || chdir(setup->folder) != 0)
        return;
    environ = setup->environment;
    (void)execvp(setup->arguments[0], setup->arguments);
}

/* A pipe tells a failed exec from a program that ended: a successful one closes it. */
static pid_t spawn(int port, const struct setup *setup, const struct stream streams[3])
{
    int report[2], cause = 0;

    if (pipe2(report, O_CLOEXEC) != 0)
        fail(port, "cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail(port, "cannot fork");
    if (pid == 0) {
        execute(setup, streams);
        write_all(report[1], &errno, sizeof(errno));
        _exit(127);
    }
    (void)close(report[1]);
    if (read(report[0], &cause, sizeof(cause)) == sizeof(cause)) {
        send_number(port, FRAME_NO_EXEC, (uint32_t)cause);
        (void)pause(); /* The host ends the machine. */
    }
    (void)close(report[0]);
    return pid;
}

static void start(int port, const struct setup *setup, struct command *command)
{
    struct stream streams[3], terminal = {.theirs = -1, .ours = -1};
    sigset_t ended;

    (void)sigemptyset(&ended);
    (void)sigaddset(&ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ended, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    command->children = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
    if (setup->terminals)
        terminal = open_terminal(port, setup);
    for (int i = 0; i < 3; i++)
        streams[i] = setup->terminals & 1U << i ? terminal : open_pipe(port, i == 0);
    command->terminal = terminal.ours;
    command->input = streams[0].ours;
    command->output = streams[1].ours == terminal.ours ? -1 : streams[1].ours;
    command->errors = streams[2].ours == terminal.ours ? -1 : streams[2].ours;
    command->pid = spawn(port, setup, streams);
    for (int i = 0; i < 3; i++) {
        if (streams[i].theirs != terminal.theirs)
            (void)close(streams[i].theirs);
    }
    if (terminal.theirs >= 0)
        (void)close(terminal.theirs);
}

static void close_input(struct command *command)
{
    if (command->input == command->terminal)
        write_all(command->terminal, "\4", 1); /* VEOF: what a terminal has for an end */
    else
        (void)close(command->input);
    command->input = -1;
}

/* Hands on what came for stdin, as much as goes without waiting. */
static void write_input(int port, struct command *command)
{
    size_t used = command->pending_size;

    if (command->input >= 0 && command->pending_size > 0) {
        ssize_t done = write(command->input, command->pending, command->pending_size);

        if (done < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (done < 0) /* Nobody reads it any more: what comes is thrown away. */
            close_input(command);
        else
            used = (size_t)done;
    }
    if (used > 0) {
        memmove(command->pending, command->pending + used, command->pending_size - used);
        command->pending_size -= used;
        send_number(port, FRAME_CREDIT, (uint32_t)used);
    }
    if (command->input >= 0 && command->input_ended && command->pending_size == 0)
        close_input(command);
}

static void handle_frame(int port, struct command *command, struct frame frame, const void *data)
{
    uint32_t number = 0;
    pid_t group = -1;

    switch (frame.type) {
    case FRAME_INPUT:
        if (frame.length > sizeof(command->pending) - command->pending_size)
            fail(port, "the host sent more input than it was given credit for");
        memcpy(command->pending + command->pending_size, data, frame.length);
        command->pending_size += frame.length;
        command->input_ended |= frame.length == 0;
        write_input(port, command);
        break;
    case FRAME_WINDOW:
        if (frame.length == 2 * sizeof(uint16_t) && command->terminal >= 0) {
            struct winsize size = {0};

            memcpy(&size.ws_row, data, sizeof(uint16_t));
            memcpy(&size.ws_col, (const char *)data + sizeof(uint16_t), sizeof(uint16_t));
            (void)ioctl(command->terminal, TIOCSWINSZ, &size);
        }
        break;
    case FRAME_SIGNAL:
        if (frame.length == sizeof(number))
            memcpy(&number, data, sizeof(number));
        if (command->terminal >= 0)
            group = tcgetpgrp(command->terminal);
        (void)kill(-(group > 0 ? group : command->pid), (int)number);
        break;
    default:
        fail(port, "unknown frame of type %u", frame.type);
    }
}

static void receive(int port, struct receiver *receiver, struct command *command)
{
    ssize_t done =
        read(port, receiver->data + receiver->size, sizeof(receiver->data) - receiver->size);
    struct frame frame;
    size_t at = 0;

    if (done <= 0)
        return;
    receiver->size += (size_t)done;
    while (receiver->size - at >= sizeof(frame)) {
        memcpy(&frame, receiver->data + at, sizeof(frame));
        if (frame.length > INPUT_SIZE)
            fail(port, "a frame of %u bytes", frame.length);
        if (receiver->size - at - sizeof(frame) < frame.length)
            break;
        handle_frame(port, command, frame, receiver->data + at + sizeof(frame));
        at += sizeof(frame) + frame.length;
    }
    memmove(receiver->data, receiver->data + at, receiver->size - at);
    receiver->size -= at;
}

/* Sends what can be read from *FD; at its end closes it and makes it -1. */
static void pass_on(int port, int *fd, uint32_t type)
{
    char data[32768];
    ssize_t done = read(*fd, data, sizeof(data));

    if (done > 0) {
        send_frame(port, type, data, (size_t)done);
    } else if (done == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* As the first process, this one inherits all orphans, and takes note of their ends as well. */
static void reap(struct command *command)
{
    struct signalfd_siginfo discarded;
    pid_t pid;
    int status;

    (void)!read(command->children, &discarded, sizeof(discarded));
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == command->pid) {
            command->status = status;
            command->ended = true;
        }
    }
}

/* Waits for one event, TIMEOUT_MS at most (-1: for ever), and handles it. */
static void serve(int port, struct receiver *receiver, struct command *command, int timeout_ms)
{
    bool writing = command->input >= 0 && command->pending_size > 0;
    struct pollfd wait[] = {
        {.fd = command->terminal, .events = POLLIN},
        {.fd = command->output, .events = POLLIN},
        {.fd = command->errors, .events = POLLIN},
        {.fd = port, .events = POLLIN},
        {.fd = command->children, .events = POLLIN},
        {.fd = writing ? command->input : -1, .events = POLLOUT},
    };

    if (poll(wait, sizeof(wait) / sizeof(wait[0]), timeout_ms) <= 0)
        return;
    if (wait[5].revents)
        write_input(port, command);
    if (wait[3].revents)
        receive(port, receiver, command);
    if (wait[0].revents) {
        bool for_input = command->input == command->terminal;

        pass_on(port, &command->terminal, FRAME_TTY);
        if (for_input)
            command->input = command->terminal;
    }
    if (wait[1].revents)
        pass_on(port, &command->output, FRAME_OUTPUT);
    if (wait[2].revents)
        pass_on(port, &command->errors, FRAME_ERRORS);
    if (wait[4].revents)
        reap(command);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sends the rest of the output, for LINGER_MS at most. */
static void drain(int port, struct receiver *receiver, struct command *command)
{
    int64_t end = now_ms() + LINGER_MS, now;

    while ((command->terminal >= 0 || command->output >= 0 || command->errors >= 0) &&
           (now = now_ms()) < end)
        serve(port, receiver, command, (int)(end - now));
}

void run_command(int port, const struct setup *setup)
{
    struct command *command = calloc(1, sizeof(*command));
    struct receiver *receiver = calloc(1, sizeof(*receiver));

    if (!command || !receiver)
        fail(port, "no memory");
    start(port, setup, command);
    send_frame(port, FRAME_STARTED, NULL, 0);
    while (!command->ended)
        serve(port, receiver, command, -1);

    drain(port, receiver, command); /* What it left running may still write, for a while. */
    (void)kill(-1, SIGKILL);
    drain(port, receiver, command);
    sync();
    send_number(port, FRAME_STATUS, (uint32_t)command->status);
    (void)pause(); /* The host ends the machine. */
}
