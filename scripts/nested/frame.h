#ifndef NESTED_FRAME_H
#define NESTED_FRAME_H

/*
 * frame.h: what the nested machine and its host (session.py) say to each other, in frames over one
 * virtio-serial port.  The host sends a command and its input; init sends back its output and how
 * it ended.
 */
#include <stddef.h>
#include <stdint.h>

/* Each frame is this header, then LENGTH bytes.  Little-endian, as both sides are. */
struct frame {
    uint32_t type;
    uint32_t length;
};

enum {
    FRAME_READY = 'B',   /* to the host: waits for the setup */
    FRAME_SETUP = 'C',   /* to init: see receive_setup() in init.c */
    FRAME_INPUT = 'I',   /* to init: bytes for stdin; no bytes: its end */
    FRAME_WINDOW = 'W',  /* to init: uint16_t rows, columns */
    FRAME_SIGNAL = 'S',  /* to init: uint32_t number, for the foreground processes */
    FRAME_STARTED = 'R', /* to the host: the command runs */
    FRAME_OUTPUT = 'O',  /* to the host: bytes of stdout */
    FRAME_ERRORS = 'E',  /* to the host: bytes of stderr */
    FRAME_TTY = 'T',     /* to the host: bytes of the terminal */
    FRAME_CREDIT = 'K',  /* to the host: uint32_t bytes of input that were used */
    FRAME_STATUS = 'X',  /* to the host: uint32_t, as of wait(2); nothing follows */
    FRAME_NO_EXEC = 'N', /* to the host: uint32_t errno of execvp(); nothing follows */
    FRAME_TROUBLE = 'F', /* to the host: text; nothing follows */
};

enum {
    INPUT_SIZE = 65536,   /* as much input as the host may send ahead */
    SETUP_MAX = 16 << 20, /* bytes of the setup frame */
};

/* Waits until all is written.  Errors are ignored: without the host there is nothing left to do. */
void write_all(int fd, const void *data, size_t size);

void send_frame(int port, uint32_t type, const void *data, size_t size);
void send_number(int port, uint32_t type, uint32_t number);

/* Reads SIZE bytes, and waits for the host to send them. */
void read_all(int port, void *data, size_t size);

/*
 * Ends the machine with a message on the console and, where PORT is not -1, to the host; errno is
 * explained unless it is 0.
 */
__attribute__((noreturn, format(printf, 2, 3))) void fail(int port, const char *format, ...);

#endif
