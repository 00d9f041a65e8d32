/*
 * pcap.c: classic pcap files, version 2.4, in this host's byte order, as pcap-savefile(5) describes
 * them.
 */
#include "pcap.h"

#include "../log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PCAP_MAGIC     0xa1b2c3d4 /* timestamps are in microseconds */
#define PCAP_ETHERNET  1          /* LINKTYPE_ETHERNET */
#define PCAP_PARTS_MAX 512        /* of a frame, the record's header among them */
#define NS_PER_US      1000

struct pcap_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, max_len, link_type;
};

struct pcap_record {
    uint32_t seconds, microseconds;
    uint32_t written, len; /* bytes of the frame: in the file, on the wire */
};

struct pcap {
    int fd; /* -1: the dump has ended */
    const char *file;
    uint32_t max_len;
    bool regular; /* a file, not a pipe */
    off_t size;   /* of all whole frames */
};

/* Writes IOV's COUNT parts, LEN bytes. 0, or -errno; less than all of it is ENOSPC. */
static int write_all(struct pcap *pcap, const struct iovec *iov, unsigned count, size_t len)
{
    ssize_t n;

    do
        n = writev(pcap->fd, iov, (int)count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if ((size_t)n < len)
        return -ENOSPC;
    pcap->size += n;
    return 0;
}

int pcap_open(struct pcap **out, const struct dump_option *option, struct error *err)
{
    struct pcap_header header = {
        .magic = PCAP_MAGIC,
        .major = 2,
        .minor = 4,
        .max_len = option->max_len,
        .link_type = PCAP_ETHERNET,
    };
    struct pcap *pcap = calloc(1, sizeof *pcap);
    struct stat st;

    if (!pcap)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    *pcap = (struct pcap){
        .fd = open(option->file, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666),
        .file = option->file,
        .max_len = option->max_len,
    };

    int r = pcap->fd < 0 ? -errno : 0;

    if (r == 0) {
        struct iovec iov = {.iov_base = &header, .iov_len = sizeof header};

        r = write_all(pcap, &iov, 1, sizeof header);
        pcap->regular = fstat(pcap->fd, &st) == 0 && S_ISREG(st.st_mode);
    }
    if (r < 0) {
        error_set(err, STATUS_USAGE, "-object filter-dump,id=%s: %s: %s", option->id, option->file,
                  strerror(-r));
        pcap_close(pcap);
        return -1;
    }
    /* A pipe that nobody reads must not hold up the guest. */
    if (!pcap->regular)
        fcntl(pcap->fd, F_SETFL, O_WRONLY | O_NONBLOCK);
    *out = pcap;
    return 0;
}

void pcap_close(struct pcap *pcap)
{
    if (pcap->fd >= 0)
        close(pcap->fd);
    free(pcap);
}

static void end_dump(struct pcap *pcap, int error)
{
    bool slow = !pcap->regular && (error == EAGAIN || error == ENOSPC);

    if (pcap->regular && ftruncate(pcap->fd, pcap->size) < 0)
        error = errno;
    log_say("%s: %s; no more frames are dumped", pcap->file,
            slow ? "its reader is too slow" : strerror(error));
    close(pcap->fd);
    pcap->fd = -1;
}

void pcap_write(struct pcap *pcap, const struct iovec *iov, unsigned count, size_t skip)
{
    struct iovec part[PCAP_PARTS_MAX];
    struct pcap_record record = {0};
    struct timespec now;
    unsigned parts = 1;

    if (pcap->fd < 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        size_t before = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        size_t len = iov[i].iov_len - before;
        size_t left = pcap->max_len - record.written;

        skip -= before;
        record.len += (uint32_t)len;
        len = len < left ? len : left;
        if (len == 0 || parts == PCAP_PARTS_MAX)
            continue;
        part[parts++] =
            (struct iovec){.iov_base = (char *)iov[i].iov_base + before, .iov_len = len};
        record.written += (uint32_t)len;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    record.seconds = (uint32_t)now.tv_sec;
    record.microseconds = (uint32_t)(now.tv_nsec / NS_PER_US);
    part[0] = (struct iovec){.iov_base = &record, .iov_len = sizeof record};

    int r = write_all(pcap, part, parts, sizeof record + record.written);

    if (r < 0)
        end_dump(pcap, -r);
}
