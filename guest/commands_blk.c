/*
 * commands_blk.c: the shell's command blk: disks, looked at, written, checked and measured.
 *
 * The pattern of fill and verify: the 8-byte word number W of the disk (sector W / 64) is
 * SEED + W * PATTERN_STEP, so that any sector that is lost, stale or elsewhere is found.
 */
#include "drivers.h"
#include "kernel.h"
#include "x86.h"

#define SECTOR        VIRTIO_BLK_SECTOR
#define WORDS         (SECTOR / 8)
#define PATTERN_STEP  0x9e3779b97f4a7c15
#define CHUNK_SECTORS 128u /* of fill, verify and read */
#define BUFFER_MAX    (16u << 20)
#define IDLE_POLLS    10000000 /* until a device that is polled has died */

/* At least BYTES of memory for data; the same ones in each call that the last ones suffice for. */
static uint8_t *buffer(uint32_t bytes)
{
    static struct {
        uint8_t *data;
        uint32_t bytes;
    } last;
    if (bytes > last.bytes) {
        last.bytes = (bytes + PAGE_SIZE - 1) & ~(uint32_t)(PAGE_SIZE - 1);
        last.data = pages_alloc(last.bytes / PAGE_SIZE);
    }
    return last.data;
}

/* Says what has failed, if anything. */
static bool done(const char *what, uint64_t sector, uint8_t status)
{
    const char *why = "the device does not answer";
    if (status == VIRTIO_BLK_S_OK)
        return true;
    if (status == VIRTIO_BLK_S_IOERR)
        why = "I/O error";
    else if (status == VIRTIO_BLK_S_UNSUPP)
        why = "the device does not support it";
    print("blk: %s at sector %lu: %s\n", what, sector, why);
    return false;
}

static void print_features(struct blk *blk)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {VIRTIO_BLK_F_SIZE_MAX, "SIZE_MAX"},
        {VIRTIO_BLK_F_SEG_MAX, "SEG_MAX"},
        {VIRTIO_BLK_F_RO, "RO"},
        {VIRTIO_BLK_F_BLK_SIZE, "BLK_SIZE"},
        {VIRTIO_BLK_F_FLUSH, "FLUSH"},
        {VIRTIO_BLK_F_TOPOLOGY, "TOPOLOGY"},
        {VIRTIO_BLK_F_CONFIG_WCE, "CONFIG_WCE"},
        {VIRTIO_BLK_F_DISCARD, "DISCARD"},
        {VIRTIO_BLK_F_WRITE_ZEROES, "ZEROES"},
    };
    print("features:  ");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (blk_has(blk, names[i].bit))
            print(" %s", names[i].name);
    }
    print("\n");
}

static bool blk_info(struct blk *blk, int argc, char **argv)
{
    const struct virtio_blk_config *config = blk_config(blk);
    static char serial[VIRTIO_BLK_ID_BYTES + 1];
    (void)argv;
    if (argc > 1)
        return false;
    print("capacity:   %lu sectors of %d bytes, %lu KiB, %s\n", config->capacity, SECTOR,
          config->capacity / 2, blk_has(blk, VIRTIO_BLK_F_RO) ? "read-only" : "read and write");
    if (done("GET_ID", 0, blk_do(blk, VIRTIO_BLK_T_GET_ID, 0, serial, VIRTIO_BLK_ID_BYTES)))
        print("serial:     %s\n", *serial ? serial : "none");
    if (blk_has(blk, VIRTIO_BLK_F_BLK_SIZE))
        print("block size: %u\n", config->blk_size);
    if (blk_has(blk, VIRTIO_BLK_F_TOPOLOGY))
        print("topology:   2^%u blocks in a physical one; best %u to %u blocks\n",
              config->physical_block_exp, config->min_io_size, config->opt_io_size);
    if (blk_has(blk, VIRTIO_BLK_F_SEG_MAX))
        print("segments:   %u of a request\n", config->seg_max);
    if (blk_has(blk, VIRTIO_BLK_F_CONFIG_WCE))
        print("cache:      write%s\n", config->writeback ? "back" : "through");
    print_features(blk);
    return true;
}

static bool blk_read(struct blk *blk, int argc, char **argv)
{
    uint64_t sector, count = 1;
    if (argc < 2 || argc > 3 || !parse_number(argv[1], UINT64_MAX, &sector) ||
        (argc > 2 && !parse_number(argv[2], CHUNK_SECTORS, &count)))
        return false;
    uint32_t bytes = (uint32_t)count * SECTOR;
    uint8_t *data = buffer(bytes);
    if (done("read", sector, blk_do(blk, VIRTIO_BLK_T_IN, sector, data, bytes)))
        dump(sector * SECTOR, data, bytes);
    return true;
}

static bool blk_write(struct blk *blk, int argc, char **argv)
{
    uint64_t sector;
    if (argc < 3 || !parse_number(argv[1], UINT64_MAX, &sector))
        return false;
    uint8_t *data = memset(buffer(SECTOR), 0, SECTOR), *at = data;
    for (int i = 2; i < argc; i++) { /* a line of the shell is shorter than a sector */
        if (i > 2)
            *at++ = ' ';
        at = (uint8_t *)memcpy(at, argv[i], strlen(argv[i])) + strlen(argv[i]);
    }
    if (done("write", sector, blk_do(blk, VIRTIO_BLK_T_OUT, sector, data, SECTOR)))
        print("blk: %lu bytes written to sector %lu\n", (uint64_t)(at - data), sector);
    return true;
}

static void fill(uint64_t *words, uint32_t count, uint64_t sector, uint64_t seed)
{
    uint64_t value = seed + sector * WORDS * PATTERN_STEP;
    for (uint64_t *end = words + count; words < end; value += PATTERN_STEP)
        *words++ = value;
}

static bool matches(const uint64_t *words, uint32_t count, uint64_t sector, uint64_t seed)
{
    uint64_t value = seed + sector * WORDS * PATTERN_STEP;
    const uint64_t *at = words, *end = words + count;
    for (; at < end && *at == value; at++)
        value += PATTERN_STEP;
    if (at == end)
        return true;
    uint64_t word = (uint64_t)(at - words);
    print("blk: sector %lu, byte %lu: found 0x%lx, expected 0x%lx\n", sector + word / WORDS,
          word % WORDS * 8, *at, value);
    return false;
}

/* The commands fill and verify: SECTOR COUNT SEED. */
static bool blk_pattern(struct blk *blk, int argc, char **argv)
{
    bool write = argv[0][0] == 'f';
    uint64_t sector, count, seed;
    if (argc != 4 || !parse_number(argv[1], UINT64_MAX, &sector) ||
        !parse_number(argv[2], UINT32_MAX, &count) || !parse_number(argv[3], UINT64_MAX, &seed))
        return false;
    uint64_t *words = (uint64_t *)buffer(CHUNK_SECTORS * SECTOR);
    for (uint64_t i = 0; i < count; i += CHUNK_SECTORS) {
        uint32_t sectors = count - i < CHUNK_SECTORS ? (uint32_t)(count - i) : CHUNK_SECTORS;
        if (write)
            fill(words, sectors * WORDS, sector + i, seed);
        uint32_t type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
        if (!done(write ? "write" : "read", sector + i,
                  blk_do(blk, type, sector + i, words, sectors * SECTOR)) ||
            (!write && !matches(words, sectors * WORDS, sector + i, seed)))
            return true;
    }
    print("blk: %lu sectors from %lu %s\n", count, sector, write ? "filled" : "are as filled");
    return true;
}

static bool blk_flush(struct blk *blk, int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    if (done("flush", 0, blk_do(blk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0)))
        print("blk: flushed\n");
    return true;
}

/* The commands discard and zero: SECTOR COUNT. */
static bool blk_range(struct blk *blk, int argc, char **argv)
{
    static struct virtio_blk_range range;
    bool discard = argv[0][0] == 'd';
    uint64_t sectors;
    if (argc != 3 || !parse_number(argv[1], UINT64_MAX, &range.sector) ||
        !parse_number(argv[2], UINT32_MAX, &sectors))
        return false;
    range.sectors = (uint32_t)sectors;
    if (done(argv[0], range.sector,
             blk_do(blk, discard ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES, 0, &range,
                    sizeof(range))))
        print("blk: %lu sectors from %lu %s\n", sectors, range.sector,
              discard ? "discarded" : "are zero");
    return true;
}

/* For tests that end the VMM at any moment: what has been said to be flushed must be there. */
static bool blk_log(struct blk *blk, int argc, char **argv)
{
    uint64_t sector, count;
    if (argc != 3 || !parse_number(argv[1], UINT64_MAX, &sector) ||
        !parse_number(argv[2], UINT32_MAX, &count))
        return false;
    uint64_t *words = (uint64_t *)buffer(SECTOR);
    for (uint64_t i = 0; i < count; i++) {
        fill(words, WORDS, sector + i, i);
        if (!done("write", sector + i, blk_do(blk, VIRTIO_BLK_T_OUT, sector + i, words, SECTOR)) ||
            !done("flush", sector + i, blk_do(blk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0)))
            return true;
        print("flushed %lu\n", i);
    }
    return true;
}

struct bench {
    struct blk *blk;
    bool write, random, sleep;
    uint32_t bytes; /* of a request */
    uint64_t requests, depth;
};

/* Keeps DEPTH requests under way until all are done. */
static bool run_bench(const struct bench *bench, uint8_t *data)
{
    uint64_t units = blk_config(bench->blk)->capacity / (bench->bytes / SECTOR);
    uint64_t begun = 0, ended = 0, idle = 0, random = 1;
    while (ended < bench->requests) {
        for (; begun < bench->requests && begun - ended < bench->depth; begun++) {
            random = random * 6364136223846793005 + 1442695040888963407;
            uint64_t unit = (bench->random ? random >> 32 : begun) % units;
            /* Requests end out of order: two may share a part of the data, which nobody reads. */
            blk_submit(bench->blk, bench->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
                       unit * (bench->bytes / SECTOR), data + begun % bench->depth * bench->bytes,
                       bench->bytes);
        }
        blk_kick(bench->blk);
        struct blk_request *request = blk_done(bench->blk, bench->sleep);
        if (!request && (bench->sleep || ++idle > IDLE_POLLS))
            return done("bench", 0, BLK_NO_ANSWER);
        for (; request; request = blk_done(bench->blk, false)) {
            if (!done("bench", request->header.sector, request->status))
                return false;
            ended++;
            idle = 0;
        }
    }
    return true;
}

static bool blk_bench(struct blk *blk, int argc, char **argv)
{
    uint64_t mib, kib = 128, depth = 1;
    if (argc < 3 || argc > 5 || !parse_number(argv[2], 1 << 20, &mib) ||
        (argc > 3 && !parse_number(argv[3], 1024, &kib)) ||
        (argc > 4 && !parse_number(argv[4], BLK_DEPTH_MAX, &depth)) || kib == 0 || depth == 0)
        return false;
    struct bench bench = {.blk = blk,
                          .write = strcmp(argv[1], "write") == 0,
                          .random = strcmp(argv[1], "randread") == 0,
                          .sleep = argc < 5,
                          .bytes = (uint32_t)kib << 10,
                          .requests = (mib << 10) / kib,
                          .depth = depth};
    if (!bench.write && !bench.random && strcmp(argv[1], "read") != 0)
        return false;
    if (bench.bytes / SECTOR > blk_config(blk)->capacity || kib * depth > BUFFER_MAX >> 10) {
        print("blk: the disk, or the memory for the data, is too small for that\n");
        return true;
    }
    uint8_t *data = buffer(bench.bytes * (uint32_t)depth);
    uint64_t notifications, interrupts, notified, interrupted;
    blk_costs(blk, &notified, &interrupted);
    uint64_t ticks = timer_ticks(), cycles = rdtsc();
    if (!run_bench(&bench, data))
        return true;
    cycles = rdtsc() - cycles;
    ticks = timer_ticks() - ticks;
    blk_costs(blk, &notifications, &interrupts);
    print("blk: %s: %lu requests of %lu KiB, %lu under way, %s: %lu bytes\n", argv[1],
          bench.requests, kib, depth, bench.sleep ? "interrupts" : "polled",
          bench.requests * bench.bytes);
    print("blk: %lu cycles, %lu ms, %lu notifications, %lu interrupts\n", cycles,
          ticks * 1000 / TIMER_HZ, notifications - notified, interrupts - interrupted);
    return true;
}

bool command_blk(int argc, char **argv)
{
    static const struct {
        const char *name, *usage;
        bool (*run)(struct blk *blk, int argc, char **argv);
    } verbs[] = {
        {"info", "", blk_info},
        {"read", "SECTOR [COUNT]", blk_read},
        {"write", "SECTOR TEXT", blk_write},
        {"fill", "SECTOR COUNT SEED", blk_pattern},
        {"verify", "SECTOR COUNT SEED", blk_pattern},
        {"flush", "", blk_flush},
        {"discard", "SECTOR COUNT", blk_range},
        {"zero", "SECTOR COUNT", blk_range},
        {"log", "SECTOR COUNT", blk_log},
        {"bench", "read|write|randread MIB [KIB [DEPTH]]", blk_bench},
    };
    uint64_t disk = 0;
    if (argc > 1 && *argv[1] >= '0' && *argv[1] <= '9') {
        if (!parse_number(argv[1], UINT32_MAX, &disk))
            return false;
        argc--;
        argv++;
    }
    for (unsigned i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        struct blk *blk = blk_open((unsigned)disk);
        if (!blk)
            print("blk: this machine has no virtio-blk device number %lu\n", disk);
        else if (!verbs[i].run(blk, argc - 1, argv + 1))
            print("usage: blk [DISK] %s %s\n", verbs[i].name, verbs[i].usage);
        return true;
    }
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        print("  blk [DISK] %s %s\n", verbs[i].name, verbs[i].usage);
    return true;
}
