/*
 * fuzz_virtio_rng.c: a hostile driver, a moody source and a clock against the entropy device.
 */
#include "../unit/fake_wires.h"
#include "fuzz_virtio.h"
#include "virtio/rng.h"

struct source {
    size_t has;
    uint64_t given;
};

static size_t source_read(void *opaque, void *bytes, size_t count)
{
    struct source *source = opaque;

    count = count < source->has ? count : source->has;
    memset(bytes, 0xa5, count);
    source->has -= count;
    source->given += count;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_wires wires = {.now = 1};
    struct source source = {.has = 1000};
    struct fuzz_world w;
    struct rng rng;
    uint64_t quota, periods = 1;

    fuzz_begin(&w, data, size);
    quota = fuzz_byte(&w);
    rng_init(&rng, "virtio-rng0", &w.mem, fuzz_remark(), (struct rng_backend){source_read, &source},
             fake_clock(&wires), fake_timer(&wires), quota, 1000);
    fuzz_drive(&w, &rng.virtio, NULL);
    while (w.in.left > 0) {
        if (!fuzz_driver_acts(&w)) {
            uint8_t what = fuzz_byte(&w);

            if (what & 1) {
                source.has = what;
                rng_ready(&rng);
            } else if (fake_wires_pass(&wires, (uint64_t)what * 8)) {
                periods++;
                rng_timeout(&rng);
            }
        }
        CHECK(rng.left <= quota);
        CHECK(source.given <= periods * quota);
        CHECK(rng.counting == (wires.deadline != 0));
    }
    fuzz_end(&w);
    return 0;
}
