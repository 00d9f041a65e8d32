/*
 * drivers.h: the drivers of the virtio devices, as the shell's commands use them.  Data is static,
 * or of page_alloc(): what the device reads and writes lies at its GPA.
 */
#ifndef GUEST_DRIVERS_H
#define GUEST_DRIVERS_H

#include <stdbool.h>
#include <stdint.h>
#include <virtio_blk.h>

/* blk.c */
#define BLK_DEPTH_MAX 64   /* requests under way */
#define BLK_NO_ANSWER 0xff /* a status that no device gives */

struct blk;
struct blk_request {
    struct virtio_blk_header header;
    uint8_t status; /* VIRTIO_BLK_S_... */
    struct blk_request *next;
};

/* The NTH disk (from 0); NULL: there is none. */
struct blk *blk_open(unsigned nth);
const struct virtio_blk_config *blk_config(const struct blk *blk);
bool blk_has(const struct blk *blk, unsigned feature);
/* Adds a request (VIRTIO_BLK_T_...) to the queue, for blk_kick() to announce. NULL: it is full. */
struct blk_request *blk_submit(struct blk *blk, uint32_t type, uint64_t sector, void *data,
                               uint32_t bytes);
void blk_kick(struct blk *blk);
/* A request that is done, valid until the next blk_submit(). NULL: none is; where it may SLEEP:
 * none was within 30 s. */
struct blk_request *blk_done(struct blk *blk, bool sleep);
/* One request from its beginning to its end: its status, or BLK_NO_ANSWER. */
uint8_t blk_do(struct blk *blk, uint32_t type, uint64_t sector, void *data, uint32_t bytes);
/* So far. */
void blk_costs(const struct blk *blk, uint64_t *notifications, uint64_t *interrupts);

/* rng.c: fills SIZE bytes at most. How many came; 0: none within 30 s; -1: there is no such
 * device. */
int rng_read(void *bytes, uint32_t size);

/* balloon.c. The four that do something move a MiB; false: there is none left, or no answer. */
bool balloon_open(void);       /* false: there is no such device */
uint32_t balloon_target(void); /* pages of 4 KiB that the host wants */
uint32_t balloon_actual(void); /* pages that it has */
bool balloon_reports(void);    /* free pages can be reported */
bool balloon_inflate(void);    /* the guest gives a MiB */
bool balloon_deflate(void);    /* takes one back, and writes to each page */
bool balloon_report(void);     /* tells the host of one that is free */
/* Does what the host wants for so long. Returns how often the host has asked for statistics. */
unsigned balloon_follow(uint64_t ticks);

/* console.c */
#define CON_PORTS_MAX 8
#define CON_READ_MAX  256
#define CON_NAME_SIZE 32
struct con_port {
    bool present, console;
    bool open;           /* at the host's end */
    uint16_t cols, rows; /* of port 0's window; 0: not known */
    char name[CON_NAME_SIZE];
};
bool con_open(void); /* and hears the device's news; false: there is no such device */
const struct con_port *con_port(unsigned nr); /* NULL: there is none */
bool con_write(unsigned nr, void *bytes, uint32_t size);
/* Up to CON_READ_MAX bytes; 0: none came in TICKS. */
uint32_t con_read(unsigned nr, uint8_t *to, uint64_t ticks);

#endif
