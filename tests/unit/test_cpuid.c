/*
 * test_cpuid.c: -cpu's features, and the CPUID table that a vCPU gets.
 */
#include "cpu_features.h"
#include "cpuid_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (UINT32_C(1) << (n))

static struct cpu_features parsed(const char *argument)
{
    struct cpu_features features;
    struct error err;

    if (cpu_features_parse(&features, argument, &err) < 0)
        fail_msg("%s: %s", argument, err.text);
    return features;
}

/* ARGUMENT switches BIT of WORD as told, and nothing else. */
static void assert_switches(const char *argument, unsigned word, uint32_t off, uint32_t wanted)
{
    struct cpu_features features = parsed(argument);

    for (unsigned i = 0; i < CPUID_WORDS; i++) {
        if (features.off[i] != (i == word ? off : 0))
            fail_msg("%s: word %u: off %#x", argument, i, features.off[i]);
        if (features.wanted[i] != (i == word ? wanted : 0))
            fail_msg("%s: word %u: wanted %#x", argument, i, features.wanted[i]);
    }
}

static void features_switch_their_bits(void **state)
{
    (void)state;
    /* From the manuals: one of each word, its ends where they have names. */
    assert_switches("host,-fpu", CPUID_1_EDX, BIT(0), 0);
    assert_switches("host,-apic", CPUID_1_EDX, BIT(9), 0);
    assert_switches("host,-sse2", CPUID_1_EDX, BIT(26), 0);
    assert_switches("host,-pbe", CPUID_1_EDX, BIT(31), 0);
    assert_switches("host,-pni", CPUID_1_ECX, BIT(0), 0);
    assert_switches("host,-x2apic", CPUID_1_ECX, BIT(21), 0);
    assert_switches("host,-tsc-deadline", CPUID_1_ECX, BIT(24), 0);
    assert_switches("host,-xsave", CPUID_1_ECX, BIT(26), 0);
    assert_switches("host,-hypervisor", CPUID_1_ECX, BIT(31), 0);
    assert_switches("host,-arat", CPUID_6_EAX, BIT(2), 0);
    assert_switches("host,-avx2", CPUID_7_EBX, BIT(5), 0);
    assert_switches("host,-avx512vl", CPUID_7_EBX, BIT(31), 0);
    assert_switches("host,-la57", CPUID_7_ECX, BIT(16), 0);
    assert_switches("host,-rdpid", CPUID_7_ECX, BIT(22), 0);
    assert_switches("host,-pks", CPUID_7_ECX, BIT(31), 0);
    assert_switches("host,-fsrm", CPUID_7_EDX, BIT(4), 0);
    assert_switches("host,-ssbd", CPUID_7_EDX, BIT(31), 0);
    assert_switches("host,-avx512-bf16", CPUID_7__1_EAX, BIT(5), 0);
    assert_switches("host,-xsaves", CPUID_D__1_EAX, BIT(3), 0);
    assert_switches("host,-nx", CPUID_8000_0001_EDX, BIT(20), 0);
    assert_switches("host,-3dnow", CPUID_8000_0001_EDX, BIT(31), 0);
    assert_switches("host,-topoext", CPUID_8000_0001_ECX, BIT(22), 0);
    assert_switches("host,-invtsc", CPUID_8000_0007_EDX, BIT(8), 0);
    assert_switches("host,-clzero", CPUID_8000_0008_EBX, BIT(0), 0);
    assert_switches("host,-kvmclock", CPUID_4000_0001_EAX, BIT(0) | BIT(3), 0);
}

static void spellings(void **state)
{
    (void)state;
    assert_switches("host", 0, 0, 0);
    assert_switches("host,avx=off", CPUID_1_ECX, BIT(28), 0);
    assert_switches("host,avx=on", CPUID_1_ECX, 0, BIT(28));
    assert_switches("host,avx=no", CPUID_1_ECX, BIT(28), 0);
    assert_switches("host,avx", CPUID_1_ECX, 0, BIT(28));
    assert_switches("host,+avx", CPUID_1_ECX, 0, BIT(28));
    assert_switches("host,-avx,-aes", CPUID_1_ECX, BIT(28) | BIT(25), 0);
    /* QEMU's other names. */
    assert_switches("host,-sse4.1", CPUID_1_ECX, BIT(19), 0);
    assert_switches("host,-sse4_1", CPUID_1_ECX, BIT(19), 0);
    assert_switches("host,-sse4-1", CPUID_1_ECX, BIT(19), 0);
    assert_switches("host,-sse3", CPUID_1_ECX, BIT(0), 0);
    assert_switches("host,-tsc_deadline", CPUID_1_ECX, BIT(24), 0);
    assert_switches("host,xd=off", CPUID_8000_0001_EDX, BIT(20), 0);
    assert_switches("host,-i64", CPUID_8000_0001_EDX, BIT(29), 0);
    assert_switches("host,-lahf_lm", CPUID_8000_0001_ECX, BIT(0), 0);
    /* Of two for one feature: the later NAME=, over it +NAME, over all -NAME. */
    assert_switches("host,avx=on,avx=off", CPUID_1_ECX, BIT(28), 0);
    assert_switches("host,avx=off,avx=on", CPUID_1_ECX, 0, BIT(28));
    assert_switches("host,+avx,avx=off", CPUID_1_ECX, 0, BIT(28));
    assert_switches("host,-avx,avx=on", CPUID_1_ECX, BIT(28), 0);
    assert_switches("host,-avx,+avx", CPUID_1_ECX, BIT(28), 0);
}

static void assert_refused(const char *argument, const char *word)
{
    struct cpu_features features;
    struct error err = {0};

    if (cpu_features_parse(&features, argument, &err) == 0)
        fail_msg("%s: is taken", argument);
    assert_int_equal(err.status, STATUS_USAGE);
    if (!strstr(err.text, word))
        fail_msg("%s: \"%s\" does not say \"%s\"", argument, err.text, word);
}

static void mistakes(void **state)
{
    (void)state;
    static const char *const models[] = {"max", "qemu64", "EPYC", "EPYC-v4", "Skylake-Client-v3"};
    char item[8192] = "host,+";

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        assert_refused(models[i], "QEMU has the model");
    assert_refused("hosts", "no model is called 'hosts'");
    assert_refused("EPYC-vx", "no model is called");
    assert_refused("", "no model is called ''");
    assert_refused("+avx", "no model");
    assert_refused("host,-avx3", "did you mean avx");
    assert_refused("host,-tsc-deadlin", "did you mean tsc-deadline?");
    assert_refused("host,+qqqqqq", "'qqqqqq'");
    assert_refused("host,qqqqqq=on", "-cpu help");
    assert_refused("host,pmu=off", "QEMU has the property 'pmu'");
    assert_refused("host,-vmx-ept", "QEMU has the property");
    assert_refused("host,hv-time", "QEMU has the property");
    assert_refused("host,avx=maybe", "avx=on or avx=off");
    assert_refused("host,avx=", "avx=on or avx=off");
    assert_refused("host,", "after each comma");
    assert_refused("host,,avx=on", "after each comma");
    assert_refused("host,+", "''");
    assert_refused("host,=on", "''");
    memset(item + 6, 'x', sizeof(item) - 7);
    item[sizeof(item) - 1] = '\0';
    assert_refused(item, "'xxxxxxxx");
}

/* No name stands twice, or a switch would do more than it says. */
static void names_are_unique(void **state)
{
    (void)state;
    for (unsigned a = 0; a < CPUID_WORDS * 32; a++)
        for (unsigned b = a + 1; b < CPUID_WORDS * 32; b++) {
            const char *x = cpu_feature_name((enum cpuid_word)(a / 32), a % 32);
            const char *y = cpu_feature_name((enum cpuid_word)(b / 32), b % 32);

            if (x && y && strcmp(x, y) == 0)
                fail_msg("%s stands twice", x);
        }
}

/* A small table as KVM might offer it. */
static struct cpuid_table offer(const char *vendor, uint32_t max_leaf)
{
    struct cpuid_table table = {.count = 0};
    struct cpuid_entry entries[] = {
        {0x0, 0, false, {max_leaf}},
        {0x1, 0, false, {0, 0x07200800, BIT(28) | BIT(24), BIT(26) | BIT(25) | BIT(9)}},
        {0x4, 0, true, {BIT(26) * 63 | 3 << 14 | 1 << 5 | 1}},     /* first-level data cache */
        {0x4, 1, true, {BIT(26) * 63 | 0xfff << 14 | 3 << 5 | 3}}, /* third-level cache */
        {0x4, 2, true, {BIT(26) * 63 | 1 << 14 | 2 << 5 | 3}},     /* second-level cache */
        {0x4, 3, true, {0}},
        {0x7, 0, true, {1, BIT(5)}},
        {0x7, 1, true, {BIT(5)}},
        {0xb, 0, true, {1, 2, 0x100, 0x77}},
        {0xb, 1, true, {5, 32, 0x201, 0x77}},
        {0x1f, 0, true, {1, 2, 0x100, 0x77}},
        {0x80000001, 0, false, {0, 0, 0, BIT(26) | BIT(25) | BIT(20)}},
        {0x80000008, 0, false, {0x3030, 0, 0x7777, 0}},
        {0x8000001d, 3, true, {3 << 5 | 3}},
        {0x8000001e, 0, false, {0x77, 0x177, 0x177, 0}},
        {0x40000001, 0, false, {BIT(0) | BIT(3)}},
    };

    memcpy(table.entry, entries, sizeof(entries));
    table.count = sizeof(entries) / sizeof(entries[0]);
    memcpy(&table.entry[0].reg[CPUID_EBX], vendor, 4);
    memcpy(&table.entry[0].reg[CPUID_EDX], vendor + 4, 4);
    memcpy(&table.entry[0].reg[CPUID_ECX], vendor + 8, 4);
    return table;
}

/* A register of TABLE, which must have the leaf exactly once. */
static uint32_t reg(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf,
                    enum cpuid_reg r)
{
    const struct cpuid_entry *found = NULL;

    for (unsigned i = 0; i < table->count; i++)
        if (table->entry[i].leaf == leaf && table->entry[i].subleaf == subleaf) {
            assert_null(found);
            found = &table->entry[i];
        }
    if (!found)
        fail_msg("no leaf %#x.%u", leaf, subleaf);
    return found->reg[r];
}

static bool has_leaf(const struct cpuid_table *table, uint32_t leaf)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->entry[i].leaf == leaf)
            return true;
    return false;
}

static void one_processor(void **state)
{
    (void)state;
    struct cpuid_table t = offer("GenuineIntel", 0x1f);

    t.entry[1].reg[CPUID_EDX] |= BIT(28);
    cpuid_set_topology(&t, 0, 1);
    assert_int_equal(reg(&t, 1, 0, CPUID_EBX), 0x00010800); /* the CLFLUSH size stays */
    assert_int_equal(reg(&t, 1, 0, CPUID_EDX) & BIT(28), 0);
    assert_int_equal(reg(&t, 4, 1, CPUID_EAX), 3 << 5 | 3);
    assert_int_equal(reg(&t, 0xb, 0, CPUID_EBX), 1);
    assert_int_equal(reg(&t, 0xb, 1, CPUID_EAX), 0);
    assert_int_equal(reg(&t, 0xb, 1, CPUID_EBX), 1);
    assert_int_equal(reg(&t, 0x80000001, 0, CPUID_ECX), 0);
    assert_int_equal(reg(&t, 0x80000008, 0, CPUID_ECX), 0);
}

static void intel_topology(void **state)
{
    (void)state;
    struct cpuid_table t = offer("GenuineIntel", 0x1f);

    cpuid_set_topology(&t, 4, 5);
    assert_int_equal(reg(&t, 1, 0, CPUID_EBX), 0x04050800);
    assert_int_equal(reg(&t, 1, 0, CPUID_EDX) & BIT(28), BIT(28));
    /* Five cores take three bits of an ID: eight IDs, of which a cache of the third level serves
     * all and one of the first level one. */
    assert_int_equal(reg(&t, 4, 0, CPUID_EAX), 7u << 26 | 1 << 5 | 1);
    assert_int_equal(reg(&t, 4, 1, CPUID_EAX), 7u << 26 | 7 << 14 | 3 << 5 | 3);
    assert_int_equal(reg(&t, 4, 2, CPUID_EAX), 7u << 26 | 2 << 5 | 3);
    assert_int_equal(reg(&t, 4, 3, CPUID_EAX), 0);
    assert_int_equal(reg(&t, 0xb, 0, CPUID_EAX), 0);
    assert_int_equal(reg(&t, 0xb, 0, CPUID_EBX), 1);
    assert_int_equal(reg(&t, 0xb, 0, CPUID_ECX), 0x100); /* threads */
    assert_int_equal(reg(&t, 0xb, 1, CPUID_EAX), 3);
    assert_int_equal(reg(&t, 0xb, 1, CPUID_EBX), 5);
    assert_int_equal(reg(&t, 0xb, 1, CPUID_ECX), 0x201); /* cores */
    assert_int_equal(reg(&t, 0xb, 2, CPUID_EBX), 0);
    assert_int_equal(reg(&t, 0xb, 2, CPUID_ECX), 2); /* no more levels */
    for (unsigned level = 0; level < 3; level++)
        assert_int_equal(reg(&t, 0xb, level, CPUID_EDX), 4);
    assert_false(has_leaf(&t, 0x1f));
    assert_int_equal(reg(&t, 0x80000001, 0, CPUID_ECX), 0); /* no CmpLegacy on Intel's */
    assert_int_equal(reg(&t, 0x80000008, 0, CPUID_ECX), 0);
}

static void amd_topology(void **state)
{
    (void)state;
    static const char *const vendors[] = {"AuthenticAMD", "HygonGenuine"};

    for (unsigned i = 0; i < 2; i++) {
        struct cpuid_table t = offer(vendors[i], 0x10);

        cpuid_set_topology(&t, 63, 64);
        assert_int_equal(reg(&t, 1, 0, CPUID_EBX), 0x3f400800);
        assert_int_equal(reg(&t, 4, 0, CPUID_EAX) >> 26, 63);
        assert_int_equal(reg(&t, 0x80000001, 0, CPUID_ECX), BIT(1)); /* CmpLegacy */
        assert_int_equal(reg(&t, 0x80000008, 0, CPUID_EAX), 0x3030);
        assert_int_equal(reg(&t, 0x80000008, 0, CPUID_ECX), 6 << 12 | 63);
        assert_int_equal(reg(&t, 0x8000001d, 3, CPUID_EAX), 63 << 14 | 3 << 5 | 3);
        assert_int_equal(reg(&t, 0x8000001e, 0, CPUID_EAX), 63);
        assert_int_equal(reg(&t, 0x8000001e, 0, CPUID_EBX), 63);
        assert_int_equal(reg(&t, 0x8000001e, 0, CPUID_ECX), 0);
    }
}

static void old_processor_gets_no_new_leaf(void **state)
{
    (void)state;
    struct cpuid_table t = offer("GenuineIntel", 0xa);

    cpuid_set_topology(&t, 1, 2);
    assert_false(has_leaf(&t, 0xb));
}

static void tables_without_leaves(void **state)
{
    (void)state;
    struct cpuid_table empty = {.count = 0};
    struct cpu_features all;
    struct error err;

    memset(&all, 0xff, sizeof(all));
    cpuid_offer(&empty, true, true);
    cpuid_set_topology(&empty, 1, 2);
    cpuid_mask(&empty, &all);
    assert_int_equal(empty.count, 0);
    assert_int_equal(cpuid_check_wanted(&empty, &all, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
}

static void a_full_table_stays_full(void **state)
{
    (void)state;
    struct cpuid_table full = {.count = CPUID_ENTRIES_MAX};

    for (unsigned i = 0; i < CPUID_ENTRIES_MAX; i++)
        full.entry[i].leaf = i == 0 ? 0 : 0x100 + i;
    full.entry[0].reg[CPUID_EAX] = 0x10;
    cpuid_set_topology(&full, 0, 1);
    assert_int_equal(full.count, CPUID_ENTRIES_MAX);
}

static void what_kvm_does_not_say(void **state)
{
    (void)state;
    struct cpuid_table t = offer("GenuineIntel", 0x10);

    t.entry[1].reg[CPUID_ECX] = BIT(21);
    cpuid_offer(&t, true, false);
    assert_int_equal(reg(&t, 1, 0, CPUID_ECX), BIT(31) | BIT(21));
    cpuid_offer(&t, true, true);
    assert_int_equal(reg(&t, 1, 0, CPUID_ECX), BIT(31) | BIT(21) | BIT(24));
    assert_true(reg(&t, 1, 0, CPUID_EDX) & BIT(9));
    cpuid_offer(&t, false, true); /* no local APIC, none of its features */
    assert_int_equal(reg(&t, 1, 0, CPUID_ECX), BIT(31));
    assert_false(reg(&t, 1, 0, CPUID_EDX) & BIT(9));
}

static void features_are_masked(void **state)
{
    (void)state;
    struct cpuid_table t = offer("AuthenticAMD", 0x10);
    struct cpu_features features = parsed("host,-sse,-avx2,-kvmclock,-nx,avx512-bf16=off");

    cpuid_mask(&t, &features);
    assert_int_equal(reg(&t, 1, 0, CPUID_EDX), BIT(26) | BIT(9));
    assert_int_equal(reg(&t, 7, 0, CPUID_EBX), 0);
    assert_int_equal(reg(&t, 7, 0, CPUID_EAX), 1); /* another register of the same leaf */
    assert_int_equal(reg(&t, 7, 1, CPUID_EAX), 0);
    assert_int_equal(reg(&t, 0x40000001, 0, CPUID_EAX), 0);
    assert_int_equal(reg(&t, 0x80000001, 0, CPUID_EDX), BIT(26) | BIT(25));
    /* Leaf 1's bits that AMD repeats go with them; bit 25 there is another feature. */
    features = parsed("host,-mmx,-fxsr");
    t.entry[11].reg[CPUID_EDX] = BIT(23) | BIT(24) | BIT(25);
    cpuid_mask(&t, &features);
    assert_int_equal(reg(&t, 0x80000001, 0, CPUID_EDX), BIT(25));
}

static void what_is_wanted_must_be_there(void **state)
{
    (void)state;
    struct cpuid_table t = offer("GenuineIntel", 0x10);
    struct cpu_features features = parsed("host,+avx2,+nx,+kvmclock,+avx512-bf16");
    struct error err;

    assert_int_equal(cpuid_check_wanted(&t, &features, &err), 0);
    features = parsed("host,+avx2,+smx,+3dnow,invtsc=on");
    assert_int_equal(cpuid_check_wanted(&t, &features, &err), -1);
    assert_int_equal(err.status, STATUS_USAGE);
    assert_non_null(strstr(err.text, ": smx, 3dnow, invtsc"));
    assert_null(strstr(err.text, "avx2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_switch_their_bits),
        cmocka_unit_test(spellings),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(one_processor),
        cmocka_unit_test(intel_topology),
        cmocka_unit_test(amd_topology),
        cmocka_unit_test(old_processor_gets_no_new_leaf),
        cmocka_unit_test(tables_without_leaves),
        cmocka_unit_test(a_full_table_stays_full),
        cmocka_unit_test(what_kvm_does_not_say),
        cmocka_unit_test(features_are_masked),
        cmocka_unit_test(what_is_wanted_must_be_there),
    };

    return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
