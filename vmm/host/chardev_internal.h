/*
 * chardev_internal.h: what the files of the character devices share.
 */
#ifndef KVMLENS_CHARDEV_INTERNAL_H
#define KVMLENS_CHARDEV_INTERNAL_H

#include "chardev.h"

/* A text that names DEV's option as it was typed, for messages. */
struct chardev_label {
    char text[200];
};
const char *chardev_label(const struct chardev *dev, struct chardev_label *label);

/* chardev_label() for use within one expression. */
#define LABEL(dev) chardev_label(dev, &(struct chardev_label){{0}})

/* Tells the peer that somebody is at the far side now, or nobody. */
void chardev_set_open(struct chardev *dev, bool open);

/* The peer may go on sending. */
void chardev_resume_output(struct chardev *dev);

/* Makes the socket; with wait=on, until somebody connects. -1 with *err. */
int chardev_socket_open(struct chardev *dev, struct error *err);

/* The client has left, and the guest has no room for what it has sent: the next one may come soon. */
void chardev_socket_left(struct chardev *dev);

/* The guest has taken something, so that there is room for more. */
void chardev_socket_heard(struct chardev *dev);

/* Whoever was connected is gone, or is sent away. The next one may come. */
void chardev_socket_disconnect(struct chardev *dev);

/* Closes the socket and removes its file. */
void chardev_socket_close(struct chardev *dev);

/* The pty's timer: is anybody there? */
void chardev_look_at_pty(void *dev);

/* The callbacks of dev->in and dev->out. */
void chardev_input_ready(void *dev, short revents);
void chardev_output_ready(void *dev, short revents);

#endif
