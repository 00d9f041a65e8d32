/*
 * test_virtq_event.c: when the driver notifies and when it is interrupted: the flags and the event
 * index (virtio 1.2, sections 2.7.7 and 2.7.10).
 */
#include "virtq_bench.h"

/* --- notifications (2.7.10) ----------------------------------------------------------------- */

static void kicks_by_flag(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    assert_true(q->kicks);
    assert_false(virtq_set_kicks(q, false));
    assert_false(q->kicks);
    assert_int_equal(bench_used_ring(&f->b, 0)->flags, VIRTQ_USED_NO_NOTIFY);
    offer_one(f);
    assert_false(bench_should_notify(&f->b, 0));
    assert_true(virtq_set_kicks(q, true)); /* the one that no notification came for */
    assert_int_equal(bench_used_ring(&f->b, 0)->flags, 0);
    pop_one(f);
    assert_false(virtq_set_kicks(q, true));
    offer_one(f);
    assert_true(bench_should_notify(&f->b, 0));
    assert_int_equal(bench_avail_event(&f->b, 0), 0); /* not negotiated, not touched */
}

static void kicks_by_event(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    bench_wind(&f->b, 0, 65534);
    for (unsigned i = 0; i < 4; i++) { /* over the edge of the index */
        assert_false(virtq_set_kicks(q, true));
        assert_int_equal(bench_avail_event(&f->b, 0), q->next_avail);
        offer_one(f);
        assert_true(bench_should_notify(&f->b, 0));
        assert_false(virtq_set_kicks(q, false));
        offer_one(f);
        assert_false(bench_should_notify(&f->b, 0)); /* avail_event lies behind */
        pop_one(f);
        push_one(f);
        assert_true(virtq_set_kicks(q, true)); /* the second one is there */
        assert_int_equal(bench_avail_event(&f->b, 0), q->next_avail);
        pop_one(f);
        push_one(f);
        struct virtq_used_elem elem;
        while (bench_used(&f->b, 0, &elem)) {
        }
    }
    assert_int_equal(bench_used_ring(&f->b, 0)->flags, 0); /* 0 with the event index */
}

/* --- interrupts (2.7.7) --------------------------------------------------------------------- */

static void interrupt_by_flag(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    assert_false(virtq_wants_interrupt(q)); /* nothing was pushed */
    offer_one(f);
    pop_one(f);
    push_one(f);
    assert_true(virtq_wants_interrupt(q));
    assert_false(virtq_wants_interrupt(q)); /* once */
    /* Of the flags one says something; the driver may set no other (2.7.7.1). */
    static const uint16_t flags[] = {VIRTQ_AVAIL_NO_INTERRUPT, 0xfffe, 0xffff, 2, 0};
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        bench_avail(&f->b, 0)->flags = flags[i];
        offer_one(f);
        pop_one(f);
        push_one(f);
        assert_int_equal(virtq_wants_interrupt(q), !(flags[i] & VIRTQ_AVAIL_NO_INTERRUPT));
    }
}

/* Where used_event lies, seen from the OLD used index, and whether pushing COUNT passes it. */
static void interrupt_by_event(void **state)
{
    static const struct {
        uint16_t old, event, count;
        bool wanted;
    } cases[] = {
        {0, 0, 1, true},         /* at once: the entry of index 0 is now used */
        {0, 1, 1, false},        /* the next one */
        {0, 1, 2, true},         /* the last of two */
        {0, 65535, 1, false},    /* behind: no interrupt wanted for 65535 entries */
        {5, 4, 3, false},        /* just passed before */
        {5, 5, 3, true},         /* the first */
        {5, 7, 3, true},         /* the last */
        {5, 8, 3, false},        /* one too far */
        {65535, 65535, 1, true}, /* over the edge */
        {65535, 0, 1, false},    {65534, 0, 3, true},
        {65534, 1, 3, false},    {65534, 65533, 3, false},
    };
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[1];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        virtio_stop_queue(&f->dev, 1);
        bench_queue(&f->b, 1, SIZE);
        bench_wind(&f->b, 1, cases[i].old);
        *bench_used_event(&f->b, 1) = cases[i].event;
        bench_avail(&f->b, 1)->flags = VIRTQ_AVAIL_NO_INTERRUPT; /* says nothing here */
        for (unsigned n = 0; n < cases[i].count; n++) {
            bench_offer(&f->b, 1, (struct bench_buffer[]){{BENCH_DATA, 1, true}}, 1);
            assert_int_equal(virtq_pop(q, &f->chain), 1);
            assert_int_equal(virtq_push(q, f->chain.head, 0), 0);
        }
        if (virtq_wants_interrupt(q) != cases[i].wanted) {
            fail_msg("case %u", i);
        }
        assert_false(virtq_wants_interrupt(q));
    }
}

/* A driver that polled for a whole round of the index gets its interrupt all the same. */
static void event_after_a_round(void **state)
{
    struct fixture *f = *state;
    struct virtq *q = &f->dev.queue[0];
    *bench_used_event(&f->b, 0) = 0;
    for (unsigned i = 0; i < 65536 + 12; i++) {
        *bench_used_event(&f->b, 0) = (uint16_t)(i < 65536 + 10 ? i - 1 : 65536 + 10);
        offer_one(f);
        pop_one(f);
        push_one(f);
        struct virtq_used_elem elem;
        assert_true(bench_used(&f->b, 0, &elem));
        assert_int_equal(virtq_wants_interrupt(q), i == 65536 + 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIRTQ_TEST(kicks_by_flag),       EVENT_TEST(kicks_by_event),
        VIRTQ_TEST(interrupt_by_flag),   EVENT_TEST(interrupt_by_event),
        EVENT_TEST(event_after_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
