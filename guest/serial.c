/*
 * serial.c: COM1, a 16550A UART (National Semiconductor PC16550D data sheet), by interrupts in
 * both directions.
 *
 *     serial_put() -> [ output ring ] -> THRE interrupt -> transmit FIFO -> wire
 *     serial_get() <- [ input ring  ] <- RDA interrupt  <- receive FIFO  <- wire
 *
 * A full input ring turns the receive interrupt off: then bytes wait in the UART, and before it.
 */
#include "kernel.h"
#include "x86.h"

#include <ports.h>
#include <post_codes.h>
#include <uart16550.h>

#define RING_SIZE 1024 /* a power of two: free-running indices wrap around rightly */

struct ring {
    volatile uint32_t head, tail; /* taken from tail, added at head */
    char byte[RING_SIZE];
};

static struct {
    struct ring in, out;
    bool absent; /* the machine has no COM1: words are dropped, and nobody types */
    bool interrupts;
    uint8_t enabled; /* IER */
    unsigned depth;  /* bytes that an empty transmitter takes */
} uart;

static bool ring_empty(const struct ring *ring)
{
    return ring->head == ring->tail;
}

static bool ring_full(const struct ring *ring)
{
    return ring->head - ring->tail == RING_SIZE;
}

static void ring_add(struct ring *ring, char c)
{
    ring->byte[ring->head % RING_SIZE] = c;
    ring->head++;
}

static char ring_take(struct ring *ring)
{
    char c = ring->byte[ring->tail % RING_SIZE];
    ring->tail++;
    return c;
}

static uint8_t reg_read(unsigned reg)
{
    return in8((uint16_t)(PORT_SERIAL + reg));
}

static void reg_write(unsigned reg, uint8_t value)
{
    out8((uint16_t)(PORT_SERIAL + reg), value);
}

static void enable(uint8_t sources)
{
    if (sources != uart.enabled) {
        uart.enabled = sources;
        reg_write(UART_IER, sources);
    }
}

/* Takes what has been received as long as there is room for it. */
static void receive(void)
{
    while (!ring_full(&uart.in) && (reg_read(UART_LSR) & UART_LSR_DR))
        ring_add(&uart.in, (char)reg_read(UART_RBR));
}

/* Turning the FIFOs on empties them. Input that came before the kernel is in the UART, and more may
 * stand behind it: takes it all. True once the line is silent, false if the ring is full first. */
static bool receive_early(void)
{
    unsigned patience = reg_read(UART_LSR) & UART_LSR_DR ? 1000 : 0;
    for (unsigned silent = 0; silent < patience; silent++) {
        if (reg_read(UART_LSR) & UART_LSR_DR) {
            if (ring_full(&uart.in))
                return false;
            receive();
            silent = 0;
        }
    }
    return true;
}

void serial_init(void)
{
    uint16_t divisor = 1; /* 115200 baud */
    reg_write(UART_SCR, 0x5a);
    uart.absent = reg_read(UART_SCR) != 0x5a;
    if (uart.absent)
        return;
    reg_write(UART_IER, 0);
    reg_write(UART_LCR, UART_LCR_DLAB);
    reg_write(UART_DLL, (uint8_t)divisor);
    reg_write(UART_DLM, (uint8_t)(divisor >> 8));
    reg_write(UART_LCR, UART_LCR_WLEN); /* 8 bits, no parity, 1 stop bit */
    /* Turning the FIFOs on empties them. In loopback mode nothing arrives, so nothing is lost between
     * the last look and that. */
    reg_write(UART_MCR, UART_MCR_LOOP);
    uart.depth = 1;
    if (receive_early()) {
        reg_write(UART_FCR, UART_FCR_ENABLE | (2 << 6)); /* interrupt at 8 bytes, or a time-out */
        uart.depth = UART_FIFO_DEPTH;
    }
    reg_write(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
    out8(PORT_POST, POST_SERIAL);
}

void serial_interrupts(void)
{
    if (uart.absent)
        return;
    ioapic_route(IRQ_SERIAL, VECTOR_SERIAL);
    uart.interrupts = true;
    enable(UART_IER_RDA);
}

/* From here on nothing waits for an interrupt: for the last words of a kernel. */
void serial_poll(void)
{
    uart.interrupts = false;
    enable(0);
    while (!ring_empty(&uart.out))
        serial_put(ring_take(&uart.out));
}

static void transmit(void)
{
    for (unsigned i = 0; i < uart.depth && !ring_empty(&uart.out); i++)
        reg_write(UART_THR, (uint8_t)ring_take(&uart.out));
}

void serial_interrupt(void)
{
    uint8_t reason;
    while (((reason = reg_read(UART_IIR)) & UART_IIR_NONE) == 0) {
        reason &= UART_IIR_ID;
        if (reason == UART_IIR_RDA || reason == UART_IIR_TIMEOUT) {
            receive();
            if (ring_full(&uart.in))
                enable(uart.enabled & (uint8_t)~UART_IER_RDA);
        } else if (reason == UART_IIR_THRE) {
            transmit();
            if (ring_empty(&uart.out))
                enable(uart.enabled & (uint8_t)~UART_IER_THRE);
        }
    }
}

void serial_put(char c)
{
    if (uart.absent)
        return;
    if (!uart.interrupts) {
        while (!(reg_read(UART_LSR) & UART_LSR_THRE))
            pause();
        reg_write(UART_THR, (uint8_t)c);
        return;
    }
    uint64_t flags = irq_save();
    while (ring_full(&uart.out)) {
        irq_on_and_halt();
        irq_off();
    }
    ring_add(&uart.out, c);
    enable(uart.enabled | UART_IER_THRE); /* an empty transmitter interrupts at once */
    irq_restore(flags);
}

bool serial_waiting(void)
{
    if (!uart.interrupts && !uart.absent)
        receive();
    return !ring_empty(&uart.in);
}

char serial_get(void)
{
    irq_off();
    while (ring_empty(&uart.in)) {
        if (uart.interrupts || uart.absent) {
            irq_on_and_halt();
            irq_off();
        } else {
            receive();
            pause();
        }
    }
    char c = ring_take(&uart.in);
    if (uart.interrupts) {
        enable(uart.enabled | UART_IER_RDA);
        irq_on();
    }
    return c;
}

void serial_flush(void)
{
    if (uart.absent)
        return;
    irq_off();
    while (uart.interrupts && !ring_empty(&uart.out)) {
        irq_on_and_halt();
        irq_off();
    }
    if (uart.interrupts)
        irq_on();
    while (!(reg_read(UART_LSR) & UART_LSR_TEMT))
        pause();
}
