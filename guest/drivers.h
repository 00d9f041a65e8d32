/*
 * drivers.h: the drivers of the virtio devices, as the shell's commands use them.
 */
#ifndef GUEST_DRIVERS_H
#define GUEST_DRIVERS_H

#include <stdbool.h>
#include <stdint.h>

/* rng.c: fills SIZE bytes, static or of page_alloc(), at most. How many came; 0: none within 30 s;
 * -1: there is no such device. */
int rng_read(void *bytes, uint32_t size);

#endif
