/*
 * test_kvm_run.c: what KVM_RUN's failures mean (vmm/kvm/vcpu.c), with ioctl(2) scripted.
 * The source is included, since unit tests link a fake in place of vmm/kvm/.
 */
#include <errno.h>
#include <sys/ioctl.h>

static int scripted_ioctl(int fd, unsigned long request, ...);

#define ioctl scripted_ioctl
#include "kvm/vcpu.c"
#undef ioctl

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The answers to one call of kvm_vcpu_run(). */
struct answer {
    int error; /* of KVM_RUN; 0: it left with KVM_EXIT_HLT */
    uint32_t mp_state;
};

static const struct answer *answer;

static int scripted_ioctl(int fd, unsigned long request, ...)
{
    va_list args;

    (void)fd;
    va_start(args, request);
    if (request == KVM_GET_MP_STATE)
        va_arg(args, struct kvm_mp_state *)->mp_state = answer->mp_state;
    else
        assert_int_equal(request, KVM_RUN);
    va_end(args);
    errno = answer->error;
    return request == KVM_RUN && answer->error ? -1 : 0;
}

void kvm_decode_exit(struct kvm_run *run, struct vm_exit *exit)
{
    *exit = (struct vm_exit){.kind = VM_EXIT_HLT, .raw_reason = run->exit_reason};
}

int kvm_cpuid_set(const struct kvm_cpuid_table *table, const struct kvm_listener *listener,
                  int vcpu_fd, unsigned index, unsigned count, const struct cpu_features *features,
                  struct error *err)
{
    (void)table, (void)listener, (void)vcpu_fd, (void)index, (void)count, (void)features;
    return error_set(err, STATUS_INTERNAL, "no CPUID here");
}

int kvm_ioctl_told(const struct kvm_listener *listener, int fd, unsigned long request,
                   const char *name, unsigned long arg)
{
    (void)listener, (void)fd, (void)request, (void)name, (void)arg;
    fail();
    return -1;
}

enum status kvm_blame(int error)
{
    (void)error;
    return STATUS_NO_KVM;
}

/* Plays ANSWERS: each but the last is a normal exit; returns what the last one gave. */
static int play(const struct answer *answers, unsigned count)
{
    struct kvm_run run = {.s.regs.regs.rip = 0x1234};
    struct kvm_vm vm = {.sync_regs = true};
    struct kvm_vcpu vcpu = {.vm = &vm, .run = &run};
    int r = 0;

    for (unsigned i = 0; i < count; i++) {
        struct vm_exit exit;

        assert_int_equal(r, 0);
        answer = &answers[i];
        r = kvm_vcpu_run(&vcpu, &exit);
        if (r < 0)
            continue;
        assert_int_equal(exit.rip, 0x1234);
        assert_int_equal(exit.kind, answer->error == 0       ? VM_EXIT_HLT
                                    : answer->error == EINTR ? VM_EXIT_INTR
                                                             : VM_EXIT_AGAIN);
    }
    return r;
}

#define PLAY(...)                                                                                  \
    play((const struct answer[]){__VA_ARGS__},                                                     \
         sizeof((const struct answer[]){__VA_ARGS__}) / sizeof(struct answer))

#define WAITS KVM_MP_STATE_UNINITIALIZED
#define RUNS  KVM_MP_STATE_RUNNABLE

static void interruptions_and_waits_are_normal(void **state)
{
    (void)state;
    assert_int_equal(PLAY({0, RUNS}, {EINTR, RUNS}, {EINTR, RUNS}, {0, RUNS}), 0);
    assert_int_equal(PLAY({EAGAIN, WAITS}, {EAGAIN, KVM_MP_STATE_INIT_RECEIVED}, {EAGAIN, WAITS},
                          {EAGAIN, RUNS}, {0, RUNS}),
                     0);
}

static void a_processor_may_be_sent_back_to_wait(void **state)
{
    (void)state;
    assert_int_equal(PLAY({EAGAIN, RUNS}, {0, RUNS}, {EAGAIN, RUNS}, {EINTR, RUNS}, {EAGAIN, RUNS},
                          {EAGAIN, WAITS}, {EAGAIN, RUNS}),
                     0);
}

static void a_processor_that_waits_for_nothing_must_run(void **state)
{
    (void)state;
    assert_int_equal(PLAY({EAGAIN, RUNS}, {EAGAIN, RUNS}), -EAGAIN);
    assert_int_equal(PLAY({0, RUNS}, {EAGAIN, RUNS}, {EAGAIN, KVM_MP_STATE_HALTED}, {EAGAIN, RUNS},
                          {EAGAIN, RUNS}),
                     -EAGAIN);
}

static void other_failures_are_failures(void **state)
{
    (void)state;
    assert_int_equal(PLAY({EFAULT, RUNS}), -EFAULT);
    assert_int_equal(PLAY({0, RUNS}, {ENOMEM, RUNS}), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_and_waits_are_normal),
        cmocka_unit_test(a_processor_may_be_sent_back_to_wait),
        cmocka_unit_test(a_processor_that_waits_for_nothing_must_run),
        cmocka_unit_test(other_failures_are_failures),
    };

    return cmocka_run_group_tests_name("kvm_run", tests, NULL, NULL);
}
