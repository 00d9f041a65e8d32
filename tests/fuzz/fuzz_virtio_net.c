/*
 * fuzz_virtio_net.c: a hostile driver and a moody network against the network device.  The input's
 * first byte chooses the network; then come operations: those of the driver (fuzz_virtio.h), frames
 * for the guest, refusals, answers that come while a frame is sent.
 */
#include "fuzz_virtio.h"
#include "virtio/net.h"

struct network {
    struct virtio_net net;
    struct fuzz_world *w;
    unsigned takes; /* frames that it takes before it refuses */
    bool refused;   /* and has not said since that it can send */
    bool answers;   /* at once */
    size_t held;    /* bytes of a frame that waits for room; 0: none */
    uint8_t hdr[VIRTIO_NET_HDR_SIZE];
};

/* A frame of LEN bytes, the virtio header among them where there is one. */
static bool receive(struct network *n, size_t len)
{
    static uint8_t frame[VIRTIO_NET_HDR_SIZE + NET_FRAME_MAX + 100];

    memset(frame, 0x5a, len);
    memcpy(frame, n->hdr, len < sizeof n->hdr ? len : sizeof n->hdr);
    return virtio_net_receive(&n->net, frame, len);
}

static void deliver(struct network *n, size_t len)
{
    if (n->held == 0 && len > 0 && !receive(n, len))
        n->held = len;
}

static bool net_send(void *opaque, const struct iovec *iov, unsigned count)
{
    struct network *n = opaque;
    size_t header = n->net.backend.vnet_hdr ? VIRTIO_NET_HDR_SIZE : 0, len = 0;
    struct virtio_net_hdr hdr;

    CHECK(virtio_live(&n->net.dev, VIRTIO_NET_TX));
    for (unsigned i = 0; i < count; i++) {
        fuzz_touch(iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    CHECK(len >= header + 14 && len <= header + NET_FRAME_MAX);
    if (header) {
        CHECK(iov[0].iov_len == sizeof hdr);
        memcpy(&hdr, iov[0].iov_base, sizeof hdr);
        CHECK(hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE);
        CHECK(hdr.flags == 0 || (size_t)hdr.csum_start + hdr.csum_offset + 2 <= len - header);
    }
    if (n->takes == 0) {
        n->refused = true;
        return false;
    }
    n->takes--;
    if (n->answers)
        deliver(n, len);
    return true;
}

static void net_forget(void *opaque)
{
    (void)opaque;
}

static void net_room(void *opaque)
{
    struct network *n = opaque;

    CHECK(n->held > 0);
    if (receive(n, n->held))
        n->held = 0;
}

static void net_offload(void *opaque, bool guest_csum)
{
    struct network *n = opaque;

    CHECK(!guest_csum || virtio_has(&n->net.dev, VIRTIO_NET_F_GUEST_CSUM));
}

static void network_acts(struct network *n, uint8_t what)
{
    switch (what & 7) {
    case 0:
    case 1:
        deliver(n, what >> 3);
        break;
    case 2:
        deliver(n, fuzz_word(n->w) % (VIRTIO_NET_HDR_SIZE + NET_FRAME_MAX + 100));
        break;
    case 3:
        n->takes = what >> 3;
        break;
    case 4:
        n->answers = what & 8;
        virtio_net_set_link(&n->net, what & 16);
        break;
    case 5:
        for (unsigned i = 0; i < sizeof n->hdr; i++)
            n->hdr[i] = fuzz_byte(n->w);
        break;
    default:
        if (n->refused) {
            n->refused = false;
            n->takes += what >> 3;
            virtio_net_send_more(&n->net);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    struct fuzz_world w;
    struct network n = {.w = &w, .takes = 4};

    fuzz_begin(&w, data, size);
    virtio_net_init(&n.net, "virtio-net0", &w.mem, fuzz_remark(), mac,
                    &(struct net_backend){.send = net_send,
                                          .forget = net_forget,
                                          .room = net_room,
                                          .offload = net_offload,
                                          .vnet_hdr = fuzz_byte(&w) & 1,
                                          .opaque = &n});
    fuzz_drive(&w, &n.net.dev, NULL);
    while (w.in.left > 0) {
        if (!fuzz_driver_acts(&w))
            network_acts(&n, fuzz_byte(&w));
        CHECK(n.net.rx_waiting == (n.held > 0));
        CHECK(n.net.dev.queue[VIRTIO_NET_RX].in_flight == 0 ||
              !virtio_live(&n.net.dev, VIRTIO_NET_RX));
        CHECK(n.net.dev.queue[VIRTIO_NET_TX].in_flight == 0 ||
              !virtio_live(&n.net.dev, VIRTIO_NET_TX));
    }
    fuzz_end(&w);
    CHECK(n.held == 0);
    return 0;
}
