/*
 * some_event.h: an exit for the tests of the trace.
 */
#ifndef KVMLENS_TEST_SOME_EVENT_H
#define KVMLENS_TEST_SOME_EVENT_H

#include "trace/event.h"

/* BYTE is written to the serial port. */
static inline struct trace_event serial_write(char byte)
{
    return (struct trace_event){.start_ns = 1234567,
                                .guest_ns = 8312,
                                .vmm_ns = 951,
                                .kind = VM_EXIT_PIO,
                                .write = true,
                                .size = 1,
                                .count = 1,
                                .addr = 0x3f8,
                                .data = {(uint8_t)byte},
                                .data_len = 1,
                                .device = "serial",
                                .reg = "THR",
                                .rip = 0x101234};
}

#endif
