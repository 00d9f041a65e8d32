/*
 * cpu_features.h: the -cpu argument: CPU features by QEMU's names, masked from what KVM offers.
 * Source: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; the names that
 * `qemu-system-x86_64 -cpu help` lists; KVM's own from the kernel's Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef KVMLENS_CPU_FEATURES_H
#define KVMLENS_CPU_FEATURES_H

#include "error.h"

#include <stdint.h>

/* The CPUID words that carry named features: leaf, subleaf after a double underscore, register. */
enum cpuid_word {
    CPUID_1_EDX,
    CPUID_1_ECX,
    CPUID_6_EAX,
    CPUID_7_EBX,
    CPUID_7_ECX,
    CPUID_7_EDX,
    CPUID_7__1_EAX,
    CPUID_D__1_EAX,
    CPUID_8000_0001_EDX,
    CPUID_8000_0001_ECX,
    CPUID_8000_0007_EDX,
    CPUID_8000_0008_EBX,
    CPUID_4000_0001_EAX, /* KVM's paravirtual features */
    CPUID_WORDS
};

struct cpu_features {
    uint32_t off[CPUID_WORDS];    /* -name, name=off: taken from what KVM offers */
    uint32_t wanted[CPUID_WORDS]; /* +name, name=on: an error if KVM does not offer it */
};

/* Parses "host[,-name][,+name][,name=on|off]" as QEMU does: a later name=on|off replaces an
 * earlier one, +name overrides both, -name overrides all. Unknown models and features are a
 * STATUS_USAGE error that names the nearest known one. */
int cpu_features_parse(struct cpu_features *features, const char *argument, struct error *err);

/* The name of BIT of WORD, or NULL; static. */
const char *cpu_feature_name(enum cpuid_word word, unsigned bit);

#endif
