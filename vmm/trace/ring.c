/*
 * ring.c: a queue of records between two threads (see ring.h).
 *
 * Each side keeps its last look at the other side's index, so that the cache line with that index
 * travels between the processors only when the queue seems full, or empty. The records themselves
 * were last in the consumer's cache: the producer asks for those it will need soon.
 */
#include "ring.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define AHEAD 4 /* records */
#define LINE  64

int trace_ring_init(struct trace_ring *ring, uint32_t capacity)
{
    void *memory = mmap(NULL, capacity * sizeof(struct trace_event), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    *ring = (struct trace_ring){.capacity = capacity};
    if (memory == MAP_FAILED)
        return -ENOMEM;
    ring->record = memory;
    return 0;
}

void trace_ring_destroy(struct trace_ring *ring)
{
    if (ring->record)
        munmap(ring->record, ring->capacity * sizeof(struct trace_event));
    ring->record = NULL;
}

static void fetch_for_writing(const struct trace_event *record)
{
    for (size_t at = 0; at < sizeof(*record); at += LINE)
        __builtin_prefetch((const char *)record + at, 1);
}

struct trace_event *trace_ring_reserve(struct trace_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (head - ring->tail_seen == ring->capacity) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head - ring->tail_seen == ring->capacity) {
            uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
            atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
            return NULL;
        }
    }
    fetch_for_writing(&ring->record[(head + AHEAD) & (ring->capacity - 1)]);
    return &ring->record[head & (ring->capacity - 1)];
}

uint64_t trace_ring_publish(struct trace_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + 1;

    atomic_store_explicit(&ring->head, head, memory_order_release);
    return head;
}

const struct trace_event *trace_ring_peek(struct trace_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (tail == ring->head_seen) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail == ring->head_seen)
            return NULL;
    }
    return &ring->record[tail & (ring->capacity - 1)];
}

void trace_ring_release(struct trace_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}
