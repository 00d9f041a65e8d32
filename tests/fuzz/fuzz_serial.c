/*
 * fuzz_serial.c: a hostile guest, a moody far end and a clock against the 16550A.  The input is a
 * list of operations; after each, what must always hold is checked, and every byte is followed
 * through both FIFOs by a naive model.
 */
#include "../unit/fake_wires.h"
#include "bus.h"
#include "dev/serial.h"
#include "fuzz.h"

/* Bytes in order; the simplest queue there is. */
struct queue {
    uint8_t byte[UART_FIFO_DEPTH];
    unsigned count;
};

struct world {
    struct serial uart;
    struct fake_wires wires;
    struct bus bus;
    struct input in;

    /* what the far end is like now */
    unsigned takes; /* bytes it accepts before it refuses */
    bool refused;   /* it said no, and has not yet said that it can take more */
    bool echoes;
    bool answers_room;

    struct queue rx, tx; /* what must be in the FIFOs */
    bool fifos, loop;    /* as the guest has set them */
};

static uint8_t next(struct world *w)
{
    return input_byte(&w->in);
}

static uint8_t take(struct queue *queue)
{
    uint8_t byte = queue->byte[0];
    memmove(queue->byte, queue->byte + 1, --queue->count);
    return byte;
}

static unsigned depth(const struct world *w)
{
    return w->fifos ? UART_FIFO_DEPTH : 1;
}

static void arrive(struct world *w, uint8_t byte)
{
    if (w->rx.count == depth(w)) {
        if (w->fifos) {
            return;
        }
        w->rx.count = 0;
    }
    w->rx.byte[w->rx.count++] = byte;
}

static void from_far_end(struct world *w, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count && !w->loop; i++) {
        arrive(w, bytes[i]);
    }
    serial_receive(&w->uart, bytes, count);
}

static bool on_send(void *opaque, uint8_t byte)
{
    struct world *w = opaque;
    CHECK(!w->loop);
    CHECK(w->tx.count > 0 && w->tx.byte[0] == byte);
    if (w->takes == 0) {
        w->refused = true;
        return false;
    }
    w->takes--;
    take(&w->tx);
    if (w->echoes) {
        from_far_end(w, &byte, 1);
    }
    return true;
}

static void on_room(void *opaque)
{
    struct world *w = opaque;
    CHECK(serial_rx_room(&w->uart) > 0);
    if (w->answers_room) {
        uint8_t byte = next(w);
        from_far_end(w, &byte, 1);
    }
}

/* A register as the guest would read it now, without the side effects. */
static uint8_t peek(const struct world *w, uint64_t offset)
{
    struct serial copy = w->uart;
    copy.irq = (struct irq_line){0};
    copy.backend = (struct serial_backend){0};
    copy.timer.arm = fake_wires_arm;
    struct fake_wires nowhere = {0};
    copy.timer.opaque = &nowhere;
    copy.lcr &= (uint8_t)~UART_LCR_DLAB;
    return (uint8_t)serial_ops.read(&copy, offset, 1);
}

static void check_interrupt(const struct world *w)
{
    uint8_t iir = peek(w, UART_IIR), ier = peek(w, UART_IER), lsr = peek(w, UART_LSR);
    CHECK(w->wires.repeats == 0);
    CHECK(w->wires.level == !(iir & UART_IIR_NONE));
    CHECK((iir & ~UART_IIR_ID) == (w->fifos ? UART_IIR_FIFO : 0));
    switch (iir & UART_IIR_ID) {
    case UART_IIR_RLS:
        CHECK((ier & UART_IER_RLS) && (lsr & (UART_LSR_OE | UART_LSR_BI)));
        break;
    case UART_IIR_RDA:
        CHECK((ier & UART_IER_RDA) && (lsr & UART_LSR_DR));
        break;
    case UART_IIR_TIMEOUT:
        CHECK((ier & UART_IER_RDA) && (lsr & UART_LSR_DR) && w->fifos);
        break;
    case UART_IIR_THRE:
        CHECK((ier & UART_IER_THRE) && (lsr & UART_LSR_THRE));
        break;
    case UART_IIR_MSI:
        CHECK((ier & UART_IER_MSI) && (peek(w, UART_MSR) & 0x0f));
        break;
    default:
        CHECK((iir & UART_IIR_ID) == UART_IIR_NONE);
        CHECK(!(ier & UART_IER_RLS) || !(lsr & (UART_LSR_OE | UART_LSR_BI)));
        CHECK(!(ier & UART_IER_RDA) || !(lsr & UART_LSR_DR) || w->fifos);
        CHECK(!(ier & UART_IER_MSI) || !(peek(w, UART_MSR) & 0x0f));
        break;
    }
}

static void check(const struct world *w)
{
    uint8_t lsr = peek(w, UART_LSR);
    CHECK(w->uart.rx.count == w->rx.count && w->uart.rx.count <= depth(w));
    CHECK(w->uart.tx.count == w->tx.count && w->uart.tx.count <= depth(w));
    CHECK(!(lsr & UART_LSR_DR) == (w->rx.count == 0));
    CHECK(!(lsr & UART_LSR_THRE) == (w->tx.count > 0));
    CHECK(!(lsr & UART_LSR_TEMT) == (w->tx.count > 0));
    CHECK(w->fifos || !(lsr & UART_LSR_FIFO_ERROR));
    CHECK(serial_rx_room(&w->uart) == (w->loop ? 0 : depth(w) - w->rx.count));
    CHECK(w->tx.count == 0 || w->refused); /* nothing waits without a reason */
    CHECK(w->rx.count == 0 || peek(w, UART_RBR) == w->rx.byte[0]);
    /* The timer is set to what the UART waits for, and only where it has to. */
    CHECK(w->wires.deadline == w->uart.rx_deadline);
    CHECK(w->wires.deadline == 0 || (w->fifos && w->rx.count > 0));
    CHECK(w->wires.deadline <= w->wires.now + 1000000000u);
    check_interrupt(w);
}

/* What a write does to the model; the UART's own turn comes after it. */
static void model_write(struct world *w, uint64_t offset, uint8_t value)
{
    bool dlab = w->uart.lcr & UART_LCR_DLAB;
    if (offset == UART_THR && !dlab) {
        if (w->loop) {
            arrive(w, value);
        } else if (w->tx.count < depth(w)) {
            w->tx.byte[w->tx.count++] = value;
        } else if (!w->fifos) {
            w->tx.byte[0] = value;
        }
    } else if (offset == UART_FCR) {
        bool enable = value & UART_FCR_ENABLE, changed = enable != w->fifos;
        if (changed || (enable && (value & UART_FCR_CLEAR_RX))) {
            w->rx.count = 0;
        }
        if (changed || (enable && (value & UART_FCR_CLEAR_TX))) {
            w->tx.count = 0;
        }
        w->fifos = enable;
    } else if (offset == UART_MCR) {
        w->loop = value & UART_MCR_LOOP;
        while (w->loop && w->tx.count > 0) {
            arrive(w, take(&w->tx));
        }
    }
}

static void guest_reads(struct world *w, uint64_t offset)
{
    bool data = offset == UART_RBR && !(w->uart.lcr & UART_LCR_DLAB) && w->rx.count > 0;
    uint8_t expected = data ? take(&w->rx) : 0;
    uint8_t value = (uint8_t)bus_read(&w->bus, offset, 1);
    CHECK(!data || value == expected);
    /* Reading these two clears what they report. */
    CHECK(offset != UART_LSR || !(peek(w, offset) & (UART_LSR_OE | UART_LSR_BI)));
    CHECK(offset != UART_MSR || !(peek(w, offset) & 0x0f));
    CHECK(serial_ops.reg_name(&w->uart, offset, false));
}

static void guest_writes(struct world *w, uint64_t offset, uint8_t value)
{
    model_write(w, offset, value);
    bus_write(&w->bus, offset, 1, value);
    CHECK(serial_ops.reg_name(&w->uart, offset, true));
}

static void time_passes(struct world *w, uint64_t ns)
{
    if (fake_wires_pass(&w->wires, ns)) {
        serial_timeout(&w->uart);
        CHECK(w->uart.rx_timeout);
    }
}

static void far_end_acts(struct world *w, uint8_t what)
{
    uint8_t bytes[20];
    switch (what & 7) {
    case 0:
    case 1:
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)(what + i);
        }
        from_far_end(w, bytes, (what >> 3) % sizeof(bytes));
        break;
    case 2:
        if (!w->loop) {
            arrive(w, 0);
        }
        serial_receive_break(&w->uart);
        break;
    case 3:
        w->takes = what >> 3;
        break;
    case 4:
        w->takes = what >> 3;
        w->refused = false;
        serial_tx_ready(&w->uart);
        break;
    case 5:
        w->echoes = what & 8;
        w->answers_room = what & 16;
        break;
    case 6:
        serial_timeout(&w->uart); /* a callback that comes late, or twice */
        break;
    default:
        w->rx.count = w->tx.count = 0;
        w->fifos = w->loop = false;
        bus_reset(&w->bus);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size}, .takes = 8, .wires.now = 1};
    serial_init(&w.uart, fake_irq(&w.wires, 4), fake_clock(&w.wires), fake_timer(&w.wires),
                (struct serial_backend){.send = on_send, .rx_room = on_room, .opaque = &w});
    CHECK(bus_attach(&w.bus, 0, 8, &serial_ops, &w.uart) == 0);
    check(&w);
    while (w.in.left > 0) {
        uint8_t what = next(&w);
        switch (what >> 6) {
        case 0:
            guest_reads(&w, what & 7);
            break;
        case 1:
            guest_writes(&w, what & 7, next(&w));
            break;
        case 2:
            time_passes(&w, (uint64_t)1 << (what & 31));
            break;
        default:
            far_end_acts(&w, next(&w));
            break;
        }
        check(&w);
    }
    return 0;
}
