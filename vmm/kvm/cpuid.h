/*
 * cpuid.h: the -cpu argument: CPU features by QEMU's names, masked from what KVM offers.
 * Source: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; QEMU target/i386/cpu.c's names.
 */
#ifndef KVMLENS_CPUID_H
#define KVMLENS_CPUID_H

#include "../error.h"

#include <stdint.h>

/* The CPUID words that carry named features. */
enum cpuid_word {
    CPUID_1_EDX,
    CPUID_1_ECX,
    CPUID_7_EBX,
    CPUID_7_ECX,
    CPUID_7_EDX,
    CPUID_8000_0001_EDX,
    CPUID_8000_0001_ECX,
    CPUID_WORDS
};

struct cpu_features {
    uint32_t off[CPUID_WORDS];    /* -name, name=off: taken from what KVM offers */
    uint32_t wanted[CPUID_WORDS]; /* +name, name=on: an error if KVM does not offer it */
};

/* Parses "host[,-name][,+name][,name=on|off]". Unknown models and features are a STATUS_USAGE error
 * that names the nearest known one. */
int cpu_features_parse(struct cpu_features *features, const char *argument, struct error *err);

/* The name of BIT of WORD, or NULL; and the first name in order of (word, bit) after it. */
const char *cpu_feature_name(enum cpuid_word word, unsigned bit);

#endif
