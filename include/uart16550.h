/*
 * uart16550.h: registers of the 16550A UART (National Semiconductor PC16550D data sheet, table 2).
 * Offsets are from PORT_SERIAL.
 */
#ifndef KVMLENS_UART16550_H
#define KVMLENS_UART16550_H

#define UART_RBR 0 /* receiver buffer (read, DLAB=0) */
#define UART_THR 0 /* transmitter holding (write, DLAB=0) */
#define UART_DLL 0 /* divisor latch, low (DLAB=1) */
#define UART_IER 1 /* interrupt enable (DLAB=0) */
#define UART_DLM 1 /* divisor latch, high (DLAB=1) */
#define UART_IIR 2 /* interrupt identification (read) */
#define UART_FCR 2 /* FIFO control (write) */
#define UART_LCR 3 /* line control */
#define UART_MCR 4 /* modem control */
#define UART_LSR 5 /* line status */
#define UART_MSR 6 /* modem status */
#define UART_SCR 7 /* scratch */

#define UART_IER_RDA  0x01 /* received data available, and character time-out */
#define UART_IER_THRE 0x02 /* transmitter holding register empty */
#define UART_IER_RLS  0x04 /* receiver line status */
#define UART_IER_MSI  0x08 /* modem status */

#define UART_IIR_NONE    0x01 /* no interrupt pending */
#define UART_IIR_MSI     0x00
#define UART_IIR_THRE    0x02
#define UART_IIR_RDA     0x04
#define UART_IIR_RLS     0x06
#define UART_IIR_TIMEOUT 0x0c
#define UART_IIR_ID      0x0f /* mask of the identification bits */
#define UART_IIR_FIFO    0xc0 /* FIFOs are enabled */

#define UART_FCR_ENABLE   0x01
#define UART_FCR_CLEAR_RX 0x02
#define UART_FCR_CLEAR_TX 0x04
#define UART_FCR_DMA      0x08
#define UART_FCR_TRIGGER  0xc0 /* receive trigger level: 1, 4, 8, 14 bytes */

#define UART_LCR_WLEN   0x03 /* word length: 5 + value bits */
#define UART_LCR_STOP   0x04 /* two stop bits */
#define UART_LCR_PARITY 0x08
#define UART_LCR_BREAK  0x40
#define UART_LCR_DLAB   0x80 /* divisor latch access */

#define UART_MCR_DTR  0x01
#define UART_MCR_RTS  0x02
#define UART_MCR_OUT1 0x04
#define UART_MCR_OUT2 0x08 /* gates the interrupt line on a PC */
#define UART_MCR_LOOP 0x10

#define UART_LSR_DR         0x01 /* data ready */
#define UART_LSR_OE         0x02 /* overrun */
#define UART_LSR_PE         0x04
#define UART_LSR_FE         0x08
#define UART_LSR_BI         0x10 /* break */
#define UART_LSR_THRE       0x20 /* transmitter holding register (or FIFO) empty */
#define UART_LSR_TEMT       0x40 /* transmitter wholly empty */
#define UART_LSR_FIFO_ERROR 0x80

#define UART_MSR_DCTS 0x01 /* CTS changed; DDSR, TERI, DDCD follow */
#define UART_MSR_DDSR 0x02
#define UART_MSR_TERI 0x04
#define UART_MSR_DDCD 0x08
#define UART_MSR_CTS  0x10
#define UART_MSR_DSR  0x20
#define UART_MSR_RI   0x40
#define UART_MSR_DCD  0x80

#define UART_FIFO_DEPTH 16      /* bytes, each direction */
#define UART_CLOCK_HZ   1843200 /* input clock; baud = clock / (16 * divisor) */

#endif
