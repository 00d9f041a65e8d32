/*
 * exit.c: the ONE function that handles an exit.
 *
 * It knows buses, not devices: I/O goes to whoever claimed the address, and everything else either
 * ends the VM or is no event at all.  docs/exits.md says the same in words.
 * Source: the kernel's Documentation/virt/kvm/api.rst, section 5.
 */
#include "trace/trace.h"
#include "vm.h"

#include <string.h>

/* Little-endian, like the guest. */
static uint64_t load_le(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes, size);
    return value;
}

static void store_le(uint8_t *bytes, unsigned size, uint64_t value)
{
    memcpy(bytes, &value, size);
}

static void access_one(const struct bus *bus, uint64_t addr, unsigned size, bool write,
                       uint8_t *bytes)
{
    if (write)
        bus_write(bus, addr, size, load_le(bytes, size));
    else
        store_le(bytes, size, bus_read(bus, addr, size));
}

/* The size of the accesses that EXIT is made of. An MMIO access that crosses a page comes in pieces
 * of odd sizes: those go byte by byte. */
static unsigned access_size(const struct vm_exit *exit)
{
    bool odd = (exit->size & (exit->size - 1)) != 0;

    return odd ? 1 : exit->size;
}

/* String I/O repeats the access on the same port while the data moves on. */
static void access_bus(const struct bus *bus, const struct vm_exit *exit)
{
    uint8_t *bytes = exit->data;
    unsigned step = access_size(exit);

    for (uint32_t i = 0; i < exit->count; i++)
        for (unsigned at = 0; at < exit->size; at += step, bytes += step)
            access_one(bus, exit->addr + at, step, exit->write, bytes);
}

/* Who answers, and by which register: asked before the access, which may change the answer (the
 * UART's DLAB bit). */
static void name_target(struct trace_event *event, const struct bus *bus,
                        const struct vm_exit *exit)
{
    const struct bus_range *range = bus_find(bus, exit->addr, access_size(exit));

    if (!range)
        return;
    event->device = range->ops->instance ? range->ops->instance(range->dev) : NULL;
    if (!event->device)
        event->device = range->ops->name;
    if (range->ops->reg_name)
        event->reg = range->ops->reg_name(range->dev, exit->addr - range->base, exit->write);
}

static void do_io(struct vcpu *vcpu, const struct bus *bus, struct vm_exit *exit,
                  struct trace_event *event)
{
    struct vm *vm = vcpu->vm;
    uint64_t bytes = (uint64_t)exit->size * exit->count;

    event->data_len = (uint8_t)(bytes < TRACE_DATA_MAX ? bytes : TRACE_DATA_MAX);
    pthread_mutex_lock(&vm->device_lock);
    name_target(event, bus, exit);
    if (exit->write)
        memcpy(event->data, exit->data, event->data_len);
    vm->handling = vcpu;
    vm->handler = pthread_self();
    access_bus(bus, exit);
    vm->handling = NULL;
    if (!exit->write)
        memcpy(event->data, exit->data, event->data_len);
    pthread_mutex_unlock(&vm->device_lock);
}

static enum vm_end_kind end_of_system_event(const struct vm_exit *exit)
{
    switch (exit->event) {
    case SYSTEM_EVENT_SHUTDOWN:
        return VM_END_POWEROFF;
    case SYSTEM_EVENT_RESET:
        return VM_END_RESET;
    case SYSTEM_EVENT_CRASH:
        return VM_END_CRASH;
    case SYSTEM_EVENT_OTHER:
        break;
    }
    return VM_END_KVM_FAIL;
}

/* What the exit does; VM_END_NONE: the guest goes on. */
static enum vm_end_kind dispatch(struct vcpu *vcpu, struct vm_exit *exit, struct trace_event *event)
{
    switch (exit->kind) {
    case VM_EXIT_PIO:
        do_io(vcpu, &vcpu->vm->pio, exit, event);
        return VM_END_NONE;
    case VM_EXIT_MMIO:
        do_io(vcpu, &vcpu->vm->mmio, exit, event);
        return VM_END_NONE;
    case VM_EXIT_INTR:
    case VM_EXIT_AGAIN:
        return VM_END_NONE;
    case VM_EXIT_HLT:
        return VM_END_POWEROFF; /* comes only where no interrupt controller could wake it */
    case VM_EXIT_SHUTDOWN:
        return VM_END_CRASH;
    case VM_EXIT_SYSTEM_EVENT:
        return end_of_system_event(exit);
    case VM_EXIT_INTERNAL_ERROR:
    case VM_EXIT_FAIL_ENTRY:
    case VM_EXIT_DEBUG: /* never asked for, like every other reason */
    case VM_EXIT_OTHER:
    case VM_EXIT_NOTE:
    case VM_EXIT_KERNEL:
    case VM_EXIT_KINDS:
        break;
    }
    return VM_END_KVM_FAIL;
}

/* The vCPU whose exit this thread is handling, or NULL. */
static struct vcpu *handling_here(const struct vm *vm)
{
    return vm->handling && pthread_equal(vm->handler, pthread_self()) ? vm->handling : NULL;
}

void vm_remark(struct vm *vm, const char *device, const char *text, const uint64_t arg[3])
{
    struct vcpu *vcpu = handling_here(vm);
    struct trace_event *event = vcpu ? &vcpu->last[vcpu->exits % VCPU_LAST_EXITS] : NULL;

    if (event && event->device == device && !event->remark) {
        event->remark = text;
        memcpy(event->remark_arg, arg, sizeof(event->remark_arg));
        return;
    }
    if (!vm->trace)
        return;

    struct trace_event note = {
        .start_ns = trace_now(vm->trace),
        .vcpu = vcpu ? vcpu->index : TRACE_NO_VCPU,
        .kind = VM_EXIT_NOTE,
        .device = device,
        .remark = text,
        .remark_arg = {arg[0], arg[1], arg[2]},
    };

    /* Behind the line of their exit, as many as fit. */
    if (vcpu && vcpu->notes < VCPU_NOTES_MAX)
        vcpu->note[vcpu->notes++] = note;
    else
        trace_emit(vm->trace, &note);
}

void vm_handle_exit(struct vcpu *vcpu, struct vm_exit *exit)
{
    struct trace_event *event = &vcpu->last[vcpu->exits % VCPU_LAST_EXITS];

    memset(event, 0, TRACE_EVENT_PLAIN);
    event->vcpu = vcpu->index;
    event->kind = exit->kind;
    event->write = exit->write;
    event->size = exit->size;
    event->count = exit->count;
    event->addr = exit->addr;
    event->detail = exit->detail;
    event->detail_name = exit->detail_name;
    event->raw_name = exit->raw_name;
    event->rip = exit->rip;

    enum vm_end_kind end = dispatch(vcpu, exit, event);

    vcpu->exits++;
    if (end != VM_END_NONE)
        vm_end(vcpu->vm, &(struct vm_end){.kind = end, .vcpu = vcpu->index, .exit = *exit});
}

uint64_t vm_trace_exit(struct vcpu *vcpu, uint64_t entered_ns, uint64_t left_ns)
{
    struct trace *trace = vcpu->vm->trace;
    struct trace_event *event = &vcpu->last[(vcpu->exits - 1) % VCPU_LAST_EXITS];
    uint64_t done_ns = trace_now(trace);

    event->start_ns = entered_ns;
    event->guest_ns = left_ns - entered_ns;
    event->vmm_ns = done_ns - left_ns;
    trace_emit(trace, event);
    for (unsigned i = 0; i < vcpu->notes; i++)
        trace_emit(trace, &vcpu->note[i]);
    vcpu->notes = 0;
    return trace_wait(trace, vcpu->index) ? trace_now(trace) : done_ns;
}
