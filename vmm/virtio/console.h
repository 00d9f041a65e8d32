/*
 * console.h: the console device (virtio 1.2, section 5.3): ports, each a stream of bytes both ways.
 * Port 0 is a console; with F_MULTIPORT there are more, consoles or named ports for programs.
 */
#ifndef KVMLENS_CONSOLE_H
#define KVMLENS_CONSOLE_H

#include "virtio.h"

#include <virtio_console.h>

#define CONSOLE_PORTS 8 /* at most; VIRTIO_QUEUES_MAX is the limit */

/* The far end of a port. */
struct console_backend {
    /* Takes bytes; returns how many. Fewer than COUNT: console_writable() will be called. */
    size_t (*write)(void *opaque, const void *bytes, size_t count);
    void (*room)(void *opaque); /* console_room() has become more than 0 */
    void *opaque;
};

struct console_port {
    bool exists, console; /* console: for a person; else a named port, for a program */
    const char *name;     /* of a named port, or NULL */
    struct console_backend backend;
    uint16_t cols, rows; /* of the window; 0: not known */
    bool host_open;      /* somebody is at the far end; a console's is always open */
    bool guest_open;     /* a program of the guest has opened it */
    bool ready;          /* the driver knows the port */
    unsigned to_tell; /* bits 1 << VIRTIO_CONSOLE_...: messages that the driver is still to get */
    uint32_t sent;    /* bytes of the buffer at the head of the transmit queue that are out */
    bool starved;     /* the far end was told that there is no room */
};

struct console {
    struct virtio_device virtio; /* first */
    uint32_t max_ports;
    struct console_port port[CONSOLE_PORTS];
    struct virtq_chain chain; /* the buffer in hand */
    size_t turn;              /* bytes to put out before others have a turn */
};

/* Makes a device with room for MAX_PORTS (1 to CONSOLE_PORTS) and no port yet. SIZED: the window's
 * size is known. */
void console_init(struct console *console, const char *name, const struct mem *mem,
                  struct device_remark remark, uint32_t max_ports, bool sized);

/* Adds port NR, below max_ports, before the guest runs. NAME (or NULL) is borrowed. */
void console_add_port(struct console *console, unsigned nr, bool is_console, const char *name,
                      struct console_backend backend);

/* How many bytes console_receive() takes for a port now: 0 while the driver offers no buffer, or
 * nobody in the guest has opened the port. */
unsigned console_room(struct console *console, unsigned nr);

/* Bytes for the guest, no more than console_room() has just said. */
void console_receive(struct console *console, unsigned nr, const uint8_t *bytes, unsigned count);

/* The far end can take bytes again. */
void console_writable(struct console *console, unsigned nr);

/* Somebody has come to the far end of a named port, or has left. */
void console_host_open(struct console *console, unsigned nr, bool open);

/* The window of a console's far end has this many characters. */
void console_resize(struct console *console, unsigned nr, uint16_t cols, uint16_t rows);

#endif
