/*
 * virtq.c: the device's side of a split virtqueue (virtio 1.2, section 2.7; see virtq.h).
 *
 *   descriptor table          available ring              used ring
 *   written by the driver     written by the driver       written by the device
 *
 *     addr  len flags next      flags                       flags
 *   0 ....  16  NEXT    2 <---- ring[0] = 0                 ring[0] = 0, 513 bytes written
 *   1 ....  64  WRITE   - <--,  ring[1] = 1 <- next_avail   ring[1]            <- next_used
 *   2 .... 512  NEXT    3    '--                            ...
 *   3 ....   1  WRITE   -       idx     = 2                 idx     = 1
 *                               used_event                  avail_event
 *
 * Here the driver has offered two buffers: 0 -> 2 -> 3, which the device has popped, filled and
 * pushed, and 1, which it will pop next.  The indices run freely from 0 to 65535 and around; the
 * entry of index i is ring[i % size].  avail_event says from which index on the device wants a
 * notification, used_event from which on the driver wants an interrupt.
 *
 * The driver may write to all of this at any moment.  So each value is read once into a local, and
 * only the local is checked and used.
 */
#include "virtq.h"

#include <errno.h>
#include <string.h>

void virtq_init(struct virtq *q, const struct mem *mem, uint16_t size_max)
{
    *q = (struct virtq){.mem = mem, .size_max = size_max};
}

void virtq_reset(struct virtq *q)
{
    virtq_init(q, q->mem, q->size_max);
}

static int fault(struct virtq *q, int error, const char *text, uint64_t a, uint64_t b)
{
    q->fault = text;
    q->fault_arg[0] = a;
    q->fault_arg[1] = b;
    return error;
}

/* The rings: NULL unless the queue is ready and all of the ring is RAM. */
static struct virtq_avail *avail_ring(const struct virtq *q)
{
    return q->ready ? mem_ptr(q->mem, q->avail, VIRTQ_AVAIL_BYTES(q->size)) : NULL;
}

static struct virtq_used *used_ring(const struct virtq *q)
{
    return q->ready ? mem_ptr(q->mem, q->used, VIRTQ_USED_BYTES(q->size)) : NULL;
}

int virtq_start(struct virtq *q)
{
    const struct {
        uint64_t gpa, bytes, align;
        const char *misaligned, *outside;
    } parts[] = {
        {q->desc, VIRTQ_DESC_BYTES(q->size), 16,
         "the descriptor table at 0x%llx is not aligned to %llu bytes",
         "the descriptor table at 0x%llx, %llu bytes, is not all in RAM"},
        {q->avail, VIRTQ_AVAIL_BYTES(q->size), 2,
         "the available ring at 0x%llx is not aligned to %llu bytes",
         "the available ring at 0x%llx, %llu bytes, is not all in RAM"},
        {q->used, VIRTQ_USED_BYTES(q->size), 4,
         "the used ring at 0x%llx is not aligned to %llu bytes",
         "the used ring at 0x%llx, %llu bytes, is not all in RAM"},
    };
    if (q->size == 0 || q->size > q->size_max || (q->size & (q->size - 1)) != 0) {
        return fault(q, -EINVAL, "queue size %llu: a power of two up to %llu is expected", q->size,
                     q->size_max);
    }
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].gpa % parts[i].align != 0) {
            return fault(q, -EINVAL, parts[i].misaligned, parts[i].gpa, parts[i].align);
        }
        if (!mem_ptr(q->mem, parts[i].gpa, parts[i].bytes)) {
            return fault(q, -EINVAL, parts[i].outside, parts[i].gpa, parts[i].bytes);
        }
    }
    q->next_avail = q->next_used = q->signalled = q->in_flight = 0;
    q->ready = q->kicks = true;
    return 0;
}

/* Adds a descriptor's buffer to CHAIN: an entry for each region of memory that it touches. */
static int add_buffer(struct virtq *q, struct virtq_chain *chain, const struct virtq_desc *desc)
{
    bool write = desc->flags & VIRTQ_DESC_WRITE;
    if (desc->len == 0) {
        /* The specification does not forbid it; but no driver has a use for it, and QEMU refuses
         * it as well. */
        return fault(q, -EINVAL, "a buffer of no bytes at 0x%llx (head %llu)", desc->addr,
                     chain->head);
    }
    if (!write && chain->writable > 0) {
        return fault(q, -EINVAL, "a readable buffer at 0x%llx after a writable one (head %llu)",
                     desc->addr, chain->head);
    }
    if (desc->len > UINT32_MAX - chain->readable_bytes - chain->writable_bytes) {
        return fault(q, -EINVAL, "4 GiB or more in one chain (head %llu)", chain->head, 0);
    }
    if (desc->len - 1 > UINT64_MAX - desc->addr) {
        return fault(q, -EFAULT, "the buffer at 0x%llx, %llu bytes, passes the last address",
                     desc->addr, desc->len);
    }
    uint64_t gpa = desc->addr, here;
    for (uint64_t left = desc->len; left > 0; gpa += here, left -= here) {
        unsigned count = chain->readable + chain->writable;
        uint8_t *host = mem_find(q->mem, gpa, write, &here);
        if (!host) {
            return fault(q, -EFAULT,
                         write ? "the buffer at 0x%llx, %llu bytes, is not all in RAM"
                               : "the buffer at 0x%llx, %llu bytes, is not all in memory",
                         desc->addr, desc->len);
        }
        if (count == VIRTQ_IOV_MAX) {
            return fault(q, -EINVAL, "more than %llu buffers in one chain (head %llu)",
                         VIRTQ_IOV_MAX, chain->head);
        }
        here = here < left ? here : left;
        chain->iov[count] = (struct iovec){.iov_base = host, .iov_len = here};
        *(write ? &chain->writable : &chain->readable) += 1;
    }
    *(write ? &chain->writable_bytes : &chain->readable_bytes) += desc->len;
    return 0;
}

struct table {
    uint64_t gpa;
    uint32_t entries;
    bool indirect;
};

/* The descriptor DESC of TABLE refers to an indirect table: goes on in that one (2.7.5.3). */
static int enter_indirect(struct virtq *q, struct table *table, const struct virtq_desc *desc)
{
    if (!q->indirect) {
        return fault(q, -EINVAL, "an indirect table at 0x%llx without VIRTIO_F_INDIRECT_DESC",
                     desc->addr, 0);
    }
    if (table->indirect) {
        return fault(q, -EINVAL, "an indirect table at 0x%llx inside an indirect table at 0x%llx",
                     desc->addr, table->gpa);
    }
    if (desc->flags & VIRTQ_DESC_NEXT) {
        return fault(q, -EINVAL, "a descriptor with both INDIRECT (0x%llx) and NEXT (%llu)",
                     desc->addr, desc->next);
    }
    if (desc->len == 0 || desc->len % sizeof(*desc) != 0) {
        return fault(q, -EINVAL, "an indirect table of %llu bytes: a multiple of %llu is expected",
                     desc->len, sizeof(*desc));
    }
    if (desc->len - 1 > UINT64_MAX - desc->addr) {
        return fault(q, -EFAULT,
                     "the indirect table at 0x%llx, %llu bytes, passes the last address",
                     desc->addr, desc->len);
    }
    *table = (struct table){desc->addr, desc->len / (uint32_t)sizeof(*desc), true};
    return 0;
}

/* Follows the chain from its head.  A chain that visits more descriptors than its table has is a
 * loop; VIRTQ_IOV_MAX bounds it where an indirect table is absurdly long. */
static int read_chain(struct virtq *q, struct virtq_chain *chain)
{
    struct table table = {q->desc, q->size, false};
    uint32_t at = chain->head, visited = 0;
    for (;;) {
        struct virtq_desc desc;
        if (visited++ == table.entries) {
            return fault(q, -EINVAL, "a loop in the chain of head %llu: over %llu descriptors",
                         chain->head, table.entries);
        }
        if (mem_read(q->mem, table.gpa + at * sizeof(desc), &desc, sizeof(desc))) {
            return fault(q, -EFAULT, "descriptor %llu of the table at 0x%llx is not in memory", at,
                         table.gpa);
        }
        bool indirect = desc.flags & VIRTQ_DESC_INDIRECT;
        int error = indirect ? enter_indirect(q, &table, &desc) : add_buffer(q, chain, &desc);
        if (error) {
            return error;
        }
        if (indirect) {
            at = visited = 0;
            continue;
        }
        if (!(desc.flags & VIRTQ_DESC_NEXT)) {
            return 0;
        }
        at = desc.next;
        if (at >= table.entries) {
            return fault(q, -EINVAL, "next is %llu in a table of %llu descriptors", at,
                         table.entries);
        }
    }
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
    const struct virtq_avail *avail = avail_ring(q);
    if (!avail) {
        return fault(q, -EFAULT, "the available ring at 0x%llx is not in RAM", q->avail, 0);
    }
    /* Acquire: what the driver wrote before the index is seen after it. */
    uint16_t idx = __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE);
    uint16_t offered = (uint16_t)(idx - q->next_avail);
    if (offered > q->size - q->in_flight) {
        return fault(q, -EINVAL, "avail.idx jumped from %llu to %llu: more than the queue holds",
                     q->next_avail, idx);
    }
    if (offered == 0) {
        return 0;
    }
    uint16_t head = __atomic_load_n(&avail->ring[q->next_avail % q->size], __ATOMIC_RELAXED);
    if (head >= q->size) {
        return fault(q, -EINVAL, "head %llu in a queue of %llu descriptors", head, q->size);
    }
    chain->head = head;
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    int error = read_chain(q, chain);
    if (error) {
        return error;
    }
    q->next_avail++;
    q->in_flight++;
    return 1;
}

void virtq_unpop(struct virtq *q, uint16_t count)
{
    q->next_avail = (uint16_t)(q->next_avail - count);
    q->in_flight = (uint16_t)(q->in_flight - count);
}

int virtq_fill(struct virtq *q, uint16_t nth, uint16_t head, uint32_t written)
{
    struct virtq_used *used = used_ring(q);
    if (!used) {
        return fault(q, -EFAULT, "the used ring at 0x%llx is not in RAM", q->used, 0);
    }
    used->ring[(uint16_t)(q->next_used + nth) % q->size] =
        (struct virtq_used_elem){.id = head, .len = written};
    return 0;
}

int virtq_flush(struct virtq *q, uint16_t count)
{
    struct virtq_used *used = used_ring(q);
    if (!used) {
        return fault(q, -EFAULT, "the used ring at 0x%llx is not in RAM", q->used, 0);
    }
    q->next_used = (uint16_t)(q->next_used + count);
    q->in_flight = (uint16_t)(q->in_flight - count);
    /* The driver sees the entries, and the data, before the index.  More than a release is needed
     * for the sake of virtq_wants_interrupt(). */
    __atomic_store_n(&used->idx, q->next_used, __ATOMIC_SEQ_CST);
    return 0;
}

int virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
    int error = virtq_fill(q, 0, head, written);
    return error ? error : virtq_flush(q, 1);
}

bool virtq_wants_interrupt(struct virtq *q)
{
    const struct virtq_avail *avail = avail_ring(q);
    uint16_t before = q->signalled;
    q->signalled = q->next_used;
    if (!avail || before == q->next_used) {
        return false;
    }
    /* The driver sets used_event (or the flag), then looks at used.idx; the device the other way
     * round.  Unless both are sequentially consistent (the store of used.idx in virtq_flush(), and
     * the load here), each could miss what the other wrote, and both would wait. */
    if (q->event_idx) {
        uint16_t used_event = __atomic_load_n(&avail->ring[q->size], __ATOMIC_SEQ_CST);
        return virtq_event_passed(used_event, q->next_used, before);
    }
    return !(__atomic_load_n(&avail->flags, __ATOMIC_SEQ_CST) & VIRTQ_AVAIL_NO_INTERRUPT);
}

bool virtq_set_kicks(struct virtq *q, bool on)
{
    const struct virtq_avail *avail = avail_ring(q);
    struct virtq_used *used = used_ring(q);
    if (!avail || !used) {
        return false;
    }
    q->kicks = on;
    if (!q->event_idx) {
        __atomic_store_n(&used->flags, on ? 0 : VIRTQ_USED_NO_NOTIFY, __ATOMIC_SEQ_CST);
    } else if (on) {
        uint16_t *avail_event = (uint16_t *)&used->ring[q->size];
        __atomic_store_n(avail_event, q->next_avail, __ATOMIC_SEQ_CST);
    } /* off: avail_event stays behind, where the driver's index does not pass again soon */

    /* As in virtq_wants_interrupt(): say the wish first, then look. */
    return on && __atomic_load_n(&avail->idx, __ATOMIC_SEQ_CST) != q->next_avail;
}

/* Copies between LEN bytes at BYTES and COUNT entries of IOV, from their byte OFFSET on. */
static uint32_t copy(const struct iovec *iov, unsigned count, uint32_t offset, uint8_t *bytes,
                     uint32_t len, bool to_guest)
{
    uint32_t done = 0;
    for (unsigned i = 0; i < count && done < len; i++) {
        if (offset >= iov[i].iov_len) {
            offset -= (uint32_t)iov[i].iov_len;
            continue;
        }
        uint8_t *guest = (uint8_t *)iov[i].iov_base + offset;
        uint32_t here = (uint32_t)iov[i].iov_len - offset;
        here = here < len - done ? here : len - done;
        memcpy(to_guest ? guest : bytes + done, to_guest ? bytes + done : guest, here);
        done += here;
        offset = 0;
    }
    return done;
}

uint32_t virtq_read(const struct virtq_chain *chain, uint32_t offset, void *to, uint32_t len)
{
    return copy(chain->iov, chain->readable, offset, to, len, false);
}

uint32_t virtq_write(const struct virtq_chain *chain, uint32_t offset, const void *from,
                     uint32_t len)
{
    return copy(chain->iov + chain->readable, chain->writable, offset, (uint8_t *)from, len, true);
}

/* Cuts LEN bytes off the front of the *COUNT entries at FIRST. */
static bool trim_front(struct virtq_chain *chain, unsigned first, uint16_t *count, uint32_t *bytes,
                       uint32_t len)
{
    if (len > *bytes) {
        return false;
    }
    *bytes -= len;
    unsigned gone = 0, end = (unsigned)chain->readable + chain->writable;
    for (; gone < *count && len >= chain->iov[first + gone].iov_len; gone++) {
        len -= (uint32_t)chain->iov[first + gone].iov_len;
    }
    memmove(&chain->iov[first], &chain->iov[first + gone],
            (end - first - gone) * sizeof(chain->iov[0]));
    *count = (uint16_t)(*count - gone);
    if (len > 0) {
        chain->iov[first].iov_base = (uint8_t *)chain->iov[first].iov_base + len;
        chain->iov[first].iov_len -= len;
    }
    return true;
}

bool virtq_trim_readable(struct virtq_chain *chain, uint32_t len)
{
    return trim_front(chain, 0, &chain->readable, &chain->readable_bytes, len);
}

bool virtq_trim_writable(struct virtq_chain *chain, uint32_t len)
{
    return trim_front(chain, chain->readable, &chain->writable, &chain->writable_bytes, len);
}

bool virtq_trim_writable_end(struct virtq_chain *chain, uint32_t len)
{
    if (len > chain->writable_bytes) {
        return false;
    }
    chain->writable_bytes -= len;
    while (len > 0) {
        struct iovec *last = &chain->iov[chain->readable + chain->writable - 1];
        if (len < last->iov_len) {
            last->iov_len -= len;
            break;
        }
        len -= (uint32_t)last->iov_len;
        chain->writable--;
    }
    return true;
}
