/*
 * test_vm.c: the life of a VM with scripted vCPUs: threads, kicks, ends.
 */
#include "cpu_features.h"
#include "fake_kvm.h"
#include "report.h"
#include "vm.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int reset_fake(void **state)
{
    (void)state;
    memset(&fake_kvm, 0, sizeof fake_kvm);
    return 0;
}

static void make_vm(struct vm *vm, unsigned vcpus)
{
    struct error err;

    assert_int_equal(vm_create(vm, vcpus, NULL, &err), 0);
    assert_int_equal(vm_create_vcpus(vm, &err), 0);
    assert_int_equal(vm_finish_vcpus(vm, &(struct cpu_features){0}, &err), 0);
    assert_int_equal(fake_kvm.cpuids, vcpus);
    fake_kvm.cpuids = 0;
}

static void destroy_vm(struct vm *vm)
{
    vm_stop(vm);
    vm_destroy(vm);
    assert_int_equal(fake_kvm.live_vms, 0);
    assert_int_equal(fake_kvm.live_vcpus, 0);
}

static void stop_ends_vcpus_that_run_for_ever(void **state)
{
    struct vm vm;

    (void)state;
    make_vm(&vm, 4);
    vm_run(&vm);
    usleep(2000);
    vm_stop(&vm);
    for (unsigned i = 0; i < 4; i++)
        assert_false(vm.vcpu[i].started);
    destroy_vm(&vm);
}

static void stop_works_at_any_moment_after_start(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct vm vm;

        make_vm(&vm, 2);
        vm_run(&vm);
        usleep(i % 20 * 10);
        vm_stop(&vm);
        destroy_vm(&vm);
    }
}

static void kick_in_the_gap(void *opaque, unsigned vcpu)
{
    struct vm *vm = opaque;

    /* The worst moment: the flag has been looked at, KVM_RUN not entered. A signal alone would be
     * lost here. */
    atomic_store(&vm->stopping, true);
    vcpu_kick(&vm->vcpu[vcpu]);
}

static void a_kick_between_look_and_run_is_not_lost(void **state)
{
    struct vm vm;

    (void)state;
    make_vm(&vm, 1);
    fake_kvm.before_wait = kick_in_the_gap;
    fake_kvm.opaque = &vm;
    vm_run(&vm);
    alarm(10);
    pthread_join(vm.vcpu[0].thread, NULL);
    alarm(0);
    vm.vcpu[0].started = false;
    destroy_vm(&vm);
}

static void a_kick_without_a_stop_goes_on(void **state)
{
    struct vm vm;

    (void)state;
    make_vm(&vm, 1);
    vm_run(&vm);
    for (unsigned i = 0; i < 20; i++) {
        vcpu_kick(&vm.vcpu[0]);
        usleep(500);
    }
    vm_stop(&vm);
    assert_true(vm.vcpu[0].exits > 1);
    assert_int_equal(vm.end.kind, VM_END_NONE);
    destroy_vm(&vm);
}

static void stop_works_while_vcpus_are_created(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct vm vm;
        struct error err;

        assert_int_equal(vm_create(&vm, FAKE_VCPUS, NULL, &err), 0);
        assert_int_equal(vm_create_vcpus(&vm, &err), 0);
        destroy_vm(&vm);
    }
}

static void kicks_arrive_though_the_parent_blocked_the_signal(void **state)
{
    struct vm vm;
    sigset_t kick, before, after;

    (void)state;
    sigemptyset(&kick);
    sigaddset(&kick, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &kick, &before);
    make_vm(&vm, 1);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    destroy_vm(&vm);
    assert_false(sigismember(&after, SIGRTMIN));
}

static void the_dying_vcpu_ends_the_vm(void **state)
{
    struct vm vm;
    struct vm_exit death = {.kind = VM_EXIT_SHUTDOWN, .raw_name = "KVM_EXIT_SHUTDOWN"};

    (void)state;
    make_vm(&vm, 2);
    fake_kvm.script[1] = (struct fake_vcpu_script){.exit = &death, .count = 1};
    vm_run(&vm);
    pthread_join(vm.vcpu[1].thread, NULL);
    vm.vcpu[1].started = false;
    vm_stop(&vm);
    assert_int_equal(vm.end.kind, VM_END_CRASH);
    assert_int_equal(vm.end.vcpu, 1);
    destroy_vm(&vm);
}

static void a_failing_run_is_said(void **state)
{
    struct vm vm;

    (void)state;
    make_vm(&vm, 1);
    fake_kvm.script[0].run_error = -EFAULT;
    vm_run(&vm);
    pthread_join(vm.vcpu[0].thread, NULL);
    vm.vcpu[0].started = false;
    assert_int_equal(vm.end.kind, VM_END_RUN_ERROR);
    assert_int_equal(vm.end.value, EFAULT);
    destroy_vm(&vm);
}

static void failures_to_create_leave_nothing_behind(void **state)
{
    struct vm vm;
    struct error err;

    (void)state;
    fake_kvm.fail_create = true;
    assert_int_equal(vm_create(&vm, 1, NULL, &err), -1);
    assert_int_equal(err.status, STATUS_NO_KVM);
    destroy_vm(&vm);

    fake_kvm.fail_create = false;
    fake_kvm.fail_vcpu = 3;
    assert_int_equal(vm_create(&vm, 4, NULL, &err), 0);
    assert_int_equal(vm_create_vcpus(&vm, &err), 0);
    assert_int_equal(vm_finish_vcpus(&vm, &(struct cpu_features){0}, &err), -1);
    assert_string_equal(err.text, "fake: no vCPU 2");
    assert_true(fake_kvm.live_vcpus < 4);
    destroy_vm(&vm);

    fake_kvm.fail_vcpu = 0;
    fake_kvm.fail_cpuid = true;
    assert_int_equal(vm_create(&vm, 4, NULL, &err), 0);
    assert_int_equal(vm_create_vcpus(&vm, &err), 0);
    assert_int_equal(vm_finish_vcpus(&vm, &(struct cpu_features){0}, &err), -1);
    assert_string_equal(err.text, "fake: no CPUID");
    destroy_vm(&vm);
}

static void a_vm_that_never_ran_can_be_stopped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct vm vm;
        struct error err;

        assert_int_equal(vm_create(&vm, 4, NULL, &err), 0);
        assert_int_equal(vm_create_vcpus(&vm, &err), 0);
        if (i % 2)
            assert_int_equal(vm_finish_vcpus(&vm, &(struct cpu_features){0}, &err), 0);
        destroy_vm(&vm);
    }
}

static void a_map_is_refused_with_a_reason(void **state)
{
    static uint8_t page[8192] __attribute__((aligned(4096)));
    struct vm vm;
    struct error err;

    (void)state;
    make_vm(&vm, 1);
    assert_int_equal(vm_map(&vm, 0, sizeof page, page, false, &err), 0);
    assert_ptr_equal(mem_ptr(&vm.mem, 4096, 4096), page + 4096);
    assert_int_equal(vm_map(&vm, 4096, 4096, page, false, &err), -1);
    assert_non_null(strstr(err.text, "0x1000"));
    fake_kvm.fail_map = -ENOMEM;
    assert_int_equal(vm_map(&vm, 0x10000, 4096, page, false, &err), -1);
    assert_non_null(strstr(err.text, strerror(ENOMEM)));
    destroy_vm(&vm);
}

static void each_end_has_its_status(void **state)
{
    static const struct {
        struct vm_end end;
        int status;
        const char *said;
    } table[] = {
        {{.kind = VM_END_POWEROFF}, 0, NULL},
        {{.kind = VM_END_RESET}, 0, NULL},
        {{.kind = VM_END_DEBUG_EXIT, .value = 0}, 1, NULL},
        {{.kind = VM_END_DEBUG_EXIT, .value = 0x31}, 0x63, NULL},
        {{.kind = VM_END_DEBUG_EXIT, .value = 0xffffffff}, 0xff, NULL},
        {{.kind = VM_END_CRASH, .exit.kind = VM_EXIT_SHUTDOWN}, 72, "vCPU 0"},
        {{.kind = VM_END_KVM_FAIL, .exit.kind = VM_EXIT_FAIL_ENTRY}, 74, "vCPU 0"},
        {{.kind = VM_END_TIMEOUT}, 124, "vCPU 0 was running"},
        {{.kind = VM_END_SIGNAL, .value = 15}, 76, NULL},
        {{.kind = VM_END_QUIT}, 76, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct vm vm;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        make_vm(&vm, 1);
        vm_end(&vm, &table[i].end);
        assert_int_equal(report_end(&vm, -1, out), table[i].status);
        fclose(out);
        if (table[i].said)
            assert_non_null(strstr(text, table[i].said));
        else
            assert_string_equal(text, "");
        free(text);
        destroy_vm(&vm);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, reset_fake)
    const struct CMUnitTest tests[] = {
        TEST(stop_ends_vcpus_that_run_for_ever),
        TEST(stop_works_at_any_moment_after_start),
        TEST(a_kick_between_look_and_run_is_not_lost),
        TEST(a_kick_without_a_stop_goes_on),
        TEST(stop_works_while_vcpus_are_created),
        TEST(kicks_arrive_though_the_parent_blocked_the_signal),
        TEST(the_dying_vcpu_ends_the_vm),
        TEST(a_failing_run_is_said),
        TEST(failures_to_create_leave_nothing_behind),
        TEST(a_vm_that_never_ran_can_be_stopped),
        TEST(a_map_is_refused_with_a_reason),
        TEST(each_end_has_its_status),
    };

    return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
