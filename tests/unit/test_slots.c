/*
 * test_slots.c: the board's virtio-mmio slots on the fake KVM, with a device of the test's own in the
 * place of the disk's.
 */
#include "fake_kvm.h"
#include "slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <ports.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM    0x100000u
#define QUEUES 3
#define SIZE   8
#define IRQ    12 /* of slot 7 */

struct counter {
    struct virtio_device dev;
    unsigned kicks[QUEUES];
    unsigned turns; /* after which it wants to be notified again */
    bool unplugged;
};

struct fixture {
    struct options options;
    struct vm vm;
    struct loop loop;
    struct counter counter[VIRTIO_DEVICES_MAX];
    unsigned plugged, fail_at; /* the plug with this number (from 1) fails */
    struct virtio_slots slots;
    uint8_t *ram;
};

static void kick(struct virtio_device *dev, unsigned queue)
{
    struct counter *c = (struct counter *)dev;

    c->kicks[queue]++;
    if (c->turns > 0) {
        c->turns--;
        virtio_leave_for_later(dev, queue);
    }
}

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return 0;
}

static const struct virtio_ops counter_ops = {
    .id = VIRTIO_ID_BLOCK, .config_size = 4, .config_read = config_read, .kick = kick};

static void unplug_counter(struct plugged *plugged)
{
    struct counter *c = plugged->opaque;

    assert_false(c->unplugged);
    c->unplugged = true;
    virtio_config_changed(&c->dev); /* a last interrupt still finds its way */
}

/* Stands in for the disk's plug; the test's options lie in a fixture. */
int plug_blk(struct plugged *out, const struct plug_site *site, const struct virtio_option *option,
             struct error *err)
{
    struct fixture *f = (struct fixture *)(uintptr_t)site->options;
    struct counter *c = &f->counter[f->plugged];

    if (++f->plugged == f->fail_at)
        return error_set(err, STATUS_INTERNAL, "no such plug");
    virtio_init(&c->dev, &counter_ops, option->name, site->mem, site->remark, 0, QUEUES);
    *out = (struct plugged){&c->dev, unplug_counter, c};
    return 0;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;

    fake_kvm = (struct fake_kvm){0};
    assert_int_equal(vm_create(&f->vm, 1, NULL, &err), 0);
    f->ram = aligned_alloc(4096, RAM);
    memset(f->ram, 0, RAM);
    assert_int_equal(vm_map(&f->vm, 0, RAM, f->ram, false, &err), 0);
    assert_int_equal(vm_create_irqchip(&f->vm, true, &err), 0);
    assert_int_equal(loop_init(&f->loop), 0);
    f->options.devices.ioeventfd = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    slots_unplug(&f->slots);
    slots_unplug(&f->slots); /* they are empty */
    assert_int_equal(f->loop.fds.count, 0);
    for (unsigned i = 0; i + 1 < f->fail_at || (!f->fail_at && i < f->plugged); i++)
        assert_true(f->counter[i].unplugged);
    loop_close(&f->loop);
    vm_destroy(&f->vm);
    free(f->ram);
    free(f);
    return 0;
}

/* Plugs COUNT devices; their slots from the last one down. */
static int plug(struct fixture *f, unsigned count, bool irqchip, struct error *err)
{
    for (unsigned i = 0; i < count; i++)
        f->options.devices.virtio[i] =
            (struct virtio_option){.kind = VIRTIO_BLK, .slot = 7 - i, .name = "counter"};
    f->options.devices.virtio_count = count;

    const struct plug_site site = {
        .options = &f->options,
        .mem = &f->vm.mem,
        .loop = &f->loop,
        .device_lock = &f->vm.device_lock,
    };

    return slots_plug(&f->slots, &site, &f->vm, irqchip, err);
}

static uint32_t get(struct fixture *f, unsigned slot, uint32_t reg)
{
    return (uint32_t)bus_read(&f->vm.mmio, VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + reg, 4);
}

static void set(struct fixture *f, unsigned slot, uint32_t reg, uint32_t value)
{
    bus_write(&f->vm.mmio, VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + reg, 4, value);
}

/* The driver makes all queues of the device in slot 7 ready. */
static void start(struct fixture *f)
{
    set(f, 7, VIRTIO_MMIO_STATUS, 3);
    set(f, 7, VIRTIO_MMIO_DRIVER_SEL, 1);
    set(f, 7, VIRTIO_MMIO_DRIVER_FEATURES, 1); /* VERSION_1 */
    set(f, 7, VIRTIO_MMIO_STATUS, 0xb);
    for (uint32_t q = 0; q < QUEUES; q++) {
        set(f, 7, VIRTIO_MMIO_QUEUE_SEL, q);
        set(f, 7, VIRTIO_MMIO_QUEUE_NUM, SIZE);
        set(f, 7, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000 * (q + 1));
        set(f, 7, VIRTIO_MMIO_QUEUE_DRIVER_LOW, 0x1000 * (q + 1) + 0x400);
        set(f, 7, VIRTIO_MMIO_QUEUE_DEVICE_LOW, 0x1000 * (q + 1) + 0x800);
        set(f, 7, VIRTIO_MMIO_QUEUE_READY, 1);
    }
    set(f, 7, VIRTIO_MMIO_STATUS, 0xf);
    assert_int_equal(get(f, 7, VIRTIO_MMIO_STATUS), 0xf);
}

/* How often the interrupt was raised since it was last asked. */
static uint64_t edges(unsigned irq)
{
    uint64_t count;

    return read(fake_kvm.irqfd[irq], &count, sizeof count) == sizeof count ? count : 0;
}

/* KVM's part of a notification. */
static void notify_past_the_vcpu(unsigned nth)
{
    uint64_t one = 1;

    assert_in_range(nth, 0, fake_kvm.ioeventfds - 1);
    assert_int_equal(write(fake_kvm.ioeventfd[nth].fd, &one, sizeof one), sizeof one);
}

static void run_loop_once(struct fixture *f)
{
    loop_quit(&f->loop);
    assert_int_equal(loop_run(&f->loop, &f->vm.device_lock), 0);
}

static void every_slot_is_on_the_bus(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 2, true, &err), 0);
    for (unsigned i = 0; i < VIRTIO_MMIO_SLOTS; i++) {
        assert_int_equal(get(f, i, VIRTIO_MMIO_MAGIC_VALUE), VIRTIO_MMIO_MAGIC);
        assert_int_equal(get(f, i, VIRTIO_MMIO_VERSION), VIRTIO_MMIO_MODERN);
        assert_int_equal(get(f, i, VIRTIO_MMIO_DEVICE_ID), i >= 6 ? VIRTIO_ID_BLOCK : 0);
        assert_int_equal(fake_kvm.irqfd[IRQ_VIRTIO_BASE + i] != 0, i >= 6);
    }
    assert_int_equal(slot_place(7).base, 0xfeb00e00);
    assert_int_equal(slot_place(7).irq, IRQ);
    assert_true(slot_place(0).edge && slot_place(0).coherent);
}

static void each_reason_is_an_edge(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 1, true, &err), 0);
    start(f);
    assert_int_equal(edges(IRQ), 0);
    virtio_config_changed(&f->counter[0].dev);
    assert_int_equal(edges(IRQ), 1);
    virtio_config_changed(&f->counter[0].dev); /* nobody has heard the first one yet */
    assert_int_equal(edges(IRQ), 0);
    f->counter[0].dev.transport.interrupt(f->counter[0].dev.transport.opaque,
                                          VIRTIO_MMIO_INT_USED_RING);
    assert_int_equal(edges(IRQ), 1);
    set(f, 7, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    assert_int_equal(edges(IRQ), 1); /* one reason is left */
    set(f, 7, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_USED_RING);
    assert_int_equal(edges(IRQ), 0);
    virtio_config_changed(&f->counter[0].dev);
    assert_int_equal(edges(IRQ), 1);
}

static void notifications_go_past_the_vcpu(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 2, true, &err), 0);
    assert_int_equal(fake_kvm.ioeventfds, 2 * QUEUES);
    for (unsigned i = 0; i < 2 * QUEUES; i++) {
        assert_int_equal(fake_kvm.ioeventfd[i].gpa, i < QUEUES ? 0xfeb00e50 : 0xfeb00c50);
        assert_int_equal(fake_kvm.ioeventfd[i].value, i % QUEUES);
    }
    start(f);
    notify_past_the_vcpu(1);
    notify_past_the_vcpu(1); /* KVM counts; once is enough */
    notify_past_the_vcpu(QUEUES);
    run_loop_once(f);
    assert_int_equal(f->counter[0].kicks[0], 0);
    assert_int_equal(f->counter[0].kicks[1], 1);
    assert_int_equal(f->counter[1].kicks[0], 0); /* its driver has not started */
    run_loop_once(f);
    assert_int_equal(f->counter[0].kicks[1], 1);
}

static void last_notifications_are_heard(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 1, true, &err), 0);
    start(f);
    slots_settle(&f->slots);
    assert_int_equal(f->counter[0].kicks[2], 0);
    notify_past_the_vcpu(2);
    slots_settle(&f->slots);
    slots_settle(&f->slots);
    assert_int_equal(f->counter[0].kicks[2], 1);
    f->counter[0].turns = 3;
    notify_past_the_vcpu(2);
    slots_settle(&f->slots);
    assert_int_equal(f->counter[0].kicks[2], 5); /* to the end, however many turns it takes */
}

static void notifications_as_exits(void **state)
{
    struct fixture *f = *state;
    struct error err;

    f->options.devices.ioeventfd = false;
    assert_int_equal(plug(f, 1, true, &err), 0);
    assert_int_equal(fake_kvm.ioeventfds, 0);
    start(f);
    set(f, 7, VIRTIO_MMIO_QUEUE_NOTIFY, 2);
    set(f, 7, VIRTIO_MMIO_QUEUE_NOTIFY, QUEUES); /* no such queue */
    assert_int_equal(f->counter[0].kicks[2], 1);
}

static void without_interrupt_controllers(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 1, false, &err), 0);
    start(f);
    virtio_config_changed(&f->counter[0].dev);
    assert_int_equal(fake_kvm.irqfd[IRQ], 0);
    assert_int_equal(get(f, 7, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
}

static void an_unplugged_slot_is_empty(void **state)
{
    struct fixture *f = *state;
    struct error err;

    assert_int_equal(plug(f, 8, true, &err), 0);
    start(f);
    slots_unplug(&f->slots);
    for (unsigned i = 0; i < VIRTIO_MMIO_SLOTS; i++)
        assert_int_equal(get(f, i, VIRTIO_MMIO_DEVICE_ID), 0);
    set(f, 7, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(f->counter[0].kicks[0], 0);
}

static void failures_are_named(void **state)
{
    struct fixture *f = *state;
    struct error err;

    f->fail_at = 3;
    assert_int_equal(plug(f, 4, true, &err), -1);
    assert_string_equal(err.text, "no such plug");
    slots_unplug(&f->slots);
    assert_int_equal(f->plugged, 3);

    /* The bus has the slots already. */
    assert_int_equal(plug(f, 1, true, &err), -1);
    assert_non_null(strstr(err.text, "virtio-mmio slot 0"));
}

static void kvm_without_ioeventfd(void **state)
{
    struct fixture *f = *state;
    struct error err;

    fake_kvm.fail_ioeventfd = -ENOSPC;
    assert_int_equal(plug(f, 1, true, &err), -1);
    assert_int_equal(err.status, STATUS_NO_KVM);
    assert_non_null(strstr(err.text, "virtio-mmio.ioeventfd=off"));
}

static void kvm_without_irqfd(void **state)
{
    struct fixture *f = *state;
    struct error err;

    fake_kvm.fail_irqfd = -EBUSY;
    assert_int_equal(plug(f, 1, true, &err), -1);
    assert_int_equal(err.status, STATUS_NO_KVM);
    assert_non_null(strstr(err.text, "KVM_IRQFD"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_slot_is_on_the_bus),       TEST(each_reason_is_an_edge),
        TEST(notifications_go_past_the_vcpu), TEST(last_notifications_are_heard),
        TEST(notifications_as_exits),         TEST(without_interrupt_controllers),
        TEST(an_unplugged_slot_is_empty),     TEST(failures_are_named),
        TEST(kvm_without_ioeventfd),          TEST(kvm_without_irqfd),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
