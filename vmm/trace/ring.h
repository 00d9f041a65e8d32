/*
 * ring.h: records on their way from one thread to another: one producer, one consumer, no lock.
 *
 * The producer owns head, the consumer owns tail; both only grow, so that a full ring and an empty
 * one differ. What does not fit is dropped and counted.
 */
#ifndef KVMLENS_TRACE_RING_H
#define KVMLENS_TRACE_RING_H

#include "event.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct trace_ring {
    struct trace_event *record; /* capacity of them */
    uint32_t capacity;          /* a power of two */
    _Alignas(64) _Atomic uint64_t head;
    uint64_t tail_seen;       /* the producer's last look at tail */
    _Atomic uint64_t dropped; /* written by the producer */
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t head_seen; /* the consumer's last look at head */
};

/* CAPACITY records (a power of two), whose memory costs nothing before it is used. 0 or -ENOMEM. */
int trace_ring_init(struct trace_ring *ring, uint32_t capacity);
void trace_ring_destroy(struct trace_ring *ring);

/* The producer: the record to fill in next, or NULL (counted as dropped) while the ring is full;
 * trace_ring_publish() hands it over, and returns how many records were published until now. */
struct trace_event *trace_ring_reserve(struct trace_ring *ring);
uint64_t trace_ring_publish(struct trace_ring *ring);

/* The consumer: the oldest record, or NULL; trace_ring_release() gives its place back. */
const struct trace_event *trace_ring_peek(struct trace_ring *ring);
void trace_ring_release(struct trace_ring *ring);

#endif
