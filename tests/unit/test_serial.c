/*
 * test_serial.c: the 16550A's registers, transmitter, modem lines and loopback (PC16550D data
 * sheet; the section is named at each test).  test_serial_rx.c has the receiver.
 */
#include "serial_bench.h"

/* Table 3, and what QEMU's UART shows after reset. */
static void reset_values(void **state)
{
    struct bench *b = *state;
    assert_int_equal(in(b, UART_IER), 0);
    assert_int_equal(in(b, UART_IIR), UART_IIR_NONE);
    assert_int_equal(in(b, UART_LCR), 0);
    assert_int_equal(in(b, UART_MCR), UART_MCR_OUT2);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_MSR), UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
    assert_int_equal(in(b, UART_RBR), 0);
    assert_int_equal(in(b, UART_SCR), 0);
    out(b, UART_LCR, UART_LCR_DLAB);
    assert_int_equal(in(b, UART_DLL), 12);
    assert_int_equal(in(b, UART_DLM), 0);
}

static void reset_undoes_everything(void **state)
{
    struct bench *b = *state;
    out(b, UART_LCR, UART_LCR_DLAB);
    out(b, UART_DLL, 1);
    out(b, UART_DLM, 1);
    out(b, UART_LCR, 3);
    out(b, UART_SCR, 9);
    out(b, UART_FCR, UART_FCR_ENABLE | 0x40);
    out(b, UART_IER, 0xf);
    receive_text(b, "x");
    b->room = 0;
    out(b, UART_THR, 'y');
    out(b, UART_MCR, 3);
    assert_true(b->wires.deadline != 0);
    serial_receive_break(&b->uart);
    receive_text(b, "0123456789abcdef"); /* overruns */
    assert_true(b->wires.level);
    bus_reset(&b->bus);
    assert_false(b->wires.level);
    assert_int_equal(b->wires.deadline, 0);
    assert_int_equal(b->room_announced, 1);
    reset_values(state);
    out(b, UART_LCR, 0);
    out(b, UART_IER, UART_IER_RDA | UART_IER_RLS | UART_IER_MSI);
    assert_int_equal(iir(b), UART_IIR_NONE);
}

static void reset_stops_the_timer(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE | 0x40);
    receive_text(b, "x");
    assert_true(b->wires.deadline != 0);
    bus_reset(&b->bus);
    assert_int_equal(b->wires.deadline, 0);
}

/* 8.10; and 8.7, 8.8: bits that do not exist read as 0. */
static void bits_that_stick(void **state)
{
    struct bench *b = *state;
    static const struct {
        uint8_t offset, mask;
    } cases[] = {{UART_SCR, 0xff}, {UART_IER, 0x0f}, {UART_MCR, 0x1f}, {UART_LCR, 0xff}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out(b, cases[i].offset, 0xff);
        assert_int_equal(in(b, cases[i].offset), cases[i].mask);
        out(b, cases[i].offset, 0x55);
        assert_int_equal(in(b, cases[i].offset), 0x55 & cases[i].mask);
        out(b, cases[i].offset, 0);
        assert_int_equal(in(b, cases[i].offset), 0);
    }
}

/* Whichever of them is written last, the others keep what they had. */
static void registers_are_independent(void **state)
{
    static const struct {
        uint8_t offset, value;
    } regs[] = {{UART_IER, 0x05}, {UART_LCR, 0x1b}, {UART_MCR, 0x0e}, {UART_SCR, 0xa5}};
    struct bench *b = *state;
    for (unsigned last = 0; last < 4; last++) {
        for (unsigned i = 1; i <= 4; i++) {
            out(b, regs[(last + i) % 4].offset, regs[(last + i) % 4].value);
        }
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(in(b, regs[i].offset), regs[i].value);
        }
    }
    out(b, UART_LCR, UART_LCR_DLAB);
    out(b, UART_DLM, 0x12);
    out(b, UART_DLL, 0x34);
    assert_int_equal(in(b, UART_DLM), 0x12);
}

/* 8.4, 8.9: LSR and MSR are meant for reading; 8.5: FCR is a register of its own, not LCR. */
static void writes_that_change_nothing_else(void **state)
{
    struct bench *b = *state;
    out(b, UART_LCR, 0x1b);
    out(b, UART_SCR, 0x5a);
    out(b, UART_LSR, 0xff);
    out(b, UART_MSR, 0xff);
    out(b, UART_FCR, 0xc7);
    assert_int_equal(in(b, UART_LCR), 0x1b);
    assert_int_equal(in(b, UART_SCR), 0x5a);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_MSR), UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
}

/* 8.1 bit 7, 8.3: the divisor latch is behind DLAB, and nothing else is. */
static void divisor_latch(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, 5);
    receive_text(b, "r");
    out(b, UART_LCR, UART_LCR_DLAB | 3);
    out(b, UART_DLL, 0x34);
    out(b, UART_DLM, 0x12);
    assert_int_equal(in(b, UART_DLL), 0x34);
    assert_int_equal(in(b, UART_DLM), 0x12);
    assert_int_equal(iir(b), UART_IIR_RDA);
    assert_int_equal(b->sent_count, 0);
    out(b, UART_LCR, 3);
    assert_int_equal(in(b, UART_IER), 5);
    assert_int_equal(in(b, UART_RBR), 'r');
    out(b, UART_LCR, UART_LCR_DLAB);
    assert_int_equal(in(b, UART_DLL), 0x34);
}

static void register_names(void **state)
{
    struct bench *b = *state;
    static const char *const plain[8][2] = {{"RBR", "THR"}, {"IER", "IER"}, {"IIR", "FCR"},
                                            {"LCR", "LCR"}, {"MCR", "MCR"}, {"LSR", "LSR"},
                                            {"MSR", "MSR"}, {"SCR", "SCR"}};
    for (unsigned dlab = 0; dlab < 2; dlab++) {
        out(b, UART_LCR, dlab ? UART_LCR_DLAB : 0);
        for (unsigned i = 0; i < 8; i++) {
            for (unsigned write = 0; write < 2; write++) {
                const char *expected = dlab && i < 2 ? (i ? "DLM" : "DLL") : plain[i][write];
                assert_string_equal(serial_ops.reg_name(&b->uart, i, write), expected);
            }
        }
    }
    assert_null(serial_ops.reg_name(&b->uart, 8, false));
}

/* 8.12: a polled transmitter is always ready while the far end takes what comes. */
static void transmit_polled(void **state)
{
    struct bench *b = *state;
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        b->sent_count = 0;
        out(b, UART_FCR, fifo ? UART_FCR_ENABLE : 0);
        for (const char *c = "hello, world: more than sixteen"; *c; c++) {
            assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
            out(b, UART_THR, (uint8_t)*c);
        }
        assert_memory_equal(b->sent, "hello, world: more than sixteen", b->sent_count);
        assert_int_equal(b->sent_count, 31);
    }
}

/* The word length is the far end's business: QEMU's UART does not mask data either. */
static void five_bit_words_pass_whole(void **state)
{
    struct bench *b = *state;
    out(b, UART_LCR, 0);
    out(b, UART_THR, 0xe4);
    assert_int_equal(b->sent[0], 0xe4);
}

static void no_far_end(void **state)
{
    struct bench *b = *state;
    b->uart.backend = (struct serial_backend){0};
    out(b, UART_THR, 'x');
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    receive_text(b, "r");
    assert_int_equal(in(b, UART_RBR), 'r'); /* there is room again, and nobody to tell */
}

/* 8.4 bits 5 and 6, 8.7 bit 1: a far end without room keeps the transmitter full. */
static void refused_bytes_wait_in_order(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    out(b, UART_IER, UART_IER_THRE);
    assert_int_equal(iir(b), UART_IIR_THRE);
    b->room = 0;
    for (uint8_t i = 0; i < UART_FIFO_DEPTH; i++) {
        out(b, UART_THR, 'a' + i);
        assert_int_equal(in(b, UART_LSR), 0);
    }
    out(b, UART_THR, '!'); /* the FIFO is full: lost */
    out(b, UART_SCR, 0);
    assert_int_equal(b->send_calls, 1); /* it said no, and is not asked again */
    assert_int_equal(iir(b), UART_IIR_NONE);
    assert_false(b->wires.level);

    b->room = 5;
    serial_tx_ready(&b->uart);
    assert_int_equal(b->sent_count, 5);
    assert_int_equal(in(b, UART_LSR),
                     0); /* THRE means that the FIFO is empty, not that it has room */
    assert_false(b->wires.level);
    b->room = 64;
    serial_tx_ready(&b->uart);
    assert_memory_equal(b->sent, "abcdefghijklmnop", 16);
    assert_int_equal(b->sent_count, 16);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_true(b->wires.level);
    assert_int_equal(iir(b), UART_IIR_THRE);
    serial_tx_ready(&b->uart); /* nothing waits */
    assert_int_equal(b->sent_count, 16);
    assert_false(b->wires.level);
}

/* Without FIFOs there is one holding register, and writing it again replaces the byte. */
static void refused_byte_is_overwritten(void **state)
{
    struct bench *b = *state;
    b->room = 0;
    out(b, UART_THR, 'a');
    out(b, UART_THR, 'b');
    assert_int_equal(in(b, UART_LSR), 0);
    b->room = 64;
    serial_tx_ready(&b->uart);
    assert_int_equal(b->sent_count, 1);
    assert_int_equal(b->sent[0], 'b');
}

/* 8.7 bit 1; that enabling it interrupts at once is what drivers rely on. */
static void thre_interrupt_when_enabled(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_THRE);
    assert_true(b->wires.level);
    assert_int_equal(b->wires.gsi, 4);
    assert_int_equal(iir(b), UART_IIR_THRE);
    assert_false(b->wires.level);
    out(b, UART_IER, UART_IER_THRE); /* no rising edge */
    assert_false(b->wires.level);
    out(b, UART_IER, 0);
    out(b, UART_IER, UART_IER_THRE);
    assert_true(b->wires.level);
    assert_int_equal(b->wires.rises, 2);

    b->room = 0;
    out(b, UART_THR, 'x');
    out(b, UART_IER, 0);
    out(b, UART_IER, UART_IER_THRE); /* not empty */
    assert_false(b->wires.level);
}

/* 8.6, table 4: writing THR ends the interrupt too; the next one is a new edge, even if the guest
 * never reads IIR. */
static void thre_interrupt_ends_by_writing(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_THRE);
    assert_int_equal(b->wires.rises, 1);
    out(b, UART_THR, 'x');
    assert_int_equal(b->wires.rises, 2);
    b->room = 0;
    out(b, UART_THR, 'y');
    assert_false(b->wires.level);
    b->room = 1;
    serial_tx_ready(&b->uart);
    assert_int_equal(b->wires.rises, 3);
}

/* 8.5 bit 0: without it the other bits are not programmed; a change of it clears the FIFOs. */
static void fcr_enable_gates(void **state)
{
    struct bench *b = *state;
    receive_text(b, "r");
    out(b, UART_FCR, UART_FCR_CLEAR_RX | UART_FCR_CLEAR_TX | UART_FCR_TRIGGER);
    assert_int_equal(in(b, UART_IIR), UART_IIR_NONE);
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
    out(b, UART_FCR, UART_FCR_ENABLE);
    assert_int_equal(in(b, UART_IIR), UART_IIR_FIFO | UART_IIR_NONE);
    assert_int_equal(in(b, UART_LSR) & UART_LSR_DR, 0);
    receive_text(b, "rs");
    b->room = 0;
    out(b, UART_THR, 't');
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_TRIGGER); /* no change of bit 0 */
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR);
    out(b, UART_FCR, UART_FCR_TRIGGER);
    assert_int_equal(in(b, UART_IIR), UART_IIR_NONE);
    assert_int_equal(in(b, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    b->room = 64;
    serial_tx_ready(&b->uart);
    assert_int_equal(b->sent_count, 0);
}

/* 8.5 bits 1 and 2: each clears one FIFO, and emptying the transmitter interrupts. */
static void fcr_clears(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    out(b, UART_IER, UART_IER_THRE);
    assert_int_equal(iir(b), UART_IIR_THRE);
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_TX); /* was empty: no event */
    assert_int_equal(iir(b), UART_IIR_NONE);
    b->room = 0;
    out(b, UART_THR, 't');
    receive_text(b, "r");
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX);
    assert_int_equal(in(b, UART_LSR), 0);
    receive_text(b, "r");
    out(b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_TX);
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(iir(b), UART_IIR_THRE);
    assert_int_equal(b->sent_count, 0);
}

/* 8.8 bit 4: the four outputs reach the four inputs; 8.9: the changes, and TERI only on the
 * trailing edge. */
static void loopback_modem_lines(void **state)
{
    static const struct {
        uint8_t mcr, msr;
    } steps[] = {
        {0, UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD}, /* the far end's lines fall */
        {UART_MCR_DTR, UART_MSR_DSR | UART_MSR_DDSR},
        {UART_MCR_DTR, UART_MSR_DSR},
        {UART_MCR_RTS, UART_MSR_CTS | UART_MSR_DCTS | UART_MSR_DDSR},
        {UART_MCR_OUT2, UART_MSR_DCD | UART_MSR_DDCD | UART_MSR_DCTS},
        {UART_MCR_OUT1, UART_MSR_RI | UART_MSR_DDCD}, /* the leading edge of RI is not reported */
        {UART_MCR_OUT1 | UART_MCR_DTR, UART_MSR_RI | UART_MSR_DSR | UART_MSR_DDSR},
        {0, UART_MSR_TERI | UART_MSR_DDSR},
        {0, 0},
        {0xf, 0xb0 | UART_MSR_RI | UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD},
    };
    struct bench *b = *state;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        out(b, UART_MCR, UART_MCR_LOOP | steps[i].mcr);
        assert_int_equal(in(b, UART_MSR), steps[i].msr);
        assert_int_equal(in(b, UART_MSR), steps[i].msr & 0xf0); /* reading cleared the changes */
    }
    out(b, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR); /* changes add up until they are read */
    out(b, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_OUT2);
    assert_int_equal(in(b, UART_MSR), 0xa0 | UART_MSR_DCTS | UART_MSR_DDCD | UART_MSR_TERI);
    out(b, UART_MCR, UART_MCR_LOOP | 0xf);
    in(b, UART_MSR);
    out(b, UART_MCR, 0); /* back to the far end, whose RI is low */
    assert_int_equal(in(b, UART_MSR), 0xb0 | UART_MSR_TERI);
    out(b, UART_MCR, 0xf); /* without loopback the outputs change nothing here */
    assert_int_equal(in(b, UART_MSR), 0xb0);
}

/* 8.7 bit 3, table 4: reset by reading MSR. */
static void modem_status_interrupt(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_MSI);
    out(b, UART_MCR, UART_MCR_LOOP);
    assert_true(b->wires.level);
    assert_int_equal(iir(b), UART_IIR_MSI);
    assert_int_equal(iir(b), UART_IIR_MSI); /* reading IIR does not clear it */
    in(b, UART_MSR);
    assert_false(b->wires.level);
}

/* The line is not gated by OUT2, in loopback or out of it, as with QEMU. */
static void out2_does_not_gate(void **state)
{
    struct bench *b = *state;
    out(b, UART_MCR, 0);
    receive_text(b, "r");
    out(b, UART_IER, UART_IER_RDA);
    assert_true(b->wires.level);
}

/* 8.8 bit 4: what is sent is received, and the wire is cut in both directions. */
static void loopback_data(void **state)
{
    struct bench *b = *state;
    out(b, UART_IER, UART_IER_RDA);
    out(b, UART_MCR, UART_MCR_LOOP);
    assert_int_equal(serial_rx_room(&b->uart), 0);
    out(b, UART_THR, 0xa5);
    assert_int_equal(b->send_calls, 0);
    assert_true(b->wires.level); /* "interrupts are fully operational" */
    receive_text(b, "wire");
    serial_receive_break(&b->uart);
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_RBR), 0xa5);
    assert_false(b->wires.level);
    assert_int_equal(b->room_announced, 0);
    memcpy(b->waiting, "w", 1);
    b->waiting_count = 1;
    out(b, UART_MCR, 0);
    assert_int_equal(b->room_announced, 1);
    assert_int_equal(in(b, UART_RBR), 'w');
}

static void loopback_overruns_and_times_out(void **state)
{
    struct bench *b = *state;
    out(b, UART_MCR, UART_MCR_LOOP);
    out(b, UART_THR, 1);
    out(b, UART_THR, 2);
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_RBR), 2);
    out(b, UART_FCR, UART_FCR_ENABLE | 0x40);
    out(b, UART_IER, UART_IER_RDA);
    out(b, UART_THR, 3);
    pass(b, 1000000000);
    assert_int_equal(iir(b), UART_IIR_TIMEOUT);
}

/* What the far end had no room for goes round the loop, and is not sent later. */
static void loopback_takes_what_waits(void **state)
{
    struct bench *b = *state;
    out(b, UART_FCR, UART_FCR_ENABLE);
    b->room = 0;
    out(b, UART_THR, 'a');
    out(b, UART_THR, 'b');
    out(b, UART_MCR, UART_MCR_LOOP);
    assert_int_equal(in(b, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(b, UART_RBR), 'a');
    assert_int_equal(in(b, UART_RBR), 'b');
    out(b, UART_MCR, 0);
    b->room = 64;
    serial_tx_ready(&b->uart);
    assert_int_equal(b->sent_count, 0);
}

/* A far end may answer while it is being sent to. */
static void far_end_echoes(void **state)
{
    struct bench *b = *state;
    b->echo = true;
    out(b, UART_FCR, UART_FCR_ENABLE);
    out(b, UART_IER, UART_IER_RDA | UART_IER_THRE);
    out(b, UART_THR, 'e');
    assert_true(b->wires.level);
    assert_int_equal(iir(b), UART_IIR_RDA);
    assert_int_equal(in(b, UART_RBR), 'e');
    assert_int_equal(iir(b), UART_IIR_THRE);
    assert_false(b->wires.level);
}

/* A 16-bit access is two 8-bit ones, as on a PC's bus. */
static void wide_accesses(void **state)
{
    struct bench *b = *state;
    bus_write(&b->bus, UART_THR, 2, 0x0541);
    assert_int_equal(b->sent[0], 'A');
    assert_int_equal(in(b, UART_IER), 5);
    bus_write(&b->bus, UART_LCR, 4, 0x00001283); /* LCR, MCR, LSR, MSR */
    assert_int_equal(in(b, UART_LCR), 0x83);
    assert_int_equal(in(b, UART_MCR), 0x12);
    assert_int_equal(bus_read(&b->bus, UART_DLL, 2), 0x000c);
    assert_int_equal(bus_read(&b->bus, UART_SCR, 2), 0xffff); /* runs past the UART */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(reset_values),
        BENCH_TEST(reset_undoes_everything),
        BENCH_TEST(reset_stops_the_timer),
        BENCH_TEST(bits_that_stick),
        BENCH_TEST(registers_are_independent),
        BENCH_TEST(writes_that_change_nothing_else),
        BENCH_TEST(divisor_latch),
        BENCH_TEST(register_names),
        BENCH_TEST(transmit_polled),
        BENCH_TEST(five_bit_words_pass_whole),
        BENCH_TEST(no_far_end),
        BENCH_TEST(refused_bytes_wait_in_order),
        BENCH_TEST(refused_byte_is_overwritten),
        BENCH_TEST(thre_interrupt_when_enabled),
        BENCH_TEST(thre_interrupt_ends_by_writing),
        BENCH_TEST(fcr_enable_gates),
        BENCH_TEST(fcr_clears),
        BENCH_TEST(loopback_modem_lines),
        BENCH_TEST(modem_status_interrupt),
        BENCH_TEST(out2_does_not_gate),
        BENCH_TEST(loopback_data),
        BENCH_TEST(loopback_overruns_and_times_out),
        BENCH_TEST(loopback_takes_what_waits),
        BENCH_TEST(far_end_echoes),
        BENCH_TEST(wide_accesses),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
