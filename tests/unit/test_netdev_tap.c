/*
 * test_netdev_tap.c: tap interfaces, in a network namespace of the test's own; skipped where that
 * is not permitted.
 */
#include "host/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <virtio_net.h>

#include <cmocka.h>

#define IFNAME   "kvl0"
#define HOST_IP  0x0a090001u
#define GUEST_IP 0x0a090002u
#define PORT     4000
#define MS       1000000ull

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

struct udp_frame {
    struct virtio_net_hdr hdr;
    struct ether_header eth;
    struct iphdr ip;
    struct udphdr udp;
    char data[5];
} __attribute__((packed));

#define UDP_START (sizeof(struct ether_header) + sizeof(struct iphdr))

struct wire {
    pthread_mutex_t lock;
    struct loop loop;
    struct loop_timer limit;
    struct netdev *dev;
    int udp; /* a socket of the host at PORT */
    struct udp_frame got;
    bool has, full, down;
};

static bool take_frame(void *opaque, const void *frame, size_t len)
{
    struct wire *w = opaque;
    struct udp_frame f;

    if (w->full)
        return false;
    if (len != sizeof f)
        return true;
    memcpy(&f, frame, sizeof f);
    if (f.eth.ether_type == htons(ETHERTYPE_IP) && f.ip.protocol == IPPROTO_UDP) {
        w->got = f;
        w->has = true;
        loop_quit(&w->loop);
    }
    return true;
}

static void see_link_down(void *opaque)
{
    struct wire *w = opaque;

    w->down = true;
    loop_quit(&w->loop);
}

static void out_of_patience(void *opaque)
{
    loop_quit(&((struct wire *)opaque)->loop);
}

static void run_loop(struct wire *w, unsigned ms)
{
    loop_arm(&w->loop, &w->limit, loop_now() + ms * MS);
    assert_int_equal(loop_run(&w->loop, &w->lock), 0);
}

static struct sockaddr_in address(uint32_t ip)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(PORT)};
}

/* The host's side of the interface: its address, the guest's, a socket. */
static void set_up_host(struct wire *w)
{
    struct ifreq request = {.ifr_name = IFNAME};
    struct sockaddr_in host = address(HOST_IP), guest = address(GUEST_IP);
    struct arpreq neighbour = {.arp_flags = ATF_COM | ATF_PERM, .arp_dev = IFNAME};

    w->udp = socket(AF_INET, SOCK_DGRAM, 0);
    memcpy(&request.ifr_addr, &host, sizeof host);
    assert_int_equal(ioctl(w->udp, SIOCSIFADDR, &request), 0);
    host.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&request.ifr_netmask, &host, sizeof host);
    assert_int_equal(ioctl(w->udp, SIOCSIFNETMASK, &request), 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(ioctl(w->udp, SIOCSIFFLAGS, &request), 0);
    memcpy(&neighbour.arp_pa, &guest, sizeof guest);
    neighbour.arp_ha.sa_family = ARPHRD_ETHER;
    memcpy(neighbour.arp_ha.sa_data, guest_mac, 6);
    assert_int_equal(ioctl(w->udp, SIOCSARP, &neighbour), 0);
    host = address(INADDR_ANY);
    assert_int_equal(bind(w->udp, (struct sockaddr *)&host, sizeof host), 0);
}

static int open_tap(struct netdev **out, struct loop *loop, const char *ifname, struct error *err)
{
    const struct netdev_option option = {.kind = NETDEV_TAP, .id = "t", .ifname = ifname};

    return netdev_open_tap(out, &option, loop, err);
}

static int make_wire(void **state)
{
    struct wire *w = calloc(1, sizeof *w);
    struct error err = {0};

    *state = w;
    pthread_mutex_init(&w->lock, NULL);
    loop_init(&w->loop);
    w->limit = (struct loop_timer){.fire = out_of_patience, .opaque = w};
    loop_add_timer(&w->loop, &w->limit);
    w->udp = -1;
    if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
        access("/dev/net/tun", R_OK | W_OK) < 0)
        return 0;
    if (open_tap(&w->dev, &w->loop, IFNAME, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    set_up_host(w);
    netdev_connect(w->dev, &(struct netdev_peer){
                               .receive = take_frame, .link_down = see_link_down, .opaque = w});
    return 0;
}

static int free_wire(void **state)
{
    struct wire *w = *state;

    if (w->udp >= 0)
        close(w->udp);
    if (w->dev)
        w->dev->ops->close(w->dev);
    loop_close(&w->loop);
    free(w);
    return 0;
}

static struct wire *wire_or_skip(void **state)
{
    struct wire *w = *state;

    if (!w->dev)
        skip();
    return w;
}

static void send_to_guest(struct wire *w, const char *data)
{
    struct sockaddr_in guest = address(GUEST_IP);

    assert_int_equal(sendto(w->udp, data, 5, 0, (struct sockaddr *)&guest, sizeof guest), 5);
}

static uint32_t sum_of(const void *bytes, size_t len, uint32_t sum)
{
    const uint8_t *b = bytes;

    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The sum over the pseudo header and the datagram: 0xffff if its checksum is right. */
static uint16_t udp_sum(const struct udp_frame *f, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)f + sizeof f->hdr;

    return fold(sum_of(bytes + sizeof f->eth + 12, 8, 0) + IPPROTO_UDP +
                (uint32_t)(sizeof f->udp + 5) + sum_of(bytes + UDP_START, len, 0));
}

static struct udp_frame make_frame(struct wire *w, const char *data)
{
    struct udp_frame f = {.eth.ether_type = htons(ETHERTYPE_IP)};
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    struct ifreq request = {.ifr_name = IFNAME};

    assert_int_equal(ioctl(w->udp, SIOCGIFHWADDR, &request), 0);
    memcpy(f.eth.ether_dhost, request.ifr_hwaddr.sa_data, 6);
    memcpy(f.eth.ether_shost, guest_mac, 6);
    ip.tot_len = htons(sizeof ip + sizeof f.udp + 5);
    ip.saddr = htonl(GUEST_IP);
    ip.daddr = htonl(HOST_IP);
    ip.check = htons((uint16_t)~fold(sum_of(&ip, sizeof ip, 0)));
    f.ip = ip;
    f.udp.source = f.udp.dest = htons(PORT);
    f.udp.len = htons(sizeof f.udp + 5);
    memcpy(f.data, data, 5);
    return f;
}

/* --- the tests ------------------------------------------------------------------------------------ */

static void frames_go_both_ways(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct udp_frame f = make_frame(w, "there");
    /* Header, frame: in parts, as a guest's buffers may be. */
    struct iovec iov[] = {{&f, 12}, {(char *)&f + 12, 20}, {(char *)&f + 32, sizeof f - 32}};
    char got[16] = "";

    assert_true(w->dev->vnet_hdr);
    send_to_guest(w, "hello");
    run_loop(w, 5000);
    assert_true(w->has);
    assert_memory_equal(w->got.data, "hello", 5);
    assert_memory_equal(w->got.eth.ether_dhost, guest_mac, 6);
    assert_true(netdev_send(w->dev, iov, 3));
    assert_int_equal(recv(w->udp, got, sizeof got, MSG_DONTWAIT), 5);
    assert_string_equal(got, "there");
}

static void checksums_may_be_left_to_the_other_side(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct udp_frame f = make_frame(w, "check");
    char got[16] = "";

    /* From the guest: the field holds the sum of the pseudo header, the kernel adds the rest. */
    f.hdr = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = UDP_START, .csum_offset = 6};
    f.udp.check = htons(udp_sum(&f, 0));
    assert_true(netdev_send(w->dev, &(struct iovec){&f, sizeof f}, 1));
    assert_int_equal(recv(w->udp, got, sizeof got, MSG_DONTWAIT), 5);
    assert_string_equal(got, "check");

    /* To the guest: complete, unless it takes others. */
    send_to_guest(w, "whole");
    run_loop(w, 5000);
    assert_true(w->has);
    assert_int_equal(w->got.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
    assert_int_equal(udp_sum(&w->got, sizeof w->got.udp + 5), 0xffff);

    w->has = false;
    netdev_offload(w->dev, true);
    send_to_guest(w, "other");
    run_loop(w, 5000);
    assert_true(w->has);
    assert_int_equal(w->got.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(w->got.hdr.csum_start, UDP_START);
    assert_int_equal(w->got.hdr.csum_offset, 6);
    assert_int_equal(w->got.hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static void a_guest_without_room_stops_the_reading(void **state)
{
    struct wire *w = wire_or_skip(state);

    w->full = true;
    for (unsigned i = 0; i < 10; i++)
        send_to_guest(w, "later");
    run_loop(w, 20);
    assert_int_equal(w->dev->waiting, 1); /* the others wait in the kernel */
    w->full = false;
    netdev_room(w->dev);
    assert_true(w->has);
    assert_int_equal(w->dev->waiting, 0);
    for (unsigned i = 0; i < 9; i++) {
        w->has = false;
        run_loop(w, 5000);
        if (w->has)
            break;
    }
    assert_true(w->has);
    assert_int_equal(w->dev->lost, 0);
}

static void an_interface_that_is_down_loses_frames(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct udp_frame f = make_frame(w, "there");
    struct ifreq request = {.ifr_name = IFNAME};

    assert_int_equal(ioctl(w->udp, SIOCSIFFLAGS, &request), 0);
    assert_true(netdev_send(w->dev, &(struct iovec){&f, sizeof f}, 1));
    assert_true(w->dev->link_up);
    /* As does one that gets a header which makes no sense. */
    request.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(w->udp, SIOCSIFFLAGS, &request), 0);
    f.hdr = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 60000, .csum_offset = 6};
    assert_true(netdev_send(w->dev, &(struct iovec){&f, sizeof f}, 1));
    assert_true(netdev_send(w->dev, &(struct iovec){&f, 13}, 1));
    assert_true(w->dev->link_up);
}

static void delete_interface(const char *name)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = RTM_DELLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)},
    };
    char answer[1024];
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    assert_true(fd >= 0);
    assert_int_equal(send(fd, &message, sizeof message, 0), sizeof message);
    assert_true(recv(fd, answer, sizeof answer, 0) > 0);
    close(fd);
    assert_int_equal(if_nametoindex(name), 0);
}

static void an_interface_that_vanishes_is_a_pulled_cable(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct udp_frame f = make_frame(w, "there");

    delete_interface(IFNAME);
    run_loop(w, 5000);
    assert_true(w->down);
    assert_false(w->dev->link_up);
    /* Nothing turns in circles, and what the guest sends gets lost. */
    w->down = false;
    run_loop(w, 20);
    assert_false(w->down);
    assert_true(netdev_send(w->dev, &(struct iovec){&f, sizeof f}, 1));
    netdev_room(w->dev);
    netdev_offload(w->dev, true);
    run_loop(w, 20);
    assert_false(w->down);
}

static void it_may_vanish_while_the_guest_sends(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct udp_frame f = make_frame(w, "there");

    delete_interface(IFNAME);
    assert_true(netdev_send(w->dev, &(struct iovec){&f, sizeof f}, 1));
    assert_true(w->down);
    assert_false(w->dev->link_up);
}

static void what_cannot_be_opened_is_said(void **state)
{
    struct wire *w = wire_or_skip(state);
    struct error err = {0};
    struct netdev *dev;

    assert_int_equal(open_tap(&dev, &w->loop, IFNAME, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_non_null(strstr(err.text, "in use by another program"));
    assert_int_equal(open_tap(&dev, &w->loop, "lo", &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_non_null(strstr(err.text, "lo is no tap interface"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_go_both_ways, make_wire, free_wire),
        cmocka_unit_test_setup_teardown(checksums_may_be_left_to_the_other_side, make_wire,
                                        free_wire),
        cmocka_unit_test_setup_teardown(a_guest_without_room_stops_the_reading, make_wire,
                                        free_wire),
        cmocka_unit_test_setup_teardown(an_interface_that_is_down_loses_frames, make_wire,
                                        free_wire),
        cmocka_unit_test_setup_teardown(an_interface_that_vanishes_is_a_pulled_cable, make_wire,
                                        free_wire),
        cmocka_unit_test_setup_teardown(it_may_vanish_while_the_guest_sends, make_wire, free_wire),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_said, make_wire, free_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
