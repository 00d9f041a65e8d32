/*
 * machine.c: the life of a machine: the VM and its memory; devices (board.c); images in memory;
 * vCPUs; run; end.
 */
#include "machine.h"

#include "board.h"
#include "boot/pvh.h"
#include "guest_memory.h"

#include <errno.h>
#include <memmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine {
    struct machine_config config;
    struct vm vm;
    struct guest_memory memory;

    struct board board;
    struct loop_timer time_limit;
};

static void fire_time_limit(void *machine)
{
    machine_end(machine, &(struct vm_end){.kind = VM_END_TIMEOUT});
}

/* --- what the guest starts with -------------------------------------------------------------- */

static int load_fdt(struct machine *m, struct error *err)
{
    int r = board_fdt(&m->board, mem_ptr(&m->vm.mem, BOOT_FDT_GPA, BOOT_FDT_MAX));

    return r < 0 ? error_set(err, STATUS_INTERNAL, "device tree: %s", strerror(-r)) : 0;
}

/* The boot vCPU at the kernel's entry. (A ROM starts at the reset vector, where it is already.) */
static int enter_kernel(struct machine *m, const struct pvh_boot *boot, struct error *err)
{
    struct cpu_state state;
    int r = kvm_vcpu_get_state(m->vm.vcpu[0].kvm, &state);

    if (r == 0) {
        pvh_cpu_state(boot, &state);
        r = kvm_vcpu_set_state(m->vm.vcpu[0].kvm, &state);
    }
    return r < 0 ? error_set(err, STATUS_INTERNAL, "boot vCPU's registers: %s", strerror(-r)) : 0;
}

static int load_kernel(struct machine *m, const struct pvh_boot *boot, struct error *err)
{
    const struct machine_images *images = m->config.images;

    if (kernel_load(&images->kernel, &m->vm.mem, err) < 0)
        return -1;
    if (boot->initrd_size > 0 && image_file_load(&images->initrd, 0, boot->initrd_size, &m->vm.mem,
                                                 boot->initrd_gpa, err) < 0)
        return -1;
    return pvh_write(boot, &m->vm.mem, err);
}

/* Everything between a VM with memory and a guest that can run. The vCPUs are being created
 * meanwhile, on their threads. */
static int prepare_guest(struct machine *m, struct error *err)
{
    const struct options *o = m->config.options;
    const struct machine_images *images = m->config.images;
    const struct pvh_boot boot = {
        .ram_bytes = o->ram_bytes,
        .cmdline = images->cmdline,
        .initrd_gpa = images->initrd_gpa,
        .initrd_size = o->initrd ? images->initrd.size : 0,
        .entry = images->kernel.entry,
    };

    if (board_attach(&m->board, err) < 0 || load_fdt(m, err) < 0 ||
        (o->kernel && load_kernel(m, &boot, err) < 0) || vm_finish_vcpus(&m->vm, &o->cpu, err) < 0)
        return -1;
    return o->kernel ? enter_kernel(m, &boot, err) : 0;
}

static void wake_owner(void *loop)
{
    loop_quit(loop);
}

int machine_create(struct machine **out, const struct machine_config *config, struct error *err)
{
    const struct options *o = config->options;
    struct machine *m = calloc(1, sizeof *m);

    if (!m)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    m->config = *config;
    board_init(&m->board, &m->config, &m->vm);
    m->time_limit = (struct loop_timer){.fire = fire_time_limit, .opaque = m};

    /* Memory before interrupt controllers: the other way round, KVM waits for grace periods. */
    if (vm_create(&m->vm, o->smp, config->trace, err) < 0 ||
        guest_memory_map(&m->memory, &m->vm, o->ram_bytes, o->bios ? &config->images->rom : NULL,
                         err) < 0 ||
        (o->irqchip && vm_create_irqchip(&m->vm, o->pit, err) < 0) ||
        vm_create_vcpus(&m->vm, err) < 0 || prepare_guest(m, err) < 0) {
        machine_destroy(m);
        return -1;
    }
    m->vm.on_end = wake_owner;
    m->vm.on_end_opaque = config->loop;
    *out = m;
    return 0;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    vm_stop(&m->vm);
    board_disconnect(&m->board);
    vm_destroy(&m->vm);
    guest_memory_unmap(&m->memory);
    free(m);
}

/* --- running -------------------------------------------------------------------------------- */

int machine_run(struct machine *m, struct vm_end *end, struct error *err)
{
    int r = board_connect(&m->board, err);

    m->time_limit.deadline = m->config.deadline;
    if (r == 0 && loop_add_timer(m->config.loop, &m->time_limit) < 0)
        r = error_set(err, STATUS_INTERNAL, "out of memory");
    if (r == 0) {
        vm_run(&m->vm);

        int error = loop_run(m->config.loop, &m->vm.device_lock);

        vm_stop(&m->vm);
        board_drain(&m->board);
        if (error < 0)
            r = error_set(err, STATUS_INTERNAL, "event loop: %s", strerror(-error));
    }
    loop_remove_timer(m->config.loop, &m->time_limit);
    board_disconnect(&m->board);
    *end = m->vm.end;
    return r;
}

void machine_end(struct machine *m, const struct vm_end *end)
{
    vm_end(&m->vm, end);
}

struct vm *machine_vm(struct machine *m)
{
    return &m->vm;
}

int machine_dump_dtb(const struct options *options, const struct machine_images *images,
                     struct error *err)
{
    const struct machine_config config = {.options = options, .images = images};
    struct board board = {0};
    int result = -1;
    void *blob = malloc(BOOT_FDT_MAX);

    if (!blob)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    board_init(&board, &config, NULL);

    int size = board_fdt(&board, blob);
    FILE *file = size < 0 ? NULL : fopen(options->dumpdtb, "wbe");

    if (size < 0)
        error_set(err, STATUS_INTERNAL, "device tree: %s", strerror(-size));
    else if (!file)
        error_set(err, STATUS_USAGE, "-M dumpdtb=%s: %s", options->dumpdtb, strerror(errno));
    else if (fwrite(blob, (size_t)size, 1, file) == 1 && fflush(file) == 0)
        result = 0;
    else
        error_set(err, STATUS_INTERNAL, "-M dumpdtb=%s: %s", options->dumpdtb, strerror(errno));
    if (file)
        fclose(file);
    free(blob);
    return result;
}
