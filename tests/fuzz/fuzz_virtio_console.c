/*
 * fuzz_virtio_console.c: a hostile driver and moody far ends against the console device.  The input
 * is a list of operations: raw writes to the rings and buffers, notifications, far ends that come,
 * go, take and send.
 */
#include "fuzz_virtio.h"
#include "virtio/console.h"

struct far_end {
    struct console *console;
    unsigned nr;
    size_t takes;
};

static size_t far_write(void *opaque, const void *bytes, size_t count)
{
    struct far_end *far = opaque;

    count = count < far->takes ? count : far->takes;
    fuzz_touch(bytes, count);
    far->takes -= count;
    return count;
}

static void far_send(struct far_end *far, unsigned count)
{
    uint8_t bytes[300] = {1};
    unsigned room = console_room(far->console, far->nr);

    count = count < room ? count : room;
    count = count < sizeof bytes ? count : sizeof bytes;
    if (count > 0)
        console_receive(far->console, far->nr, bytes, count);
}

static void far_room(void *opaque)
{
    far_send(opaque, 7);
}

static void far_acts(struct far_end *far, uint8_t what)
{
    switch (what & 3) {
    case 0:
        console_host_open(far->console, far->nr, what & 4);
        break;
    case 1:
        far_send(far, what);
        break;
    case 2:
        console_resize(far->console, far->nr, what, what >> 3);
        break;
    default:
        far->takes = (size_t)what * 16;
        console_writable(far->console, far->nr);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world w;
    struct console console;
    struct far_end far[3];

    fuzz_begin(&w, data, size);
    console_init(&console, "virtio-serial0", &w.mem, fuzz_remark(), 4, true);
    for (unsigned i = 0; i < 3; i++) {
        far[i] = (struct far_end){&console, i, 100};
        console_add_port(&console, i, i != 1, i == 1 ? "org.kvmlens.agent" : NULL,
                         (struct console_backend){far_write, far_room, &far[i]});
    }
    fuzz_drive(&w, &console.virtio, NULL);
    while (w.in.left > 0) {
        if (!fuzz_driver_acts(&w)) {
            uint8_t what = fuzz_byte(&w);

            far_acts(&far[what % 3], fuzz_byte(&w));
        }
        for (unsigned nr = 0; nr < 4; nr++)
            CHECK(console.port[nr].exists || console.port[nr].to_tell == 0);
    }
    fuzz_end(&w);
    return 0;
}
