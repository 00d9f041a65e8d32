/*
 * test_doctor.c: what `kvmlens check` says of invented hosts.
 */
#include "doctor.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_SUCH_GROUP 0x7ffffff0

/* In place of the one that opens /dev/kvm. */
static struct kvm_probe next_probe;

void kvm_probe(struct kvm_probe *probe)
{
    *probe = next_probe;
}

/* A host where all is well. */
static struct kvm_probe healthy(void)
{
    return (struct kvm_probe){
        .path = "/dev/kvm",
        .char_device = true,
        .mode = 0660,
        .cpu_vmx = true,
        .module_loaded = true,
        .backend = KVM_BACKEND_VMX,
        .api_version = 12,
        .capability = {{"KVM_CAP_NEEDED", "a need", true, true},
                       {"KVM_CAP_NICE", "a comfort", false, true}},
        .capability_count = 2,
        .max_vcpus = 710,
        .max_memslots = 509,
        .run_step = "running guest code",
        .exits = 2000,
        .exit_ns = 1234,
        .insn_per_s = UINT64_C(3456000000),
    };
}

static const char *report(const struct kvm_probe *probe, bool colour, enum status expected)
{
    static char text[8192];
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    assert_int_equal(doctor_report(out, colour, probe), expected);
    fclose(out);
    return text;
}

/* The report has each of the WORDS (which a '|' separates) and this outcome. */
static void assert_says(const struct kvm_probe *probe, enum status expected, const char *words)
{
    const char *text = report(probe, false, expected);
    char copy[256], *rest = copy;

    snprintf(copy, sizeof(copy), "%s", words);
    for (const char *word; (word = strsep(&rest, "|"));)
        if (!strstr(text, word))
            fail_msg("\"%s\" is not in:\n%s", word, text);
    assert_non_null(strstr(text, expected == STATUS_POWEROFF ? "\nYes: " : "\nNo: "));
    assert_int_equal(strstr(text, "  BAD ") != NULL, expected != STATUS_POWEROFF);
    assert_null(strchr(text, '\033'));
}

static void a_healthy_host(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    assert_says(&p, STATUS_POWEROFF,
                "/dev/kvm is there|mode 0660|API version 12|2 of the 2|KVM_CAP_NEEDED|needed|a "
                "need|KVM_CAP_NICE|optional|710 vCPUs|509 memory slots|vmx (Intel VT-x)|1.23 "
                "microseconds (median of 2000)|3.5 billion");
    p.backend = KVM_BACKEND_SVM;
    assert_says(&p, STATUS_POWEROFF, "svm (AMD-V)");
    p.backend = KVM_BACKEND_UNKNOWN;
    assert_says(&p, STATUS_POWEROFF, "neither vmx, svm nor software");
}

/* What the processor says of itself does not matter where /dev/kvm works. */
static void a_software_backend(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    p.cpu_vmx = false;
    p.in_vm = true;
    p.backend = KVM_BACKEND_SOFTWARE;
    p.insn_per_s = 2500000;
    assert_says(&p, STATUS_POWEROFF,
                "backend: software|emulated|status 74|int3|cmpxchg16b|vmcall|with-kvm --nested|"
                "2.5 million");
}

static void no_device(void **state)
{
    (void)state;
    struct kvm_probe p = {
        .path = "/dev/kvm", .stat_errno = ENOENT, .open_errno = ENOENT, .api_version = -1};

    assert_says(&p, STATUS_NO_KVM, "/dev/kvm: No such file|firmware");
    p.in_vm = true;
    assert_says(&p, STATUS_NO_KVM, "virtual machine|nested");
    p.cpu_svm = true;
    assert_says(&p, STATUS_NO_KVM, "AMD-V|sudo modprobe kvm_amd");
    p.cpu_svm = false;
    p.cpu_vmx = true;
    assert_says(&p, STATUS_NO_KVM, "VT-x|sudo modprobe kvm_intel");
    p.module_loaded = true;
    assert_says(&p, STATUS_NO_KVM, "The kernel has KVM|udevadm");
    p.in_container = true;
    assert_says(&p, STATUS_NO_KVM, "The kernel has KVM|--device /dev/kvm");
    p.path = "/elsewhere";
    assert_says(&p, STATUS_NO_KVM, "/elsewhere: No such file|KVMLENS_DEV_KVM");
}

static void no_access(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();
    const struct group *named = NULL;
    char words[128];

    /* Any group with a name that is not root's. */
    setgrent();
    while ((named = getgrent()) && named->gr_gid == 0)
        continue;
    assert_non_null(named);
    p.gid = named->gr_gid;
    p.open_errno = EACCES;
    snprintf(words, sizeof(words), "Permission denied|sudo usermod -aG %s $USER|newgrp %s",
             named->gr_name, named->gr_name);
    endgrent();
    assert_says(&p, STATUS_NO_KVM, words);

    p.gid = NO_SUCH_GROUP;
    assert_says(&p, STATUS_NO_KVM, "--group-add 2147483632");
    p.mode = 0600;
    assert_says(&p, STATUS_NO_KVM,
                "mode 0600|No group may|sudo setfacl -m u:$USER:rw /dev/kvm|KERNEL==\"kvm\"|udev");
    p.gid = 0; /* nobody should join root's group */
    p.mode = 0660;
    assert_says(&p, STATUS_NO_KVM, "No group may|KERNEL==\"kvm\"");
}

static void other_ways_not_to_open(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    p.open_errno = EPERM;
    assert_says(&p, STATUS_NO_KVM, "Operation not permitted|--device /dev/kvm");
    p.open_errno = ENXIO;
    p.module_loaded = false;
    assert_says(&p, STATUS_NO_KVM, "No such device|modprobe kvm_intel");
    p.open_errno = ENODEV;
    assert_says(&p, STATUS_NO_KVM, "No such device|modprobe");
    p.open_errno = EMFILE;
    assert_says(&p, STATUS_NO_KVM, "Too many open files");
    p.char_device = false;
    assert_says(&p, STATUS_NO_KVM, "/dev/kvm is no character device");
    p.stat_errno = EACCES;
    assert_says(&p, STATUS_NO_KVM, "/dev/kvm: Permission denied");
}

static void not_this_kvm(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    p.api_version = -1;
    assert_says(&p, STATUS_NO_KVM, "/dev/kvm is not KVM");
    p.api_version = 11;
    assert_says(&p, STATUS_NO_KVM, "version 11, expected 12");
}

static void lacking_capabilities(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    p.capability[1].present = false;
    assert_says(&p, STATUS_POWEROFF, "1 of the 2|note|it lacks KVM_CAP_NICE: a comfort");
    p.capability[0].present = false;
    assert_says(&p, STATUS_NO_KVM, "0 of the 2|it lacks KVM_CAP_NEEDED: a need; a newer kernel");
}

static void a_guest_that_does_not_run(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    p.run_step = "KVM_CREATE_VM";
    p.run_errno = EBUSY;
    assert_says(&p, STATUS_NO_KVM, "KVM_CREATE_VM: Device or resource busy|VirtualBox");
    p.run_step = "KVM_RUN";
    p.run_errno = ETIMEDOUT;
    assert_says(&p, STATUS_NO_KVM, "KVM_RUN: it does not come back");
    p.run_step = "running guest code";
    p.run_errno = EIO;
    assert_says(&p, STATUS_NO_KVM, "running guest code: |another reason");
}

static void colour_on_a_terminal(void **state)
{
    (void)state;
    struct kvm_probe p = healthy();

    assert_non_null(strstr(report(&p, true, STATUS_POWEROFF), "\033[32mok"));
    p.api_version = 1;
    assert_non_null(strstr(report(&p, true, STATUS_NO_KVM), "\033[31mBAD"));
}

static void the_whole_command(void **state)
{
    (void)state;
    int saved = dup(STDOUT_FILENO);

    fflush(stdout);
    assert_non_null(freopen("/dev/null", "w", stdout));
    next_probe = healthy();

    enum status well = doctor_run();

    next_probe.open_errno = EACCES;

    enum status ill = doctor_run();

    assert_non_null(freopen("/dev/full", "w", stdout));

    enum status unwritten = doctor_run();

    clearerr(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(well, STATUS_POWEROFF);
    assert_int_equal(ill, STATUS_NO_KVM);
    assert_int_equal(unwritten, STATUS_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_host),
        cmocka_unit_test(a_software_backend),
        cmocka_unit_test(no_device),
        cmocka_unit_test(no_access),
        cmocka_unit_test(other_ways_not_to_open),
        cmocka_unit_test(not_this_kvm),
        cmocka_unit_test(lacking_capabilities),
        cmocka_unit_test(a_guest_that_does_not_run),
        cmocka_unit_test(colour_on_a_terminal),
        cmocka_unit_test(the_whole_command),
    };

    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
