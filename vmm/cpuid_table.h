/*
 * cpuid_table.h: the CPUID table of a vCPU, in neutral terms: features masked, topology filled in.
 * Source: Intel SDM vol. 2A, CPUID, and vol. 3A, section 9.9 (topology); AMD APM vol. 3,
 * appendix E.
 */
#ifndef KVMLENS_CPUID_TABLE_H
#define KVMLENS_CPUID_TABLE_H

#include "cpu_features.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define CPUID_ENTRIES_MAX 256 /* KVM's own limit */

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

struct cpuid_entry {
    uint32_t leaf, subleaf;
    bool indexed; /* the leaf has subleaves */
    uint32_t reg[4];
};

struct cpuid_table {
    unsigned count;
    struct cpuid_entry entry[CPUID_ENTRIES_MAX];
};

/* Puts right what KVM offers but does not say, or says but cannot do: the hypervisor bit is always
 * there; without in-kernel local APICs (IRQCHIP false) there is no APIC at all, and with them
 * there is the TSC-deadline timer if TSC_DEADLINE. */
void cpuid_offer(struct cpuid_table *table, bool irqchip, bool tsc_deadline);

/* A STATUS_USAGE error and -1 if TABLE lacks features that are wanted; names them. */
int cpuid_check_wanted(const struct cpuid_table *table, const struct cpu_features *features,
                       struct error *err);

/* Makes TABLE that of vCPU INDEX (its APIC ID) of COUNT: one package of COUNT cores, each of one
 * thread. */
void cpuid_set_topology(struct cpuid_table *table, unsigned index, unsigned count);

/* Takes away the features that are off. */
void cpuid_mask(struct cpuid_table *table, const struct cpu_features *features);

#endif
