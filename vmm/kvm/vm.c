/*
 * vm.c: a virtual machine of /dev/kvm: memory slots, interrupt controllers.
 * Source: the kernel's Documentation/virt/kvm/api.rst; section numbers of it are in brackets.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <memmap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *kvm_device_path(void)
{
    const char *path = getenv("KVMLENS_DEV_KVM");

    return path && *path ? path : "/dev/kvm";
}

enum status kvm_blame(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN
               ? STATUS_INTERNAL
               : STATUS_NO_KVM;
}

/* KVM failed for the reason errno: who is to blame, and what helps. */
static int set_error(struct error *err, const char *what, const char *object)
{
    enum status status = kvm_blame(errno);

    return error_set(err, status, "%s%s: %s%s", what, object, strerror(errno),
                     status == STATUS_NO_KVM ? "; `kvmlens check` tells what to do" : "");
}

static int open_kvm(const struct kvm_listener *listener, struct error *err)
{
    const char *path = kvm_device_path();
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return set_error(err, "cannot open ", path);

    int version = kvm_ioctl(listener, fd, KVM_GET_API_VERSION, 0);

    if (version != KVM_API_VERSION) {
        close(fd);
        if (version < 0)
            return error_set(err, STATUS_NO_KVM, "%s is not KVM: it does not answer %s", path,
                             "KVM_GET_API_VERSION");
        return error_set(err, STATUS_NO_KVM, "%s speaks KVM API version %d, expected %d", path,
                         version, KVM_API_VERSION);
    }
    return fd;
}

int kvm_vm_create(struct kvm_vm **out, const struct kvm_listener *listener, struct error *err)
{
    struct kvm_vm *vm = calloc(1, sizeof *vm);

    if (!vm)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    vm->vm_fd = -1;
    vm->listener = listener;
    vm->kvm_fd = open_kvm(listener, err);
    if (vm->kvm_fd < 0)
        goto fail;

    const char *missing = kvm_missing_capability(listener, vm->kvm_fd);

    if (missing) {
        error_set(err, STATUS_NO_KVM, "this KVM lacks %s, which kvmlens cannot do without",
                  missing);
        goto fail;
    }
    do
        vm->vm_fd = kvm_ioctl(vm->listener, vm->kvm_fd, KVM_CREATE_VM, 0);
    while (vm->vm_fd < 0 && errno == EINTR);
    if (vm->vm_fd < 0) {
        set_error(err, "KVM_CREATE_VM", "");
        goto fail;
    }
    vm->run_size = (size_t)kvm_ioctl(vm->listener, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

    int sync = kvm_ioctl(vm->listener, vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);

    vm->sync_regs = sync > 0 && ((unsigned)sync & KVM_SYNC_X86_REGS) != 0;
    *out = vm;
    return 0;
fail:
    kvm_vm_destroy(vm);
    return -1;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
    if (!vm)
        return;
    if (vm->vm_fd >= 0)
        close(vm->vm_fd);
    if (vm->kvm_fd >= 0)
        close(vm->kvm_fd);
    kvm_cpuid_free(vm->cpuid);
    free(vm);
}

int kvm_vm_create_irqchip(struct kvm_vm *vm, bool pit)
{
    /* Only Intel's processors without "unrestricted guest" use the two areas, but setting them is
     * free, and whether they are needed cannot be told from here [4.28, 4.29]. */
    uint64_t identity = KVM_IDENTITY_MAP_GPA;

    if (kvm_ioctl(vm->listener, vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
        kvm_ioctl(vm->listener, vm->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_GPA) < 0 ||
        kvm_ioctl(vm->listener, vm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0) /* [4.24] */
        return -errno;

    /* The dummy speaker keeps port 0x61, channel 2's gate, in the kernel [4.71]. */
    struct kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (pit && kvm_ioctl(vm->listener, vm->vm_fd, KVM_CREATE_PIT2, &config) < 0)
        return -errno;
    vm->irqchip = true;
    return 0;
}

int kvm_vm_map(struct kvm_vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly)
{
    struct kvm_userspace_memory_region region = {
        .slot = vm->slots,
        .flags = readonly ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)host,
    };

    if (kvm_ioctl(vm->listener, vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return -errno;
    vm->slots++;
    return 0;
}

int kvm_vm_irq(struct kvm_vm *vm, unsigned gsi, bool level)
{
    struct kvm_irq_level irq = {.irq = gsi, .level = level};
    const struct kvm_listener *listener = vm->listener;

    if (!vm->irqchip)
        return 0;
    /* A line's first rise and first fall tell all; the rest would bury what else is told. */
    if (listener && gsi < 64 && atomic_fetch_or(&vm->told[level], 1ull << gsi) & 1ull << gsi)
        listener = NULL;
    return kvm_ioctl(listener, vm->vm_fd, KVM_IRQ_LINE, &irq) < 0 ? -errno : 0; /* [4.25] */
}

int kvm_vm_ioeventfd(struct kvm_vm *vm, uint64_t gpa, uint32_t value, int fd)
{
    struct kvm_ioeventfd notify = {
        .datamatch = value,
        .addr = gpa,
        .len = sizeof(value),
        .fd = fd,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };

    return kvm_ioctl(vm->listener, vm->vm_fd, KVM_IOEVENTFD, &notify) < 0 ? -errno : 0; /* [4.59] */
}

int kvm_vm_irqfd(struct kvm_vm *vm, unsigned gsi, int fd)
{
    struct kvm_irqfd irq = {.fd = (uint32_t)fd, .gsi = gsi};

    return kvm_ioctl(vm->listener, vm->vm_fd, KVM_IRQFD, &irq) < 0 ? -errno : 0; /* [4.75] */
}

int kvm_vm_read_cpuid(struct kvm_vm *vm, struct error *err)
{
    return kvm_cpuid_read(&vm->cpuid, vm->listener, vm->kvm_fd, vm->irqchip, err);
}
