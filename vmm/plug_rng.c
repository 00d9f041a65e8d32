/*
 * plug_rng.c: an entropy device (virtio-rng-device) and the host's source of its bytes.
 */
#include "plug.h"

#include "host/rng_source.h"
#include "virtio/rng.h"

#include <stdlib.h>

#define NS_PER_MS 1000000ull

static const struct rng_source_option builtin = {.id = "rng-builtin"};

struct rng_plug {
    struct rng rng;
    struct rng_source *source;
    struct rng_source *own; /* where the device was given none */
    struct loop *loop;
    struct loop_timer timer;
};

static size_t read_source(void *opaque, void *bytes, size_t count)
{
    struct rng_plug *plug = opaque;

    return rng_source_read(plug->source, bytes, count);
}

static void source_ready(void *opaque)
{
    struct rng_plug *plug = opaque;

    rng_ready(&plug->rng);
}

static uint64_t now(void *opaque)
{
    (void)opaque;
    return loop_now();
}

static void arm(void *opaque, uint64_t deadline)
{
    struct rng_plug *plug = opaque;

    loop_arm(plug->loop, &plug->timer, deadline);
}

static void fire(void *opaque)
{
    struct rng_plug *plug = opaque;

    rng_timeout(&plug->rng);
}

static void unplug_rng(struct plugged *plugged)
{
    struct rng_plug *plug = plugged->opaque;

    rng_source_connect(plug->source, NULL, NULL);
    rng_source_close(plug->own);
    loop_remove_timer(plug->loop, &plug->timer);
    free(plug);
}

int plug_rng(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err)
{
    struct rng_plug *plug = calloc(1, sizeof *plug);

    if (!plug)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    plug->loop = site->loop;
    plug->timer = (struct loop_timer){.fire = fire, .opaque = plug};
    if (option->rng.source >= 0) {
        plug->source = site->backends->rng_source[option->rng.source];
    } else if (rng_source_open(&plug->own, site->loop, &builtin, err) < 0) {
        free(plug);
        return -1;
    } else {
        plug->source = plug->own;
    }
    rng_init(&plug->rng, option->name, site->mem, site->remark,
             (struct rng_backend){read_source, plug}, (struct device_clock){now, plug},
             (struct device_timer){arm, plug}, option->rng.max_bytes,
             option->rng.period_ms * NS_PER_MS);
    rng_source_connect(plug->source, source_ready, plug);

    struct plugged plugged = {&plug->rng.virtio, unplug_rng, plug};

    if (loop_add_timer(site->loop, &plug->timer) < 0) {
        unplug_rng(&plugged);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    *out = plugged;
    return 0;
}
