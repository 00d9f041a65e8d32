/*
 * test_jsonl.c: the trace as JSON lines, there and back.
 */
#include "sink_bench.h"
#include "some_event.h"
#include "trace/json.h"
#include "trace/jsonl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- there and back ----------------------------------------------------------------------------- */

#define ITEMS 12

struct example {
    struct trace_event event[ITEMS];
    struct trace_item item[ITEMS];
};

static void make_events(struct trace_event event[ITEMS])
{
    event[0] = serial_write('H');
    event[0].raw_name = "KVM_EXIT_IO";
    event[0].has_registers = true;
    for (unsigned i = 0; i < 16; i++)
        event[0].registers.gpr[i] = i == 0 ? 0 : UINT64_MAX >> (4 * i);
    event[0].registers.rflags = 0x246;
    event[1] = (struct trace_event){.start_ns = 1,
                                    .guest_ns = JSONL_TIME_MAX,
                                    .vcpu = 1,
                                    .kind = VM_EXIT_PIO,
                                    .size = 2,
                                    .count = UINT32_MAX,
                                    .addr = 0x1f0,
                                    .data_len = 16,
                                    .data = {0, 1, 0x7f, 0x80, 0xff},
                                    .raw_name = "KVM_EXIT_IO",
                                    .rip = 0xffffffff80000000};
    event[2] = (struct trace_event){.kind = VM_EXIT_MMIO,
                                    .write = true,
                                    .size = 8,
                                    .count = 1,
                                    .addr = UINT64_MAX,
                                    .data_len = 8,
                                    .raw_name = "KVM_EXIT_MMIO",
                                    .device = "virtio-blk0"};
    event[3] = (struct trace_event){.kind = VM_EXIT_MMIO,
                                    .size = 4,
                                    .count = 1,
                                    .raw_name = "KVM_EXIT_MMIO",
                                    .device = "virtio-blk0",
                                    .reg = "Magic"};
    event[4] = (struct trace_event){.kind = VM_EXIT_SYSTEM_EVENT,
                                    .detail = 1,
                                    .detail_name = "shutdown",
                                    .raw_name = "KVM_EXIT_SYSTEM_EVENT"};
    event[5] = (struct trace_event){.kind = VM_EXIT_OTHER, .raw_name = "KVM_EXIT_X86_RDMSR"};
    event[6] = (struct trace_event){
        .start_ns = 3, .vcpu = TRACE_NO_VCPU, .kind = VM_EXIT_NOTE, .device = "serial"};
    event[7] = (struct trace_event){.start_ns = 4,
                                    .vcpu = 1,
                                    .kind = VM_EXIT_KERNEL,
                                    .raw_name = "kvm_exit",
                                    .device = "LAPIC",
                                    .reg = "EOI",
                                    .text = "reason EPT \"x\"\\"};
    event[8] = (struct trace_event){.kind = VM_EXIT_AGAIN, .raw_name = "KVM_EXIT_SET_TPR"};
    event[9] = (struct trace_event){.kind = VM_EXIT_INTERNAL_ERROR,
                                    .detail = UINT64_MAX,
                                    .detail_name = "emulation",
                                    .raw_name = "KVM_EXIT_INTERNAL_ERROR"};
    event[10] = (struct trace_event){
        .kind = VM_EXIT_PIO, .write = true, .size = 1, .count = 2, .raw_name = "KVM_EXIT_IO"};
    event[11] = (struct trace_event){.kind = VM_EXIT_INTR, .raw_name = "KVM_EXIT_INTR"};
}

static void make_example(struct example *example)
{
    char remark[TRACE_REMARK_MAX];

    make_events(example->event);
    for (unsigned i = 0; i < ITEMS; i++)
        trace_item_make(&example->item[i], &example->event[i], NULL, remark);
    example->item[0].symbol = "main";
    example->item[0].symbol_offset = 18;
    example->item[0].file = "guest/größe.c";
    example->item[0].line = 42;
    example->item[0].insn = "out dx, al";
    example->item[1].symbol = "main";
    example->item[6].remark = "status 0x4: \"DRIVER_OK\"";
}

static void assert_text(const char *found, const char *expected)
{
    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
}

static void assert_item(const struct trace_item *found, const struct trace_item *expected)
{
    const struct trace_event *a = found->event, *b = expected->event;

    assert_text(found->kind, expected->kind);
    assert_text(found->symbol, expected->symbol);
    assert_int_equal(found->symbol_offset, expected->symbol_offset);
    assert_text(found->file, expected->file);
    assert_int_equal(found->line, expected->line);
    assert_text(found->insn, expected->insn);
    assert_text(found->remark, expected->remark);
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->guest_ns, b->guest_ns);
    assert_int_equal(a->vmm_ns, b->vmm_ns);
    assert_int_equal(a->vcpu, b->vcpu);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->write, b->write);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->addr, b->addr);
    assert_int_equal(a->data_len, b->data_len);
    assert_memory_equal(a->data, b->data, sizeof(a->data));
    assert_int_equal(a->detail, b->detail);
    assert_text(a->detail_name, b->detail_name);
    assert_text(a->raw_name, b->raw_name);
    assert_text(a->device, b->device);
    assert_text(a->reg, b->reg);
    assert_int_equal(a->rip, b->rip);
    assert_text(a->text, b->text);
    assert_int_equal(a->has_registers, b->has_registers);
    if (b->has_registers)
        assert_memory_equal(&a->registers, &b->registers, sizeof(a->registers));
}

static void assert_ends(const struct jsonl_reader *reader)
{
    const struct trace_footer *footer = jsonl_footer(reader);

    assert_string_equal(footer->end, bench_footer.end);
    assert_int_equal(footer->status, bench_footer.status);
    assert_int_equal(footer->wall_ns, bench_footer.wall_ns);
    assert_int_equal(footer->exits, bench_footer.exits);
    assert_int_equal(footer->dropped, bench_footer.dropped);
    assert_int_equal(footer->filtered, bench_footer.filtered);
    assert_int_equal(footer->stat_count, bench_footer.stat_count);
    for (unsigned i = 0; i < footer->stat_count; i++) {
        assert_string_equal(footer->stat[i].name, bench_footer.stat[i].name);
        assert_int_equal(footer->stat[i].value, bench_footer.stat[i].value);
    }
    const struct trace_header *header = jsonl_header(reader);
    assert_string_equal(header->command, bench_header.command);
    assert_string_equal(header->guest, bench_header.guest);
    assert_string_equal(header->host, bench_header.host);
    assert_string_equal(header->backend, bench_header.backend);
    assert_int_equal(header->started_ns, bench_header.started_ns);
    assert_int_equal(header->clock_ns, bench_header.clock_ns);
    assert_int_equal(header->vcpus, bench_header.vcpus);
    assert_int_equal(header->kernel, bench_header.kernel);
}

static void round_trip(void **state)
{
    struct example example;
    struct trace_item item;
    struct error err;
    const char *symbol = NULL;
    int fd = memory_file();

    (void)state;
    make_example(&example);
    send_items(trace_jsonl_sink(fd), example.item, ITEMS, &bench_footer);
    struct jsonl_reader *reader = reopen(fd);
    for (unsigned i = 0; i < ITEMS; i++) {
        assert_int_equal(jsonl_next(reader, &item, &err), 1);
        assert_item(&item, &example.item[i]);
        if (i == 1)
            assert_ptr_equal(item.symbol, symbol); /* interned */
        symbol = item.symbol;
    }
    assert_int_equal(jsonl_next(reader, &item, &err), 0);
    assert_null(jsonl_complaint(reader));
    assert_ends(reader);
    jsonl_close(reader);
    close(fd);
}

static void golden(void **state)
{
    struct example example;
    int fd = memory_file();
    size_t len;

    (void)state;
    make_example(&example);
    send_items(trace_jsonl_sink(fd), example.item, 5, &bench_footer);
    char *text = text_of(fd, &len);
    assert_string_equal(
        text,
        "{\"kvmlens_trace\":1,\"command\":\"kvmlens -kernel a.elf -append \\\"x\\\\y\\\"\","
        "\"guest\":\"a.elf\",\"host\":\"Linux 6.1.0\",\"backend\":\"vmx\","
        "\"started_ns\":1700000000123456789,\"clock_ns\":67,\"vcpus\":2,\"kernel\":true}\n"
        "{\"k\":\"out\",\"c\":0,\"t\":1234567,\"g\":8312,\"v\":951,\"a\":\"0x3f8\",\"n\":1,"
        "\"d\":\"48\",\"dev\":\"serial\",\"reg\":\"THR\",\"rip\":\"0x101234\",\"sym\":\"main\","
        "\"off\":18,\"file\":\"guest/größe.c\",\"line\":42,\"insn\":\"out dx, al\","
        "\"regs\":\"0 fffffffffffffff ffffffffffffff fffffffffffff ffffffffffff fffffffffff "
        "ffffffffff fffffffff ffffffff fffffff ffffff fffff ffff fff ff f 246\"}\n"
        "{\"k\":\"ins\",\"c\":1,\"t\":1,\"g\":9007199254740992,\"v\":0,\"a\":\"0x1f0\",\"n\":2,"
        "\"x\":4294967295,\"d\":\"00017f80ff0000000000000000000000\","
        "\"rip\":\"0xffffffff80000000\",\"sym\":\"main\",\"off\":0}\n"
        "{\"k\":\"mmio write\",\"c\":0,\"a\":\"0xffffffffffffffff\",\"n\":8,"
        "\"d\":\"0000000000000000\",\"dev\":\"virtio-blk0\"}\n"
        "{\"k\":\"mmio read\",\"c\":0,\"a\":\"0x0\",\"n\":4,\"dev\":\"virtio-blk0\","
        "\"reg\":\"Magic\"}\n"
        "{\"k\":\"system\",\"c\":0,\"i\":\"0x1\",\"what\":\"shutdown\"}\n"
        "{\"end\":\"power-off\",\"status\":3,\"wall_ns\":5000000,\"exits\":1234,\"dropped\":7,"
        "\"filtered\":8,\"stats\":{\"exits\":99,\"halt_exits\":18446744073709551615}}\n");
    free(text);
}

/* --- texts -------------------------------------------------------------------------------------- */

static void strings(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\x1b\x7f", "\"\\u000a\\u001b\\u007f\""},
        {"ä\xe2\x82\xac\xf0\x9f\x98\x80", "\"ä\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\x80\xc3", "\"\\ufffd\\ufffd\""},
        {"\xc2\x9b", "\"\\ufffd\\ufffd\""}, /* CSI */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
    };
    char out[JSON_STRING_MAX + 1], text[2 * JSON_STRING_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        *json_string(out, cases[i].text) = '\0';
        assert_string_equal(out, cases[i].json);
    }
    /* Cut at whole characters. */
    for (size_t size = 2; size < 20; size++) {
        *json_long_string(out, "\n\n\n\n", size) = '\0';
        assert_int_equal(strlen(out), 2 + (size - 2) / 6 * 6);
        *json_long_string(out, "€€€€€€€", size) = '\0';
        assert_int_equal(strlen(out), 2 + (size - 2) / 3 * 3);
    }
    memset(text, '"', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(json_string(out, text) - out, JSON_STRING_MAX);
}

static void numbers(void **state)
{
    char out[64];

    (void)state;
    *json_number(out, UINT64_MAX) = '\0';
    assert_string_equal(out, "18446744073709551615");
    *json_number(out, 0) = '\0';
    assert_string_equal(out, "0");
    for (unsigned bit = 0; bit < 64; bit++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "\"0x%llx\"", 1ull << bit);
        *json_hex(out, 1ull << bit) = '\0';
        assert_string_equal(out, expected);
    }
    *json_hex(out, 0) = '\0';
    assert_string_equal(out, "\"0x0\"");
}

/* A full disk is told by the call that met it. */
static void full_disk(void **state)
{
    struct trace_sink *sink = trace_jsonl_sink(-1);

    (void)state;
    assert_non_null(sink);
    assert_int_equal(sink->ops->begin(sink, &bench_header), 0);
    assert_int_equal(sink->ops->flush(sink), -EBADF);
    assert_int_equal(sink->ops->end(sink, &bench_footer), -EBADF);
    sink->ops->destroy(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(golden),    cmocka_unit_test(strings),
        cmocka_unit_test(numbers),    cmocka_unit_test(full_disk),
    };

    return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
