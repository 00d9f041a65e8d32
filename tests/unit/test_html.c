/*
 * test_html.c: the page that format=html writes: whole, and safe whatever the names are. What it
 * shows is tested in a browser (tests/browser).
 */
#include "some_event.h"
#include "trace/html_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK "<script type=\"application/x-kvmlens-block\">"
#define FACTS "<script type=\"application/x-kvmlens-facts\">"
#define EVIL  "</script><script>alert(1)</script><!--"

static const struct trace_header header = {.command = "kvmlens " EVIL,
                                           .guest = "a\"b\\c" EVIL,
                                           .host = "Linux",
                                           .backend = "software",
                                           .started_ns = 1700000000123456789,
                                           .clock_ns = 60,
                                           .vcpus = 1};
static const struct trace_footer footer = {.wall_ns = 5000000,
                                           .exits = 3,
                                           .dropped = 1,
                                           .filtered = 2,
                                           .end = EVIL,
                                           .status = 72,
                                           .stat_count = 1,
                                           .stat = {{"exits" EVIL, 77}}};

/* What was written to FD, with a NUL. To be freed. */
static char *written(int fd)
{
    size_t size = (size_t)lseek(fd, 0, SEEK_END);
    char *text = calloc(1, size + 1);

    assert_non_null(text);
    assert_int_equal(pread(fd, text, size, 0), size);
    return text;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

/* One column of a block: its bytes. */
struct bytes {
    uint8_t *at, *end;
};

static uint64_t next(struct bytes *bytes)
{
    uint64_t value = 0;
    unsigned shift = 0;

    do {
        assert_true(bytes->at < bytes->end);
        value |= (uint64_t)(*bytes->at & 0x7f) << shift;
        shift += 7;
    } while (*bytes->at++ & 0x80);
    return value;
}

static unsigned value_of(char digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, digit);

    assert_true(digit != '\0' && at);
    return (unsigned)(at - digits);
}

/* The columns of block NUMBER of PAGE. Returns the memory that they lie in, to be freed. */
static uint8_t *read_block(const char *page, unsigned number, struct bytes column[HTML_COLUMNS])
{
    for (unsigned i = 0; i <= number; i++) {
        page = strstr(page, BLOCK);
        assert_non_null(page);
        page += strlen(BLOCK);
    }
    size_t len = strcspn(page, "<"), used = 0;
    assert_int_equal(len % 4, 0);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 4) {
        uint32_t three = value_of(page[i]) << 18 | value_of(page[i + 1]) << 12;
        bytes[used++] = (uint8_t)(three >> 16);
        if (page[i + 2] != '=') {
            three |= value_of(page[i + 2]) << 6;
            bytes[used++] = (uint8_t)(three >> 8);
        }
        if (page[i + 3] != '=') {
            three |= value_of(page[i + 3]);
            bytes[used++] = (uint8_t)three;
        }
    }
    struct bytes all = {bytes, bytes + used};
    for (unsigned i = 0; i < HTML_COLUMNS; i++) {
        uint64_t size = next(&all);
        assert_true(size <= (uint64_t)(all.end - all.at));
        column[i] = (struct bytes){all.at, all.at + size};
        all.at += size;
    }
    assert_ptr_equal(all.at, all.end);
    return bytes;
}

/* String NUMBER (from 1 on) of a trace's first block. */
static const char *string(const struct bytes *strings, uint64_t number)
{
    const uint8_t *at = strings->at;

    assert_true(number > 0);
    for (; number > 1; number--) {
        at += strlen((const char *)at) + 1;
        assert_true(at < strings->end);
    }
    return (const char *)at;
}

static struct trace_sink *start(int *fd)
{
    *fd = memfd_create("page", 0);
    assert_true(*fd >= 0);
    struct trace_sink *sink = trace_html_sink(*fd);
    assert_non_null(sink);
    assert_int_equal(sink->ops->begin(sink, &header), 0);
    return sink;
}

static char *finish(struct trace_sink *sink, int fd)
{
    assert_int_equal(sink->ops->end(sink, &footer), 0);
    sink->ops->destroy(sink);
    char *page = written(fd);
    close(fd);
    return page;
}

static void assert_page(const char *page)
{
    assert_memory_equal(page, "<!DOCTYPE html>", 15);
    assert_int_equal(count(page, "</style>"), 1);
    assert_int_equal(count(page, "</html>"), 1);
    assert_int_equal(count(page, "<script"), count(page, "</script>"));
    assert_null(strstr(page, "alert(1)"));
    /* Whatever a browser would fetch by itself. */
    assert_int_equal(count(page, "src="), 0);
    assert_int_equal(count(page, "href="), count(page, "href=\"data:,\""));
    assert_int_equal(count(page, "url("), 0);
    assert_int_equal(count(page, "@import"), 0);
    assert_int_equal(count(page, "fetch("), 0);
}

static void empty_trace(void **state)
{
    struct bytes column[HTML_COLUMNS];
    int fd;

    (void)state;
    struct trace_sink *sink = start(&fd);
    char *page = finish(sink, fd);
    assert_page(page);
    assert_int_equal(count(page, FACTS), 2);
    assert_int_equal(count(page, BLOCK), 1);
    assert_non_null(strstr(page, "\"started_ms\":1700000000123,\"clock_ns\":60,\"vcpus\":1,"));
    assert_non_null(strstr(page, "{\"wall_ns\":5000000,\"exits\":3,\"dropped\":1,\"filtered\":2,"));
    uint8_t *block = read_block(page, 0, column);
    unsigned command = 0, guest = 0;
    assert_int_equal(
        sscanf(strstr(page, FACTS), FACTS "{\"command\":%u,\"guest\":%u,", &command, &guest), 2);
    assert_string_equal(string(&column[HTML_STRINGS], command), "kvmlens " EVIL);
    assert_string_equal(string(&column[HTML_STRINGS], guest), "a\"b\\c" EVIL);
    assert_ptr_equal(column[HTML_START].at, column[HTML_START].end);
    free(block);
    free(page);
}

/* Every value comes back out of the columns. */
static void one_event(void **state)
{
    struct trace_event event = serial_write('H');
    const struct trace_item item = {.event = &event,
                                    .kind = "out",
                                    .symbol = "f" EVIL,
                                    .symbol_offset = 0x12,
                                    .file = EVIL ".c",
                                    .line = 42,
                                    .insn = "out dx, al",
                                    .remark = "says " EVIL};
    struct bytes column[HTML_COLUMNS];
    int fd;

    (void)state;
    event.addr = UINT64_MAX;
    event.vcpu = 3;
    event.has_registers = true;
    for (unsigned i = 0; i < 16; i++)
        event.registers.gpr[i] = i == R9 ? UINT64_MAX : 0;
    event.registers.rflags = 2;
    struct trace_sink *sink = start(&fd);
    assert_int_equal(sink->ops->item(sink, &item), 0);
    char *page = finish(sink, fd);
    assert_page(page);
    uint8_t *block = read_block(page, 0, column);
    const struct bytes *strings = &column[HTML_STRINGS];
    assert_int_equal(next(&column[HTML_START]), 2 * event.start_ns);
    assert_int_equal(next(&column[HTML_GUEST]), 8312);
    assert_int_equal(next(&column[HTML_VMM]), 951);
    assert_int_equal(next(&column[HTML_VCPU]), 4);
    assert_int_equal(next(&column[HTML_WHAT]), 1);
    assert_int_equal(next(&column[HTML_WHAT_FAMILY]), HTML_PIO);
    assert_string_equal(string(strings, next(&column[HTML_WHAT_KIND])), "out");
    assert_string_equal(string(strings, next(&column[HTML_WHAT_REG])), "THR");
    assert_true(next(&column[HTML_WHAT_ADDR]) == UINT64_MAX);
    assert_int_equal(next(&column[HTML_PLACE]), 1);
    assert_string_equal(string(strings, next(&column[HTML_PLACE_SYMBOL])), "f" EVIL);
    assert_string_equal(string(strings, next(&column[HTML_PLACE_FILE])), EVIL ".c");
    assert_string_equal(string(strings, next(&column[HTML_REMARK])), "says " EVIL);
    assert_int_equal(next(&column[HTML_TEXT]), 0);
    assert_int_equal(next(&column[HTML_DATA_LEN]), 1);
    assert_int_equal(*column[HTML_DATA].at, 'H');
    assert_int_equal(next(&column[HTML_REGISTERS]), 1u << 17 | 1u << 16 | 1u << R9);
    assert_true(next(&column[HTML_REGISTERS]) == UINT64_MAX);
    assert_int_equal(next(&column[HTML_REGISTERS]), 2);
    /* "out" and "serial THR" are in the table of explanations. */
    assert_int_equal(next(&column[HTML_WHAT_WHY_KIND]), 1);
    assert_int_equal(next(&column[HTML_WHAT_WHY_REG]), 2);
    next(&column[HTML_WHY_NAME]);
    assert_string_equal(string(strings, next(&column[HTML_WHY_NAME])), "THR");
    free(block);
    free(page);
}

/* More events than a block has, more names than are remembered, times that go back. */
static void many_events(void **state)
{
    const unsigned events = HTML_TABLE_ENTRIES + 3 * HTML_BLOCK_EVENTS;
    struct trace_event event = serial_write('H');
    struct trace_item item = {.event = &event, .kind = "out", .symbol = "f"};
    struct bytes column[HTML_COLUMNS];
    char remark[32];
    int fd;

    (void)state;
    struct trace_sink *sink = start(&fd);
    for (unsigned i = 0; i < events; i++) {
        snprintf(remark, sizeof(remark), "remark %u", i);
        item.remark = remark;
        event.rip = 0x100000 + i;
        event.start_ns = i % 2 ? 1000 : 2000;
        assert_int_equal(sink->ops->item(sink, &item), 0);
    }
    char *page = finish(sink, fd);
    assert_page(page);
    unsigned blocks = count(page, BLOCK), last = 0, seen = 0;
    assert_int_equal(blocks, events / HTML_BLOCK_EVENTS + 1);
    for (unsigned b = 0; b < blocks; b++) {
        uint8_t *block = read_block(page, b, column);
        for (; column[HTML_WHAT].at < column[HTML_WHAT].end; seen++) {
            assert_int_equal(next(&column[HTML_WHAT]), 1);
            assert_int_equal(next(&column[HTML_PLACE]), ++last); /* a number for each */
            assert_int_equal(next(&column[HTML_START]), seen == 0 ? 4000 : seen % 2 ? 1999 : 2000);
        }
        assert_true(strlen((char *)column[HTML_STRINGS].at) > 0);
        free(block);
    }
    assert_int_equal(seen, events);
    free(page);
}

/* A trace that nobody ended: what was written is there. */
static void no_footer(void **state)
{
    struct trace_event event = serial_write('H');
    const struct trace_item item = {.event = &event, .kind = "out"};
    struct bytes column[HTML_COLUMNS];
    int fd;

    (void)state;
    struct trace_sink *sink = start(&fd);
    for (unsigned i = 0; i < 3 * HTML_BLOCK_EVENTS; i++)
        assert_int_equal(sink->ops->item(sink, &item), 0);
    sink->ops->destroy(sink);
    char *page = written(fd);
    close(fd);
    assert_int_equal(count(page, FACTS), 1);
    free(read_block(page, 0, column));
    free(page);
}

static void full_disk(void **state)
{
    struct trace_event event = serial_write('H');
    const struct trace_item item = {.event = &event, .kind = "out"};
    FILE *full = fopen("/dev/full", "we");
    int r = 0;

    (void)state;
    assert_non_null(full);
    struct trace_sink *sink = trace_html_sink(fileno(full));
    assert_non_null(sink);
    r = sink->ops->begin(sink, &header);
    for (unsigned i = 0; i < 8 * HTML_BLOCK_EVENTS && r == 0; i++)
        r = sink->ops->item(sink, &item);
    if (r == 0)
        r = sink->ops->end(sink, &footer);
    assert_int_equal(r, -ENOSPC);
    sink->ops->destroy(sink);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_trace), cmocka_unit_test(one_event), cmocka_unit_test(many_events),
        cmocka_unit_test(no_footer),   cmocka_unit_test(full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
