/*
 * fuzz_virtio_balloon.c: a hostile driver against the memory balloon.  What it gives away has to be
 * whole pages of RAM, and reads as zeroes from then on.
 */
#include "../unit/fake_wires.h"
#include "fuzz_virtio.h"
#include "virtio/balloon.h"

#define PAGE 4096u

static void discard(void *opaque, void *host, uint64_t bytes)
{
    struct fuzz_world *w = opaque;
    uint64_t offset = (uint64_t)((uint8_t *)host - w->ram);

    CHECK(offset < FUZZ_RAM && bytes <= FUZZ_RAM - offset);
    CHECK((uintptr_t)host % PAGE == 0 && bytes % PAGE == 0 && bytes > 0);
    memset(host, 0, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_wires wires = {.now = 1};
    struct fuzz_world w;
    struct balloon balloon;

    fuzz_begin(&w, data, size);
    balloon_init(&balloon, "virtio-balloon0", &w.mem, fuzz_remark(),
                 (struct balloon_backend){discard, &w}, fake_clock(&wires), fake_timer(&wires),
                 VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING), 100);
    fuzz_drive(&w, &balloon.virtio, NULL);
    while (w.in.left > 0)
        if (!fuzz_driver_acts(&w)) {
            uint8_t what = fuzz_byte(&w);

            if (what & 1)
                balloon_set_target(&balloon, (uint64_t)what << 8);
            else if (fake_wires_pass(&wires, what))
                balloon_timeout(&balloon);
        }
    fuzz_end(&w);
    return 0;
}
