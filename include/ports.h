/*
 * ports.h: I/O ports and interrupt lines of the machine, as on a PC (and QEMU's microvm).
 * docs/machine.md is generated from these lines.
 */
#ifndef KVMLENS_PORTS_H
#define KVMLENS_PORTS_H

/* Ports that kvmlens emulates: each access is an exit to userspace */
#define PORT_I8042        0x60  /* i8042 data (0x60) and command (0x64); 5 ports */
#define PORT_I8042_COUNT  5     /* ports */
#define PORT_RTC          0x70  /* MC146818 index (0x70) and data (0x71) */
#define PORT_RTC_COUNT    2     /* ports */
#define PORT_POST         0x80  /* POST code; guests also write milestones here */
#define PORT_DEBUG_EXIT   0xf4  /* isa-debug-exit, where guests look for it (iobase=0xf4) */
#define PORT_SERIAL       0x3f8 /* 16550A UART, COM1 */
#define PORT_SERIAL_COUNT 8     /* ports */

/* Ports that KVM emulates in the kernel: no exit to userspace */
#define PORT_PIC_MASTER 0x20  /* 8259A master: 0x20, 0x21 */
#define PORT_PIC_SLAVE  0xa0  /* 8259A slave: 0xa0, 0xa1 */
#define PORT_PIT        0x40  /* 8254 timer: channels 0x40 to 0x42, mode 0x43 */
#define PORT_PIT_GATE   0x61  /* channel 2 gate and output */
#define PORT_ELCR       0x4d0 /* edge/level control: 0x4d0, 0x4d1 */

/* Interrupt lines (ISA IRQ = GSI) */
#define IRQ_PIT         0 /* 8254 channel 0 (GSI 2 on the I/O APIC) */
#define IRQ_SERIAL      4 /* COM1 */
#define IRQ_VIRTIO_BASE 5 /* virtio-mmio slots: slot N has 5 + N, edges (QEMU: with acpi=off) */
#define IRQ_RTC         8 /* MC146818; also of virtio slot 3: both make edges */

#endif
