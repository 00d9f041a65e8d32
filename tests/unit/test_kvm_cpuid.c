/*
 * test_kvm_cpuid.c: who is to blame when CPUID cannot be read or set (vmm/kvm/cpuid.c), with ioctl(2)
 * and calloc(3) scripted. The source is included, since unit tests link a fake in place of vmm/kvm/.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static int scripted_ioctl(int fd, unsigned long request, ...);
static void *scripted_calloc(size_t count, size_t size);

#define ioctl  scripted_ioctl
#define calloc scripted_calloc
#include "kvm/cpuid.c"
#undef ioctl
#undef calloc

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int ioctl_error;       /* 0: it succeeds */
static unsigned calloc_fails; /* the call with this number, from 1 */

static int scripted_ioctl(int fd, unsigned long request, ...)
{
    (void)fd, (void)request;
    errno = ioctl_error;
    return ioctl_error ? -1 : 0;
}

static void *scripted_calloc(size_t count, size_t size)
{
    if (calloc_fails > 0 && --calloc_fails == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return calloc(count, size);
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
    return error == ENOMEM ? STATUS_INTERNAL : STATUS_NO_KVM;
}

static enum status read_status(int error, unsigned fails)
{
    struct kvm_cpuid_table *table = NULL;
    struct error err = {.status = STATUS_POWEROFF};

    ioctl_error = error;
    calloc_fails = fails;
    if (kvm_cpuid_read(&table, NULL, -1, true, &err) == 0)
        kvm_cpuid_free(table);
    return err.status;
}

static void reading_fails_for_want_of_memory_or_of_kvm(void **state)
{
    (void)state;
    assert_int_equal(read_status(0, 0), STATUS_POWEROFF);
    assert_int_equal(read_status(0, 1), STATUS_INTERNAL);
    assert_int_equal(read_status(0, 2), STATUS_INTERNAL);
    assert_int_equal(read_status(ENOMEM, 0), STATUS_INTERNAL);
    assert_int_equal(read_status(EINVAL, 0), STATUS_NO_KVM);
    assert_int_equal(read_status(E2BIG, 0), STATUS_NO_KVM);
}

static void setting_too(void **state)
{
    const struct kvm_cpuid_table table = {0};
    const struct cpu_features features = {0};
    struct error err;

    (void)state;
    ioctl_error = ENOMEM;
    assert_int_equal(kvm_cpuid_set(&table, NULL, -1, 0, 1, &features, &err), -1);
    assert_int_equal(err.status, STATUS_INTERNAL);
    ioctl_error = EINVAL;
    assert_int_equal(kvm_cpuid_set(&table, NULL, -1, 0, 1, &features, &err), -1);
    assert_int_equal(err.status, STATUS_NO_KVM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_fails_for_want_of_memory_or_of_kvm),
        cmocka_unit_test(setting_too),
    };

    return cmocka_run_group_tests_name("kvm_cpuid", tests, NULL, NULL);
}
