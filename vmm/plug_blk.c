/*
 * plug_blk.c: a virtio-blk device, connected to a disk of the host (see plug.h).
 */
#include "plug.h"

#include "host/disk.h"
#include "virtio/blk.h"

#include <stdlib.h>
#include <string.h>

struct blk_plug {
    struct virtio_blk blk;
    struct disk *disk;
    pthread_mutex_t *device_lock;
};

static void unplug(struct plugged *plugged)
{
    struct blk_plug *plug = plugged->opaque;

    pthread_mutex_lock(plug->device_lock);
    virtio_reset(&plug->blk.dev);
    pthread_mutex_unlock(plug->device_lock);
    disk_disconnect(plug->disk);
    free(plug);
}

int plug_blk(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err)
{
    struct disk *disk = site->backends->disk[option->blk.drive];
    struct blk_plug *plug = calloc(1, sizeof(*plug));
    struct block_backend backend;

    if (!plug)
        return error_set(err, STATUS_INTERNAL, "%s: out of memory", option->name);
    plug->disk = disk;
    plug->device_lock = site->device_lock;
    virtio_blk_init(&plug->blk, option->name, site->mem, site->remark, disk_info(disk),
                    option->blk.serial, !option->blk.fixed_cache);

    int status = disk_connect(disk, site->device_lock, virtio_blk_client(&plug->blk), &backend);

    if (status < 0) {
        free(plug);
        return error_set(err, STATUS_INTERNAL, "%s: cannot start a thread: %s", option->name,
                         strerror(-status));
    }
    virtio_blk_connect(&plug->blk, backend);
    *out = (struct plugged){.dev = &plug->blk.dev, .unplug = unplug, .opaque = plug};
    return 0;
}
