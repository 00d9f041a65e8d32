/*
 * files.c: what is written must not be the kernel, a disk, or what something else writes: it would be
 * cut to nothing when it is opened.
 */
#include "files.h"

#include "suggest.h"

#include <string.h>
#include <sys/stat.h>

#define FILES_MAX (3 + DRIVES_MAX + CHARDEVS_MAX + DUMPS_MAX + TRACE_MAX)

struct used_file {
    const char *option, *path;
    bool written;
    bool in_turns; /* line by line at its end: several can write so */
    bool exists;
    struct stat stat;
};

struct used_files {
    struct used_file file[FILES_MAX];
    unsigned count;
};

static void add(struct used_files *all, struct used_file file)
{
    if (!file.path)
        return;
    file.exists = stat(file.path, &file.stat) == 0;
    all->file[all->count++] = file;
}

static void collect(struct used_files *all, const struct options *o)
{
    const struct device_options *d = &o->devices;

    add(all, (struct used_file){.option = "-kernel", .path = o->kernel});
    add(all, (struct used_file){.option = "-initrd", .path = o->initrd});
    add(all, (struct used_file){.option = "-bios", .path = o->bios});
    for (unsigned i = 0; i < d->drive_count; i++)
        add(all, (struct used_file){.option = "-drive", .path = d->drive[i].file});
    for (unsigned i = 0; i < d->chardev_count; i++)
        if (d->chardev[i].kind == CHARDEV_FILE)
            add(all, (struct used_file){.option = d->chardev[i].id ? "-chardev" : "-serial",
                                        .path = d->chardev[i].path,
                                        .written = true,
                                        .in_turns = d->chardev[i].append});
    for (unsigned i = 0; i < d->dump_count; i++)
        add(all, (struct used_file){
                     .option = "-object filter-dump", .path = d->dump[i].file, .written = true});
    for (unsigned i = 0; i < o->trace_count; i++)
        add(all, (struct used_file){.option = "-trace",
                                    .path = o->trace[i].file,
                                    .written = true,
                                    .in_turns = o->trace[i].format == TRACE_TEXT});
}

/* A device, a pipe or /dev/null can be many things at once. */
static bool same(const struct used_file *a, const struct used_file *b)
{
    if (a->exists && b->exists)
        return S_ISREG(a->stat.st_mode) && a->stat.st_dev == b->stat.st_dev &&
               a->stat.st_ino == b->stat.st_ino;
    return !a->exists && !b->exists && strcmp(a->path, b->path) == 0;
}

int files_check(const struct options *options, struct error *err)
{
    struct used_files all = {.count = 0};

    collect(&all, options);
    for (const struct used_file *a = all.file; a < all.file + all.count; a++) {
        for (const struct used_file *b = a + 1; b < all.file + all.count; b++) {
            if ((a->written || b->written) && !(a->in_turns && b->in_turns) && same(a, b))
                return error_set(err, STATUS_USAGE,
                                 "%s is the file of %s and of %s, and would be overwritten: give "
                                 "one of them another",
                                 QUOTE(b->path), a->option, b->option);
        }
    }
    return 0;
}
