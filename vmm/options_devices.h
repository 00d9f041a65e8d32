/*
 * options_devices.h: the virtio devices of the command line, and what they are connected to
 * (-drive, -netdev, -chardev, -object), as plain data. Part of options.h.
 *
 * Strings point into argv or static storage. A device refers to its other half by the number of
 * that half in struct options.
 */
#ifndef KVMLENS_OPTIONS_DEVICES_H
#define KVMLENS_OPTIONS_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_DEVICES_MAX 8 /* slots of the board, as QEMU's microvm has */
#define DRIVES_MAX         8
#define NETDEVS_MAX        8
#define HOSTFWD_MAX        8 /* of one -netdev */
#define DUMPS_MAX          8
#define CHARDEVS_MAX       16
#define RNG_SOURCES_MAX    8
#define CONSOLE_PORTS_MAX  8 /* of one virtio-serial-device */
#define DEVICE_NAME_MAX    24

enum cache_mode { CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_UNSAFE };

struct drive_option {
    const char *id; /* -hda: "hda"; -drive if=virtio without one: "virtio0" */
    const char *file;
    bool readonly, discard, locking;
    enum cache_mode cache;
    bool taken; /* by a device */
};

struct hostfwd_option {
    bool udp;
    uint32_t host_ip, guest_ip; /* host byte order; 0: any, or the guest of DHCP */
    uint16_t host_port, guest_port;
};

enum netdev_kind { NETDEV_USER, NETDEV_TAP };

struct netdev_option {
    enum netdev_kind kind;
    const char *id;     /* NULL: -nic, which brings its device along */
    uint32_t net, mask; /* NETDEV_USER, host byte order */
    bool restricted;    /* NETDEV_USER: restrict=on */
    struct hostfwd_option hostfwd[HOSTFWD_MAX];
    unsigned hostfwd_count;
    const char *ifname; /* NETDEV_TAP */
    bool taken;
};

/* -object filter-dump */
struct dump_option {
    const char *id, *file;
    const char *netdev_id;
    unsigned netdev;  /* the same as an index into options.netdev */
    uint32_t max_len; /* bytes of a packet at most */
};

enum chardev_kind {
    CHARDEV_STDIO, /* stdin and stdout */
    CHARDEV_FILE,  /* path; output only */
    CHARDEV_NULL,
    CHARDEV_PTY,
    CHARDEV_SOCKET, /* UNIX stream socket at path, kvmlens being the server */
};

struct chardev_option {
    enum chardev_kind kind;
    const char *id; /* NULL: made by -serial */
    const char *path;
    bool signals; /* CHARDEV_STDIO: Ctrl-C ends kvmlens instead of going to the guest */
    bool escape;  /* CHARDEV_STDIO: Ctrl-A is the escape character (mon:, mux=on) */
    bool append;  /* CHARDEV_FILE */
    bool wait;    /* CHARDEV_SOCKET: the guest starts when somebody has connected */
    bool taken;
};

struct rng_source_option {
    const char *id;
    const char *filename; /* rng-random; NULL: rng-builtin, getrandom(2) */
    bool taken;
};

enum virtio_kind {
    VIRTIO_BLK,
    VIRTIO_NET,
    VIRTIO_SERIAL,
    VIRTIO_RNG,
    VIRTIO_BALLOON,
    VIRTIO_KINDS
};

struct console_port_option {
    bool console;     /* virtconsole; else virtserialport */
    unsigned chardev; /* index into options.chardev */
    const char *name; /* virtserialport's name=, or NULL */
    unsigned nr;      /* port number */
    bool nr_given;    /* by nr=, not chosen */
};

struct blk_option {
    unsigned drive; /* index into options.drive */
    const char *serial;
    bool fixed_cache; /* config-wce=off: the driver cannot switch the cache mode */
};

struct net_option {
    unsigned netdev; /* index into options.netdev */
    uint8_t mac[6];
};

struct serial_bus_option { /* virtio-serial-device */
    struct console_port_option port[CONSOLE_PORTS_MAX];
    unsigned port_count, max_ports;
};

struct rng_option {
    int source;         /* index into options.rng_source; -1: getrandom(2) */
    uint64_t max_bytes; /* in each period; UINT64_MAX: no limit */
    uint32_t period_ms;
};

struct balloon_option {
    bool free_page_reporting, deflate_on_oom;
    uint32_t stats_interval_s; /* 0: the guest is not asked for statistics again */
};

/* One -device virtio-*-device. */
struct virtio_option {
    enum virtio_kind kind;
    const char *id;             /* id=, or NULL */
    unsigned slot;              /* of the board: the last one for the first device, as in QEMU */
    char name[DEVICE_NAME_MAX]; /* as the trace shows it: "virtio-blk0" */
    union {
        struct blk_option blk;
        struct net_option net;
        struct serial_bus_option serial;
        struct rng_option rng;
        struct balloon_option balloon;
    };
};

struct device_options {
    struct drive_option drive[DRIVES_MAX];
    unsigned drive_count;
    struct netdev_option netdev[NETDEVS_MAX];
    unsigned netdev_count;
    struct dump_option dump[DUMPS_MAX];
    unsigned dump_count;
    struct chardev_option chardev[CHARDEVS_MAX];
    unsigned chardev_count;
    struct rng_source_option rng_source[RNG_SOURCES_MAX];
    unsigned rng_source_count;
    struct virtio_option virtio[VIRTIO_DEVICES_MAX]; /* in the order of the command line */
    unsigned virtio_count;
    bool ioeventfd; /* -global virtio-mmio.ioeventfd=on|off; default on */
};

#endif
