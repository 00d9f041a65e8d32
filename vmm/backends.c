/*
 * backends.c: opens the host's halves of the devices that the command line names.
 */
#include "backends.h"

#include "host/chardev.h"
#include "host/disk.h"
#include "host/netdev.h"
#include "host/rng_source.h"

int backends_open(struct backends *backends, const struct options *options, struct loop *loop,
                  struct error *err)
{
    const struct device_options *d = &options->devices;

    for (unsigned i = 0; i < d->chardev_count; i++)
        if (chardev_open(&backends->chardev[i], loop, &d->chardev[i], err) < 0)
            return -1;
    for (unsigned i = 0; i < d->drive_count; i++)
        if (disk_open(&backends->disk[i], &d->drive[i], err) < 0)
            return -1;
    for (unsigned i = 0; i < d->rng_source_count; i++)
        if (rng_source_open(&backends->rng_source[i], loop, &d->rng_source[i], err) < 0)
            return -1;
    return netdevs_open(backends->netdev, d, loop, err);
}

void backends_close(struct backends *backends)
{
    for (unsigned i = 0; i < CHARDEVS_MAX; i++)
        chardev_close(backends->chardev[i]);
    for (unsigned i = 0; i < DRIVES_MAX; i++)
        disk_close(backends->disk[i]);
    for (unsigned i = 0; i < RNG_SOURCES_MAX; i++)
        rng_source_close(backends->rng_source[i]);
    netdevs_close(backends->netdev);
    *backends = (struct backends){0};
}
