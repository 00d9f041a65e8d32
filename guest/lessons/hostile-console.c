/*
 * hostile-console.c: a guest that attacks its console from inside; hostile.h tells how, and what is right.
 *
 *     build/kvmlens -kernel build/guest/lessons/hostile-console.elf -device virtio-serial-device -chardev null,id=c \
 *         -device virtconsole,chardev=c \
 *         -device virtio-rng-device
 *
 * Specification: virtio 1.2, 2.7 (queues), 4.2 (MMIO), 5.3 (console).
 */
#include "hostile_attacks.h"

#include <virtio_console.h>

void lesson(void); /* called from the assembly of hostile.h */

#define OUT VIRTIO_CONSOLE_PORT_TX(0)

static volatile struct virtio_console_control control;

static void send_control(uint32_t port, uint16_t event, uint16_t value, uint64_t bytes)
{
    settle(VIRTIO_CONSOLE_CONTROL_TX);
    unsigned before = queue[VIRTIO_CONSOLE_CONTROL_TX].used.idx;
    control = (struct virtio_console_control){port, event, value};
    describe(VIRTIO_CONSOLE_CONTROL_TX, 0, &control, bytes, 0, 0);
    offer(VIRTIO_CONSOLE_CONTROL_TX, 0);
    answers(VIRTIO_CONSOLE_CONTROL_TX, before + 1, PATIENCE);
}

static void attack_message(unsigned q)
{
    static const uint32_t ports[] = {0, 1, 30, 31, 32, 0x80000000, 0xffffffff};
    (void)q;
    for (unsigned event = 0; event < 9; event++) { /* before the device is ready, and after it */
        for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
            send_control(ports[i], (uint16_t)event, (uint16_t)(event + i), sizeof(control));
    }
    send_control(0, 0xffff, 0xffff, sizeof(control));
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 0, sizeof(control)); /* and no longer ready */
}

static void attack_message_size(unsigned q)
{
    (void)q;
    for (uint64_t bytes = 0; bytes < 8; bytes++)
        send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1, bytes);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1, 0xffffffff);
}

/* The device answers with a message for each port. */
static void ask(void)
{
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1, sizeof(control));
}

/* The device's messages want a place in the control queue that is too small for them. */
static void attack_control_in(unsigned q)
{
    static const uint32_t sizes[] = {0, 1, 7, 8, 9, 0xffffffff};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        describe(q, i, data, sizes[i], WRITE, 0);
        offer(q, i);
        ask();
        send_control(0, VIRTIO_CONSOLE_PORT_READY, 1, sizeof(control));
    }
    for (unsigned i = 0; i < 2 * ENTRIES; i++) /* more than there is room for */
        ask();
}

/* All ports' queues lie on one another. */
static void attack_ports(unsigned q)
{
    agree(victim, wanted_features);
    for (unsigned number = 0; number < 64; number++)
        place_at(victim, number, (uint64_t)queue[q].desc, (uint64_t)&queue[q].avail,
                 (uint64_t)&queue[q].used);
    go(victim);
    describe(q, 0, data, 64, 0, 0);
    offer(q, 0);
    for (unsigned number = 0; number < 64; number++)
        set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, number);
}

void lesson(void)
{
    static const struct attack to_device[] = {
        {"messages for ports that are none", attack_message},
        {"messages of odd sizes", attack_message_size},
    };
    static const struct attack from_device[] = {
        {"no room for messages", attack_control_in},
    };
    static const struct attack out[] = {
        {"one queue for all ports", attack_ports},
    };
    hostile_begin(VIRTIO_ID_CONSOLE,
                  1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_CONSOLE_F_MULTIPORT,
                  "a console and virtio-rng-device are needed\r\n");
    attack_all(to_device, sizeof(to_device) / sizeof(to_device[0]), VIRTIO_CONSOLE_CONTROL_TX);
    attack_all(from_device, 1, VIRTIO_CONSOLE_CONTROL_RX);
    attack_all(out, 1, OUT);
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_CONSOLE_CONTROL_TX);
    attack_all(generic_attacks, GENERIC_ATTACKS, OUT);
    stir = ask;
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_CONSOLE_CONTROL_RX);
    wanted_features = 0; /* one port, as before there were several */
    begin();
    describe(OUT, 0, "well\n", 5, 0, 0);
    offer(OUT, 0);
    hostile_end(answers(OUT, 1, PATIENCE_RNG));
}
