/*
 * measure.c: what a VM exit costs, and how fast guest code runs (see measure.h).
 * Source: the kernel's Documentation/virt/kvm/api.rst, KVM_RUN.
 */
#include "measure.h"

#include <errno.h>
#include <linux/kvm.h>
#include <memmap.h>
#include <ports.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096
#define EXITS 2000 /* timed one by one; the median shrugs off the host's interruptions */

#define LOOP_MIN_NS 10000000   /* a loop that runs for so long hides its own beginning and end */
#define GIVE_UP_NS  5000000000 /* a guest that hangs */

/* Real mode, from the start of the page. */
static const uint8_t exit_code[] = {
    0xe6, PORT_POST, /* again: out %al, $0x80 */
    0xeb, 0xfc,      /*        jmp again */
};
#define LOOP_COUNT_AT 2 /* where the count is within the code */
static const uint8_t loop_code[] = {
    0x66, 0xb9,      0, 0, 0, 0, /* again: mov $count, %ecx */
    0x66, 0x49,                  /* loop:  dec %ecx */
    0x75, 0xfc,                  /*        jnz loop */
    0xe6, PORT_POST,             /*        out %al, $0x80 */
    0xeb, 0xf2,                  /*        jmp again */
};

struct small_guest {
    int vm_fd, vcpu_fd;
    uint8_t *page;
    struct kvm_run *run;
    size_t run_size;
    const char *step; /* what is being done */
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The guest's page is at GPA 0, so that code and segments begin there, as after reset but for CS.
 * Returns 0 or -errno; guest->step tells where. */
static int create(struct small_guest *guest, int kvm_fd)
{
    guest->step = "KVM_CREATE_VM";
    guest->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (guest->vm_fd < 0)
        return -errno;
    guest->step = "KVM_SET_TSS_ADDR"; /* Intel's need it for real mode */
    if (ioctl(guest->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_GPA) < 0)
        return -errno;
    guest->step = "KVM_SET_USER_MEMORY_REGION";
    guest->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guest->page == MAP_FAILED)
        return -errno;

    struct kvm_userspace_memory_region region = {
        .memory_size = PAGE,
        .userspace_addr = (uintptr_t)guest->page,
    };

    if (ioctl(guest->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return -errno;
    guest->step = "KVM_CREATE_VCPU";
    guest->vcpu_fd = ioctl(guest->vm_fd, KVM_CREATE_VCPU, 0);
    if (guest->vcpu_fd < 0)
        return -errno;
    guest->step = "mapping struct kvm_run";
    guest->run_size = (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    guest->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu_fd, 0);
    return guest->run == MAP_FAILED ? -errno : 0;
}

static void destroy(struct small_guest *guest)
{
    if (guest->run != MAP_FAILED)
        munmap(guest->run, guest->run_size);
    if (guest->vcpu_fd >= 0)
        close(guest->vcpu_fd);
    if (guest->vm_fd >= 0)
        close(guest->vm_fd);
    if (guest->page != MAP_FAILED)
        munmap(guest->page, PAGE);
}

/* Puts CODE at the start of the page, and the vCPU at its first instruction. */
static int load(struct small_guest *guest, const uint8_t *code, size_t size)
{
    struct kvm_regs regs = {.rflags = 2};
    struct kvm_sregs sregs;

    /* A port access that was handled is finished by the next KVM_RUN, which on VMX and SVM steps
     * over the instruction then. One that returns at once keeps that from the new registers. */
    guest->run->immediate_exit = 1;
    guest->step = "KVM_RUN with immediate_exit";
    if (ioctl(guest->vcpu_fd, KVM_RUN, 0) == 0 || errno != EINTR)
        return -EIO;
    guest->run->immediate_exit = 0;

    memcpy(guest->page, code, size);
    guest->step = "setting the registers";
    if (ioctl(guest->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(guest->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
        ioctl(guest->vcpu_fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    return 0;
}

/* Runs to the next OUT. *NS: how long it took. */
static int run_to_exit(struct small_guest *guest, uint64_t *ns)
{
    uint64_t start = now_ns();

    guest->step = "KVM_RUN";
    /* The alarm rings again and again, so one that comes just before KVM_RUN is no loss. */
    while (ioctl(guest->vcpu_fd, KVM_RUN, 0) < 0) {
        if (errno != EINTR)
            return -errno;
        if (now_ns() - start > GIVE_UP_NS)
            return -ETIMEDOUT;
    }
    *ns = now_ns() - start;
    guest->step = "running guest code";
    return guest->run->exit_reason == KVM_EXIT_IO && guest->run->io.port == PORT_POST ? 0 : -EIO;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int measure_exits(struct small_guest *guest, struct kvm_probe *probe)
{
    uint64_t ns[EXITS];
    int r = load(guest, exit_code, sizeof(exit_code));

    for (unsigned i = 0; i < EXITS && r == 0; i++)
        r = run_to_exit(guest, &ns[i]);
    if (r < 0)
        return r;
    qsort(ns, EXITS, sizeof(ns[0]), compare);
    probe->exits = EXITS;
    probe->exit_ns = ns[EXITS / 2];
    return 0;
}

static int measure_speed(struct small_guest *guest, struct kvm_probe *probe)
{
    uint64_t ns = 0;
    int r = load(guest, loop_code, sizeof(loop_code));

    for (uint32_t count = 4096; r == 0 && ns < LOOP_MIN_NS && count < 1u << 30; count *= 2) {
        memcpy(guest->page + LOOP_COUNT_AT, &count, sizeof(count));
        r = run_to_exit(guest, &ns);
        probe->insn_per_s = 2 * (uint64_t)count * 1000000000 / (ns ? ns : 1);
    }
    return r;
}

static void ignore(int signal)
{
    (void)signal;
}

void kvm_measure(int kvm_fd, struct kvm_probe *probe)
{
    struct small_guest guest = {.vm_fd = -1, .vcpu_fd = -1, .page = MAP_FAILED, .run = MAP_FAILED};
    struct sigaction action = {.sa_handler = ignore}, old_action;
    struct itimerval period = {.it_interval.tv_usec = 500000, .it_value.tv_usec = 500000};

    sigaction(SIGALRM, &action, &old_action);
    setitimer(ITIMER_REAL, &period, NULL);

    int r = create(&guest, kvm_fd);

    if (r == 0)
        r = measure_exits(&guest, probe);
    if (r == 0)
        r = measure_speed(&guest, probe);
    probe->run_step = guest.step;
    probe->run_errno = -r;
    destroy(&guest);

    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    sigaction(SIGALRM, &old_action, NULL);
}
