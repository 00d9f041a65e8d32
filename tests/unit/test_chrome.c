/*
 * test_chrome.c: the trace in the Trace Event Format: each event by the format's rules, slices of a
 * track disjoint, what viewers show of it. (tests/e2e/case_report.py has a JSON parser.)
 */
#include "sink_bench.h"
#include "some_event.h"
#include "trace/json_parse.h"

#include <stdio.h>
#include <string.h>

#define TRACKS 128

/* An event of the file. */
struct seen {
    char phase;
    uint64_t process, track, start_ns, dur_ns;
    char name[128], category[16], scope, args[1024];
};

struct chrome {
    unsigned count;
    struct seen event[4096];
    uint64_t end_ns[4][TRACKS]; /* of the last slice of a track */
};

/* "12.345" us as ns. */
static uint64_t time_of(const struct json_value *value)
{
    unsigned long long us, ns;
    int used = 0;

    assert_int_equal(value->type, JSON_PRIMITIVE);
    assert_int_equal(sscanf(value->text, "%llu.%3llu%n", &us, &ns, &used), 2);
    assert_int_equal(used, value->len);
    return us * 1000 + ns;
}

static int take_member(void *opaque, const char *key, struct json_value *value)
{
    struct seen *seen = opaque;

    if (strcmp(key, "ph") == 0)
        seen->phase = *json_get_text(value);
    else if (strcmp(key, "pid") == 0)
        assert_int_equal(json_get_number(value, 3, &seen->process), 0);
    else if (strcmp(key, "tid") == 0)
        assert_int_equal(json_get_number(value, TRACKS - 1, &seen->track), 0);
    else if (strcmp(key, "ts") == 0)
        seen->start_ns = time_of(value);
    else if (strcmp(key, "dur") == 0)
        seen->dur_ns = time_of(value);
    else if (strcmp(key, "name") == 0)
        snprintf(seen->name, sizeof(seen->name), "%s", json_get_text(value));
    else if (strcmp(key, "cat") == 0)
        snprintf(seen->category, sizeof(seen->category), "%s", json_get_text(value));
    else if (strcmp(key, "s") == 0)
        seen->scope = *json_get_text(value);
    else if (strcmp(key, "args") == 0)
        snprintf(seen->args, sizeof(seen->args), "%.*s", (int)value->len, value->text);
    else
        fail_msg("unexpected key %s", key);
    return 0;
}

static void check(struct chrome *chrome, const struct seen *seen)
{
    assert_true(seen->process >= 1 && seen->name[0] != '\0');
    switch (seen->phase) {
    case 'M':
        assert_true(strstr(seen->args, "name\":\"") || strstr(seen->args, "labels\":\""));
        break;
    case 'X':
        assert_true(seen->track >= 1);
        assert_true(seen->start_ns >= chrome->end_ns[seen->process][seen->track]);
        chrome->end_ns[seen->process][seen->track] = seen->start_ns + seen->dur_ns;
        break;
    case 'C':
        assert_string_equal(seen->name, "exits/s");
        break;
    case 'i':
        assert_true(seen->scope == 't' || seen->scope == 'p' || seen->scope == 'g');
        break;
    default:
        fail_msg("unexpected phase %c", seen->phase);
    }
}

/* Takes the file FD apart, which is closed; CLOSED: it was ended. */
static void take(struct chrome *chrome, int fd, bool closed)
{
    size_t len;
    char *text = text_of(fd, &len), *line = text;

    memset(chrome, 0, sizeof(*chrome));
    assert_int_equal(strncmp(text, "[\n", 2), 0);
    if (closed)
        assert_string_equal(text + len - 3, "\n]\n");
    for (line = text + 2; *line == '{';) {
        size_t size = strcspn(line, "\n");
        char *next = line + size + (line[size] != '\0');
        struct seen *seen = &chrome->event[chrome->count++];
        size -= line[size - 1] == ',';
        line[size] = '\0';
        assert_int_equal(json_parse(line, size, take_member, seen), 0);
        check(chrome, seen);
        line = next;
    }
    assert_string_equal(line, closed ? "]\n" : "");
    free(text);
}

/* The Nth event of PHASE named NAME. */
static const struct seen *find(const struct chrome *chrome, char phase, const char *name,
                               unsigned n)
{
    for (unsigned i = 0; i < chrome->count; i++)
        if (chrome->event[i].phase == phase && strcmp(chrome->event[i].name, name) == 0 && n-- == 0)
            return &chrome->event[i];
    fail_msg("there is no %c %s", phase, name);
    return NULL;
}

static void assert_slice(const struct seen *seen, uint64_t process, uint64_t track,
                         uint64_t start_ns, uint64_t dur_ns)
{
    assert_int_equal(seen->process, process);
    assert_int_equal(seen->track, track);
    assert_int_equal(seen->start_ns, start_ns);
    assert_int_equal(seen->dur_ns, dur_ns);
}

static struct trace_item item_of(const struct trace_event *event, const char *remark)
{
    static char text[TRACE_REMARK_MAX];
    struct trace_item item;

    trace_item_make(&item, event, NULL, text);
    item.remark = remark;
    return item;
}

static void tracks(void **state)
{
    struct chrome *chrome = malloc(sizeof(*chrome));
    struct trace_event out = serial_write('H'), in = out, note, exit, entry;
    int fd = memory_file();

    (void)state;
    in.vcpu = 1;
    in.write = false;
    in.start_ns = out.start_ns + 100; /* it waited for the device until OUT had done */
    note = (struct trace_event){
        .start_ns = 7000, .kind = VM_EXIT_NOTE, .vcpu = TRACE_NO_VCPU, .device = "serial"};
    exit = (struct trace_event){
        .start_ns = 8000, .kind = VM_EXIT_KERNEL, .raw_name = "kvm_exit", .text = "reason HLT"};
    entry = (struct trace_event){.start_ns = 9500, .kind = VM_EXIT_KERNEL, .raw_name = "kvm_entry"};
    struct trace_item item[] = {item_of(&out, "sent \"H\""), item_of(&in, NULL),
                                item_of(&note, "typed\n"),   item_of(&exit, NULL),
                                item_of(&entry, NULL),       item_of(&entry, NULL)};
    item[0].symbol = "main";
    item[0].file = "a.c";
    item[0].line = 7;
    item[0].insn = "out dx, al";
    send_items(trace_chrome_sink(fd), item, 6, &bench_footer);
    take(chrome, fd, true);

    assert_slice(find(chrome, 'X', "guest", 0), 1, 1, 1234567, 8312);
    assert_slice(find(chrome, 'X', "out serial THR", 0), 1, 1, 1242879, 951);
    assert_slice(find(chrome, 'X', "write THR", 0), 2, 1, 1242879, 951);
    assert_slice(find(chrome, 'X', "in serial THR", 0), 1, 2, 1242979, 951);
    assert_slice(find(chrome, 'X', "read THR", 0), 2, 1, 1243830, 100);
    assert_slice(find(chrome, 'X', "kvm_exit", 0), 3, 1, 8000, 1500);
    assert_string_equal(find(chrome, 'X', "kvm_exit", 0)->args, "{\"text\":\"reason HLT\"}");
    assert_slice(find(chrome, 'i', "kvm_entry", 0), 3, 1, 9500, 0);
    assert_string_equal(find(chrome, 'X', "out serial THR", 0)->args,
                        "{\"rip\":\"0x101234\",\"symbol\":\"main\",\"instruction\":\"out dx, al\","
                        "\"source\":\"a.c:7\",\"address\":\"0x3f8\",\"size\":1,\"count\":1,"
                        "\"bytes\":\"48\",\"remark\":\"sent \\\"H\\\"\"}");
    assert_slice(find(chrome, 'i', "typed?", 0), 2, 1, 7000, 0);
    assert_string_equal(find(chrome, 'M', "thread_name", 0)->args, "{\"name\":\"vCPU 0\"}");
    assert_string_equal(find(chrome, 'M', "thread_name", 4)->args, "{\"name\":\"serial\"}");
    assert_string_equal(find(chrome, 'i', "end: power-off", 0)->args,
                        "{\"exits\":1234,\"dropped\":7,\"filtered\":8,\"KVM's exits\":99,"
                        "\"KVM's halt_exits\":18446744073709551615}");
    free(chrome);
}

/* The counter has a value for each 10 ms that differ, and falls to 0 in between. */
static void counter(void **state)
{
    static const uint64_t at[] = {1, 2, 9000000, 11000000, 55000000, 65000000};
    static const struct {
        uint64_t start_ns;
        const char *args;
    } expected[] = {{0, "{\"exits/s\":300}"},        {10000000, "{\"exits/s\":100}"},
                    {20000000, "{\"exits/s\":0}"},   {50000000, "{\"exits/s\":100}"},
                    {60000000, "{\"exits/s\":100}"}, {70000000, "{\"exits/s\":0}"}};
    struct chrome *chrome = malloc(sizeof(*chrome));
    struct trace_event event[6];
    struct trace_item item[6];
    int fd = memory_file();

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        event[i] = (struct trace_event){.start_ns = at[i], .kind = VM_EXIT_HLT};
        item[i] = item_of(&event[i], NULL);
    }
    send_items(trace_chrome_sink(fd), item, 6, &bench_footer);
    take(chrome, fd, true);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(find(chrome, 'C', "exits/s", i)->start_ns, expected[i].start_ns);
        assert_string_equal(find(chrome, 'C', "exits/s", i)->args, expected[i].args);
    }
    free(chrome);
}

/* Slices stay disjoint whatever the times say; more devices than tracks share the last one. */
static void disorder(void **state)
{
    struct chrome *chrome = malloc(sizeof(*chrome));
    struct trace_event event[200];
    struct trace_item item[200];
    char name[200][16];
    int fd = memory_file();

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name[i], sizeof(name[i]), "device%u", i);
        event[i] = serial_write('x');
        event[i].device = name[i];
        event[i].vcpu = i % 2;
        event[i].start_ns = (uint64_t)(i * 7919) % 1000;
        event[i].guest_ns = (uint64_t)(i * 104729) % 1000;
        item[i] = item_of(&event[i], NULL);
    }
    send_items(trace_chrome_sink(fd), item, 200, NULL); /* killed */
    take(chrome, fd, false);
    assert_string_equal(find(chrome, 'M', "thread_name", 4 + 63)->args,
                        "{\"name\":\"other devices\"}");
    assert_int_equal(find(chrome, 'X', "write THR", 199)->track, 64);
    free(chrome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracks),
        cmocka_unit_test(counter),
        cmocka_unit_test(disorder),
    };

    return cmocka_run_group_tests_name("chrome", tests, NULL, NULL);
}
