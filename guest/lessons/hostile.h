/*
 * hostile.h: what the hostile lessons share: a guest that breaks each rule of virtio 1.2, 2.7 (queues)
 * and 4.2 (registers), and looks, after each attack, whether another device still works.
 *
 * An attack is announced, made, and its outcome told: the device answers, needs a reset, or says
 * nothing. All three are right; a VMM that crashes or hangs, or an entropy device that no longer
 * gives bytes, is not. The lesson ends through isa-debug-exit with 0 (status 1), or a 1 (status 3)
 * and a triple fault when the other device has failed, or the attacked one does not work any more
 * after a last reset.
 */
#ifndef LESSON_HOSTILE_H
#define LESSON_HOSTILE_H

#include <memmap.h>
#include <ports.h>
#include <power.h>
#include <stdint.h>
#include <uart16550.h>
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

#define ENTRIES      16
#define QUEUES       4
#define PATIENCE     25000000 /* cycles of the TSC, some 10 ms: a device has time to answer an attack */
#define PATIENCE_RNG 5000000000 /* some 2 s */
#define NEXT         VIRTQ_DESC_NEXT
#define WRITE        VIRTQ_DESC_WRITE

struct queue {
    struct virtq_desc desc[ENTRIES];
    struct {
        uint16_t flags, idx, ring[ENTRIES], used_event;
    } avail;
    struct {
        _Alignas(4) uint16_t flags;
        uint16_t idx;
        struct virtq_used_elem ring[ENTRIES];
        uint16_t avail_event;
    } used;
};

struct attack {
    const char *what;
    void (*make)(unsigned q); /* on queue Q, of the device that has just begun */
};

static volatile struct queue queue[QUEUES], rng_queue;
static volatile uint8_t data[65536], rng_bytes[8];
static volatile uint8_t *victim, *rng; /* the registers */
static uint32_t wanted_features;       /* of the victim, the first 32 */
static void (*stir)(
    void); /* makes the device look into the attacked queue; NULL: it does by itself */

static inline uint32_t get(volatile uint8_t *regs, unsigned reg)
{
    return *(volatile uint32_t *)(regs + reg);
}

static inline void set(volatile uint8_t *regs, unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(regs + reg) = value;
}

static inline void set64(volatile uint8_t *regs, unsigned reg, uint64_t value)
{
    set(regs, reg, (uint32_t)value);
    set(regs, reg + 4, (uint32_t)(value >> 32));
}

static inline void pause(void)
{
    __asm__ volatile("pause");
}

static inline uint64_t cycles(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline void print(const char *text)
{
    for (; *text; text++) {
        uint8_t status;
        do
            __asm__ volatile("inb %w1, %0" : "=a"(status) : "d"(PORT_SERIAL + UART_LSR));
        while (!(status & UART_LSR_THRE));
        __asm__ volatile("outb %0, %w1" : : "a"(*text), "d"(PORT_SERIAL + UART_THR));
    }
}

static inline _Noreturn void end(uint8_t value)
{
    static const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } no_idt = {0, 0};
    __asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(PORT_DEBUG_EXIT));
    if (value == 0)
        *(volatile uint8_t *)POWER_GPA = POWER_SLEEP_S5;
    __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    for (;;)
        pause();
}

/* The NTH device (from 0) of this ID. */
static inline volatile uint8_t *find_device(uint32_t id, unsigned nth)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        volatile uint8_t *regs =
            (volatile uint8_t *)(uint64_t)(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE);
        if (get(regs, VIRTIO_MMIO_MAGIC_VALUE) == VIRTIO_MMIO_MAGIC &&
            get(regs, VIRTIO_MMIO_VERSION) == VIRTIO_MMIO_MODERN &&
            get(regs, VIRTIO_MMIO_DEVICE_ID) == id && nth-- == 0)
            return regs;
    }
    return (volatile uint8_t *)0;
}

static inline void reset(volatile uint8_t *regs)
{
    set(regs, VIRTIO_MMIO_STATUS, 0);
    for (uint64_t start = cycles(); cycles() - start < PATIENCE && get(regs, VIRTIO_MMIO_STATUS);)
        pause();
}

static inline void agree(volatile uint8_t *regs, uint32_t wanted)
{
    reset(regs);
    set(regs, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    set(regs, VIRTIO_MMIO_DEVICE_SEL, 0);
    set(regs, VIRTIO_MMIO_DRIVER_SEL, 0);
    set(regs, VIRTIO_MMIO_DRIVER_FEATURES, get(regs, VIRTIO_MMIO_DEVICE_FEATURES) & wanted);
    set(regs, VIRTIO_MMIO_DRIVER_SEL, 1);
    set(regs, VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32));
    set(regs, VIRTIO_MMIO_STATUS,
        VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
}

static inline void place_at(volatile uint8_t *regs, unsigned number, uint64_t desc, uint64_t avail,
                            uint64_t used)
{
    set(regs, VIRTIO_MMIO_QUEUE_SEL, number);
    set(regs, VIRTIO_MMIO_QUEUE_NUM, ENTRIES);
    set64(regs, VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
    set64(regs, VIRTIO_MMIO_QUEUE_DRIVER_LOW, avail);
    set64(regs, VIRTIO_MMIO_QUEUE_DEVICE_LOW, used);
    set(regs, VIRTIO_MMIO_QUEUE_READY, 1);
}

static inline void place(volatile uint8_t *regs, unsigned number, volatile struct queue *at)
{
    uint8_t *bytes = (uint8_t *)at;
    uint64_t size = sizeof(*at);
    __asm__ volatile("rep stosb" : "+D"(bytes), "+c"(size) : "a"(0) : "memory");
    place_at(regs, number, (uint64_t)at->desc, (uint64_t)&at->avail, (uint64_t)&at->used);
}

static inline void go(volatile uint8_t *regs)
{
    set(regs, VIRTIO_MMIO_STATUS, get(regs, VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

/* The victim, with the queues that it has, as a good driver begins it. */
static inline void begin(void)
{
    agree(victim, wanted_features);
    for (unsigned i = 0; i < QUEUES; i++)
        place(victim, i, &queue[i]);
    go(victim);
}

static inline void describe(unsigned q, unsigned n, const volatile void *addr, uint64_t len,
                            unsigned flags, unsigned next)
{
    queue[q].desc[n] =
        (struct virtq_desc){(uint64_t)addr, (uint32_t)len, (uint16_t)flags, (uint16_t)next};
}

static inline void offer(unsigned q, unsigned head)
{
    queue[q].avail.ring[queue[q].avail.idx % ENTRIES] = (uint16_t)head;
    queue[q].avail.idx++;
    set(victim, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* One descriptor, either to be read or to be written. */
static inline void offer_one(unsigned q, const volatile void *addr, uint64_t len)
{
    describe(q, 0, addr, len, 0, 0);
    offer(q, 0);
    describe(q, 1, addr, len, WRITE, 0);
    offer(q, 1);
}

static inline void *gpa(uint64_t address)
{
    return (void *)address;
}

/* Polls until the device has used N buffers of queue Q. */
static inline int answers(unsigned q, unsigned n, uint64_t patience)
{
    for (uint64_t start = cycles(); cycles() - start < patience && queue[q].used.idx < n;)
        pause();
    return queue[q].used.idx >= n;
}

/* Before the next part of an attack: waits until the device has had the one before, and begins anew
 * where that has broken it. */
static inline void settle(unsigned q)
{
    uint64_t start = cycles();
    unsigned broken = 0;
    for (unsigned i = 1; cycles() - start < PATIENCE && !broken; i++) {
        if (queue[q].used.idx == queue[q].avail.idx)
            return;
        if (i % 128 == 0) /* to look is an exit */
            broken = get(victim, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
        pause();
    }
    if (broken || (get(victim, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET))
        begin();
}

static inline void check_rng(void)
{
    rng_queue.avail.ring[rng_queue.avail.idx % ENTRIES] = 0;
    rng_queue.avail.idx++;
    set(rng, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    for (uint64_t start = cycles(); cycles() - start < PATIENCE_RNG;) {
        if (rng_queue.used.idx == rng_queue.avail.idx)
            return;
        pause();
    }
    print("FAILED: the entropy device gives nothing any more\r\n");
    end(1);
}

static inline void attack_all(const struct attack *attacks, unsigned count, unsigned q)
{
    for (unsigned i = 0; i < count; i++) {
        print("queue ");
        print((char[]){(char)('0' + q), ':', ' ', 0});
        print(attacks[i].what);
        begin();
        attacks[i].make(q);
        if (stir)
            stir();
        const char *outcome = "no answer";
        if (answers(q, 1, PATIENCE))
            outcome = "answered";
        if (get(victim, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET)
            outcome = "needs a reset";
        print(": ");
        print(outcome);
        check_rng();
        print("; the entropy device works\r\n");
    }
}

/* Finds the two devices; of two entropy devices the second one is not attacked. */
static inline void hostile_begin(uint32_t id, uint32_t features, const char *hint)
{
    victim = find_device(id, 0);
    rng = find_device(VIRTIO_ID_ENTROPY, id == VIRTIO_ID_ENTROPY);
    if (!victim || !rng) {
        print(hint);
        end(0);
    }
    wanted_features = features;
    agree(rng, 0);
    place(rng, 0, &rng_queue);
    go(rng);
    rng_queue.desc[0] =
        (struct virtq_desc){(uint64_t)rng_bytes, sizeof(rng_bytes), VIRTQ_DESC_WRITE, 0};
    check_rng();
}

static inline _Noreturn void hostile_end(int works)
{
    print(works ? "after a last reset, the attacked device works\r\n"
                : "FAILED: the attacked device does not work any more\r\n");
    end(works ? 0 : 1);
}

#endif
