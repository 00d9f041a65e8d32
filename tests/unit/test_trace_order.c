/*
 * test_trace_order.c: several threads and one writer: order, whole lines, what is dropped.
 */
#include "trace_file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct producer {
    struct trace *trace;
    unsigned vcpu;
};

static void *emit_many(void *arg)
{
    struct producer *producer = arg;

    for (unsigned i = 0; i < EVENTS_PER_THREAD; i++) {
        struct trace_event event = serial_write('a');
        event.vcpu = producer->vcpu;
        event.start_ns = trace_now(producer->trace);
        event.guest_ns = event.vmm_ns = 1;
        trace_emit(producer->trace, &event);
    }
    return NULL;
}

static void many_threads(void **state)
{
    static struct file file;
    struct trace_option options[] = {{.kind = TRACE_EXITS, .file = file.path},
                                     {.kind = TRACE_SUMMARY, .file = file.path}};
    pthread_t thread[THREADS];
    struct producer producer[THREADS];
    unsigned lines_seen = 0, of[THREADS] = {0};
    double before = 0;
    char *at, *next;

    (void)state;
    make_file(&file);
    struct trace *trace = create(options, 2);
    for (unsigned i = 0; i < THREADS; i++) {
        producer[i] = (struct producer){trace, i};
        pthread_create(&thread[i], NULL, emit_many, &producer[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(finish(trace, &(struct error){0}), 0);
    read_file(&file);
    for (at = strchr(file.text, '\n') + 1; *at != '('; at = next + 1) {
        next = strchr(at, '\n');
        assert_int_equal(next - at, 113); /* each line whole */
        double now = atof(at);
        assert_true(now >= before); /* in order, over all vCPUs */
        before = now;
        of[atoi(at + 10)]++;
        lines_seen++;
    }
    assert_int_equal(lines_seen, THREADS * EVENTS_PER_THREAD);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(of[i], EVENTS_PER_THREAD);
    assert_summary_row(at, "serial THR, out", 1600);
}

/* A FIFO whose reader reads nothing until the guest has ended. */
static void a_reader_that_stalls(void **state)
{
    enum { RECORDS = 5000, ROOM = 64 };
    static char path[64];
    static struct file sum;
    struct trace_option options[] = {{.kind = TRACE_EXITS, .file = path},
                                     {.kind = TRACE_SUMMARY, .file = sum.path}};
    const struct trace_config config = {
        .option = options, .option_count = 2, .vcpus = 1, .ring_capacity = ROOM};
    struct trace_footer footer = {0};
    struct reader reader = {0};
    struct trace *trace;
    struct error err;
    pthread_t thread;

    (void)state;
    make_file(&sum);
    snprintf(path, sizeof(path), "/tmp/kvmlens-fifo-%d", getpid());
    assert_int_equal(mkfifo(path, 0600), 0);
    reader.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    fcntl(reader.fd, F_SETFL, 0);
    fcntl(reader.fd, F_SETPIPE_SZ, 4096);
    assert_int_equal(trace_create(&trace, &config, &err), 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct trace_event event = serial_write('a');
        trace_emit(trace, &event); /* returns, whatever the reader does */
        assert_false(trace_wait(trace, 0));
        if (i % 16 == 0)
            usleep(100);
    }
    /* Now the reader goes on, and is told what it missed. */
    static char text[2 << 20];
    reader.text = text;
    pthread_create(&thread, NULL, read_all, &reader);
    assert_int_equal(trace_finish(trace, &footer, &err), 0);
    pthread_join(thread, NULL);
    close(reader.fd);
    unlink(path);
    read_file(&sum);
    assert_int_equal(footer.exits, RECORDS);
    assert_in_range(footer.dropped, 1, RECORDS - ROOM);

    char said[128];
    assert_int_equal(count_of(text, " out ") + footer.dropped, RECORDS);
    snprintf(said, sizeof(said),
             "\n(%u exits came to kvmlens; %llu records dropped: they came faster", RECORDS,
             (unsigned long long)footer.dropped);
    assert_non_null(strstr(text, said));
    snprintf(said, sizeof(said), "\n%llu are missing: they came faster",
             (unsigned long long)footer.dropped);
    assert_int_equal(count_of(sum.text, said), 1);
    snprintf(said, sizeof(said), "%llu exits to kvmlens",
             (unsigned long long)(RECORDS - footer.dropped));
    assert_non_null(strstr(sum.text, said));
}

static void the_footer(void **state)
{
    struct trace_event event = serial_write('a'),
                       note = {.kind = VM_EXIT_NOTE, .vcpu = TRACE_NO_VCPU, .device = "d"};
    struct trace_footer footer = {.end = "power-off", .status = 3, .filtered = 99};
    struct trace *trace = create(NULL, 0);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        trace_emit(trace, &event);
    trace_emit(trace, &note);
    usleep(1000);
    assert_int_equal(trace_finish(trace, &footer, &(struct error){0}), 0);
    assert_int_equal(footer.exits, 5); /* a note is none */
    assert_int_equal(footer.dropped, 0);
    assert_in_range(footer.wall_ns, 1000000, 60000000000);
    assert_string_equal(footer.end, "power-off");
    assert_int_equal(footer.status, 3);
}

/* Records of several vCPUs and a note, emitted out of order, are written in the order of time. */
static void in_the_order_of_time(void **state)
{
    static struct file file;
    struct trace *trace;
    struct error err;
    double before = 0;

    (void)state;
    make_file(&file);
    trace = create(&(struct trace_option){.kind = TRACE_EXITS, .file = file.path}, 1);
    for (unsigned vcpu = THREADS; vcpu-- > 0;) {
        for (unsigned i = 0; i < 50; i++) {
            struct trace_event event = serial_write('a');
            event.vcpu = vcpu;
            /* In the future, so that nothing is written before all are there. */
            event.start_ns = 3600000000000 + (uint64_t)i * 4000 + (uint64_t)vcpu * 1000;
            event.guest_ns = event.vmm_ns = 0;
            trace_emit(trace, &event);
        }
    }
    struct trace_event note = {.kind = VM_EXIT_NOTE, .vcpu = TRACE_NO_VCPU, .device = "d"};
    note.start_ns = 3600000000000 + 10 * 4000 + 500;
    trace_emit(trace, &note);
    usleep(150000); /* the writer has looked */
    assert_int_equal(finish(trace, &err), 0);
    read_file(&file);
    assert_int_equal(count_of(file.text, " out "), 50 * THREADS);
    for (char *at = strchr(file.text, '\n') + 1; *at != '('; at = strchr(at, '\n') + 1) {
        assert_true(atof(at) >= before);
        before = atof(at);
    }
    const char *at = strstr(file.text, " note ");
    assert_memory_equal(strchr(at, '\n') + 1, "3600000.041   1 out", 19);
}

/* What a file's sink has is in the file soon, though the guest goes on. */
static void a_file_is_written_as_it_comes(void **state)
{
    static struct file file;
    struct trace *trace;
    struct stat status;

    (void)state;
    make_file(&file);
    trace = create(&(struct trace_option){.kind = TRACE_EXITS, .file = file.path}, 1);
    struct trace_event event = serial_write('a');
    trace_emit(trace, &event);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(stat(file.path, &status), 0);
        if (status.st_size > 200)
            break;
        usleep(10000);
    }
    assert_true(status.st_size > 200);
    finish(trace, &(struct error){0});
    unlink(file.path);
}

/* Registers go along where an output shows them. */
static void registers(void **state)
{
    static struct file file;
    struct trace_option option = {.kind = TRACE_EXITS, .format = TRACE_JSONL, .file = file.path};
    struct trace_event event = serial_write('a');
    struct trace *trace;

    (void)state;
    make_file(&file);
    trace = create(&option, 1);
    assert_true(trace_wants_registers(trace));
    trace_emit(trace, &event);
    event.has_registers = true;
    event.registers.gpr[RAX] = 0xdeadbeef01;
    event.registers.rflags = 0x246;
    trace_emit(trace, &event);
    finish(trace, &(struct error){0});
    read_file(&file);
    assert_int_equal(count_of(file.text, "deadbeef01"), 1);
    assert_int_equal(count_of(file.text, "246"), 1);

    option.format = TRACE_TEXT;
    make_file(&file);
    trace = create(&option, 1);
    assert_false(trace_wants_registers(trace));
    finish(trace, &(struct error){0});
    read_file(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads),         cmocka_unit_test(a_reader_that_stalls),
        cmocka_unit_test(the_footer),           cmocka_unit_test(registers),
        cmocka_unit_test(in_the_order_of_time), cmocka_unit_test(a_file_is_written_as_it_comes),
    };
    return cmocka_run_group_tests_name("trace_order", tests, NULL, NULL);
}
