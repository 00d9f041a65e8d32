/*
 * virtio-balloon.c: gives a page of memory to the host.
 *
 *     build/kvmlens -kernel build/guest/lessons/virtio-balloon.elf -device virtio-balloon-device
 *
 * The lesson virtio-rng tells what a queue is. Here the buffer holds the numbers of pages that the
 * guest can do without. The host takes the memory behind them; who reads such a page all the same
 * finds a fresh one, full of zeros.
 * Specification: virtio 1.2, 2.7 (queues), 3.1 (initialisation), 4.2 (MMIO), 5.5 (balloon).
 */
#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <stdint.h>
#include <uart16550.h>
#include <virtio_balloon.h>
#include <virtio_mmio.h>
#include <virtio_ring.h>

/* From PVH's 32-bit start to long mode, as the lesson longmode explains; the first 4 GiB are mapped
 * to themselves. */
__asm__(".section .note.pvh, \"a\", @note; .long 4, 8, 18; .asciz \"Xen\"; .quad start\n"
        ".text; .code32; .globl start\n"
        "start: movl %cr4, %eax; orl $0x20, %eax; movl %eax, %cr4\n"
        "       movl $pml4, %eax; movl %eax, %cr3\n"
        "       movl $0xc0000080, %ecx; rdmsr; orl $0x100, %eax; wrmsr\n"
        "       movl %cr0, %eax; orl $0x80000000, %eax; movl %eax, %cr0\n"
        "       lgdtl gdt_register; ljmpl $8, $long_mode\n"
        ".code64\n"
        "long_mode: movw $16, %ax; movw %ax, %ss; movw %ax, %ds; movw %ax, %es\n"
        "       movq $stack_top, %rsp; xorl %ebp, %ebp; call lesson; hlt\n"
        ".data; .balign 8\n"
        "gdt:   .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "gdt_register: .word 23; .long gdt\n"
        ".balign 4096\n"
        "pml4:  .quad pdpt + 3; .fill 511, 8, 0\n"
        "pdpt:  .quad pd + 0x3, pd + 0x1003, pd + 0x2003, pd + 0x3003; .fill 508, 8, 0\n"
        "pd:    .set gpa, 0; .rept 2048; .quad gpa + 0x83; .set gpa, gpa + 0x200000; .endr\n"
        ".bss; .balign 16; .skip 4096\n"
        "stack_top: .text");

#define ENTRIES 8 /* of a queue: a power of two */

/* A split virtqueue: three parts, which may lie anywhere in memory. */
struct queue {
    struct virtq_desc desc[ENTRIES]; /* what a buffer is made of */
    struct {
        uint16_t flags, idx, ring[ENTRIES]; /* numbers of descriptors, for the device */
    } avail;
    struct {
        _Alignas(4) uint16_t flags; /* (each part has its alignment: 16, 2 and 4) */
        uint16_t idx;
        struct virtq_used_elem ring[ENTRIES]; /* which it has used, and how much it wrote */
    } used;
};

void lesson(void); /* called from the assembly above */

static volatile uint8_t *regs; /* of the device; volatile: each access counts */

static uint32_t get(unsigned reg)
{
    return *(volatile uint32_t *)(regs + reg);
}

static void set(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(regs + reg) = value;
}

static void print(const char *text)
{
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %w1, %0" : "=a"(status) : "d"(PORT_SERIAL + UART_LSR));
        while (!(status & UART_LSR_THRE));
        __asm__ volatile("outb %0, %w1" : : "a"(*text), "d"(PORT_SERIAL + UART_THR));
    }
}

/* The machine has 32 places for devices at most, one behind the other; most are empty. */
static int find(uint32_t id)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        regs = (volatile uint8_t *)(uint64_t)(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE);
        if (get(VIRTIO_MMIO_MAGIC_VALUE) == VIRTIO_MMIO_MAGIC &&
            get(VIRTIO_MMIO_VERSION) == VIRTIO_MMIO_MODERN && get(VIRTIO_MMIO_DEVICE_ID) == id)
            return 1;
    }
    return 0;
}

/* The device and the driver meet (3.1.1). Of all that the device offers we take one feature, without
 * which it would be a device of the times before version 1. */
static void begin(void)
{
    set(VIRTIO_MMIO_STATUS, 0); /* reset: whatever went before is forgotten */
    set(VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    set(VIRTIO_MMIO_DRIVER_SEL, VIRTIO_F_VERSION_1 / 32);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1u << VIRTIO_F_VERSION_1 % 32);
    set(VIRTIO_MMIO_STATUS,
        VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    if (!(get(VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK))
        print("the device does not agree\r\n");
}

static void set_address(unsigned reg, const volatile void *part)
{
    set(reg, (uint32_t)(uint64_t)part);
    set(reg + 4, (uint32_t)((uint64_t)part >> 32));
}

/* Tells the device where queue NUMBER lies. */
static void place(unsigned number, volatile struct queue *queue)
{
    set(VIRTIO_MMIO_QUEUE_SEL, number);
    set(VIRTIO_MMIO_QUEUE_NUM, ENTRIES);
    set_address(VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc);
    set_address(VIRTIO_MMIO_QUEUE_DRIVER_LOW, &queue->avail);
    set_address(VIRTIO_MMIO_QUEUE_DEVICE_LOW, &queue->used);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
}

static volatile struct queue inflate, deflate;
static _Alignas(4096) volatile char page[4096] = "this page is the guest's";
static volatile uint32_t page_number;

void lesson(void)
{
    if (!find(VIRTIO_ID_BALLOON)) {
        print("no balloon: add -device virtio-balloon-device\r\n");
    } else {
        begin();
        place(VIRTIO_BALLOON_INFLATE, &inflate);
        place(VIRTIO_BALLOON_DEFLATE, &deflate);
        set(VIRTIO_MMIO_STATUS, get(VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);

        page_number = (uint32_t)((uint64_t)page >> VIRTIO_BALLOON_PAGE_SHIFT);
        inflate.desc[0] = (struct virtq_desc){(uint64_t)&page_number, sizeof(page_number), 0, 0};
        inflate.avail.ring[0] = 0;
        print("before: ");
        print((const char *)page);
        print("\r\n");
        inflate.avail.idx = 1; /* from here on the device may take it, notified or not */
        set(VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_BALLOON_INFLATE);
        while (inflate.used.idx == 0)
            __asm__ volatile("pause");
        print(page[0] == 0 ? "after: zeros; the host has had the page\r\n"
                           : "after: the host has left it as it was\r\n");
    }
    *(volatile uint8_t *)POWER_GPA = POWER_SLEEP_S5;
}
