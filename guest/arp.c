/*
 * arp.c: which MAC address has an IPv4 address (RFC 826).  The cache takes a new address only when
 * it has asked for it, so that nobody fills it from outside.
 */
#include "net.h"

#define ARP_ETHERNET 1
#define ARP_REQUEST  1
#define ARP_REPLY    2

const struct mac mac_broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static struct arp_entry *entry_of(struct net *net, uint32_t ip)
{
    for (unsigned i = 0; i < ARP_ENTRIES; i++) {
        if (net->arp[i].ip == ip)
            return &net->arp[i];
    }
    return NULL;
}

const struct mac *arp_find(const struct net *net, uint32_t ip)
{
    for (unsigned i = 0; ip && i < ARP_ENTRIES; i++) {
        if (net->arp[i].ip == ip && net->arp[i].known)
            return &net->arp[i].mac;
    }
    return NULL;
}

void arp_ask(struct net *net, uint32_t ip)
{
    struct frame *frame = ether_frame(net, &mac_broadcast, ETHER_ARP);
    if (!frame)
        return;
    if (!entry_of(net, ip))
        net->arp[net->arp_next++ % ARP_ENTRIES] = (struct arp_entry){.ip = ip};
    frame->arp = (struct arp){.hardware = swap16(ARP_ETHERNET),
                              .protocol = swap16(ETHER_IP),
                              .hardware_size = sizeof(struct mac),
                              .protocol_size = 4,
                              .operation = swap16(ARP_REQUEST),
                              .sender = net->mac,
                              .sender_ip = swap32(net->address),
                              .target_ip = swap32(ip)};
    ether_send(net, frame, ETHER_HEADER + sizeof(frame->arp));
}

size_t arp_input(struct net *net, struct frame *frame, size_t length)
{
    struct arp *arp = &frame->arp;
    uint32_t sender = swap32(arp->sender_ip);
    if (length < sizeof(*arp) || arp->hardware != swap16(ARP_ETHERNET) ||
        arp->protocol != swap16(ETHER_IP) || arp->hardware_size != sizeof(struct mac) ||
        arp->protocol_size != 4 || (arp->sender.byte[0] & 1)) {
        net->count[NET_MALFORMED]++;
        return 0;
    }
    struct arp_entry *entry = sender ? entry_of(net, sender) : NULL;
    if (entry) {
        entry->mac = arp->sender;
        entry->known = true;
    }
    if (arp->operation != swap16(ARP_REQUEST))
        return 0;
    if (net->address == 0 || arp->target_ip != swap32(net->address) || sender == net->address) {
        net->count[NET_NOT_OURS]++;
        return 0;
    }
    arp->operation = swap16(ARP_REPLY);
    arp->target = arp->sender;
    arp->target_ip = arp->sender_ip;
    arp->sender = net->mac;
    arp->sender_ip = swap32(net->address);
    ether_turn(net, frame);
    return ETHER_HEADER + sizeof(*arp);
}
