/*
 * options_rng.c: the entropy device, its sources (-object rng-random, rng-builtin), and the memory
 * balloon.
 * Source: qemu-system-x86_64(1); QEMU hw/virtio/virtio-rng.c, backends/rng-random.c,
 * hw/virtio/virtio-balloon.c.
 */
#include "options_backends.h"

#include "suggest.h"

#include <string.h>

/* --- sources ------------------------------------------------------------------------------------ */

static struct rng_source_option *current(struct option_parser *parser)
{
    struct device_options *d = &parser->options->devices;

    return &d->rng_source[d->rng_source_count];
}

static int set_source_id(struct option_parser *parser, const char *value)
{
    const struct device_options *d = &parser->options->devices;

    for (unsigned i = 0; i < d->rng_source_count; i++)
        if (strcmp(d->rng_source[i].id, value) == 0)
            return option_error(parser, "there are two with id=%s", value);
    current(parser)->id = value;
    return *value ? 0 : option_error(parser, "the id is empty");
}

static int set_filename(struct option_parser *parser, const char *value)
{
    current(parser)->filename = value;
    return *value ? 0 : option_error(parser, "the file name is empty");
}

const struct property rng_random_properties[] = {
    {"id", "ID", "Its name, for rng=ID.", set_source_id},
    {"filename", "PATH", "Where the bytes come from (default: /dev/urandom).", set_filename},
    {"opened", "on|off", NULL, NULL},
    {0},
};

const struct property rng_builtin_properties[] = {
    {"id", "ID", "Its name, for rng=ID.", set_source_id},
    {"opened", "on|off", NULL, NULL},
    {0},
};

static int add_source(struct option_parser *parser, const struct property *table, const char *topic,
                      const char *filename, char *properties)
{
    struct device_options *d = &parser->options->devices;

    if (d->rng_source_count == RNG_SOURCES_MAX)
        return option_error(parser, "there can be %d sources of randomness at most",
                            RNG_SOURCES_MAX);
    *current(parser) = (struct rng_source_option){.filename = filename};
    if (properties && properties_parse(parser, table, NULL, topic, properties) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!current(parser)->id)
        return option_error(parser, "the id is missing: -object %s,id=ID", topic);
    d->rng_source_count++;
    return 0;
}

int object_rng_random(struct option_parser *parser, char *properties)
{
    return add_source(parser, rng_random_properties, "rng-random", "/dev/urandom", properties);
}

int object_rng_builtin(struct option_parser *parser, char *properties)
{
    return add_source(parser, rng_builtin_properties, "rng-builtin", NULL, properties);
}

/* --- -device virtio-rng-device ------------------------------------------------------------------ */

static int set_rng(struct option_parser *parser, const char *value)
{
    parser->refs->rng = value;
    return 0;
}

static int set_max_bytes(struct option_parser *parser, const char *value)
{
    return parse_number(parser, "max-bytes", value, 0, INT64_MAX, &parser->device->rng.max_bytes);
}

static int set_period(struct option_parser *parser, const char *value)
{
    uint64_t period;

    if (parse_number(parser, "period", value, 1, UINT32_MAX, &period) < 0)
        return -1;
    parser->device->rng.period_ms = (uint32_t)period;
    return 0;
}

const struct property rng_properties[] = {
    {"rng", "ID", "The -object that its bytes come from (default: one of its own, getrandom(2)).",
     set_rng},
    {"max-bytes", "N", "How many bytes the guest gets in a period (default: no limit).",
     set_max_bytes},
    {"period", "MS", "A period, in milliseconds (default: 65536).", set_period},
    {0},
};

void rng_defaults(struct virtio_option *device)
{
    device->rng = (struct rng_option){.source = -1, .max_bytes = UINT64_MAX, .period_ms = 1 << 16};
}

int connect_rng(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs)
{
    struct device_options *d = &parser->options->devices;

    if (!refs->rng)
        return 0;
    for (unsigned i = 0; i < d->rng_source_count; i++) {
        if (strcmp(d->rng_source[i].id, refs->rng) != 0)
            continue;
        if (d->rng_source[i].taken)
            return option_error(parser, "the object %s is in use already, by another device",
                                QUOTE(refs->rng));
        d->rng_source[i].taken = true;
        device->rng.source = (int)i;
        return 0;
    }
    return option_error(parser, "there is no -object rng-random or rng-builtin with id=%s",
                        refs->rng);
}

/* --- -device virtio-balloon-device -------------------------------------------------------------- */

static int set_deflate_on_oom(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "deflate-on-oom", value, &parser->device->balloon.deflate_on_oom);
}

static int set_reporting(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "free-page-reporting", value,
                        &parser->device->balloon.free_page_reporting);
}

static int set_stats_interval(struct option_parser *parser, const char *value)
{
    uint64_t seconds;

    if (parse_number(parser, "guest-stats-polling-interval", value, 0, UINT32_MAX, &seconds) < 0)
        return -1;
    parser->device->balloon.stats_interval_s = (uint32_t)seconds;
    return 0;
}

const struct property balloon_properties[] = {
    {"deflate-on-oom", "on|off",
     "The guest may take pages back when it runs out of memory (default: off).",
     set_deflate_on_oom},
    {"free-page-reporting", "on|off",
     "The guest tells which pages nobody uses, and the host gets them (default: off).",
     set_reporting},
    {"guest-stats-polling-interval", "SECONDS",
     "How often the guest is asked for statistics of its memory (default: 0, once).",
     set_stats_interval},
    {"free-page-hint", "off", NULL, NULL},
    {"page-poison", "on|off", NULL, NULL},
    {"qemu-4-0-config-size", "on|off", NULL, NULL},
    {"iothread", NULL, NULL, NULL},
    {0},
};

/* The board has one balloon, as in QEMU. */
int connect_balloon(struct option_parser *parser, struct virtio_option *device,
                    const struct device_refs *refs)
{
    const struct device_options *d = &parser->options->devices;

    (void)refs;
    for (const struct virtio_option *other = d->virtio; other < device; other++)
        if (other->kind == VIRTIO_BALLOON)
            return option_error(parser, "there can be one balloon only");
    return 0;
}
