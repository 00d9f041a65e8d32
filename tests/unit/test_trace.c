/*
 * test_trace.c: the outputs of the trace, and what becomes of them on a full disk or a closed pipe.
 */
#include "some_event.h"
#include "trace/text.h"
#include "trace/trace_internal.h"
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void lines_and_a_summary_in_one_file(void **state)
{
    static struct file file;
    struct error err;

    (void)state;
    make_file(&file);
    struct trace *trace = create((struct trace_option[]){{.kind = TRACE_SUMMARY, .file = file.path},
                                                         {.kind = TRACE_EXITS, .file = file.path}},
                                 2);
    for (unsigned i = 0; i < 1500; i++) /* more than one buffer */
        emit(trace, serial_write('a'));
    assert_int_equal(finish(trace, &err), 0);
    read_file(&file);
    assert_memory_equal(file.text, "   time/ms cpu exit", 19);
    assert_int_equal(count_of(file.text, "\n     1.234   0 out "), 1500);
    const char *summary = strstr(file.text, "\n1500 exits to kvmlens in ");
    assert_non_null(summary);
    assert_summary_row(summary, "serial THR, out", 1500);
    assert_null(strstr(summary, "     1.234 "));
}

static void stops_are_known(void **state)
{
    struct error err;
    struct trace *trace =
        create(&(struct trace_option){.kind = TRACE_SUMMARY, .file = "/dev/null"}, 1);

    (void)state;
    trace_stops(NULL);
    trace_goes_on(NULL);
    trace_goes_on(trace); /* SIGCONT without a stop */
    assert_int_equal(trace_stopped(trace), 0);
    uint64_t before = trace_now(trace);
    trace_stops(trace);
    usleep(2000);
    uint64_t within = trace_now(trace);
    assert_in_range(trace_stopped(trace), 2000000, within);
    assert_in_range(trace_stopped_in(trace, before, within), 2000000, within - before);
    trace_goes_on(trace);
    uint64_t first = trace_stopped(trace), after = trace_now(trace);
    usleep(2000);
    trace_goes_on(trace);
    assert_int_equal(trace_stopped(trace), first);
    assert_int_equal(trace_stopped_in(trace, before, trace_now(trace)), first);
    assert_int_equal(trace_stopped_in(trace, 1, before), 0);
    assert_int_equal(trace_stopped_in(trace, after, trace_now(trace)), 0);
    trace_stops(trace);
    usleep(2000);
    trace_goes_on(trace);
    assert_int_equal(trace_stopped(trace),
                     first + trace_stopped_in(trace, after, trace_now(trace)));
    assert_int_equal(finish(trace, &err), 0);
}

static void an_old_file_is_replaced(void **state)
{
    static struct file file;
    struct error err;

    (void)state;
    make_file(&file);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            finish(create(&(struct trace_option){.kind = TRACE_SUMMARY, .file = file.path}, 1),
                   &err),
            0);
    read_file(&file);
    assert_int_equal(count_of(file.text, "0 exits to kvmlens"), 1);
}

static void files_that_cannot_be_opened(void **state)
{
    struct trace *trace;
    struct error err;
    const struct trace_option options[] = {{.kind = TRACE_SUMMARY},
                                           {.kind = TRACE_EXITS, .file = "/nonexistent/trace"}};

    (void)state;
    const struct trace_config config = {.option = options, .option_count = 2, .vcpus = 1};

    assert_int_equal(trace_create(&trace, &config, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_string_equal(
        err.text, "cannot open the trace file '/nonexistent/trace': No such file or directory");
    assert_null(trace);
    assert_int_equal(finish(NULL, &err), 0);
}

static void a_full_disk_ends_the_output(void **state)
{
    static struct file file;
    struct error err;
    const struct trace_option options[] = {{.kind = TRACE_EXITS, .file = "/dev/full"},
                                           {.kind = TRACE_EXITS, .file = file.path},
                                           {.kind = TRACE_SUMMARY, .file = "/dev/full"}};

    (void)state;
    make_file(&file);
    struct trace *trace = create(options, 3);
    for (unsigned i = 0; i < 1500; i++)
        emit(trace, serial_write('a'));
    assert_int_equal(finish(trace, &err), -1);
    assert_int_equal(err.status, STATUS_INTERNAL);
    assert_string_equal(err.text,
                        "the trace to '/dev/full' is incomplete: No space left on device");
    read_file(&file); /* the other one is whole */
    assert_int_equal(count_of(file.text, "\n"), 1 + 1500 + 1);
    assert_non_null(strstr(file.text, "\n(1500 exits came to kvmlens; 0 records dropped)\n"));
}

/* Calls TEST with stderr replaced by FD. */
static void with_stderr(int fd, void (*test)(void *), void *arg)
{
    int kept = dup(STDERR_FILENO);

    fflush(stderr);
    dup2(fd, STDERR_FILENO);
    test(arg);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static void trace_three(void *arg)
{
    struct trace *trace = create(&(struct trace_option){.kind = TRACE_EXITS}, 1);

    for (unsigned i = 0; i < 3; i++)
        emit(trace, serial_write('a'));
    *(int *)arg = finish(trace, &(struct error){0});
}

static void stderr_gets_each_line_at_once(void **state)
{
    char text[4096];
    int pipes[2], result, kept = dup(STDERR_FILENO);
    struct trace_option option = {.kind = TRACE_EXITS};
    const size_t line = 128; /* more than a line has */

    (void)state;
    assert_int_equal(pipe2(pipes, O_DIRECT | O_CLOEXEC), 0); /* a packet for each write */
    with_stderr(pipes[1], trace_three, &result);
    assert_int_equal(result, 0);
    for (unsigned i = 0; i < 4; i++) {
        ssize_t len = read(pipes[0], text, sizeof(text));
        assert_in_range(len, 60, line);
        assert_ptr_equal(memchr(text, '\n', (size_t)len), text + len - 1);
        assert_null(memchr(text, '\033', (size_t)len));
    }

    /* Nothing waits in a buffer for the end. */
    dup2(pipes[1], STDERR_FILENO);
    struct trace *trace = create(&option, 1);
    emit(trace, serial_write('a'));
    dup2(kept, STDERR_FILENO);
    assert_true(read(pipes[0], text, sizeof(text)) > 0);
    assert_true(read(pipes[0], text, sizeof(text)) > 0);
    finish(trace, &(struct error){0});
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
}

static void trace_to_nobody(void *arg)
{
    struct error *err = arg;
    struct trace *trace = create(&(struct trace_option){.kind = TRACE_EXITS}, 1);

    emit(trace, serial_write('a'));
    emit(trace, serial_write('b'));
    if (finish(trace, err) == 0)
        err->text[0] = '\0';
}

static void a_closed_pipe_ends_the_output(void **state)
{
    int pipes[2];
    struct error err;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    close(pipes[0]);
    with_stderr(pipes[1], trace_to_nobody, &err);
    close(pipes[1]);
    assert_string_equal(err.text, "the trace to stderr is incomplete: Broken pipe");
}

static void *read_slowly(void *arg)
{
    struct reader *reader = arg;
    char text[512];
    ssize_t len;

    while ((len = read(reader->fd, text, sizeof(text))) > 0) {
        reader->total += (size_t)len;
        usleep(100);
    }
    return NULL;
}

static void trace_thousand(void *arg)
{
    struct trace *trace = create(&(struct trace_option){.kind = TRACE_EXITS}, 1);

    for (unsigned i = 0; i < 1000; i++)
        emit(trace, serial_write('a'));
    *(int *)arg = finish(trace, &(struct error){0});
}

/* Another program may have made the terminal non-blocking. */
static void a_slow_reader_loses_nothing(void **state)
{
    int pipes[2], result;
    struct reader reader = {0};
    pthread_t thread;
    char header[TRACE_LINE_MAX], line[TRACE_LINE_MAX], remark[TRACE_REMARK_MAX];
    struct trace_event event = serial_write('a');
    struct trace_columns columns = trace_columns(false);
    struct trace_item item;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(pipes[0], F_SETFL, 0);
    fcntl(pipes[1], F_SETPIPE_SZ, 4096);
    reader.fd = pipes[0];
    pthread_create(&thread, NULL, read_slowly, &reader);
    with_stderr(pipes[1], trace_thousand, &result);
    close(pipes[1]);
    pthread_join(thread, NULL);
    close(pipes[0]);
    assert_int_equal(result, 0);
    trace_item_make(&item, &event, NULL, remark);
    assert_int_equal(reader.total, trace_format_header(header, false) +
                                       1000 * trace_format_item(line, &columns, &item) +
                                       strlen("(1000 exits came to kvmlens; 0 records dropped)\n"));
}

static void only_lines_on_stderr_are_waited_for(void **state)
{
    static struct file file;
    struct trace_option options[] = {{.kind = TRACE_EXITS, .file = file.path},
                                     {.kind = TRACE_EXITS}};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), kept = dup(STDERR_FILENO);
    struct trace_event event = serial_write('a');

    (void)state;
    make_file(&file);
    struct trace *trace = create(options, 1);
    trace_emit(trace, &event);
    assert_false(trace_wait(trace, 0));
    finish(trace, &(struct error){0});

    dup2(null, STDERR_FILENO);
    trace = create(options, 2);
    trace_emit(trace, &event);
    bool waited = trace_wait(trace, 0);
    finish(trace, &(struct error){0});
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    unlink(file.path);
    assert_true(waited);
}

static void each_output_has_its_filter(void **state)
{
    static struct file all, some, sum;
    struct error err;
    struct trace_option options[] = {{.kind = TRACE_EXITS, .file = all.path},
                                     {.kind = TRACE_EXITS, .file = some.path},
                                     {.kind = TRACE_SUMMARY, .file = sum.path}};

    (void)state;
    make_file(&all);
    make_file(&some);
    make_file(&sum);
    assert_int_equal(filter_parse(&options[1].filter, "cpu=1", &err), 0);
    assert_int_equal(filter_parse(&options[2].filter, "!cpu=1", &err), 0);
    struct trace *trace = create(options, 3);
    for (unsigned i = 0; i < 10; i++) {
        struct trace_event event = serial_write('a');
        event.vcpu = i % 3;
        emit(trace, event);
    }
    assert_int_equal(finish(trace, &err), 0);
    read_file(&all);
    read_file(&some);
    read_file(&sum);
    assert_int_equal(count_of(all.text, " out "), 10);
    assert_null(strstr(all.text, "filter"));
    assert_int_equal(count_of(some.text, " out "), 3);
    assert_int_equal(count_of(some.text, "   1 out "), 3);
    assert_non_null(strstr(some.text, "\n(7 more did not pass the filter)\n"));
    assert_non_null(strstr(sum.text, "7 exits to kvmlens"));
}

static void time_begins_with_the_trace(void **state)
{
    struct trace *trace = create(NULL, 0);
    uint64_t first = trace_now(trace);

    (void)state;
    assert_in_range(first, 1, 5000000000);
    usleep(2000);
    assert_true(trace_now(trace) >= first + 2000000);
    finish(trace, &(struct error){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_a_summary_in_one_file),
        cmocka_unit_test(stops_are_known),
        cmocka_unit_test(an_old_file_is_replaced),
        cmocka_unit_test(files_that_cannot_be_opened),
        cmocka_unit_test(a_full_disk_ends_the_output),
        cmocka_unit_test(stderr_gets_each_line_at_once),
        cmocka_unit_test(a_closed_pipe_ends_the_output),
        cmocka_unit_test(a_slow_reader_loses_nothing),
        cmocka_unit_test(only_lines_on_stderr_are_waited_for),
        cmocka_unit_test(each_output_has_its_filter),
        cmocka_unit_test(time_begins_with_the_trace),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
