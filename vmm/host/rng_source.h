/*
 * rng_source.h: where the entropy device's bytes come from: a file such as /dev/urandom, or
 * getrandom(2).  Reading never waits.
 */
#ifndef KVMLENS_RNG_SOURCE_H
#define KVMLENS_RNG_SOURCE_H

#include "../error.h"
#include "../options_devices.h"
#include "loop.h"

#include <stddef.h>

struct rng_source;

/* Opens OPTION (borrowed). -1 with *err (STATUS_USAGE: the file cannot be opened). */
int rng_source_open(struct rng_source **source, struct loop *loop,
                    const struct rng_source_option *option, struct error *err);
void rng_source_close(struct rng_source *source); /* may be NULL */

/* READY is called, with the loop's lock held, when rng_source_read() gave none and has bytes now;
 * NULL disconnects. With the loop's lock held, or while it does not run. */
void rng_source_connect(struct rng_source *source, void (*ready)(void *opaque), void *opaque);

/* Up to COUNT bytes; returns how many, 0 when there are none now. A source that fails, or ends, says
 * so once, and never has any more. */
size_t rng_source_read(struct rng_source *source, void *bytes, size_t count);

#endif
