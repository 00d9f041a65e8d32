/*
 * test_decode.c: struct kvm_run into struct vm_exit (vmm/kvm/decode.c), each reason as KVM leaves it.
 * The source is included, since unit tests link a fake in place of vmm/kvm/.
 */
#include "kvm/decode.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* What the kernel and userspace share: the structure, and behind it the data of port I/O. */
union shared {
    struct kvm_run run;
    uint8_t page[8192];
};

static struct vm_exit decode(union shared *shared)
{
    struct vm_exit exit;

    memset(&exit, 0xee, sizeof exit);
    kvm_decode_exit(&shared->run, &exit);
    assert_int_equal(exit.raw_reason, shared->run.exit_reason);
    assert_non_null(exit.raw_name);
    return exit;
}

static struct vm_exit decode_reason(uint32_t reason)
{
    union shared shared = {.run.exit_reason = reason};

    return decode(&shared);
}

static void port_io(void **state)
{
    union shared shared = {.run = {.exit_reason = KVM_EXIT_IO,
                                   .io = {.direction = KVM_EXIT_IO_OUT,
                                          .size = 2,
                                          .port = 0x3f8,
                                          .count = 7,
                                          .data_offset = 4096}}};
    struct vm_exit exit = decode(&shared);

    (void)state;
    assert_int_equal(exit.kind, VM_EXIT_PIO);
    assert_int_equal(exit.addr, 0x3f8);
    assert_int_equal(exit.size, 2);
    assert_int_equal(exit.count, 7);
    assert_true(exit.write);
    assert_ptr_equal(exit.data, shared.page + 4096);
    assert_string_equal(exit.raw_name, "KVM_EXIT_IO");

    shared.run.io.direction = KVM_EXIT_IO_IN;
    assert_false(decode(&shared).write);
}

static void mmio(void **state)
{
    union shared shared = {
        .run = {.exit_reason = KVM_EXIT_MMIO,
                .mmio = {.phys_addr = 0x1234567890, .len = 3, .is_write = 1, .data = {1, 2, 3}}}};
    struct vm_exit exit = decode(&shared);

    (void)state;
    assert_int_equal(exit.kind, VM_EXIT_MMIO);
    assert_int_equal(exit.addr, 0x1234567890);
    assert_int_equal(exit.size, 3);
    assert_int_equal(exit.count, 1);
    assert_true(exit.write);
    assert_ptr_equal(exit.data, shared.run.mmio.data);
}

static void reasons_without_data(void **state)
{
    (void)state;
    assert_int_equal(decode_reason(KVM_EXIT_HLT).kind, VM_EXIT_HLT);
    assert_int_equal(decode_reason(KVM_EXIT_SHUTDOWN).kind, VM_EXIT_SHUTDOWN);
    assert_int_equal(decode_reason(KVM_EXIT_INTR).kind, VM_EXIT_INTR);
    assert_int_equal(decode_reason(KVM_EXIT_SET_TPR).kind, VM_EXIT_AGAIN);
}

static void system_events(void **state)
{
    static const struct {
        uint32_t type;
        enum system_event event;
        const char *name;
    } table[] = {
        {KVM_SYSTEM_EVENT_SHUTDOWN, SYSTEM_EVENT_SHUTDOWN, "shutdown"},
        {KVM_SYSTEM_EVENT_RESET, SYSTEM_EVENT_RESET, "reset"},
        {KVM_SYSTEM_EVENT_CRASH, SYSTEM_EVENT_CRASH, "crash"},
    };
    union shared shared = {.run.exit_reason = KVM_EXIT_SYSTEM_EVENT};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        shared.run.system_event.type = table[i].type;

        struct vm_exit exit = decode(&shared);

        assert_int_equal(exit.kind, VM_EXIT_SYSTEM_EVENT);
        assert_int_equal(exit.event, table[i].event);
        assert_int_equal(exit.detail, table[i].type);
        assert_string_equal(exit.detail_name, table[i].name);
    }
    shared.run.system_event.type = 1000;
    assert_int_equal(decode(&shared).event, SYSTEM_EVENT_OTHER);
    assert_null(decode(&shared).detail_name);
}

static void internal_errors(void **state)
{
    static const char *const name[] = {NULL,
                                       "emulation failure",
                                       "simultaneous exceptions",
                                       "error while delivering an event",
                                       "unexpected exit reason",
                                       NULL};
    union shared shared = {.run.exit_reason = KVM_EXIT_INTERNAL_ERROR};

    (void)state;
    for (uint32_t i = 0; i < sizeof name / sizeof *name; i++) {
        shared.run.internal.suberror = i;

        struct vm_exit exit = decode(&shared);

        assert_int_equal(exit.kind, VM_EXIT_INTERNAL_ERROR);
        assert_int_equal(exit.detail, i);
        assert_int_equal(exit.insn_len, 0);
        if (name[i])
            assert_string_equal(exit.detail_name, name[i]);
        else
            assert_null(exit.detail_name);
    }
}

static void data_of_an_internal_error_is_bounded(void **state)
{
    union shared shared = {.run = {.exit_reason = KVM_EXIT_INTERNAL_ERROR,
                                   .internal = {.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV,
                                                .ndata = 3,
                                                .data = {10, 11, 12, 13}}}};
    struct vm_exit exit = decode(&shared);

    (void)state;
    assert_int_equal(exit.info_count, 3);
    assert_int_equal(exit.info[2], 12);
    shared.run.internal.ndata = UINT32_MAX;
    assert_int_equal(decode(&shared).info_count, sizeof exit.info / sizeof *exit.info);
}

static void an_emulation_failure_brings_its_instruction(void **state)
{
    union shared shared = {
        .run = {.exit_reason = KVM_EXIT_INTERNAL_ERROR,
                .emulation_failure = {.suberror = KVM_INTERNAL_ERROR_EMULATION,
                                      .ndata = 3,
                                      .flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
                                      .insn_size = 2,
                                      .insn_bytes = {0xcd, 0x80, 0x99}}}};
    struct vm_exit exit = decode(&shared);

    (void)state;
    assert_int_equal(exit.insn_len, 2);
    assert_memory_equal(exit.insn, ((uint8_t[]){0xcd, 0x80, 0}), 3);

    shared.run.emulation_failure.insn_size = 255; /* longer than an instruction can be */
    assert_int_equal(decode(&shared).insn_len, 15);
    shared.run.emulation_failure.flags = 0;
    assert_int_equal(decode(&shared).insn_len, 0);
    shared.run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
    shared.run.emulation_failure.ndata = 1; /* an older KVM, which tells no bytes */
    assert_int_equal(decode(&shared).insn_len, 0);
}

static void failed_entry_debug_and_unknown(void **state)
{
    union shared shared = {.run = {.exit_reason = KVM_EXIT_FAIL_ENTRY,
                                   .fail_entry = {.hardware_entry_failure_reason = 0x80000021}}};
    struct vm_exit exit = decode(&shared);

    (void)state;
    assert_int_equal(exit.kind, VM_EXIT_FAIL_ENTRY);
    assert_int_equal(exit.detail, 0x80000021);

    shared = (union shared){
        .run = {.exit_reason = KVM_EXIT_DEBUG,
                .debug.arch = {.exception = 1, .pc = 0x1000, .dr6 = 0x4000, .dr7 = 0x400}}};
    exit = decode(&shared);
    assert_int_equal(exit.kind, VM_EXIT_DEBUG);
    assert_string_equal(exit.detail_name, "#DB");
    assert_int_equal(exit.info_count, 3);
    assert_int_equal(exit.info[0], 0x1000);
    assert_int_equal(exit.info[2], 0x400);
    shared.run.debug.arch.exception = 3;
    assert_string_equal(decode(&shared).detail_name, "#BP");

    shared =
        (union shared){.run = {.exit_reason = KVM_EXIT_UNKNOWN, .hw.hardware_exit_reason = 0x1234}};
    exit = decode(&shared);
    assert_int_equal(exit.kind, VM_EXIT_OTHER);
    assert_int_equal(exit.detail, 0x1234);
    assert_string_equal(exit.detail_name, "hardware exit reason");
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    for (uint32_t reason = 0; reason <= 40; reason++)
        assert_memory_equal(decode_reason(reason).raw_name, "KVM_EXIT_", 9);
    assert_int_equal(decode_reason(KVM_EXIT_HYPERCALL).kind, VM_EXIT_OTHER);
    assert_string_equal(decode_reason(KVM_EXIT_HYPERCALL).raw_name, "KVM_EXIT_HYPERCALL");
    assert_string_equal(decode_reason(UINT32_MAX).raw_name, "an exit reason newer than kvmlens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_io),
        cmocka_unit_test(mmio),
        cmocka_unit_test(reasons_without_data),
        cmocka_unit_test(system_events),
        cmocka_unit_test(internal_errors),
        cmocka_unit_test(data_of_an_internal_error_is_bounded),
        cmocka_unit_test(an_emulation_failure_brings_its_instruction),
        cmocka_unit_test(failed_entry_debug_and_unknown),
        cmocka_unit_test(every_reason_has_a_name),
    };

    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
