/*
 * fdt.h: the machine as a flattened device tree, made with libfdt
 * (Devicetree Specification v0.4; bindings: the Linux kernel's Documentation/devicetree/bindings).
 */
#ifndef KVMLENS_FDT_H
#define KVMLENS_FDT_H

#include <stdbool.h>
#include <stdint.h>

/* One device. The node is named NAME@BASE; a device on I/O ports is under /soc/isa@0, one on MMIO
 * under /soc. Its interrupt is a rising edge on I/O ports (as on an ISA bus) and where EDGE says so,
 * else level, active high. */
struct fdt_device {
    const char *name;       /* generic node name: "serial", "rtc", "virtio_mmio" */
    const char *compatible; /* "ns16550a", "motorola,mc146818", ... */
    bool pio;
    uint64_t base, size; /* ports, or GPA and bytes */
    int irq;             /* GSI, or -1; left out where there is no irqchip */
    uint32_t clock_hz;   /* clock-frequency, or 0 */
    bool edge;
    bool coherent; /* dma-coherent */
};

struct fdt_machine {
    const char *model; /* "kvmlens,microvm" */
    uint64_t ram_bytes;
    unsigned cpus;
    const char *bootargs;             /* or NULL */
    uint64_t initrd_gpa, initrd_size; /* size 0: none */
    bool irqchip, pit;                /* interrupt controllers and timer in the kernel */
    const struct fdt_device *device;
    unsigned device_count;
};

/* Builds the tree into BLOB (CAPACITY bytes). Returns its size in bytes, or -ENOSPC. */
int fdt_build(const struct fdt_machine *machine, void *blob, uint32_t capacity);

#endif
