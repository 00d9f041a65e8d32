/*
 * machine.c: the board: every device, its address and its IRQ; what is in memory when the guest
 * starts.  It is QEMU's microvm (QEMU docs/system/i386/microvm.rst), so that one guest runs on both.
 *
 * Life order, top to bottom: the list of devices; images in memory; vCPUs; run.
 */
#include "machine.h"

#include "boot/fdt.h"
#include "boot/pvh.h"
#include "dev/rtc.h"
#include "dev/serial.h"
#include "dev/simple.h"
#include "guest_memory.h"
#include "log.h"

#include <errno.h>
#include <memmap.h>
#include <ports.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BOARD_DEVICES_MAX 8
#define NS_PER_S          1000000000ull

/* A device and its place: the bus is attached from it, and the device tree is made from it. */
struct board_device {
    struct fdt_device fdt;
    const struct device_ops *ops;
    void *dev;
};

struct machine {
    struct machine_config config;
    struct vm vm;
    struct guest_memory memory;

    struct serial serial;
    struct rtc rtc;
    struct i8042 i8042;
    struct debug_exit debug_exit;
    struct power power;
    struct post post;
    struct board_device board[BOARD_DEVICES_MAX];
    unsigned board_count;

    struct loop_timer serial_timer, rtc_timer, time_limit;
};

/* --- effects: what devices do to the world ------------------------------------------------- */

static void set_irq(void *machine, unsigned gsi, bool level)
{
    struct machine *m = machine;

    kvm_vm_irq(m->vm.kvm, gsi, level);
}

static uint64_t monotonic_now(void *machine)
{
    (void)machine;
    return loop_now();
}

static uint64_t utc_now(void *machine)
{
    struct timespec now;

    (void)machine;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void arm_serial_timer(void *machine, uint64_t deadline)
{
    struct machine *m = machine;

    loop_arm(m->config.loop, &m->serial_timer, deadline);
}

static void arm_rtc_timer(void *machine, uint64_t deadline)
{
    struct machine *m = machine;
    uint64_t now = utc_now(m);

    /* The loop's timers run on the monotonic clock. */
    if (deadline != 0)
        deadline = loop_now() + (deadline > now ? deadline - now : 0);
    loop_arm(m->config.loop, &m->rtc_timer, deadline);
}

static void fire_serial_timer(void *machine)
{
    struct machine *m = machine;

    serial_timeout(&m->serial);
}

static void fire_rtc_timer(void *machine)
{
    struct machine *m = machine;

    rtc_timeout(&m->rtc);
}

static void fire_time_limit(void *machine)
{
    machine_end(machine, &(struct vm_end){.kind = VM_END_TIMEOUT});
}

static void request_reset(void *machine)
{
    machine_end(machine, &(struct vm_end){.kind = VM_END_RESET});
}

static void request_poweroff(void *machine)
{
    machine_end(machine, &(struct vm_end){.kind = VM_END_POWEROFF});
}

static void request_debug_exit(void *machine, uint32_t value)
{
    machine_end(machine, &(struct vm_end){.kind = VM_END_DEBUG_EXIT, .value = value});
}

static bool console_send(void *machine, uint8_t byte)
{
    struct machine *m = machine;

    return chardev_send(m->config.console, byte);
}

static void console_rx_room(void *machine)
{
    struct machine *m = machine;

    chardev_accept_input(m->config.console);
}

static unsigned serial_room_for_console(void *serial)
{
    return serial_rx_room(serial);
}

static void serial_from_console(void *serial, const uint8_t *bytes, unsigned count)
{
    serial_receive(serial, bytes, count);
}

static void serial_break_from_console(void *serial)
{
    serial_receive_break(serial);
}

static void console_writable(void *serial)
{
    serial_tx_ready(serial);
}

/* --- the board ------------------------------------------------------------------------------ */

static const struct fdt_device serial_place = {
    .name = "serial",
    .compatible = "ns16550a",
    .pio = true,
    .base = PORT_SERIAL,
    .size = PORT_SERIAL_COUNT,
    .irq = IRQ_SERIAL,
    .clock_hz = UART_CLOCK_HZ,
};
static const struct fdt_device rtc_place = {
    .name = "rtc",
    .compatible = "motorola,mc146818",
    .pio = true,
    .base = PORT_RTC,
    .size = PORT_RTC_COUNT,
    .irq = IRQ_RTC,
};
static const struct fdt_device i8042_place = {
    .name = "i8042",
    .compatible = "intel,8042",
    .pio = true,
    .base = PORT_I8042,
    .size = PORT_I8042_COUNT,
    .irq = -1,
};
static const struct fdt_device post_place = {
    .name = "post",
    .compatible = "kvmlens,post",
    .pio = true,
    .base = PORT_POST,
    .size = 1,
    .irq = -1,
};
static const struct fdt_device power_place = {
    .name = "power",
    .compatible = "kvmlens,acpi-sleep",
    .base = POWER_GPA,
    .size = POWER_SIZE,
    .irq = -1,
};
static const struct fdt_device debug_exit_place = {
    .name = "debug-exit",
    .compatible = "qemu,isa-debug-exit",
    .pio = true,
    .irq = -1, /* its ports are the user's choice */
};

static void place(struct machine *m, struct fdt_device fdt, const struct device_ops *ops, void *dev)
{
    m->board[m->board_count++] = (struct board_device){fdt, ops, dev};
}

/* Every device that OPTIONS ask for, in its power-on state and at its address. */
static void populate(struct machine *m)
{
    const struct options *o = m->config.options;
    struct machine_requests requests = {request_reset, request_poweroff, request_debug_exit, m};

    if (o->isa_serial) {
        serial_init(&m->serial, (struct irq_line){set_irq, m, IRQ_SERIAL},
                    (struct device_clock){monotonic_now, m},
                    (struct device_timer){arm_serial_timer, m},
                    (struct serial_backend){console_send, console_rx_room, m});
        place(m, serial_place, &serial_ops, &m->serial);
    }
    if (o->rtc) {
        rtc_init(&m->rtc, (struct irq_line){set_irq, m, IRQ_RTC}, (struct device_clock){utc_now, m},
                 (struct device_timer){arm_rtc_timer, m});
        place(m, rtc_place, &rtc_ops, &m->rtc);
    }
    i8042_init(&m->i8042, requests);
    place(m, i8042_place, &i8042_ops, &m->i8042);
    post_init(&m->post);
    place(m, post_place, &post_ops, &m->post);
    power_init(&m->power, requests);
    place(m, power_place, &power_ops, &m->power);
    if (o->debug_exit) {
        struct fdt_device where = debug_exit_place;

        where.base = o->debug_exit_iobase;
        where.size = o->debug_exit_iosize;
        debug_exit_init(&m->debug_exit, requests);
        place(m, where, &debug_exit_ops, &m->debug_exit);
    }
}

static int attach_devices(struct machine *m, struct error *err)
{
    for (unsigned i = 0; i < m->board_count; i++) {
        const struct board_device *d = &m->board[i];
        int r = bus_attach(d->fdt.pio ? &m->vm.pio : &m->vm.mmio, d->fdt.base, d->fdt.size, d->ops,
                           d->dev);

        if (r == -EEXIST) /* only isa-debug-exit can be placed by the user */
            return error_set(
                err, STATUS_USAGE,
                "-device isa-debug-exit: ports 0x%llx to 0x%llx belong to another device",
                (unsigned long long)d->fdt.base,
                (unsigned long long)(d->fdt.base + d->fdt.size - 1));
        if (r < 0)
            return error_set(err, STATUS_INTERNAL, "cannot attach %s: %s", d->fdt.name,
                             strerror(-r));
    }
    return 0;
}

/* Into BLOB, which has BOOT_FDT_MAX bytes; libfdt zeroes all that it is given, so it is given little
 * at first: a page that is not touched costs nothing. */
static int build_fdt(const struct machine *m, void *blob)
{
    const struct options *o = m->config.options;
    struct fdt_device device[BOARD_DEVICES_MAX];

    for (unsigned i = 0; i < m->board_count; i++)
        device[i] = m->board[i].fdt;

    struct fdt_machine machine = {
        .model = "kvmlens,microvm",
        .ram_bytes = o->ram_bytes,
        .cpus = o->smp,
        .bootargs = o->append,
        .initrd_gpa = m->config.images->initrd_gpa,
        .initrd_size = o->initrd ? m->config.images->initrd.size : 0,
        .irqchip = o->irqchip,
        .pit = o->pit,
        .device = device,
        .device_count = m->board_count,
    };

    int size = -ENOSPC;

    for (uint32_t room = 4096; size == -ENOSPC && room <= BOOT_FDT_MAX; room *= 2)
        size = fdt_build(&machine, blob, room);
    return size;
}

/* --- what the guest starts with -------------------------------------------------------------- */

static int load_fdt(struct machine *m, struct error *err)
{
    int r = build_fdt(m, mem_ptr(&m->vm.mem, BOOT_FDT_GPA, BOOT_FDT_MAX));

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
        .cmdline = o->append ? o->append : "",
        .initrd_gpa = images->initrd_gpa,
        .initrd_size = o->initrd ? images->initrd.size : 0,
        .entry = images->kernel.entry,
    };

    populate(m);
    if (attach_devices(m, err) < 0 || load_fdt(m, err) < 0 ||
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
    m->serial_timer = (struct loop_timer){.fire = fire_serial_timer, .opaque = m};
    m->rtc_timer = (struct loop_timer){.fire = fire_rtc_timer, .opaque = m};
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
    vm_destroy(&m->vm);
    guest_memory_unmap(&m->memory);
    free(m);
}

/* --- running -------------------------------------------------------------------------------- */

static int connect_host(struct machine *m, struct error *err)
{
    struct loop *loop = m->config.loop;

    if (loop_add_timer(loop, &m->serial_timer) < 0 || loop_add_timer(loop, &m->rtc_timer) < 0 ||
        loop_add_timer(loop, &m->time_limit) < 0)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    if (!m->config.options->isa_serial)
        return 0;
    chardev_connect(m->config.console, &(struct chardev_peer){
                                           .room = serial_room_for_console,
                                           .receive = serial_from_console,
                                           .receive_break = serial_break_from_console,
                                           .writable = console_writable,
                                           .opaque = &m->serial,
                                       });
    return 0;
}

static void disconnect_host(struct machine *m)
{
    if (m->config.options->isa_serial)
        chardev_connect(m->config.console, NULL);
    loop_remove_timer(m->config.loop, &m->serial_timer);
    loop_remove_timer(m->config.loop, &m->rtc_timer);
    loop_remove_timer(m->config.loop, &m->time_limit);
}

/* A guest may end while its last words wait for a slow reader. */
static void drain_console(struct machine *m)
{
    while (m->serial.tx.count > 0 && chardev_wait_writable(m->config.console))
        serial_tx_ready(&m->serial);
    if (m->serial.tx.count > 0)
        log_say("the last %u bytes of the guest's output could not be written", m->serial.tx.count);
}

int machine_run(struct machine *m, struct vm_end *end, struct error *err)
{
    int r = connect_host(m, err);

    m->time_limit.deadline = m->config.deadline;
    if (r == 0) {
        vm_run(&m->vm);

        int error = loop_run(m->config.loop, &m->vm.device_lock);

        vm_stop(&m->vm);
        drain_console(m);
        if (error < 0)
            r = error_set(err, STATUS_INTERNAL, "event loop: %s", strerror(-error));
    }
    disconnect_host(m);
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
    struct machine m = {.config = {.options = options, .images = images}};
    int result = -1;
    void *blob = malloc(BOOT_FDT_MAX);

    if (!blob)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    populate(&m);

    int size = build_fdt(&m, blob);
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
