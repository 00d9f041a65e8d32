/*
 * slirp.c: a network without privileges: libslirp answers the guest's frames with sockets of this
 * process (https://gitlab.freedesktop.org/slirp/libslirp, libslirp.h).
 *
 * The library and what it needs cost 0.3 ms to load, so that is done only where it is used. Its
 * interface of version 1 is used, which every libslirp has.
 */
#include "netdev.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLIRP_LIBRARY  "libslirp.so.0"
#define CONFIG_VERSION 1
#define NS_PER_MS      1000000ull
#define IPV6_PREFIX    "fec0::" /* of 64 bits; QEMU's, as the hosts' numbers are */
#define IPV6_HOST      "fec0::2"
#define IPV6_DNS       "fec0::3"
#define HOST_NUMBER    0x0202 /* the host, its name server and the first guest within net= */
#define DNS_NUMBER     0x0203
#define GUEST_NUMBER   0x020f

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* newer ones, for Windows' sake */
struct slirp_functions {
    __typeof__(slirp_new) *make;
    __typeof__(slirp_cleanup) *cleanup;
    __typeof__(slirp_input) *input;
    __typeof__(slirp_pollfds_fill) *pollfds_fill;
    __typeof__(slirp_pollfds_poll) *pollfds_poll;
    __typeof__(slirp_add_hostfwd) *add_hostfwd;
};
#pragma GCC diagnostic pop

struct user_net {
    struct netdev dev; /* first member */
    struct slirp_functions call;
    Slirp *slirp;
    struct loop_poller poller;
    uint8_t frame[NETDEV_FRAME_MAX];
};

/* A timer of libslirp's. */
struct user_timer {
    struct loop_timer timer;
    struct loop *loop;
};

/* --- what libslirp calls -------------------------------------------------------------------------- */

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
    struct user_net *net = opaque;

    netdev_deliver(&net->dev, frame, len);
    return (ssize_t)len;
}

static void guest_error(const char *message, void *opaque)
{
    (void)message; /* a guest could fill the terminal with them */
    (void)opaque;
}

static int64_t clock_get_ns(void *opaque)
{
    (void)opaque;
    return (int64_t)loop_now();
}

static void *timer_new(SlirpTimerCb callback, void *callback_opaque, void *opaque)
{
    struct user_net *net = opaque;
    struct user_timer *t = calloc(1, sizeof *t);

    if (!t || loop_add_timer(net->dev.loop, &t->timer) < 0)
        abort(); /* libslirp knows no failure here, and aborts as well when memory ends */
    t->timer.fire = callback;
    t->timer.opaque = callback_opaque;
    t->loop = net->dev.loop;
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    loop_remove_timer(t->loop, &t->timer);
    free(t);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    loop_arm(t->loop, &t->timer, expire_ms > 0 ? (uint64_t)expire_ms * NS_PER_MS : 1);
}

static void poll_fd_changed(int fd, void *opaque)
{
    (void)fd; /* every wait asks anew which there are */
    (void)opaque;
}

static void notify(void *opaque)
{
    struct user_net *net = opaque;

    loop_refill(net->dev.loop);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = poll_fd_changed,
    .unregister_poll_fd = poll_fd_changed,
    .notify = notify,
};

/* --- its descriptors in the loop ------------------------------------------------------------------ */

static const struct {
    int slirp;
    short events;
} poll_events[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

#define POLL_EVENTS (sizeof poll_events / sizeof poll_events[0])

static int add_poll(int fd, int wanted, void *opaque)
{
    struct user_net *net = opaque;
    short events = 0;

    for (size_t i = 0; i < POLL_EVENTS; i++)
        if (wanted & poll_events[i].slirp)
            events = (short)(events | poll_events[i].events);
    return loop_poll(net->dev.loop, fd, events);
}

static int get_revents(int n, void *opaque)
{
    const struct user_net *net = opaque;
    short revents = loop_polled(net->dev.loop, n);
    int seen = 0;

    for (size_t i = 0; i < POLL_EVENTS; i++)
        if (revents & poll_events[i].events)
            seen |= poll_events[i].slirp;
    return seen;
}

static void fill(void *opaque, struct loop *loop, uint64_t *deadline)
{
    struct user_net *net = opaque;
    uint32_t timeout_ms = UINT32_MAX;

    (void)loop;
    net->call.pollfds_fill(net->slirp, &timeout_ms, add_poll, net);
    if (timeout_ms == UINT32_MAX)
        return;

    uint64_t until = loop_now() + timeout_ms * NS_PER_MS;

    if (until < *deadline)
        *deadline = until;
}

static void ready(void *opaque, const struct loop *loop)
{
    struct user_net *net = opaque;

    (void)loop;
    net->call.pollfds_poll(net->slirp, 0, get_revents, net);
}

/* --- the network ---------------------------------------------------------------------------------- */

static bool user_send(struct netdev *dev, const struct iovec *iov, unsigned count)
{
    struct user_net *net = (struct user_net *)dev;
    size_t len = 0;

    /* A copy: libslirp looks at a frame more than once, and the guest could change it meanwhile. */
    for (unsigned i = 0; i < count && iov[i].iov_len <= sizeof net->frame - len; i++) {
        memcpy(net->frame + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    net->call.input(net->slirp, net->frame, (int)len);
    loop_refill(dev->loop);
    return true;
}

static void user_close(struct netdev *dev)
{
    struct user_net *net = (struct user_net *)dev;

    loop_remove_poller(dev->loop, &net->poller);
    if (net->slirp)
        net->call.cleanup(net->slirp);
    free(net);
}

static const struct netdev_ops user_ops = {.send = user_send, .close = user_close};

static int load(struct user_net *net, struct error *err)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"slirp_new", &net->call.make},
        {"slirp_cleanup", &net->call.cleanup},
        {"slirp_input", &net->call.input},
        {"slirp_pollfds_fill", &net->call.pollfds_fill},
        {"slirp_pollfds_poll", &net->call.pollfds_poll},
        {"slirp_add_hostfwd", &net->call.add_hostfwd},
    };
    /* It stays: GLib, which it uses, cannot be unloaded. */
    void *library = dlopen(SLIRP_LIBRARY, RTLD_NOW | RTLD_NODELETE);

    for (size_t i = 0; library && i < sizeof wanted / sizeof wanted[0]; i++) {
        void *symbol = dlsym(library, wanted[i].name);

        if (!symbol)
            library = NULL;
        memcpy(wanted[i].function, &symbol, sizeof symbol);
    }
    if (library)
        return 0;
    return error_set(err, STATUS_INTERNAL,
                     "%s: user networking needs libslirp (Debian: libslirp0): %s", net->dev.name,
                     dlerror());
}

static struct in_addr in_net(const struct netdev_option *option, uint32_t number)
{
    return (struct in_addr){.s_addr = htonl(option->net | (number & ~option->mask))};
}

static void make_slirp(struct user_net *net, const struct netdev_option *option)
{
    SlirpConfig config = {
        .version = CONFIG_VERSION,
        .restricted = option->restricted,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(option->net),
        .vnetmask.s_addr = htonl(option->mask),
        .vhost = in_net(option, HOST_NUMBER),
        .vdhcp_start = in_net(option, GUEST_NUMBER),
        .vnameserver = in_net(option, DNS_NUMBER),
        .in6_enabled = true,
        .vprefix_len = 64,
    };

    inet_pton(AF_INET6, IPV6_PREFIX, &config.vprefix_addr6);
    inet_pton(AF_INET6, IPV6_HOST, &config.vhost6);
    inet_pton(AF_INET6, IPV6_DNS, &config.vnameserver6);
    net->slirp = net->call.make(&config, &callbacks, net);
}

/* libslirp lets two programs share a UDP port, one of which would never hear of a packet. */
static int check_udp_port(const struct hostfwd_option *forward)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(forward->host_ip),
        .sin_port = htons(forward->host_port),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return r;
}

static int forward_port(struct user_net *net, const struct hostfwd_option *forward,
                        struct error *err)
{
    struct in_addr host = {.s_addr = htonl(forward->host_ip)};
    struct in_addr guest = {.s_addr = htonl(forward->guest_ip)};
    char name[INET_ADDRSTRLEN];

    errno = 0;
    if ((!forward->udp || check_udp_port(forward) == 0) &&
        net->call.add_hostfwd(net->slirp, forward->udp, host, forward->host_port, guest,
                              forward->guest_port) == 0)
        return 0;

    int error = errno;

    inet_ntop(AF_INET, &host, name, sizeof name);
    return error_set(err, STATUS_USAGE, "%s: hostfwd: %s port %u of %s: %s", net->dev.name,
                     forward->udp ? "UDP" : "TCP", forward->host_port, name,
                     error ? strerror(error) : "cannot be forwarded");
}

int netdev_open_user(struct netdev **out, const struct netdev_option *option, struct loop *loop,
                     struct error *err)
{
    struct user_net *net = calloc(1, sizeof *net);
    int r;

    if (!net)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    netdev_init(&net->dev, &user_ops, option, loop);
    net->poller = (struct loop_poller){.fill = fill, .ready = ready, .opaque = net};
    r = load(net, err);
    if (r == 0)
        make_slirp(net, option);
    if (r == 0 && (!net->slirp || loop_add_poller(loop, &net->poller) < 0))
        r = error_set(err, STATUS_INTERNAL, "%s: libslirp cannot start", net->dev.name);
    for (unsigned i = 0; r == 0 && i < option->hostfwd_count; i++)
        r = forward_port(net, &option->hostfwd[i], err);
    if (r < 0)
        user_close(&net->dev);
    else
        *out = &net->dev;
    return r;
}
