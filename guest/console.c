/*
 * console.c: the driver of the console device (virtio 1.2, 5.3): ports, each with a queue for
 * either direction, and where there are several, control queues that say which ports there are.
 */
#include "drivers.h"
#include "kernel.h"
#include "virtio.h"

#include <virtio_console.h>

#define MESSAGES     8
#define MESSAGE_MAX  64 /* bytes: a name behind struct virtio_console_control */
#define RECEIVES     4
#define SETTLE_TICKS 20 /* after which the device has said all it has to say */

struct port {
    struct con_port told;
    struct virtio_queue receive, transmit;
    uint8_t received[RECEIVES][CON_READ_MAX];
};

static struct {
    struct virtio *dev;
    struct port port[CON_PORTS_MAX];
    struct virtio_queue control_in, control_out;
    uint8_t message[MESSAGES][MESSAGE_MAX];
    struct virtio_console_control control;
} con;

static void offer(struct virtio_queue *queue, void *bytes, uint32_t size)
{
    const struct virtio_buffer buffer = {bytes, size, true};
    virtio_add(queue, &buffer, 1, bytes);
}

static void send_control(uint32_t port, uint16_t event, uint16_t value)
{
    const struct virtio_buffer buffer = {&con.control, sizeof(con.control), false};
    con.control = (struct virtio_console_control){port, event, value};
    virtio_transfer(&con.control_out, &buffer, 1, NULL);
}

static void take_control(const uint8_t *message, uint32_t size)
{
    struct virtio_console_control control;
    memcpy(&control, message, sizeof(control));
    if (size < sizeof(control) || control.id >= CON_PORTS_MAX)
        return;
    struct con_port *port = &con.port[control.id].told;
    switch (control.event) {
    case VIRTIO_CONSOLE_DEVICE_ADD:
        port->present = true;
        send_control(control.id, VIRTIO_CONSOLE_PORT_READY, 1);
        send_control(control.id, VIRTIO_CONSOLE_PORT_OPEN, 1);
        break;
    case VIRTIO_CONSOLE_DEVICE_REMOVE:
        *port = (struct con_port){.present = false};
        break;
    case VIRTIO_CONSOLE_CONSOLE_PORT:
        port->console = true;
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        port->open = control.value;
        break;
    case VIRTIO_CONSOLE_PORT_NAME:
        size -= (uint32_t)sizeof(control);
        size = size < sizeof(port->name) - 1 ? size : (uint32_t)sizeof(port->name) - 1;
        memcpy(port->name, message + sizeof(control), size);
        port->name[size] = 0;
        break;
    case VIRTIO_CONSOLE_RESIZE:
        memcpy(&port->cols, message + sizeof(control), 2);
        memcpy(&port->rows, message + sizeof(control) + 2, 2);
        break;
    }
}

/* Takes the device's messages until it has been silent for a while. */
static void settle(void)
{
    void *message;
    uint32_t size;
    struct timeout timeout = timeout_start(SETTLE_TICKS);
    while (virtio_has(con.dev, VIRTIO_CONSOLE_F_MULTIPORT) && !timeout_passed(&timeout)) {
        if (!virtio_used(&con.control_in, &message, &size)) {
            virtio_sleep(&con.control_in);
            continue;
        }
        take_control(message, size);
        offer(&con.control_in, message, MESSAGE_MAX);
        virtio_kick(&con.control_in);
        timeout = timeout_start(SETTLE_TICKS);
    }
}

static bool begin(struct virtio *dev)
{
    if (!virtio_begin(dev, VIRTIO_FEATURE(VIRTIO_CONSOLE_F_SIZE) |
                               VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT)))
        return false;
    bool multiport = virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT);
    for (unsigned nr = 0; nr < (multiport ? CON_PORTS_MAX : 1); nr++) {
        struct port *port = &con.port[nr];
        if (!virtio_queue_init(&port->receive, dev, VIRTIO_CONSOLE_PORT_RX(nr), RECEIVES) ||
            !virtio_queue_init(&port->transmit, dev, VIRTIO_CONSOLE_PORT_TX(nr), 16))
            break;
        for (unsigned i = 0; i < RECEIVES; i++)
            offer(&port->receive, port->received[i], CON_READ_MAX);
    }
    if (multiport &&
        (!virtio_queue_init(&con.control_in, dev, VIRTIO_CONSOLE_CONTROL_RX, MESSAGES) ||
         !virtio_queue_init(&con.control_out, dev, VIRTIO_CONSOLE_CONTROL_TX, MESSAGES)))
        return false;
    virtio_ready(dev);
    for (unsigned nr = 0; nr < CON_PORTS_MAX && con.port[nr].receive.dev; nr++)
        virtio_kick(&con.port[nr].receive);
    return true;
}

bool con_open(void)
{
    if (!con.dev) {
        struct virtio *dev = virtio_find(VIRTIO_ID_CONSOLE, 0);
        if (!dev || !begin(dev))
            return false;
        con.dev = dev;
        if (virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT)) {
            for (unsigned i = 0; i < MESSAGES; i++)
                offer(&con.control_in, con.message[i], MESSAGE_MAX);
            virtio_kick(&con.control_in);
            send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        } else {
            con.port[0].told = (struct con_port){.present = true, .console = true, .open = true};
        }
        if (virtio_has(dev, VIRTIO_CONSOLE_F_SIZE)) {
            con.port[0].told.cols = (uint16_t)virtio_config(dev, 0, 2);
            con.port[0].told.rows = (uint16_t)virtio_config(dev, 2, 2);
        }
    }
    settle();
    return true;
}

const struct con_port *con_port(unsigned nr)
{
    return nr < CON_PORTS_MAX && con.port[nr].told.present ? &con.port[nr].told : NULL;
}

bool con_write(unsigned nr, void *bytes, uint32_t size)
{
    const struct virtio_buffer buffer = {bytes, size, false};
    return virtio_transfer(&con.port[nr].transmit, &buffer, 1, NULL);
}

uint32_t con_read(unsigned nr, uint8_t *to, uint64_t ticks)
{
    struct virtio_queue *queue = &con.port[nr].receive;
    struct timeout timeout = timeout_start(ticks);
    void *from;
    uint32_t size;
    while (!virtio_used(queue, &from, &size)) {
        if (timeout_passed(&timeout))
            return 0;
        virtio_sleep(queue);
    }
    size = size < CON_READ_MAX ? size : CON_READ_MAX;
    memcpy(to, from, size);
    offer(queue, from, CON_READ_MAX);
    virtio_kick(queue);
    return size;
}
