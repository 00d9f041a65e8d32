/*
 * console.c: the driver of the console device (virtio 1.2, 5.3): ports, each with a queue for
 * either direction, and where there are several, control queues that say which ports there are.
 */
#include "drivers.h"
#include "kernel.h"
#include "virtio.h"

#include <virtio_console.h>

#define QUEUES       (2 * CON_PORTS_MAX + 2)
#define QUEUE_SIZE   16
#define MESSAGES     8  /* that can wait until con_open() takes them */
#define SETTLE_TICKS 20 /* after which the device has said all it has to say */

struct message {
    struct virtio_console_control control;
    char name[CON_NAME_SIZE]; /* whose last byte is not offered, and stays 0 */
};

static struct {
    struct virtio *dev;
    struct virtio_queue queue[QUEUES]; /* by their numbers */
    struct con_port port[CON_PORTS_MAX];
    uint8_t received[CON_PORTS_MAX][CON_READ_MAX];
    struct message message[MESSAGES];
    struct virtio_console_control control;
} con;

static void offer(unsigned queue, void *bytes, uint32_t size)
{
    const struct virtio_buffer buffer = {memset(bytes, 0, size), size, true};
    virtio_add(&con.queue[queue], &buffer, 1, bytes);
    virtio_kick(&con.queue[queue]);
}

/* The next buffer that the device gives back within TICKS, or NULL. */
static void *await(unsigned queue, uint32_t *size, uint64_t ticks)
{
    struct timeout timeout = timeout_start(ticks);
    void *buffer;
    while (!virtio_used(&con.queue[queue], &buffer, size)) {
        if (timeout_passed(&timeout))
            return NULL;
        virtio_sleep(&con.queue[queue]);
    }
    return buffer;
}

static void send_control(uint32_t port, uint16_t event, uint16_t value)
{
    const struct virtio_buffer buffer = {&con.control, sizeof(con.control), false};
    con.control = (struct virtio_console_control){port, event, value};
    virtio_transfer(&con.queue[VIRTIO_CONSOLE_CONTROL_TX], &buffer, 1, NULL);
}

static void take_control(const struct message *message)
{
    uint32_t nr = message->control.id;
    if (nr >= CON_PORTS_MAX)
        return;
    struct con_port *port = &con.port[nr];
    switch (message->control.event) {
    case VIRTIO_CONSOLE_DEVICE_ADD:
        port->present = true;
        send_control(nr, VIRTIO_CONSOLE_PORT_READY, 1);
        send_control(nr, VIRTIO_CONSOLE_PORT_OPEN, 1);
        break;
    case VIRTIO_CONSOLE_DEVICE_REMOVE:
        *port = (struct con_port){.present = false};
        break;
    case VIRTIO_CONSOLE_CONSOLE_PORT:
        port->console = true;
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        port->open = message->control.value;
        break;
    case VIRTIO_CONSOLE_PORT_NAME:
        memcpy(port->name, message->name, sizeof(port->name));
        break;
    }
}

static bool begin(struct virtio *dev)
{
    if (!dev || !virtio_begin(dev, VIRTIO_FEATURE(VIRTIO_CONSOLE_F_SIZE) |
                                       VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT)))
        return false;
    bool multiport = virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT);
    unsigned queues = 0;
    while (queues < (multiport ? QUEUES : 2) &&
           virtio_queue_init(&con.queue[queues], dev, queues, QUEUE_SIZE))
        queues++;
    if (queues < (multiport ? 4 : 2))
        return false;
    virtio_ready(dev);
    con.dev = dev;
    for (unsigned nr = 0; VIRTIO_CONSOLE_PORT_TX(nr) < queues; nr++)
        offer(VIRTIO_CONSOLE_PORT_RX(nr), con.received[nr], CON_READ_MAX);
    for (unsigned i = 0; multiport && i < MESSAGES; i++)
        offer(VIRTIO_CONSOLE_CONTROL_RX, &con.message[i], sizeof(struct message) - 1);
    if (multiport)
        send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    else
        con.port[0] = (struct con_port){.present = true, .console = true, .open = true};
    return true;
}

bool con_open(void)
{
    struct message *message;
    if (!con.dev && !begin(virtio_find(VIRTIO_ID_CONSOLE, 0)))
        return false;
    while (virtio_has(con.dev, VIRTIO_CONSOLE_F_MULTIPORT) &&
           (message = await(VIRTIO_CONSOLE_CONTROL_RX, NULL, SETTLE_TICKS))) {
        take_control(message);
        offer(VIRTIO_CONSOLE_CONTROL_RX, message, sizeof(*message) - 1);
    }
    if (virtio_has(con.dev, VIRTIO_CONSOLE_F_SIZE)) {
        con.port[0].cols = (uint16_t)virtio_config(con.dev, 0, 2);
        con.port[0].rows = (uint16_t)virtio_config(con.dev, 2, 2);
    }
    return true;
}

const struct con_port *con_port(unsigned nr)
{
    return nr < CON_PORTS_MAX && con.port[nr].present ? &con.port[nr] : NULL;
}

bool con_write(unsigned nr, void *bytes, uint32_t size)
{
    const struct virtio_buffer buffer = {bytes, size, false};
    return virtio_transfer(&con.queue[VIRTIO_CONSOLE_PORT_TX(nr)], &buffer, 1, NULL);
}

uint32_t con_read(unsigned nr, uint8_t *to, uint64_t ticks)
{
    uint32_t size;
    uint8_t *from = await(VIRTIO_CONSOLE_PORT_RX(nr), &size, ticks);
    if (!from)
        return 0;
    size = size < CON_READ_MAX ? size : CON_READ_MAX;
    memcpy(to, from, size);
    offer(VIRTIO_CONSOLE_PORT_RX(nr), from, CON_READ_MAX);
    return size;
}
