/*
 * init.c: the first program of the nested machine, and the only one of its initramfs.
 *
 * It loads the kernel's modules, mounts the host's file system, and runs one command in it.
 */
#include "command.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PORT_TIMEOUT_MS = 10000 };

static void mount_at(int port, const char *type, const char *where, unsigned long flags,
                     const char *options)
{
    if (mount(type, where, type, flags, options) != 0)
        fail(port, "cannot mount %s on %s", type, where);
}

/* /modules/order: lines "FILE PARAMETERS", dependencies first. */
static void load_modules(void)
{
    char line[256];
    FILE *order = fopen("/modules/order", "re");

    if (!order)
        fail(-1, "/modules/order");
    while (fgets(line, sizeof(line), order)) {
        char path[sizeof(line) + 16];

        line[strcspn(line, "\n")] = '\0';
        char *parameters = strchrnul(line, ' ');
        if (*parameters)
            *parameters++ = '\0';
        (void)snprintf(path, sizeof(path), "/modules/%s", line);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) != 0 && errno != EEXIST))
            fail(-1, "cannot load the module %s", line);
        (void)close(fd);
    }
    (void)fclose(order);
}

/* The port's node appears some time after its driver was loaded. */
static int open_port(void)
{
    for (int waited = 0; waited < PORT_TIMEOUT_MS; waited += 10) {
        glob_t found;

        if (glob("/dev/vport*p*", 0, NULL, &found) == 0) {
            int port = open(found.gl_pathv[0], O_RDWR | O_NONBLOCK | O_CLOEXEC);

            if (port < 0)
                fail(-1, "%s", found.gl_pathv[0]);
            globfree(&found);
            return port;
        }
        (void)usleep(10000);
    }
    errno = 0;
    fail(-1, "no virtio-serial port");
}

static void make_folders(const char *path)
{
    char *copy = strdup(path);

    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0755);
        *slash = '/';
    }
    (void)mkdir(path, 0755);
    free(copy);
}

/* Shows the host's folder PATH also where the machine's own /tmp or /run would hide it. */
static void show_folder(int port, const char *path)
{
    char host[4096 + 16], here[4096 + 16];

    (void)snprintf(host, sizeof(host), "/host%s", path);
    (void)snprintf(here, sizeof(here), "/root%s", path);
    make_folders(here);
    if (mount(host, here, NULL, MS_BIND | MS_REC, NULL) != 0)
        fail(port, "cannot show %s", path);
}

/* The host's files at /host, and at /root once more with the machine's own folders in it. */
static void mount_root(int port)
{
    if (mount("host", "/host", "virtiofs", MS_NODEV, NULL) != 0)
        fail(port, "cannot mount the host's file system");
    if (mount("/host", "/root", NULL, MS_BIND | MS_REC, NULL) != 0)
        fail(port, "cannot bind /host to /root");
    mount_at(port, "proc", "/root/proc", 0, NULL);
    mount_at(port, "sysfs", "/root/sys", 0, NULL);
    (void)mount("debugfs", "/root/sys/kernel/debug", "debugfs", 0, NULL);
    (void)mount("tracefs", "/root/sys/kernel/tracing", "tracefs", 0, NULL);
    mount_at(port, "devtmpfs", "/root/dev", 0, NULL);
    (void)mkdir("/root/dev/pts", 0755);
    (void)mkdir("/root/dev/shm", 0755);
    mount_at(port, "devpts", "/root/dev/pts", 0, "gid=5,mode=620,ptmxmode=666");
    mount_at(port, "tmpfs", "/root/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_at(port, "tmpfs", "/root/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_at(port, "tmpfs", "/root/run", MS_NOSUID | MS_NODEV, "mode=755");
    (void)symlink("/proc/self/fd", "/root/dev/fd");
    (void)symlink("fd/0", "/root/dev/stdin");
    (void)symlink("fd/1", "/root/dev/stdout");
    (void)symlink("fd/2", "/root/dev/stderr");
    if (chmod("/root/dev/kvm", 0666) != 0)
        fail(port, "/dev/kvm");
}

/* Programs that listen on 127.0.0.1 find it. */
static void start_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        (void)ioctl(fd, SIOCSIFFLAGS, &request);
        (void)close(fd);
    }
}

static char **append(char **list, size_t *count, char *text)
{
    list = realloc(list, (*count + 2) * sizeof(*list));
    if (!list)
        fail(-1, "no memory");
    list[(*count)++] = text;
    list[*count] = NULL;
    return list;
}

/* One string of the setup frame: a letter, then its value. */
static void apply(int port, struct setup *setup, size_t counts[2], char *text)
{
    char *value = text + 1;
    double now;

    switch (text[0]) {
    case 'u':
        setup->uid = (uid_t)strtoul(value, NULL, 10);
        break;
    case 'g':
        setup->gid = (gid_t)strtoul(value, NULL, 10);
        break;
    case 'G':
        if (setup->group_count < sizeof(setup->groups) / sizeof(setup->groups[0]))
            setup->groups[setup->group_count++] = (gid_t)strtoul(value, NULL, 10);
        break;
    case 't': /* seconds since 1970, as of now */
        now = strtod(value, NULL);
        struct timespec time = {.tv_sec = (time_t)now,
                                .tv_nsec = (long)((now - (double)(time_t)now) * 1e9)};
        (void)clock_settime(CLOCK_REALTIME, &time);
        break;
    case 'h':
        (void)sethostname(value, strlen(value));
        break;
    case 's':
        show_folder(port, value);
        break;
    case 'c':
        setup->folder = value;
        break;
    case 'T':
        setup->terminals = (unsigned)strtoul(value, NULL, 10);
        break;
    case 'r':
        setup->window.ws_row = (unsigned short)strtoul(value, NULL, 10);
        break;
    case 'l':
        setup->window.ws_col = (unsigned short)strtoul(value, NULL, 10);
        break;
    case 'a':
        setup->arguments = append(setup->arguments, &counts[0], value);
        break;
    case 'e':
        setup->environment = append(setup->environment, &counts[1], value);
        break;
    default:
        errno = 0;
        fail(port, "unknown setup %s", text);
    }
}

/* The host's first frame: strings, each with its final NUL.  What they point to lives until the end. */
static struct setup receive_setup(int port)
{
    struct setup setup = {.folder = "/"};
    size_t counts[2] = {0, 0};
    struct frame frame;

    send_frame(port, FRAME_READY, NULL, 0);
    read_all(port, &frame, sizeof(frame));
    char *text = frame.length < SETUP_MAX ? malloc(frame.length + 1) : NULL;
    errno = 0;
    if (frame.type != FRAME_SETUP || !text)
        fail(port, "expected a setup frame, found type %u, %u bytes", frame.type, frame.length);
    read_all(port, text, frame.length);
    text[frame.length] = '\0';
    for (size_t at = 0; at < frame.length; at += strlen(text + at) + 1)
        apply(port, &setup, counts, text + at);
    errno = 0;
    if (!setup.arguments)
        fail(port, "no command");
    return setup;
}

int main(void)
{
    mount_at(-1, "devtmpfs", "/dev", 0, NULL);
    load_modules();
    int port = open_port();
    mount_root(port);
    start_loopback();
    struct setup setup = receive_setup(port);
    if (chroot("/root") != 0)
        fail(port, "/root");
    run_command(port, &setup);
    return 0;
}
