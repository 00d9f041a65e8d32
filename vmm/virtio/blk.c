/*
 * blk.c: the block device (see blk.h): takes requests apart, checks them, hands them to the backend,
 * and tells the driver how they ended.  Virtio 1.2, section 5.2; where the driver may put the pieces
 * of a request is section 2.7.4: anywhere.
 */
#include "blk.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define QUEUE 0

/* Limits that the driver is told (5.2.4). */
#define SIZE_MAX_BYTES    (4u << 20)
#define SEG_MAX           (VIRTQ_SIZE_MAX - 2) /* a header and a status go with them */
#define RANGE_MAX_SECTORS (1u << 21)           /* 1 GiB: one DISCARD or WRITE_ZEROES */
#define DISCARD_ALIGNMENT 8                    /* sectors */

static struct virtio_blk *blk_of(struct virtio_device *dev)
{
    return (struct virtio_blk *)(void *)dev;
}

/* --- the configuration space ------------------------------------------------------------------ */

/* Writes may wait for a flush only where the driver knows how to flush (5.2.6.2). */
static bool is_writeback(const struct virtio_blk *blk)
{
    bool chosen = blk->dev.status & VIRTIO_STATUS_FEATURES_OK;

    return blk->writeback && (!chosen || virtio_has(&blk->dev, VIRTIO_BLK_F_FLUSH));
}

static uint64_t config_read(struct virtio_device *dev, uint32_t offset, unsigned size)
{
    const struct virtio_blk *blk = blk_of(dev);
    uint8_t exponent = 0;
    uint64_t value = 0;

    while ((uint32_t)VIRTIO_BLK_SECTOR << exponent < blk->info.physical_block)
        exponent++;

    struct virtio_blk_config config = {
        .capacity = htole64(blk->info.bytes / VIRTIO_BLK_SECTOR),
        .size_max = htole32(SIZE_MAX_BYTES),
        .seg_max = htole32(SEG_MAX),
        .blk_size = htole32(VIRTIO_BLK_SECTOR),
        .physical_block_exp = exponent,
        .min_io_size = htole16(1),
        .writeback = is_writeback(blk),
        .num_queues = htole16(1),
        .max_discard_sectors = htole32(RANGE_MAX_SECTORS),
        .max_discard_seg = htole32(1),
        .discard_sector_alignment = htole32(DISCARD_ALIGNMENT),
        .max_write_zeroes_sectors = htole32(RANGE_MAX_SECTORS),
        .max_write_zeroes_seg = htole32(1),
        .write_zeroes_may_unmap = 1,
    };

    memcpy(&value, (const uint8_t *)&config + offset, size);
    return le64toh(value);
}

static void config_write(struct virtio_device *dev, uint32_t offset, unsigned size, uint64_t value)
{
    struct virtio_blk *blk = blk_of(dev);

    if (offset != offsetof(struct virtio_blk_config, writeback) || size != 1 ||
        !virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE))
        return;
    blk->writeback = value & 1;
    virtio_remark(dev, blk->writeback ? "cache mode writeback" : "cache mode writethrough", 0, 0,
                  0);
}

static const char *config_name(const struct virtio_device *dev, uint32_t offset)
{
    static const struct {
        uint32_t at;
        const char *name;
    } fields[] = {
#define FIELD(field) {offsetof(struct virtio_blk_config, field), #field}
        FIELD(unused1),
        FIELD(write_zeroes_may_unmap),
        FIELD(max_write_zeroes_seg),
        FIELD(max_write_zeroes_sectors),
        FIELD(discard_sector_alignment),
        FIELD(max_discard_seg),
        FIELD(max_discard_sectors),
        FIELD(num_queues),
        FIELD(unused0),
        FIELD(writeback),
        FIELD(opt_io_size),
        FIELD(min_io_size),
        FIELD(alignment_offset),
        FIELD(physical_block_exp),
        FIELD(blk_size),
        FIELD(sectors),
        FIELD(heads),
        FIELD(cylinders),
        FIELD(seg_max),
        FIELD(size_max),
        FIELD(capacity),
#undef FIELD
    };
    unsigned i = 0;

    (void)dev;
    while (fields[i].at > offset)
        i++;
    return fields[i].name;
}

/* --- a request's end -------------------------------------------------------------------------- */

static void release(struct virtio_blk *blk, struct blk_request *request)
{
    request->next_free = blk->free;
    blk->free = request;
}

/* Bytes of the writable part that are known to be written, from its first one on (2.7.8.2): the
 * status is one of them if it follows at once. */
static uint32_t written(const struct blk_request *request, uint8_t status)
{
    uint32_t data = status == VIRTIO_BLK_S_OK ? request->data_bytes : 0;

    return data == request->room ? data + 1 : data;
}

/* A request that ends without the backend. */
static void finish(struct virtio_blk *blk, struct blk_request *request, uint8_t status)
{
    *request->status = status;
    virtio_push(&blk->dev, QUEUE, request->head, written(request, status));
    release(blk, request);
}

static void refuse(struct virtio_blk *blk, struct blk_request *request, const char *why, uint64_t a,
                   uint64_t b)
{
    virtio_remark(&blk->dev, why, a, b, 0);
    finish(blk, request, VIRTIO_BLK_S_IOERR);
}

static void remark_failure(const struct virtio_blk *blk, const struct block_request *request)
{
    static const char *const texts[] = {
        [BLOCK_READ] = "read of sector %llu failed: errno %llu",
        [BLOCK_WRITE] = "write of sector %llu failed: errno %llu",
        [BLOCK_DISCARD] = "discard at sector %llu failed: errno %llu",
        [BLOCK_WRITE_ZEROES] = "write zeroes at sector %llu failed: errno %llu",
    };

    if (request->op == BLOCK_FLUSH)
        virtio_remark(&blk->dev, "flush failed: errno %llu", (uint64_t)request->error, 0, 0);
    else
        virtio_remark(&blk->dev, texts[request->op], request->offset / VIRTIO_BLK_SECTOR,
                      (uint64_t)request->error, 0);
}

/* The backend gives requests back: all of them reach the driver at once. */
static void done(void *opaque, struct block_request *list)
{
    struct virtio_blk *blk = opaque;
    struct virtq *q = &blk->dev.queue[QUEUE];
    uint16_t count = 0;

    while (list) {
        struct blk_request *request = (struct blk_request *)(void *)list;
        uint8_t status = list->error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
        bool heard = !blk->stopping && virtio_live(&blk->dev, QUEUE);

        list = list->next;
        if (heard) {
            if (request->block.error)
                remark_failure(blk, &request->block);
            *request->status = status;
            if (virtq_fill(q, count, request->head, written(request, status)) < 0)
                virtio_broken(&blk->dev, q->fault, q->fault_arg[0], q->fault_arg[1]);
            else
                count++;
        }
        release(blk, request);
    }
    if (count > 0 && virtio_live(&blk->dev, QUEUE)) {
        if (virtq_flush(q, count) < 0)
            virtio_broken(&blk->dev, q->fault, q->fault_arg[0], q->fault_arg[1]);
        else
            virtio_interrupt(&blk->dev, QUEUE);
    }
}

/* --- a request's beginning -------------------------------------------------------------------- */

static void enqueue(struct virtio_blk *blk, struct blk_request *request)
{
    request->block.stable = !is_writeback(blk);
    request->block.next = NULL;
    *blk->list_end = &request->block;
    blk->list_end = &request->block.next;
}

/* True if the sectors lie on the disk; else the request is refused. */
static bool check_range(struct virtio_blk *blk, struct blk_request *request, uint64_t sector,
                        uint64_t bytes)
{
    uint64_t capacity = blk->info.bytes / VIRTIO_BLK_SECTOR, sectors = bytes / VIRTIO_BLK_SECTOR;

    if (sector <= capacity && sectors <= capacity - sector)
        return true;
    refuse(blk, request, "refused: sectors %llu, %llu of them, pass the end of the disk", sector,
           sectors);
    return false;
}

static bool check_writable(struct virtio_blk *blk, struct blk_request *request)
{
    if (!blk->info.readonly)
        return true;
    refuse(blk, request, "refused: the disk is read-only", 0, 0);
    return false;
}

/* What is left of the chain, readable or writable, is the data. */
static void transfer(struct virtio_blk *blk, struct blk_request *request, bool write,
                     uint64_t sector)
{
    const struct virtq_chain *chain = &blk->chain;
    uint32_t bytes = write ? chain->readable_bytes : chain->writable_bytes;
    unsigned count = write ? chain->readable : chain->writable;

    if (write && !check_writable(blk, request))
        return;
    if (bytes % VIRTIO_BLK_SECTOR != 0) {
        refuse(blk, request, "refused: %llu bytes of data are no whole number of sectors", bytes,
               0);
        return;
    }
    if (!check_range(blk, request, sector, bytes))
        return;
    virtio_remark(&blk->dev,
                  write ? "write sector %llu, %llu bytes" : "read sector %llu, %llu bytes", sector,
                  bytes, 0);
    if (bytes == 0) {
        finish(blk, request, VIRTIO_BLK_S_OK);
        return;
    }
    memcpy(request->iov, chain->iov + (write ? 0 : chain->readable), count * sizeof(struct iovec));
    request->data_bytes = write ? 0 : bytes;
    request->block.op = write ? BLOCK_WRITE : BLOCK_READ;
    request->block.offset = sector * VIRTIO_BLK_SECTOR;
    request->block.bytes = bytes;
    request->block.iov = request->iov;
    request->block.iov_count = count;
    enqueue(blk, request);
}

static void clear(struct virtio_blk *blk, struct blk_request *request, enum block_op op)
{
    struct virtio_blk_range range;
    uint32_t known = op == BLOCK_WRITE_ZEROES ? VIRTIO_BLK_UNMAP : 0;

    if (!check_writable(blk, request))
        return;
    if (blk->chain.readable_bytes != sizeof(range)) {
        refuse(blk, request, "refused: %llu bytes of segments, expected one of %llu",
               blk->chain.readable_bytes, sizeof(range));
        return;
    }
    virtq_read(&blk->chain, 0, &range, sizeof(range));

    uint64_t sector = le64toh(range.sector), sectors = le32toh(range.sectors);
    uint32_t flags = le32toh(range.flags);

    if (flags & ~known) {
        virtio_remark(&blk->dev, "refused: unknown flags 0x%llx", flags, 0, 0);
        finish(blk, request, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    if (sectors > RANGE_MAX_SECTORS) {
        refuse(blk, request, "refused: %llu sectors at once, the limit is %llu", sectors,
               RANGE_MAX_SECTORS);
        return;
    }
    if (!check_range(blk, request, sector, sectors * VIRTIO_BLK_SECTOR))
        return;
    virtio_remark(&blk->dev,
                  op == BLOCK_DISCARD ? "discard sector %llu, %llu sectors"
                                      : "write zeroes sector %llu, %llu sectors",
                  sector, sectors, 0);
    if (sectors == 0) {
        finish(blk, request, VIRTIO_BLK_S_OK);
        return;
    }
    request->block.op = op;
    request->block.unmap = flags & VIRTIO_BLK_UNMAP;
    request->block.offset = sector * VIRTIO_BLK_SECTOR;
    request->block.bytes = sectors * VIRTIO_BLK_SECTOR;
    enqueue(blk, request);
}

static void tell_id(struct virtio_blk *blk, struct blk_request *request)
{
    uint32_t bytes = blk->chain.writable_bytes;
    uint32_t told = bytes < VIRTIO_BLK_ID_BYTES ? bytes : VIRTIO_BLK_ID_BYTES;

    virtio_remark(&blk->dev, "get id, %llu bytes", bytes, 0, 0);
    virtq_write(&blk->chain, 0, blk->serial, told);
    request->data_bytes = told;
    finish(blk, request, VIRTIO_BLK_S_OK);
}

static void begin(struct virtio_blk *blk, struct blk_request *request,
                  const struct virtio_blk_header *header)
{
    uint32_t type = le32toh(header->type);

    switch (type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        transfer(blk, request, type == VIRTIO_BLK_T_OUT, le64toh(header->sector));
        break;
    case VIRTIO_BLK_T_FLUSH:
        virtio_remark(&blk->dev, "flush", 0, 0, 0);
        request->block.op = BLOCK_FLUSH;
        enqueue(blk, request);
        break;
    case VIRTIO_BLK_T_GET_ID:
        tell_id(blk, request);
        break;
    case VIRTIO_BLK_T_DISCARD:
        clear(blk, request, BLOCK_DISCARD);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        clear(blk, request, BLOCK_WRITE_ZEROES);
        break;
    default:
        virtio_remark(&blk->dev, "unsupported request type %llu", type, 0, 0);
        finish(blk, request, VIRTIO_BLK_S_UNSUPP);
    }
}

/* The last byte of the writable part, which is not empty. */
static uint8_t *status_byte(const struct virtq_chain *chain)
{
    const struct iovec *last = &chain->iov[chain->readable + chain->writable - 1];

    while (last->iov_len == 0)
        last--;
    return (uint8_t *)last->iov_base + last->iov_len - 1;
}

static bool take(struct virtio_device *dev, unsigned queue, struct virtq_chain *chain)
{
    struct virtio_blk *blk = blk_of(dev);
    struct blk_request *request = blk->free; /* as many as a queue can have in flight */
    struct virtio_blk_header header;

    (void)queue;
    if (chain->writable_bytes == 0) {
        virtio_broken(dev, "request at descriptor %llu has no byte for its status", chain->head, 0);
        return true;
    }
    if (virtq_read(chain, 0, &header, sizeof(header)) < sizeof(header)) {
        virtio_broken(dev, "request at descriptor %llu has a header of %llu bytes, expected 16",
                      chain->head, chain->readable_bytes);
        return true;
    }
    blk->free = request->next_free;
    request->block = (struct block_request){0};
    request->head = chain->head;
    request->status = status_byte(chain);
    virtq_trim_readable(chain, sizeof(header));
    virtq_trim_writable_end(chain, 1);
    request->room = chain->writable_bytes;
    request->data_bytes = 0;
    begin(blk, request, &header);
    return true;
}

/* --- the device ------------------------------------------------------------------------------- */

static void kick(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = blk_of(dev);

    virtio_run_queue(dev, queue, &blk->chain, take);

    struct block_request *list = blk->list;

    blk->list = NULL;
    blk->list_end = &blk->list;
    if (list)
        blk->backend.submit(blk->backend.opaque, list);
}

static void stop_queue(struct virtio_device *dev, unsigned queue)
{
    struct virtio_blk *blk = blk_of(dev);

    (void)queue;
    blk->stopping = true;
    blk->backend.drain(blk->backend.opaque);
    blk->stopping = false;
}

static void reset(struct virtio_device *dev)
{
    struct virtio_blk *blk = blk_of(dev);

    blk->writeback = blk->info.writeback;
}

static const struct virtio_ops ops = {
    .id = VIRTIO_ID_BLOCK,
    .config_size = sizeof(struct virtio_blk_config),
    .config_read = config_read,
    .config_write = config_write,
    .config_name = config_name,
    .kick = kick,
    .stop_queue = stop_queue,
    .reset = reset,
};

void virtio_blk_init(struct virtio_blk *blk, const char *name, const struct mem *mem,
                     struct device_remark remark, struct block_info info, const char *serial,
                     bool config_wce)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) |
                        VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
                        VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY);

    if (info.readonly)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
    else
        features |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
    if (config_wce)
        features |= VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    memset(blk, 0, sizeof(*blk));
    virtio_init(&blk->dev, &ops, name, mem, remark, features, 1);
    blk->info = info;
    blk->writeback = info.writeback;
    blk->list_end = &blk->list;
    for (size_t i = 0; serial && i < sizeof(blk->serial) && serial[i]; i++)
        blk->serial[i] = serial[i];
    for (unsigned i = 0; i < VIRTQ_SIZE_MAX; i++)
        release(blk, &blk->request[i]);
}

void virtio_blk_connect(struct virtio_blk *blk, struct block_backend backend)
{
    blk->backend = backend;
}

struct block_client virtio_blk_client(struct virtio_blk *blk)
{
    return (struct block_client){.done = done, .opaque = blk};
}
