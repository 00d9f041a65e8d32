/*
 * cpu_features.c: CPU features by name, and the -cpu argument (see cpu_features.h).
 * Source: Intel SDM vol. 2A, CPUID, tables 3-10, 3-11 and leaf 7; AMD APM vol. 3, appendix E.4;
 * the kernel's Documentation/virt/kvm/x86/cpuid.rst. The spellings are QEMU's.
 */
#include "cpu_features.h"

#include "options_qemu.h"
#include "suggest.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_LEN 40 /* longer than any feature's name */

/* One name a bit, from bit 0 up; NULL where a bit is reserved or is not a feature to switch. */
static const char *const names[CPUID_WORDS][32] = {
    [CPUID_1_EDX] =
        {
            "fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",     "apic", NULL,
            "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush", NULL,   "ds",
            "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",    "pbe",
        },
    [CPUID_1_ECX] =
        {
            "pni",          "pclmulqdq", "dtes64", "monitor",
            "ds-cpl",       "vmx",       "smx",    "est",
            "tm2",          "ssse3",     "cid",    NULL,
            "fma",          "cx16",      "xtpr",   "pdcm",
            NULL,           "pcid",      "dca",    "sse4.1",
            "sse4.2",       "x2apic",    "movbe",  "popcnt",
            "tsc-deadline", "aes",       "xsave",  NULL /* osxsave: CR4's */,
            "avx",          "f16c",      "rdrand", "hypervisor",
        },
    [CPUID_6_EAX] = {[2] = "arat"},
    [CPUID_7_EBX] =
        {
            "fsgsbase", "tsc-adjust", "sgx",      "bmi1",       "hle",      "avx2",
            NULL,       "smep",       "bmi2",     "erms",       "invpcid",  "rtm",
            NULL,       NULL,         "mpx",      NULL,         "avx512f",  "avx512dq",
            "rdseed",   "adx",        "smap",     "avx512ifma", "pcommit",  "clflushopt",
            "clwb",     "intel-pt",   "avx512pf", "avx512er",   "avx512cd", "sha-ni",
            "avx512bw", "avx512vl",
        },
    [CPUID_7_ECX] =
        {
            NULL,         "avx512vbmi",  "umip",         "pku",       NULL /* ospke: CR4's */,
            "waitpkg",    "avx512vbmi2", NULL,           "gfni",      "vaes",
            "vpclmulqdq", "avx512vnni",  "avx512bitalg", NULL,        "avx512-vpopcntdq",
            NULL,         "la57",        NULL,           NULL,        NULL,
            NULL,         NULL,          "rdpid",        NULL,        "bus-lock-detect",
            "cldemote",   NULL,          "movdiri",      "movdir64b", NULL,
            "sgxlc",      "pks",
        },
    [CPUID_7_EDX] =
        {
            [2] = "avx512-4vnniw",
            [3] = "avx512-4fmaps",
            [4] = "fsrm",
            [8] = "avx512-vp2intersect",
            [10] = "md-clear",
            [14] = "serialize",
            [16] = "tsx-ldtrk",
            [19] = "arch-lbr",
            [22] = "amx-bf16",
            [23] = "avx512-fp16",
            [24] = "amx-tile",
            [25] = "amx-int8",
            [26] = "spec-ctrl",
            [27] = "stibp",
            [29] = "arch-capabilities",
            [30] = "core-capability",
            [31] = "ssbd",
        },
    [CPUID_7__1_EAX] = {[4] = "avx-vnni", [5] = "avx512-bf16"},
    [CPUID_D__1_EAX] = {"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd"},
    /* Where AMD repeats a bit of leaf 1, the name stands there alone and masks both. */
    [CPUID_8000_0001_EDX] =
        {
            [11] = "syscall",
            [20] = "nx",
            [22] = "mmxext",
            [25] = "fxsr-opt",
            [26] = "pdpe1gb",
            [27] = "rdtscp",
            [29] = "lm",
            [30] = "3dnowext",
            [31] = "3dnow",
        },
    [CPUID_8000_0001_ECX] =
        {
            "lahf-lm",    "cmp-legacy",  "svm",
            "extapic",    "cr8legacy",   "abm",
            "sse4a",      "misalignsse", "3dnowprefetch",
            "osvw",       "ibs",         "xop",
            "skinit",     "wdt",         NULL,
            "lwp",        "fma4",        "tce",
            NULL,         "nodeid-msr",  NULL,
            "tbm",        "topoext",     "perfctr-core",
            "perfctr-nb",
        },
    [CPUID_8000_0007_EDX] = {[8] = "invtsc"},
    [CPUID_8000_0008_EBX] =
        {
            [0] = "clzero",
            [2] = "xsaveerptr",
            [9] = "wbnoinvd",
            [12] = "ibpb",
            [14] = "ibrs",
            [15] = "amd-stibp",
            [24] = "amd-ssbd",
            [25] = "virt-ssbd",
            [26] = "amd-no-ssb",
        },
    [CPUID_4000_0001_EAX] =
        {
            [0] = "kvmclock",
            [1] = "kvm-nopiodelay",
            [2] = "kvm-mmu",
            [4] = "kvm-asyncpf",
            [5] = "kvm-steal-time",
            [6] = "kvm-pv-eoi",
            [7] = "kvm-pv-unhalt",
            [9] = "kvm-pv-tlb-flush",
            [11] = "kvm-pv-ipi",
            [12] = "kvm-poll-control",
            [13] = "kvm-pv-sched-yield",
            [14] = "kvm-asyncpf-int",
            [15] = "kvm-msi-ext-dest-id",
            [24] = "kvmclock-stable-bit",
        },
};

/* Other spellings that QEMU takes; '_' for '-' is handled apart from these. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    {"sse3", "pni"}, {"pclmuldq", "pclmulqdq"}, {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"},
    {"xd", "nx"},    {"ffxsr", "fxsr-opt"},     {"i64", "lm"},
};

/* Features that a part of the argument switches. */
struct masks {
    uint32_t word[CPUID_WORDS];
};

const char *cpu_feature_name(enum cpuid_word word, unsigned bit)
{
    return names[word][bit];
}

static bool set_named(struct masks *masks, const char *name)
{
    bool found = false;

    for (unsigned word = 0; word < CPUID_WORDS; word++)
        for (unsigned bit = 0; bit < 32; bit++)
            if (names[word][bit] && strcmp(names[word][bit], name) == 0) {
                masks->word[word] |= UINT32_C(1) << bit;
                found = true;
            }
    return found;
}

/* KVM reports its clock by two bits, for the old and the new MSRs; QEMU has one name for both. */
static bool set_feature(struct masks *masks, const char *name)
{
    if (!set_named(masks, name))
        return false;
    if (strcmp(name, "kvmclock") == 0)
        masks->word[CPUID_4000_0001_EAX] |= UINT32_C(1) << 3;
    return true;
}

static int unknown_feature(const char *name, struct error *err)
{
    struct suggestion near = {.word = name};

    if (qemu_has_cpu_property(name))
        return error_set(err, STATUS_USAGE,
                         "-cpu: QEMU has the property %s, kvmlens has not: it switches the feature "
                         "bits that `-cpu help` lists",
                         QUOTE(name));
    for (unsigned word = 0; word < CPUID_WORDS; word++)
        for (unsigned bit = 0; bit < 32; bit++)
            if (names[word][bit])
                suggest_offer(&near, names[word][bit]);
    if (near.best[0])
        return error_set(err, STATUS_USAGE, "-cpu: no feature is called %s; did you mean %s?",
                         QUOTE(name), near.best);
    return error_set(err, STATUS_USAGE, "-cpu: no feature is called %s; `-cpu help` lists them",
                     QUOTE(name));
}

/* Copies an item up to LEN bytes as a name in QEMU's form: '-' for '_', aliases resolved. */
static const char *canonical(char name[NAME_MAX_LEN + 1], const char *item, size_t len)
{
    if (len > NAME_MAX_LEN)
        len = NAME_MAX_LEN;
    memcpy(name, item, len);
    name[len] = '\0';
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (strcmp(name, aliases[i].alias) == 0)
            return aliases[i].name;
    return name;
}

static bool span_is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* The words that QEMU takes for a switch. -1: neither. */
static int parse_switch(const char *text, size_t len)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};

    for (int i = 0; i < 8; i++)
        if (span_is(text, len, words[i]))
            return i & 1;
    return -1;
}

struct cpu_masks {
    struct masks on, off, plus, minus;
};

/* One of "+name", "-name", "name=on|off", "name". */
static int parse_item(struct cpu_masks *masks, const char *item, size_t len, struct error *err)
{
    char buffer[NAME_MAX_LEN + 1];
    const char *equals = memchr(item, '=', len);
    bool sign = *item == '+' || *item == '-';

    if (sign) {
        const char *name = canonical(buffer, item + 1, len - 1);

        return set_feature(*item == '+' ? &masks->plus : &masks->minus, name)
                   ? 0
                   : unknown_feature(name, err);
    }

    size_t name_len = equals ? (size_t)(equals - item) : len;
    const char *name = canonical(buffer, item, name_len);
    struct masks named = {{0}};

    if (!set_feature(&named, name))
        return unknown_feature(name, err);

    int on = equals ? parse_switch(equals + 1, len - name_len - 1) : 1;

    if (on < 0)
        return error_set(err, STATUS_USAGE, "-cpu: %s=on or %s=off is expected", name, name);
    for (unsigned word = 0; word < CPUID_WORDS; word++) {
        masks->on.word[word] &= ~named.word[word];
        masks->off.word[word] &= ~named.word[word];
        (on ? &masks->on : &masks->off)->word[word] |= named.word[word];
    }
    return 0;
}

static int check_model(const char *model, size_t len, struct error *err)
{
    char name[NAME_MAX_LEN + 1];
    size_t copied = len < NAME_MAX_LEN ? len : NAME_MAX_LEN;

    if (span_is(model, len, "host"))
        return 0;
    memcpy(name, model, copied);
    name[copied] = '\0';
    if (qemu_has_cpu_model(name))
        return error_set(err, STATUS_USAGE,
                         "-cpu: QEMU has the model %s, kvmlens has not: its guests see the host's "
                         "processor, less what is masked (-cpu host,-avx2)",
                         QUOTE(name));
    return error_set(err, STATUS_USAGE, "-cpu: no model is called %s; kvmlens has one, host",
                     QUOTE(name));
}

int cpu_features_parse(struct cpu_features *features, const char *argument, struct error *err)
{
    struct cpu_masks masks = {0};
    size_t len = strcspn(argument, ",");

    if (check_model(argument, len, err) < 0)
        return -1;
    for (const char *item = argument + len; *item; item += len) {
        item++; /* the comma */
        len = strcspn(item, ",");
        if (len == 0)
            return error_set(err, STATUS_USAGE,
                             "-cpu: a feature is expected after each comma, as in host,-avx2");
        if (parse_item(&masks, item, len, err) < 0)
            return -1;
    }
    for (unsigned word = 0; word < CPUID_WORDS; word++) {
        uint32_t plus = masks.plus.word[word], minus = masks.minus.word[word];

        features->off[word] = (masks.off.word[word] & ~plus) | minus;
        features->wanted[word] = (masks.on.word[word] | plus) & ~minus;
    }
    return 0;
}
