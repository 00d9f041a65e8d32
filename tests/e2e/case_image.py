"""Images that are no guests: each gets one line, and status 66, before a VM exists."""
import os
import struct

from harness import IMAGE, KERNEL, USAGE, case, expect_one_line, guest_command, run, scratch

PT_LOAD, PT_NOTE = 1, 4
E_CLASS, E_DATA, E_TYPE, E_MACHINE, E_PHOFF, E_PHNUM = 4, 5, 16, 18, 32, 56
P_OFFSET, P_PADDR, P_FILESZ, P_MEMSZ = 8, 24, 32, 40
PHDR_SIZE = 56


def refuse(binary, data, *patterns, name="image", options=(), status=IMAGE, rom=False):
    """Boots a file with DATA as its content, and expects the one line."""
    with scratch() as folder:
        path = f"{folder}/{name}"
        with open(path, "wb") as file:
            file.write(data)
        ended = run([binary, "-M", "microvm,timeout=10", "-bios" if rom else "-kernel", path, *options], timeout=30)
        expect_one_line(ended, status, name, *patterns)


def kernel():
    with open(KERNEL, "rb") as file:
        return bytearray(file.read())


def headers(image, kind):
    """Offsets of the program headers of KIND."""
    at, = struct.unpack_from("<Q", image, E_PHOFF)
    count, = struct.unpack_from("<H", image, E_PHNUM)
    return [at + i * PHDR_SIZE for i in range(count)
            if struct.unpack_from("<I", image, at + i * PHDR_SIZE)[0] == kind]


@case("cli", "image: text file")
def text_file(binary):
    refuse(binary, b"#!/bin/sh\necho no kernel\n", r"(?i)elf")


@case("cli", "image: empty file")
def empty_file(binary):
    refuse(binary, b"", r"empty")


@case("cli", "image: truncated at 3 bytes", size=3)
@case("cli", "image: truncated at 40 bytes", size=40)
@case("cli", "image: truncated in the program headers", size=80)
@case("cli", "image: truncated in a segment", size=0x1800)
def truncated(binary, size):
    refuse(binary, kernel()[:size], r"\d")


@case("cli", "image: ELF of another machine", offset=E_MACHINE, value=struct.pack("<H", 183), pattern="(?i)aarch64|183")
@case("cli", "image: 32-bit ELF", offset=E_CLASS, value=b"\x01", pattern="32")
@case("cli", "image: big-endian ELF", offset=E_DATA, value=b"\x02", pattern="(?i)endian")
@case("cli", "image: relocatable object", offset=E_TYPE, value=struct.pack("<H", 1), pattern="(?i)object|type")
@case("cli", "image: no program headers", offset=E_PHNUM, value=b"\0\0", pattern="program header")
@case("cli", "image: program headers past the end", offset=E_PHOFF, value=struct.pack("<Q", 1 << 40), pattern="offset")
@case("cli", "image: program headers wrap around", offset=E_PHOFF, value=b"\xf8" + b"\xff" * 7, pattern="offset")
def bad_header(binary, offset, value, pattern):
    image = kernel()
    image[offset:offset + len(value)] = value
    refuse(binary, image, pattern)


@case("cli", "image: no PVH note")
def no_note(binary):
    image = kernel()
    for header in headers(image, PT_NOTE):
        struct.pack_into("<I", image, header, 0)
    refuse(binary, image, r"PVH", r"XEN_ELFNOTE_PHYS32_ENTRY")


@case("cli", "image: segment below 1 MiB", field=P_PADDR, value=0x1000)
@case("cli", "image: segment in the hole", field=P_PADDR, value=0xfee00000)
@case("cli", "image: segment past the RAM", field=P_PADDR, value=0x40000000)
@case("cli", "image: segment wraps around", field=P_PADDR, value=0xfffffffffffff000)
@case("cli", "image: segment of 2^63 bytes", field=P_MEMSZ, value=1 << 63)
@case("cli", "image: file part of 2^63 bytes", field=P_FILESZ, value=1 << 63)
@case("cli", "image: segment data past the end", field=P_OFFSET, value=1 << 62)
def bad_segment(binary, field, value):
    image = kernel()
    struct.pack_into("<Q", image, headers(image, PT_LOAD)[0] + field, value)
    refuse(binary, image, r"program header", r"offset \d+")


@case("cli", "image: overlapping segments")
def overlap(binary):
    image = kernel()
    first, second = headers(image, PT_LOAD)[:2]
    image[second + P_PADDR:second + P_PADDR + 8] = image[first + P_PADDR:first + P_PADDR + 8]
    refuse(binary, image, r"overlap")


@case("cli", "image: kernel does not fit into 1M")
def small_ram(binary):
    refuse(binary, kernel(), r"-m \d+M", options=("-m", "1M"))


@case("cli", "image: directory", path="build", pattern="directory")
@case("cli", "image: no such file", path="build/no-such-file", pattern="No such file")
@case("cli", "image: device", path="/dev/null", pattern="character device")
def not_a_file(binary, path, pattern):
    for option in ("-kernel", "-bios"):
        expect_one_line(run([binary, option, path]), IMAGE, pattern)
    expect_one_line(run([binary, "-kernel", KERNEL, "-initrd", path]), IMAGE, pattern)


@case("cli", "image: pipe without a writer")
def fifo(binary):
    with scratch() as folder:
        os.mkfifo(f"{folder}/pipe")
        expect_one_line(run([binary, "-kernel", f"{folder}/pipe"], timeout=10), IMAGE, "pipe")


@case("cli", "image: unreadable path of 300 characters")
def long_path(binary):
    expect_one_line(run([binary, "-kernel", "x" * 300]), IMAGE, "name too long|No such file")


@case("cli", "image: ROM of an odd size", size=1000)
@case("cli", "image: ROM of 64 KiB and a byte", size=0x10001)
@case("cli", "image: ROM of 16 MiB", size=0x1000000)
def rom_size(binary, size):
    refuse(binary, bytes(size), r"64 KiB|65536|8 MiB", rom=True)


@case("cli", "image: initrd larger than RAM")
def large_initrd(binary):
    with scratch() as folder:
        with open(f"{folder}/initrd", "wb") as file:
            file.truncate(200 << 20)
        expect_one_line(run([binary, "-kernel", KERNEL, "-initrd", f"{folder}/initrd"]), IMAGE, "initrd")


@case("cli", "command line of 64 KiB")
def long_command_line(binary):
    expect_one_line(run([binary, "-kernel", KERNEL, "-append", "x" * 65536]), USAGE, "command line")


@case("kvm", "command line of its full length")
def full_command_line(binary):
    ended = run(guest_command(binary, append="run=poweroff " + "x" * (4095 - 13)))
    assert ended.status == 0, str(ended)
