/*
 * cpuid.c: CPUID between KVM and the neutral table of ../cpuid_table.h.
 * Source: the kernel's Documentation/virt/kvm/api.rst, KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2.
 */
#include "cpuid.h"

#include "internal.h"

#include "../cpuid_table.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct kvm_cpuid_table {
    struct cpuid_table offered;
};

static struct kvm_cpuid2 *allocate(unsigned count)
{
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + count * sizeof(struct kvm_cpuid_entry2));

    if (cpuid)
        cpuid->nent = count;
    return cpuid;
}

/* What KVM offers, to be freed; NULL with errno. */
static struct kvm_cpuid2 *get_supported(const struct kvm_listener *listener, int kvm_fd)
{
    /* KVM says E2BIG where the array is too small, without saying how large it should be. */
    for (unsigned room = CPUID_ENTRIES_MAX / 2; room <= CPUID_ENTRIES_MAX; room *= 2) {
        struct kvm_cpuid2 *cpuid = allocate(room);

        if (!cpuid || kvm_ioctl(listener, kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
            return cpuid;

        int error = errno;

        free(cpuid);
        errno = error;
        if (error != E2BIG)
            return NULL;
    }
    return NULL;
}

int kvm_cpuid_read(struct kvm_cpuid_table **out, const struct kvm_listener *listener, int kvm_fd,
                   bool irqchip, struct error *err)
{
    struct kvm_cpuid2 *cpuid = get_supported(listener, kvm_fd);
    struct kvm_cpuid_table *table = cpuid ? calloc(1, sizeof(*table)) : NULL;

    if (!table) {
        error_set(err, kvm_blame(errno), "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
        free(cpuid);
        return -1;
    }
    for (unsigned i = 0; i < cpuid->nent && i < CPUID_ENTRIES_MAX; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

        table->offered.entry[table->offered.count++] = (struct cpuid_entry){
            .leaf = e->function,
            .subleaf = e->index,
            .indexed = (e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
            .reg = {e->eax, e->ebx, e->ecx, e->edx},
        };
    }
    free(cpuid);
    cpuid_offer(&table->offered, irqchip,
                kvm_ioctl(listener, kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
    *out = table;
    return 0;
}

void kvm_cpuid_free(struct kvm_cpuid_table *table)
{
    free(table);
}

int kvm_cpuid_set(const struct kvm_cpuid_table *table, const struct kvm_listener *listener,
                  int vcpu_fd, unsigned index, unsigned count, const struct cpu_features *features,
                  struct error *err)
{
    if (cpuid_check_wanted(&table->offered, features, err) < 0)
        return -1;

    struct cpuid_table mine = table->offered;

    cpuid_set_topology(&mine, index, count);
    /* After the topology, which would bring "ht" back. */
    cpuid_mask(&mine, features);

    struct kvm_cpuid2 *cpuid = allocate(mine.count);

    if (!cpuid)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    for (unsigned i = 0; i < mine.count; i++) {
        const struct cpuid_entry *e = &mine.entry[i];

        cpuid->entries[i] = (struct kvm_cpuid_entry2){
            .function = e->leaf,
            .index = e->subleaf,
            .flags = e->indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = e->reg[CPUID_EAX],
            .ebx = e->reg[CPUID_EBX],
            .ecx = e->reg[CPUID_ECX],
            .edx = e->reg[CPUID_EDX],
        };
    }

    int r = kvm_ioctl(listener, vcpu_fd, KVM_SET_CPUID2, cpuid);
    int error = errno;

    free(cpuid);
    if (r < 0)
        return error_set(err, kvm_blame(error), "KVM_SET_CPUID2 of vCPU %u of %u: %s", index, count,
                         strerror(error));
    return 0;
}
