/*
 * test_stats.c: KVM's statistics files (vmm/kvm/stats.c): good ones, and such as no kernel should
 * make. The source is included, since unit tests link a fake in place of vmm/kvm/.
 */
#include "kvm/stats.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
/* after the headers that it needs */
#include <cmocka.h>

int kvm_ioctl_told(const struct kvm_listener *listener, int fd, unsigned long request,
                   const char *name, unsigned long arg)
{
    (void)listener, (void)fd, (void)request, (void)name, (void)arg;
    fail();
    return -1;
}

#define NAME_SIZE    16
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct description {
    const char *name;
    uint32_t flags;
    uint16_t size;
    uint32_t offset;
};

/* A statistics file in memory. */
struct file {
    struct kvm_stats_header header;
    char desc[8][sizeof(struct kvm_stats_desc) + NAME_SIZE];
    uint64_t data[4];
};

static struct file make(const struct description *description, size_t count)
{
    struct file file = {
        .header = {.name_size = NAME_SIZE,
                   .num_desc = (uint32_t)count,
                   .desc_offset = offsetof(struct file, desc),
                   .data_offset = offsetof(struct file, data)},
        .data = {11, 22, 33, 44},
    };

    for (size_t i = 0; i < count; i++) {
        const struct kvm_stats_desc desc = {.flags = description[i].flags,
                                            .size = description[i].size,
                                            .offset = description[i].offset};

        memcpy(file.desc[i], &desc, sizeof(desc));
        memcpy(file.desc[i] + sizeof(desc), description[i].name,
               strnlen(description[i].name, NAME_SIZE));
    }
    return file;
}

static int add_bytes(struct kvm_stats *stats, const void *bytes, size_t len)
{
    int fd = memfd_create("stats", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);

    int r = add_file(stats, fd);

    close(fd);
    return r;
}

static void counters_are_added_up(void **state)
{
    (void)state;
    static const struct description descriptions[] = {
        {"exits", KVM_STATS_TYPE_CUMULATIVE, 1, 0},
        {"now", KVM_STATS_TYPE_INSTANT, 1, 8},
        {"io_exits", KVM_STATS_TYPE_CUMULATIVE, 1, 24},
        {"histogram", KVM_STATS_TYPE_LOG_HIST, 4, 0},
    };
    struct file file = make(descriptions, COUNT(descriptions));
    struct kvm_stats stats = {0};

    assert_int_equal(add_bytes(&stats, &file, sizeof(file)), 0);
    assert_int_equal(add_bytes(&stats, &file, sizeof(file)), 0);
    assert_int_equal(stats.count, 2);
    assert_string_equal(stats.stat[0].name, "exits");
    assert_int_equal(stats.stat[0].value, 22);
    assert_string_equal(stats.stat[1].name, "io_exits");
    assert_int_equal(stats.stat[1].value, 88);
}

static void odd_descriptors_are_passed_over(void **state)
{
    (void)state;
    static const struct description descriptions[] = {
        {"", KVM_STATS_TYPE_CUMULATIVE, 1, 0},
        {"sixteen-and-more", KVM_STATS_TYPE_CUMULATIVE, 1, 0},
        {"behind", KVM_STATS_TYPE_CUMULATIVE, 1, 25},
        {"far", KVM_STATS_TYPE_CUMULATIVE, 1, UINT32_MAX},
        {"none", KVM_STATS_TYPE_CUMULATIVE, 0, 0},
        {"many", KVM_STATS_TYPE_CUMULATIVE, UINT16_MAX, 0},
        {"last", KVM_STATS_TYPE_CUMULATIVE, 1, 24},
    };
    struct file file = make(descriptions, COUNT(descriptions));
    struct kvm_stats stats = {0};

    assert_int_equal(add_bytes(&stats, &file, sizeof(file)), 0);
    assert_int_equal(stats.count, 1);
    assert_string_equal(stats.stat[0].name, "last");
}

static void odd_headers_are_refused(void **state)
{
    (void)state;
    static const struct description exits = {"exits", KVM_STATS_TYPE_CUMULATIVE, 1, 0};
    const struct file good = make(&exits, 1);
    struct kvm_stats stats = {0};
    struct file bad = good;

    bad.header.num_desc = UINT32_MAX;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), -EPROTO);
    bad = good;
    bad.header.name_size = UINT32_MAX;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), -EPROTO);
    bad = good;
    bad.header.desc_offset = sizeof(bad) - 8;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), -EPROTO);
    bad.header.desc_offset = UINT32_MAX;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), -EPROTO);
    assert_int_equal(add_bytes(&stats, &good, sizeof(good.header) - 1), -EPROTO);
    bad = good;
    bad.header.data_offset = UINT32_MAX; /* no data */
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), 0);
    bad.header.name_size = 0;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), 0);
    bad.header.num_desc = 0;
    assert_int_equal(add_bytes(&stats, &bad, sizeof(bad)), 0);
    assert_int_equal(stats.count, 0);
}

static void there_may_be_too_many(void **state)
{
    (void)state;
    struct kvm_stats stats = {0};
    char name[8];

    for (unsigned i = 0; i < 2 * KVM_STATS_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", i);

        const struct description one = {name, KVM_STATS_TYPE_CUMULATIVE, 1, 0};
        const struct file file = make(&one, 1);

        assert_int_equal(add_bytes(&stats, &file, sizeof(file)), 0);
    }
    assert_int_equal(stats.count, KVM_STATS_MAX);
}

static void no_statistics(void **state)
{
    (void)state;
    struct kvm_stats stats = {0};
    struct kvm_vm vm = {.vm_fd = memfd_create("no VM", MFD_CLOEXEC)};
    struct kvm_vcpu vcpu = {.vm = &vm, .fd = -1};

    assert_int_equal(kvm_vm_add_stats(&vm, &stats), -ENOTTY);
    assert_int_equal(kvm_vcpu_add_stats(&vcpu, &stats), -EBADF);
    close(vm.vm_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_added_up),
        cmocka_unit_test(odd_descriptors_are_passed_over),
        cmocka_unit_test(odd_headers_are_refused),
        cmocka_unit_test(there_may_be_too_many),
        cmocka_unit_test(no_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
