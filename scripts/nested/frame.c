/* frame.c: sends and receives what frame.h describes. */
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void write_all(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t done = write(fd, at, size);

        if (done < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};

            (void)poll(&wait, 1, -1);
        } else if (done < 0 && errno != EINTR) {
            return; /* The host is gone, and ends this machine. */
        } else if (done > 0) {
            at += done;
            size -= (size_t)done;
        }
    }
}

void send_frame(int port, uint32_t type, const void *data, size_t size)
{
    struct frame frame = {.type = type, .length = (uint32_t)size};

    write_all(port, &frame, sizeof(frame));
    write_all(port, data, size);
}

void send_number(int port, uint32_t type, uint32_t number)
{
    send_frame(port, type, &number, sizeof(number));
}

void fail(int port, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int cause = errno;

    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size > 0 && (size_t)size < sizeof(text) && cause != 0)
        (void)snprintf(text + size, sizeof(text) - (size_t)size, ": %s", strerror(cause));
    (void)fprintf(stderr, "init: %s\n", text);
    if (port >= 0) {
        send_frame(port, FRAME_TROUBLE, text, strlen(text));
        (void)pause(); /* The host ends the machine once it has read the frame. */
    }
    exit(1); /* The kernel panics, and QEMU ends with it. */
}

void read_all(int port, void *data, size_t size)
{
    char *at = data;

    while (size > 0) {
        ssize_t done = read(port, at, size);

        if (done > 0) {
            at += done;
            size -= (size_t)done;
        } else if (done < 0 && errno != EAGAIN && errno != EINTR) {
            fail(-1, "cannot read the port");
        } else {
            struct pollfd wait = {.fd = port, .events = POLLIN};

            /* Before the host is connected, a read returns 0 and poll() a hang-up at once. */
            if (poll(&wait, 1, -1) == 1 && (wait.revents & POLLHUP))
                (void)usleep(10000);
        }
    }
}
