/*
 * test_remarks.c: what devices say of their work, on its way into the trace (vm_remark()).
 */
#include "fake_kvm.h"
#include "trace/trace.h"
#include "vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 200

static const char name[] = "talker0", other[] = "other0";

struct fixture {
    struct vm vm;
    struct trace *trace;
    struct trace_option options[2];
    unsigned words; /* remarks on the next access */
    const char *as; /* and who says them */
    bool waits; /* meanwhile, without the lock, for a worker that talks, as a device that drains */
    char path[64], summary[64];
};

static void talk(struct fixture *f, uint64_t a)
{
    vm_remark(&f->vm, f->as, "word %llu of %llu, %llx", (const uint64_t[]){a, f->words, 0xabc});
}

static void *talk_once(void *fixture)
{
    struct fixture *f = fixture;

    pthread_mutex_lock(&f->vm.device_lock);
    talk(f, 99);
    pthread_mutex_unlock(&f->vm.device_lock);
    return NULL;
}

static void wait_for_worker(struct fixture *f)
{
    pthread_t worker;

    pthread_mutex_unlock(&f->vm.device_lock);
    assert_int_equal(pthread_create(&worker, NULL, talk_once, f), 0);
    pthread_join(worker, NULL);
    pthread_mutex_lock(&f->vm.device_lock);
}

static uint64_t talker_read(void *dev, uint64_t offset, unsigned size)
{
    struct fixture *f = dev;

    (void)offset;
    (void)size;
    if (f->waits)
        wait_for_worker(f);
    for (unsigned i = 1; i <= f->words; i++)
        talk(f, i);
    return 0;
}

static void talker_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)value;
    talker_read(dev, offset, size);
}

static const char *talker_instance(const void *dev)
{
    (void)dev;
    return name;
}

static const struct device_ops talker_ops = {
    .name = "talker", .instance = talker_instance, .read = talker_read, .write = talker_write};

static void temporary(char path[64])
{
    strcpy(path, "/tmp/test_remarks.XXXXXX");
    close(mkstemp(path));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;

    temporary(f->path);
    temporary(f->summary);

    f->options[0] = (struct trace_option){.kind = TRACE_EXITS, .file = f->path};
    f->options[1] = (struct trace_option){.kind = TRACE_SUMMARY, .file = f->summary};

    const struct trace_config config = {.option = f->options, .option_count = 2, .vcpus = 2};

    assert_int_equal(trace_create(&f->trace, &config, &err), 0);
    assert_int_equal(vm_create(&f->vm, 2, f->trace, &err), 0);
    assert_int_equal(bus_attach(&f->vm.mmio, 0x1000, 0x100, &talker_ops, f), 0);
    f->as = name;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    vm_destroy(&f->vm);
    unlink(f->path);
    unlink(f->summary);
    free(f);
    return 0;
}

static void access_device(struct fixture *f, unsigned vcpu)
{
    uint8_t data[4] = {0};
    struct vm_exit exit = {.kind = VM_EXIT_MMIO,
                           .raw_name = "KVM_EXIT_MMIO",
                           .addr = 0x1010,
                           .size = 4,
                           .write = true,
                           .count = 1,
                           .data = data};

    vm_handle_exit(&f->vm.vcpu[vcpu], &exit);
    if (f->vm.trace)
        vm_trace_exit(&f->vm.vcpu[vcpu], 1, 2);
}

static char *contents(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Ends the trace; its lines. */
static char *traced(struct fixture *f)
{
    struct trace_footer footer = {0};
    struct error err;

    assert_int_equal(trace_finish(f->trace, &footer, &err), 0);
    return contents(f->path);
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

static void the_first_one_stands_in_the_line_of_the_exit(void **state)
{
    struct fixture *f = *state;

    f->words = 1;
    access_device(f, 0);

    const char *text = traced(f), *line = strstr(text, "mmio write");

    assert_non_null(line);
    assert_non_null(strstr(line, "talker0"));
    assert_non_null(strstr(line, "word 1 of 1, abc\n"));
    assert_int_equal(count(text, "note"), 0);
}

static void further_ones_follow_it(void **state)
{
    struct fixture *f = *state;

    f->words = 3;
    access_device(f, 1);
    f->words = 0;
    access_device(f, 1);

    const char *text = traced(f), *line = strstr(text, "mmio write");

    line = strstr(line, "word 1 of 3");
    line = strstr(line, "  1 note ");
    line = strstr(line, "word 2 of 3");
    line = strstr(line, "word 3 of 3");
    line = strstr(line, "mmio write");
    assert_non_null(line);
    assert_null(strstr(line, "word"));
    assert_int_equal(count(text, "note"), 2);
    /* Notes are no exits. */
    assert_non_null(strstr(contents(f->summary), "2 exits to kvmlens"));
}

static void more_than_can_wait(void **state)
{
    struct fixture *f = *state;

    f->words = 1 + VCPU_NOTES_MAX + 5;
    access_device(f, 0);
    f->words = 1;
    access_device(f, 0);

    const char *text = traced(f);

    assert_int_equal(count(text, "note"), VCPU_NOTES_MAX + 5);
    assert_int_equal(count(text, "word"), 1 + VCPU_NOTES_MAX + 5 + 1);
}

static void of_another_device(void **state)
{
    struct fixture *f = *state;

    f->as = other;
    f->words = 1;
    access_device(f, 0);
    assert_int_equal(count(traced(f), "note"), 1);
}

static void outside_of_exits(void **state)
{
    struct fixture *f = *state;

    pthread_mutex_lock(&f->vm.device_lock);
    talk(f, 7);
    pthread_mutex_unlock(&f->vm.device_lock);

    const char *line = strstr(traced(f), "  - note ");

    assert_non_null(line);
    assert_non_null(strstr(line, "talker0            word 7 of 0, abc\n"));
}

static void after_an_exit(void **state)
{
    struct fixture *f = *state;

    access_device(f, 0);
    outside_of_exits(state);
}

static void of_a_worker_during_an_exit(void **state)
{
    struct fixture *f = *state;

    f->words = 1;
    f->waits = true;
    access_device(f, 0);

    const char *text = traced(f);

    assert_non_null(strstr(strstr(text, "  - note "), "word 99 of 1"));
    assert_non_null(strstr(strstr(text, "mmio write"), "word 1 of 1"));
}

static void without_a_trace(void **state)
{
    struct fixture *f = *state;
    struct trace_event last[VCPU_LAST_EXITS];

    f->vm.trace = NULL;
    f->words = 3;
    access_device(f, 0);
    talk(f, 7);
    assert_int_equal(vcpu_last_exits(&f->vm.vcpu[0], last), 1);
    assert_int_equal(last[0].remark_arg[0], 1); /* for the post-mortem */
    assert_int_equal(count(traced(f), "word"), 0);
}

static void *work(void *fixture)
{
    struct fixture *f = fixture;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&f->vm.device_lock);
        talk(f, 1000 + i);
        pthread_mutex_unlock(&f->vm.device_lock);
    }
    return NULL;
}

/* Exits on one thread, completions on another: nothing is lost, and nothing is another's. */
static void on_two_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t worker;

    f->words = 2;
    assert_int_equal(pthread_create(&worker, NULL, work, f), 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        access_device(f, 0);
    pthread_join(worker, NULL);

    const char *text = traced(f);

    assert_int_equal(count(text, "  - note "), ROUNDS);
    assert_int_equal(count(text, "  0 note "), ROUNDS);
    assert_int_equal(count(text, "word 1 of"), ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_one_stands_in_the_line_of_the_exit),
        TEST(further_ones_follow_it),
        TEST(more_than_can_wait),
        TEST(of_another_device),
        TEST(outside_of_exits),
        TEST(after_an_exit),
        TEST(of_a_worker_during_an_exit),
        TEST(without_a_trace),
        TEST(on_two_threads),
    };
    return cmocka_run_group_tests_name("remarks", tests, NULL, NULL);
}
