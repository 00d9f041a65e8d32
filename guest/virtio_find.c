/*
 * virtio_find.c: which virtio devices there are (virtio 1.2, 4.2.1), and their interrupts.  Who says
 * it: the command line; else the device tree; else the slots themselves, which are looked through,
 * and then nobody knows their interrupt lines.
 */
#include "kernel.h"
#include "virtio.h"
#include "x86.h"

#include <memmap.h>
#include <ports.h>
#include <post_codes.h>

static struct {
    bool searched;
    unsigned count;
    struct virtio slot[VIRTIO_SLOTS_MAX]; /* that have a device, by falling GPA */
} virtio;

/* The VMM fills its slots from the last one: falling addresses are the command line's order. */
static void add_slot(uint64_t gpa, uint32_t irq)
{
    struct virtio dev = {.regs = map_device(gpa), .irq = irq};
    if (virtio_get(&dev, VIRTIO_MMIO_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC ||
        virtio_get(&dev, VIRTIO_MMIO_VERSION) != VIRTIO_MMIO_MODERN ||
        !(dev.id = virtio_get(&dev, VIRTIO_MMIO_DEVICE_ID)) || virtio.count == VIRTIO_SLOTS_MAX)
        return;
    unsigned at = virtio.count++;
    for (; at > 0 && virtio.slot[at - 1].regs < dev.regs; at--)
        virtio.slot[at] = virtio.slot[at - 1];
    virtio.slot[at] = dev;
}

/* Each virtio_mmio.device=SIZE@GPA:IRQ of the command line. */
static unsigned search_command_line(void)
{
    const char *key = "virtio_mmio.device=", *at = memory()->command_line;
    unsigned named = 0;
    while ((at = find(at, key))) {
        uint64_t size, gpa, irq;
        at += strlen(key);
        const char *end = scan_number(at, &size);
        if (end && *end == '@' && (end = scan_number(end + 1, &gpa)) && *end == ':' &&
            scan_number(end + 1, &irq)) {
            add_slot(gpa, (uint32_t)irq);
            named++;
        }
    }
    return named;
}

/* Each node of the device tree that is compatible with "virtio,mmio". */
static unsigned search_fdt(const struct fdt *fdt)
{
    uint64_t gpa = 0;
    uint32_t irq = VIRTIO_NO_IRQ, offset = 0;
    bool compatible = false;
    unsigned named = 0;
    for (;;) {
        struct fdt_item item = fdt_next(fdt, &offset);
        if (item.token != FDT_PROPERTY && compatible && gpa) {
            add_slot(gpa, irq);
            named++;
        }
        if (item.token == FDT_END)
            return named;
        if (item.token != FDT_PROPERTY) {
            gpa = 0;
            irq = VIRTIO_NO_IRQ;
            compatible = false;
        } else if (strcmp(item.name, "compatible") == 0) {
            compatible = fdt_is_text(&item) && strcmp((const char *)item.data, "virtio,mmio") == 0;
        } else if (strcmp(item.name, "reg") == 0) {
            gpa = (uint64_t)fdt_cell(&item, 0) << 32 | fdt_cell(&item, 1);
        } else if (strcmp(item.name, "interrupts") == 0) {
            irq = fdt_cell(&item, 0);
        }
    }
}

struct virtio *virtio_find(uint32_t id, unsigned nth)
{
    if (!virtio.searched) {
        virtio.searched = true;
        const struct fdt *fdt = machine_fdt();
        if (search_command_line() == 0 && (!fdt || search_fdt(fdt) == 0)) {
            for (unsigned i = 0; i < VIRTIO_SLOTS_MAX; i++)
                add_slot(VIRTIO_MMIO_GPA + i * VIRTIO_MMIO_STRIDE, VIRTIO_NO_IRQ);
        }
        if (virtio.count)
            out8(PORT_POST, POST_VIRTIO);
    }
    for (unsigned i = 0; i < virtio.count; i++) {
        if (virtio.slot[i].id == id && nth-- == 0)
            return &virtio.slot[i];
    }
    return NULL;
}

bool virtio_route(const struct virtio *dev)
{
    if (!apic_present() || dev->irq >= ioapic_pins())
        return false;
    ioapic_route(dev->irq, (uint8_t)(VECTOR_VIRTIO + (dev - virtio.slot)));
    return true;
}

void virtio_interrupt(unsigned slot)
{
    struct virtio *dev = &virtio.slot[slot];
    uint32_t status = virtio_get(dev, VIRTIO_MMIO_INTERRUPT_STATUS);
    virtio_set(dev, VIRTIO_MMIO_INTERRUPT_ACK, status);
    dev->interrupt_count++;
    if (status & VIRTIO_MMIO_INT_CONFIG)
        dev->config_changed = true;
}
