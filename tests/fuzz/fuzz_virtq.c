/*
 * fuzz_virtq.c: a queue in guest memory that the input fills with anything, while a device pops,
 * pushes, copies and cuts. The input is a list of operations; what is popped is compared with the
 * descriptors in memory, followed once more by a naive reader.
 */
#include "fuzz.h"
#include "virtio/virtq.h"

/* RAM, more RAM, ROM side by side; the queue lies at the start, indirect tables anywhere. */
#define RAM  0x1000u
#define MORE 0x400u
#define ROM  0x400u

struct world {
    struct mem mem;
    struct virtq q;
    uint8_t *ram, *more, *rom;
    uint8_t rom_before[ROM];
    struct virtq_chain chain;
    bool filled;                     /* chain: by the last pop */
    uint16_t popped[VIRTQ_SIZE_MAX]; /* heads in flight: a stack */
    struct input in;
};

static uint8_t next(struct world *w)
{
    return input_byte(&w->in);
}

static uint16_t next16(struct world *w)
{
    uint16_t low = next(w);
    return (uint16_t)(low | next(w) << 8);
}

/* Mostly in memory, near an edge of it, or near the end of the address space. */
static uint64_t next_address(struct world *w)
{
    uint16_t value = next16(w);
    return value < 0xf000 ? value % (RAM + MORE + ROM + 0x40u) : UINT64_MAX - (value & 0xfff);
}

/* A length: small, or up to 4 GiB - 1. */
static uint32_t next_length(struct world *w)
{
    uint8_t value = next(w);
    return value < 0xc0   ? value
           : value < 0xe0 ? (value & 0x1fu) * 0x111
                          : UINT32_MAX - (value & 0x1f);
}

static void start(struct world *w)
{
    uint8_t how = next(w);
    struct virtq *q = &w->q;
    virtq_reset(q);
    q->size = (uint16_t)(how & 0x20 ? next(w) : 1 << (how & 3));
    q->event_idx = how & 4;
    q->indirect = how & 8;
    q->desc = 0;
    q->avail = 0x100;
    q->used = 0x200;
    if (how & 0x10) {
        q->desc = next_address(w);
        q->avail = next_address(w);
        q->used = next_address(w);
    }
    if (virtq_start(q)) {
        CHECK(q->fault && !q->ready);
        return;
    }
    uint16_t at = (uint16_t)(how & 0x40 ? 65530 + (how >> 7) * 5 : 0);
    q->next_avail = q->next_used = q->signalled = at;
    struct virtq_avail *avail = mem_ptr(&w->mem, q->avail, VIRTQ_AVAIL_BYTES(q->size));
    struct virtq_used *used = mem_ptr(&w->mem, q->used, VIRTQ_USED_BYTES(q->size));
    avail->idx = used->idx = at;
}

/* The driver writes a descriptor of the queue's table, or of a table anywhere. */
static void put_descriptor(struct world *w)
{
    uint8_t where = next(w);
    uint64_t table = where & 0x80 ? next_address(w) : w->q.desc;
    struct virtq_desc desc = {.addr = next_address(w), .len = next_length(w)};
    desc.flags = next(w);
    desc.next = next(w) & 0x1f;
    (void)mem_write(&w->mem, table + (where & 0x1fu) * sizeof(desc), &desc, sizeof(desc));
}

static void offer(struct world *w)
{
    struct virtq *q = &w->q;
    uint8_t head = next(w), ahead = next(w);
    struct virtq_avail *avail = mem_ptr(&w->mem, q->avail, VIRTQ_AVAIL_BYTES(q->size));
    if (q->ready && avail) {
        avail->ring[avail->idx % q->size] = head;
        avail->idx = (uint16_t)(avail->idx + (ahead < 0xf0 ? 1 : ahead));
    }
}

/* The entries of the chain, from AT on, lie where the N bytes at GPA are. */
static unsigned check_buffer(const struct world *w, unsigned at, uint64_t gpa, uint64_t n,
                             bool write)
{
    while (n > 0) {
        const struct iovec *piece = &w->chain.iov[at++];
        CHECK(at <= (unsigned)w->chain.readable + w->chain.writable);
        CHECK(piece->iov_len > 0 && piece->iov_len <= n);
        const void *host =
            write ? mem_ptr(&w->mem, gpa, piece->iov_len) : mem_peek(&w->mem, gpa, piece->iov_len);
        CHECK(host && piece->iov_base == host);
        gpa += piece->iov_len;
        n -= piece->iov_len;
    }
    return at;
}

/* What was popped is what a reader finds who believes everything. */
static void check_chain(const struct world *w)
{
    const struct virtq *q = &w->q;
    uint64_t table = q->desc, readable = 0, writable = 0;
    uint32_t i = w->chain.head;
    unsigned at = 0, seen = 0;
    for (;;) {
        struct virtq_desc desc;
        CHECK(seen++ <= VIRTQ_IOV_MAX + 1u);
        CHECK(mem_read(&w->mem, table + i * sizeof(desc), &desc, sizeof(desc)) == 0);
        if (desc.flags & VIRTQ_DESC_INDIRECT) {
            CHECK(q->indirect && table == q->desc);
            table = desc.addr;
            i = 0;
            continue;
        }
        bool write = desc.flags & VIRTQ_DESC_WRITE;
        at = check_buffer(w, at, desc.addr, desc.len, write);
        CHECK(write || writable == 0);
        *(write ? &writable : &readable) += desc.len;
        if (!(desc.flags & VIRTQ_DESC_NEXT)) {
            break;
        }
        i = desc.next;
    }
    CHECK(at == (unsigned)w->chain.readable + w->chain.writable && at > 0);
    CHECK(readable == w->chain.readable_bytes && writable == w->chain.writable_bytes);
}

static void pop(struct world *w)
{
    struct virtq *q = &w->q;
    const struct virtq before = *q;
    q->fault = NULL;
    int got = virtq_pop(q, &w->chain);
    w->filled = got == 1;
    if (got == 1) {
        CHECK(!q->fault && q->in_flight == before.in_flight + 1);
        check_chain(w);
        w->popped[before.in_flight] = w->chain.head;
        return;
    }
    CHECK((got < 0) == (q->fault != NULL));
    CHECK(q->next_avail == before.next_avail && q->in_flight == before.in_flight);
}

/* Uses up the chain that was popped last: copies from and to it, and cuts it to pieces. */
static void consume(struct world *w)
{
    uint8_t bytes[64] = {0};
    if (!w->filled) {
        return;
    }
    struct virtq_chain *chain = &w->chain;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t offset = next_length(w), len = next(w) % sizeof(bytes);
        uint32_t readable = chain->readable_bytes, writable = chain->writable_bytes;
        uint32_t there = offset < readable ? readable - offset : 0;
        CHECK(virtq_read(chain, offset, bytes, len) == (there < len ? there : len));
        there = offset < writable ? writable - offset : 0;
        CHECK(virtq_write(chain, offset, bytes, len) == (there < len ? there : len));
        CHECK(virtq_trim_readable(chain, len) == (len <= readable));
        CHECK(virtq_trim_writable(chain, len / 2) == (len / 2 <= writable));
        writable = chain->writable_bytes;
        CHECK(virtq_trim_writable_end(chain, len) == (len <= writable));
        uint64_t sum = 0;
        for (unsigned n = 0; n < (unsigned)chain->readable + chain->writable; n++) {
            CHECK(chain->iov[n].iov_len > 0);
            sum += chain->iov[n].iov_len;
        }
        CHECK(sum == (uint64_t)chain->readable_bytes + chain->writable_bytes);
    }
}

/* Gives back some of the buffers, the last ones first. */
static void push(struct world *w)
{
    struct virtq *q = &w->q;
    uint16_t count = next(w) % (VIRTQ_SIZE_MAX - 1);
    count = count < q->in_flight ? count : q->in_flight;
    for (uint16_t i = 0; i < count; i++) {
        CHECK(virtq_fill(q, i, w->popped[q->in_flight - 1 - i], i) == 0);
    }
    if (q->ready) {
        CHECK(virtq_flush(q, count) == 0);
    }
}

static void step(struct world *w)
{
    struct virtq *q = &w->q;
    uint64_t gpa;
    uint8_t bytes[2];
    switch (next(w) % 12) {
    case 0:
    case 1:
    case 2:
        put_descriptor(w);
        break;
    case 3:
    case 4:
        offer(w);
        break;
    case 5:
        gpa = next_address(w);
        bytes[0] = next(w);
        bytes[1] = next(w);
        (void)mem_write(&w->mem, gpa, bytes, 2);
        break;
    case 6:
    case 7:
        pop(w);
        break;
    case 8:
        consume(w);
        break;
    case 9:
        push(w);
        break;
    case 10: {
        bool on = next(w) & 1;
        bool more = virtq_set_kicks(q, on);
        CHECK(!more || (on && q->ready));
        break;
    }
    default: {
        bool pushed = q->signalled != q->next_used;
        bool wanted = virtq_wants_interrupt(q);
        CHECK(!wanted || pushed);
        CHECK(!virtq_wants_interrupt(q));
        uint16_t back = next(w) & 3;
        virtq_unpop(q, back < q->in_flight ? back : q->in_flight);
        break;
    }
    }
    CHECK(q->in_flight <= q->size);
    CHECK(q->in_flight == (uint16_t)(q->next_avail - q->next_used));
    CHECK(memcmp(w->rom, w->rom_before, ROM) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size}};
    w.ram = calloc(1, RAM);
    w.more = calloc(1, MORE);
    w.rom = calloc(1, ROM);
    CHECK(w.ram && w.more && w.rom);
    for (unsigned i = 0; i < ROM; i++) { /* descriptors that lead to the end of ROM */
        w.rom[i] = w.rom_before[i] = (uint8_t)(i % 16 < 2 ? 0x17 : i % 16 == 8 ? 3 : i % 16 == 12);
    }
    CHECK(mem_add(&w.mem, 0, RAM, w.ram, false) == 0);
    CHECK(mem_add(&w.mem, RAM, MORE, w.more, false) == 0);
    CHECK(mem_add(&w.mem, RAM + MORE, ROM, w.rom, true) == 0);
    virtq_init(&w.q, &w.mem, 64);
    start(&w);
    while (w.in.left > 0) {
        step(&w);
    }
    free(w.ram);
    free(w.more);
    free(w.rom);
    return 0;
}
