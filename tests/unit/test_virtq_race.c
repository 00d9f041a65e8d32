/*
 * test_virtq_race.c: driver and device on two threads, each of which sleeps whenever the other has
 * promised to wake it (virtio 1.2, sections 2.7.7, 2.7.10, 2.7.13): with the flags and with the
 * event index, no notification and no interrupt is lost.
 */
#include "virtq_bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#define REQUESTS 40000u
#define PATIENCE 20 /* seconds: a wake-up that comes later was lost */

struct race {
    struct fixture *f;
    bool event_idx;
    sem_t kick, interrupt;
    bool done; /* atomic: the driver has all its buffers back */
    bool lost;
};

static bool sleep_on(sem_t *sem)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE;
    return sem_timedwait(sem, &deadline) == 0;
}

static bool take(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    virtio_push(dev, queue, chain->head, virtq_write(chain, 0, "x", 1));
    return true;
}

static void on_interrupt(void *opaque, uint32_t reason)
{
    struct race *race = opaque;
    if (reason == VIRTIO_MMIO_INT_USED_RING) {
        sem_post(&race->interrupt);
    }
}

/* The device: runs when notified, and sleeps when the queue is empty. */
static void *device(void *opaque)
{
    struct race *race = opaque;
    while (sleep_on(&race->kick) && !__atomic_load_n(&race->done, __ATOMIC_ACQUIRE)) {
        virtio_run_queue(&race->f->dev, 0, &race->f->chain, take);
    }
    return NULL;
}

/* The driver asks for an interrupt, or for none, and looks once more. True: there is something. */
static bool want_interrupt(struct race *race, uint16_t seen)
{
    struct virtq_avail *avail = bench_avail(&race->f->b, 0);
    struct virtq_used *used = bench_used_ring(&race->f->b, 0);
    if (race->event_idx) {
        __atomic_store_n(&avail->ring[SIZE], seen, __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(&avail->flags, 0, __ATOMIC_SEQ_CST);
    }
    bool there = __atomic_load_n(&used->idx, __ATOMIC_SEQ_CST) != seen;
    if (there && !race->event_idx) {
        __atomic_store_n(&avail->flags, VIRTQ_AVAIL_NO_INTERRUPT, __ATOMIC_SEQ_CST);
    }
    return there;
}

static void notify(struct race *race, uint16_t before, uint16_t now)
{
    struct virtq_used *used = bench_used_ring(&race->f->b, 0);
    uint16_t *avail_event = (uint16_t *)&used->ring[SIZE];
    bool wanted =
        race->event_idx
            ? virtq_event_passed(__atomic_load_n(avail_event, __ATOMIC_SEQ_CST), now, before)
            : !__atomic_load_n(&used->flags, __ATOMIC_SEQ_CST);
    if (wanted) {
        sem_post(&race->kick);
    }
}

static void drive(struct race *race)
{
    struct virtq_avail *avail = bench_avail(&race->f->b, 0);
    struct virtq_used *used = bench_used_ring(&race->f->b, 0);
    uint16_t offered = 0, seen = 0;
    for (unsigned sent = 0; sent < REQUESTS;) {
        uint16_t before = offered;
        for (unsigned i = 0; i <= sent % 5 && (uint16_t)(offered - seen) < SIZE; i++, sent++) {
            avail->ring[offered % SIZE] = offered % SIZE;
            offered++;
        }
        __atomic_store_n(&avail->idx, offered, __ATOMIC_SEQ_CST);
        notify(race, before, offered);
        /* now and then goes on with some in flight, else waits for all */
        while ((uint16_t)(offered - seen) > (sent % 3 ? 0 : SIZE / 2)) {
            if (!want_interrupt(race, seen) && !sleep_on(&race->interrupt)) {
                race->lost = true;
                return;
            }
            seen = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
        }
    }
}

static void run(struct fixture *f, bool event_idx)
{
    struct race race = {.f = f, .event_idx = event_idx};
    assert_int_equal(sem_init(&race.kick, 0, 0), 0);
    assert_int_equal(sem_init(&race.interrupt, 0, 0), 0);
    f->dev.transport = (struct virtio_transport){.interrupt = on_interrupt, .opaque = &race};
    for (uint16_t i = 0; i < SIZE; i++) {
        bench_desc(&f->b, 0)[i] = (struct virtq_desc){BENCH_DATA + i, 1, VIRTQ_DESC_WRITE, 0};
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, device, &race), 0);
    drive(&race);
    __atomic_store_n(&race.done, true, __ATOMIC_RELEASE);
    sem_post(&race.kick);
    pthread_join(thread, NULL);
    sem_destroy(&race.kick);
    sem_destroy(&race.interrupt);
    if (race.lost) {
        fail_msg("used.idx %u, avail.idx %u: both sides sleep", bench_used_ring(&f->b, 0)->idx,
                 bench_avail(&f->b, 0)->idx);
    }
    assert_false(f->dev.status & VIRTIO_STATUS_NEEDS_RESET);
}

static void with_flags(void **state)
{
    run(*state, false);
}

static void with_event_index(void **state)
{
    run(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIRTQ_TEST(with_flags),
        EVENT_TEST(with_event_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
