/*
 * fuzz_virtio_mmio.c: a hostile driver against the registers of a virtio-mmio slot and the rings in
 * guest memory. Behind it is a device that echoes: queue 0 at once, queue 1 later. The input is a
 * list of operations; after each, what must always hold is checked.
 */
#include "fuzz.h"

#define BENCH_RAM  0x18000ull
#define BENCH_MORE 0x1000ull
#define BENCH_DATA 0x16000ull

#include "../unit/virtio_bench.h"

#define SIZE 8

struct world {
    struct virtio_device dev;
    struct virtio_bench b;
    uint8_t config[12];
    struct virtq_chain chain;
    uint16_t later[VIRTQ_SIZE_MAX]; /* heads of queue 1 that are not given back yet */
    unsigned waiting;
    struct input in;
};

static uint8_t next(struct world *w)
{
    return input_byte(&w->in);
}

static uint32_t next32(struct world *w)
{
    uint8_t kind = next(w);
    uint32_t value = next(w);
    switch (kind & 3) {
    case 0:
        return value;
    case 1:
        return value << 4;
    case 2:
        return (uint32_t)BENCH_QUEUES + (value << 8);
    default:
        return UINT32_MAX - value;
    }
}

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    const struct world *w = (const struct world *)dev;
    uint64_t value = 0;
    CHECK(offset <= sizeof(w->config) && size <= sizeof(w->config) - offset);
    memcpy(&value, w->config + offset, size);
    return value;
}

static void config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value)
{
    struct world *w = (struct world *)dev;
    CHECK(offset <= sizeof(w->config) && size <= sizeof(w->config) - offset);
    memcpy(w->config + offset, &value, size);
}

static bool take(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct world *w = (struct world *)dev;
    uint8_t bytes[256];
    if (queue == 1) {
        CHECK(w->waiting < VIRTQ_SIZE_MAX);
        w->later[w->waiting++] = chain->head;
        return true;
    }
    uint32_t got = virtq_read(chain, 0, bytes, sizeof(bytes));
    uint32_t put = virtq_write(chain, 0, bytes, got);
    virtio_push(dev, queue, chain->head, put);
    return !(put & 0x80); /* now and then it has no room for the next one, and is told so late */
}

static void kick(struct virtio_device *dev, unsigned queue)
{
    struct world *w = (struct world *)dev;
    CHECK(virtio_live(dev, queue));
    virtio_run_queue(dev, queue, &w->chain, take);
}

static void start(struct virtio_device *dev)
{
    CHECK((dev->status & VIRTIO_STATUS_DRIVER_OK) && !(dev->status & VIRTIO_STATUS_NEEDS_RESET));
}

static void stop_queue(struct virtio_device *dev, unsigned queue)
{
    struct world *w = (struct world *)dev;
    CHECK(queue < dev->queue_count && dev->queue[queue].ready);
    if (queue == 1) {
        w->waiting = 0;
    }
}

static const struct virtio_ops echo_ops = {.id = VIRTIO_ID_CONSOLE,
                                           .config_size = 12,
                                           .config_read = config_read,
                                           .config_write = config_write,
                                           .start = start,
                                           .kick = kick,
                                           .stop_queue = stop_queue};

/* What the device had not finished, from the last on; all of it counts as one interrupt. */
static void finish(struct world *w, unsigned count)
{
    struct virtq *q = &w->dev.queue[1];
    uint16_t filled = 0;
    for (; filled < count && w->waiting > 0 && virtio_live(&w->dev, 1); filled++) {
        CHECK(virtq_fill(q, filled, w->later[--w->waiting], filled) == 0);
    }
    if (filled > 0) {
        CHECK(virtq_flush(q, filled) == 0);
        virtio_interrupt(&w->dev, 1);
    }
}

/* The driver as it should be: features, queues, DRIVER_OK. */
static void set_up(struct world *w, uint8_t features)
{
    uint64_t wanted = (features & 1 ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0) |
                      (features & 2 ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0) |
                      (features & 4 ? VIRTIO_BIT(VIRTIO_F_RING_RESET) : 0);
    bench_start(&w->b, wanted, SIZE);
}

static void put_descriptor(struct world *w)
{
    uint8_t where = next(w);
    struct virtq_desc desc = {.addr = next32(w), .len = next32(w)};
    desc.flags = next(w) & 7;
    desc.next = next(w) & 0xf;
    uint64_t table = where & 0x80 ? BENCH_QUEUES : bench_part(where >> 6 & 1, 0);
    CHECK(mem_write(&w->b.mem, table + (where & 15u) * sizeof(desc), &desc, sizeof(desc)) == 0);
}

static void offer(struct world *w, unsigned queue)
{
    struct virtq_avail *avail = bench_at(&w->b, bench_part(queue, 1), VIRTQ_AVAIL_BYTES(SIZE));
    uint8_t head = next(w);
    avail->ring[avail->idx % SIZE] = head & 0xf;
    avail->idx = (uint16_t)(avail->idx + (head < 0xe0 ? 1 : head));
}

static void registers(struct world *w, uint8_t what)
{
    static const uint8_t sizes[] = {4, 4, 4, 1, 2, 8, 4, 4};
    unsigned size = sizes[what & 7];
    uint64_t offset = (next(w) * 4u + (size < 4 ? what >> 3 & 3 : 0)) % (512 - size + 1);
    if (what & 0x20) {
        bus_write(&w->b.bus, offset, size, next32(w));
        return;
    }
    const struct virtio_mmio before = w->b.mmio;
    uint8_t status = w->dev.status;
    (void)bus_read(&w->b.bus, offset, size);
    CHECK(memcmp(&before, &w->b.mmio, sizeof(before)) == 0 && status == w->dev.status);
}

static void step(struct world *w)
{
    uint8_t what = next(w);
    uint8_t bytes[2];
    uint64_t gpa;
    switch (what >> 5) {
    case 0:
    case 1:
        registers(w, what);
        break;
    case 2:
        put_descriptor(w);
        break;
    case 3:
        offer(w, what & 1);
        break;
    case 4:
        if (what & 2) {
            virtio_mmio_notify(&w->b.mmio, what & 3);
        } else {
            bench_set(&w->b, VIRTIO_MMIO_QUEUE_NOTIFY, what & 1);
        }
        break;
    case 5:
        finish(w, what & 0x1f);
        break;
    case 6:
        if (what & 1) {
            set_up(w, what >> 1 & 7);
        } else if (what & 2) {
            bus_reset(&w->b.bus);
        } else {
            virtio_config_changed(&w->dev);
        }
        break;
    default:
        gpa = next32(w);
        bytes[0] = next(w);
        bytes[1] = next(w);
        (void)mem_write(&w->b.mem, gpa, bytes, 2);
        break;
    }
}

static void check(const struct world *w)
{
    const struct virtio_device *dev = &w->dev;
    CHECK(w->b.wires.level == (w->b.mmio.interrupt_status != 0));
    CHECK((w->b.mmio.interrupt_status & ~3u) == 0);
    CHECK(w->b.mmio.interrupt_status == 0 || (dev->status & VIRTIO_STATUS_DRIVER_OK));
    if (dev->status & VIRTIO_STATUS_FEATURES_OK) {
        CHECK((dev->driver_features & ~dev->features) == 0);
        CHECK(virtio_has(dev, VIRTIO_F_VERSION_1));
    } else {
        CHECK(!(dev->status & VIRTIO_STATUS_DRIVER_OK));
        CHECK(!dev->queue[0].ready && !dev->queue[1].ready);
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct virtq *q = &dev->queue[i];
        CHECK(q->in_flight == (uint16_t)(q->next_avail - q->next_used));
        CHECK(!q->ready || q->in_flight <= q->size);
        CHECK(!q->ready || mem_ptr(&w->b.mem, q->used, VIRTQ_USED_BYTES(q->size)));
    }
    CHECK(!dev->queue[1].ready || w->waiting == dev->queue[1].in_flight);
    CHECK(dev->queue[0].in_flight == 0);
    for (unsigned i = 2; i < VIRTIO_QUEUES_MAX; i++) {
        CHECK(!dev->queue[i].ready && dev->queue[i].size == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    CHECK(w);
    w->in = (struct input){data, size};
    bench_init(&w->b);
    virtio_init(&w->dev, &echo_ops, "echo", &w->b.mem, bench_remark(&w->b),
                VIRTIO_BIT(5) | VIRTIO_BIT(40), 2);
    bench_connect(&w->b, &w->dev);
    while (w->in.left > 0) {
        step(w);
        check(w);
    }
    uint8_t zero[256] = {0};
    for (unsigned i = 0; i < BENCH_MORE; i += sizeof(zero)) {
        CHECK(memcmp(w->b.host[2] + i, zero, sizeof(zero)) == 0); /* ROM */
    }
    bench_free(&w->b);
    free(w);
    return 0;
}
