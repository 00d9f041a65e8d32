"""What differs between the backends: docs/backends.md says it, and here each of its cells is tried."""
import json
import re
import subprocess

from backend import TABLE, kvm_column, rows
from guests import DONE, build
from harness import (CRASH, DEBUG_EXIT, KVM_FAIL, POWEROFF, QEMU, TIMEOUT, Failed, Skip, boot, case, expect,
                     expect_status, expect_text, run, scratch)

EXCEPTIONS = {6: "#UD", 13: "#GP", 14: "#PF"}


def set_up_paging(root, cr4):
    return (f"movl ${root}, %eax; movl %eax, %cr3; movl %cr4, %eax; orl ${cr4}, %eax; movl %eax, %cr4;"
            "movl %cr0, %eax; orl $0x80000000, %eax; movl %eax, %cr0; jmp 1f; 1:")


# (mode, the guest as in the table): its code
GUESTS = {
    ("real", "`int n`"): "int $0x40",
    ("real", "`ud2`"): "ud2",
    ("protected", "`int n`"): "int $0x40",
    ("protected", "`int3`"): "int3",
    ("protected", "`iret`"): "pushfl; pushl $8; pushl $1f; iretl; 1:",
    ("protected", "`ud2`"): "ud2",
    ("protected", "`vmcall`"): "vmcall",
    ("protected", "32-bit paging, 4 KiB pages"): set_up_paging("directory", 0),
    ("protected", "32-bit paging, 4 MiB pages"): set_up_paging("big", 0x10),
    ("protected", "PAE paging"): set_up_paging("three", 0x20),
    ("long", "`int n`"): "int $0x40",
    ("long", "`int3`"): "int3",
    ("long", "`iret`"): "movl $stack, %eax; pushq $0x10; pushq %rax; pushfq; pushq $0x18; pushq $1f; iretq; 1:",
    ("long", "`ud2`"): "ud2",
    ("long", "`vmcall`"): "vmcall",
    ("long", "`cmpxchg8b`"): "lock cmpxchg8b buffer",
    ("long", "`cmpxchg16b`"): "lock cmpxchg16b buffer",
    ("long", "`popcnt`"): "popcnt %eax, %eax",
    ("long", "`rdtscp`"): "rdtscp",
    ("long", "`lar`"): "movl $8, %eax; lar %ax, %ebx",
    ("long", "SSE `movaps`"): "movaps %xmm0, buffer; movaps buffer, %xmm0",
    ("long", "x87 `fld1`"): "fld1; fstpt buffer",
    ("long", "a page of 1 GiB"): "movl $huge_top, %eax; movq %rax, %cr3",
}
# (the guest as in the table): its code, and the length of the instruction that exits, at the label access
ACCESSES = {
    "RIP after `out`": ("nop; access: outb %al, $0x80", 2),
    "RIP after `in`": ("nop; access: inb $0x80, %al", 2),
    "RIP after an MMIO write": ("movl $0x30000000, %ebx; access: movb %al, (%rbx)", 2),
    "RIP after an MMIO read": ("movl $0x30000000, %ebx; access: movb (%rbx), %al", 2),
}
TRIPLE_FAULT = "registers after a triple fault"
COST = "an exit, in guest instructions"


def table():
    """{(mode, guest): {backend: outcome}}"""
    return {(row["mode"], row["the guest"]): row for row in rows("mode")}


def backend():
    """The column of the host's KVM."""
    name = kvm_column()
    if name not in next(iter(table().values())):
        raise Skip(f"kvmlens check does not know this KVM: {name}")
    return name


def image(mode, code):
    try:
        return build(mode, code)
    except subprocess.CalledProcessError as error:
        raise Failed(f"cannot assemble {code!r}") from error


def outcome(ended, qemu):
    """In the words of the table."""
    status = ended.status
    if status == DONE << 1 | 1:
        return "works"
    if status % 2 == 1 and status >> 1 in EXCEPTIONS:
        return EXCEPTIONS[status >> 1]
    if qemu and status == POWEROFF:
        return "triple fault"  # with -no-reboot
    words = {CRASH: "triple fault", KVM_FAIL: "cannot be emulated", TIMEOUT: "never returns"}
    return words.get(status, f"status {status}")


def tried(binary, key, code, column):
    options, machine = DEBUG_EXIT, ""
    if binary == QEMU:
        options += ("-cpu", "max")
    elif table()[key][column] == "never returns":
        machine = ",timeout=2"
    ended = boot(binary, kernel=image(key[0], code), options=options, machine=machine)
    found = outcome(ended, binary == QEMU)
    expect(found == table()[key][column], f"{TABLE} says for {column}: {table()[key][column]}; found: {found}", ended)
    if found == "cannot be emulated":
        expect_text(ended.err, r"instruction.*\b[0-9a-f]{2}( [0-9a-f]{2})+\b", ended)
    if found == "never returns":
        expect_text(ended.err, "^kvmlens: the time limit has passed", ended)
        expect_text(ended.err, f"{key[1]} there never returns", ended)


for _key, _code in GUESTS.items():
    case("kvm", f"backend: {' '.join(_key)}", asan=False)(
        lambda binary, key=_key, code=_code: tried(binary, key, code, backend()))
    case("qemu", f"backend: {' '.join(_key)}")(
        lambda _binary, key=_key, code=_code: tried(QEMU, key, code, "qemu-tcg"))


def rip_after(binary, name, code, length):
    kernel = image("long", code)
    symbols = run(["nm", kernel]).out
    access = int(re.search(r"^([0-9a-f]+) . access$", symbols, re.M)[1], 16)
    with scratch() as folder:
        trace = f"{folder}/trace"
        ended = boot(binary, kernel=kernel, options=(*DEBUG_EXIT, "-trace", f"exits,format=jsonl,file={trace}"))
        expect_status(ended, DONE << 1 | 1)
        with open(trace, encoding="utf-8") as file:
            exits = [json.loads(line) for line in file]
    # The exit before that of isa-debug-exit; between header and footer of the file.
    rip = int([item for item in exits if "rip" in item][-2]["rip"], 16)
    found = {access: "at it", access + length: "behind it"}.get(rip, f"{rip:#x}")
    wanted = table()[("long", name)][backend()]
    expect(found == wanted, f"{TABLE} says: {wanted}; found: {found}", ended)


for _name, (_code, _length) in ACCESSES.items():
    case("kvm", f"backend: {_name}", asan=False, name_=_name)(
        lambda binary, name_, code=_code, length=_length: rip_after(binary, name_, code, length))


@case("kvm", f"backend: {TRIPLE_FAULT}", asan=False)
def triple_fault(binary):
    """No gate for the page fault: the limit of the IDT is 0."""
    ended = boot(binary, kernel=image("long", "lidt zero; movl $0x1badcafe, %ebx; movb %al, 0x7f0000000000"))
    expect_status(ended, CRASH)
    found = {(True, False): "kept", (False, True): "lost"}.get(
        ("000000001badcafe" in ended.err, "registers are gone" in ended.err), "neither")
    wanted = table()[("long", TRIPLE_FAULT)][backend()]
    expect(found == wanted, f"{TABLE} says: {wanted}; found: {found}", ended)


@case("kvm", f"backend: {COST}", asan=False)
def cost(binary):
    """Orders of magnitude lie between the backends, so that a busy host makes no difference."""
    ended = run([binary, "check"])
    microseconds = re.search(r"there and back: ([\d.]+) microseconds", ended.out)
    rate = re.search(r"instructions a second: ([\d.]+) (thousand|million|billion)", ended.out)
    expect(microseconds and rate, "expected two figures", ended)
    per_second = float(rate[1]) * {"thousand": 1e3, "million": 1e6, "billion": 1e9}[rate[2]]
    exit_cost = float(microseconds[1]) * 1e-6 * per_second
    found = "tens" if exit_cost < 300 else "thousands"
    wanted = table()[("long", COST)][backend()]
    expect(found == wanted, f"{TABLE} says: {wanted}; found {exit_cost:.0f} instructions", ended)


@case("cli", "backend: every row of the table is tried", asan=False, nested=False)
def complete(_binary):
    tested = {*GUESTS, *(("long", name) for name in (*ACCESSES, TRIPLE_FAULT, COST))}
    expect(tested == set(table()), f"{TABLE} and the tests differ in {tested ^ set(table())}")
