"""The virtio-mmio slots of the board: where devices are, what the guest and the device tree say of
them, notifications with and without exits; the same on QEMU's microvm.
"""
import os
import re
import shutil
import subprocess

from harness import (DEBUG_EXIT, KERNEL, QEMU, QEMU_KVM, USAGE, Skip, boot, case, environment, expect,
                     expect_one_line, expect_status, expect_text, guest_command, run, scratch)

DISK = ("-drive", "file={disk},format=raw,if=none,id=d", "-device", "virtio-blk-device,drive=d")
RNG = ("-device", "virtio-rng-device")
BALLOON = ("-device", "virtio-balloon-device")
CONSOLE = ("-device", "virtio-serial-device", "-chardev", "null,id=c", "-device", "virtconsole,chardev=c")
NET = ("-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n")

# What is wrong, and what the line has to say about it.
BAD_LINES = (
    (["-device", "virtio-blk-pci,drive=d"], "PCI", "virtio-blk-device"),
    (["-device", "virtio-net"], "PCI", "virtio-net-device"),
    (["-device", "virtio-blk-devcie"], "virtio-blk-device"),
    (["-device", "virtio-rng-device,bus=pci.0"], "virtio-mmio-bus.0", "pci.0"),
    (["-device", "virtio-rng-device,id=x", "-device", "virtio-balloon-device,id=x"], "id=x"),
    (["-device", "virtio-rng-device", "-device", "virtio-rng-device,bus=virtio-mmio-bus.7"], "already"),
    (["-device", "virtio-rng-device"] * 9, "8 virtio devices"),
    (["-device", "virtconsole,chardev=c"], "virtio-serial-device", "before"),
    (["-device", "virtio-serial-device,id=s", "-chardev", "null,id=c", "-device", "virtconsole,chardev=c,bus=t.0"],
     "t.0"),
    (["-device", "virtio-blk-device,drive=nobody"], "nobody"),
    (["-device", "virtio-net-device,netdev=nobody"], "nobody"),
    (["-device", "virtio-rng-device,rng=nobody"], "nobody"),
    (["-global", "virtio-mmio.force-legacy=true"], "force-legacy"),
    (["-global", "virtio-mmio.ioeventfd=2"], "ioeventfd"),
    (["-global", "isa-debug-exit.iobase=1"], "virtio-mmio"),
    (["-append", "x" * 4060, "-device", "virtio-rng-device"], "4095", "auto-kernel-cmdline=off"),
)


@case("cli", "bad lines about virtio devices")
def bad_lines(binary):
    for words, *patterns in BAD_LINES:
        expect_one_line(run([binary, "-kernel", KERNEL, *words]), USAGE, *patterns)


@case("cli", "help on each device")
def help_on_devices(binary):
    names = re.findall(r"^  (\S+)$", run([binary, "-device", "help"]).out, re.M)
    expect(len(names) == 8, f"expected 8 devices, found {names}")
    for name in names:
        ended = run([binary, "-device", f"{name},help"])
        expect_status(ended, 0)
        expect_text(ended.out, f"-device {name}", ended)
        expect_text(ended.out, "id=", ended)


def places(binary, machine, options):
    """What the guest sees: its command line, and of each slot magic, version and device."""
    probes = ",".join(f"mmio+r+4+0x{0xfeb00000 + slot * 0x200 + reg:x}" for slot in range(8) for reg in (0, 4, 8))
    ended = boot(binary, append=f"run=info,{probes},poweroff", machine=machine, options=(*DEBUG_EXIT, *options))
    expect_status(ended, 1)
    line = re.search(r"^command line: .*?(( virtio_mmio\S+)*)\s*$", ended.out, re.M)
    expect(line, "expected the command line", ended)
    values = re.findall(r"^gpa \w+ = 0x([0-9a-f]+)\s*$", ended.out, re.M)
    expect(len(values) == 24, f"expected 24 registers, found {len(values)}", ended)
    slots = [tuple(int(value, 16) for value in values[at:at + 3]) for at in range(0, 24, 3)]
    return line.group(1).split(), slots


def all_devices(folder):
    disk = f"{folder}/disk"
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    return tuple(word.format(disk=disk) for word in (*DISK, *RNG, *CONSOLE, *BALLOON, *NET))


EXPECTED = ([f"virtio_mmio.device=512@0x{0xfeb00000 + slot * 0x200:x}:{5 + slot}" for slot in (7, 6, 5, 4, 3)],
            [(0x74726976, 2, device) for device in (0, 0, 0, 1, 5, 3, 4, 2)])


@case("kvm", "slots of five devices", machine="")
@case("kvm", "slots of five devices, acpi=off", machine=",acpi=off")
def slots(binary, machine):
    with scratch() as folder:
        found = places(binary, machine, all_devices(folder))
    expect(found == EXPECTED, f"expected {EXPECTED}, found {found}")


@case("qemu", "slots of five devices")
def slots_on_qemu(_binary):
    with scratch() as folder:
        found = places(QEMU, ",acpi=off", all_devices(folder))
    expect(found == EXPECTED, f"expected {EXPECTED}, found {found}")


@case("qemu-kvm", "slots of five devices")
def slots_on_qemu_kvm(_binary):
    with scratch() as folder:
        found = places(QEMU_KVM, ",acpi=off", all_devices(folder))
    expect(found == EXPECTED, f"expected {EXPECTED}, found {found}")


CHOSEN = ("-device", "virtio-rng-device,bus=virtio-mmio-bus.2", "-device", "virtio-balloon-device")


@case("kvm", "a slot of one's choice")
def chosen_slot(binary):
    found = places(binary, ",acpi=off", CHOSEN)[1]
    expect([slot[2] for slot in found] == [0, 0, 4, 0, 0, 0, 0, 5], f"found {found}")


@case("qemu", "a slot of one's choice")
def chosen_slot_on_qemu(_binary):
    chosen_slot(QEMU)


@case("kvm", "no devices on the command line")
def no_auto_cmdline(binary):
    words, found = places(binary, ",auto-kernel-cmdline=off", RNG)
    expect(not words and found[7][2] == 4, f"found {words}, {found}")


@case("cli", "device tree of virtio devices")
def device_tree(binary):
    if not shutil.which("dtc"):
        raise Skip("dtc is not installed")
    with scratch() as folder:
        path = f"{folder}/machine.dtb"
        expect_status(run([binary, "-M", f"microvm,dumpdtb={path}", *all_devices(folder)]), 0)
        source = run(["dtc", "-I", "dtb", "-O", "dts", path])
        expect(source.err == "", "expected no warning of dtc", source)
    nodes = re.findall(r"virtio_mmio@(\w+) \{\s+compatible = \"virtio,mmio\";\s+reg = <0x00 0xfeb00(\w+) 0x00 0x200>;"
                       r"\s+interrupts = <0x(\w+) 0x03>;\s+dma-coherent;", source.out)
    expect(nodes == [(f"feb00{at:x}00", f"{at:x}00", f"{5 + at // 2:02x}") for at in (0xe, 0xc, 0xa, 8, 6)],
           f"found {nodes}", source)


def notifications(binary, options):
    """Runs a guest that asks for random bytes; its trace."""
    with scratch() as folder:
        path = f"{folder}/trace"
        ended = boot(binary, append="run=rng+16,rng+16,poweroff", options=(
            *DEBUG_EXIT, *RNG, *options, "-trace", f"exits,file={path}"))
        expect_status(ended, 1)
        expect(len(re.findall(r"^rng:(?: [0-9a-f]{2}){16}", ended.out, re.M)) == 2, "expected 16 bytes twice", ended)
        with open(path, encoding="utf-8") as file:
            return file.read()


@case("kvm", "notifications go past the vCPU", options=(), exits=0)
@case("kvm", "notifications are exits", options=("-global", "virtio-mmio.ioeventfd=off"), exits=2)
@case("kvm", "notifications, polled", options=("-M", "kernel-irqchip=off"), exits=0)
def notified(binary, options, exits):
    trace = notifications(binary, options)
    found = len(re.findall(r"mmio write .* virtio-rng0 QueueNotify", trace))
    expect(found == exits, f"expected {exits} exits of QueueNotify, found {found}\n{trace[-6000:]}")
    expect("virtio-rng0 Status" in trace, f"expected the device by name\n{trace[-6000:]}")
    if "kernel-irqchip=off" in options:
        expect("InterruptACK" not in trace, f"expected no interrupt\n{trace[-6000:]}")


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


@case("kvm", "resets leave nothing behind")
def resets(binary):
    """A guest that resets again and again: each time all devices are plugged in anew."""
    with scratch() as folder:
        command = guest_command(binary, append="run=rng+8,timer+20,reboot", machine=",timeout=60",
                                options=all_devices(folder))
        command.remove("-no-reboot")
        with subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            out, counts = b"", []
            while len(counts) < 6 and (more := os.read(process.stdout.fileno(), 65536)):
                out += more
                if out.count(b"rng: ") > len(counts):
                    counts.append(open_files(process))
            process.kill()
    expect(len(counts) == 6 and len(set(counts)) == 1, f"expected as many open files after each reset, found {counts}")
