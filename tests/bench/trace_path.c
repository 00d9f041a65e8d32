/*
 * trace_path.c: what a trace costs the vCPU's thread, with the scripted fake in the place of KVM.
 *
 *   trace_path             nanoseconds an exit, medians: untraced, traced, traced with registers,
 *                          two looks at the clock
 *   trace_path loop N      runs N exits in kvmlens's own loop, without a trace
 *   trace_path bare N      runs N exits in a loop that has never heard of a trace
 *
 * The last two are for counting instructions (valgrind --tool=callgrind).
 */
#include "../unit/fake_kvm.h"
#include "trace/trace.h"
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SCRIPT 64
#define BURST  20000 /* fit in the ring, so that none is dropped */
#define ROUNDS 51

struct bench {
    struct vm vm;
    struct vm_exit script[SCRIPT];
    uint64_t left; /* exits until it stops */
};

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct bench *bench = opaque;

    (void)offset;
    (void)size;
    (void)value;
    if (fake_kvm.script[0].played == SCRIPT)
        fake_kvm.script[0].played = 0;
    if (--bench->left == 0)
        atomic_store(&bench->vm.stopping, true);
}

static const char *port_name(const void *opaque, uint64_t offset, bool write)
{
    (void)opaque;
    (void)offset;
    return write ? "DATA" : NULL;
}

static const struct device_ops port_ops = {
    .name = "port", .write = port_write, .reg_name = port_name};

static void set_up(struct bench *bench, struct trace *trace)
{
    static uint8_t data[4] = {0x42};
    struct error err;

    *bench = (struct bench){0};
    if (vm_create(&bench->vm, 1, trace, &err) < 0 ||
        kvm_vcpu_create(bench->vm.kvm, 0, &bench->vm.vcpu[0].kvm, &err) < 0 ||
        bus_attach(&bench->vm.pio, 0x10, 1, &port_ops, bench) < 0)
        exit(70);
    for (unsigned i = 0; i < SCRIPT; i++)
        bench->script[i] = (struct vm_exit){.kind = VM_EXIT_PIO,
                                            .raw_name = "KVM_EXIT_IO",
                                            .addr = 0x10,
                                            .size = 1,
                                            .write = true,
                                            .count = 1,
                                            .data = data,
                                            .rip = 0x100000};
    fake_kvm.script[0] = (struct fake_vcpu_script){.exit = bench->script, .count = SCRIPT};
}

/* vcpu_run(), less all that a trace needs. */
static void run_bare(struct vcpu *vcpu)
{
    struct vm_exit exit;

    while (!atomic_load(&vcpu->vm->stopping)) {
        if (kvm_vcpu_run(vcpu->kvm, &exit) < 0)
            return;
        if (exit.kind == VM_EXIT_INTR)
            kvm_vcpu_set_immediate_exit(vcpu->kvm, false);
        vm_handle_exit(vcpu, &exit);
    }
}

static void run(struct bench *bench, uint64_t exits, void (*loop)(struct vcpu *))
{
    bench->left = exits;
    atomic_store(&bench->vm.stopping, false);
    loop(&bench->vm.vcpu[0]);
}

/* The thread's own time: the writer may run on the same processor. */
static double busy_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median of ROUNDS bursts, nanoseconds an exit. */
static double measure(const struct trace_option *option)
{
    static struct bench bench;
    double ns[ROUNDS];
    struct trace *trace = NULL;
    struct trace_footer footer = {0};
    struct error err;
    const struct trace_config config = {.option = option, .option_count = 1, .vcpus = 1};

    if (option && trace_create(&trace, &config, &err) < 0) {
        fprintf(stderr, "trace_path: %s\n", err.text);
        exit(70);
    }
    set_up(&bench, trace);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = busy_ns();
        run(&bench, BURST, vcpu_run);
        ns[i] = (busy_ns() - start) / BURST;
        usleep(option ? 60000 : 0); /* the writer catches up */
    }
    vm_destroy(&bench.vm);
    trace_finish(trace, &footer, &err);
    if (footer.dropped > footer.exits / 20) /* dropping one is cheap */
        fprintf(stderr, "trace_path: %llu records were dropped\n",
                (unsigned long long)footer.dropped);
    qsort(ns, ROUNDS, sizeof(ns[0]), ascending);
    return ns[ROUNDS / 2];
}

static double measure_clock(void)
{
    struct timespec now;
    double ns[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = busy_ns();
        for (unsigned j = 0; j < BURST; j++) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            clock_gettime(CLOCK_MONOTONIC, &now);
        }
        ns[i] = (busy_ns() - start) / BURST;
    }
    qsort(ns, ROUNDS, sizeof(ns[0]), ascending);
    return ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    static const struct trace_option summary = {.kind = TRACE_SUMMARY, .file = "/dev/null"},
                                     jsonl = {.kind = TRACE_EXITS,
                                              .format = TRACE_JSONL,
                                              .file = "/dev/null"};

    if (argc == 3) {
        static struct bench bench;
        set_up(&bench, NULL);
        run(&bench, strtoull(argv[2], NULL, 10),
            strcmp(argv[1], "bare") == 0 ? run_bare : vcpu_run);
        vm_destroy(&bench.vm);
        return 0;
    }
    printf("%.1f %.1f %.1f %.1f\n", measure(NULL), measure(&summary), measure(&jsonl),
           measure_clock());
    return 0;
}
