/*
 * floor.c: the smallest program that runs a ROM on /dev/kvm as kvmlens does, to measure against.
 * It maps the ROM below 4 GiB, enters the guest from the reset vector, and ends with the guest's
 * write to isa-debug-exit's port.  Source: the kernel's Documentation/virt/kvm/api.rst.
 *
 *   floor ROM          no interrupt controller
 *   floor ROM irqchip  PIC, I/O APIC, local APIC and PIT in the kernel
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROM_BYTES 0x10000
#define EXIT_PORT 0xf4

static int check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(70);
    }
    return result;
}

static void *map(size_t bytes, int protection, int flags, int fd, const char *what)
{
    void *at = mmap(NULL, bytes, protection, flags, fd, 0);
    if (at == MAP_FAILED)
        check(-1, what);
    return at;
}

static void map_rom(int vm, const char *path)
{
    int file = check(open(path, O_RDONLY), path);
    void *rom = map(ROM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, path);
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = 0x100000000 - ROM_BYTES,
        .memory_size = ROM_BYTES,
        .userspace_addr = (uintptr_t)rom,
    };
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: floor ROM [irqchip]\n", stderr);
        return 64;
    }
    int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    uint64_t identity_map = 0xfeffc000;
    check(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map), "KVM_SET_IDENTITY_MAP_ADDR");
    check(ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000), "KVM_SET_TSS_ADDR");
    map_rom(vm, argv[1]); /* before the interrupt controllers: then KVM has less to wait for */
    if (argc > 2) {
        struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
        check(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
        check(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    }
    int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    int size = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *run =
        map((size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, "vCPU's shared page");
    for (;;) {
        check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        if (run->exit_reason != KVM_EXIT_IO) {
            fprintf(stderr, "floor: exit reason %u\n", run->exit_reason);
            return 72;
        }
        if (run->io.port == EXIT_PORT)
            return ((uint8_t *)run)[run->io.data_offset] << 1 | 1;
    }
}
