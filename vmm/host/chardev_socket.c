/*
 * chardev_socket.c: a character device that is a UNIX stream socket (unix(7)): kvmlens makes it, and
 * others connect, one at a time.
 */
#include "chardev_internal.h"

#include "../log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_NS 200000000ull
#define DEAF_NS  200000000ull /* without taking anything of what a client has left */

/* Another client has come; the one before it has left, and the guest did not take all it sent. */
static void cut_off(struct chardev *dev)
{
    int left = 0;

    if (!dev->cut_off && ioctl(dev->in.fd, FIONREAD, &left) == 0 && left > 0) {
        dev->cut_off = true;
        log_say("%s: the guest does not read; the end of what a client sent is dropped, as the "
                "next has come",
                LABEL(dev));
    }
    chardev_socket_disconnect(dev);
}

/* The listener may be non-blocking: -1 with EAGAIN when the one who came is gone again. */
static int take_client(struct chardev *dev)
{
    int fd;

    do
        fd = accept4(dev->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0)
        return -1;
    if (dev->in.fd >= 0)
        cut_off(dev);
    dev->in.fd = dev->out.fd = fd;
    dev->input_ended = dev->output_ended = dev->refusing = false;
    return 0;
}

static void listen_again(void *opaque)
{
    struct chardev *dev = opaque;

    loop_want(dev->loop, &dev->listener, POLLIN);
    if (dev->in.fd >= 0) { /* a client that has left: what it sent stays until another comes */
        dev->deaf = true;
        chardev_set_open(dev, false);
    }
}

/* Too many descriptors, or no memory: that passes. */
static void refuse_for_now(struct chardev *dev, int error)
{
    if (!dev->refusing)
        log_say("%s: nobody can connect for now: %s", LABEL(dev), strerror(error));
    dev->refusing = true;
    loop_want(dev->loop, &dev->listener, 0);
    loop_arm(dev->loop, &dev->retry, loop_now() + RETRY_NS);
}

static void client_ready(void *opaque, short revents)
{
    struct chardev *dev = opaque;

    (void)revents;
    if (take_client(dev) < 0) {
        if (errno != EAGAIN)
            refuse_for_now(dev, errno);
        return;
    }
    loop_want(dev->loop, &dev->listener, 0); /* the next one waits until this one leaves */
    loop_want(dev->loop, &dev->in, POLLIN);
    chardev_set_open(dev, true);
}

void chardev_socket_left(struct chardev *dev)
{
    loop_want(dev->loop, &dev->in, 0); /* a hang-up is reported for ever */
    if (dev->listener.events != 0 || dev->retry.deadline != 0)
        return;
    if (dev->deaf)
        listen_again(dev);
    else
        loop_arm(dev->loop, &dev->retry, loop_now() + DEAF_NS);
}

void chardev_socket_heard(struct chardev *dev)
{
    dev->deaf = false;
    loop_arm(dev->loop, &dev->retry, 0);
}

void chardev_socket_disconnect(struct chardev *dev)
{
    loop_arm(dev->loop, &dev->retry, 0);
    loop_want(dev->loop, &dev->in, 0);
    loop_want(dev->loop, &dev->out, 0);
    close(dev->in.fd);
    dev->in.fd = dev->out.fd = -1;
    loop_want(dev->loop, &dev->listener, POLLIN);
    chardev_set_open(dev, false);
    chardev_resume_output(dev); /* what waited for the one who left is dropped */
}

/* Is ADDRESS the socket of a program that has ended without removing it? */
static bool is_dead(const struct sockaddr_un *address)
{
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead = fd >= 0 && lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
                connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
                errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return dead;
}

static int bind_to_path(struct chardev *dev, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *generic = (const struct sockaddr *)&address;
    int fd = dev->listener.fd;
    struct stat st;

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, STATUS_USAGE, "%s: the path has %zu bytes, a socket's at most %zu",
                         LABEL(dev), strlen(path), sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);

    int r = bind(fd, generic, sizeof address);

    if (r < 0 && errno == EADDRINUSE && is_dead(&address) && unlink(path) == 0)
        r = bind(fd, generic, sizeof address);
    if (r < 0 && errno == EADDRINUSE)
        return error_set(err, STATUS_USAGE,
                         "%s: the path exists already, and it is no socket that a program has left "
                         "behind; choose another, or end whoever uses it",
                         LABEL(dev));
    if (r < 0 || lstat(path, &st) < 0 || listen(fd, 1) < 0)
        return error_set(err, STATUS_USAGE, "%s: %s", LABEL(dev), strerror(errno));
    dev->socket_dev = st.st_dev;
    dev->socket_ino = st.st_ino;
    return 0;
}

int chardev_socket_open(struct chardev *dev, struct error *err)
{
    dev->name = dev->option.path;
    dev->open = false;
    dev->retry.fire = listen_again;
    dev->listener = (struct loop_fd){
        .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        .events = POLLIN,
        .ready = client_ready,
        .opaque = dev,
    };
    if (dev->listener.fd < 0)
        return error_set(err, STATUS_INTERNAL, "%s: %s", LABEL(dev), strerror(errno));
    if (bind_to_path(dev, dev->option.path, err) < 0)
        return -1;
    if (dev->option.wait) {
        log_say("%s: waiting for somebody to connect (wait=off: do not wait)", LABEL(dev));
        if (take_client(dev) < 0)
            return error_set(err, STATUS_INTERNAL, "%s: %s", LABEL(dev), strerror(errno));
        dev->open = true;
        dev->in.events = POLLIN;
        dev->listener.events = 0;
    }
    fcntl(dev->listener.fd, F_SETFL, O_NONBLOCK);
    return 0;
}

void chardev_socket_close(struct chardev *dev)
{
    struct stat st;

    loop_remove_fd(dev->loop, &dev->listener);
    if (dev->listener.fd >= 0)
        close(dev->listener.fd);
    /* Only what chardev_socket_open() made: somebody else may have put another there. */
    if (dev->socket_ino != 0 && lstat(dev->option.path, &st) == 0 && st.st_dev == dev->socket_dev &&
        st.st_ino == dev->socket_ino)
        unlink(dev->option.path);
}
