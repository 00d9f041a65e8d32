/*
 * test_trace.c: lines of the trace, its outputs, and what becomes of them on a full disk or a
 * closed pipe.
 */
#include "trace/text.h"
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct trace_event serial_write(char byte)
{
    return (struct trace_event){.start_ns = 1234567,
                                .guest_ns = 8312,
                                .vmm_ns = 951,
                                .kind = VM_EXIT_PIO,
                                .write = true,
                                .size = 1,
                                .count = 1,
                                .addr = 0x3f8,
                                .data = {(uint8_t)byte},
                                .data_len = 1,
                                .device = "serial",
                                .reg = "THR",
                                .rip = 0x101234};
}

static void assert_line(struct trace_event event, const char *expected)
{
    char line[TRACE_LINE_MAX];
    size_t len = trace_format_event(line, false, &event, NULL);

    assert_int_equal(len, strlen(line));
    assert_int_equal(line[len - 1], '\n');
    line[len - 1] = '\0';
    assert_string_equal(line, expected);
}

static void lines(void **state)
{
    char header[TRACE_LINE_MAX];

    (void)state;
    trace_format_header(header, false);
    assert_string_equal(header, "   time/ms cpu exit       address    size   data                  "
                                "guest+KVM      VMM  device register    code\n");
    assert_line(serial_write('H'),
                "     1.234   0 out        0x3f8      1      0x48 'H'              "
                "    8.3us    1.0us  serial THR         0x101234");
    assert_line(serial_write('\n'),
                "     1.234   0 out        0x3f8      1      0x0a '\\n'            "
                "     8.3us    1.0us  serial THR         0x101234");

    struct trace_event event = serial_write('\x1b');
    event.write = false;
    event.start_ns = 99999999999;
    event.vcpu = 63;
    event.guest_ns = 1234567890;
    event.vmm_ns = 12345678;
    assert_line(event,
                " 99999.999  63 in         0x3f8      1      0x1b                   1234.6ms   "
                "12.3ms  serial THR         0x101234");
    event = serial_write(0);
    event.device = event.reg = NULL;
    event.start_ns = 0;
    assert_line(event,
                "         -   0 out        0x3f8      1      0x00                          -   "
                "     -  nobody             0x101234");
    event.data_len = 0;
    event.device = "debug-exit";
    assert_line(event,
                "         -   0 out        0x3f8      1                                    -   "
                "     -  debug-exit         0x101234");
}

static void memory_accesses(void **state)
{
    struct trace_event event = {.kind = VM_EXIT_MMIO,
                                .size = 4,
                                .count = 1,
                                .addr = 0xfeb00000,
                                .data = "virt",
                                .data_len = 4,
                                .device = "virtio-blk",
                                .reg = "Magic"};

    (void)state;
    assert_line(event,
                "         -   0 mmio read  0xfeb00000 4      0x74726976 \"virt\"             -   "
                "     -  virtio-blk Magic   0x0");
    event.data[0] = 1;
    assert_line(event,
                "         -   0 mmio read  0xfeb00000 4      0x74726901                    -   "
                "     -  virtio-blk Magic   0x0");
    event.write = true;
    event.size = event.data_len = 8;
    memset(event.data, 0xff, 8);
    assert_line(event,
                "         -   0 mmio write 0xfeb00000 8      0xffffffffffffffff            -   "
                "     -  virtio-blk Magic   0x0");
}

static void string_accesses(void **state)
{
    struct trace_event event = serial_write('H');

    (void)state;
    memcpy(event.data, "He\n\x7f and so on", 14);
    event.count = 4096;
    event.data_len = 16;
    assert_line(event,
                "     1.234   0 outs       0x3f8      1x4096 48 65 0a 7f |He..|...     8.3us   "
                " 1.0us  serial THR         0x101234");
    event.write = false;
    event.count = 2;
    event.data_len = 2;
    assert_line(event,
                "     1.234   0 ins        0x3f8      1x2    48 65 |He|                8.3us   "
                " 1.0us  serial THR         0x101234");
    event.size = 2; /* four bytes, of which two were kept */
    assert_line(event,
                "     1.234   0 ins        0x3f8      2x2    48 65 |He|...             8.3us   "
                " 1.0us  serial THR         0x101234");
}

static void other_exits(void **state)
{
    static const struct {
        enum vm_exit_kind kind;
        uint64_t detail;
        const char *detail_name, *name, *data;
    } exits[] = {
        {VM_EXIT_HLT, 0, NULL, "hlt", ""},
        {VM_EXIT_SHUTDOWN, 0, NULL, "shutdown", ""},
        {VM_EXIT_SYSTEM_EVENT, 1, "shutdown", "system", "shutdown"},
        {VM_EXIT_INTERNAL_ERROR, 1, "emulation", "kvm error", "emulation"},
        {VM_EXIT_FAIL_ENTRY, 0x80000021, NULL, "fail entry", "0x80000021"},
        {VM_EXIT_DEBUG, 3, NULL, "debug", "0x3"},
        {VM_EXIT_INTR, 0, NULL, "intr", ""},
        {VM_EXIT_AGAIN, 0, NULL, "again", ""},
        {VM_EXIT_OTHER, 0, NULL, "other", "KVM_EXIT_X86_RDMSR"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        char expected[TRACE_LINE_MAX];
        snprintf(expected, sizeof(expected), "%10s   0 %-10s %-10s %-6s %-21s %9s %8s  %-18s 0x0",
                 "-", exits[i].name, "", "", exits[i].data, "-", "-", "");
        assert_line((struct trace_event){.kind = exits[i].kind,
                                         .detail = exits[i].detail,
                                         .detail_name = exits[i].detail_name,
                                         .raw_name = "KVM_EXIT_X86_RDMSR"},
                    expected);
    }
}

static void times_scale(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } times[] = {{0, "0.0us"},
                 {49, "0.0us"},
                 {50, "0.1us"},
                 {999949, "999.9us"},
                 {9999899, "9999.9us"},
                 {9999900, "10.0ms"},
                 {9999899999, "9999.9ms"},
                 {10000000000, "10.0s"},
                 {3600000000000, "3600.0s"}};

    (void)state;
    for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char line[TRACE_LINE_MAX];
        struct trace_event event = serial_write('x');
        event.guest_ns = times[i].ns;
        trace_format_event(line, false, &event, NULL);
        line[75] = '\0';
        assert_string_equal(line + 75 - strlen(times[i].text), times[i].text);
        assert_int_equal(line[74 - strlen(times[i].text)], ' ');
    }
}

static void absurd_events_stay_in_bounds(void **state)
{
    static char name[300];
    struct trace_event event;
    char line[TRACE_LINE_MAX + 16];

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    memset(&event, 0xff, sizeof(event));
    event.write = true;
    event.kind = VM_EXIT_PIO;
    event.device = event.reg = event.raw_name = event.detail_name = name;
    for (unsigned size = 0; size < 256; size += 15) {
        event.size = (uint8_t)size;
        event.count = size % 2 ? 1 : UINT32_MAX;
        memset(line, '#', sizeof(line));
        size_t len = trace_format_event(line, true, &event, NULL);
        assert_true(len < TRACE_LINE_MAX);
        assert_int_equal(line[len - 1], '\n');
        assert_int_equal(line[TRACE_LINE_MAX], '#');
    }
}

static void colour(void **state)
{
    char line[TRACE_LINE_MAX], plain[TRACE_LINE_MAX];
    struct trace_event event = serial_write('H');
    size_t out = 0;

    (void)state;
    event.device = NULL;
    trace_format_event(line, true, &event, NULL);
    assert_non_null(strstr(line, "\033[36mout\033[0m        0x3f8"));
    assert_non_null(strstr(line, "\033[1;31mnobody\033[0m "));
    /* Without its colours it is the same line. */
    for (char *c = line; *c; c++) {
        if (*c == '\033')
            c = strchr(c, 'm');
        else
            plain[out++] = *c;
    }
    plain[out] = '\0';
    trace_format_event(line, false, &event, NULL);
    assert_string_equal(plain, line);
    trace_format_header(line, true);
    assert_memory_equal(line, "\033[2m", 4);
}

/* A file that is gone at the end of the test, and its text. */
struct file {
    char path[64];
    char text[200000];
};

static void make_file(struct file *file)
{
    strcpy(file->path, "/tmp/kvmlens-trace-XXXXXX");
    int fd = mkstemp(file->path);

    assert_true(fd >= 0);
    close(fd);
}

static void read_file(struct file *file)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got;

    while ((got = read(fd, file->text + len, sizeof(file->text) - 1 - len)) > 0)
        len += (size_t)got;
    file->text[len] = '\0';
    close(fd);
    unlink(file->path);
}

static struct trace *create(const struct trace_option *options, unsigned count)
{
    struct trace *trace;
    struct error err;

    assert_int_equal(trace_create(&trace, options, count, NULL, &err), 0);
    return trace;
}

static void emit(struct trace *trace, struct trace_event event)
{
    trace_emit(trace, &event);
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

static void lines_and_a_summary_in_one_file(void **state)
{
    static struct file file;
    struct error err;

    (void)state;
    make_file(&file);
    struct trace *trace =
        create((struct trace_option[]){{TRACE_SUMMARY, file.path}, {TRACE_EXITS, file.path}}, 2);
    for (unsigned i = 0; i < 1500; i++) /* more than one buffer */
        emit(trace, serial_write('a'));
    assert_int_equal(trace_finish(trace, &err), 0);
    read_file(&file);
    assert_memory_equal(file.text, "   time/ms cpu exit", 19);
    assert_int_equal(count_of(file.text, "\n     1.234   0 out "), 1500);
    const char *summary = strstr(file.text, "\n1500 exits to kvmlens in ");
    assert_non_null(summary);
    assert_non_null(strstr(summary, "\nserial THR, out                      1500 100.0%"));
    assert_null(strstr(summary, "     1.234 "));
}

static void an_old_file_is_replaced(void **state)
{
    static struct file file;
    struct error err;

    (void)state;
    make_file(&file);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(
            trace_finish(create(&(struct trace_option){TRACE_SUMMARY, file.path}, 1), &err), 0);
    read_file(&file);
    assert_int_equal(count_of(file.text, "0 exits to kvmlens"), 1);
}

static void files_that_cannot_be_opened(void **state)
{
    struct trace *trace;
    struct error err;
    const struct trace_option options[] = {{TRACE_SUMMARY, NULL},
                                           {TRACE_EXITS, "/nonexistent/trace"}};

    (void)state;
    assert_int_equal(trace_create(&trace, options, 2, NULL, &err), -1);
    assert_int_equal(err.status, STATUS_INTERNAL);
    assert_string_equal(
        err.text, "cannot open the trace file '/nonexistent/trace': No such file or directory");
    assert_null(trace);
    assert_int_equal(trace_finish(NULL, &err), 0);
}

static void a_full_disk_ends_the_output(void **state)
{
    static struct file file;
    struct error err;
    const struct trace_option options[] = {
        {TRACE_EXITS, "/dev/full"}, {TRACE_EXITS, file.path}, {TRACE_SUMMARY, "/dev/full"}};

    (void)state;
    make_file(&file);
    struct trace *trace = create(options, 3);
    for (unsigned i = 0; i < 1500; i++)
        emit(trace, serial_write('a'));
    assert_int_equal(trace_finish(trace, &err), -1);
    assert_int_equal(err.status, STATUS_INTERNAL);
    assert_string_equal(err.text,
                        "the trace to '/dev/full' is incomplete: No space left on device");
    read_file(&file); /* the other one is whole */
    assert_int_equal(count_of(file.text, "\n"), 1501);
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
    struct trace *trace = create(&(struct trace_option){TRACE_EXITS, NULL}, 1);

    for (unsigned i = 0; i < 3; i++)
        emit(trace, serial_write('a'));
    *(int *)arg = trace_finish(trace, &(struct error){0});
}

static void stderr_gets_each_line_at_once(void **state)
{
    char text[4096];
    int pipes[2], result, kept = dup(STDERR_FILENO);
    struct trace_option option = {TRACE_EXITS, NULL};
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
    trace_finish(trace, &(struct error){0});
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
}

static void trace_to_nobody(void *arg)
{
    struct error *err = arg;
    struct trace *trace = create(&(struct trace_option){TRACE_EXITS, NULL}, 1);

    emit(trace, serial_write('a'));
    emit(trace, serial_write('b'));
    if (trace_finish(trace, err) == 0)
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

struct reader {
    int fd;
    size_t total;
};

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
    struct trace *trace = create(&(struct trace_option){TRACE_EXITS, NULL}, 1);

    for (unsigned i = 0; i < 1000; i++)
        emit(trace, serial_write('a'));
    *(int *)arg = trace_finish(trace, &(struct error){0});
}

/* Another program may have made the terminal non-blocking. */
static void a_slow_reader_loses_nothing(void **state)
{
    int pipes[2], result;
    struct reader reader = {0};
    pthread_t thread;
    char header[TRACE_LINE_MAX], line[TRACE_LINE_MAX];
    struct trace_event event = serial_write('a');

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
    assert_int_equal(reader.total, trace_format_header(header, false) +
                                       1000 * trace_format_event(line, false, &event, NULL));
}

#define THREADS           4
#define EVENTS_PER_THREAD 400

static void *emit_many(void *arg)
{
    for (unsigned i = 0; i < EVENTS_PER_THREAD; i++) {
        struct trace_event event = serial_write('a');
        event.start_ns = trace_now(arg);
        trace_emit(arg, &event);
    }
    return NULL;
}

static void many_threads(void **state)
{
    static struct file file;
    struct trace_option options[] = {{TRACE_EXITS, file.path}, {TRACE_SUMMARY, file.path}};
    pthread_t thread[THREADS];
    unsigned lines_seen = 0;
    char *at, *next;

    (void)state;
    make_file(&file);
    struct trace *trace = create(options, 2);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, emit_many, trace);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(trace_finish(trace, &(struct error){0}), 0);
    read_file(&file);
    for (at = strchr(file.text, '\n') + 1; strncmp(at, "1600 exits", 10) != 0; at = next + 1) {
        next = strchr(at, '\n');
        assert_int_equal(next - at, 113); /* each line whole */
        lines_seen++;
    }
    assert_int_equal(lines_seen, THREADS * EVENTS_PER_THREAD);
    assert_non_null(strstr(at, "\nserial THR, out                      1600 100.0%"));
}

static void time_begins_with_the_trace(void **state)
{
    struct trace *trace = create(NULL, 0);
    uint64_t first = trace_now(trace);

    (void)state;
    assert_in_range(first, 1, 5000000000);
    usleep(2000);
    assert_true(trace_now(trace) >= first + 2000000);
    trace_finish(trace, &(struct error){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(memory_accesses),
        cmocka_unit_test(string_accesses),
        cmocka_unit_test(other_exits),
        cmocka_unit_test(times_scale),
        cmocka_unit_test(absurd_events_stay_in_bounds),
        cmocka_unit_test(colour),
        cmocka_unit_test(lines_and_a_summary_in_one_file),
        cmocka_unit_test(an_old_file_is_replaced),
        cmocka_unit_test(files_that_cannot_be_opened),
        cmocka_unit_test(a_full_disk_ends_the_output),
        cmocka_unit_test(stderr_gets_each_line_at_once),
        cmocka_unit_test(a_closed_pipe_ends_the_output),
        cmocka_unit_test(a_slow_reader_loses_nothing),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(time_begins_with_the_trace),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
