/*
 * console.c: the console device (virtio 1.2, section 5.3).
 *
 *   queue       port 0: 0 receive, 1 transmit       port N: 2N + 2 receive, 2N + 3 transmit
 *   2, 3        control messages, to and from the driver
 *
 * What the driver is to be told is kept as bits of each port, not as a list of messages: it has a
 * bound, and a state that changes while the driver has no buffer is told once, as it is then.
 */
#include "console.h"

#include <stddef.h>
#include <string.h>

static const char *const event_names[] = {
    [VIRTIO_CONSOLE_DEVICE_READY] = "port %llu: the driver says DEVICE_READY %llu",
    [VIRTIO_CONSOLE_DEVICE_ADD] = "port %llu: DEVICE_ADD is not the driver's to say",
    [VIRTIO_CONSOLE_DEVICE_REMOVE] = "port %llu: DEVICE_REMOVE is not the driver's to say",
    [VIRTIO_CONSOLE_PORT_READY] = "port %llu: the driver says PORT_READY %llu",
    [VIRTIO_CONSOLE_CONSOLE_PORT] = "port %llu: CONSOLE_PORT is not the driver's to say",
    [VIRTIO_CONSOLE_RESIZE] = "port %llu: RESIZE is not the driver's to say",
    [VIRTIO_CONSOLE_PORT_OPEN] = "port %llu: the driver says PORT_OPEN %llu",
    [VIRTIO_CONSOLE_PORT_NAME] = "port %llu: PORT_NAME is not the driver's to say",
};

/* A buffer may have 4 GiB, and a terminal takes one byte at a time. */
#define OUTPUT_TURN 4096

#define TELL(event) (1u << VIRTIO_CONSOLE_##event)

static struct console *console_of(struct virtio_device *dev)
{
    return (struct console *)dev; /* its first member */
}

static bool is_control(unsigned queue)
{
    return queue == VIRTIO_CONSOLE_CONTROL_RX || queue == VIRTIO_CONSOLE_CONTROL_TX;
}

/* The port of a queue that is no control queue. */
static unsigned port_of(unsigned queue)
{
    return queue < VIRTIO_CONSOLE_CONTROL_RX ? 0 : queue / 2 - 1;
}

static bool multiport(const struct console *c)
{
    return virtio_has(&c->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* --- from the guest ----------------------------------------------------------------------------- */

/* Puts out one buffer; false: the far end takes no more for now, or others have a turn. */
static bool take_output(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    unsigned nr = port_of(queue);
    struct console *c = console_of(dev);
    struct console_port *port = &c->port[nr];
    uint32_t skip = port->sent;

    /* Nobody there: it goes nowhere, as on a serial line. */
    for (unsigned i = 0; i < chain->readable && port->exists && port->host_open; i++) {
        const struct iovec *part = &chain->iov[i];

        if (skip >= part->iov_len) {
            skip -= (uint32_t)part->iov_len;
            continue;
        }

        size_t left = part->iov_len - skip, count = left < c->turn ? left : c->turn;
        size_t taken = port->backend.write(port->backend.opaque,
                                           (const uint8_t *)part->iov_base + skip, count);

        port->sent += (uint32_t)taken;
        c->turn -= taken;
        if (taken < count) {
            virtio_remark(dev, "port %llu: the far end takes no more for now", nr, 0, 0);
            return false;
        }
        if (count < left) {
            virtio_leave_for_later(dev, queue);
            return false;
        }
        skip = 0;
    }
    virtio_remark(dev, "port %llu: %llu bytes from the guest", nr, chain->readable_bytes, 0);
    port->sent = 0;
    virtio_push(dev, queue, chain->head, 0);
    return true;
}

static void run_output(struct console *c, unsigned nr)
{
    c->turn = c->virtio.later.again ? OUTPUT_TURN : SIZE_MAX;
    virtio_run_queue(&c->virtio, VIRTIO_CONSOLE_PORT_TX(nr), &c->chain, take_output);
}

void console_writable(struct console *c, unsigned nr)
{
    run_output(c, nr);
}

/* --- to the guest ------------------------------------------------------------------------------- */

/* The next buffer of a receive queue, in c->chain. */
static bool pop_input(struct console *c, unsigned queue)
{
    while (virtio_live(&c->virtio, queue)) {
        if (virtio_pop(&c->virtio, queue, &c->chain) > 0) {
            if (c->chain.writable_bytes > 0)
                return true;
            virtio_broken(&c->virtio, "queue %llu: a buffer to receive into has no room", queue, 0);
        } else if (!virtio_live(&c->virtio, queue) ||
                   !virtq_set_kicks(&c->virtio.queue[queue], true)) {
            return false;
        }
    }
    return false;
}

unsigned console_room(struct console *c, unsigned nr)
{
    struct console_port *port = &c->port[nr];
    unsigned queue = VIRTIO_CONSOLE_PORT_RX(nr);

    port->starved = true;
    if ((multiport(c) && !port->guest_open) || !pop_input(c, queue))
        return 0;
    virtq_unpop(&c->virtio.queue[queue], 1);
    port->starved = false;
    return c->chain.writable_bytes;
}

void console_receive(struct console *c, unsigned nr, const uint8_t *bytes, unsigned count)
{
    unsigned queue = VIRTIO_CONSOLE_PORT_RX(nr);

    /* More than one buffer only if the guest has made the first one shorter meanwhile. */
    while (count > 0 && pop_input(c, queue)) {
        uint32_t n = virtq_write(&c->chain, 0, bytes, count);

        virtio_remark(&c->virtio, "port %llu: %llu bytes to the guest", nr, n, 0);
        virtio_push(&c->virtio, queue, c->chain.head, n);
        bytes += n;
        count -= n;
    }
}

static void offer_room(struct console_port *port)
{
    if (port->exists && port->starved)
        port->backend.room(port->backend.opaque);
}

/* --- control messages, to the driver ------------------------------------------------------------ */

/* Fills the buffer in c->chain; the bytes written. */
static uint32_t write_message(struct console *c, unsigned nr, uint16_t event)
{
    const struct console_port *port = &c->port[nr];
    struct virtio_console_control message = {.id = nr, .event = event, .value = 1};
    struct virtio_console_resize size = {port->cols, port->rows};
    uint32_t n;

    if (event == VIRTIO_CONSOLE_PORT_OPEN)
        message.value = port->host_open;
    n = virtq_write(&c->chain, 0, &message, sizeof message);
    if (event == VIRTIO_CONSOLE_RESIZE)
        n += virtq_write(&c->chain, n, &size, sizeof size);
    if (event == VIRTIO_CONSOLE_PORT_NAME)
        n += virtq_write(&c->chain, n, port->name, (uint32_t)strlen(port->name));
    return n;
}

/* What is due of a port, the first message first; what waits for PORT_READY is left out. */
static bool next_message(const struct console_port *port, uint16_t *event)
{
    static const uint16_t order[] = {VIRTIO_CONSOLE_DEVICE_ADD, VIRTIO_CONSOLE_CONSOLE_PORT,
                                     VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_PORT_OPEN,
                                     VIRTIO_CONSOLE_RESIZE};

    for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
        if ((port->to_tell & 1u << order[i]) &&
            (port->ready || order[i] == VIRTIO_CONSOLE_DEVICE_ADD)) {
            *event = order[i];
            return true;
        }
    return false;
}

static void tell(struct console *c)
{
    uint16_t event;

    for (unsigned nr = 0; nr < c->max_ports; nr++)
        while (multiport(c) && next_message(&c->port[nr], &event)) {
            if (!pop_input(c, VIRTIO_CONSOLE_CONTROL_RX))
                return;
            c->port[nr].to_tell &= ~(1u << event);
            virtio_push(&c->virtio, VIRTIO_CONSOLE_CONTROL_RX, c->chain.head,
                        write_message(c, nr, event));
        }
}

void console_host_open(struct console *c, unsigned nr, bool open)
{
    struct console_port *port = &c->port[nr];

    if (port->console || port->host_open == open)
        return;
    port->host_open = open;
    port->to_tell |= TELL(PORT_OPEN);
    virtio_remark(&c->virtio,
                  open ? "port %llu: somebody is at the far end"
                       : "port %llu: nobody is at the far end any more",
                  nr, 0, 0);
    tell(c);
    if (!open)
        run_output(c, nr); /* nobody waits for it any more */
}

void console_resize(struct console *c, unsigned nr, uint16_t cols, uint16_t rows)
{
    struct console_port *port = &c->port[nr];

    if (port->cols == cols && port->rows == rows)
        return;
    port->cols = cols;
    port->rows = rows;
    if (!virtio_has(&c->virtio, VIRTIO_CONSOLE_F_SIZE))
        return;
    virtio_remark(&c->virtio, "port %llu: the window has %llu columns and %llu rows", nr, cols,
                  rows);
    if (nr == 0)
        virtio_config_changed(&c->virtio);
    port->to_tell |= TELL(RESIZE);
    tell(c);
}

/* --- control messages, from the driver ---------------------------------------------------------- */

static void device_ready(struct console *c)
{
    for (unsigned nr = 0; nr < c->max_ports; nr++) {
        c->port[nr].ready = c->port[nr].guest_open = false;
        c->port[nr].to_tell = c->port[nr].exists ? TELL(DEVICE_ADD) : 0;
    }
}

static void port_ready(struct console *c, struct console_port *port, bool ready)
{
    port->ready = ready;
    if (!ready)
        return;
    if (port->console)
        port->to_tell |= TELL(CONSOLE_PORT);
    if (port->name)
        port->to_tell |= TELL(PORT_NAME);
    if (port->host_open)
        port->to_tell |= TELL(PORT_OPEN);
    if (port->cols > 0 && virtio_has(&c->virtio, VIRTIO_CONSOLE_F_SIZE))
        port->to_tell |= TELL(RESIZE);
}

static bool take_control(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct console *c = console_of(dev);
    struct virtio_console_control message;
    uint32_t n = virtq_read(chain, 0, &message, sizeof message);

    virtio_push(dev, queue, chain->head, 0);
    if (n < sizeof message) {
        virtio_remark(dev, "a control message of %llu bytes: too short", n, 0, 0);
        return true;
    }
    virtio_remark(dev,
                  message.event < sizeof event_names / sizeof *event_names
                      ? event_names[message.event]
                      : "port %llu: a control message with value %llu of unknown kind %llu",
                  message.id, message.value, message.event);
    if (message.event == VIRTIO_CONSOLE_DEVICE_READY) {
        if (message.value)
            device_ready(c);
        return true;
    }
    if (message.id >= c->max_ports || !c->port[message.id].exists) {
        virtio_remark(dev, "there is no port %llu", message.id, 0, 0);
        return true;
    }

    struct console_port *port = &c->port[message.id];

    if (message.event == VIRTIO_CONSOLE_PORT_READY)
        port_ready(c, port, message.value);
    else if (message.event == VIRTIO_CONSOLE_PORT_OPEN)
        port->guest_open = message.value;
    return true;
}

/* The buffers are in c->chain while they are taken, so what they lead to comes afterwards. */
static void run_control(struct console *c)
{
    virtio_run_queue(&c->virtio, VIRTIO_CONSOLE_CONTROL_TX, &c->chain, take_control);
    tell(c);
    for (unsigned nr = 0; nr < c->max_ports; nr++)
        if (c->port[nr].guest_open)
            offer_room(&c->port[nr]);
}

/* --- the device --------------------------------------------------------------------------------- */

static struct virtio_console_config config_of(const struct console *c)
{
    return (struct virtio_console_config){
        .cols = c->port[0].cols, .rows = c->port[0].rows, .max_nr_ports = c->max_ports};
}

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    struct virtio_console_config config = config_of(console_of(dev));
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)&config + offset, size);
    return value;
}

static void config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value)
{
    struct console *c = console_of(dev);
    const uint8_t byte = (uint8_t)value;

    if (offset != offsetof(struct virtio_console_config, emerg_wr)) {
        virtio_remark(dev, "config offset %llu (%llu bytes) is read-only", offset, size, 0);
        return;
    }
    for (unsigned nr = 0; nr < c->max_ports; nr++)
        if (c->port[nr].exists && c->port[nr].console) {
            c->port[nr].backend.write(c->port[nr].backend.opaque, &byte, 1);
            return;
        }
}

static const char *config_name(const struct virtio_device *dev, uint32_t offset)
{
    static const char *const halves[] = {"cols",         "rows",     "max_nr_ports",
                                         "max_nr_ports", "emerg_wr", "emerg_wr"};

    (void)dev;
    return offset / 2 < sizeof halves / sizeof *halves ? halves[offset / 2] : NULL;
}

static void console_kick(struct virtio_device *dev, unsigned queue)
{
    struct console *c = console_of(dev);

    if (queue == VIRTIO_CONSOLE_CONTROL_RX)
        tell(c);
    else if (queue == VIRTIO_CONSOLE_CONTROL_TX)
        run_control(c);
    else if (queue & 1)
        run_output(c, port_of(queue));
    else
        offer_room(&c->port[port_of(queue)]);
}

static void console_start(struct virtio_device *dev)
{
    for (unsigned queue = 0; queue < dev->queue_count; queue++)
        if (virtio_live(dev, queue))
            console_kick(dev, queue);
}

static void console_stop_queue(struct virtio_device *dev, unsigned queue)
{
    struct console_port *port = &console_of(dev)->port[port_of(queue)];

    if (!is_control(queue) && (queue & 1))
        port->sent = 0;
    else if (!is_control(queue))
        port->starved = true;
}

static void console_reset(struct virtio_device *dev)
{
    for (unsigned nr = 0; nr < CONSOLE_PORTS; nr++) {
        struct console_port *port = &console_of(dev)->port[nr];

        port->guest_open = port->ready = false;
        port->to_tell = port->sent = 0;
        port->starved = true;
    }
}

static const struct virtio_ops console_ops = {
    .id = VIRTIO_ID_CONSOLE,
    .config_size = sizeof(struct virtio_console_config),
    .config_read = config_read,
    .config_write = config_write,
    .config_early = true,
    .config_name = config_name,
    .start = console_start,
    .kick = console_kick,
    .stop_queue = console_stop_queue,
    .reset = console_reset,
};

void console_init(struct console *c, const char *name, const struct mem *mem,
                  struct device_remark remark, uint32_t max_ports, bool sized)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE);

    if (max_ports > 1)
        features |= VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT);
    if (sized)
        features |= VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE);
    *c = (struct console){.max_ports = max_ports};
    virtio_init(&c->virtio, &console_ops, name, mem, remark, features,
                max_ports > 1 ? 2 * max_ports + 2 : 2);
    console_reset(&c->virtio);
}

void console_add_port(struct console *c, unsigned nr, bool is_console, const char *name,
                      struct console_backend backend)
{
    struct console_port *port = &c->port[nr];

    port->exists = true;
    port->console = port->host_open = is_console;
    port->name = name;
    port->backend = backend;
}
