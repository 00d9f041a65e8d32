/*
 * stats.c: KVM's own counters, through the statistics descriptors of a VM and its vCPUs.
 * Source: the kernel's Documentation/virt/kvm/api.rst, 4.133 (KVM_GET_STATS_FD).
 *
 * One file has a header, descriptors (a name, a type, a place among the data), and the data.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Far more than any KVM has; what says more is not believed. */
#define DESCRIPTORS_MAX 1024
#define NAME_SIZE_MAX   256
#define DATA_MAX        (64 * 1024)

/* Reads LEN bytes or fewer. What is there, or -errno. */
static ssize_t read_some(int fd, void *data, size_t len, off_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)data + done, len - done, offset + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_all(int fd, void *data, size_t len, off_t offset)
{
    ssize_t n = read_some(fd, data, len, offset);

    return n < 0 ? (int)n : (size_t)n < len ? -EPROTO : 0;
}

static void add(struct kvm_stats *stats, const char *name, uint64_t value)
{
    unsigned i = 0;

    while (i < stats->count && strcmp(stats->stat[i].name, name) != 0)
        i++;
    if (i == KVM_STATS_MAX)
        return;
    if (i == stats->count) {
        strcpy(stats->stat[i].name, name);
        stats->stat[i].value = 0;
        stats->count++;
    }
    stats->stat[i].value += value;
}

/* Adds what DESC, whose name is in at most NAME_SIZE bytes, says of DATA, if it is a counter. */
static void add_counter(struct kvm_stats *stats, const struct kvm_stats_desc *desc,
                        size_t name_size, const char *data, size_t data_len)
{
    size_t length = strnlen(desc->name, name_size);
    uint64_t value;

    if ((desc->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE || desc->size != 1)
        return; /* what is not counted up cannot be added up */
    if (length == 0 || length == name_size || length >= KVM_STAT_NAME_MAX)
        return;
    if (data_len < sizeof(value) || desc->offset > data_len - sizeof(value))
        return;
    memcpy(&value, data + desc->offset, sizeof(value));
    add(stats, desc->name, value);
}

/* Adds the counters of the statistics file FD. 0 or -errno. */
static int add_file(struct kvm_stats *stats, int fd)
{
    struct kvm_stats_header header;
    int r = read_all(fd, &header, sizeof(header), 0);

    if (r < 0)
        return r;
    if (header.num_desc > DESCRIPTORS_MAX || header.name_size > NAME_SIZE_MAX)
        return -EPROTO;

    size_t stride = sizeof(struct kvm_stats_desc) + header.name_size;
    char *descs = malloc(header.num_desc * stride + 1), *data = malloc(DATA_MAX);
    /* A descriptor is copied to where it is aligned, whatever the size of the names. */
    struct kvm_stats_desc *desc = malloc(stride);
    ssize_t len = -ENOMEM;

    if (descs && data && desc) {
        r = read_all(fd, descs, header.num_desc * stride, header.desc_offset);
        len = r < 0 ? r : read_some(fd, data, DATA_MAX, header.data_offset);
    }
    for (uint32_t i = 0; len >= 0 && i < header.num_desc; i++) {
        memcpy(desc, descs + i * stride, stride);
        add_counter(stats, desc, header.name_size, data, (size_t)len);
    }
    free(desc);
    free(data);
    free(descs);
    return len < 0 ? (int)len : 0;
}

static int add_from(struct kvm_stats *stats, const struct kvm_listener *listener, int owner)
{
    int fd = kvm_ioctl(listener, owner, KVM_GET_STATS_FD, 0);

    if (fd < 0)
        return -errno;

    int r = add_file(stats, fd);

    close(fd);
    return r;
}

int kvm_vm_add_stats(const struct kvm_vm *vm, struct kvm_stats *stats)
{
    return add_from(stats, vm->listener, vm->vm_fd);
}

int kvm_vcpu_add_stats(const struct kvm_vcpu *vcpu, struct kvm_stats *stats)
{
    return add_from(stats, vcpu->vm->listener, vcpu->fd);
}
