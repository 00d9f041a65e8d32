/*
 * test_narrate.c: what -trace setup says of each ioctl (vmm/kvm/narrate.c), with ioctl(2) scripted.
 * The source is included, since unit tests link a fake in place of vmm/kvm/.
 */
#include <errno.h>
#include <sys/ioctl.h>

static int scripted_ioctl(int fd, unsigned long request, ...);

#define ioctl scripted_ioctl
#include "kvm/narrate.c"
#undef ioctl

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int result, error;

static int scripted_ioctl(int fd, unsigned long request, ...)
{
    (void)request;
    assert_int_equal(fd, 5);
    errno = error;
    return result;
}

const char *kvm_capability(int number, const char **purpose)
{
    *purpose = "interrupts";
    return number == KVM_CAP_IRQCHIP ? "KVM_CAP_IRQCHIP" : NULL;
}

static struct kvm_call heard;
static char heard_text[512];

static void hear(void *opaque, const struct kvm_call *call)
{
    assert_ptr_equal(opaque, heard_text);
    heard = *call;
    snprintf(heard_text, sizeof(heard_text), "%s", call->text);
    errno = 0; /* whoever listens may spoil it */
}

static const struct kvm_listener listener = {.called = hear, .opaque = heard_text};

#define assert_told(request, arg, answer, words)                                                   \
    do {                                                                                           \
        result = answer;                                                                           \
        assert_int_equal(kvm_ioctl_told(&listener, 5, request, #request, (unsigned long)(arg)),    \
                         answer);                                                                  \
        assert_string_equal(heard.name, #request);                                                 \
        assert_string_equal(heard_text, words);                                                    \
    } while (0)

static void arguments_have_names(void **state)
{
    (void)state;
    struct kvm_userspace_memory_region region = {.slot = 1,
                                                 .flags = KVM_MEM_READONLY,
                                                 .guest_phys_addr = 0xffff0000,
                                                 .memory_size = 0x10000,
                                                 .userspace_addr = 0x7f0000000000};
    struct kvm_irq_level irq = {.irq = 4, .level = 1};
    struct kvm_ioeventfd notify = {.addr = 0xfeb00050, .len = 4, .datamatch = 1, .fd = 9};
    struct kvm_irqfd irqfd = {.fd = 8, .gsi = 12};
    struct kvm_regs regs = {.rip = 0x100000, .rsp = 1, .rbx = 2, .rflags = 3};
    struct kvm_sregs sregs = {.cr0 = 1, .cr3 = 2, .cr4 = 3, .efer = 4, .cs.selector = 8};
    struct kvm_mp_state mp = {.mp_state = 3};
    struct kvm_cpuid2 cpuid = {.nent = 75};
    struct kvm_pit_config pit = {.flags = 1};
    uint64_t gpa = 0xfeffc000;

    assert_told(KVM_GET_API_VERSION, 0, 12, "fd 5: = 12");
    assert_told(KVM_CREATE_VM, 0, 7, "fd 5: type 0 = fd 7");
    assert_told(KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP, 1, "fd 5: KVM_CAP_IRQCHIP = 1");
    assert_string_equal(heard.why, "interrupts");
    assert_told(KVM_SET_USER_MEMORY_REGION, &region, 0,
                "fd 5: slot 1, gpa 0xffff0000, size 0x10000, host 0x7f0000000000, "
                "KVM_MEM_READONLY = 0");
    assert_told(KVM_SET_IDENTITY_MAP_ADDR, &gpa, 0, "fd 5: gpa 0xfeffc000 = 0");
    assert_told(KVM_SET_TSS_ADDR, 0xfeffd000, 0, "fd 5: gpa 0xfeffd000 = 0");
    assert_told(KVM_CREATE_PIT2, &pit, 0, "fd 5: flags 0x1 = 0");
    assert_told(KVM_IRQ_LINE, &irq, 0, "fd 5: gsi 4, level 1 = 0");
    assert_int_equal(heard.vcpu, VCPU_NONE);
    assert_told(KVM_IOEVENTFD, &notify, 0, "fd 5: gpa 0xfeb00050, len 4, value 1, eventfd 9 = 0");
    assert_told(KVM_IRQFD, &irqfd, 0, "fd 5: gsi 12, eventfd 8 = 0");
    assert_told(KVM_CREATE_VCPU, 2, 9, "fd 5: id 2 = fd 9");
    assert_int_equal(heard.vcpu, 2);
    assert_told(KVM_SET_CPUID2, &cpuid, 0, "fd 5: 75 entries = 0");
    assert_told(KVM_SET_REGS, &regs, 0, "fd 5: rip 0x100000, rsp 0x1, rbx 0x2, rflags 0x3 = 0");
    assert_told(KVM_SET_SREGS, &sregs, 0,
                "fd 5: cr0 0x1, cr3 0x2, cr4 0x3, efer 0x4, cs 0x8 base 0x0 = 0");
    assert_told(KVM_GET_MP_STATE, &mp, 0, "fd 5: mp_state 3 = 0");
    assert_told(KVM_GET_STATS_FD, 0, 6, "fd 5: = fd 6");
}

static void failures_keep_their_errno(void **state)
{
    (void)state;
    error = EEXIST;
    assert_told(KVM_CREATE_IRQCHIP, 0, -1, "fd 5: = -1, File exists");
    assert_int_equal(errno, EEXIST);
    error = 0;
}

static void nobody_listens(void **state)
{
    (void)state;
    heard = (struct kvm_call){0};
    /* The source's ioctl() is scripted, and called with what it was given. */
    result = 3;
    assert_int_equal(kvm_ioctl(NULL, 5, KVM_GET_API_VERSION, 0), 3);
    assert_null(heard.name);
}

static bool has_reason(const char *name)
{
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (strcmp(reasons[i].name, name) == 0)
            return reasons[i].why[0] != '\0';
    return false;
}

static bool called[COUNT(reasons)];

/* Looks at each ioctl of a source; returns how many there are. */
static unsigned check_source(const char *path)
{
    static char text[64 * 1024];
    FILE *file = fopen(path, "re");
    unsigned count = 0;

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, "ioctl(")); at++) {
        char name[64];
        const char *end = strchr(at, ';'), *request = strstr(at, "KVM_");

        if (!end || !request || request > end || sscanf(request, "%63[A-Z0-9_]", name) != 1 ||
            strcmp(name, "KVM_RUN") == 0)
            continue;
        count++;
        if (!has_reason(name))
            fail_msg("%s makes %s, and narrate.c does not say why", path, name);
        for (size_t i = 0; i < COUNT(reasons); i++)
            called[i] |= strcmp(reasons[i].name, name) == 0;
    }
    return count;
}

static void each_ioctl_has_a_reason(void **state)
{
    (void)state;
    unsigned count = 0;
    glob_t found;

    assert_int_equal(glob("vmm/kvm/*.c", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        count += check_source(found.gl_pathv[i]);
    globfree(&found);
    assert_true(count > COUNT(reasons));
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (!called[i])
            fail_msg("nobody makes %s any more", reasons[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_have_names),
        cmocka_unit_test(failures_keep_their_errno),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(each_ioctl_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
