/*
 * test_exit.c: every kind of exit through vm_handle_exit(), with a recording device on both buses.
 */
#include "fake_kvm.h"
#include "trace/trace.h"
#include "vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LOG_MAX 64

/* Remembers each access; reads give the offset plus a count. */
struct recorder {
    struct {
        uint64_t offset, value;
        unsigned size;
        bool write;
    } log[LOG_MAX];
    unsigned count;
    bool flipped; /* what reg_name() depends on, as on the UART's DLAB */
};

static uint64_t recorder_read(void *dev, uint64_t offset, unsigned size)
{
    struct recorder *r = dev;

    r->log[r->count].offset = offset;
    r->log[r->count].size = size;
    r->log[r->count].write = false;
    return 0xa0 + r->count++;
}

static void recorder_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct recorder *r = dev;

    r->log[r->count].offset = offset;
    r->log[r->count].size = size;
    r->log[r->count].value = value;
    r->log[r->count++].write = true;
    r->flipped = true;
}

static const char *recorder_reg_name(const void *dev, uint64_t offset, bool write)
{
    const struct recorder *r = dev;

    (void)write;
    return offset > 7 ? NULL : r->flipped ? "AFTER" : "BEFORE";
}

static const struct device_ops recorder_ops = {
    .name = "recorder",
    .read = recorder_read,
    .write = recorder_write,
    .reg_name = recorder_reg_name,
};

struct fixture {
    struct vm vm;
    struct recorder recorder;
    unsigned ends;
};

static void count_end(void *opaque)
{
    struct fixture *f = opaque;

    f->ends++;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct error err;

    memset(&fixture, 0, sizeof fixture);
    memset(&fake_kvm, 0, sizeof fake_kvm);
    assert_int_equal(vm_create(&fixture.vm, 1, NULL, &err), 0);
    assert_int_equal(bus_attach(&fixture.vm.pio, 0x10, 8, &recorder_ops, &fixture.recorder), 0);
    assert_int_equal(bus_attach(&fixture.vm.mmio, 0x1000, 64, &recorder_ops, &fixture.recorder), 0);
    fixture.vm.on_end = count_end;
    fixture.vm.on_end_opaque = &fixture;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    vm_destroy(&f->vm);
    assert_int_equal(fake_kvm.live_vms, 0);
    return 0;
}

static const struct trace_event *handle(struct fixture *f, struct vm_exit exit)
{
    struct vcpu *vcpu = &f->vm.vcpu[0];

    vm_handle_exit(vcpu, &exit);
    return &vcpu->last[(vcpu->exits - 1) % VCPU_LAST_EXITS];
}

static void port_write_reaches_the_device(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4] = {0x78, 0x56, 0x34, 0x12};
    const struct trace_event *e = handle(f, (struct vm_exit){.kind = VM_EXIT_PIO,
                                                             .addr = 0x12,
                                                             .size = 4,
                                                             .count = 1,
                                                             .write = true,
                                                             .data = data,
                                                             .rip = 0x77});

    assert_int_equal(f->recorder.count, 1);
    assert_int_equal(f->recorder.log[0].offset, 2);
    assert_int_equal(f->recorder.log[0].size, 4);
    assert_int_equal(f->recorder.log[0].value, 0x12345678);
    assert_string_equal(e->device, "recorder");
    assert_int_equal(e->rip, 0x77);
    assert_int_equal(e->data_len, 4);
    assert_memory_equal(e->data, data, 4);
    assert_int_equal(f->ends, 0);
}

static void port_read_fills_the_data_and_no_more(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4] = {1, 2, 3, 4};
    const struct trace_event *e = handle(
        f,
        (struct vm_exit){.kind = VM_EXIT_PIO, .addr = 0x10, .size = 1, .count = 1, .data = data});

    assert_int_equal(data[0], 0xa0);
    assert_int_equal(data[1], 2);
    assert_int_equal(e->data[0], 0xa0);
    assert_int_equal(e->data_len, 1);
}

static void string_io_moves_the_data_not_the_port(void **state)
{
    struct fixture *f = *state;
    uint8_t out[6] = {1, 0, 2, 0, 3, 0};
    uint8_t in[3] = {0};

    handle(
        f,
        (struct vm_exit){
            .kind = VM_EXIT_PIO, .addr = 0x10, .size = 2, .count = 3, .write = true, .data = out});
    assert_int_equal(f->recorder.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f->recorder.log[i].offset, 0);
        assert_int_equal(f->recorder.log[i].value, i + 1);
    }
    handle(f,
           (struct vm_exit){.kind = VM_EXIT_PIO, .addr = 0x17, .size = 1, .count = 3, .data = in});
    assert_memory_equal(in, ((uint8_t[]){0xa3, 0xa4, 0xa5}), 3);
    assert_int_equal(f->recorder.log[5].offset, 7);
}

static void long_string_io_is_whole_and_its_trace_is_cut(void **state)
{
    struct fixture *f = *state;
    uint8_t out[40];

    memset(out, 0x41, sizeof out);

    const struct trace_event *e = handle(
        f,
        (struct vm_exit){
            .kind = VM_EXIT_PIO, .addr = 0x10, .size = 1, .count = 40, .write = true, .data = out});

    assert_int_equal(f->recorder.count, 40);
    assert_int_equal(e->count, 40);
    assert_int_equal(e->data_len, TRACE_DATA_MAX);
}

static void mmio_of_odd_size_goes_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    uint8_t data[8] = {1, 2, 3};

    handle(f, (struct vm_exit){.kind = VM_EXIT_MMIO,
                               .addr = 0x1004,
                               .size = 3,
                               .count = 1,
                               .write = true,
                               .data = data});
    assert_int_equal(f->recorder.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f->recorder.log[i].offset, 4 + i);
        assert_int_equal(f->recorder.log[i].size, 1);
        assert_int_equal(f->recorder.log[i].value, i + 1);
    }
}

static void mmio_read_of_8_bytes(void **state)
{
    struct fixture *f = *state;
    uint8_t data[8] = {0};

    handle(f, (struct vm_exit){
                  .kind = VM_EXIT_MMIO, .addr = 0x1008, .size = 8, .count = 1, .data = data});
    assert_memory_equal(data, ((uint8_t[]){0xa0, 0, 0, 0, 0, 0, 0, 0}), 8);
}

static void unclaimed_reads_as_ones_and_has_no_name(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4] = {0};
    const struct trace_event *e = handle(
        f,
        (struct vm_exit){.kind = VM_EXIT_PIO, .addr = 0x99, .size = 2, .count = 1, .data = data});

    assert_memory_equal(data, ((uint8_t[]){0xff, 0xff, 0, 0}), 4);
    assert_null(e->device);
    assert_null(e->reg);
    handle(f, (struct vm_exit){.kind = VM_EXIT_MMIO,
                               .addr = UINT64_MAX - 3,
                               .size = 4,
                               .count = 1,
                               .write = true,
                               .data = data});
    assert_int_equal(f->recorder.count, 0);
    assert_int_equal(f->ends, 0);
}

static void who_claims_a_part_is_not_named(void **state)
{
    struct fixture *f = *state;
    uint8_t data[8] = {0};
    struct vm_exit exit = {
        .kind = VM_EXIT_PIO, .addr = 0x16, .size = 4, .count = 1, .write = true, .data = data};
    const struct trace_event *e = handle(f, exit);

    assert_null(e->device);
    assert_int_equal(f->recorder.count, 0);

    /* Byte by byte, the first two bytes reach it. */
    e = handle(f, (struct vm_exit){.kind = VM_EXIT_MMIO,
                                   .addr = 0x103e,
                                   .size = 3,
                                   .count = 1,
                                   .write = true,
                                   .data = data});
    assert_string_equal(e->device, "recorder");
    assert_int_equal(f->recorder.count, 2);
}

static void register_is_named_before_the_access_changes_it(void **state)
{
    struct fixture *f = *state;
    uint8_t data[1] = {0};
    struct vm_exit exit = {
        .kind = VM_EXIT_PIO, .addr = 0x10, .size = 1, .count = 1, .write = true, .data = data};

    assert_string_equal(handle(f, exit)->reg, "BEFORE");
    assert_string_equal(handle(f, exit)->reg, "AFTER");
}

static void each_ending_exit_ends_its_way(void **state)
{
    static const struct {
        struct vm_exit exit;
        enum vm_end_kind end;
    } table[] = {
        {{.kind = VM_EXIT_HLT}, VM_END_POWEROFF},
        {{.kind = VM_EXIT_SHUTDOWN}, VM_END_CRASH},
        {{.kind = VM_EXIT_SYSTEM_EVENT, .event = SYSTEM_EVENT_SHUTDOWN}, VM_END_POWEROFF},
        {{.kind = VM_EXIT_SYSTEM_EVENT, .event = SYSTEM_EVENT_RESET}, VM_END_RESET},
        {{.kind = VM_EXIT_SYSTEM_EVENT, .event = SYSTEM_EVENT_CRASH}, VM_END_CRASH},
        {{.kind = VM_EXIT_SYSTEM_EVENT, .event = SYSTEM_EVENT_OTHER}, VM_END_KVM_FAIL},
        {{.kind = VM_EXIT_INTERNAL_ERROR, .insn = {0xcc}, .insn_len = 1}, VM_END_KVM_FAIL},
        {{.kind = VM_EXIT_FAIL_ENTRY, .detail = 7}, VM_END_KVM_FAIL},
        {{.kind = VM_EXIT_DEBUG}, VM_END_KVM_FAIL},
        {{.kind = VM_EXIT_OTHER}, VM_END_KVM_FAIL},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fixture *f = *state;

        handle(f, table[i].exit);
        assert_int_equal(f->vm.end.kind, table[i].end);
        assert_int_equal(f->vm.end.exit.kind, table[i].exit.kind);
        assert_int_equal(f->vm.end.exit.detail, table[i].exit.detail);
        assert_memory_equal(f->vm.end.exit.insn, table[i].exit.insn, 1);
        assert_int_equal(f->ends, 1);
        assert_true(atomic_load(&f->vm.stopping));
        assert_int_equal(teardown(state), 0); /* each one on a fresh VM */
        assert_int_equal(setup(state), 0);
    }
}

static void interrupted_runs_end_nothing(void **state)
{
    struct fixture *f = *state;

    handle(f, (struct vm_exit){.kind = VM_EXIT_INTR});
    handle(f, (struct vm_exit){.kind = VM_EXIT_AGAIN});
    assert_int_equal(f->ends, 0);
    assert_false(atomic_load(&f->vm.stopping));
}

static void the_first_end_wins(void **state)
{
    struct fixture *f = *state;

    handle(f, (struct vm_exit){.kind = VM_EXIT_SHUTDOWN});
    vm_end(&f->vm, &(struct vm_end){.kind = VM_END_TIMEOUT});
    assert_int_equal(f->vm.end.kind, VM_END_CRASH);
    assert_int_equal(f->ends, 1);
}

static void the_last_exits_are_kept_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct trace_event last[VCPU_LAST_EXITS];

    assert_int_equal(vcpu_last_exits(&f->vm.vcpu[0], last), 0);
    for (uint64_t i = 0; i < 3; i++)
        handle(f, (struct vm_exit){.kind = VM_EXIT_INTR, .rip = i});
    assert_int_equal(vcpu_last_exits(&f->vm.vcpu[0], last), 3);
    assert_int_equal(last[0].rip, 0);
    assert_int_equal(last[2].rip, 2);
    for (uint64_t i = 3; i < 40; i++)
        handle(f, (struct vm_exit){.kind = VM_EXIT_INTR, .rip = i});
    assert_int_equal(vcpu_last_exits(&f->vm.vcpu[0], last), VCPU_LAST_EXITS);
    assert_int_equal(last[0].rip, 40 - VCPU_LAST_EXITS);
    assert_int_equal(last[VCPU_LAST_EXITS - 1].rip, 39);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(port_write_reaches_the_device),
        TEST(port_read_fills_the_data_and_no_more),
        TEST(string_io_moves_the_data_not_the_port),
        TEST(long_string_io_is_whole_and_its_trace_is_cut),
        TEST(mmio_of_odd_size_goes_byte_by_byte),
        TEST(mmio_read_of_8_bytes),
        TEST(unclaimed_reads_as_ones_and_has_no_name),
        TEST(who_claims_a_part_is_not_named),
        TEST(register_is_named_before_the_access_changes_it),
        TEST(each_ending_exit_ends_its_way),
        TEST(interrupted_runs_end_nothing),
        TEST(the_first_end_wins),
        TEST(the_last_exits_are_kept_oldest_first),
    };

    return cmocka_run_group_tests_name("exit", tests, NULL, NULL);
}
