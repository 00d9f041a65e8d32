/*
 * doctor.c: `kvmlens check` (see doctor.h).  It asks /dev/kvm; what the processor says of itself
 * only helps to explain why /dev/kvm is not there.
 */
#include "doctor.h"

#include "log.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>

#define API_VERSION 12 /* the only one that KVM ever had since Linux 2.6.22 */

#define DEV_KVM "/dev/kvm"

enum mark { MARK_OK, MARK_BAD, MARK_NOTE, MARKS };

struct report {
    FILE *out;
    bool colour;
    bool bad; /* something keeps guests from running */
};

/* A line with a mark before it. */
static void __attribute__((format(printf, 3, 4)))
say(struct report *report, enum mark mark, const char *format, ...)
{
    static const char *const word[MARKS] = {"ok  ", "BAD ", "note"};
    static const char *const colour[MARKS] = {"\033[32m", "\033[31m", "\033[33m"};
    va_list args;

    report->bad = report->bad || mark == MARK_BAD;
    fprintf(report->out, "  %s%s%s  ", report->colour ? colour[mark] : "", word[mark],
            report->colour ? "\033[0m" : "");
    va_start(args, format);
    vfprintf(report->out, format, args);
    va_end(args);
    fputc('\n', report->out);
}

/* What to do, or what it means, under the line before. */
static void __attribute__((format(printf, 2, 3)))
hint(struct report *report, const char *format, ...)
{
    va_list args;

    fputs("        ", report->out);
    va_start(args, format);
    vfprintf(report->out, format, args);
    va_end(args);
    fputc('\n', report->out);
}

static void explain_absence(struct report *report, const struct kvm_probe *probe)
{
    if (probe->module_loaded) {
        hint(report, "The kernel has KVM, so its device was not handed on to here.");
        if (probe->in_container)
            hint(report, "In a container: docker run --device /dev/kvm (or podman run, the same).");
        else
            hint(report, "On a plain system, udev makes it: sudo udevadm trigger -c add /dev/kvm");
        return;
    }
    if (probe->cpu_vmx || probe->cpu_svm) {
        const char *module = probe->cpu_vmx ? "kvm_intel" : "kvm_amd";

        hint(report, "The processor can do it (%s); the kernel has not loaded its module:",
             probe->cpu_vmx ? "VT-x" : "AMD-V");
        hint(report, "sudo modprobe %s", module);
        hint(report, "If that fails with \"Operation not supported\", the firmware has it "
                     "switched off.");
        return;
    }
    if (probe->in_vm) {
        hint(report, "This is a virtual machine, and its host does not offer it nested");
        hint(report, "virtualisation: ask for it there (QEMU: -cpu host with KVM's nested=1; in a");
        hint(report, "cloud: a machine type that has it).");
        return;
    }
    hint(report, "The processor does not report VT-x or AMD-V: most often the firmware has it");
    hint(report, "switched off (\"Intel Virtualization Technology\", \"SVM mode\").");
}

static void explain_no_access(struct report *report, const struct kvm_probe *probe)
{
    bool group_may = (probe->mode & 0060) == 0060 && probe->gid != 0;
    const struct group *group = getgrgid(probe->gid);

    if (group_may && group) {
        hint(report, "Its group may: sudo usermod -aG %s $USER", group->gr_name);
        hint(report, "and then log in again (or, in this shell alone: newgrp %s).", group->gr_name);
        return;
    }
    if (group_may) {
        hint(report, "Group number %u may open it, which has no name here; in a container:",
             (unsigned)probe->gid);
        hint(report, "--group-add %u", (unsigned)probe->gid);
        return;
    }
    hint(report, "No group may open it. Until the next boot: sudo setfacl -m u:$USER:rw %s",
         probe->path);
    hint(report, "For good, the line KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0660\" in");
    hint(report, "/etc/udev/rules.d/65-kvm.rules, and sudo usermod -aG kvm $USER");
}

static bool report_device(struct report *report, const struct kvm_probe *probe)
{
    const struct group *group;

    if (probe->stat_errno) {
        say(report, MARK_BAD, "%s: %s", probe->path, strerror(probe->stat_errno));
        if (strcmp(probe->path, DEV_KVM) != 0)
            hint(report, "The environment's KVMLENS_DEV_KVM names it, in place of " DEV_KVM ".");
        else if (probe->stat_errno == ENOENT)
            explain_absence(report, probe);
        return false;
    }
    group = getgrgid(probe->gid);
    say(report, probe->char_device ? MARK_OK : MARK_BAD, "%s is %s (group %s, mode %04o)",
        probe->path, probe->char_device ? "there" : "no character device",
        group ? group->gr_name : "without a name", (unsigned)probe->mode);
    if (!probe->char_device)
        return false;
    switch (probe->open_errno) {
    case 0:
        say(report, MARK_OK, "it opens for reading and writing");
        return true;
    case EACCES:
        say(report, MARK_BAD, "you may not open it: %s", strerror(EACCES));
        explain_no_access(report, probe);
        return false;
    case EPERM:
        say(report, MARK_BAD, "it cannot be opened: %s", strerror(EPERM));
        hint(report, "A container's device rules forbid it: docker run --device /dev/kvm");
        return false;
    case ENODEV:
    case ENXIO:
        say(report, MARK_BAD, "nothing answers behind it: %s", strerror(probe->open_errno));
        explain_absence(report, probe);
        return false;
    default:
        say(report, MARK_BAD, "it cannot be opened: %s", strerror(probe->open_errno));
        return false;
    }
}

static void report_capabilities(struct report *report, const struct kvm_probe *probe)
{
    unsigned present = 0;

    for (unsigned i = 0; i < probe->capability_count; i++)
        present += probe->capability[i].present;
    say(report, MARK_OK, "it has %u of the %u capabilities that kvmlens uses:", present,
        probe->capability_count);
    for (unsigned i = 0; i < probe->capability_count; i++) {
        const struct probe_capability *cap = &probe->capability[i];

        if (cap->present)
            hint(report, "%-29s %-8s  %s", cap->name, cap->required ? "needed" : "optional",
                 cap->purpose);
    }
    for (unsigned i = 0; i < probe->capability_count; i++) {
        const struct probe_capability *cap = &probe->capability[i];

        if (!cap->present)
            say(report, cap->required ? MARK_BAD : MARK_NOTE, "it lacks %s: %s%s", cap->name,
                cap->purpose, cap->required ? "; a newer kernel has it" : "");
    }
}

static void report_backend(struct report *report, const struct kvm_probe *probe)
{
    switch (probe->backend) {
    case KVM_BACKEND_VMX:
        say(report, MARK_OK, "backend: vmx (Intel VT-x); guest code runs on the processor itself");
        break;
    case KVM_BACKEND_SVM:
        say(report, MARK_OK, "backend: svm (AMD-V); guest code runs on the processor itself");
        break;
    case KVM_BACKEND_SOFTWARE:
        say(report, MARK_NOTE, "backend: software; this KVM has neither VT-x nor AMD-V below it");
        hint(report,
             "Guest code in ring 0 is emulated, instruction by instruction. kvmlens works;");
        hint(report,
             "a guest is slow, and some instructions end it with status 74: int n and int3,");
        hint(report,
             "cmpxchg16b, popcnt and x87, among others; 32-bit paging gets #GP, and vmcall");
        hint(report, "never returns. A KVM that runs all: scripts/with-kvm --nested COMMAND.");
        break;
    case KVM_BACKEND_UNKNOWN:
        say(report, MARK_NOTE, "backend: neither vmx, svm nor software for sure");
        break;
    }
}

/* What running the small guest ended in. */
static const char *run_error(int error)
{
    switch (error) {
    case ETIMEDOUT:
        return "it does not come back";
    case EIO:
        return "it comes back for another reason than its port I/O";
    default:
        return strerror(error);
    }
}

static void report_figures(struct report *report, const struct kvm_probe *probe)
{
    const char *unit = "million";
    double speed = (double)probe->insn_per_s / 1e6;

    if (probe->run_errno) {
        say(report, MARK_BAD, "a guest of four bytes does not run: %s: %s", probe->run_step,
            run_error(probe->run_errno));
        if (probe->run_errno == EBUSY)
            hint(report, "Another hypervisor (VirtualBox, VMware) holds the processor's VT-x or "
                         "AMD-V.");
        return;
    }
    if (speed >= 1000) {
        speed /= 1000;
        unit = "billion";
    }
    say(report, MARK_OK, "a small guest runs");
    hint(report, "one exit for port I/O, there and back: %.2f microseconds (median of %u)",
         (double)probe->exit_ns / 1e3, probe->exits);
    hint(report, "guest instructions a second: %.1f %s (a loop of two)", speed, unit);
}

/* Everything from the API version on: what only an open /dev/kvm can tell. */
static void report_kvm(struct report *report, const struct kvm_probe *probe)
{
    if (probe->api_version < 0) {
        say(report, MARK_BAD, "%s is not KVM: it does not answer KVM_GET_API_VERSION", probe->path);
        return;
    }
    if (probe->api_version != API_VERSION) {
        say(report, MARK_BAD, "KVM API version %d, expected %d", probe->api_version, API_VERSION);
        return;
    }
    say(report, MARK_OK, "KVM API version %d", API_VERSION);
    report_capabilities(report, probe);
    say(report, MARK_OK, "limits: %d vCPUs and %d memory slots a guest", probe->max_vcpus,
        probe->max_memslots);
    report_backend(report, probe);
    report_figures(report, probe);
}

enum status doctor_report(FILE *out, bool colour, const struct kvm_probe *probe)
{
    struct report report = {.out = out, .colour = colour};

    fprintf(out, "kvmlens check: can this host run guests?\n\n");
    if (report_device(&report, probe))
        report_kvm(&report, probe);
    fprintf(out, "\n%s\n",
            report.bad ? "No: this host cannot run guests until what is marked BAD is mended."
                       : "Yes: this host can run guests.");
    return report.bad ? STATUS_NO_KVM : STATUS_POWEROFF;
}

enum status doctor_run(void)
{
    struct kvm_probe probe;

    kvm_probe(&probe);

    enum status status = doctor_report(stdout, log_colour(stdout), &probe);

    return log_flush_stdout() ? status : STATUS_INTERNAL;
}
