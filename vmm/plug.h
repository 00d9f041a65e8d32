/*
 * plug.h: a virtio device of the command line, made and connected to its backend: one function for
 * each kind (plug_blk.c, plug_net.c, ...), called by slots.c.  They belong to the board: they know
 * the device and the host's half, which do not know each other.
 */
#ifndef KVMLENS_PLUG_H
#define KVMLENS_PLUG_H

#include "backends.h"
#include "error.h"
#include "mem.h"
#include "options.h"
#include "virtio/virtio.h"

#include <pthread.h>

struct plug_site {
    const struct options *options;
    struct backends *backends;
    const struct mem *mem;
    struct loop *loop;
    pthread_mutex_t *device_lock; /* held by whoever calls a device */
    struct device_remark remark;
};

/* A device in its slot; whoever plugged it in fills this in. */
struct plugged {
    struct virtio_device *dev;
    void (*unplug)(struct plugged *plugged); /* disconnects the backend and frees the device; no
                                                vCPU runs any more, the device lock is not held */
    void *opaque;                            /* the plug's own */
};

/* Makes the device OPTION. 0, or -1 with *err, and nothing to unplug. */
int plug_blk(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err);
int plug_net(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err);
int plug_serial(struct plugged *out, const struct plug_site *site,
                const struct virtio_option *option, struct error *err);
int plug_rng(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err);
int plug_balloon(struct plugged *out, const struct plug_site *site,
                 const struct virtio_option *option, struct error *err);

#endif
