/*
 * test_ring.c: records on their way between two threads.
 */
#include "trace/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define CAPACITY 8
#define MANY     200000

static struct trace_ring *make(uint32_t capacity)
{
    struct trace_ring *ring = aligned_alloc(_Alignof(struct trace_ring), sizeof(*ring));

    assert_non_null(ring);
    assert_int_equal(trace_ring_init(ring, capacity), 0);
    return ring;
}

static void destroy(struct trace_ring *ring)
{
    trace_ring_destroy(ring);
    free(ring);
}

/* False: there was no room. */
static bool put(struct trace_ring *ring, uint64_t number)
{
    struct trace_event *event = trace_ring_reserve(ring);

    if (!event)
        return false;
    event->start_ns = number;
    event->registers.rflags = ~number; /* the last byte of a record arrives too */
    trace_ring_publish(ring);
    return true;
}

/* The oldest number, or UINT64_MAX if there is none. */
static uint64_t take(struct trace_ring *ring)
{
    const struct trace_event *event = trace_ring_peek(ring);

    if (!event)
        return UINT64_MAX;
    uint64_t number = event->start_ns;
    assert_int_equal(event->registers.rflags, ~number);
    trace_ring_release(ring);
    return number;
}

static void an_empty_ring_has_nothing(void **state)
{
    struct trace_ring *ring = make(CAPACITY);

    (void)state;
    assert_int_equal(take(ring), UINT64_MAX);
    assert_non_null(trace_ring_reserve(ring)); /* reserved is not yet published */
    assert_int_equal(take(ring), UINT64_MAX);
    destroy(ring);
}

static void first_in_first_out(void **state)
{
    struct trace_ring *ring = make(CAPACITY);
    uint64_t in = 0, out = 0;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 5; i++)
            assert_true(put(ring, in++));
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(take(ring), out++);
        assert_int_equal(take(ring), UINT64_MAX);
    }
    assert_int_equal(atomic_load(&ring->dropped), 0);
    destroy(ring);
}

static void what_does_not_fit_is_dropped_and_counted(void **state)
{
    struct trace_ring *ring = make(CAPACITY);

    (void)state;
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_true(put(ring, i));
    for (unsigned i = 0; i < 3; i++)
        assert_false(put(ring, 100 + i));
    assert_int_equal(atomic_load(&ring->dropped), 3);
    assert_int_equal(take(ring), 0);
    assert_true(put(ring, 200)); /* one place is free again */
    assert_false(put(ring, 201));
    assert_int_equal(atomic_load(&ring->dropped), 4);
    for (unsigned i = 1; i < CAPACITY; i++)
        assert_int_equal(take(ring), i);
    assert_int_equal(take(ring), 200);
    assert_int_equal(take(ring), UINT64_MAX);
    destroy(ring);
}

static void published_records_are_numbered(void **state)
{
    struct trace_ring *ring = make(CAPACITY);

    (void)state;
    for (uint64_t i = 1; i <= 3 * CAPACITY; i++) {
        assert_non_null(trace_ring_reserve(ring));
        assert_int_equal(trace_ring_publish(ring), i);
        assert_non_null(trace_ring_peek(ring));
        trace_ring_release(ring);
    }
    destroy(ring);
}

struct run {
    struct trace_ring *ring;
    atomic_bool over;
    uint64_t sent;
};

static void *produce(void *arg)
{
    struct run *run = arg;

    for (uint64_t i = 0; i < MANY; i++) {
        run->sent += put(run->ring, i);
        if (i % 1000 == 0)
            sched_yield();
    }
    atomic_store(&run->over, true);
    return NULL;
}

/* What arrives is whole and in order, and with what was dropped it is all. */
static void two_threads(void **state)
{
    struct run run = {.ring = make(64)};
    pthread_t thread;
    uint64_t received = 0, next = 0;
    bool over = false;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, produce, &run), 0);
    while (!over) {
        over = atomic_load(&run.over); /* before the last look */
        for (uint64_t number; (number = take(run.ring)) != UINT64_MAX; received++) {
            assert_true(number >= next);
            next = number + 1;
        }
        sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(received, run.sent);
    assert_int_equal(received + atomic_load(&run.ring->dropped), MANY);
    destroy(run.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_nothing),
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(what_does_not_fit_is_dropped_and_counted),
        cmocka_unit_test(published_records_are_numbered),
        cmocka_unit_test(two_threads),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
