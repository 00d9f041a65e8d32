/*
 * serial.c: the 16550A UART (National Semiconductor PC16550D data sheet, sections 8.1 to
 * 8.10 for the registers, 8.11 and 8.12 for the FIFOs).
 *
 * What interrupts, and so the level of the line, is a function of the registers:
 *
 *   IER.RLS  and  OE, PE, FE or BI is set          -> IIR = RLS       (first)
 *   IER.RDA  and  data ready, or trigger level     -> IIR = RDA
 *   IER.RDA  and  4 character times without a read -> IIR = TIMEOUT
 *   IER.THRE and  the transmitter ran empty        -> IIR = THRE
 *   IER.MSI  and  a modem line changed             -> IIR = MSI       (last)
 *
 * Every entry point notes the level, changes the state, and tells the line if the level is now
 * another.  Callbacks into the backend, which may come back in, lie outside of that bracket.
 *
 * Where the data sheet and QEMU's UART differ and a guest would notice, QEMU's way is taken:
 * OUT2 does not gate the line, and the word length does not mask the data, so that a guest which
 * writes bytes to a UART it never set up is heard here too.
 */
#include "serial.h"

#include <stddef.h>

#define TIMEOUT_CHARACTERS 4
#define TIMEOUT_MAX_NS     1000000000u /* just above four characters at 50 baud, the slowest rate */
#define RESET_DIVISOR      12          /* 9600 baud, as QEMU; the chip leaves it undefined */

#define LSR_CHARACTER_ERRORS (UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)

/* The modem lines of a far end that is always there and always ready. */
#define FAR_END (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)

static bool fifos_on(const struct serial *serial)
{
    return serial->fcr & UART_FCR_ENABLE;
}

/* Without FIFOs the receiver and the transmitter hold one byte each. */
static unsigned capacity(const struct serial *serial)
{
    return fifos_on(serial) ? UART_FIFO_DEPTH : 1;
}

static unsigned fifo_push(struct serial_fifo *fifo, uint8_t byte)
{
    unsigned at = (fifo->head + fifo->count) % UART_FIFO_DEPTH;
    fifo->byte[at] = byte;
    fifo->count++;
    return at;
}

static uint8_t fifo_pop(struct serial_fifo *fifo)
{
    uint8_t byte = fifo->byte[fifo->head];
    fifo->head = (fifo->head + 1u) % UART_FIFO_DEPTH;
    fifo->count--;
    return byte;
}

/* How many received bytes make an interrupt (8.5, bits 6 and 7). */
static unsigned trigger_level(const struct serial *serial)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return fifos_on(serial) ? levels[serial->fcr >> 6] : 1;
}

static uint8_t interrupt_id(const struct serial *serial)
{
    if ((serial->ier & UART_IER_RLS) && serial->lsr_errors) {
        return UART_IIR_RLS;
    }
    if ((serial->ier & UART_IER_RDA) && serial->rx.count >= trigger_level(serial)) {
        return UART_IIR_RDA;
    }
    if ((serial->ier & UART_IER_RDA) && serial->rx_timeout) {
        return UART_IIR_TIMEOUT;
    }
    if ((serial->ier & UART_IER_THRE) && serial->thre_pending) {
        return UART_IIR_THRE;
    }
    if ((serial->ier & UART_IER_MSI) && serial->msr_deltas) {
        return UART_IIR_MSI;
    }
    return UART_IIR_NONE;
}

static bool level(const struct serial *serial)
{
    return interrupt_id(serial) != UART_IIR_NONE;
}

static void drive_line(const struct serial *serial, bool before)
{
    bool now = level(serial);
    if (now != before) {
        irq_set(&serial->irq, now);
    }
}

static void announce_room(const struct serial *serial, unsigned before)
{
    if (before == 0 && serial_rx_room(serial) > 0 && serial->backend.rx_room) {
        serial->backend.rx_room(serial->backend.opaque);
    }
}

/* The time of four characters: start bit, data, parity and stop bits, counted in half bits since
 * five-bit words have one and a half stop bits (8.1, bit 2). */
static uint64_t timeout_ns(const struct serial *serial)
{
    unsigned word = 5 + (serial->lcr & UART_LCR_WLEN);
    uint64_t half_bits = 2 * (1 + word) + (serial->lcr & UART_LCR_PARITY ? 2 : 0) +
                         (!(serial->lcr & UART_LCR_STOP) ? 2 : (word == 5 ? 3 : 4));
    uint64_t divisor = serial->dll | (unsigned)serial->dlm << 8;
    uint64_t ns = TIMEOUT_CHARACTERS * half_bits * 16 * (divisor ? divisor : 1) * 1000000000u /
                  (2 * UART_CLOCK_HZ);
    return ns < TIMEOUT_MAX_NS ? ns : TIMEOUT_MAX_NS;
}

/* Starts the receive time-out anew after the FIFO changed, or stops it.  At the trigger level it
 * need not run: RDA is pending, and the RBR read that ends that comes through here (8.11). */
static void restart_timeout(struct serial *serial)
{
    bool runs = fifos_on(serial) && serial->rx.count > 0 &&
                serial->rx.count < trigger_level(serial) && !serial->rx_timeout;
    uint64_t deadline = runs ? serial->clock.now(serial->clock.opaque) + timeout_ns(serial) : 0;
    if (deadline != serial->rx_deadline) {
        serial->timer.arm(serial->timer.opaque, deadline);
    }
    serial->rx_deadline = deadline;
}

/* A break shows in LSR when its null character is the next to be read (8.4, bit 4). */
static void reveal_break(struct serial *serial)
{
    uint16_t first = (uint16_t)(1u << serial->rx.head);
    if (serial->rx.count > 0 && (serial->rx_breaks & first)) {
        serial->rx_breaks &= (uint16_t)~first;
        serial->lsr_errors |= UART_LSR_BI;
    }
}

static void clear_receiver(struct serial *serial)
{
    serial->rx = (struct serial_fifo){0};
    serial->rx_breaks = 0;
    serial->rx_timeout = false;
    /* These errors belong to characters that are gone. */
    serial->lsr_errors &= (uint8_t)~LSR_CHARACTER_ERRORS;
}

/* A character leaves the receiver's shift register.  On overrun the FIFO keeps what it has, while
 * the single holding register takes the new character (8.4, bit 1). */
static void receive_one(struct serial *serial, uint8_t byte, bool is_break)
{
    if (serial->rx.count == capacity(serial)) {
        serial->lsr_errors |= UART_LSR_OE;
        if (fifos_on(serial)) {
            return;
        }
        serial->rx.count = 0;
    }
    unsigned at = fifo_push(&serial->rx, byte);
    if (is_break) {
        serial->rx_breaks |= (uint16_t)(1u << at);
    }
    reveal_break(serial);
}

/* Sends what waits in the transmitter, until it is empty or the backend refuses. */
static void transmit(struct serial *serial)
{
    while (serial->tx.count > 0) {
        uint8_t byte = serial->tx.byte[serial->tx.head];
        bool loop = serial->mcr & UART_MCR_LOOP;
        if (!loop && serial->backend.send && !serial->backend.send(serial->backend.opaque, byte)) {
            return;
        }
        bool before = level(serial);
        fifo_pop(&serial->tx);
        serial->thre_pending = serial->tx.count == 0;
        if (loop) {
            receive_one(serial, byte, false);
            restart_timeout(serial);
        }
        drive_line(serial, before);
    }
}

/* THRE falls with the byte and rises again when it is sent, even if that is at once: a guest that
 * answers the interrupt by writing THR without reading IIR gets its next edge, as on the chip. */
static void write_thr(struct serial *serial, uint8_t byte)
{
    bool waiting = serial->tx.count > 0;
    bool before = level(serial);
    serial->thre_pending = false;
    if (serial->tx.count < capacity(serial)) {
        fifo_push(&serial->tx, byte);
    } else if (!fifos_on(serial)) {
        serial->tx.byte[serial->tx.head] = byte; /* a full FIFO loses it instead */
    }
    drive_line(serial, before);
    /* If bytes waited already, the backend has yet to say that it can take them. */
    if (!waiting) {
        transmit(serial);
    }
}

/* Enabling THRE while the transmitter is empty interrupts, even if IIR reported it before: not in
 * the data sheet, but what the chip does and drivers rely on. */
static void write_ier(struct serial *serial, uint8_t value)
{
    uint8_t enabled = value & (uint8_t)~serial->ier;
    serial->ier = value & (UART_IER_RDA | UART_IER_THRE | UART_IER_RLS | UART_IER_MSI);
    if (enabled & UART_IER_THRE) {
        serial->thre_pending = serial->tx.count == 0;
    }
}

/* Bit 0 must be set when other bits are written, or they are not programmed; changing it clears
 * both FIFOs (8.5, bit 0). */
static void write_fcr(struct serial *serial, uint8_t value)
{
    if (!(value & UART_FCR_ENABLE)) {
        value = 0;
    }
    bool changed = (value ^ serial->fcr) & UART_FCR_ENABLE;
    serial->fcr = value & (UART_FCR_ENABLE | UART_FCR_TRIGGER);
    if (changed || (value & UART_FCR_CLEAR_RX)) {
        clear_receiver(serial);
    }
    if ((changed || (value & UART_FCR_CLEAR_TX)) && serial->tx.count > 0) {
        serial->tx = (struct serial_fifo){0};
        serial->thre_pending = true;
    }
    restart_timeout(serial);
}

/* The modem lines as MSR shows them; loopback connects them to MCR's outputs (8.8, bit 4). */
static uint8_t modem_lines(const struct serial *serial)
{
    uint8_t mcr = serial->mcr;
    if (!(mcr & UART_MCR_LOOP)) {
        return FAR_END;
    }
    return (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
           (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void write_mcr(struct serial *serial, uint8_t value)
{
    uint8_t before = modem_lines(serial);
    serial->mcr =
        value & (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP);
    uint8_t now = modem_lines(serial);
    unsigned changed = before ^ now;
    serial->msr_deltas |= (uint8_t)(changed >> 4 & (UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD));
    if (changed & before & UART_MSR_RI) {
        serial->msr_deltas |= UART_MSR_TERI;
    }
}

static uint8_t read_rbr(struct serial *serial)
{
    if (serial->rx.count == 0) {
        /* The holding register still has the last byte; an empty FIFO reads as 0, as QEMU's. */
        unsigned last = (serial->rx.head + UART_FIFO_DEPTH - 1u) % UART_FIFO_DEPTH;
        return fifos_on(serial) ? 0 : serial->rx.byte[last];
    }
    uint8_t byte = fifo_pop(&serial->rx);
    reveal_break(serial);
    serial->rx_timeout = false;
    restart_timeout(serial);
    return byte;
}

static uint8_t read_lsr(struct serial *serial)
{
    uint8_t lsr = serial->lsr_errors;
    if (serial->rx.count > 0) {
        lsr |= UART_LSR_DR;
    }
    if (serial->tx.count == 0) {
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    }
    if (fifos_on(serial) && (serial->rx_breaks || (lsr & LSR_CHARACTER_ERRORS))) {
        lsr |= UART_LSR_FIFO_ERROR;
    }
    serial->lsr_errors = 0;
    return lsr;
}

/* Reading IIR ends the THRE interrupt, if that is what it reports; no other (8.6, table 4). */
static uint8_t read_iir(struct serial *serial)
{
    uint8_t id = interrupt_id(serial);
    if (id == UART_IIR_THRE) {
        serial->thre_pending = false;
    }
    return id | (fifos_on(serial) ? UART_IIR_FIFO : 0);
}

static uint8_t read_msr(struct serial *serial)
{
    uint8_t msr = modem_lines(serial) | serial->msr_deltas;
    serial->msr_deltas = 0;
    return msr;
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
    bool dlab = serial->lcr & UART_LCR_DLAB;
    switch (offset) {
    case UART_RBR:
        return dlab ? serial->dll : read_rbr(serial);
    case UART_IER:
        return dlab ? serial->dlm : serial->ier;
    case UART_IIR:
        return read_iir(serial);
    case UART_LCR:
        return serial->lcr;
    case UART_MCR:
        return serial->mcr;
    case UART_LSR:
        return read_lsr(serial);
    case UART_MSR:
        return read_msr(serial);
    default:
        return serial->scr;
    }
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
    switch (offset) {
    case UART_DLL:
        serial->dll = value; /* with DLAB; THR is written by write_thr() */
        break;
    case UART_IER:
        if (serial->lcr & UART_LCR_DLAB) {
            serial->dlm = value;
        } else {
            write_ier(serial, value);
        }
        break;
    case UART_FCR:
        write_fcr(serial, value);
        break;
    case UART_LCR:
        serial->lcr = value;
        break;
    case UART_MCR:
        write_mcr(serial, value);
        break;
    case UART_SCR:
        serial->scr = value;
        break;
    default: /* LSR and MSR are for reading; writing is for the factory's tests */
        break;
    }
}

static uint64_t serial_read(void *dev, uint64_t offset, unsigned size)
{
    (void)size; /* 1: see serial_ops.width */
    struct serial *serial = dev;
    unsigned room = serial_rx_room(serial);
    bool before = level(serial);
    uint8_t value = read_register(serial, offset);
    drive_line(serial, before);
    announce_room(serial, room);
    return value;
}

static void serial_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size;
    struct serial *serial = dev;
    if (offset == UART_THR && !(serial->lcr & UART_LCR_DLAB)) {
        write_thr(serial, (uint8_t)value);
        return;
    }
    unsigned room = serial_rx_room(serial);
    bool before = level(serial);
    write_register(serial, offset, (uint8_t)value);
    drive_line(serial, before);
    if (serial->mcr & UART_MCR_LOOP) {
        transmit(serial); /* what the backend refused goes round the loop */
    }
    announce_room(serial, room);
}

static void set_power_on_state(struct serial *serial)
{
    *serial = (struct serial){.irq = serial->irq,
                              .clock = serial->clock,
                              .timer = serial->timer,
                              .backend = serial->backend,
                              .mcr = UART_MCR_OUT2, /* as QEMU; the chip has 0 */
                              .dll = RESET_DIVISOR};
}

static void serial_reset(void *dev)
{
    struct serial *serial = dev;
    unsigned room = serial_rx_room(serial);
    bool before = level(serial);
    if (serial->rx_deadline) {
        serial->timer.arm(serial->timer.opaque, 0);
    }
    set_power_on_state(serial);
    drive_line(serial, before);
    announce_room(serial, room);
}

static const char *serial_reg_name(const void *dev, uint64_t offset, bool write)
{
    static const char *const names[][2] = {{"RBR", "THR"}, {"IER", "IER"}, {"IIR", "FCR"},
                                           {"LCR", "LCR"}, {"MCR", "MCR"}, {"LSR", "LSR"},
                                           {"MSR", "MSR"}, {"SCR", "SCR"}};
    const struct serial *serial = dev;
    if (offset <= UART_DLM && (serial->lcr & UART_LCR_DLAB)) {
        return offset == UART_DLL ? "DLL" : "DLM";
    }
    return offset <= UART_SCR ? names[offset][write] : NULL;
}

const struct device_ops serial_ops = {.name = "serial",
                                      .width = 1,
                                      .read = serial_read,
                                      .write = serial_write,
                                      .reset = serial_reset,
                                      .reg_name = serial_reg_name};

void serial_init(struct serial *serial, struct irq_line irq, struct device_clock clock,
                 struct device_timer timer, struct serial_backend backend)
{
    *serial = (struct serial){.irq = irq, .clock = clock, .timer = timer, .backend = backend};
    set_power_on_state(serial);
}

unsigned serial_rx_room(const struct serial *serial)
{
    return serial->mcr & UART_MCR_LOOP ? 0 : capacity(serial) - serial->rx.count;
}

/* Characters come in from the wire, which loopback disconnects (8.8, bit 4). */
static void receive(struct serial *serial, const uint8_t *bytes, unsigned count, bool is_break)
{
    if (serial->mcr & UART_MCR_LOOP) {
        return;
    }
    bool before = level(serial);
    for (unsigned i = 0; i < count; i++) {
        receive_one(serial, bytes[i], is_break);
    }
    restart_timeout(serial);
    drive_line(serial, before);
}

void serial_receive(struct serial *serial, const uint8_t *bytes, unsigned count)
{
    receive(serial, bytes, count, false);
}

void serial_receive_break(struct serial *serial)
{
    receive(serial, &(const uint8_t){0}, 1, true);
}

void serial_tx_ready(struct serial *serial)
{
    transmit(serial);
}

void serial_timeout(struct serial *serial)
{
    if (serial->rx_deadline == 0 || serial->clock.now(serial->clock.opaque) < serial->rx_deadline) {
        return; /* cancelled, or moved on, while the callback was under way */
    }
    bool before = level(serial);
    serial->rx_deadline = 0;
    serial->rx_timeout = true;
    drive_line(serial, before);
}
