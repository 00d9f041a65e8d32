/*
 * test_jsonl_read.c: JSON lines of others: cut off, damaged, newer, hostile.
 */
#include "sink_bench.h"
#include "trace/names.h"

#include <stdio.h>
#include <string.h>

#define HEADER                                                                                     \
    "{\"kvmlens_trace\":1,\"command\":\"c\",\"guest\":\"g\",\"host\":\"h\",\"backend\":\"vmx\","   \
    "\"started_ns\":1,\"clock_ns\":2,\"vcpus\":2,\"kernel\":false}\n"
#define FOOTER                                                                                     \
    "{\"end\":\"reset\",\"status\":0,\"wall_ns\":9,\"exits\":1,\"dropped\":0,\"filtered\":0,"      \
    "\"stats\":{}}\n"
#define OUT "{\"k\":\"out\",\"c\":0,\"t\":5,\"g\":6,\"v\":7,\"a\":\"0x80\",\"n\":1,\"d\":\"42\"}\n"

/* An item to keep, but for its remark and text. */
struct last {
    struct trace_event event;
    const char *kind;
};

/* Reads HEADER, TEXT, FOOTER; expects ITEMS of them and, unless NULL, COMPLAINT within what is said.
 * LAST gets the last item. */
static struct jsonl_reader *read_text(const char *text, unsigned items, const char *complaint,
                                      struct last *last)
{
    char *all;
    struct error err;
    struct trace_item item;
    unsigned count = 0;
    int len = asprintf(&all, "%s%s%s", HEADER, text, FOOTER);

    assert_true(len > 0);
    int fd = file_of(all, (size_t)len);
    struct jsonl_reader *reader = reopen(fd);
    while (jsonl_next(reader, &item, &err) == 1) {
        *last = (struct last){*item.event, item.kind};
        count++;
    }
    assert_int_equal(count, items);
    const char *said = jsonl_complaint(reader);
    if (!complaint)
        assert_null(said);
    else if (!said || !strstr(said, complaint))
        fail_msg("expected '%s', found '%s'", complaint, said ? said : "nothing");
    close(fd);
    free(all);
    return reader;
}

static void read_texts(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"a\\\"b\\\\c\\/", "a\"b\\c/"},
        {"\\n\\u001b\\u0000\\u009b", "????"},
        {"\x1b[31m\x7f\x80", "?[31m??"},
        {"\\u00e4\\u20ac\\ud83d\\ude00\\uD83D\\uDE00", "ä€😀😀"},
        {"\\ud83d \\ude00", "? ?"},
        {"\\ud83d\\u0041", "?A"},
        {"äö\\u20AC", "äö€"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[256];
        struct last last;
        snprintf(line, sizeof(line), "{\"k\":\"note\",\"dev\":\"%s\"}\n", cases[i].json);
        struct jsonl_reader *reader = read_text(line, 1, NULL, &last);
        assert_string_equal(last.event.device, cases[i].text);
        jsonl_close(reader);
    }
}

/* --- other files -------------------------------------------------------------------------------- */

/* What does not follow the schema is passed over, and nothing else. */
static void damaged(void **state)
{
    static const char *const lines[] = {
        "",
        "x",
        "{",
        "}",
        "[]",
        "1",
        "\"k\"",
        "{}",
        "{\"k\":\"out\"}",
        "{\"k\":7}",
        "{\"k\":\"hlt\"}",         /* on no vCPU */
        "{\"k\":\"hlt\",\"c\":2}", /* there are two */
        "{\"k\":\"hlt\",\"c\":-1}",
        "{\"k\":\"hlt\",\"c\":0.5}",
        "{\"k\":\"hlt\",\"c\":\"0\"}",
        "{\"k\":\"hlt\",\"c\":99999999999999999999}",
        "{\"k\":\"hlt\",\"c\":0,\"t\":9007199254740993}",
        "{\"k\":\"out\",\"c\":0,\"n\":9}",
        "{\"k\":\"out\",\"c\":0,\"n\":0}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"d\":\"4\"}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"d\":\"4g\"}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"d\":\"0000000000000000000000000000000000\"}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"a\":\"80\"}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"a\":128}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"a\":\"0x12345678123456781\"}",
        "{\"k\":\"out\",\"c\":0,\"n\":1,\"a\":\"0x\"}",
        "{\"k\":\"hlt\",\"c\":0,\"regs\":\"1 2 3\"}",
        "{\"k\":\"hlt\",\"c\":0,\"dev\":null}",
        "{\"k\":\"hlt\",\"c\":0,\"regs\":\"1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\"}",
        "{\"k\":\"hlt\",\"c\":0,\"regs\":\"1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 x\"}",
        "{\"k\":\"hlt\",\"c\":0",
        "{\"k\":\"hlt\",\"c\":0}}",
        "{\"k\":\"hlt\",\"c\":0}{}",
        "{\"k\":\"hlt\" \"c\",\"c\":0}",
        "{\"k\",\"c\":0}",
        "{\"end\":7}",
        "{\"end\":\"x\",\"status\":256}",
        "{\"end\":\"x\",\"stats\":{\"a\":-1}}",
    };
    struct last last;
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(text, sizeof(text), OUT "%s\n" OUT, lines[i]);
        struct jsonl_reader *reader =
            read_text(text, 2, "1 damaged line was passed over, the first is line 3", &last);
        assert_int_equal(last.event.addr, 0x80);
        assert_string_equal(jsonl_footer(reader)->end, "reset");
        jsonl_close(reader);
    }
}

/* Members and kinds that came later do not matter. */
static void unknown(void **state)
{
    struct last last;
    struct jsonl_reader *reader = read_text(
        "{\"new\":{\"a\":[1,{\"k\":\"x\"}],\"b\":{}},\"k\":\"vmexit\",\"c\":0,\"z\":[],\"g\":3}\n",
        1, NULL, &last);

    (void)state;
    assert_int_equal(last.event.kind, VM_EXIT_OTHER);
    assert_string_equal(last.kind, "vmexit");
    assert_int_equal(last.event.guest_ns, 3);
    jsonl_close(reader);
    reader = read_text("{\"g\":3,\"c\":1,\"k\":\"hlt\"}\r\n", 1, NULL, &last); /* in any order */
    assert_int_equal(last.event.kind, VM_EXIT_HLT);
    assert_int_equal(last.event.vcpu, 1);
    jsonl_close(reader);
}

/* A file that ends anywhere gives what is before that, and says so. */
static void cut_off(void **state)
{
    static const char all[] = HEADER OUT OUT FOOTER;
    const size_t first = sizeof(HEADER) - 1, out = sizeof(OUT) - 1;

    (void)state;
    for (size_t len = first; len < sizeof(all) - 2; len++) {
        struct trace_item item;
        struct error err;
        size_t items = 0, whole = (len + 1 - first) / out; /* a newline more or less */
        int fd = file_of(all, len);
        struct jsonl_reader *reader = reopen(fd);
        while (jsonl_next(reader, &item, &err) == 1)
            items++;
        assert_int_equal(items, whole < 2 ? whole : 2);
        assert_non_null(strstr(jsonl_complaint(reader), "the last line is missing"));
        assert_int_equal(jsonl_footer(reader)->exits, items);
        assert_int_equal(jsonl_footer(reader)->wall_ns, items > 0 ? 18 : 0);
        assert_string_equal(jsonl_footer(reader)->end, "unknown");
        jsonl_close(reader);
        close(fd);
    }
}

static void more_behind(void **state)
{
    struct last last;

    (void)state;
    jsonl_close(read_text(OUT FOOTER OUT, 1, "there is more behind the last line", &last));
}

static void refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "no trace"},
        {"\n", "no trace"},
        {"{}\n", "no trace"},
        {"\x7f"
         "ELF",
         "no trace"},
        {OUT, "no trace"},
        {"{\"kvmlens_trace\":0}", "no trace"},
        {"{\"kvmlens_trace\":1,\"vcpus\":0}\n", "no trace"},
        {"{\"kvmlens_trace\":1,\"vcpus\":1025}\n", "no trace"},
        {"{\"kvmlens_trace\":1,\"vcpus\":1,\"guest\":3}\n", "no trace"},
        {"{\"kvmlens_trace\":2,\"vcpus\":\"many\"}\n", "version 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jsonl_reader *reader;
        struct error err;
        int fd = file_of(cases[i].text, strlen(cases[i].text));
        assert_int_equal(jsonl_open(&reader, fd, "x", &err), -1);
        assert_int_equal(err.status, STATUS_IMAGE);
        assert_non_null(strstr(err.text, cases[i].why));
        close(fd);
    }
}

static void unreadable(void **state)
{
    struct jsonl_reader *reader;
    struct error err;

    (void)state;
    assert_int_equal(jsonl_open(&reader, -1, "x", &err), -1);
    assert_non_null(strstr(err.text, "Bad file descriptor"));
}

/* Lines are read in pieces, and one without an end costs no memory. */
static void long_lines(void **state)
{
    const size_t size = 9 * JSONL_LINE_MAX;
    char *text = malloc(size + 2 * sizeof(OUT));
    struct last last;

    (void)state;
    assert_non_null(text);
    for (size_t len = size - 2; len < size; len++) {
        char *at = stpcpy(text, OUT);
        memset(at, 'x', len);
        stpcpy(stpcpy(at + len, "\n"), OUT);
        jsonl_close(
            read_text(text, 2, "1 damaged line was passed over, the first is line 3", &last));
    }
    char *at = text;
    while ((size_t)(at - text) < size - sizeof(OUT))
        at = stpcpy(at, OUT);
    jsonl_close(read_text(text, (unsigned)((size_t)(at - text) / (sizeof(OUT) - 1)), NULL, &last));
    free(text);
}

static void many_names(void **state)
{
    struct names *names = names_create();
    const char *first = names_keep(names, "a", 1), *kept = first;
    char *large = calloc(1, NAMES_BYTES_MAX / 4);

    (void)state;
    assert_non_null(large);
    for (unsigned i = 0; i < 10000; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "n%u", i);
        kept = names_keep(names, text, (size_t)len);
        assert_string_equal(kept, text);
        assert_ptr_equal(names_keep(names, text, (size_t)len), kept);
    }
    assert_ptr_equal(names_keep(names, "a", 1), first);
    for (unsigned i = 0; i < 4; i++) {
        large[0] = (char)('A' + i);
        kept = names_keep(names, large, NAMES_BYTES_MAX / 4 - 1);
    }
    assert_string_equal(kept, NAMES_TOO_MANY);
    assert_string_equal(names_keep(names, "n9999", 5), "n9999");
    free(large);
    names_destroy(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_texts), cmocka_unit_test(damaged),     cmocka_unit_test(unknown),
        cmocka_unit_test(cut_off),    cmocka_unit_test(more_behind), cmocka_unit_test(refused),
        cmocka_unit_test(unreadable), cmocka_unit_test(long_lines),  cmocka_unit_test(many_names),
    };

    return cmocka_run_group_tests_name("jsonl_read", tests, NULL, NULL);
}
