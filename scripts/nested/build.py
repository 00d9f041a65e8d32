"""Builds what the nested machine boots from, and what virtiofsd needs; both are kept in the cache folder."""
import collections
import contextlib
import fcntl
import glob
import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import zlib

from common import DIES_WITH_US, Trouble, tool

HERE = os.path.dirname(os.path.realpath(__file__))
KEPT_SECONDS = 7 * 86400  # what has not been made or used anew for so long is removed
CFLAGS = ("-std=gnu17", "-O2", "-D_GNU_SOURCE")
INIT = ("init.c", "command.c", "command.h", "frame.c", "frame.h", "build.py")
GROUPS = ("groups.c",)
# What the nested machine needs, with parameters; what they depend on comes by itself.
MODULES = {"kvm": "", "kvm_amd": "nested=1 npt=1", "virtio_pci": "", "virtio_console": "", "virtiofs": ""}

# version: as in uname -r; kernel: the file; modules: their folder
Image = collections.namedtuple("Image", "version kernel modules")


class Unsuitable(Trouble):
    """The kernel lacks something, or is damaged."""


def cache_folder():
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kvmlens")
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise Trouble(f"cannot write to {path}: {error.strerror}; set XDG_CACHE_HOME to a folder "
                      "where the nested machine's kernel can be kept") from error


@contextlib.contextmanager
def workshop(cache):
    """A folder for what is being made, and the lock. What a killed process left behind is removed."""
    try:
        with open(os.path.join(cache, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in glob.glob(os.path.join(glob.escape(cache), "tmp-*")):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="tmp-") as folder:
                yield folder
    except OSError as error:
        raise Trouble(f"cannot make what the nested machine boots from in {cache}: {error.strerror}") from error


def kept(cache, name, ingredients, sources, make):
    """The file in CACHE that MAKE(folder, target) made of INGREDIENTS and SOURCES, now or earlier.
    Its name tells what went in. It is complete: it appears by rename."""
    digest = hashlib.sha256(repr((ingredients, CFLAGS)).encode())
    for source in sources:
        with open(os.path.join(HERE, source), "rb") as file:
            digest.update(file.read())
    wanted = os.path.join(cache, f"{name}-{digest.hexdigest()[:16]}")
    with contextlib.suppress(OSError):
        os.utime(wanted)
    if not os.path.exists(wanted):
        with workshop(cache) as folder:
            made = os.path.join(folder, name)
            make(folder, made)
            os.rename(made, wanted)
        for old in glob.glob(os.path.join(glob.escape(cache), f"{name}-*")):
            if os.path.getmtime(old) < time.time() - KEPT_SECONDS:  # else another checkout may be using it
                os.remove(old)
    return wanted


def compiled(folder, target, sources, *flags):
    compiler = tool("gcc", "the C compiler", ("gcc libc6-dev", "gcc glibc-static", "gcc"))
    done = subprocess.run([*DIES_WITH_US, compiler, *CFLAGS, *flags, "-o", target,
                           *(os.path.join(HERE, source) for source in sources if source.endswith(".c"))],
                          env={**os.environ, "TMPDIR": folder}, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    if done.returncode:
        raise Trouble(f"cannot compile {sources[0]} (is the static C library there? Fedora: sudo dnf install "
                      f"glibc-static):\n{done.stderr.rstrip()}")


def groups_library():
    """What groups.c is for."""
    return kept(cache_folder(), "groups.so", None, GROUPS,
                lambda folder, made: compiled(folder, made, GROUPS, "-shared", "-fPIC"))


def initramfs(cache, image):
    """The file of the initramfs for a kernel."""
    files = [(path, os.path.getsize(path), os.path.getmtime(path))
             for path in (image.kernel, os.path.join(image.modules, "kernel"))]

    def make(folder, made):
        init = os.path.join(folder, "init")
        modules = load_order(image)
        compiled(folder, init, INIT, "-static")
        with open(init, "rb") as program, open(made, "wb") as archive:
            archive.write(archive_of(program.read(), modules))

    return kept(cache, "initramfs", (files, MODULES), INIT, make)


def load_order(image):
    """[(name, parameters, content)]: the modules to load, each behind those that it depends on."""
    paths = {}
    for folder, _, names in os.walk(os.path.join(image.modules, "kernel")):
        for name in names:
            if ".ko" in name:
                paths[name.split(".ko")[0].replace("-", "_")] = os.path.join(folder, name)
    listed = uncompressed(os.path.join(image.modules, "modules.builtin")).decode()
    builtin = {os.path.basename(line).split(".ko")[0].replace("-", "_") for line in listed.split("\n")}
    order = {}

    def add(name):
        if name in order or (name in builtin and name not in paths):
            return
        if name not in paths:
            raise Unsuitable(f"the kernel {image.version} has no module {name}")
        content = uncompressed(paths[name])
        if not content.startswith(b"\x7fELF"):
            raise Unsuitable(f"{paths[name]} is no kernel module")
        needed = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in needed[1].decode().split(",") if needed and needed[1] else []:
            add(other.replace("-", "_"))
        order[name] = (name, MODULES.get(name, ""), content)

    for name in MODULES:
        add(name)
    return list(order.values())


def uncompressed(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
        if path.endswith(".xz"):
            return lzma.decompress(data)
        if path.endswith(".gz"):
            return gzip.decompress(data)
        if path.endswith(".zst"):
            zstd = tool("zstd", "which the kernel's modules are compressed with", ("zstd", "zstd", "zstd"))
            return subprocess.run([zstd, "-qdc"], input=data, stdout=subprocess.PIPE, check=True).stdout
        return data
    except (OSError, EOFError, lzma.LZMAError, zlib.error, subprocess.CalledProcessError) as error:
        raise Unsuitable(f"cannot read {path}: {error}") from error


def archive_of(init, modules):
    """The initramfs as a cpio archive of the kind "newc" (Linux, buffer-format.rst)."""
    parts = []

    def add(name, mode, content=b"", device=(0, 0)):
        encoded = name.encode() + b"\0"
        fields = (len(parts) + 1, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        for piece in (header, content):
            parts.append(piece + b"\0" * (-len(piece) % 4))

    for folder in ("dev", "host", "root", "modules"):
        add(folder, stat.S_IFDIR | 0o755)
    add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    add("init", stat.S_IFREG | 0o755, init)
    for name, _, content in modules:
        add(f"modules/{name}", stat.S_IFREG | 0o644, content)
    add("modules/order", stat.S_IFREG | 0o644,
        "".join(f"{name} {parameters}\n" for name, parameters, _ in modules).encode())
    add("TRAILER!!!", 0)
    return b"".join(parts)
