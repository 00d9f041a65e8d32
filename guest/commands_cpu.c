/*
 * commands_cpu.c: the shell's commands that are one instruction each, or (cpuid all) one at a time.
 */
#include "kernel.h"
#include "x86.h"

#define LEAVES_MAX    0x100 /* of a range; no processor has as many */
#define SUBLEAVES_MAX 64    /* of a leaf; 0xd has the most, one for each bit of XCR0 */

static void print_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid r)
{
    print("cpuid 0x%x 0x%x: eax %08x  ebx %08x  ecx %08x  edx %08x\n", leaf, subleaf, r.eax, r.ebx,
          r.ecx, r.edx);
}

/* Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E. */
static bool has_subleaves(uint32_t leaf)
{
    static const uint32_t leaves[] = {4,    7,    0xb,        0xd,        0xf,       0x10, 0x12,
                                      0x14, 0x17, 0x18,       0x1d,       0x1e,      0x1f, 0x20,
                                      0x23, 0x24, 0x8000001d, 0x80000020, 0x80000026};
    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (leaves[i] == leaf)
            return true;
    }
    return false;
}

/* Behind the topology's last level ECX and EDX are not zero, but the level's type is. */
static bool is_past_topology(uint32_t leaf, struct cpuid r)
{
    return (leaf == 0xb || leaf == 0x1f || leaf == 0x80000026) && (r.ecx & 0xff00) == 0;
}

static void print_range(uint32_t base)
{
    uint32_t last = cpuid(base, 0).eax;
    if (last < base)
        last = base; /* no such range, or one leaf that does not say so */
    uint32_t end = last - base < LEAVES_MAX ? last : base + LEAVES_MAX - 1;
    for (uint32_t leaf = base; leaf <= end; leaf++) {
        unsigned count = has_subleaves(leaf) ? SUBLEAVES_MAX : 1;
        for (uint32_t subleaf = 0; subleaf < count; subleaf++) {
            struct cpuid r = cpuid(leaf, subleaf);
            if (is_past_topology(leaf, r))
                break;
            if (r.eax | r.ebx | r.ecx | r.edx)
                print_cpuid(leaf, subleaf, r);
        }
    }
    if (end != last)
        print("cpuid: leaves 0x%x to 0x%x are left out: no processor has as many\n", end + 1, last);
}

bool command_cpuid(int argc, char **argv)
{
    uint64_t leaf = 0, subleaf = 0;
    if (argc == 2 && strcmp(argv[1], "all") == 0) {
        print_range(0);
        print_range(CPUID_HYPERVISOR);
        print_range(CPUID_EXTENDED);
        return true;
    }
    if (argc > 3 || (argc > 1 && !parse_number(argv[1], UINT32_MAX, &leaf)) ||
        (argc > 2 && !parse_number(argv[2], UINT32_MAX, &subleaf)))
        return false;
    print_cpuid((uint32_t)leaf, (uint32_t)subleaf, cpuid((uint32_t)leaf, (uint32_t)subleaf));
    return true;
}

bool command_msr(int argc, char **argv)
{
    uint64_t msr, value;
    if (argc < 2 || argc > 3 || !parse_number(argv[1], UINT32_MAX, &msr) ||
        (argc > 2 && !parse_number(argv[2], UINT64_MAX, &value)))
        return false;
    bool done = argc > 2 ? try_wrmsr((uint32_t)msr, value) : try_rdmsr((uint32_t)msr, &value);
    if (done)
        print("msr 0x%lx %s 0x%lx\n", msr, argc > 2 ? "<-" : "=", value);
    else
        print("msr 0x%lx: #GP: no such register, or not with this value\n", msr);
    return true;
}

struct access {
    bool write;
    unsigned size;
    uint64_t address, value;
};

/* The arguments r|w SIZE ADDRESS [VALUE]. */
static bool parse_access(int argc, char **argv, uint64_t address_max, unsigned size_max,
                         struct access *access)
{
    if (argc < 4)
        return false;
    access->write = strcmp(argv[1], "w") == 0;
    if ((!access->write && strcmp(argv[1], "r") != 0) || argc != (access->write ? 5 : 4))
        return false;
    uint64_t size;
    if (!parse_number(argv[2], size_max, &size))
        return false;
    if (size == 0 || (size & (size - 1))) {
        print("%s: not a size of an access (1, 2, 4%s)\n", argv[2], size_max == 8 ? ", 8" : "");
        return false;
    }
    access->size = (unsigned)size;
    return parse_number(argv[3], address_max, &access->address) &&
           (!access->write ||
            parse_number(argv[4], UINT64_MAX >> (64 - 8 * access->size), &access->value));
}

bool command_pio(int argc, char **argv)
{
    struct access access = {0};
    if (!parse_access(argc, argv, UINT16_MAX, 4, &access))
        return false;
    uint16_t port = (uint16_t)access.address;
    if (access.write) {
        if (access.size == 1)
            out8(port, (uint8_t)access.value);
        else if (access.size == 2)
            out16(port, (uint16_t)access.value);
        else
            out32(port, (uint32_t)access.value);
    } else {
        if (access.size == 1)
            access.value = in8(port);
        else if (access.size == 2)
            access.value = in16(port);
        else
            access.value = in32(port);
    }
    print("port 0x%x %s 0x%lx\n", port, access.write ? "<-" : "=", access.value);
    return true;
}

bool command_mmio(int argc, char **argv)
{
    struct access access = {0};
    if (!parse_access(argc, argv, (1ull << 52) - 1, 8, &access))
        return false;
    volatile void *at = map_window(access.address);
    bool done = access.write ? try_write(at, access.size, access.value)
                             : try_read(at, access.size, &access.value);
    if (done)
        print("gpa 0x%lx %s 0x%lx\n", access.address, access.write ? "<-" : "=", access.value);
    else
        print("gpa 0x%lx: fault: beyond the processor's physical addresses\n", access.address);
    return true;
}

/* Not a tail call: each call needs its frame. */
static unsigned overflow_stack(unsigned depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    return depth == UINT32_MAX ? 0 : overflow_stack(depth + 1) + (unsigned)frame[0];
}

bool command_fault(int argc, char **argv)
{
    if (argc != 2)
        return false;
    const char *kind = argv[1];
    serial_flush();
    if (strcmp(kind, "ud") == 0)
        __asm__ volatile("ud2");
    else if (strcmp(kind, "pf") == 0)
        __asm__ volatile("movl $1, 8" : : : "memory"); /* in the page that NULL points to */
    else if (strcmp(kind, "gp") == 0)
        __asm__ volatile("movl (%0), %%eax" : : "r"(1ull << 63) : "eax"); /* not canonical */
    else if (strcmp(kind, "de") == 0)
        __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
    else if (strcmp(kind, "stack") == 0)
        return overflow_stack(0) != 0;
    else if (strcmp(kind, "triple") == 0)
        triple_fault();
    print("%s: no such fault\n", kind);
    return false;
}
