"""The command line, the doctor, what is installed: no guest runs here."""
import fcntl
import os
import re
import shlex
import shutil
import subprocess

from harness import INTERNAL, KERNEL, NO_KVM, USAGE, Skip, case, expect, expect_one_line, expect_status, expect_text, \
    mount_tracefs, run, scratch

KVM_GET_API_VERSION = 0xae00

# What is wrong, and what the line has to say about it.
BAD_LINES = (
    (["-kernle", "x"], "unknown option", "-kernel"),
    (["--no-rebot"], "unknown option", "-no-reboot"),
    (["-xyzzy"], "unknown option"),
    (["-hdc", "disk"], "QEMU has", "kvmlens"),
    (["-s"], "QEMU has"),
    (["disk.img"], "disk"),
    (["-"], "-"),
    ([""], "."),
    (["-kernel"], "argument"),
    (["-kernel", KERNEL, "-bios", "rom"], "-kernel", "-bios"),
    (["-append", "x"], "-kernel"),
    (["-initrd", "x"], "-kernel"),
    ([], "no guest", "-kernel"),
    (["check", "-v"], "check"),
    (["explain", "serial", "THX"], "THR"),
    (["explain", "x" * 100], "explain"),
    (["explian"], "kvmlens explain"),
    (["-device", "isa-debug-exti", "-kernel", KERNEL], "isa-debug-exit"),
    (["-device", "e1000", "-kernel", KERNEL], "QEMU has", "e1000"),
    (["-device", "isa-debug-exit,iobase=70000", "-kernel", KERNEL], "iobase"),
    (["-device", "isa-debug-exit,iobsae=1", "-kernel", KERNEL], "iobase"),
    (["-device", "", "-kernel", KERNEL], "-device"),
    (["-M", "q35", "-kernel", KERNEL], "q35", "microvm"),
    (["-M", "microvn", "-kernel", KERNEL], "microvm"),
    (["-M", "microvm,pit=maybe", "-kernel", KERNEL], "pit", "on"),
    (["-M", "microvm,timeout=-1", "-kernel", KERNEL], "timeout"),
    (["-M", "microvm,timeout=1x", "-kernel", KERNEL], "timeout"),
    (["-M", "microvm,timeot=1", "-kernel", KERNEL], "timeout"),
    (["-M", "microvm,acpi=on", "-kernel", KERNEL], "acpi"),
    (["-accel", "tcg", "-kernel", KERNEL], "tcg", "kvm"),
    (["-cpu", "qemu64", "-kernel", KERNEL], "qemu64", "host"),
    (["-cpu", "host,-avx3", "-kernel", KERNEL], "avx3"),
    (["-m", "0", "-kernel", KERNEL], "1M"),
    (["-m", "65G", "-kernel", KERNEL], "64G"),
    (["-m", "-5", "-kernel", KERNEL], "-5"),
    (["-m", "99999999999999999999", "-kernel", KERNEL], "64G"),
    (["-m", "lots", "-kernel", KERNEL], "lots"),
    (["-smp", "0", "-kernel", KERNEL], "-smp"),
    (["-smp", "65", "-kernel", KERNEL], "64"),
    (["-smp", "1,sockets=2", "-kernel", KERNEL], "sockets|-smp"),
    (["-serial", "tcp::4444", "-kernel", KERNEL], "-serial", "stdio"),
    (["-serial", "file:", "-kernel", KERNEL], "-serial"),
    (["-serial", "file:/no/such/folder/file", "-kernel", KERNEL], "/no/such/folder/file"),
    (["-trace", "exit", "-kernel", KERNEL], "exits"),
    (["-trace", "exits,file=/no/such/folder/file", "-kernel", KERNEL], "/no/such/folder/file"),
    (["-trace", "kvm_exit", "-kernel", KERNEL], "-trace"),
    (["-display", "gtk", "-kernel", KERNEL], "display"),
    (["-kernel", KERNEL, "-x" * 30000], "unknown option"),
)

for _number, (_arguments, *_patterns) in enumerate(BAD_LINES):
    def _refused(binary, arguments=_arguments, patterns=_patterns):
        expect_one_line(run([binary, *arguments], timeout=10), USAGE, *patterns)
    case("cli", f"refused: {shlex.join(_arguments).replace(KERNEL, 'K')[:50] or 'nothing'}")(_refused)


@case("kvm", "refused: a port of another device")
def port_taken(binary):
    expect_one_line(run([binary, "-device", "isa-debug-exit,iobase=0x3f8", "-kernel", KERNEL]), USAGE, "another device")


@case("cli", "help", arguments=("-h",), pattern=r"-kernel FILE")
@case("cli", "help in the long form", arguments=("--help",), pattern=r"-kernel FILE")
@case("cli", "version", arguments=("-version",), pattern=r"^kvmlens \d+\.\d+\.\d+$")
@case("cli", "device help", arguments=("-device", "help"), pattern=r"isa-debug-exit")
@case("cli", "device properties", arguments=("-device", "isa-debug-exit,help"), pattern=r"iobase")
@case("cli", "machine help", arguments=("-machine", "help"), pattern=r"microvm")
@case("cli", "machine properties", arguments=("-M", "microvm,help"), pattern=r"timeout")
@case("cli", "cpu help", arguments=("-cpu", "help"), pattern=r"avx2")
@case("cli", "trace help", arguments=("-trace", "help"), pattern=r"summary")
@case("cli", "accel help", arguments=("-accel", "help"), pattern=r"kvm")
def helps(binary, arguments, pattern):
    ended = run([binary, *arguments])
    expect_status(ended, 0)
    expect(ended.err == "", "expected nothing on stderr", ended)
    expect_text(ended.out, pattern, ended)


def kvm_answers():
    try:
        fd = os.open("/dev/kvm", os.O_RDWR)
    except OSError:
        return False
    try:
        return fcntl.ioctl(fd, KVM_GET_API_VERSION, 0) == 12
    except OSError:
        return False
    finally:
        os.close(fd)


@case("cli", "check tells whether /dev/kvm works")
def doctor(binary):
    ended = run([binary, "check"])
    expect((ended.status == 0) == kvm_answers(), "expected the doctor to agree with /dev/kvm", ended)
    expect_text(ended.out + ended.err, r"/dev/kvm", ended)
    if ended.status == 0:
        expect_text(ended.out, r"(?i)vmx|svm|software", ended)


@case("cli", "explain knows exits, registers and events")
def explain(binary):
    for words, pattern in ((["serial", "THR"], r"^THR \(serial\)"), (["thr"], r"^THR \(serial\)"),
                           (["KVM_EXIT_IO"], "in, out, ins, outs"), (["virtio-blk0 QueueNotify"], "ioeventfd"),
                           (["kvm_inj_virq"], "interrupt"), ([], "KVM_EXIT_MMIO"), (["-h"], "^kvmlens explain NAME"),
                           (["virtio-blk0"], r"^capacity \(virtio-blk\)"), (["nobody"], "all ones"),
                           (["note"], r"source docs/trace.md")):
        ended = run([binary, "explain", *words])
        expect_status(ended, 0)
        expect_text(ended.out, pattern, ended)
        expect(ended.err == "", "expected nothing on stderr", ended)
    expect("\033" not in run([binary, "explain"]).out, "expected no colours in a pipe")


@case("cli", "standard output on a full disk")
def stdout_full(binary):
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words in (["explain"], ["explain", "THR"], ["-h"], ["-version"], ["-device", "help"], ["report", "-h"],
                      ["check", "-h"]):
            ended = run([binary, *words], stdout=full)
            expect_one_line(ended, INTERNAL, "cannot write to stdout: No space left on device")


@case("cli", "explain knows each event of this kernel's KVM")
def explain_events(binary):
    events = []
    mount_tracefs()
    for folder in ("/sys/kernel/tracing/events/kvm", "/sys/kernel/debug/tracing/events/kvm"):
        if os.access(folder, os.R_OK):
            events = [name for name in sorted(os.listdir(folder)) if name.startswith("kvm_")]
    if not events:
        raise Skip("tracefs is not readable here, or has no events of KVM")
    unknown = [name for name in events if run([binary, "explain", name]).status != 0]
    expect(not unknown, f"expected explanations of {unknown}")


@case("cli", "no /dev/kvm", path="/no/such/device", pattern="No such file")
@case("cli", "/dev/kvm is another device", path="/dev/null", pattern=".")
@case("cli", "/dev/kvm is a folder", path="/tmp", pattern=".")
def no_kvm(binary, path, pattern):
    env = {"KVMLENS_DEV_KVM": path}
    expect_one_line(run([binary, "-kernel", KERNEL], env=env), NO_KVM, re.escape(path), pattern)
    ended = run([binary, "check"], env=env)
    expect_status(ended, NO_KVM)
    expect_text(ended.out + ended.err, re.escape(path), ended)


@case("cli", "/dev/kvm not to be opened", asan=False)
def kvm_forbidden(binary):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skip("needs root and setpriv to become nobody")
    with scratch() as folder:
        os.chmod(folder, 0o755)
        os.mknod(f"{folder}/kvm", 0o600)
        shutil.copy(binary, f"{folder}/kvmlens")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{folder}/kvmlens"]
        env = {"KVMLENS_DEV_KVM": f"{folder}/kvm"}
        readable = run([*nobody, "-version"])
        if readable.status != 0:
            raise Skip("nobody may not read this folder")
        shutil.copy(KERNEL, f"{folder}/kernel.elf")
        os.chmod(f"{folder}/kernel.elf", 0o644)
        expect_one_line(run([*nobody, "-kernel", f"{folder}/kernel.elf"], env=env), NO_KVM, "Permission denied")
        ended = run([*nobody, "check"], env=env)
        expect_status(ended, NO_KVM)
        expect_text(ended.out + ended.err, "group|udev|mode|owner", ended)


@case("cli", "device tree", options=())
@case("cli", "device tree of 8G and 4 processors", options=("-m", "8G", "-smp", "4", "-append", "a \"b\" c"))
@case("cli", "device tree without an interrupt controller", options=("-M", "kernel-irqchip=off,rtc=off"))
@case("cli", "device tree with isa-debug-exit", options=("-device", "isa-debug-exit,iobase=0xf4,iosize=4"))
def device_tree(binary, options):
    """dtc has nothing to say about it, and without -kernel the machine is all there is."""
    with scratch() as folder:
        path = f"{folder}/machine.dtb"
        kernel = ["-kernel", KERNEL] if "-append" in options else []
        ended = run([binary, *kernel, *options, "-M", f"microvm,dumpdtb={path}"])
        expect_status(ended, 0)
        if not shutil.which("dtc"):
            raise Skip("dtc is not installed")
        source = run(["dtc", "-I", "dtb", "-O", "dts", path])
        expect_status(source, 0)
        expect(source.err == "", "expected no warning of dtc", source)
        cpus = options[options.index("-smp") + 1] if "-smp" in options else "1"
        expect(len(re.findall(r"cpu@\w+ \{", source.out)) == int(cpus), f"expected {cpus} processors", source)
        expect_text(source.out, "ns16550a", source)


@case("cli", "one file for two things", asan=False)
def one_file_twice(binary):
    """What would be overwritten is refused, under another name too, and stays as it is; lines can share a file."""
    with scratch() as folder:
        kernel, link, disk = f"{folder}/kernel", f"{folder}/link", f"{folder}/disk"
        shutil.copy(KERNEL, kernel)
        os.link(kernel, link)
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        for options, path, first, second in (
                (["-trace", f"exits,file={link}"], link, "-kernel", "-trace"),
                (["-serial", f"file:{kernel}"], kernel, "-kernel", "-serial"),
                (["-hda", disk, "-trace", f"summary,file={disk}"], disk, "-drive", "-trace"),
                (["-serial", f"file:{folder}/new", "-trace", f"exits,file={folder}/new"], "new", "-serial", "-trace"),
                (["-trace", f"exits,format=jsonl,file={folder}/new", "-trace", f"exits,format=html,file={folder}/new"],
                 "new", "-trace", "-trace"),
                (["-initrd", disk, "-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n", "-object",
                  f"filter-dump,id=f,netdev=n,file={disk}"], disk, "-initrd", "-object filter-dump")):
            expect_one_line(run([binary, "-kernel", kernel, *options]), USAGE, f"{path}' is the file of {first} and of {second}")
        expect(sorted(os.listdir(folder)) == ["disk", "kernel", "link"], f"found {os.listdir(folder)}")
        expect(os.path.getsize(disk) == 1 << 20 and os.path.getsize(kernel) == os.path.getsize(KERNEL), "expected whole files")
        ended = run([binary, "-kernel", kernel, "-append", "run=poweroff", "-serial", f"file:{os.devnull}", "-trace",
                     f"exits,file={folder}/lines", "-trace", f"summary,file={folder}/lines", "-trace", f"exits,file={os.devnull}"],
                    env={"KVMLENS_DEV_KVM": "/dev/null"})
        expect("is the file of" not in ended.err, "expected lines to share a file", ended)


@case("cli", "device tree to a full disk")
def device_tree_full(binary):
    expect_one_line(run([binary, "-M", "microvm,dumpdtb=/dev/full"]), 70, "/dev/full")


def plain_make(*words):
    """make as from a shell, not as a part of the make that runs the tests."""
    env = {"MAKEFLAGS": "", "MAKELEVEL": "", "MFLAGS": ""}
    return run(["make", "--no-print-directory", *words], env=env, timeout=120)


@case("cli", "a second make does nothing; install and uninstall", asan=False, nested=False)
def install(_binary):
    ended = plain_make("all")
    expect_status(ended, 0)
    expect("build/" not in ended.out, "expected nothing to be made", ended)
    with scratch() as folder:
        expect_status(plain_make("install", f"DESTDIR={folder}", "PREFIX=/opt/k"), 0)
        for path, mode in (("bin/kvmlens", 0o755), ("share/man/man1/kvmlens.1", 0o644)):
            found = os.stat(f"{folder}/opt/k/{path}").st_mode & 0o777
            expect(found == mode, f"{path}: expected mode {mode:o}, found {found:o}")
        expect_status(run([f"{folder}/opt/k/bin/kvmlens", "-version"]), 0)
        expect_status(plain_make("uninstall", f"DESTDIR={folder}", "PREFIX=/opt/k"), 0)
        left = [name for _, _, files in os.walk(folder) for name in files]
        expect(not left, f"expected nothing to be left, found {left}")


@case("cli", "libraries that no run uses are not loaded", asan=False)
def libraries(binary):
    ended = run(["ldd", binary])
    expect_status(ended, 0)
    extra = [line for line in ended.out.splitlines() if not re.search(r"linux-vdso|libc\.so|ld-linux", line)]
    if extra and not os.path.exists("/usr/lib/x86_64-linux-gnu/libelf.a"):
        raise Skip("static libelf and libfdt are not installed")
    expect(not extra, "expected libc alone", ended)
