/*
 * options_kinds.c: every kind of device that -device makes; the parser, -device help and -h NAME are
 * made from this table.
 */
#include "options_backends.h"

const struct device_kind device_kinds[] = {
    {.name = "isa-debug-exit",
     .help = "ends kvmlens with a status of the guest's choice: a guest that writes V to its port "
             "(default 0x501, 2 bytes) ends it with (V << 1) | 1",
     .sort = DEVICE_DEBUG_EXIT,
     .properties = debug_exit_properties},
    {.name = "virtio-blk-device",
     .help = "a disk: the -drive with id=ID, or what -drive if=virtio and -hda bring along",
     .sort = DEVICE_VIRTIO,
     .properties = blk_properties,
     .kind = VIRTIO_BLK,
     .connect = connect_blk},
    {.name = "virtio-net-device",
     .help = "a network device, connected to a -netdev",
     .sort = DEVICE_VIRTIO,
     .properties = net_properties,
     .kind = VIRTIO_NET,
     .defaults = net_defaults,
     .connect = connect_net},
    {0},
};
