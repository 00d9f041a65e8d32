/*
 * generate.c: a page of made-up events, to try the page with many: generate COUNT >FILE; or the same
 * events as JSON lines: generate COUNT jsonl >FILE.
 *
 * A guest with two vCPUs that reads its disk and prints; kernel events and notes between; registers
 * with every exit. The same COUNT gives the same page.
 */
#include "trace/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shape {
    const char *kind, *device, *reg, *symbol, *file, *insn, *remark, *text;
    enum vm_exit_kind exit;
    bool write;
    uint8_t size;
    uint64_t addr, rip;
    uint64_t guest_ns, vmm_ns; /* usual */
    unsigned weight;
};

#define BLK         0xfeb00000
#define FILE_SERIAL "guest/serial.c"
#define FILE_BLK    "guest/blk.c"

static const struct shape shapes[] = {
    {"in", "serial", "LSR", "serial_put", FILE_SERIAL, "in al, dx", NULL, NULL, VM_EXIT_PIO, false,
     1, 0x3fd, 0x101a23, 7800, 420, 30},
    {"out", "serial", "THR", "serial_put", FILE_SERIAL, "out dx, al", NULL, NULL, VM_EXIT_PIO, true,
     1, 0x3f8, 0x101a31, 8100, 960, 30},
    {"mmio read", "virtio-blk0", "InterruptStatus", "virtio_irq", "guest/virtio.c",
     "mov eax, [rdx+0x60]", NULL, NULL, VM_EXIT_MMIO, false, 4, BLK + 0x60, 0x102210, 15200, 610,
     8},
    {"mmio write", "virtio-blk0", "InterruptACK", "virtio_irq", "guest/virtio.c",
     "mov [rdx+0x64], eax", NULL, NULL, VM_EXIT_MMIO, true, 4, BLK + 0x64, 0x102222, 15100, 700, 8},
    {"mmio write", "virtio-blk0", "QueueNotify", "blk_read", FILE_BLK, "mov [rdx+0x50], eax",
     "read sector 2048 len 4096", NULL, VM_EXIT_MMIO, true, 4, BLK + 0x50, 0x102c11, 15900, 24000,
     6},
    {"out", "post", NULL, "bench", "guest/commands.c", "out 0x80, al", NULL, NULL, VM_EXIT_PIO,
     true, 1, 0x80, 0x103001, 6900, 120, 10},
    {"out", NULL, NULL, "probe</script><b>", "guest/<i>.c", "out dx, eax", NULL, NULL, VM_EXIT_PIO,
     true, 4, 0x2a0, 0x103331, 7400, 150, 1},
    {"hlt", NULL, NULL, "idle", "guest/cpu.c", "hlt", NULL, NULL, VM_EXIT_HLT, false, 0, 0,
     0x103b00, 900000, 900, 1},
    {"note", "virtio-blk0", NULL, NULL, NULL, NULL, "request done, status 0", NULL, VM_EXIT_NOTE,
     false, 0, 0, 0, 0, 0, 3},
    {"kvm_exit", NULL, NULL, "serial_put", FILE_SERIAL, NULL, NULL,
     "reason IO_INSTRUCTION rip 0x101a31", VM_EXIT_KERNEL, false, 0, 0, 0x101a31, 0, 0, 20},
    {"kvm_inj_virq", NULL, NULL, NULL, NULL, NULL, NULL, "vector 48", VM_EXIT_KERNEL, false, 0, 0,
     0, 0, 0, 6},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* xorshift64. */
static uint64_t random_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const struct shape *choose(uint64_t *state)
{
    unsigned all = 0;
    for (unsigned i = 0; i < SHAPES; i++)
        all += shapes[i].weight;
    unsigned at = (unsigned)(random_number(state) % all);
    unsigned i = 0;
    for (; at >= shapes[i].weight; i++)
        at -= shapes[i].weight;
    return &shapes[i];
}

/* USUAL with some noise, and at times much more. */
static uint64_t spread(uint64_t usual, uint64_t *state)
{
    uint64_t r = random_number(state);
    uint64_t ns = usual - usual / 4 + r % (usual / 2 + 1);
    return r % 97 == 0 ? ns * (2 + r / 97 % 40) : ns;
}

static void fill(struct trace_event *event, const struct shape *shape, uint64_t now,
                 uint64_t *state)
{
    uint64_t r = random_number(state);

    *event = (struct trace_event){.start_ns = now,
                                  .guest_ns = spread(shape->guest_ns, state),
                                  .vmm_ns = spread(shape->vmm_ns, state),
                                  .kind = shape->exit,
                                  .write = shape->write,
                                  .size = shape->size,
                                  .count = shape->size > 0,
                                  .addr = shape->addr,
                                  .data = {(uint8_t)(' ' + r % 95), (uint8_t)(r >> 8 & 3)},
                                  .data_len = shape->size,
                                  .raw_name = shape->kind,
                                  .device = shape->device,
                                  .reg = shape->reg,
                                  .rip = shape->rip,
                                  .text = shape->text,
                                  .has_registers = shape->exit < VM_EXIT_NOTE};
    for (unsigned i = 0; i < 16; i++)
        event->registers.gpr[i] = 0xffffffff80100000 + 4096ull * i;
    event->registers.gpr[RAX] = r & 0xffff;
    event->registers.gpr[RDX] = shape->addr;
    event->registers.gpr[RSP] -= r % 8 * 16;
    event->registers.rflags = 0x246;
}

static int generate(struct trace_sink *sink, uint64_t count, struct trace_footer *footer)
{
    uint64_t state = 0x9e3779b97f4a7c15, now[2] = {1000, 21000};

    for (uint64_t n = 0; n < count; n++) {
        unsigned vcpu = now[0] <= now[1] ? 0 : 1;
        const struct shape *shape = choose(&state);
        struct trace_event event;
        fill(&event, shape, now[vcpu], &state);
        event.vcpu = vcpu;
        now[vcpu] += event.guest_ns + event.vmm_ns + (event.kind < VM_EXIT_NOTE ? 200 : 1000);
        footer->exits += event.kind < VM_EXIT_NOTE;
        const struct trace_item item = {.event = &event,
                                        .kind = shape->kind,
                                        .symbol = shape->symbol,
                                        .symbol_offset = shape->symbol ? shape->rip & 0xff : 0,
                                        .file = shape->file,
                                        .line = shape->file ? 40 + (shape->rip & 0x3f) : 0,
                                        .insn = shape->insn,
                                        .remark = shape->remark};
        int r = sink->ops->item(sink, &item);
        if (r != 0)
            return r;
    }
    footer->wall_ns = (now[0] > now[1] ? now[0] : now[1]) + 50000;
    return 0;
}

int main(int argc, char **argv)
{
    const struct trace_header header = {.command = "kvmlens -M microvm -smp 2 -kernel <guest>.elf",
                                        .guest = "build/guest/kernel.elf",
                                        .host = "Linux 6.1.0",
                                        .backend = "software",
                                        .started_ns = 1700000000000000000,
                                        .clock_ns = 64,
                                        .vcpus = 2,
                                        .kernel = true};
    struct trace_footer footer = {.dropped = 17,
                                  .end = "power-off",
                                  .stat_count = 2,
                                  .stat = {{"exits", 123456}, {"io_exits", 65432}}};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    bool lines = argc > 2 && strcmp(argv[2], "jsonl") == 0;
    struct trace_sink *sink = (lines ? trace_jsonl_sink : trace_html_sink)(STDOUT_FILENO);

    if (!sink || sink->ops->begin(sink, &header) != 0 || generate(sink, count, &footer) != 0)
        return 1;
    int r = sink->ops->end(sink, &footer);
    sink->ops->destroy(sink);
    return r != 0;
}
