/*
 * probe.c: what /dev/kvm is and can do (see probe.h).
 * Source: the kernel's Documentation/virt/kvm/api.rst; section numbers of it are in brackets.
 */
#include "probe.h"

#include "internal.h"
#include "measure.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What kvmlens uses of KVM. */
static const struct {
    int number;
    const char *name, *purpose;
    bool required;
} capabilities[] = {
#define CAP(name) name, #name
    {CAP(KVM_CAP_USER_MEMORY), "guest RAM is memory of this process", true},
    {CAP(KVM_CAP_EXT_CPUID), "CPUID as the guest sees it", true},
    {CAP(KVM_CAP_IMMEDIATE_EXIT), "stopping a vCPU without losing the request", true},
    {CAP(KVM_CAP_MP_STATE), "vCPUs that wait for INIT and SIPI, and reset", true},
    {CAP(KVM_CAP_IRQCHIP), "PIC, I/O APIC and local APICs in the kernel", true},
    {CAP(KVM_CAP_SET_TSS_ADDR), "real mode on older Intel processors", true},
    {CAP(KVM_CAP_SET_IDENTITY_MAP_ADDR), "the same: their page tables", true},
    {CAP(KVM_CAP_PIT2), "the 8254 timer (pit=on)", false},
    {CAP(KVM_CAP_IRQFD), "interrupts of virtio devices", false},
    {CAP(KVM_CAP_IOEVENTFD), "notifications of virtio devices that are no exits", false},
    {CAP(KVM_CAP_READONLY_MEM), "ROM (-bios)", false},
    {CAP(KVM_CAP_SYNC_REGS), "registers with each exit, at no extra system call", false},
    {CAP(KVM_CAP_TSC_DEADLINE_TIMER), "the local APIC timer's TSC-deadline mode", false},
    {CAP(KVM_CAP_BINARY_STATS_FD), "KVM's own counts of exits, at the end of a trace", false},
#undef CAP
};

#define CAPABILITIES (sizeof(capabilities) / sizeof(capabilities[0]))

_Static_assert(CAPABILITIES <= PROBE_CAPABILITIES_MAX, "a probe has room for each capability");

static bool has_capability(const struct kvm_listener *listener, int kvm_fd, int number)
{
    return kvm_ioctl(listener, kvm_fd, KVM_CHECK_EXTENSION, number) > 0; /* [4.4] */
}

const char *kvm_missing_capability(const struct kvm_listener *listener, int kvm_fd)
{
    /* The youngest of those that are required (Linux 4.11): a KVM that has it has the others, and
     * is asked once instead of seven times before each guest. `kvmlens check` asks for all. */
    if (has_capability(listener, kvm_fd, KVM_CAP_IMMEDIATE_EXIT))
        return NULL;
    for (size_t i = 0; i < CAPABILITIES; i++)
        if (capabilities[i].required && !has_capability(listener, kvm_fd, capabilities[i].number))
            return capabilities[i].name;
    return NULL;
}

const char *kvm_capability(int number, const char **purpose)
{
    for (size_t i = 0; i < CAPABILITIES; i++) {
        if (capabilities[i].number != number)
            continue;
        *purpose = capabilities[i].purpose;
        return capabilities[i].name;
    }
    return NULL;
}

/* Features of the processor that kvmlens itself runs on. */
static void probe_cpu(bool *vmx, bool *svm, bool *hypervisor)
{
    unsigned eax, ebx, ecx = 0, edx;

    *vmx = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 5);
    *hypervisor = (ecx & 1u << 31) != 0;
    *svm = __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 2);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

enum kvm_backend kvm_backend(void)
{
    bool vmx, svm, hypervisor;

    probe_cpu(&vmx, &svm, &hypervisor);
    /* One backend at a time is loaded; kvm_intel and kvm_amd may stand in /sys/module without
     * being in use, where they are built into the kernel. */
    if (exists("/sys/module/kvm_pvm") || (!vmx && !svm))
        return KVM_BACKEND_SOFTWARE;
    if (vmx && svm)
        return KVM_BACKEND_UNKNOWN;
    return vmx ? KVM_BACKEND_VMX : KVM_BACKEND_SVM;
}

static void probe_host(struct kvm_probe *probe)
{
    struct stat st;

    probe->path = kvm_device_path();
    if (stat(probe->path, &st) < 0) {
        probe->stat_errno = errno;
    } else {
        probe->char_device = S_ISCHR(st.st_mode);
        probe->mode = st.st_mode & 07777;
        probe->uid = st.st_uid;
        probe->gid = st.st_gid;
    }
    probe_cpu(&probe->cpu_vmx, &probe->cpu_svm, &probe->in_vm);
    probe->in_container = exists("/.dockerenv") || exists("/run/.containerenv");
    probe->module_loaded = exists("/sys/module/kvm");
    probe->backend = kvm_backend();
}

void kvm_probe(struct kvm_probe *probe)
{
    *probe = (struct kvm_probe){.api_version = -1};
    probe_host(probe);

    int kvm_fd = open(probe->path, O_RDWR | O_CLOEXEC);

    if (kvm_fd < 0) {
        probe->open_errno = errno;
        return;
    }
    probe->api_version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0); /* [4.1] */
    if (probe->api_version == KVM_API_VERSION) {
        for (size_t i = 0; i < CAPABILITIES; i++)
            probe->capability[probe->capability_count++] = (struct probe_capability){
                .name = capabilities[i].name,
                .purpose = capabilities[i].purpose,
                .required = capabilities[i].required,
                .present = has_capability(NULL, kvm_fd, capabilities[i].number),
            };
        probe->max_vcpus = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
        probe->max_memslots = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
        kvm_measure(kvm_fd, probe);
    }
    close(kvm_fd);
}
