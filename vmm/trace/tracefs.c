/*
 * tracefs.c: a private instance of the kernel's tracing, for KVM's events of this process
 * (the kernel's Documentation/trace/ftrace.rst, "Instances", "set_event_pid").
 *
 * The instance is a folder, instances/kvmlens-PID. Its owner holds a lock on it, which ends with the
 * process however that ends: an instance without a lock is what a killed run has left.
 */
#include "tracefs_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_PREFIX "kvmlens-"
#define TRIES       10 /* to make the instance, while others clean up */

/* All processors' buffers together, and the limits of one. */
#define BUFFERS_KB    (64ul * 1024)
#define BUFFER_MIN_KB 1024ul
#define BUFFER_MAX_KB (16ul * 1024)

/* --- what killed runs have left ------------------------------------------------------------------- */

/* Locks the instance's folder. The descriptor, or -1 if it is in use or has gone. */
static int lock_folder(const char *dir, const char *name)
{
    char path[4096];
    struct stat opened, named;

    snprintf(path, sizeof(path), "%s/instances/%s", dir, name);

    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
        opened.st_ino == named.st_ino)
        return fd;
    close(fd);
    return -1;
}

static void remove_stale(const char *dir)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/instances", dir);

    DIR *instances = opendir(path);
    struct dirent *entry;

    while (instances && (entry = readdir(instances))) {
        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
            continue;

        int fd = lock_folder(dir, entry->d_name);

        if (fd < 0)
            continue;
        unlinkat(dirfd(instances), entry->d_name, AT_REMOVEDIR);
        close(fd);
    }
    if (instances)
        closedir(instances);
}

/* --- the instance -------------------------------------------------------------------------------- */

static int instance_error(const char *dir, int error, struct error *err)
{
    const char *help = "";

    if (!dir)
        return error_set(
            err, STATUS_INTERNAL,
            "the kernel's events need tracefs, which is not mounted: as root, mount -t "
            "tracefs tracefs /sys/kernel/tracing");
    if (error == EACCES)
        help = "; run kvmlens as root (sudo)";
    else if (error == EPERM)
        help = "; the kernel may be locked down: see /sys/kernel/security/lockdown";
    else if (error == ENOENT)
        help = geteuid() == 0 ? "; as root, mount -t tracefs tracefs /sys/kernel/tracing"
                              : "; run kvmlens as root (sudo)";
    return error_set(err, STATUS_INTERNAL,
                     "the kernel's events need a trace instance of their own in %s: %s%s", dir,
                     strerror(error), help);
}

static int make_instance(struct tracefs *fs, const char *dir, struct error *err)
{
    for (unsigned i = 0; i < TRIES; i++) {
        snprintf(fs->name, sizeof(fs->name), NAME_PREFIX "%d.%u", (int)getpid(), i);
        errno = 0;
        fs->instance = fs->call.tracefs_instance_create(fs->name);
        if (!fs->instance)
            return instance_error(dir, errno ? errno : EACCES, err);
        fs->lock_fd = lock_folder(dir, fs->name);
        if (fs->lock_fd >= 0)
            return 0;
        /* Somebody took it for a stale one just now, or it is another PID namespace's. */
        fs->call.tracefs_instance_free(fs->instance);
        fs->instance = NULL;
    }
    return instance_error(dir, EBUSY, err);
}

static int set(struct tracefs *fs, const char *file, const char *value, struct error *err)
{
    errno = 0;
    if (fs->call.tracefs_instance_file_write(fs->instance, file, value) >= 0)
        return 0;
    return error_set(err, STATUS_INTERNAL, "tracefs: cannot write %s to %s: %s", value, file,
                     strerror(errno));
}

static int set_buffers(struct tracefs *fs, struct error *err)
{
    unsigned long kb = BUFFERS_KB / (unsigned long)sysconf(_SC_NPROCESSORS_ONLN);
    char text[24];

    kb = kb < BUFFER_MIN_KB ? BUFFER_MIN_KB : kb > BUFFER_MAX_KB ? BUFFER_MAX_KB : kb;
    snprintf(text, sizeof(text), "%lu", kb);
    return set(fs, "buffer_size_kb", text, err);
}

/* The formats of KVM's events, and of "print", the marker's. */
static int read_formats(struct tracefs *fs, struct error *err)
{
    static const char *const systems[] = {"kvm", "ftrace", NULL};

    fs->tep = fs->call.tracefs_local_events_system(NULL, systems);
    if (!fs->tep)
        return error_set(err, STATUS_INTERNAL,
                         "tracefs: cannot read the formats of KVM's events: %s", strerror(errno));
    return 0;
}

static int open_files(struct tracefs *fs, struct error *err)
{
    int r = tracefs_open_buffers(fs);

    if (r == 0) {
        fs->marker_fd =
            fs->call.tracefs_instance_file_open(fs->instance, "trace_marker", O_WRONLY | O_CLOEXEC);
        r = fs->marker_fd < 0 ? -errno : 0;
    }
    return r < 0 ? error_set(err, STATUS_INTERNAL, "tracefs: cannot open the buffers: %s",
                             strerror(-r))
                 : 0;
}

/* Only this thread's events, and those of threads that it starts. */
static int select_threads(struct tracefs *fs, struct error *err)
{
    char text[16];
    int pid = tracefs_own_pid(fs);

    if (pid < 0)
        return error_set(err, STATUS_INTERNAL, "tracefs: no event came back through it: %s",
                         strerror(-pid));
    snprintf(text, sizeof(text), "%d", pid);
    return set(fs, "options/event-fork", "1", err) < 0 || set(fs, "set_event_pid", text, err) < 0
               ? -1
               : 0;
}

static int enable(struct tracefs *fs, struct error *err)
{
    if (set(fs, "events/kvm/enable", "1", err) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    return error_set(
        err, STATUS_INTERNAL,
        "the kernel has no events of KVM's (events/kvm): its module kvm is not loaded, "
        "or was built without tracing");
}

int tracefs_open(struct tracefs **out, struct tracefs_devices devices, struct error *err)
{
    struct tracefs *fs = calloc(1, sizeof(*fs));

    *out = NULL;
    if (!fs)
        return error_set(err, STATUS_INTERNAL, "out of memory for the kernel's events");
    fs->source = (struct trace_source){
        .peek = tracefs_peek, .release = tracefs_release, .vcpu_starts = tracefs_vcpu_starts};
    fs->lock_fd = fs->marker_fd = -1;
    fs->devices = devices;
    if (tracefs_load(&fs->call, err) < 0) {
        free(fs);
        return -1;
    }

    const char *dir = fs->call.tracefs_tracing_dir();

    if (dir)
        remove_stale(dir);
    /* In its order: times and threads are right before there are events. */
    if ((!dir && instance_error(dir, 0, err) < 0) || make_instance(fs, dir, err) < 0 ||
        set(fs, "trace_clock", "mono", err) < 0 || set_buffers(fs, err) < 0 ||
        read_formats(fs, err) < 0 || open_files(fs, err) < 0 || select_threads(fs, err) < 0 ||
        enable(fs, err) < 0) {
        tracefs_close(fs);
        return -1;
    }
    *out = fs;
    return 0;
}

struct trace_source *tracefs_source(struct tracefs *fs)
{
    return fs ? &fs->source : NULL;
}

uint64_t tracefs_lost(const struct tracefs *fs)
{
    return fs ? fs->lost : 0;
}

void tracefs_close(struct tracefs *fs)
{
    if (!fs)
        return;
    tracefs_close_buffers(fs);
    if (fs->marker_fd >= 0)
        close(fs->marker_fd);
    if (fs->instance) {
        fs->call.tracefs_instance_destroy(fs->instance);
        fs->call.tracefs_instance_free(fs->instance);
    }
    if (fs->lock_fd >= 0)
        close(fs->lock_fd);
    if (fs->tep)
        fs->call.tep_free(fs->tep);
    free(fs);
}
