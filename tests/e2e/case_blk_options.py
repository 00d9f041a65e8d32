"""Disks that cannot be had: one line, before there is a guest."""
import fcntl
import os
import re
import shutil
import struct
import subprocess
import time

from harness import IMAGE, KERNEL, QEMU, USAGE, Failed, Skip, case, expect_one_line, run, scratch


F_OFD_GETLK = 36  # fcntl.h; python has no name for it


def with_disk(binary, *options):
    return run([binary, "-kernel", KERNEL, *options])


@case("cli", "disk: no such file", file="build/no-such-disk", pattern="No such file")
@case("cli", "disk: directory", file="build", pattern="directory")
@case("cli", "disk: character device", file="/dev/null", pattern="character device")
def no_disk(binary, file, pattern):
    expect_one_line(with_disk(binary, "-hda", file), IMAGE, pattern)
    expect_one_line(with_disk(binary, "-drive", f"file={file},if=virtio,readonly=on"), IMAGE, pattern)


@case("cli", "disk: empty file")
def empty(binary):
    with scratch() as folder:
        with open(f"{folder}/disk", "wb"):
            pass
        expect_one_line(with_disk(binary, "-hda", f"{folder}/disk"), IMAGE, "empty file")


@case("cli", "disk: pipe")
def pipe(binary):
    with scratch() as folder:
        os.mkfifo(f"{folder}/disk")
        expect_one_line(with_disk(binary, "-hda", f"{folder}/disk"), IMAGE, "a pipe")


def as_nobody(binary, folder, *options):
    """Without root's rights, which pass over those of a file; the checkout may be root's alone."""
    words = [shutil.copy(path, folder) for path in (binary, KERNEL)]
    root = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    return run([words[0], "-kernel", words[1], *options], **root)


@case("cli", "disk: not writable", mode=0o444, advice="readonly=on", asan=False)
@case("cli", "disk: unreadable", mode=0o000, advice="Permission denied", asan=False)
def no_permission(binary, mode, advice):
    with scratch() as folder:
        disk = f"{folder}/disk"
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        os.chmod(folder, 0o755)
        os.chmod(disk, mode)
        expect_one_line(as_nobody(binary, folder, "-hda", disk), IMAGE, re.escape(disk), advice)
        if mode == 0:
            expect_one_line(as_nobody(binary, folder, "-drive", f"file={disk},if=virtio,readonly=on"), IMAGE, advice)


@case("cli", "refused: a tap interface that does not exist, without the right to make it", asan=False)
def no_interface(binary):
    with scratch() as folder:
        os.chmod(folder, 0o755)
        expect_one_line(as_nobody(binary, folder, "-netdev", "tap,id=n,ifname=nothere0", "-device",
                                  "virtio-net-device,netdev=n"), USAGE,
                        "-netdev n: (nothere0: not permitted; make the interface first|/dev/net/tun: )")


@case("cli", "disk: locked by another process")
def locked(binary):
    with scratch() as folder:
        with open(f"{folder}/disk", "wb+") as file:
            file.truncate(1 << 20)
            # QEMU's byte for "nobody else may write"; struct flock of x86-64, F_OFD_SETLK
            fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0))
            expect_one_line(with_disk(binary, "-hda", f"{folder}/disk"), IMAGE,
                            r"Is another process using the image\?", "locking=off")


@case("cli", "disk: twice on one command line")
def twice(binary):
    with scratch() as folder:
        with open(f"{folder}/disk", "wb") as file:
            file.truncate(1 << 20)
        expect_one_line(with_disk(binary, "-hda", f"{folder}/disk", "-hdb", f"{folder}/disk"), IMAGE,
                        r"Is another process using the image\?")


def locked(path):
    """Would a writer find the image taken? QEMU takes its locks one after the other, the one that
    keeps others out last (block/file-posix.c: byte 200 and what it does not share)."""
    with open(path, "rb+") as file:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 201, 1, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(file, F_OFD_GETLK, lock))[0] != fcntl.F_UNLCK


@case("cli", "disk: in use by QEMU", asan=False)
def used_by_qemu(binary):
    if not shutil.which(QEMU):
        raise Skip(f"{QEMU} is not installed")
    with scratch() as folder:
        disk = f"{folder}/disk"
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with subprocess.Popen([QEMU, "-accel", "tcg", "-M", "microvm", "-nodefaults", "-display", "none", "-S",
                               "-drive", f"file={disk},format=raw,if=none,id=d",
                               "-device", "virtio-blk-device,drive=d"]) as qemu:
            try:
                deadline = time.monotonic() + 30
                while not locked(disk):
                    if time.monotonic() > deadline:
                        raise Failed("QEMU has not locked its disk")
                    time.sleep(0.05)
                expect_one_line(with_disk(binary, "-hda", disk), IMAGE, r"Is another process using the image\?")
                expect_one_line(with_disk(binary, "-drive", f"file={disk},if=virtio,readonly=on"), IMAGE,
                                r"Is another process using the image\?")
            finally:
                qemu.kill()


@case("cli", "disk: format=qcow2", options=("-drive", "file=x,id=d,format=qcow2"), pattern="qemu-img convert -O raw")
@case("cli", "disk: no id", options=("-drive", "file=x,format=raw"), pattern="id=")
@case("cli", "disk: no file", options=("-drive", "format=raw,id=d"), pattern="file=")
@case("cli", "disk: unknown cache mode", options=("-drive", "file=x,id=d,cache=writebakc"), pattern="writeback")
@case("cli", "disk: device without a drive", options=("-device", "virtio-blk-device"), pattern="drive=ID")
@case("cli", "disk: device of no drive", options=("-device", "virtio-blk-device,drive=x"), pattern="no -drive")
@case("cli", "disk: two devices with one drive", options=(
    "-drive", "file=x,format=raw,if=none,id=d", "-device", "virtio-blk-device,drive=d", "-device",
    "virtio-blk-device,drive=d"), pattern="the drive 'd' has a device already")
@case("cli", "disk: a word alone", options=("disk.img",), pattern="-hda")
def bad_option(binary, options, pattern):
    expect_one_line(with_disk(binary, *options), USAGE, pattern)
