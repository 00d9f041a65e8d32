/*
 * hostile-net.c: a guest that attacks its network from inside; hostile.h tells how, and what is right.
 *
 *     build/kvmlens -kernel build/guest/lessons/hostile-net.elf -netdev user,id=n -device virtio-net-device,netdev=n \
 *         -device virtio-rng-device
 *
 * Specification: virtio 1.2, 2.7 (queues), 4.2 (MMIO), 5.1 (network device).
 */
#include "hostile_attacks.h"

#include <virtio_net.h>

void lesson(void); /* called from the assembly of hostile.h */

static volatile struct virtio_net_hdr header;

/* A frame of BYTES behind a header. */
static void transmit(uint64_t bytes)
{
    settle(VIRTIO_NET_TX);
    unsigned before = queue[VIRTIO_NET_TX].used.idx;
    describe(VIRTIO_NET_TX, 0, &header, sizeof(header), NEXT, 1);
    describe(VIRTIO_NET_TX, 1, data, bytes, 0, 0);
    offer(VIRTIO_NET_TX, 0);
    answers(VIRTIO_NET_TX, before + 1, PATIENCE);
}

static void attack_frame(unsigned q)
{
    for (uint64_t bytes = 0; bytes < 20; bytes++) { /* shorter than a header, or just as long */
        settle(q);
        describe(q, 0, data, bytes, 0, 0);
        offer(q, 0);
    }
    transmit(1);
    transmit(13);
    transmit(1515);
    transmit(sizeof(data));
    transmit(0x80000000);
    transmit(0xffffffff);
}

static void attack_checksum(unsigned q)
{
    static const uint16_t places[] = {0, 13, 14, 63, 64, 0x7fff, 0xffff};
    (void)q;
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                         .csum_start = places[i],
                                         .csum_offset = places[sizeof(places) / 2 - 1 - i / 2]};
        transmit(64);
        header.csum_offset = 0xffff;
        transmit(64);
    }
    for (unsigned type = 0; type < 256; type = type * 2 + 1) {
        header = (struct virtio_net_hdr){
            .flags = 0xff, .gso_type = (uint8_t)type, .hdr_len = 0xffff, .gso_size = 0xffff};
        transmit(128);
    }
    header = (struct virtio_net_hdr){.flags = 0};
}

/* To all: who is 10.0.2.2? The answer wants a place in the receive queue. */
static void ask(void)
{
    static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34,
                                    0x56, 8,    6,    0,    1,    8,    0,    6,    4, 0,    1,
                                    0x52, 0x54, 0,    0x12, 0x34, 0x56, 10,   0,    2, 15,   0,
                                    0,    0,    0,    0,    0,    10,   0,    2,    2};
    for (unsigned i = 0; i < sizeof(arp); i++)
        data[i] = arp[i];
    transmit(sizeof(arp));
}

static void attack_receive(unsigned q)
{
    static const uint32_t sizes[] = {0, 1, 11, 12, 13, 53, 0xffffffff};
    ask(); /* there is no buffer at all */
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        describe(q, i, data + 4096, sizes[i], WRITE, 0);
        offer(q, i);
        ask();
        settle(q);
    }
    describe(q, 8, gpa(0xfffffffffffff000), 2048, WRITE, 0);
    offer(q, 8);
    ask();
    settle(q);
    describe(q, 9, data + 4096, 2048, 0, 0); /* not for the device to write */
    offer(q, 9);
    ask();
}

void lesson(void)
{
    static const struct attack sent[] = {
        {"frames that are too short, and too long", attack_frame},
        {"checksums that lie elsewhere", attack_checksum},
    };
    static const struct attack received[] = {
        {"buffers that hold no frame", attack_receive},
    };
    hostile_begin(VIRTIO_ID_NET,
                  1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_NET_F_CSUM |
                      1u << VIRTIO_NET_F_GUEST_CSUM | 1u << VIRTIO_NET_F_MRG_RXBUF,
                  "a network device and virtio-rng-device are needed\r\n");
    attack_all(sent, sizeof(sent) / sizeof(sent[0]), VIRTIO_NET_TX);
    attack_all(received, sizeof(received) / sizeof(received[0]), VIRTIO_NET_RX);
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_NET_TX);
    stir = ask;
    attack_all(generic_attacks, GENERIC_ATTACKS, VIRTIO_NET_RX);
    begin();
    describe(VIRTIO_NET_RX, 0, data + 4096, 2048, WRITE, 0);
    offer(VIRTIO_NET_RX, 0);
    ask();
    hostile_end(answers(VIRTIO_NET_TX, 1, PATIENCE_RNG) && answers(VIRTIO_NET_RX, 1, PATIENCE_RNG));
}
