/*
 * board.c: every device, its address and its IRQ, and what devices do to the world.  It is QEMU's
 * microvm (QEMU docs/system/i386/microvm.rst), so that one guest runs on both.
 */
#include "board.h"

#include <errno.h>
#include <memmap.h>
#include <ports.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ull

/* --- effects: what devices do to the world ------------------------------------------------- */

static void set_irq(void *board, unsigned gsi, bool level)
{
    struct board *b = board;

    kvm_vm_irq(b->vm->kvm, gsi, level);
}

/* An edge, as the ISA bus's interrupts are. The clock holds its line up until it is read; but slot 3
 * has the same interrupt, and KVM takes no edge of a line that is up already. */
static void set_rtc_irq(void *board, unsigned gsi, bool level)
{
    if (!level)
        return;
    set_irq(board, gsi, true);
    set_irq(board, gsi, false);
}

static uint64_t monotonic_now(void *board)
{
    (void)board;
    return loop_now();
}

static uint64_t utc_now(void *board)
{
    struct timespec now;

    (void)board;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void arm_serial_timer(void *board, uint64_t deadline)
{
    struct board *b = board;

    loop_arm(b->config->loop, &b->serial_timer, deadline);
}

static void arm_rtc_timer(void *board, uint64_t deadline)
{
    struct board *b = board;
    uint64_t now = utc_now(b);

    /* The loop's timers run on the monotonic clock. */
    if (deadline != 0)
        deadline = loop_now() + (deadline > now ? deadline - now : 0);
    loop_arm(b->config->loop, &b->rtc_timer, deadline);
}

static void fire_serial_timer(void *board)
{
    struct board *b = board;

    serial_timeout(&b->serial);
}

static void fire_rtc_timer(void *board)
{
    struct board *b = board;

    rtc_timeout(&b->rtc);
}

static void request_reset(void *board)
{
    vm_end(((struct board *)board)->vm, &(struct vm_end){.kind = VM_END_RESET});
}

static void request_poweroff(void *board)
{
    vm_end(((struct board *)board)->vm, &(struct vm_end){.kind = VM_END_POWEROFF});
}

static void request_debug_exit(void *board, uint32_t value)
{
    vm_end(((struct board *)board)->vm,
           &(struct vm_end){.kind = VM_END_DEBUG_EXIT, .value = value});
}

static bool console_send(void *board, uint8_t byte)
{
    struct board *b = board;

    return chardev_send(b->console, byte);
}

static void console_rx_room(void *board)
{
    struct board *b = board;

    chardev_accept_input(b->console);
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

/* --- the list of devices ------------------------------------------------------------------- */

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

static void place(struct board *b, struct fdt_device fdt, const struct device_ops *ops, void *dev)
{
    b->placed[b->placed_count++] = (struct board_device){fdt, ops, dev};
}

/* A device, or a virtio slot, says something of its work; with the device lock held. */
static void remark(void *board, const char *device, const char *text, uint64_t a, uint64_t b,
                   uint64_t c)
{
    vm_remark(((struct board *)board)->vm, device, text, (const uint64_t[]){a, b, c});
}

void board_init(struct board *b, const struct machine_config *config, struct vm *vm)
{
    const struct options *o = config->options;
    struct machine_requests requests = {request_reset, request_poweroff, request_debug_exit, b};

    b->config = config;
    b->vm = vm;
    b->console = o->serial < 0 || !config->backends ? NULL : config->backends->chardev[o->serial];
    b->serial_timer = (struct loop_timer){.fire = fire_serial_timer, .opaque = b};
    b->rtc_timer = (struct loop_timer){.fire = fire_rtc_timer, .opaque = b};
    if (o->isa_serial) {
        serial_init(&b->serial, (struct irq_line){set_irq, b, IRQ_SERIAL},
                    (struct device_clock){monotonic_now, b},
                    (struct device_timer){arm_serial_timer, b},
                    (struct serial_backend){console_send, console_rx_room, b});
        place(b, serial_place, &serial_ops, &b->serial);
    }
    if (o->rtc) {
        rtc_init(&b->rtc, (struct irq_line){set_rtc_irq, b, IRQ_RTC},
                 (struct device_clock){utc_now, b}, (struct device_timer){arm_rtc_timer, b});
        place(b, rtc_place, &rtc_ops, &b->rtc);
    }
    i8042_init(&b->i8042, requests);
    place(b, i8042_place, &i8042_ops, &b->i8042);
    post_init(&b->post, (struct device_remark){remark, b});
    place(b, post_place, &post_ops, &b->post);
    power_init(&b->power, requests);
    place(b, power_place, &power_ops, &b->power);
    if (o->debug_exit) {
        struct fdt_device where = debug_exit_place;

        where.base = o->debug_exit_iobase;
        where.size = o->debug_exit_iosize;
        debug_exit_init(&b->debug_exit, requests);
        place(b, where, &debug_exit_ops, &b->debug_exit);
    }
}

static int attach_placed(struct board *b, struct error *err)
{
    for (unsigned i = 0; i < b->placed_count; i++) {
        const struct board_device *d = &b->placed[i];
        int r = bus_attach(d->fdt.pio ? &b->vm->pio : &b->vm->mmio, d->fdt.base, d->fdt.size,
                           d->ops, d->dev);

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

int board_attach(struct board *b, struct error *err)
{
    const struct plug_site site = {
        .options = b->config->options,
        .backends = b->config->backends,
        .mem = &b->vm->mem,
        .loop = b->config->loop,
        .device_lock = &b->vm->device_lock,
        .remark = {remark, b},
    };

    return attach_placed(b, err) < 0 ||
                   slots_plug(&b->slots, &site, b->vm, b->config->options->irqchip, err) < 0
               ? -1
               : 0;
}

/* --- what the guest is told of them --------------------------------------------------------------- */

int board_cmdline(char text[BOOT_CMDLINE_MAX], const struct options *o, struct error *err)
{
    size_t len = o->append ? strlen(o->append) : 0;
    char devices[BOOT_CMDLINE_MAX] = "";
    size_t used = 0;

    for (unsigned i = 0; o->auto_cmdline && i < o->devices.virtio_count; i++) {
        const struct fdt_device place = slot_place(o->devices.virtio[i].slot);

        used += (size_t)snprintf(
            devices + used, sizeof(devices) - used, " virtio_mmio.device=%llu@0x%llx:%d",
            (unsigned long long)place.size, (unsigned long long)place.base, place.irq);
    }
    if (len + used >= BOOT_CMDLINE_MAX)
        return error_set(err, STATUS_USAGE,
                         "the kernel's command line has %zu bytes with the virtio devices, at most "
                         "%d fit; shorten -append, or take -M microvm,auto-kernel-cmdline=off",
                         len + used, BOOT_CMDLINE_MAX - 1);
    memcpy(text, o->append ? o->append : "", len);
    memcpy(text + len, devices, used + 1);
    return 0;
}

/* libfdt zeroes all that it is given, so it is given little at first: a page that is not touched
 * costs nothing. */
int board_fdt(const struct board *b, void *blob)
{
    const struct options *o = b->config->options;
    const struct machine_images *images = b->config->images;
    struct fdt_device device[BOARD_DEVICES_MAX + VIRTIO_MMIO_SLOTS];
    unsigned count = 0;

    for (unsigned i = 0; i < b->placed_count; i++)
        device[count++] = b->placed[i].fdt;
    for (unsigned i = 0; i < o->devices.virtio_count; i++)
        device[count++] = slot_place(o->devices.virtio[i].slot);

    struct fdt_machine machine = {
        .model = "kvmlens,microvm",
        .ram_bytes = o->ram_bytes,
        .cpus = o->smp,
        .bootargs = o->append || images->cmdline[0] ? images->cmdline : NULL,
        .initrd_gpa = images->initrd_gpa,
        .initrd_size = o->initrd ? images->initrd.size : 0,
        .irqchip = o->irqchip,
        .pit = o->pit,
        .device = device,
        .device_count = count,
    };

    int size = -ENOSPC;

    for (uint32_t room = 4096; size == -ENOSPC && room <= BOOT_FDT_MAX; room *= 2)
        size = fdt_build(&machine, blob, room);
    return size;
}

/* --- the host's side ------------------------------------------------------------------------------ */

int board_connect(struct board *b, struct error *err)
{
    struct loop *loop = b->config->loop;

    if (loop_add_timer(loop, &b->serial_timer) < 0 || loop_add_timer(loop, &b->rtc_timer) < 0)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    if (!b->config->options->isa_serial)
        return 0;
    chardev_connect(b->console, &(struct chardev_peer){
                                    .room = serial_room_for_console,
                                    .receive = serial_from_console,
                                    .receive_break = serial_break_from_console,
                                    .writable = console_writable,
                                    .opaque = &b->serial,
                                });
    return 0;
}

void board_drain(struct board *b)
{
    pthread_mutex_lock(&b->vm->device_lock);
    slots_settle(&b->slots);
    pthread_mutex_unlock(&b->vm->device_lock);
    if (b->config->backends)
        chardev_drain(b->config->backends->chardev, &b->vm->device_lock);
}

void board_disconnect(struct board *b)
{
    slots_unplug(&b->slots);
    if (b->config->options->isa_serial)
        chardev_connect(b->console, NULL);
    loop_remove_timer(b->config->loop, &b->serial_timer);
    loop_remove_timer(b->config->loop, &b->rtc_timer);
}
