/*
 * test_text.c: an exit as a line of text.
 */
#include "some_event.h"
#include "trace/code.h"
#include "trace/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Formats EVENT at a place without a name. */
static size_t format(char *line, bool in_colour, const struct trace_event *event)
{
    char remark[TRACE_REMARK_MAX];
    struct trace_columns columns = trace_columns(in_colour);
    struct trace_item item;

    trace_item_make(&item, event, NULL, remark);
    return trace_format_item(line, &columns, &item);
}

static void assert_line(struct trace_event event, const char *expected)
{
    char line[TRACE_LINE_MAX];
    size_t len = format(line, false, &event);

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
        format(line, false, &event);
        line[75] = '\0';
        assert_string_equal(line + 75 - strlen(times[i].text), times[i].text);
        assert_int_equal(line[74 - strlen(times[i].text)], ' ');
    }
}

static void remarks(void **state)
{
    struct trace_event event = serial_write('h'), note = {.start_ns = 1234567,
                                                          .vcpu = TRACE_NO_VCPU,
                                                          .kind = VM_EXIT_NOTE,
                                                          .device = "virtio-blk0",
                                                          .remark = "read %llu of %llu",
                                                          .remark_arg = {7, UINT64_MAX}};
    char line[TRACE_LINE_MAX];

    (void)state;
    event.device = "virtio-blk0";
    event.reg = "QueueNotify";
    event.remark = "read sector %llu, %llu bytes, %llx";
    event.remark_arg[0] = 5;
    event.remark_arg[1] = 4096;
    event.remark_arg[2] = 0xab;
    format(line, false, &event);
    assert_non_null(strstr(
        line, "virtio-blk0 QueueNotify 0x101234              read sector 5, 4096 bytes, ab\n"));
    event = serial_write('\x02');
    event.reg = "QueueNotify";
    format(line, false, &event);
    assert_non_null(strstr(line, " 0x02 queue 2 "));
    format(line, false, &note);
    assert_memory_equal(line, "     1.234   - note ", 20);
    assert_string_equal(line + 86, "virtio-blk0        read 7 of 18446744073709551615\n");
    note.vcpu = 3;
    note.remark = NULL;
    format(line, false, &note);
    assert_memory_equal(line, "     1.234   3 note ", 20);
    assert_string_equal(line + 86, "virtio-blk0\n");
}

static void code(void **state)
{
    struct trace_event event = serial_write('h');
    struct code_place place = {.symbol = "put_char", .offset = 0x1a};
    struct trace_columns columns = trace_columns(false), coloured = trace_columns(true);
    struct trace_item item;
    char line[TRACE_LINE_MAX], remark[TRACE_REMARK_MAX];

    (void)state;
    trace_item_make(&item, &event, &place, remark);
    trace_format_item(line, &columns, &item);
    assert_non_null(strstr(line, "  serial THR         put_char+0x1a\n"));
    place.offset = 0;
    trace_item_make(&item, &event, &place, remark);
    trace_format_item(line, &columns, &item);
    assert_non_null(strstr(line, " put_char\n"));
    place.insn = "out dx, al";
    trace_item_make(&item, &event, &place, remark);
    trace_format_item(line, &columns, &item);
    assert_non_null(strstr(line, " put_char              out dx, al\n"));
    place.file = "guest/serial.c";
    place.line = 42;
    event.remark = "sent";
    trace_item_make(&item, &event, &place, remark);
    trace_format_item(line, &columns, &item);
    assert_non_null(
        strstr(line, " put_char              out dx, al  guest/serial.c:42     sent\n"));
    trace_format_item(line, &coloured, &item);
    assert_non_null(strstr(line, "\033[2msent\033[0m\n"));
}

static void events_of_kvm(void **state)
{
    struct trace_event event = {.start_ns = 1234567,
                                .kind = VM_EXIT_KERNEL,
                                .vcpu = 2,
                                .raw_name = "kvm_inj_virq",
                                .text = "IRQ 0x30"};

    (void)state;
    assert_line(event, "     1.234   2 kvm_inj_virq        IRQ 0x30");
    event.raw_name = "kvm_exit";
    event.text = NULL;
    event.vcpu = TRACE_NO_VCPU;
    assert_line(event, "     1.234   - kvm_exit");
    event.raw_name = "kvm_mmio";
    event.text = "mmio write";
    event.device = "LAPIC";
    assert_line(event, "     1.234   - kvm_mmio            mmio write  LAPIC");
    event.reg = "EOI";
    assert_line(event, "     1.234   - kvm_mmio            mmio write  LAPIC EOI");
}

static void ioctls(void **state)
{
    char line[TRACE_LINE_MAX];
    struct trace_event event = {.kind = VM_EXIT_NOTE,
                                .start_ns = 1234567,
                                .vmm_ns = 8312,
                                .vcpu = 1,
                                .device = "kvm",
                                .reg = "KVM_CREATE_VCPU",
                                .text = "fd 9: id 1 = fd 12",
                                .remark = "a vCPU"};

    (void)state;
    format(line, false, &event);
    assert_string_equal(line, "     1.234   1 KVM_CREATE_VCPU                                "
                              "                 8.3us  fd 9: id 1 = fd 12  # a vCPU\n");
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
    event.device = event.reg = event.raw_name = event.detail_name = event.remark = name;
    for (unsigned size = 0; size < 256; size += 15) {
        event.kind = size % 2 ? VM_EXIT_PIO : VM_EXIT_NOTE;
        event.text = size % 4 ? name : NULL;
        event.size = (uint8_t)size;
        event.count = size % 2 ? 1 : UINT32_MAX;
        memset(line, '#', sizeof(line));
        size_t len = format(line, true, &event);
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
    format(line, true, &event);
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
    format(line, false, &event);
    assert_string_equal(plain, line);
    trace_format_header(line, true);
    assert_memory_equal(line, "\033[2m", 4);
}

/* A long text pushes its own line at most: the next ones have their columns below it. */
static void columns_grow(void **state)
{
    static const char *const registers[] = {"THR", "DriverFeaturesSel",
                                            "a register whose name has no end", "THR"};
    static const unsigned device[] = {18, 24, 30, 30}; /* "serial " and the name, 30 at most */
    struct trace_event event = serial_write('h');
    struct code_place place = {.symbol = "put", .insn = "out dx, al", .offset = 1};
    struct trace_columns columns = trace_columns(false);
    struct trace_item item;
    char line[TRACE_LINE_MAX], remark[TRACE_REMARK_MAX];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        event.reg = registers[i];
        trace_item_make(&item, &event, &place, remark);
        trace_format_item(line, &columns, &item);
        const char *text = strstr(line, "serial "), *symbol = strstr(line, " put+0x1"),
                   *insn = strstr(line, "  out dx, al");
        assert_true(text && symbol && insn);
        unsigned width = (unsigned)(symbol - text);
        if (i == 2)
            assert_int_equal(width, strlen("serial ") + strlen(registers[i]));
        else
            assert_int_equal(width, device[i]);
        assert_int_equal(insn - text, device[i] + 1 + 20); /* what was pushed is level again */
    }
    assert_int_equal(columns.code, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(columns_grow),
        cmocka_unit_test(memory_accesses),
        cmocka_unit_test(string_accesses),
        cmocka_unit_test(other_exits),
        cmocka_unit_test(times_scale),
        cmocka_unit_test(absurd_events_stay_in_bounds),
        cmocka_unit_test(colour),
        cmocka_unit_test(remarks),
        cmocka_unit_test(code),
        cmocka_unit_test(events_of_kvm),
        cmocka_unit_test(ioctls),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
