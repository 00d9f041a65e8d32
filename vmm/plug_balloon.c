/*
 * plug_balloon.c: a memory balloon (virtio-balloon-device), whose pages go back to the host with
 * madvise(2).
 */
#include "plug.h"

#include "log.h"
#include "virtio/balloon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NS_PER_S 1000000000ull

struct balloon_plug {
    struct balloon balloon;
    struct loop *loop;
    struct loop_timer timer;
    bool failed; /* and said so */
};

static void discard(void *opaque, void *host, uint64_t bytes)
{
    struct balloon_plug *plug = opaque;

    if (madvise(host, bytes, MADV_DONTNEED) == 0 || plug->failed)
        return;
    plug->failed = true;
    log_say("%s: the host keeps pages that the guest gave away: madvise: %s",
            plug->balloon.virtio.name, strerror(errno));
}

static uint64_t now(void *opaque)
{
    (void)opaque;
    return loop_now();
}

static void arm(void *opaque, uint64_t deadline)
{
    struct balloon_plug *plug = opaque;

    loop_arm(plug->loop, &plug->timer, deadline);
}

static void fire(void *opaque)
{
    struct balloon_plug *plug = opaque;

    balloon_timeout(&plug->balloon);
}

static void unplug_balloon(struct plugged *plugged)
{
    struct balloon_plug *plug = plugged->opaque;

    loop_remove_timer(plug->loop, &plug->timer);
    free(plug);
}

int plug_balloon(struct plugged *out, const struct plug_site *site,
                 const struct virtio_option *option, struct error *err)
{
    const struct balloon_option *o = &option->balloon;
    struct balloon_plug *plug = calloc(1, sizeof *plug);
    uint64_t features = 0;

    if (!plug)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    plug->loop = site->loop;
    plug->timer = (struct loop_timer){.fire = fire, .opaque = plug};
    if (o->deflate_on_oom)
        features |= VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    if (o->free_page_reporting)
        features |= VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING);
    balloon_init(&plug->balloon, option->name, site->mem, site->remark,
                 (struct balloon_backend){discard, plug}, (struct device_clock){now, plug},
                 (struct device_timer){arm, plug}, features, o->stats_interval_s * NS_PER_S);

    struct plugged plugged = {&plug->balloon.virtio, unplug_balloon, plug};

    if (loop_add_timer(site->loop, &plug->timer) < 0) {
        unplug_balloon(&plugged);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    *out = plugged;
    return 0;
}
