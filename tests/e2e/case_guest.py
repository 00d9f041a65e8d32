"""Guests that run on kvmlens, and on QEMU with both of its accelerators: the same text, the same
exit status.

golden/NAME.txt is what both print, and how they end; MASKS hides what differs from run to run.
"""
import glob
import os
import re

from backend import TABLE, kvm_column, rows
from harness import (CRASH, DEBUG_EXIT, POWEROFF, QEMU, QEMU_KVM, TIMEOUT, Skip, boot, case, expect,
                     expect_status, expect_text, golden, golden_text, masked, guest_command, kvm_backend, run, scratch)

MASKS = (
    (r"\b[0-9a-f]{16}\b", "<hex>"),  # registers in a panic
    (r"^backtrace:( [0-9a-f]+)+$", "backtrace: <addresses>"),
    (r"^(rip .* rflags) [0-9a-f]{8}$", r"\1 <flags>"),
    (r"\d+ cycles", "<n> cycles"),
    (r"(e[abcd]x) [0-9a-f]{8}", r"\1 <hex>"),
    (r"^next: vmm?call\b", "next: <hypercall>"),  # Intel's or AMD's
    (r"(that is long 0x07)[0-9a-f]{6}", r"\1<bytes>"),  # newer QEMUs keep some of the last MiB
)

# name, the kernel's run= commands, processors, isa-debug-exit there?
BOOTS = (
    ("zoo", "zoo,poweroff", 1, False),
    ("zoo-2-cpus", "zoo,poweroff", 2, False),
    ("smp-2", "smp,poweroff", 2, False),
    ("smp-4", "smp,smp,poweroff", 4, False),
    ("commands", "help,echo+a+b,timer+3,hlt,bench+100,poweroff", 1, True),
    ("cpu", "cpuid,cpuid+7+0,msr+0x1b,msr+0x10+1+2,poweroff", 1, True),
    ("ports", "pio+w+1+0x3ff+0x77,pio+r+1+0x3ff,pio+r+4+0x2a0,pio+r+2+0x2a0,pio+r+3+0,pio,poweroff", 1, True),
    ("memory", "mmio+w+8+0x2000000+0x1122334455667788,mmio+r+4+0x2000004,mmio+r+1+0xfea00201,mmio+x,poweroff", 1,
     True),
    ("nonsense", "nothing,cpuid+z,fwcfg+a+b,poweroff+999,poweroff", 1, True),
    ("fault-ud", "fault+ud", 1, True),
    ("fault-pf", "fault+pf", 1, True),
    ("fault-gp", "fault+gp", 1, True),
    ("fault-de", "fault+de", 1, True),
    ("fault-stack", "fault+stack", 1, True),
    ("reboot", "reboot", 1, False),
)


def offers_nesting():
    """KVM shows VMX or SVM to its guests: the zoo can be sure that it is not a software one."""
    for path in glob.glob("/sys/module/kvm_*/parameters/nested"):
        with open(path, encoding="ascii") as file:
            if file.read().strip() in ("1", "Y"):
                return kvm_column() != "software"
    return False


def same_text(binary, name, commands, cpus, debug_exit):
    if commands.startswith("zoo") and binary not in (QEMU, QEMU_KVM) and offers_nesting():
        name += "-hypercall"
    ended = boot(binary, f"run={commands}", options=("-smp", str(cpus), *(DEBUG_EXIT if debug_exit else ())))
    golden(name, f"{ended.out}[exit status {ended.status}]\n", MASKS)


# How a software KVM fails, in the words of docs/backends.md: and in those of kvmlens, which name the instruction.
FAILURES = {
    "triple fault": "answers a `{}` that turns on 32-bit paging with #GP",
    "cannot be emulated": "cannot emulate `{}` at ",
    "never returns": "`{}` there never returns",
}
REMEDY = "a KVM with VMX or SVM (`scripts/with-kvm --nested COMMAND` has one) can run it"


def lessons_table():
    return {row["lesson"].strip("`"): row for row in rows("lesson")}


def lesson(binary, kernel, name):
    """The text of the lesson, or the failure that docs/backends.md names for this backend."""
    row = lessons_table()[name]
    outcome = row.get("qemu-tcg" if binary == QEMU else kvm_column(), "works")
    if outcome in ("works", "#UD"):
        ended = boot(binary, kernel=kernel)
        golden(f"lesson-{name}{'-ud' if outcome == '#UD' else ''}", f"{ended.out}[exit status {ended.status}]\n", MASKS)
        return
    if binary == QEMU_KVM:
        raise Skip(f"this KVM cannot run the lesson {name} ({TABLE}: {outcome}), and QEMU does not say why")
    how, status = re.fullmatch(r"(.*) \((\d+)\)", outcome).groups()
    ended = boot(binary, kernel=kernel, machine=",timeout=2" if int(status) == TIMEOUT else "")
    expect_status(ended, int(status))
    instruction = re.search("`(.*?)`", row["needs"])[1]
    report = " ".join(ended.err.split())  # unfolded
    for words in (FAILURES[how].format(instruction), REMEDY):
        expect(words in report, f"expected to find: {words}", ended)
    # The guest's last line announces what failed.
    expect_text(ended.out, r"^next: .*\r\n\Z", ended)
    expect(golden_text(f"lesson-{name}").startswith(masked(ended.out, MASKS)),
           f"expected the begin of golden/lesson-{name}.txt", ended)


def exit_status(binary, value):
    ended = boot(binary, f"run=poweroff+{value}", options=DEBUG_EXIT)
    expect_status(ended, value << 1 | 1)


def shell_on_a_pipe(binary):
    """A person's session, through a pipe; the guest echoes what it is sent."""
    ended = boot(binary, stdin="echo one two\recho 12345\b6\rpoweroff\r")
    expect_status(ended, POWEROFF)
    expect_text(ended.out, r"^one two\r?$", ended)
    expect_text(ended.out, r"^12346\r?$", ended)


def long_input(binary):
    """More than the UART's FIFO and the guest's line hold, at once."""
    ended = boot(binary, stdin="".join(f"echo line {i}\r" for i in range(200)) + "poweroff\r")
    expect_status(ended, POWEROFF)
    for i in range(200):
        expect_text(ended.out, rf"^line {i}\r?$", ended)


def both(label, function, **keywords):
    for group in ("kvm", "qemu", "qemu-kvm"):
        def adapted(binary, group=group):
            function({"qemu": QEMU, "qemu-kvm": QEMU_KVM}.get(group, binary), **keywords)
        case(group, f"guest: {label}")(adapted)


for _name, _commands, _cpus, _debug_exit in BOOTS:
    both(_name, same_text, name=_name, commands=_commands, cpus=_cpus, debug_exit=_debug_exit)
LESSONS = set()
for _kernel in sorted(glob.glob("build/guest/lessons/*.elf") + glob.glob("build/guest/lessons/*.rom")):
    _lesson = os.path.basename(_kernel).rsplit(".", 1)[0]
    if not _kernel.endswith(".rom.elf"):
        LESSONS.add(_lesson)
        both(f"lesson {_lesson}", lesson, kernel=_kernel, name=_lesson)
for _value in (0, 1, 42, 127):
    both(f"exit status of value {_value}", exit_status, value=_value)
both("shell on a pipe", shell_on_a_pipe)
both("much input at once", long_input)


@case("cli", "all lessons are there", asan=False)
def all_lessons(_binary):
    sources = {os.path.basename(path).split(".")[0]
               for path in glob.glob("guest/lessons/*.[cS]")}
    expect(sources == set(lessons_table()) == LESSONS,
           f"sources: {sources}, {TABLE}: {set(lessons_table())}, built: {LESSONS}")


@case("kvm", "reset without -no-reboot boots again")
def boots_again(binary):
    command = guest_command(binary, append="run=reboot", machine=",timeout=2")
    command.remove("-no-reboot")
    ended = run(command, timeout=30)
    expect_status(ended, TIMEOUT)
    expect(ended.out.count("kvmlens guest:") >= 3, "expected the guest to boot again and again", ended)


MIB, GIB = 1 << 20, 1 << 30
HOLE = 3 * GIB


@case("kvm", "RAM of 2M", size="2M", ram=2 * MIB)
@case("kvm", "RAM of 64M", size="64M", ram=64 * MIB)
@case("kvm", "RAM of 3G", size="3G", ram=3 * GIB)
@case("kvm", "RAM of 3073M", size="3073M", ram=3073 * MIB)
@case("kvm", "RAM of 4G", size="4G", ram=4 * GIB, asan=False)
@case("kvm", "RAM of 8G", size="8G", ram=8 * GIB)
@case("kvm", "RAM of 64G", size="64G", ram=64 * GIB)
def memory_size(binary, size, ram):
    """The guest's memory map has all RAM, below 3 GiB and from 4 GiB, and its last byte works."""
    last = (ram - 8 if ram <= HOLE else ram - HOLE + 4 * GIB - 8)
    commands = f"info,mmio+w+8+0x{last:x}+0x1badcafe,mmio+r+8+0x{last:x},poweroff"
    ended = boot(binary, f"run={commands}", options=("-m", size))
    expect_status(ended, POWEROFF)
    expect_text(ended.out, rf"^memory: +[0-9a-f]+ - {min(ram, HOLE):012x} RAM\r?$", ended)
    if ram > HOLE:
        expect_text(ended.out, rf"^memory: +000100000000 - {ram - HOLE + 4 * GIB:012x} RAM\r?$", ended)
    expect_text(ended.out, rf"^gpa 0x{last:x} = 0x1badcafe\r?$", ended)


@case("kvm", "initrd reaches the guest")
def initrd(binary):
    with scratch() as folder:
        path = f"{folder}/initrd"
        with open(path, "wb") as file:
            file.write(b"kvmlens!" * 1250)
        ended = boot(binary, "run=info,poweroff", options=("-initrd", path))
        expect_status(ended, POWEROFF)
        expect_text(ended.out, r"^initrd: +[0-9a-f]{12}, 10000 bytes\r?$", ended)


@case("kvm", "info knows the machine from the device tree")
def info(binary):
    ended = boot(binary, "run=info,poweroff", options=("-smp", "3", *DEBUG_EXIT))
    expect_status(ended, 1)
    for line in (r"processors: +3, from the FDT", r"debug exit: +yes", r"command line: run=info,poweroff",
                 r".*ns16550a.*"):
        expect_text(ended.out, rf"^{line}\r?$", ended)


@case("kvm", "crash of ud", fault="ud")
@case("kvm", "crash of pf", fault="pf")
@case("kvm", "crash of gp", fault="gp")
@case("kvm", "crash of de", fault="de")
@case("kvm", "crash of stack", fault="stack")
@case("kvm", "crash of triple", fault="triple")
def crash(binary, fault):
    """Without isa-debug-exit a panic ends in a triple fault, which kvmlens explains."""
    ended = boot(binary, f"run=fault+{fault}")
    expect_status(ended, CRASH)
    expect("\x1b" not in ended.err, "expected no colour in a pipe", ended)
    expect_text(ended.err, r"^vCPU 0: triple fault \(KVM_EXIT_SHUTDOWN\)", ended)
    expect_text(ended.err, r"^Likely cause", ended)
    expect_text(ended.err, r"serial_\w+\+0x", ended)  # the last exits
    if kvm_backend() == "svm":  # it resets the vCPU: no registers are left to show
        expect_text(ended.err, r"resets a vCPU that triple-faults", ended)
        return
    for line in (r"There is no IDT", r"\bRIP\b", r"\bRAX\b", r"\bCR3\b", r"IDT", r"^Backtrace", r"triple_fault\+0x",
                 r"command_fault|end_crashed"):
        expect_text(ended.err, line, ended)
