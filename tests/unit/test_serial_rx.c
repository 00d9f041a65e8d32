/*
 * test_serial_rx.c: the 16550A's receiver: holding register, FIFO, errors, the receive time-out,
 * and the order of the interrupts (PC16550D data sheet; the section is named at each test).
 */
#include "serial_bench.h"

#define FIFO_14 (UART_FCR_ENABLE | 0xc0)

/* 8.4 bits 0 and 1: one register; a new character replaces one that was not read. */
static void holding_register(void **state)
{
    struct bench *b = *state;
    assert_int_equal(serial_rx_room(&b->uart), 1);
    receive_text(b, "a");
    assert_int_equal(serial_rx_room(&b->uart), 0);
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
    assert_int_equal(in(b, UART_RBR), 'a');
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, 0);
    assert_int_equal(in(b, UART_RBR), 'a'); /* it is still there */
    receive_text(b, "bc");
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_LSR) & UART_LSR_OE, 0); /* reading cleared it */
    assert_int_equal(in(b, UART_RBR), 'c');
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, 0);
}

/* 8.4 bit 1: with FIFOs what came first stays, and the character that did not fit is lost. */
static void fifo_overrun(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    out(b, UART_IER, UART_IER_RLS);
    assert_int_equal(serial_rx_room(&b->uart), 16);
    receive_text(b, "0123456789abcdef");
    assert_int_equal(serial_rx_room(&b->uart), 0);
    assert_false(b->wires.level);
    receive_text(b, "g");
    assert_true(b->wires.level);
    assert_int_equal(iir(b), UART_IIR_RLS);
    assert_int_equal(iir(b), UART_IIR_RLS); /* table 4: reading IIR does not clear it */
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
    assert_false(b->wires.level);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(in(b, UART_RBR), "0123456789abcdef"[i]);
    }
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_RBR), 0);
}

/* An overrun is no property of a character: clearing the FIFO keeps it, reading LSR clears it. */
static void overrun_outlives_the_fifo(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    receive_text(b, "0123456789abcdefg");
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX);
    assert_int_equal(in(b, UART_LSR), UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
}

/* The FIFO is a ring: order is kept however often it has gone round. */
static void fifo_goes_round(void **state)
{
    struct bench *b = *state;
    uint8_t next_in = 0, next_out = 0;
    out(b, UART_FCR, UART_FCR_ENABLE);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 11; i++, next_in++) {
            serial_receive(&b->uart, &next_in, 1);
        }
        for (unsigned i = 0; i < 11; i++, next_out++) {
            assert_int_equal(in(b, UART_RBR), next_out);
        }
    }
}

/* 8.5 bits 6 and 7, 8.11: RDA from the trigger level on, and gone as soon as there is less. */
static void trigger_levels(void **state)
{
    static const unsigned levels[] = {1, 4, 8, 14};
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_RDA);
    for (unsigned i = 0; i < 4; i++) {
        out(b, UART_FCR, (uint8_t)(UART_FCR_ENABLE | UART_FCR_CLEAR_RX | i << 6));
        for (unsigned n = 1; n <= 16; n++) {
            receive_text(b, "x");
            assert_int_equal(b->wires.level, n >= levels[i]);
            assert_int_equal(iir(b), n >= levels[i] ? UART_IIR_RDA : UART_IIR_NONE);
        }
        for (unsigned n = 16; n-- > 0;) {
            in(b, UART_RBR);
            assert_int_equal(b->wires.level, n >= levels[i]);
        }
    }
}

/* A trigger level of a FIFO that is off does not count. */
static void no_trigger_without_fifo(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, FIFO_14);
    out(b, UART_FCR, 0);
    out(b, UART_IER, UART_IER_RDA);
    receive_text(b, "x");
    assert_int_equal(in(b, UART_IIR), UART_IIR_RDA);
}

/* 8.6, table 4: the order of the sources, and what ends each. */
static void interrupt_order(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE | 0x40);
    out(b, UART_MCR, UART_MCR_LOOP); /* a modem change */
    out(b, UART_MCR, 0);
    receive_text(b, "1234");
    serial_receive_break(&b->uart);
    receive_text(b, "0123456789abcdef"); /* an overrun */
    out(b, UART_IER, 0xf);

    assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_RLS);
    in(b, UART_LSR);
    assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_RDA);
    for (unsigned i = 0; i < 4; i++) {
        in(b, UART_RBR);
    }
    assert_int_equal(iir(b), UART_IIR_RLS); /* the break has come to the front */
    in(b, UART_LSR);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(iir(b), UART_IIR_RDA);
        in(b, UART_RBR);
    }
    pass(b, 1000000000);
    assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_TIMEOUT);
    in(b, UART_RBR);
    assert_int_equal(iir(b), UART_IIR_THRE); /* this read cleared it */
    assert_int_equal(iir(b), UART_IIR_MSI);
    assert_true(b->wires.level);
    in(b, UART_MSR);
    assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_NONE);
    assert_false(b->wires.level);
    assert_int_equal(b->wires.rises, 1); /* it never went down in between */
}

/* 8.6: reading IIR clears THRE only when THRE is what it reports, and never the receiver's. */
static void iir_clears_only_what_it_reports(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_RDA | UART_IER_THRE);
    receive_text(b, "r");
    assert_int_equal(iir(b), UART_IIR_RDA);
    assert_int_equal(iir(b), UART_IIR_RDA);
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
    assert_int_equal(in(b, UART_RBR), 'r');
    assert_int_equal(iir(b), UART_IIR_THRE);
    assert_int_equal(iir(b), UART_IIR_NONE);
}

/* 8.7: a disabled source interrupts nobody, and is there when it is enabled. */
static void enabling_shows_what_waits(void **state)
{
    struct bench *b = *state;
    receive_text(b, "12");
    out(b, UART_MCR, UART_MCR_LOOP);
    assert_int_equal(iir(b), UART_IIR_NONE);
    static const struct {
        uint8_t ier, iir;
    } cases[] = {{UART_IER_MSI, UART_IIR_MSI},
                 {UART_IER_THRE, UART_IIR_THRE},
                 {UART_IER_RDA, UART_IIR_RDA},
                 {UART_IER_RLS, UART_IIR_RLS}};
    for (unsigned i = 0; i < 4; i++) {
        out(b, UART_IER, cases[i].ier);
        assert_true(b->wires.level);
        assert_int_equal(iir(b), cases[i].iir);
        out(b, UART_IER, 0);
        assert_false(b->wires.level);
    }
}

/* 8.4 bits 4 and 7: a break is a null character, its error shows when it is next to be read. */
static void break_in_the_fifo(void **state)
{
    const uint8_t idle = UART_LSR_THRE | UART_LSR_TEMT;
    struct bench *b = *state;
    out(b, UART_FCR, FIFO_14);
    out(b, UART_IER, UART_IER_RLS);
    receive_text(b, "a");
    serial_receive_break(&b->uart);
    receive_text(b, "b");
    serial_receive_break(&b->uart);
    assert_false(b->wires.level);
    assert_int_equal(in(b, UART_LSR), idle | UART_LSR_DR | UART_LSR_FIFO_ERROR);
    assert_int_equal(in(b, UART_RBR), 'a');
    assert_true(b->wires.level);
    assert_int_equal(in(b, UART_LSR), idle | UART_LSR_DR | UART_LSR_BI | UART_LSR_FIFO_ERROR);
    assert_false(b->wires.level);
    assert_int_equal(in(b, UART_LSR), idle | UART_LSR_DR | UART_LSR_FIFO_ERROR); /* the second */
    assert_int_equal(in(b, UART_RBR), 0);
    assert_int_equal(in(b, UART_RBR), 'b');
    assert_int_equal(in(b, UART_LSR), idle | UART_LSR_DR | UART_LSR_BI | UART_LSR_FIFO_ERROR);
    assert_int_equal(in(b, UART_LSR), idle | UART_LSR_DR);
    assert_int_equal(in(b, UART_RBR), 0);
    assert_int_equal(in(b, UART_LSR), idle);
}

static void break_is_cleared_with_the_fifo(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    serial_receive_break(&b->uart);
    receive_text(b, "x");
    serial_receive_break(&b->uart);
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    receive_text(b, "abcd"); /* where the breaks were */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
        in(b, UART_RBR);
    }
}

static void break_into_a_full_fifo(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    receive_text(b, "0123456789abcdef");
    serial_receive_break(&b->uart);
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
}

/* Bit 7 of LSR is 0 without FIFOs. */
static void break_without_fifo(void **state)
{
    struct bench *b = *state;
    receive_text(b, "a");
    serial_receive_break(&b->uart);
    assert_int_equal(in(b, UART_LSR),
                     UART_LSR_DR | UART_LSR_OE | UART_LSR_BI | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_RBR), 0);
    serial_receive_break(&b->uart);
    receive_text(b, "b");
    assert_int_equal(in(b, UART_LSR),
                     UART_LSR_DR | UART_LSR_OE | UART_LSR_BI | UART_LSR_THRE | UART_LSR_TEMT);
}

/* 8.11: four character times, which follow from the divisor (8.3) and the frame (8.1). */
static void timeout_length(void **state)
{
    /* 16 * divisor / 1843200 seconds a bit */
    static const struct {
        unsigned divisor;
        uint8_t lcr;
        unsigned half_bits; /* of one character */
    } cases[] = {
        {1, 0x03, 20},                      /* 115200 8N1: 347 us */
        {12, 0x03, 20},                     /* 9600 8N1 */
        {12, 0x00, 14},                     /* 5N1 */
        {12, 0x01, 16},                     /* 6N1 */
        {12, 0x02, 18},                     /* 7N1 */
        {12, UART_LCR_STOP | 0x00, 15},     /* 5N1.5 */
        {12, UART_LCR_STOP | 0x01, 18},     /* 6N2 */
        {12, UART_LCR_PARITY | 0x03, 22},   /* 8E1 */
        {2304, UART_LCR_PARITY | 0x07, 24}, /* 50 baud 8E2: 960 ms */
        {0, 0x03, 20},                      /* counts as 1 */
    };
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_RDA);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out(b, UART_LCR, UART_LCR_DLAB);
        out(b, UART_DLL, cases[i].divisor & 0xff);
        out(b, UART_DLM, (uint8_t)(cases[i].divisor >> 8));
        out(b, UART_LCR, cases[i].lcr);
        out(b, UART_FCR, FIFO_14 | UART_FCR_CLEAR_RX);
        receive_text(b, "x");
        unsigned divisor = cases[i].divisor ? cases[i].divisor : 1;
        uint64_t expected = 4ull * cases[i].half_bits * 8 * divisor * 1000000000 / 1843200;
        assert_int_equal(b->wires.deadline - b->wires.now, expected);
        pass(b, expected - 1);
        assert_false(b->wires.level);
        pass(b, 1);
        assert_true(b->wires.level);
        assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_TIMEOUT);
        assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_TIMEOUT);
        out(b, UART_IER, UART_IER_MSI); /* RDA's bit enables it */
        assert_false(b->wires.level);
        out(b, UART_IER, UART_IER_RDA);
        assert_true(b->wires.level);
        unsigned arms = b->wires.arms;
        in(b, UART_RBR);
        assert_false(b->wires.level);
        assert_int_equal(b->wires.arms, arms); /* the timer has gone off: nothing to stop */
    }
    out(b, UART_LCR, UART_LCR_DLAB); /* 28 baud: slower than any terminal */
    out(b, UART_DLL, 0xff);
    out(b, UART_DLM, 0xff);
    out(b, UART_LCR, 0x07);
    receive_text(b, "x");
    assert_int_equal(b->wires.deadline - b->wires.now, 1000000000);
}

/* 8.11: each character that comes and each that is read starts the time anew. */
static void timeout_starts_anew(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, FIFO_14);
    out(b, UART_IER, UART_IER_RDA);
    receive_text(b, "ab");
    uint64_t length = b->wires.deadline - b->wires.now;
    pass(b, length - 1);
    receive_text(b, "c");
    pass(b, length - 1);
    assert_false(b->wires.level);
    in(b, UART_RBR);
    pass(b, length - 1);
    assert_false(b->wires.level);
    in(b, UART_LSR); /* this does not count as reading */
    out(b, UART_SCR, 1);
    pass(b, 1);
    assert_true(b->wires.level);
    receive_text(b, "d"); /* does not end it */
    assert_int_equal(iir(b), UART_IIR_TIMEOUT);
    assert_int_equal(b->wires.deadline, 0);
    in(b, UART_RBR); /* this does, and there is more to read */
    assert_false(b->wires.level);
    pass(b, length);
    assert_true(b->wires.level);
}

/* At the trigger level RDA is there anyway; below it the time-out tells of the rest. */
static void timeout_tells_of_the_rest(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE | 0x40);
    out(b, UART_IER, UART_IER_RDA);
    receive_text(b, "abcd");
    assert_int_equal(b->wires.deadline, 0);
    assert_int_equal(iir(b), UART_IIR_RDA);
    in(b, UART_RBR);
    assert_false(b->wires.level);
    pass(b, 1000000000);
    assert_int_equal(iir(b), UART_IIR_TIMEOUT);
    receive_text(b, "e");
    assert_int_equal(iir(b), UART_IIR_RDA);
    in(b, UART_RBR);
    assert_int_equal(iir(b), UART_IIR_NONE);
    out(b, UART_FCR, UART_FCR_ENABLE); /* trigger 1 */
    assert_int_equal(iir(b), UART_IIR_RDA);
    assert_int_equal(b->wires.deadline, 0);
    out(b, UART_FCR, FIFO_14);
    assert_true(b->wires.deadline != 0);
}

/* The timer does not outlive its reason, nor does a callback that was already under way. */
static void timeout_is_cancelled(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_RDA);
    for (unsigned i = 0; i < 4; i++) {
        out(b, UART_FCR, FIFO_14);
        receive_text(b, "x");
        uint64_t deadline = b->wires.deadline;
        assert_true(deadline != 0);
        switch (i) {
        case 0:
            in(b, UART_RBR);
            break;
        case 1:
            out(b, UART_FCR, FIFO_14 | UART_FCR_CLEAR_RX);
            break;
        case 2:
            out(b, UART_FCR, 0);
            break;
        default:
            bus_reset(&b->bus);
            out(b, UART_IER, UART_IER_RDA);
            break;
        }
        assert_int_equal(b->wires.deadline, 0);
        b->wires.now = deadline;
        serial_timeout(&b->uart);
        assert_int_equal(iir(b), UART_IIR_NONE);
    }
    out(b, UART_FCR, FIFO_14);
    receive_text(b, "x");
    uint64_t early = b->wires.deadline;
    b->wires.now++;
    receive_text(b, "y"); /* moves the deadline past that of the callback under way */
    b->wires.now = early;
    serial_timeout(&b->uart);
    assert_int_equal(iir(b), UART_IIR_NONE);
    pass(b, 1);
    assert_int_equal(iir(b), UART_IIR_TIMEOUT);
    out(b, UART_FCR, FIFO_14 | UART_FCR_CLEAR_RX);
    assert_false(b->wires.level);
}

/* 8.11 is about FIFOs: without them there is no time-out. */
static void no_timeout_without_fifo(void **state)
{
    struct bench *b = *state;
    receive_text(b, "x");
    in(b, UART_RBR);
    receive_text(b, "y");
    assert_int_equal(b->wires.arms, 0);
}

/* The far end hears of room once the receiver was full, and may fill it at once. */
static void room_is_announced(void **state)
{
    struct bench *b = *state;
    receive_text(b, "0");
    memcpy(b->waiting, "123", 3);
    b->waiting_count = 3;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(in(b, UART_RBR), '0' + i);
        assert_int_equal(b->room_announced, i + 1);
    }
    in(b, UART_RBR);
    assert_int_equal(b->room_announced, 4); /* there was room before */

    receive_text(b, "x");
    memcpy(b->waiting, "abcdefghijklmnop", 16);
    b->waiting_count = 16;
    out(b, UART_IER, UART_IER_RDA);
    out(b, UART_FCR, FIFO_14); /* clears, and makes room for 16 */
    assert_int_equal(b->room_announced, 5);
    assert_int_equal(serial_rx_room(&b->uart), 0);
    assert_true(b->wires.level);
    in(b, UART_RBR);
    assert_int_equal(b->room_announced, 6);
}

static void nothing_received(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, FIFO_14);
    serial_receive(&b->uart, NULL, 0);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(b->wires.arms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(holding_register),
        BENCH_TEST(fifo_overrun),
        BENCH_TEST(overrun_outlives_the_fifo),
        BENCH_TEST(fifo_goes_round),
        BENCH_TEST(trigger_levels),
        BENCH_TEST(no_trigger_without_fifo),
        BENCH_TEST(interrupt_order),
        BENCH_TEST(iir_clears_only_what_it_reports),
        BENCH_TEST(enabling_shows_what_waits),
        BENCH_TEST(break_in_the_fifo),
        BENCH_TEST(break_is_cleared_with_the_fifo),
        BENCH_TEST(break_into_a_full_fifo),
        BENCH_TEST(break_without_fifo),
        BENCH_TEST(timeout_length),
        BENCH_TEST(timeout_starts_anew),
        BENCH_TEST(timeout_tells_of_the_rest),
        BENCH_TEST(timeout_is_cancelled),
        BENCH_TEST(no_timeout_without_fifo),
        BENCH_TEST(room_is_announced),
        BENCH_TEST(nothing_received),
    };
    return cmocka_run_group_tests_name("serial_rx", tests, NULL, NULL);
}
