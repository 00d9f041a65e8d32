/*
 * backends.h: the host's halves of the virtio devices: disks, networks, character devices, sources
 * of randomness.  They are opened and checked before there is a VM, and outlive the guest's resets.
 */
#ifndef KVMLENS_BACKENDS_H
#define KVMLENS_BACKENDS_H

#include "error.h"
#include "host/loop.h"
#include "options.h"

struct disk;
struct netdev;
struct chardev;
struct rng_source;

/* By their numbers in struct options. Zero-initialise. */
struct backends {
    struct disk *disk[DRIVES_MAX];
    struct netdev *netdev[NETDEVS_MAX];
    struct chardev *chardev[CHARDEVS_MAX];
    struct rng_source *rng_source[RNG_SOURCES_MAX];
};

/* Opens all that OPTIONS name. -1 with *err (STATUS_USAGE or STATUS_IMAGE) at the first that
 * cannot be opened; backends_close() is still to be called. */
int backends_open(struct backends *backends, const struct options *options, struct loop *loop,
                  struct error *err);
void backends_close(struct backends *backends);

#endif
