/*
 * machine.h: a machine: made, run, ended.
 */
#ifndef KVMLENS_MACHINE_H
#define KVMLENS_MACHINE_H

#include "backends.h"
#include "boot/image.h"
#include "error.h"
#include "host/chardev.h"
#include "host/loop.h"
#include "options.h"
#include "trace/symbols.h"
#include "trace/trace.h"
#include "vm.h"

#include <memmap.h>

/* What a machine starts from, opened and checked before there is a VM. */
struct machine_images {
    struct kernel_image kernel; /* if options.kernel */
    struct image_file initrd;   /* if options.initrd */
    struct image_file rom;      /* if options.bios */
    uint64_t initrd_gpa;
    char cmdline[BOOT_CMDLINE_MAX]; /* with what board_cmdline() appends */
};

/* Everything is borrowed, and outlives the machine. */
struct machine_config {
    const struct options *options;
    const struct machine_images *images;
    struct loop *loop;
    struct backends *backends;
    struct trace *trace; /* NULL: off */
    uint64_t deadline;   /* loop_now() when the guest must have ended; 0: no limit */
};

struct machine;

/* Builds the machine: memory with the guest's images in it, devices, vCPUs. A reset of the guest
 * is a machine built anew. -1 with *err on failure. */
int machine_create(struct machine **machine, const struct machine_config *config,
                   struct error *err);
void machine_destroy(struct machine *machine);

/* Runs the guest until it ends, and says in *end how. -1 with *err if it could not be run. */
int machine_run(struct machine *machine, struct vm_end *end, struct error *err);

/* Asks a running machine to end, with the loop's lock held. */
void machine_end(struct machine *machine, const struct vm_end *end);

/* The machine's VM, for the report of its end. */
struct vm *machine_vm(struct machine *machine);

/* Writes the device tree of the machine that OPTIONS describe to options->dumpdtb. Needs no KVM. */
int machine_dump_dtb(const struct options *options, const struct machine_images *images,
                     struct error *err);

#endif
