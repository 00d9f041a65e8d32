/*
 * serial.h: the 16550A UART (National Semiconductor PC16550D data sheet).
 */
#ifndef KVMLENS_SERIAL_H
#define KVMLENS_SERIAL_H

#include "../device.h"
#include "../irq.h"
#include <uart16550.h>

/* The other end of the wire. */
struct serial_backend {
    /* Sends one byte. True: taken (or dropped for good). False: no room now; the backend calls
     * serial_tx_ready() once there is (not from within send). NULL: bytes are dropped. */
    bool (*send)(void *opaque, uint8_t byte);
    /* The receiver has room again after serial_rx_room() was 0; may call serial_receive(). May
     * be NULL. */
    void (*rx_room)(void *opaque);
    void *opaque;
};

struct serial_fifo {
    uint8_t byte[UART_FIFO_DEPTH];
    uint8_t head, count;
};

/* The registers and FIFOs; the interrupt reason and the line's level are derived from them. */
struct serial {
    struct irq_line irq;
    struct device_clock clock;
    struct device_timer timer;
    struct serial_backend backend;
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    uint8_t lsr_errors; /* OE, PE, FE, BI, until LSR is read */
    uint8_t msr_deltas; /* until MSR is read */
    bool thre_pending;  /* THRE became true and IIR has not reported it yet */
    struct serial_fifo rx, tx;
    uint16_t rx_breaks;   /* bit i: rx.byte[i] is a break that is not yet first in the FIFO */
    bool rx_timeout;      /* the receive time-out came, until RBR is read */
    uint64_t rx_deadline; /* when it is due (clock ns); 0: not running */
};

extern const struct device_ops serial_ops; /* 8 bytes of ports; dev is a struct serial */

/* Makes a UART in its reset state, its line low. Everything handed in is borrowed; CLOCK and TIMER are needed
 * for the receive time-out. */
void serial_init(struct serial *serial, struct irq_line irq, struct device_clock clock,
                 struct device_timer timer, struct serial_backend backend);

/* How many bytes serial_receive() can take now without an overrun (0 in loopback mode). */
unsigned serial_rx_room(const struct serial *serial);

/* Bytes arrive on the wire. What does not fit is lost and sets the overrun bit, as on the
 * chip; in loopback mode the wire is not connected and they are lost without a trace. */
void serial_receive(struct serial *serial, const uint8_t *bytes, unsigned count);

/* A break condition arrives. */
void serial_receive_break(struct serial *serial);

/* The backend can take bytes again. */
void serial_tx_ready(struct serial *serial);

/* The timer's deadline has come. */
void serial_timeout(struct serial *serial);

#endif
