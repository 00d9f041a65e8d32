"""Disks whose host lets them down while the guest runs; and what reaches the host's system calls."""
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

from harness import (IMAGE, QEMU, Failed, Skip, case, check_sanitizers, Ended, environment, expect, expect_one_line,
                     expect_status, expect_text, guest_command, run, scratch, text)
from nested import is_nested

MIB = 1 << 20
LOG_SECTOR = 16
STEP = 0x9e3779b97f4a7c15  # guest/commands_blk.c: the pattern


def image(folder, size=MIB):
    path = f"{folder}/disk"
    with open(path, "wb") as file:
        file.write(b"first sector".ljust(512, b"."))
        file.truncate(size)
    return path


def drive(path, properties=""):
    return ("-drive", f"file={path},format=raw,if=virtio{properties}")


def shell(binary, commands, options, **keywords):
    line = ",".join(command.replace(" ", "+") for command in (*commands, "poweroff"))
    ended = run(guest_command(binary, append=f"run={line}", options=options), **keywords)
    expect_status(ended, 0)
    return ended


class Session:
    """A guest whose shell is typed to, command by command."""

    def __init__(self, binary, options):
        self.command = guest_command(binary, options=options)
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment())
        self.out = b""

    def until(self, words, timeout=60):
        deadline = time.monotonic() + timeout
        while words.encode() not in self.out:
            if time.monotonic() > deadline:
                self.process.kill()
                raise Failed(f"the guest has not said {words!r}:\n{text(self.out)}")
            got = os.read(self.process.stdout.fileno(), 65536)
            if not got:
                raise Failed(f"the guest has ended without {words!r}:\n{text(self.out)}")
            self.out += got

    def type(self, line, answer):
        self.out = b""
        self.process.stdin.write(line.encode() + b"\r")
        self.process.stdin.flush()
        self.until(answer)

    def end(self):
        self.process.stdin.write(b"poweroff\r")
        self.process.stdin.flush()
        out, err = self.process.communicate(timeout=60)
        expect_status(check_sanitizers(Ended(self.command, self.process.returncode, text(out), text(err))), 0)


@case("kvm", "disk: the image shrinks while the guest runs")
def shrinks(binary):
    with scratch() as folder:
        path = image(folder)
        guest = Session(binary, drive(path))
        try:
            guest.until("\n> ")
            guest.type("blk read 1000", "*")
            os.truncate(path, 1024)
            guest.type("blk read 1000", "blk: read at sector 1000: I/O error")
            guest.type("blk read 0", "first sector")
            guest.type("blk flush", "blk: flushed")
            guest.end()
        finally:
            guest.process.kill()
            guest.process.wait()


@case("kvm", "disk: -hda and -hdb")
def shorthands(binary):
    with scratch() as folder, scratch() as other:
        first, second = image(folder), image(other, 2 * MIB)
        ended = shell(binary, ("blk 0 info", "blk 1 write 9 second", "blk 0 write 9 first"),
                      ("-hda", first, "-hdb", second))
        expect_text(ended.out, r"^capacity: +2048 sectors", ended)
        for path, words in ((first, b"first\0"), (second, b"second\0")):
            with open(path, "rb") as file:
                file.seek(9 * 512)
                expect(file.read(len(words)) == words, f"expected {words} in {path}", ended)


@case("kvm", "disk: the host has no room for more")
def no_room(binary):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB // 2, resource.RLIM_INFINITY))

    with scratch() as folder:
        trace = f"{folder}/trace"
        ended = shell(binary, ("blk fill 1000 8 1", "blk fill 1500 8 1", "blk verify 1000 8 1", "blk flush"),
                      (*drive(image(folder)), "-trace", f"exits,file={trace}"), preexec_fn=limit)
        expect_text(ended.out, r"^blk: 8 sectors from 1000 filled", ended)
        expect_text(ended.out, r"^blk: write at sector 1500: I/O error", ended)
        expect_text(ended.out, r"^blk: 8 sectors from 1000 are as filled", ended)
        expect_text(ended.out, r"^blk: flushed", ended)
        with open(trace, encoding="utf-8") as file:
            expect_text(file.read(), r"virtio-blk0 .*write of sector 1500 failed: errno 27", ended)


@contextlib.contextmanager
def loop_device(path):
    """A block device of the host, whose sectors are in the file PATH."""
    if not shutil.which("losetup"):
        raise Skip("losetup (util-linux) is not installed")
    made = run(["losetup", "--find", "--show", path])
    if made.status != 0:
        raise Skip(f"no loop device can be made here (it takes root): {made.err.strip()}")
    try:
        yield made.out.strip()
    finally:
        run(["blockdev", "--setrw", made.out.strip()])
        run(["losetup", "--detach", made.out.strip()])


def block_device(binary):
    """A real block device: its size, data both ways, zeroes and holes, and its end."""
    with scratch() as folder:
        path = image(folder)
        with loop_device(path) as device:
            options = ("-drive", f"if=none,id=d,format=raw,file={device},discard=unmap", "-device",
                       "virtio-blk-device,drive=d")
            ended = shell(binary, ("blk info", "blk read 0", "blk fill 100 64 3", "blk fill 1000 1048 4", "blk zero 108 8",
                                   "blk discard 1024 512", "blk flush", "blk verify 100 8 3", "blk read 2048"), options)
        expect_text(ended.out, r"^capacity: +2048 sectors of 512 bytes, 1024 KiB, read and write", ended)
        expect_text(ended.out, r"\|first sector\.\.\.\.\|", ended)
        for line in ("blk: 8 sectors from 100 are as filled", "blk: read at sector 2048: I/O error", "blk: flushed"):
            expect_text(ended.out, f"^{line}", ended)
        wanted = bytearray(b"first sector".ljust(512, b".").ljust(MIB, b"\0"))
        for sector, count, seed in ((100, 64, 3), (1000, 1048, 4)):
            words = (seed + word * STEP & (1 << 64) - 1 for word in range(sector * 64, (sector + count) * 64))
            wanted[sector * 512:(sector + count) * 512] = struct.pack(f"<{count * 64}Q", *words)
        wanted[108 * 512:116 * 512] = bytes(8 * 512)
        wanted[1024 * 512:1536 * 512] = bytes(512 * 512)
        with open(path, "rb") as file:
            expect(file.read() == wanted, "expected the file behind the device to hold what the guest has written", ended)


case("kvm", "disk: a block device")(block_device)
case("qemu", "disk: a block device")(lambda _binary: block_device(QEMU))


@case("kvm", "disk: a block device is locked, and read-only if the host says so")
def block_device_refused(binary):
    with scratch() as folder, loop_device(image(folder)) as device:
        guest = Session(binary, drive(device))
        try:
            guest.until("\n> ")
            expect_one_line(run(guest_command(binary, options=drive(device))), IMAGE, "lock|in use")
            guest.end()
        finally:
            guest.process.kill()
            guest.process.wait()
        run(["blockdev", "--setro", device])
        expect_one_line(run(guest_command(binary, options=drive(device))), IMAGE, "readonly=on")
        ended = shell(binary, ("blk read 0", "blk write 0 x"), drive(device, ",readonly=on"))
        expect_text(ended.out, "^blk: write at sector 0: I/O error", ended)


@case("kvm", "disk: cache=writeback, at the host", properties="", calls="ws", asan=False)
@case("kvm", "disk: cache=writethrough, at the host", properties=",cache=writethrough", calls="wss", asan=False)
@case("kvm", "disk: cache=unsafe, at the host", properties=",cache=unsafe", calls="w", asan=False)
@case("kvm", "disk: cache=none, at the host", properties=",cache=none", calls="ws", asan=False)
def system_calls(binary, properties, calls):
    """One write and one flush by the guest, as strace sees them."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    with scratch() as folder:
        log = f"{folder}/strace"
        path = image(folder)
        command = ["strace", "-f", "-e", "trace=openat,pwritev,fdatasync", "-o", log]
        command += guest_command(binary, append="run=blk+write+5+text,blk+flush,poweroff", options=drive(path, properties))
        ended = run(command)
        if "ptrace" in ended.err and ended.status:
            raise Skip(f"strace cannot trace here: {ended.err.splitlines()[0]}")
        expect_status(ended, 0)
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read()
        opened = re.search(rf'openat\(.*"{re.escape(path)}", ([A-Z_|]*)', lines)
        expect(opened and ("O_DIRECT" in opened.group(1)) == ("none" in properties), "O_DIRECT goes with cache=none", lines)
        seen = "".join(name[0] for name in re.findall(r"^\d+ +(?:<\.\.\. )?(pwritev|fdatasync)\(", lines, re.M))
        seen = seen.replace("f", "s").replace("p", "w")
        expect(seen == calls, f"expected {calls} of pwritev (w) and fdatasync (s), found {seen}", lines)


def flushed_and_there(said, path):
    """How many records the guest said are flushed; all of them are in the image."""
    records = [int(number) for number in re.findall(r"^flushed (\d+)\r?\n", said, re.M)]
    expect(records == list(range(len(records))), "the guest counts from 0", said)
    with open(path, "rb") as file:
        for record in records:
            sector = LOG_SECTOR + record
            words = ((record + word * STEP) & (1 << 64) - 1 for word in range(sector * 64, sector * 64 + 64))
            file.seek(sector * 512)
            expect(file.read(512) == struct.pack("<64Q", *words), f"record {record} of {len(records)} is not in the image")
    return len(records)


def time_to_first_record(binary):
    """In seconds; it differs by a factor of ten between backends."""
    with scratch() as folder:
        command = guest_command(binary, append=f"run=blk+log+{LOG_SECTOR}+1,poweroff",
                                options=drive(image(folder, 8 * MIB)))
        begin = time.monotonic()
        expect_text(run(command).out, "^flushed 0")
        return time.monotonic() - begin


@case("kvm", "disk: killed at 50 moments, nothing flushed is lost (1 of 5)", seed=1, asan=False)
@case("kvm", "disk: killed at 50 moments, nothing flushed is lost (2 of 5)", seed=2, asan=False)
@case("kvm", "disk: killed at 50 moments, nothing flushed is lost (3 of 5)", seed=3, asan=False)
@case("kvm", "disk: killed at 50 moments, nothing flushed is lost (4 of 5)", seed=4, asan=False)
@case("kvm", "disk: killed at 50 moments, nothing flushed is lost (5 of 5)", seed=5, asan=False)
def killed(binary, seed):
    """The guest writes a record, flushes, and says so; after SIGKILL the image has all it said."""
    chance = random.Random(seed)
    total, shortest = 0, time_to_first_record(binary)
    for _ in range(2 if is_nested() else 10):  # a boot takes a second and a half there
        with scratch() as folder:
            path = image(folder, 8 * MIB)
            command = guest_command(binary, append=f"run=blk+log+{LOG_SECTOR}+16000", options=drive(path))
            with open(f"{folder}/said", "wb+") as said:
                with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, env=environment()) as guest:
                    time.sleep(shortest + chance.random() * 0.2)
                    guest.kill()
                expect(guest.returncode == -signal.SIGKILL, f"the guest ended by itself: {guest.returncode}")
                said.seek(0)
                total += flushed_and_there(text(said.read()), path)
    expect(total > 2, f"the guest flushed {total} records in all: too few to tell anything")
