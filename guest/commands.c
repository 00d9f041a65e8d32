/*
 * commands.c: the list of the shell's commands, and those of them that are small.
 */
#include "kernel.h"
#include "x86.h"

#include <ports.h>

static bool command_help(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    for (unsigned i = 0; i < command_count; i++) {
        const struct command *command = &commands[i];
        print("  %s %s", command->name, command->usage);
        for (size_t at = strlen(command->name) + strlen(command->usage); at < 32; at++)
            print(" ");
        print("%s\n", command->help);
    }
    print(
        "Numbers are decimal, or hexadecimal after 0x. Keys: backspace, Ctrl-U, Ctrl-C, up, down.\n"
        "The kernel's command line may hold run=COMMAND,COMMAND,... with + for a blank:\n"
        "  -append \"run=echo+hello,bench+1000,poweroff\"\n");
    return true;
}

static bool command_info(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    machine_print();
    return true;
}

static bool command_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        print(i > 1 ? " %s" : "%s", argv[i]);
    print("\n");
    return true;
}

static bool command_hlt(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    print("hlt: until the next interrupt%s\n", apic_present() ? "" : ", which will never come");
    serial_flush();
    if (!apic_present())
        __asm__ volatile("hlt");
    wait_for_interrupt();
    print("hlt: awake\n");
    return true;
}

static bool command_timer(int argc, char **argv)
{
    uint64_t count = 10;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], 1000000, &count)))
        return false;
    if (!apic_present()) {
        print("timer: this machine has no local APIC, so nothing ticks\n");
        return true;
    }
    uint64_t start = timer_ticks(), cycles = rdtsc();
    while (timer_ticks() - start < count)
        wait_for_interrupt();
    print("timer: %lu ticks at %d Hz, %lu cycles\n", count, TIMER_HZ, rdtsc() - cycles);
    return true;
}

static bool command_smp(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    unsigned count = smp_start();
    print("smp: %u of %u CPUs run\n", count, machine_cpus());
    for (unsigned i = 0; i < count; i++) {
        struct cpu *cpu = cpu_get(i);
        if (i == 0)
            print("smp: cpu 0, apic id %u: the boot processor\n", cpu->apic_id);
        else
            print("smp: cpu %u, apic id %u: %s\n", i, cpu->apic_id,
                  smp_report(cpu) ? "answers an interrupt" : "does not answer");
    }
    return true;
}

static bool command_bench(int argc, char **argv)
{
    uint64_t count = 1000;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], UINT32_MAX, &count)))
        return false;
    if (count == 0) {
        print("bench: 0 exits take no time\n");
        return false;
    }
    serial_flush();
    uint64_t start = rdtsc();
    for (uint64_t i = 0; i < count; i++)
        out8(PORT_POST, 0); /* no milestone */
    uint64_t cycles = rdtsc() - start;
    print("bench: %lu writes to port 0x80, %lu cycles each\n", count, cycles / count);
    return true;
}

static bool command_reboot(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return false;
    print("reboot\n");
    reboot();
}

static bool command_poweroff(int argc, char **argv)
{
    uint64_t value = 0;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], 0x7f, &value)))
        return false;
    if (value && !debug_exit_present())
        print("poweroff: no isa-debug-exit, so nobody learns the status %lu\n", value);
    print("power off\n");
    power_off((uint8_t)value);
}

const struct command commands[] = {
    {"help", "", "this list", command_help},
    {"info", "", "what the machine is made of, and who said so", command_info},
    {"cpuid", "[all|LEAF [SUBLEAF]]", "the CPUID instruction, or all it tells", command_cpuid},
    {"msr", "ADDR [VALUE]", "read or write a model-specific register", command_msr},
    {"pio", "r|w SIZE PORT [VALUE]", "access an I/O port; SIZE in bytes", command_pio},
    {"mmio", "r|w SIZE GPA [VALUE]", "access memory or a device, uncached", command_mmio},
    {"fwcfg", "[NAME]", "the files of QEMU's fw_cfg device, or one of them", command_fwcfg},
    {"hlt", "", "halt until the next interrupt", command_hlt},
    {"timer", "[N]", "wait for N ticks", command_timer},
    {"smp", "", "start the other CPUs; each reports", command_smp},
    {"fault", "ud|pf|gp|de|stack|triple", "crash the kernel", command_fault},
    {"zoo", "", "provoke each kind of VM exit once", command_zoo},
    {"net", "VERB ...", "the network; info, dhcp, ip, ping, udp, echo, stats", command_net},
    {"bench", "[N]", "cycles for each of N exits", command_bench},
    {"blk", "[DISK] VERB ...", "a disk; blk alone lists what can be done", command_blk},
    {"rng", "[BYTES]", "random bytes of the entropy device", command_rng},
    {"balloon", "VERB [MIB]", "memory; info, inflate, deflate, report, follow SECONDS",
     command_balloon},
    {"con", "[PORT] VERB [TEXT]", "a virtio console; ports, read, write TEXT", command_con},
    {"echo", "TEXT", "print TEXT", command_echo},
    {"reboot", "", "reset the machine", command_reboot},
    {"poweroff", "[STATUS]", "end; isa-debug-exit tells STATUS, 0 to 127", command_poweroff},
};
const unsigned command_count = sizeof(commands) / sizeof(commands[0]);
