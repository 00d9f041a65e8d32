/*
 * test_loop.c: the event loop: timers, ends, and signals as its events.
 */
#include "host/loop.h"
#include "host/signals.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* --- loop --------------------------------------------------------------------------------------- */

struct ticker {
    struct loop *loop;
    struct loop_timer timer;
    unsigned count, quit_at;
    uint64_t last;
};

static void tick(void *opaque)
{
    struct ticker *t = opaque;

    t->last = loop_now();
    if (++t->count == t->quit_at)
        loop_quit(t->loop);
    else
        loop_arm(t->loop, &t->timer, t->last + 2 * MS);
}

static void timers_fire_in_time_and_can_rearm(void **state)
{
    struct loop loop;
    struct ticker t = {.loop = &loop, .quit_at = 5};

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    t.timer = (struct loop_timer){.fire = tick, .opaque = &t};
    assert_int_equal(loop_add_timer(&loop, &t.timer), 0);

    uint64_t start = loop_now();

    loop_arm(&loop, &t.timer, start + 5 * MS);
    assert_int_equal(loop_run(&loop, &lock), 0);
    assert_int_equal(t.count, 5);
    assert_true(t.last - start >= 13 * MS);
    loop_close(&loop);
}

static void disarmed_timers_do_not_fire(void **state)
{
    struct loop loop;
    struct ticker never = {.loop = &loop, .quit_at = 100}, end = {.loop = &loop, .quit_at = 1};

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    never.timer = (struct loop_timer){.fire = tick, .opaque = &never};
    end.timer = (struct loop_timer){.fire = tick, .opaque = &end};
    loop_add_timer(&loop, &never.timer);
    loop_add_timer(&loop, &end.timer);
    loop_arm(&loop, &never.timer, loop_now() + MS);
    loop_arm(&loop, &never.timer, 0);
    loop_arm(&loop, &end.timer, loop_now() + 5 * MS);
    assert_int_equal(loop_run(&loop, &lock), 0);
    assert_int_equal(never.count, 0);
    loop_close(&loop);
}

static void *quit_from_another_thread(void *loop)
{
    usleep(2000);
    loop_quit(loop);
    return NULL;
}

static void another_thread_can_end_a_waiting_loop_and_it_runs_again(void **state)
{
    struct loop loop;
    pthread_t thread;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, quit_from_another_thread, &loop);
        assert_int_equal(loop_run(&loop, &lock), 0);
        pthread_join(thread, NULL);
    }
    loop_close(&loop);
}

static void a_quit_before_the_run_is_not_lost_and_nothing_starves(void **state)
{
    struct loop loop;
    struct ticker due = {.loop = &loop};

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    due.timer = (struct loop_timer){.deadline = 1, .fire = tick, .opaque = &due};
    loop_add_timer(&loop, &due.timer);
    loop_quit(&loop);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    assert_int_equal(due.count, 1);
    loop_close(&loop);
}

/* --- descriptors and pollers -------------------------------------------------------------------- */

#define MANY 100

struct reader {
    struct loop *loop;
    struct loop_fd fd;
    int write_fd;
    unsigned calls;
    struct reader *kills; /* removed by this one's callback */
};

static void reader_ready(void *opaque, short revents)
{
    struct reader *r = opaque;
    char byte;

    assert_true(revents & POLLIN);
    assert_int_equal(read(r->fd.fd, &byte, 1), 1);
    r->calls++;
    if (r->kills) {
        loop_remove_fd(r->loop, &r->kills->fd);
        r->kills->fd.ready = NULL; /* as if it were freed */
    }
    loop_quit(r->loop);
}

static void open_reader(struct reader *r, struct loop *loop)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    *r =
        (struct reader){.loop = loop,
                        .fd = {.fd = ends[0], .events = POLLIN, .ready = reader_ready, .opaque = r},
                        .write_fd = ends[1]};
    assert_int_equal(loop_add_fd(loop, &r->fd), 0);
}

static void close_reader(struct reader *r)
{
    loop_remove_fd(r->loop, &r->fd);
    close(r->fd.fd);
    close(r->write_fd);
}

static void there_is_room_for_many(void **state)
{
    static struct reader readers[MANY];
    static struct loop_timer timers[MANY];
    struct loop loop;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    for (unsigned i = 0; i < MANY; i++) {
        open_reader(&readers[i], &loop);
        assert_int_equal(loop_add_timer(&loop, &timers[i]), 0);
        assert_int_equal(write(readers[i].write_fd, "x", 1), 1);
    }
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].calls, 1);
        close_reader(&readers[i]);
    }
    loop_close(&loop);
}

static void what_a_callback_removes_is_not_called(void **state)
{
    struct loop loop;
    struct reader first, second;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    open_reader(&first, &loop);
    open_reader(&second, &loop);
    first.kills = &second;
    assert_int_equal(write(first.write_fd, "x", 1), 1);
    assert_int_equal(write(second.write_fd, "x", 1), 1);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 0);
    close_reader(&first);
    close_reader(&second);
    loop_close(&loop);
}

struct pollers_own {
    struct loop *loop;
    int fd, number;
    uint64_t deadline; /* 0: none */
    unsigned fills, polls;
    short seen;
};

static void poller_fill(void *opaque, struct loop *loop, uint64_t *deadline)
{
    struct pollers_own *p = opaque;

    p->fills++;
    p->number = p->fd >= 0 ? loop_poll(loop, p->fd, POLLIN) : -1;
    if (p->deadline != 0 && p->deadline < *deadline)
        *deadline = p->deadline;
}

static void poller_ready(void *opaque, const struct loop *loop)
{
    struct pollers_own *p = opaque;

    p->polls++;
    p->seen = loop_polled(loop, p->number);
    if (p->seen || p->deadline)
        loop_quit(p->loop);
}

static void a_poller_brings_descriptors_and_deadlines(void **state)
{
    struct loop loop;
    struct pollers_own own = {.loop = &loop, .fd = -1, .deadline = loop_now() + 5 * MS};
    struct loop_poller poller = {.fill = poller_fill, .ready = poller_ready, .opaque = &own};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(loop_add_poller(&loop, &poller), 0);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    assert_true(loop_now() >= own.deadline);
    assert_int_equal(own.seen, 0);

    own.deadline = 0;
    own.fd = ends[0];
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(loop_run(&loop, &lock), 0);
    assert_int_equal(own.seen, POLLIN);
    alarm(0);
    assert_int_equal(loop_polled(&loop, -1), 0);
    assert_int_equal(loop_polled(&loop, 1000), 0);

    unsigned polls = own.polls;

    loop_remove_poller(&loop, &poller);
    loop_quit(&loop);
    assert_int_equal(loop_run(&loop, &lock), 0);
    assert_int_equal(own.polls, polls);
    loop_close(&loop);
    close(ends[0]);
    close(ends[1]);
}

static void *change_a_poller_from_another_thread(void *opaque)
{
    struct pollers_own *p = opaque;

    usleep(5000);
    pthread_mutex_lock(&lock);
    p->deadline = 1;
    loop_refill(p->loop);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void a_change_wakes_a_waiting_loop(void **state)
{
    struct loop loop;
    struct pollers_own own = {.loop = &loop, .fd = -1};
    struct loop_poller poller = {.fill = poller_fill, .ready = poller_ready, .opaque = &own};
    pthread_t thread;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(loop_add_poller(&loop, &poller), 0);
    pthread_create(&thread, NULL, change_a_poller_from_another_thread, &own);
    alarm(10);
    assert_int_equal(loop_run(&loop, &lock), 0);
    alarm(0);
    pthread_join(thread, NULL);
    loop_close(&loop);
}

/* --- signals ------------------------------------------------------------------------------------ */

struct session {
    struct loop loop;
    struct signals signals;
    int deadly;
    bool continued;
};

static void see_deadly(void *opaque, int signal)
{
    struct session *s = opaque;

    s->deadly = signal;
    loop_quit(&s->loop);
}

static void see_continued(void *opaque)
{
    struct session *s = opaque;

    s->continued = true;
    loop_quit(&s->loop);
}

static void open_signals(struct session *s)
{
    struct error err;

    *s = (struct session){
        .signals = {.deadly = see_deadly, .continued = see_continued, .opaque = s}};
    assert_int_equal(loop_init(&s->loop), 0);
    assert_int_equal(signals_open(&s->signals, &s->loop, &err), 0);
    signals_release(&s->signals);
}

static void close_signals(struct session *s)
{
    signals_close(&s->signals, &s->loop);
    loop_close(&s->loop);
}

static void signals_are_events_of_the_loop(void **state)
{
    static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct session s;

    (void)state;
    open_signals(&s);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        raise(deadly[i]);
        assert_int_equal(loop_run(&s.loop, &lock), 0);
        assert_int_equal(s.deadly, deadly[i]);
    }
    raise(SIGCONT);
    assert_int_equal(loop_run(&s.loop, &lock), 0);
    assert_true(s.continued);
    alarm(0);
    close_signals(&s);
}

static void an_ignored_signal_stays_ignored(void **state)
{
    struct session s;

    (void)state;
    signal(SIGHUP, SIG_IGN);
    open_signals(&s);
    raise(SIGHUP);
    raise(SIGTERM);
    assert_int_equal(loop_run(&s.loop, &lock), 0);
    assert_int_equal(s.deadly, SIGTERM);
    close_signals(&s);
    assert_ptr_equal(signal(SIGHUP, SIG_DFL), SIG_IGN);
}

/* A limit cannot be taken back, so each test of it has a process of its own, and comes before those
 * that limit the end of this one. */
static int in_child(void (*test)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        test();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void take_signal_after_the_guest(void)
{
    struct session s;

    open_signals(&s);
    close_signals(&s);
    raise(SIGTERM);

    unsigned left = alarm(0);

    assert_in_range(left, 1, 10);
    raise(SIGTERM);
    assert_int_equal(alarm(0), 0);
}

static void a_signal_after_the_guest_limits_what_is_left_once(void **state)
{
    (void)state;
    assert_int_equal(in_child(take_signal_after_the_guest), 0);
}

static void end_by_limit(void)
{
    signals_limit_end(STATUS_SIGNAL);
    raise(SIGALRM);
}

static void the_limit_ends_with_the_status_of_a_signal(void **state)
{
    (void)state;
    assert_int_equal(in_child(end_by_limit), STATUS_SIGNAL);
}

static void pass_time_limit(void)
{
    signals_limit_run(1000);
    raise(SIGALRM);
    assert_in_range(alarm(0), 1, 10);
    signals_limit_run(0); /* too late */
    signals_limit_end(STATUS_SIGNAL);
    raise(SIGALRM);
}

static void the_time_limit_limits_the_end(void **state)
{
    (void)state;
    assert_int_equal(in_child(pass_time_limit), STATUS_TIMEOUT);
}

static void lift_time_limit(void)
{
    signals_limit_run(1000);
    signals_limit_run(0);
    assert_int_equal(alarm(0), 0);
}

static void a_guest_that_ends_lifts_the_time_limit(void **state)
{
    (void)state;
    assert_int_equal(in_child(lift_time_limit), 0);
}

static void a_write_that_fails_does_not_kill(void **state)
{
    int pipe_fd[2];

    (void)state;
    signals_let_writes_fail();
    assert_int_equal(pipe(pipe_fd), 0);
    close(pipe_fd[0]);
    assert_int_equal(write(pipe_fd[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(pipe_fd[1]);
    assert_ptr_equal(signal(SIGXFSZ, SIG_DFL), SIG_IGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_time_and_can_rearm),
        cmocka_unit_test(disarmed_timers_do_not_fire),
        cmocka_unit_test(another_thread_can_end_a_waiting_loop_and_it_runs_again),
        cmocka_unit_test(a_quit_before_the_run_is_not_lost_and_nothing_starves),
        cmocka_unit_test(there_is_room_for_many),
        cmocka_unit_test(what_a_callback_removes_is_not_called),
        cmocka_unit_test(a_poller_brings_descriptors_and_deadlines),
        cmocka_unit_test(a_change_wakes_a_waiting_loop),
        cmocka_unit_test(a_signal_after_the_guest_limits_what_is_left_once),
        cmocka_unit_test(the_limit_ends_with_the_status_of_a_signal),
        cmocka_unit_test(the_time_limit_limits_the_end),
        cmocka_unit_test(a_guest_that_ends_lifts_the_time_limit),
        cmocka_unit_test(signals_are_events_of_the_loop),
        cmocka_unit_test(an_ignored_signal_stays_ignored),
        cmocka_unit_test(a_write_that_fails_does_not_kill),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
