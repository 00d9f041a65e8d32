/*
 * serial_bench.h: a UART on a test bench: its line, clock and timer, and a far end that takes bytes
 * while it has room.
 */
#ifndef KVMLENS_SERIAL_BENCH_H
#define KVMLENS_SERIAL_BENCH_H

#include "bus.h"
#include "dev/serial.h"
#include "fake_wires.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct serial uart;
    struct fake_wires wires;
    struct bus bus;
    uint8_t sent[64];
    unsigned sent_count;
    unsigned send_calls;
    unsigned room;           /* how many bytes the far end still takes */
    unsigned room_announced; /* calls of rx_room */
    uint8_t waiting[32];     /* what the far end sends when it hears of room */
    unsigned waiting_count;
    bool echo; /* the far end sends every byte back at once */
};

static inline bool bench_send(void *opaque, uint8_t byte)
{
    struct bench *b = opaque;
    b->send_calls++;
    if (b->room == 0) {
        return false;
    }
    b->room--;
    assert_true(b->sent_count < sizeof(b->sent));
    b->sent[b->sent_count++] = byte;
    if (b->echo) {
        serial_receive(&b->uart, &byte, 1);
    }
    return true;
}

static inline void bench_rx_room(void *opaque)
{
    struct bench *b = opaque;
    unsigned take = serial_rx_room(&b->uart);
    assert_true(take > 0);
    b->room_announced++;
    take = take < b->waiting_count ? take : b->waiting_count;
    serial_receive(&b->uart, b->waiting, take);
    memmove(b->waiting, b->waiting + take, b->waiting_count - take);
    b->waiting_count -= take;
}

static inline int bench_set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->wires.now = 1000;
    b->room = 64;
    serial_init(&b->uart, fake_irq(&b->wires, 4), fake_clock(&b->wires), fake_timer(&b->wires),
                (struct serial_backend){.send = bench_send, .rx_room = bench_rx_room, .opaque = b});
    assert_int_equal(bus_attach(&b->bus, 0, 8, &serial_ops, &b->uart), 0);
    *state = b;
    return 0;
}

/* After each test: the line was only ever told of changes, and it is where the registers say. */
static inline int bench_tear_down(void **state)
{
    struct bench *b = *state;
    assert_int_equal(b->wires.repeats, 0);
    bool level = b->wires.level; /* reading IIR may end the interrupt */
    assert_int_equal(level, !(bus_read(&b->bus, UART_IIR, 1) & UART_IIR_NONE));
    free(b);
    return 0;
}

static inline uint8_t in(struct bench *b, uint64_t offset)
{
    return (uint8_t)bus_read(&b->bus, offset, 1);
}

static inline void out(struct bench *b, uint64_t offset, uint8_t value)
{
    bus_write(&b->bus, offset, 1, value);
}

static inline uint8_t iir(struct bench *b)
{
    return in(b, UART_IIR) & UART_IIR_ID;
}

static inline void receive_text(struct bench *b, const char *text)
{
    serial_receive(&b->uart, (const uint8_t *)text, (unsigned)strlen(text));
}

/* Lets time pass, and calls the UART if its timer comes due. */
static inline void pass(struct bench *b, uint64_t ns)
{
    if (fake_wires_pass(&b->wires, ns)) {
        serial_timeout(&b->uart);
    }
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

#endif
