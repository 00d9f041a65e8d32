/*
 * test_netdev_forward.c: ports of the host that lead to the guest (hostfwd=).
 */
#include "netdev_bench.h"

#include <errno.h>
#include <netinet/tcp.h>

/* A port of this host that nobody has, and a socket that has it if BOUND. */
static uint16_t free_port(int type, int *bound)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, type, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 1), 0);
    if (bound)
        *bound = fd;
    else
        close(fd);
    return ntohs(address.sin_port);
}

static void forward(struct wire *w, bool udp, uint16_t host_port, uint16_t guest_port)
{
    struct netdev_option *option = &w->options.netdev[0];

    option->hostfwd[option->hostfwd_count++] = (struct hostfwd_option){
        .udp = udp,
        .host_ip = INADDR_LOOPBACK,
        .host_port = host_port,
        .guest_port = guest_port,
    };
}

static bool is_for_port_7(const uint8_t *frame, size_t len)
{
    const struct udp_frame *f = (const void *)frame;

    return len >= offsetof(struct udp_frame, data) && f->ip.protocol == IPPROTO_UDP &&
           f->udp.dest == htons(7);
}

/* What comes to the host's port goes to the guest, and its answer back. */
static void udp_is_forwarded_both_ways(void **state)
{
    struct wire *w = make_wire();
    uint16_t port = free_port(SOCK_DGRAM, NULL);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct udp_frame answer = {0};
    char got[16] = "";

    (void)state;
    forward(w, true, port, 7);
    open_wire(w);
    assert_int_equal(dhcp(w, 1, GUEST_IP), 2);
    assert_int_equal(dhcp(w, 3, GUEST_IP), 5); /* now libslirp knows who GUEST_IP is */
    assert_int_equal(sendto(fd, "echo!", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
    assert_true(wait_for(w, is_for_port_7));

    const struct udp_frame *question = (void *)w->frame;

    assert_int_equal(ntohl(question->ip.daddr), GUEST_IP);
    assert_memory_equal(question->data, "echo!", 5);
    memcpy(answer.data, "back!", 5);

    size_t len =
        fill_udp(&answer, GUEST_IP, 7, ntohl(question->ip.saddr), ntohs(question->udp.source), 5);

    assert_true(netdev_send(w->dev[0], &(struct iovec){&answer, len}, 1));
    assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 5);
    assert_string_equal(got, "back!");
    close(fd);
    free_wire(w);
}

static bool is_syn_for_port_80(const uint8_t *frame, size_t len)
{
    const struct {
        struct ether_header eth;
        struct iphdr ip;
        struct tcphdr tcp;
    } __attribute__((packed)) *f = (const void *)frame;

    return len >= sizeof *f && f->ip.protocol == IPPROTO_TCP && f->tcp.dest == htons(80) &&
           f->tcp.syn && !f->tcp.ack;
}

static void a_tcp_connection_reaches_the_guest(void **state)
{
    struct wire *w = make_wire();
    uint16_t port = free_port(SOCK_STREAM, NULL);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)state;
    forward(w, false, port, 80);
    w->options.netdev[0].restricted = true; /* it concerns what the guest begins */
    open_wire(w);
    assert_int_equal(dhcp(w, 3, GUEST_IP), 5);
    assert_true(connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
    assert_true(wait_for(w, is_syn_for_port_80));
    close(fd);
    free_wire(w);
}

static void a_port_in_use_is_said(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct wire *w = make_wire();
        int taken;
        char text[64];
        uint16_t port = free_port(types[i], &taken);

        forward(w, types[i] == SOCK_DGRAM, port, 7);
        snprintf(text, sizeof text, "n0: hostfwd: %s port %u of 127.0.0.1: %s",
                 types[i] == SOCK_DGRAM ? "UDP" : "TCP", port, strerror(EADDRINUSE));
        expect_refused(w, text);
        close(taken);
        free_wire(w);
    }
}

static void a_port_given_twice_is_said(void **state)
{
    struct wire *w = make_wire();
    uint16_t port = free_port(SOCK_DGRAM, NULL);

    (void)state;
    forward(w, true, port, 7);
    forward(w, true, port, 8);
    expect_refused(w, "UDP port");
    free_wire(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_is_forwarded_both_ways),
        cmocka_unit_test(a_tcp_connection_reaches_the_guest),
        cmocka_unit_test(a_port_in_use_is_said),
        cmocka_unit_test(a_port_given_twice_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
