/*
 * virtio_bench.h: a virtio device on a test bench: guest memory, a virtio-mmio slot, and a scripted
 * driver that plays well (bench_start, bench_offer, bench_notify, bench_used) or, with the rings in
 * its hands (bench_desc, bench_avail), badly.
 *
 *   0x0000000  RAM; the parts of queue n from BENCH_QUEUES + n * BENCH_QUEUE_STRIDE on, and from
 *              BENCH_DATA on what bench_alloc() hands out
 *   0x0100000  RAM, a region of its own: a buffer can span the two
 *   0x0110000  ROM
 *   0x0120000  nothing
 *
 * A device's test: bench_init(), make the device with &b.mem and bench_remark(), bench_connect(),
 * bench_start(); at the end bench_free().  Includes what cmocka needs; a fuzzer, which has no
 * cmocka, defines BENCH_CHECK before.
 */
#ifndef KVMLENS_VIRTIO_BENCH_H
#define KVMLENS_VIRTIO_BENCH_H

#include "bus.h"
#include "fake_wires.h"
#include "virtio/mmio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BENCH_CHECK
#include <cmocka.h>
#define BENCH_CHECK(condition) assert_true(condition)
#endif

#ifndef BENCH_RAM              /* a fuzzer is faster with less */
#define BENCH_RAM  0x100000ull /* bytes from 0 on */
#define BENCH_MORE 0x10000ull  /* bytes of RAM behind, and of ROM behind that */
#define BENCH_DATA 0x50000ull
#endif
#define BENCH_ROM          (BENCH_RAM + BENCH_MORE)
#define BENCH_END          (BENCH_ROM + BENCH_MORE)
#define BENCH_QUEUES       0x10000ull
#define BENCH_QUEUE_STRIDE 0x3000ull /* descriptors, +0x1000 available ring, +0x2000 used ring */
#define BENCH_LOG          16384

struct bench_queue {
    uint16_t size;
    uint16_t last_used;              /* used entries taken */
    uint16_t kicked;                 /* avail.idx when the driver last considered a notification */
    uint16_t free[VIRTQ_SIZE_MAX];   /* descriptors to take: a stack */
    uint16_t count;                  /* of free */
    uint16_t length[VIRTQ_SIZE_MAX]; /* of the chain with this head, in descriptors of the table */
};

struct virtio_bench {
    struct mem mem;
    uint8_t *host[3];
    struct virtio_mmio mmio;
    struct bus bus; /* the slot is at 0 */
    struct fake_wires wires;
    uint64_t features; /* that the driver accepted */
    struct bench_queue queue[VIRTIO_QUEUES_MAX];
    uint64_t next_alloc;
    char log[BENCH_LOG]; /* the remarks, a line each; "device: text" */
    size_t log_used;
};

/* A buffer as the driver gives it; the readable ones of a chain come first. */
struct bench_buffer {
    uint64_t gpa;
    uint32_t len;
    bool write; /* for the device to write */
};

static inline void bench_init(struct virtio_bench *b)
{
    memset(b, 0, sizeof(*b));
    b->next_alloc = BENCH_DATA;
    const uint64_t size[] = {BENCH_RAM, BENCH_MORE, BENCH_MORE};
    uint64_t gpa = 0;
    for (unsigned i = 0; i < 3; gpa += size[i], i++) {
        b->host[i] = aligned_alloc(4096, size[i]);
        BENCH_CHECK(b->host[i] != NULL);
        memset(b->host[i], 0, size[i]);
        BENCH_CHECK(mem_add(&b->mem, gpa, size[i], b->host[i], i == 2) == 0);
    }
}

static inline void bench_free(struct virtio_bench *b)
{
    for (unsigned i = 0; i < 3; i++) {
        free(b->host[i]);
    }
}

/* --- remarks -------------------------------------------------------------------------------- */

static inline void bench_say(void *opaque, const char *device, const char *text, uint64_t a,
                             uint64_t b, uint64_t c)
{
    struct virtio_bench *bench = opaque;
    char line[256];
    int start = snprintf(line, sizeof(line), "%s: ", device);
    snprintf(line + start, sizeof(line) - (size_t)start - 1, text, (unsigned long long)a,
             (unsigned long long)b, (unsigned long long)c);
    strcat(line, "\n");
    if (bench->log_used + strlen(line) >= sizeof(bench->log)) {
        bench->log_used = 0; /* what is old is forgotten */
    }
    strcpy(bench->log + bench->log_used, line);
    bench->log_used += strlen(line);
}

static inline struct device_remark bench_remark(struct virtio_bench *b)
{
    return (struct device_remark){.say = bench_say, .opaque = b};
}

static inline void bench_hush(struct virtio_bench *b)
{
    b->log_used = 0;
    b->log[0] = '\0';
}

/* Has a remark with TEXT in it been made since bench_hush()? */
static inline bool bench_said(const struct virtio_bench *b, const char *text)
{
    if (strstr(b->log, text)) {
        return true;
    }
    fprintf(stderr, "not among the remarks: %s\n%s", text, b->log);
    return false;
}

/* --- registers ------------------------------------------------------------------------------ */

static inline void bench_connect(struct virtio_bench *b, struct virtio_device *dev)
{
    virtio_mmio_init(&b->mmio, dev, fake_irq(&b->wires, 5));
    BENCH_CHECK(bus_attach(&b->bus, 0, 512, &virtio_mmio_ops, &b->mmio) == 0);
}

static inline uint32_t bench_get(struct virtio_bench *b, uint32_t reg)
{
    return (uint32_t)bus_read(&b->bus, reg, 4);
}

static inline void bench_set(struct virtio_bench *b, uint32_t reg, uint32_t value)
{
    bus_write(&b->bus, reg, 4, value);
}

static inline uint64_t bench_config(struct virtio_bench *b, uint32_t offset, unsigned size)
{
    return bus_read(&b->bus, VIRTIO_MMIO_CONFIG + offset, size);
}

static inline void bench_set_config(struct virtio_bench *b, uint32_t offset, unsigned size,
                                    uint64_t value)
{
    bus_write(&b->bus, VIRTIO_MMIO_CONFIG + offset, size, value);
}

static inline uint64_t bench_offered(struct virtio_bench *b)
{
    bench_set(b, VIRTIO_MMIO_DEVICE_SEL, 1);
    uint64_t high = bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES);
    bench_set(b, VIRTIO_MMIO_DEVICE_SEL, 0);
    return high << 32 | bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES);
}

/* Sets a bit of the status. True if the device has taken it. */
static inline bool bench_status(struct virtio_bench *b, uint32_t bit)
{
    bench_set(b, VIRTIO_MMIO_STATUS, bench_get(b, VIRTIO_MMIO_STATUS) | bit);
    return bench_get(b, VIRTIO_MMIO_STATUS) & bit;
}

/* What the interrupt was for; it is acknowledged. 0: there was none. */
static inline uint32_t bench_interrupt(struct virtio_bench *b)
{
    uint32_t reasons = bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS);
    BENCH_CHECK(b->wires.level == (reasons != 0));
    bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, reasons);
    BENCH_CHECK(!b->wires.level);
    return reasons;
}

/* --- setting up (3.1.1) --------------------------------------------------------------------- */

/* Reset, then up to FEATURES_OK with FEATURES and VERSION_1. False: refused. */
static inline bool bench_features(struct virtio_bench *b, uint64_t features)
{
    bench_set(b, VIRTIO_MMIO_STATUS, 0);
    BENCH_CHECK(bench_get(b, VIRTIO_MMIO_STATUS) == 0);
    bench_status(b, VIRTIO_STATUS_ACKNOWLEDGE);
    bench_status(b, VIRTIO_STATUS_DRIVER);
    b->features = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < 2; i++) {
        bench_set(b, VIRTIO_MMIO_DRIVER_SEL, i);
        bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(b->features >> (32 * i)));
    }
    return bench_status(b, VIRTIO_STATUS_FEATURES_OK);
}

static inline uint64_t bench_part(unsigned queue, unsigned part)
{
    return BENCH_QUEUES + queue * BENCH_QUEUE_STRIDE + 0x1000 * part;
}

/* Everything but QueueReady. */
static inline void bench_prepare_queue(struct virtio_bench *b, unsigned queue, uint16_t size)
{
    struct bench_queue *q = &b->queue[queue];
    *q = (struct bench_queue){.size = size};
    while (q->count < size) {
        q->free[q->count] = (uint16_t)(size - 1 - q->count);
        q->count++;
    }
    memset(b->host[0] + bench_part(queue, 0), 0, BENCH_QUEUE_STRIDE);
    bench_set(b, VIRTIO_MMIO_QUEUE_SEL, queue);
    BENCH_CHECK(bench_get(b, VIRTIO_MMIO_QUEUE_NUM_MAX) >= size);
    BENCH_CHECK(bench_get(b, VIRTIO_MMIO_QUEUE_READY) == 0);
    bench_set(b, VIRTIO_MMIO_QUEUE_NUM, size);
    for (unsigned part = 0; part < 3; part++) {
        bench_set(b, VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * part, (uint32_t)bench_part(queue, part));
        bench_set(b, VIRTIO_MMIO_QUEUE_DESC_HIGH + 0x10 * part, 0);
    }
}

static inline void bench_queue(struct virtio_bench *b, unsigned queue, uint16_t size)
{
    bench_prepare_queue(b, queue, size);
    bench_set(b, VIRTIO_MMIO_QUEUE_READY, 1);
    BENCH_CHECK(bench_get(b, VIRTIO_MMIO_QUEUE_READY) == 1);
}

/* Reset, all queues with SIZE entries, DRIVER_OK. */
static inline void bench_start(struct virtio_bench *b, uint64_t features, uint16_t size)
{
    BENCH_CHECK(bench_features(b, features));
    for (unsigned i = 0; i < b->mmio.dev->queue_count; i++) {
        bench_queue(b, i, size);
    }
    BENCH_CHECK(bench_status(b, VIRTIO_STATUS_DRIVER_OK));
}

/* --- memory and rings ----------------------------------------------------------------------- */

/* Host address of RAM or ROM at GPA: LEN bytes in one region. */
static inline void *bench_at(const struct virtio_bench *b, uint64_t gpa, uint64_t len)
{
    const void *host = mem_peek(&b->mem, gpa, len);
    BENCH_CHECK(host != NULL);
    return (void *)host;
}

/* GPA of LEN fresh bytes of RAM, aligned to 16; the first ones again when all are used up. */
static inline uint64_t bench_alloc(struct virtio_bench *b, uint32_t len)
{
    BENCH_CHECK(len <= BENCH_RAM - BENCH_DATA);
    uint64_t bytes = ((uint64_t)len + 15) & ~15ull;
    if (bytes > BENCH_RAM - b->next_alloc) {
        b->next_alloc = BENCH_DATA;
    }
    uint64_t gpa = b->next_alloc;
    b->next_alloc += bytes;
    return gpa;
}

/* GPA of a copy of LEN bytes in the guest's RAM. */
static inline uint64_t bench_put(struct virtio_bench *b, const void *bytes, uint32_t len)
{
    uint64_t gpa = bench_alloc(b, len);
    memcpy(bench_at(b, gpa, len), bytes, len);
    return gpa;
}

static inline struct virtq_desc *bench_desc(const struct virtio_bench *b, unsigned queue)
{
    return bench_at(b, bench_part(queue, 0), VIRTQ_DESC_BYTES(b->queue[queue].size));
}

static inline struct virtq_avail *bench_avail(const struct virtio_bench *b, unsigned queue)
{
    return bench_at(b, bench_part(queue, 1), VIRTQ_AVAIL_BYTES(b->queue[queue].size));
}

static inline struct virtq_used *bench_used_ring(const struct virtio_bench *b, unsigned queue)
{
    return bench_at(b, bench_part(queue, 2), VIRTQ_USED_BYTES(b->queue[queue].size));
}

static inline uint16_t *bench_used_event(const struct virtio_bench *b, unsigned queue)
{
    return &bench_avail(b, queue)->ring[b->queue[queue].size];
}

static inline uint16_t bench_avail_event(const struct virtio_bench *b, unsigned queue)
{
    const struct virtq_used *used = bench_used_ring(b, queue);
    return *(const uint16_t *)&used->ring[b->queue[queue].size];
}

static inline struct virtq_desc bench_make_desc(const struct bench_buffer *buffer, bool last,
                                                uint16_t next)
{
    return (struct virtq_desc){
        .addr = buffer->gpa,
        .len = buffer->len,
        .flags = (uint16_t)((buffer->write ? VIRTQ_DESC_WRITE : 0) | (last ? 0 : VIRTQ_DESC_NEXT)),
        .next = last ? 0 : next};
}

/* Makes HEAD available, whatever it is. */
static inline void bench_publish(struct virtio_bench *b, unsigned queue, uint16_t head)
{
    struct virtq_avail *avail = bench_avail(b, queue);
    avail->ring[avail->idx % b->queue[queue].size] = head;
    avail->idx++;
}

/* Offers a chain of COUNT buffers, without a notification. Returns its head. */
static inline uint16_t bench_offer(struct virtio_bench *b, unsigned queue,
                                   const struct bench_buffer *buffers, unsigned count)
{
    struct bench_queue *q = &b->queue[queue];
    struct virtq_desc *desc = bench_desc(b, queue);
    BENCH_CHECK(count > 0 && count <= q->count);
    uint16_t head = q->free[q->count - 1];
    for (unsigned i = 0; i < count; i++) {
        uint16_t at = q->free[--q->count];
        uint16_t next = q->count > 0 ? q->free[q->count - 1] : 0;
        desc[at] = bench_make_desc(&buffers[i], i + 1 == count, next);
    }
    q->length[head] = (uint16_t)count;
    bench_publish(b, queue, head);
    return head;
}

/* The same with one descriptor of the queue and an indirect table. */
static inline uint16_t bench_offer_indirect(struct virtio_bench *b, unsigned queue,
                                            const struct bench_buffer *buffers, unsigned count)
{
    struct bench_queue *q = &b->queue[queue];
    BENCH_CHECK(count > 0 && q->count > 0);
    uint32_t bytes = (uint32_t)(count * sizeof(struct virtq_desc));
    uint64_t gpa = bench_alloc(b, bytes);
    struct virtq_desc *table = bench_at(b, gpa, bytes);
    for (unsigned i = 0; i < count; i++) {
        table[i] = bench_make_desc(&buffers[i], i + 1 == count, (uint16_t)(i + 1));
    }
    uint16_t head = q->free[--q->count];
    bench_desc(b, queue)[head] =
        (struct virtq_desc){.addr = gpa, .len = bytes, .flags = VIRTQ_DESC_INDIRECT};
    q->length[head] = 1;
    bench_publish(b, queue, head);
    return head;
}

static inline void bench_notify(struct virtio_bench *b, unsigned queue)
{
    b->queue[queue].kicked = bench_avail(b, queue)->idx;
    bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* Would a well-behaved driver notify for what it offered since it last considered it (2.7.13)? */
static inline bool bench_should_notify(struct virtio_bench *b, unsigned queue)
{
    struct bench_queue *q = &b->queue[queue];
    uint16_t before = q->kicked;
    q->kicked = bench_avail(b, queue)->idx;
    if (b->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)) {
        return virtq_event_passed(bench_avail_event(b, queue), q->kicked, before);
    }
    return !(bench_used_ring(b, queue)->flags & VIRTQ_USED_NO_NOTIFY);
}

/* The next buffer that came back, and its descriptors to take again. False: there is none. */
static inline bool bench_used(struct virtio_bench *b, unsigned queue, struct virtq_used_elem *elem)
{
    struct bench_queue *q = &b->queue[queue];
    const struct virtq_used *used = bench_used_ring(b, queue);
    if (used->idx == q->last_used) {
        return false;
    }
    *elem = used->ring[q->last_used++ % q->size];
    BENCH_CHECK(elem->id < q->size && q->length[elem->id] > 0);
    uint16_t at = (uint16_t)elem->id;
    for (unsigned left = q->length[elem->id]; left > 0; left--) {
        BENCH_CHECK(at < q->size && q->count < q->size);
        q->free[q->count++] = at;
        at = bench_desc(b, queue)[at].next;
    }
    q->length[elem->id] = 0;
    return true;
}

/* One request from end to end: offered, notified, given back at once. Returns the bytes written. */
static inline uint32_t bench_request(struct virtio_bench *b, unsigned queue,
                                     const struct bench_buffer *buffers, unsigned count)
{
    struct virtq_used_elem elem;
    uint16_t head = bench_offer(b, queue, buffers, count);
    bench_notify(b, queue);
    BENCH_CHECK(bench_used(b, queue, &elem) && elem.id == head);
    return elem.len;
}

/* Goes on with both ring indices at INDEX: as if that many buffers had gone through an idle queue
 * before. */
static inline void bench_wind(struct virtio_bench *b, unsigned queue, uint16_t index)
{
    struct virtq *q = &b->mmio.dev->queue[queue];
    BENCH_CHECK(q->in_flight == 0 && q->next_avail == bench_avail(b, queue)->idx);
    q->next_avail = q->next_used = q->signalled = index;
    bench_avail(b, queue)->idx = bench_used_ring(b, queue)->idx = index;
    b->queue[queue].last_used = b->queue[queue].kicked = index;
}

#endif
