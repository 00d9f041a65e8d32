/*
 * options_blk.c: -drive, -hda, -hdb and the properties of virtio-blk-device.
 * Source: qemu-system-x86_64(1), "Block device options"; QEMU blockdev.c.
 */
#include "options_backends.h"

#include "suggest.h"

#include <string.h>
#include <virtio_blk.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct device_options *devices(struct option_parser *parser)
{
    return &parser->options->devices;
}

/* The drive being parsed; it counts once it is complete. */
static struct drive_option *current(struct option_parser *parser)
{
    return &devices(parser)->drive[devices(parser)->drive_count];
}

/* --- -drive ----------------------------------------------------------------------------------- */

static int set_file(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "the file name is empty");
    current(parser)->file = value;
    return 0;
}

static int set_id(struct option_parser *parser, const char *value)
{
    if (!*value)
        return option_error(parser, "the id is empty");
    current(parser)->id = value;
    return 0;
}

static int set_format(struct option_parser *parser, const char *value)
{
    if (strcmp(value, "raw") == 0)
        return 0;
    if (strcmp(value, "help") == 0 || strcmp(value, "?") == 0)
        return option_error(parser, "format=raw is what kvmlens has");
    return option_error(parser,
                        "kvmlens reads raw images, not %s; `qemu-img convert -O raw IMAGE "
                        "IMAGE.raw` makes one",
                        QUOTE(value));
}

static int set_if(struct option_parser *parser, const char *value)
{
    parser->drive_plugged = strcmp(value, "virtio") == 0;
    if (parser->drive_plugged || strcmp(value, "none") == 0)
        return 0;
    return option_error(parser, "if=none and if=virtio are what kvmlens has, not %s", QUOTE(value));
}

static int set_readonly(struct option_parser *parser, const char *value)
{
    return parse_on_off(parser, "readonly", value, &current(parser)->readonly);
}

static int set_cache(struct option_parser *parser, const char *value)
{
    static const struct {
        const char *name;
        enum cache_mode mode;
    } modes[] = {{"writeback", CACHE_WRITEBACK},
                 {"writethrough", CACHE_WRITETHROUGH},
                 {"none", CACHE_NONE},
                 {"off", CACHE_NONE},
                 {"unsafe", CACHE_UNSAFE}};
    struct suggestion near = {.word = value};

    for (size_t i = 0; i < COUNT(modes); i++) {
        if (strcmp(value, modes[i].name) == 0) {
            current(parser)->cache = modes[i].mode;
            return 0;
        }
        suggest_offer(&near, modes[i].name);
    }
    if (near.best[0])
        return option_error(parser, "there is no cache mode %s; did you mean %s?", QUOTE(value),
                            near.best);
    return option_error(parser, "cache is writeback, writethrough, none or unsafe, not %s",
                        QUOTE(value));
}

static int set_discard(struct option_parser *parser, const char *value)
{
    bool unmap = strcmp(value, "unmap") == 0 || strcmp(value, "on") == 0;

    if (!unmap && strcmp(value, "ignore") != 0 && strcmp(value, "off") != 0)
        return option_error(parser, "discard is unmap (or on) or ignore (or off), not %s",
                            QUOTE(value));
    current(parser)->discard = unmap;
    return 0;
}

static int set_locking(struct option_parser *parser, const char *value)
{
    if (strcmp(value, "auto") == 0) {
        current(parser)->locking = true;
        return 0;
    }
    return parse_on_off(parser, "locking", value, &current(parser)->locking);
}

static int set_aio(struct option_parser *parser, const char *value)
{
    if (strcmp(value, "threads") == 0)
        return 0;
    return option_error(parser, "aio=threads is what kvmlens has, not %s", QUOTE(value));
}

const struct property drive_properties[] = {
    {"file", "PATH", "The image: a file or a block device.", set_file},
    {"id", "ID", "The name by which -device refers to it (drive=ID).", set_id},
    {"format", "raw", "The image's format; the only one.", set_format},
    {"if", "none|virtio",
     "none (the default): a -device is connected to it; virtio: it brings a virtio-blk-device "
     "along.",
     set_if},
    {"readonly", "on|off", "The guest may only read it.", set_readonly},
    {"cache", "writeback|writethrough|none|unsafe",
     "What is durable when: at the guest's flush (writeback, the default), after each write "
     "(writethrough), at the flush and past the host's page cache (none), never (unsafe).",
     set_cache},
    {"discard", "unmap|ignore", "What the guest discards becomes a hole, or not (the default).",
     set_discard},
    {"locking", "auto|on|off",
     "Keep other processes off the image, QEMU too (default: on); also as file.locking.",
     set_locking},
    {"aio", "threads", "A pool of threads does the work.", set_aio},
    {"media", "disk", "It is no CD-ROM.", NULL},
    {"driver", "raw", NULL, set_format},
    {"read-only", "on|off", NULL, set_readonly},
    {"file.filename", "PATH", NULL, set_file},
    {"file.locking", "auto|on|off", NULL, set_locking},
    {"file.aio", "threads", NULL, set_aio},
    {"file.driver", "file|host_device", NULL, NULL},
    {"auto-read-only", "off", NULL, NULL},
    {"copy-on-read", "off", NULL, NULL},
    {"detect-zeroes", "off", NULL, NULL},
    {"rerror", "report|auto", NULL, NULL},
    {"snapshot", "off", NULL, NULL},
    {"werror", "report", NULL, NULL},
    {"bus", NULL, NULL, NULL},
    {"cache.direct", NULL, NULL, NULL},
    {"cache.no-flush", NULL, NULL, NULL},
    {"cache.writeback", NULL, NULL, NULL},
    {"index", NULL, NULL, NULL},
    {"node-name", NULL, NULL, NULL},
    {"stats-account-failed", NULL, NULL, NULL},
    {"stats-account-invalid", NULL, NULL, NULL},
    {"throttling.bps-total", NULL, NULL, NULL},
    {"throttling.iops-total", NULL, NULL, NULL},
    {"unit", NULL, NULL, NULL},
    {0},
};

static int begin_drive(struct option_parser *parser)
{
    if (devices(parser)->drive_count == DRIVES_MAX)
        return option_error(parser, "there can be %d drives at most", DRIVES_MAX);
    *current(parser) = (struct drive_option){.locking = true};
    parser->drive_plugged = false;
    return 0;
}

static const struct drive_option *find_drive(struct option_parser *parser, const char *id)
{
    const struct device_options *d = devices(parser);

    for (unsigned i = 0; i < d->drive_count; i++)
        if (strcmp(d->drive[i].id, id) == 0)
            return &d->drive[i];
    return NULL;
}

static int end_drive(struct option_parser *parser)
{
    if (find_drive(parser, current(parser)->id))
        return option_error(parser, "there are two drives %s", QUOTE(current(parser)->id));
    devices(parser)->drive_count++;
    if (!parser->drive_plugged)
        return 0;
    if (!device_add(parser, device_find_kind("virtio-blk-device")))
        return -1;
    parser->refs->drive = devices(parser)->drive[devices(parser)->drive_count - 1].id;
    return 0;
}

int option_drive(struct option_parser *parser, char *argument)
{
    /* QEMU's names for those that have none. */
    static const char *const names[] = {"virtio0", "virtio1", "virtio2", "virtio3",
                                        "virtio4", "virtio5", "virtio6", "virtio7"};

    _Static_assert(COUNT(names) >= DRIVES_MAX, "a name for each drive");
    if (begin_drive(parser) < 0 ||
        properties_parse(parser, drive_properties, NULL, "drive", argument) < 0)
        return -1;
    if (parser->options->mode != MODE_RUN)
        return 0;
    if (!current(parser)->file)
        return option_error(parser, "the image is missing: file=PATH");
    for (unsigned i = 0; !current(parser)->id && parser->drive_plugged; i++)
        if (!find_drive(parser, names[i]))
            current(parser)->id = names[i];
    if (!current(parser)->id)
        return option_error(parser, "id=ID is missing, by which a -device would find the drive; "
                                    "or if=virtio, which brings its device along");
    return end_drive(parser);
}

/* -hda FILE, -hdb FILE */
int option_hd(struct option_parser *parser, char *argument)
{
    if (begin_drive(parser) < 0 || set_file(parser, argument) < 0)
        return -1;
    current(parser)->id = parser->def->name;
    parser->drive_plugged = true;
    return end_drive(parser);
}

/* --- -device virtio-blk-device ---------------------------------------------------------------- */

static int set_drive(struct option_parser *parser, const char *value)
{
    parser->refs->drive = value;
    return 0;
}

static int set_serial(struct option_parser *parser, const char *value)
{
    if (strlen(value) > VIRTIO_BLK_ID_BYTES)
        return option_error(parser, "serial=%s has %zu bytes, at most %d fit", QUOTE(value),
                            strlen(value), VIRTIO_BLK_ID_BYTES);
    parser->device->blk.serial = value;
    return 0;
}

static int set_config_wce(struct option_parser *parser, const char *value)
{
    bool on = true;

    if (parse_on_off(parser, "config-wce", value, &on) < 0)
        return -1;
    parser->device->blk.fixed_cache = !on;
    return 0;
}

const struct property blk_properties[] = {
    {"drive", "ID", "The id= of its -drive.", set_drive},
    {"serial", "TEXT", "What the guest reads as the disk's serial number: at most 20 bytes.",
     set_serial},
    {"config-wce", "on|off", "The guest may switch the cache mode (default: on).", set_config_wce},
    {"num-queues", "1", "It has one queue.", NULL},
    {"queue-size", "256", NULL, NULL},
    {"discard", "on", NULL, NULL},
    {"write-zeroes", "on", NULL, NULL},
    {"logical_block_size", "512", NULL, NULL},
    {"rerror", "report|auto", NULL, NULL},
    {"scsi", "off", NULL, NULL},
    {"share-rw", "off", NULL, NULL},
    {"werror", "report", NULL, NULL},
    {"backend_defaults", NULL, NULL, NULL},
    {"bootindex", NULL, NULL, NULL},
    {"cyls", NULL, NULL, NULL},
    {"discard_granularity", NULL, NULL, NULL},
    {"heads", NULL, NULL, NULL},
    {"iothread", NULL, NULL, NULL},
    {"max-discard-sectors", NULL, NULL, NULL},
    {"max-write-zeroes-sectors", NULL, NULL, NULL},
    {"min_io_size", NULL, NULL, NULL},
    {"opt_io_size", NULL, NULL, NULL},
    {"physical_block_size", NULL, NULL, NULL},
    {"request-merging", NULL, NULL, NULL},
    {"secs", NULL, NULL, NULL},
    {"seg-max-adjust", NULL, NULL, NULL},
    {"write-cache", NULL, NULL, NULL},
    {0},
};

int connect_blk(struct option_parser *parser, struct virtio_option *device,
                const struct device_refs *refs)
{
    struct device_options *d = devices(parser);
    const struct drive_option *drive;

    if (!refs->drive)
        return option_error(parser, "drive=ID is missing, the id= of its -drive");
    drive = find_drive(parser, refs->drive);
    if (!drive) {
        struct suggestion near = {.word = refs->drive};

        for (unsigned i = 0; i < d->drive_count; i++)
            suggest_offer(&near, d->drive[i].id);
        return option_error(parser, "there is no -drive with id=%s%s%s%s", QUOTE(refs->drive),
                            near.best[0] ? "; did you mean " : "", near.best,
                            near.best[0] ? "?" : "");
    }
    if (drive->taken)
        return option_error(parser, "the drive %s has a device already", QUOTE(refs->drive));
    device->blk.drive = (unsigned)(drive - d->drive);
    d->drive[device->blk.drive].taken = true;
    return 0;
}
