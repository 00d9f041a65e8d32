"""The guest's virtio drivers and kvmlens' devices against each other, and against QEMU's: each case
runs the same guest, with the same options, on kvmlens (group kvm) and on QEMU (group qemu).

golden/virtio-NAME.txt is what both print.
"""
import os
import re
import socket
import struct
import subprocess
import time

from harness import (DEBUG_EXIT, QEMU, QEMU_KVM, Failed, Skip, case, environment, expect, expect_status, expect_text, golden,
                     guest_command, run, scratch, text)

SECTOR = 512
STEP = 0x9e3779b97f4a7c15  # guest/commands_blk.c: the pattern of fill and verify
LESSON = "build/guest/lessons/{}.elf"
ACPI_OFF = ",acpi=off"  # QEMU then names its slots and their interrupts on the command line


def pattern(sector, count, seed):
    words = (seed + word * STEP & 0xffffffffffffffff for word in range(sector * 64, (sector + count) * 64))
    return struct.pack(f"<{count * 64}Q", *words)


def disk(path, name="d", drive="", device=""):
    return ("-drive", f"if=none,id={name},format=raw,file={path}{drive}",
            "-device", f"virtio-blk-device,drive={name}{device}")


def image(path, size, content=b""):
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def contents(path, sector=0, count=None):
    with open(path, "rb") as file:
        file.seek(sector * SECTOR)
        return file.read() if count is None else file.read(count * SECTOR)


def commands(binary, line, options, status=1, timeout=60, machine=ACPI_OFF, **keywords):
    """The guest's commands, one behind the other; what it prints, from its first prompt on."""
    command = guest_command(binary, append=f"run={','.join(c.replace(' ', '+') for c in line)},poweroff",
                            options=(*DEBUG_EXIT, *options), machine=machine)
    ended = run(command, timeout=timeout, **keywords)
    expect_status(ended, status)
    return ended


def lesson(binary, name, options, status=0, debug_exit=False):
    command = guest_command(binary, LESSON.format(name), options=(*(DEBUG_EXIT if debug_exit else ()), *options))
    ended = run(command, timeout=120)
    expect_status(ended, status)
    return ended


def both(label, **keywords):
    """Adds FUNCTION as a case for kvmlens, and for QEMU with either accelerator."""
    def add(function):
        for group in ("kvm", "qemu", "qemu-kvm"):
            def adapted(binary, group=group):
                function({"qemu": QEMU, "qemu-kvm": QEMU_KVM}.get(group, binary), **keywords)
            case(group, f"virtio: {label}")(adapted)
        return function
    return add


@both("a disk is filled by the guest, and read by the host")
def guest_writes(binary):
    with scratch() as folder:
        path = image(f"{folder}/image", 4 << 20)
        ended = commands(binary, ("blk fill 100 1000 7", "blk verify 100 1000 7", "blk write 3 from the guest",
                                  "blk flush", "blk verify 100 1000 8", "blk read 3", "blk zero 200 8",
                                  "blk read 8192", "blk fill 8191 2 1", "blk log 2000 3"), disk(path))
        golden("virtio-blk-write", ended.out)
        found = contents(path)
        wanted = bytearray(4 << 20)
        wanted[3 * SECTOR:3 * SECTOR + 14] = b"from the guest"
        wanted[100 * SECTOR:1100 * SECTOR] = pattern(100, 1000, 7)
        wanted[200 * SECTOR:208 * SECTOR] = bytes(8 * SECTOR)
        for i in range(3):
            wanted[(2000 + i) * SECTOR:(2001 + i) * SECTOR] = pattern(2000 + i, 1, i)
        expect(found == wanted, "expected the image to hold what the guest has written", ended)


@both("a disk is filled by the host, and read by the guest")
def host_writes(binary):
    with scratch() as folder:
        path = image(f"{folder}/image", 2 << 20, b"from the host\0".ljust(SECTOR, b"\0") + pattern(1, 2000, 99))
        ended = commands(binary, ("blk read 0", "blk verify 1 2000 99", "blk verify 1 2001 99"), disk(path))
        golden("virtio-blk-read", ended.out)


@both("a read-only disk refuses")
def read_only(binary):
    with scratch() as folder:
        path = image(f"{folder}/image", 1 << 20, b"as it was")
        before = contents(path)
        ended = commands(binary, ("blk read 0", "blk write 0 changed", "blk fill 1 1 1", "blk info"),
                         disk(path, drive=",readonly=on"))
        expect_text(ended.out, r"^capacity: +2048 sectors of 512 bytes, 1024 KiB, read-only\r$", ended)
        expect_text(ended.out, r"^features: .*\bRO\b", ended)
        golden("virtio-blk-readonly", ended.out[:ended.out.index("> blk info")])
        expect(contents(path) == before, "expected the image to be as it was", ended)


@both("a disk of an odd size is padded")
def odd_size(binary):
    """The rest of its last sector reads as zeroes; a write to it makes the file whole."""
    with scratch() as folder:
        path = image(f"{folder}/image", 700, b"a".ljust(SECTOR, b"a") + b"the end".ljust(188, b"."))
        ended = commands(binary, ("blk info", "blk read 1", "blk read 2", "blk write 1 whole"), disk(path))
        expect_text(ended.out, r"^capacity: +2 sectors of 512 bytes", ended)
        expect_text(ended.out, r"^00000200  74 68 65 20 65 6e 64 2e .*\|the end\.", ended)
        expect_text(ended.out, r"^000002b0  2e 2e 2e 2e 2e 2e 2e 2e  ?2e 2e 2e 2e 00 00 00 00 ", ended)
        expect_text(ended.out, "^blk: read at sector 2: I/O error", ended)
        if binary not in (QEMU, QEMU_KVM):
            warnings = [line for line in ended.err.splitlines() if "700 bytes are no whole number of sectors" in line]
            expect(len(warnings) == 1, "expected one warning", ended)
        expect(contents(path) == b"a" * SECTOR + b"whole".ljust(SECTOR, b"\0"), "expected two whole sectors", ended)


@both("what a disk says of itself")
def about_disk(binary):
    with scratch() as folder:
        path = image(f"{folder}/image", 3 << 20)
        ended = commands(binary, ("blk info",), disk(path, device=",serial=disk-one"))
        for line in (r"capacity: +6144 sectors of 512 bytes, 3072 KiB, read and write", "serial: +disk-one",
                     "block size: 512", "cache: +writeback", "features: .*SEG_MAX BLK_SIZE FLUSH"):
            expect_text(ended.out, rf"^{line}", ended)
        ended = commands(binary, ("blk info",), disk(path, drive=",cache=writethrough"))
        expect_text(ended.out, "^cache: +writethrough\r$", ended)


@both("several disks, in the order of the command line")
def several_disks(binary):
    with scratch() as folder:
        options = []
        for i in range(3):
            path = image(f"{folder}/image{i}", SECTOR * (i + 1), b"disk %d" % i)
            options += disk(path, name=f"d{i}")
        ended = commands(binary, ("blk 2 read 0", "blk 0 read 0", "blk 1 read 0", "blk 3 read 0", "blk 1 read 1 1"),
                         options)
        golden("virtio-blk-several", ended.out)


@both("benchmark of a disk: polled ones need no interrupt, deep ones fewer notifications")
def disk_bench(binary):
    with scratch() as folder:
        path = image(f"{folder}/image", 4 << 20)
        # The last one's last interrupt may come when the guest has seen the answer already: so it is last.
        ended = commands(binary, ("blk bench randread 1 4 16", "blk bench write 4 128 1", "blk bench read 4 128"),
                         disk(path))
        found = re.findall(r"(\d+) notifications, (\d+) interrupts", ended.out)
        expect(len(found) == 3, "expected three results", ended)
        notifications, interrupts = zip(*((int(n), int(i)) for n, i in found))
        # A device that answers before the guest has gone to sleep owes it no interrupt.
        # QEMU interrupts for a queue's first used buffer, whatever used_event says (virtio_split_should_notify()).
        first = 0 if binary not in (QEMU, QEMU_KVM) else 1
        expect(notifications[0] <= 256 and interrupts[0] <= first, "expected 256 requests without interrupts", ended)
        expect(notifications[1] == 32 and interrupts[1] == 0, "expected 32 requests without interrupts", ended)
        expect(notifications[2] == 32 and interrupts[2] <= 32, "expected 32 requests, one by one", ended)
        expect_text(ended.out, r"^blk: randread: 256 requests of 4 KiB, 16 under way, polled: 1048576 bytes\r$", ended)


@both("entropy")
def entropy(binary):
    ended = commands(binary, ("rng 32", "rng 32"), ("-device", "virtio-rng-device"))
    found = re.findall(r"^rng:((?: [0-9a-f]{2}){32})\r$", ended.out, re.M)
    expect(len(found) == 2 and found[0] != found[1], "expected 32 random bytes, twice", ended)


@both("entropy that comes from a file")
def entropy_of_file(binary):
    with scratch() as folder:
        path = image(f"{folder}/random", 64, bytes(range(64)))
        ended = commands(binary, ("rng 32",), ("-object", f"rng-random,id=r,filename={path}",
                                               "-device", "virtio-rng-device,rng=r"))
        expect_text(ended.out, "^rng: " + " ".join(f"{i:02x}" for i in range(32)) + "\r$", ended)


@both("entropy that is rationed")
def entropy_rationed(binary):
    """256 bytes, 64 of them in each half second: all but the first of four quotas are waited for."""
    with Shell(binary, ("-device", "virtio-rng-device,max-bytes=64,period=500")) as shell:
        begin = time.monotonic()
        answer = shell.says("rng 256", "rng: ")  # which comes with the first of eight lines
        took = time.monotonic() - begin
        answer += "".join(text(shell.process.stdout.readline()) for _ in range(7))
    expect(len(re.findall(r" [0-9a-f]{2}\b", answer)) == 256, f"expected 256 bytes: {answer}")
    expect(1.4 < took < 20, f"expected to wait for 1.5 s at least, it was {took:.3f} s")


@both("the balloon grows and shrinks")
def balloon(binary):
    ended = commands(binary, ("balloon info", "balloon inflate 20", "balloon deflate 5", "balloon inflate 3",
                              "balloon report 4"), ("-device", "virtio-balloon-device,free-page-reporting=on"))
    golden("virtio-balloon", ended.out, ((r"\d+ KiB left", "<n> KiB left"),))


class Shell:
    """A guest whose shell is told one line at a time."""

    def __init__(self, binary, options):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            guest_command(binary, options=(*DEBUG_EXIT, *options), machine=ACPI_OFF), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())

    def __enter__(self):
        self.until("type help")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def until(self, wanted):
        seen = ""
        while wanted not in seen:
            line = text(self.process.stdout.readline())
            expect(line, f"expected {wanted} before the end of the guest", seen)
            seen += line
        return seen

    def says(self, command, wanted):
        self.process.stdin.write(f"{command}\r".encode())
        self.process.stdin.flush()
        return self.until(wanted)

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M)[1]) >> 10


@both("the balloon gives memory to the host, and so does a report of free pages")
def balloon_rss(binary):
    with Shell(binary, ("-device", "virtio-balloon-device,free-page-reporting=on")) as shell:
        shell.says("balloon inflate 64", "balloon: 16384 pages")
        shell.says("balloon deflate 64", "balloon: 0 pages")  # each page is written
        full = shell.resident_mib()
        shell.says("balloon inflate 64", "balloon: 16384 pages")
        given = shell.resident_mib()
        expect(full - given > 48, f"expected 64 MiB less in use: {full} MiB, then {given} MiB")
        shell.says("balloon deflate 64", "balloon: 0 pages")
        full = shell.resident_mib()
        shell.says("balloon report 64", "balloon: 0 pages")
        given = shell.resident_mib()
        expect(full - given > 48, f"expected 64 MiB less in use: {full} MiB, then {given} MiB")


@both("the balloon follows the host's wish, and tells statistics when asked")
def balloon_follows(binary):
    with scratch() as folder:
        trace = f"{folder}/trace"
        options = [] if binary in (QEMU, QEMU_KVM) else ["-trace", f"exits,file={trace}"]
        for device, least, most in (("virtio-balloon-device,guest-stats-polling-interval=1", 2, 60),
                                    ("virtio-balloon-device", 0, 1)):
            ended = commands(binary, ("balloon inflate 4", "balloon follow 3"), ("-device", device, *options), timeout=150)
            expect_text(ended.out, "^balloon: 1024 pages, 0 wanted", ended)
            expect_text(ended.out, "^balloon: 0 pages, 0 wanted", ended)
            found = re.search(r"^balloon: the host has asked for statistics (\d+) times", ended.out, re.M)
            expect(found and least <= int(found[1]) <= most, f"expected {least} to {most} questions of {device}", ended)
            if options and least:
                free = re.findall(r"2 statistics: 134217728 bytes of memory, (\d+) free", text(contents(trace)))
                expect(len(free) >= least and int(free[0]) > 100 << 20, f"found {free} in the trace", ended)


def console_options(port, chardev, name="c"):
    return "-chardev", chardev, "-device", f"{port},chardev={name}"


@both("what the guest writes to a console's ports")
def console_writes(binary):
    with scratch() as folder:
        options = ("-device", "virtio-serial-device",
                   *console_options("virtconsole", f"file,id=c,path={folder}/console"),
                   *console_options("virtserialport,name=org.kvmlens.test", f"file,id=p,path={folder}/port", "p"))
        ended = commands(binary, ("con ports", "con write to the console", "con 1 write to the port",
                                  "con 2 write nowhere", "con 0 write and more"), options)
        golden("virtio-console", ended.out)
        expect(contents(f"{folder}/console") == b"to the console\nand more\n", "expected the text in the file", ended)
        expect(contents(f"{folder}/port") == b"to the port\n", "expected the text in the file", ended)


@both("a port of a console on a socket, both ways")
def console_socket(binary):
    with scratch() as folder:
        path = f"{folder}/socket"
        options = (*DEBUG_EXIT, "-device", "virtio-serial-device", *console_options(
            "virtserialport,name=agent", f"socket,id=c,path={path},server=on,wait=on"))
        command = guest_command(binary, append="run=con+ports,con+read,con+write+pong,con+read,poweroff",
                                options=options, machine=ACPI_OFF)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment()) as process:
            try:
                peer = connect(path)
                peer.settimeout(30)
                peer.sendall(b"ping\n")
                with peer.makefile("rb") as file:
                    expect(file.readline() == b"pong\n", "expected the guest's answer")
                peer.sendall(b"x" * 1000 + b"\n")
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        expect(process.returncode == 1, f"expected status 1, not {process.returncode}", text(out) + text(err))
        golden("virtio-console-socket", text(out))


def connect(path):
    """To a server that is on its way."""
    peer = socket.socket(socket.AF_UNIX)
    for _ in range(1000):
        try:
            peer.connect(path)
            return peer
        except OSError:
            run(["sleep", "0.01"])
    raise Failed(f"nobody listens on {path}")


@both("without devices each command says so")
def nothing_there(binary):
    ended = commands(binary, ("blk info", "rng", "balloon info", "con ports"), ())
    golden("virtio-none", ended.out)


@both("slots that nobody has named are found", name="virtio-unnamed")
def unnamed_slots(binary, name):
    """QEMU with ACPI names them only there, which this guest does not read."""
    with scratch() as folder:
        path = image(f"{folder}/image", 1 << 20, b"found")
        ended = commands(binary, ("blk read 0", "blk verify 8 8 1", "blk fill 8 8 1", "blk verify 8 8 1"), disk(path),
                         machine="")
        golden(name, ended.out)


@case("kvm", "virtio: without an APIC the guest polls", machine=",kernel-irqchip=off")
@case("kvm", "virtio: 8 MiB of RAM", memory="8M")
@case("kvm", "virtio: 5 GiB of RAM", memory="5G")
@case("kvm", "virtio: notifications that are exits", options=("-global", "virtio-mmio.ioeventfd=off"))
def other_machines(binary, machine="", memory="128M", options=()):
    with scratch() as folder:
        path = image(f"{folder}/image", 1 << 20)
        ended = commands(binary, ("rng 8", "blk fill 0 64 5", "blk verify 0 64 5", "balloon inflate 2",
                                  "blk bench randread 1 4 16"),
                         (*disk(path), "-device", "virtio-rng-device", "-device", "virtio-balloon-device", "-m", memory,
                          *options), machine=machine)
        for line in ("rng:( [0-9a-f]{2}){8}", "blk: 64 sectors from 0 are as filled",
                     "balloon: inflate: 2 of 2 MiB", "blk: randread: 256 requests of 4 KiB"):
            expect_text(ended.out, f"^{line}", ended)


def lesson_options(folder):
    return {"virtio-rng": ("-device", "virtio-rng-device"),
            "virtio-blk": disk(image(f"{folder}/image", 1 << 20, b"the first sector's text\n")),
            "virtio-net": ("-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n"),
            "virtio-console": ("-device", "virtio-serial-device",
                               *console_options("virtconsole", f"file,id=c,path={folder}/console")),
            "virtio-balloon": ("-device", "virtio-balloon-device")}


@both("lesson virtio-rng with its device", name="virtio-rng")
@both("lesson virtio-blk with its device", name="virtio-blk")
@both("lesson virtio-net with its device", name="virtio-net")
@both("lesson virtio-console with its device", name="virtio-console")
@both("lesson virtio-balloon with its device", name="virtio-balloon")
def lesson_with_device(binary, name):
    with scratch() as folder:
        ended = lesson(binary, name, lesson_options(folder)[name])
        golden(f"lesson-{name}-device", ended.out, ((r"(?<= )([0-9a-f]{2} ){8}", "<8 bytes> "),))
        if name == "virtio-console":
            expect(contents(f"{folder}/console") == b"one buffer through a virtio console\n",
                   "expected the line in the file", ended)


# What kvmlens' trace says of the attacks, of each device and of one.
REMARKS = {
    "": ("a loop in the chain of head 0", "next is 65535 in a table of 16", "head 32768 in a queue of 16",
         "avail.idx jumped from 0 to 32768", "a readable buffer at 0x[0-9a-f]+ after a writable one",
         "0xfffffffffffff000, 4096 bytes, is not all in", "a buffer of no bytes", "an indirect table of 7 bytes",
         "an indirect table at 0x[0-9a-f]+ inside an indirect table", "status: NEEDS_RESET", "FEATURES_OK refused",
         "DRIVER_OK refused", r"notification of queue \d ignored"),
    "blk": ("unsupported request type 3735928559", "pass the end of the disk", "has no byte for its status"),
    "net": ("dropped a frame, its header is bad", "the header alone 12", r"rx: a buffer has \d+ bytes",
            r"rx: \d+ bytes of a buffer are for the device to read"),
    "console": ("a control message of 1 bytes: too short", "there is no port 4294967295"),
    "rng": ("a buffer of 65536 bytes to read, and none to write random bytes to", "16 of 16 bytes",
            "avail.idx jumped|head [0-9]+ in a queue of 16"),
    "balloon": ("7 page numbers are not of RAM", "a buffer of 65536 pages: all but the first 4096", "inflate: 1 pages",
                "free pages reported: 0 bytes", "64 statistics", "given 4294967295 pages"),
}
QEMU_FAILS = {
    "net": "QEMU 7.2 aborts: a frame whose length the guest has not told right fails an assertion of iov_copy()",
    "rng": "QEMU's device writes to the APIC's address too: random bytes there are interrupts, and may reset the guest",
}


@both("hostile guest: the disk", name="blk", attacks=27)
@both("hostile guest: the console", name="console", attacks=67)
@both("hostile guest: the network", name="net", attacks=45)
@both("hostile guest: the entropy device", name="rng", attacks=26)
@both("hostile guest: the balloon", name="balloon", attacks=48)
def hostile(binary, name, attacks):
    """The VMM lives, the other device works after each attack, and kvmlens' trace names the attacks."""
    of_qemu = binary in (QEMU, QEMU_KVM)
    if of_qemu and name in QEMU_FAILS:
        raise Skip(QEMU_FAILS[name])
    with scratch() as folder:
        options = [*lesson_options(folder)[f"virtio-{name}"], "-device", "virtio-rng-device"]
        if name == "balloon":
            options[1] += ",free-page-reporting=on"
        trace = f"{folder}/trace"
        if not of_qemu:
            options += ["-trace", f"exits,file={trace}"]
        ended = lesson(binary, f"hostile-{name}", options, 1, debug_exit=True)
        worked = ended.out.count("; the entropy device works\r\n")
        expect(worked == attacks, f"expected {attacks} attacks that the other device lived through, found {worked}", ended)
        expect_text(ended.out, r"^after a last reset, the attacked device works\r$", ended)
        if not of_qemu:
            notes = "\n".join(line for line in text(contents(trace)).splitlines() if " note " in line or "actual" in line)
            for remark in REMARKS[""] + REMARKS[name]:
                expect_text(notes, remark, ended)
