"""Finds a kernel for the nested machine, or downloads one."""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import tarfile

from build import Image, Unsuitable, cache_folder, initramfs, workshop
from common import DIES_WITH_US, Trouble, say

PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")  # of Debian, of Ubuntu
IN_PACKAGE = re.compile(r"\./((usr/)?lib/modules/[^/]+/(kernel/(arch|virt|lib|fs/fuse|drivers/(virtio|char|crypto))/"
                        r"|modules\.builtin$)|boot/vmlinuz-)")


def prepare():
    """Returns (version, kernel's file, initramfs's file), ready to be booted."""
    cache = cache_folder()
    unpacked = os.path.join(cache, "kernel")
    seen = identity(unpacked)
    for image in kernels("/") + kernels(unpacked):
        with contextlib.suppress(Unsuitable):
            return image.version, image.kernel, initramfs(cache, image)
    with workshop(cache) as folder:
        if identity(unpacked) == seen:  # else another process was faster
            download(folder)
            if seen:
                os.rename(unpacked, os.path.join(folder, "unsuitable"))
            os.rename(os.path.join(folder, "kernel"), unpacked)
    for image in kernels(unpacked):
        return image.version, image.kernel, initramfs(cache, image)
    raise Trouble(f"what was downloaded to {unpacked} is no kernel with its modules")


def identity(path):
    with contextlib.suppress(OSError):
        return os.stat(path).st_ino
    return None


def kernels(root):
    """The kernels under ROOT that come with modules, the most suitable first."""
    found = {}
    for folder in glob.glob(os.path.join(glob.escape(root), "lib/modules/*")) + \
            glob.glob(os.path.join(glob.escape(root), "usr/lib/modules/*")):
        version = os.path.basename(folder)
        for kernel in (os.path.join(root, "boot", f"vmlinuz-{version}"), os.path.join(folder, "vmlinuz")):
            if os.access(kernel, os.R_OK) and os.path.isdir(os.path.join(folder, "kernel")):
                found.setdefault(version, Image(version, kernel, folder))
    # A cloud kernel is small, and starts sooner; of two, the newer.
    return sorted(found.values(), reverse=True, key=lambda image: (
        "cloud" in image.version, [int(number) for number in re.findall(r"\d+", image.version)]))


def download(folder):
    """Unpacks a distribution's kernel to FOLDER/kernel; nothing is installed."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Trouble("there is no kernel with its modules (kvm-amd, virtiofs) that this user can read in /boot and "
                      "/lib/modules, and without apt-get none is downloaded. Fedora: sudo dnf install kernel-core "
                      "kernel-modules; Arch: sudo pacman -S linux")
    own = ["-o", f"Dir::State={folder}/state", "-o", f"Dir::Cache={folder}/cache",
           "-o", "Dir::State::status=/var/lib/dpkg/status"]
    causes = []
    say(f"no suitable kernel in /boot; downloading {PACKAGES[0]} to {os.path.dirname(folder)}")
    # First with the package lists of the system; where they are missing or old, with fresh ones.
    for lists in ([], own):
        with contextlib.suppress(subprocess.CalledProcessError):
            if lists:
                os.makedirs(f"{folder}/state/lists/partial")
                os.makedirs(f"{folder}/cache/archives/partial")
                apt(causes, folder, lists, "apt-get", "update")
            apt(causes, folder, lists, "apt-get", "download", *packages(causes, folder, lists))
            for package in glob.glob(os.path.join(glob.escape(folder), "*.deb")):
                unpack(package, os.path.join(folder, "kernel"))
            return
    raise Trouble(f"no suitable kernel in /boot, and the download of {PACKAGES[0]} failed: {'; '.join(causes)}. "
                  f"Is there a network? Otherwise, as root: apt-get update; apt-get install {PACKAGES[0]}")


def apt(causes, folder, lists, program, *words):
    """Runs one of apt's commands, and adds its first complaint to CAUSES if it fails."""
    done = subprocess.run([*DIES_WITH_US, program, "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2",
                           "-o", "Acquire::http::Timeout=20", *lists, *words],
                          cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        complaint = re.findall(r"^[EW]: *(.*)", done.stderr, re.M) or [f"status {done.returncode}"]
        causes.append(f"{program} {words[0]}: {complaint[0]}")
        done.check_returncode()
    return done.stdout


def packages(causes, folder, lists):
    """The packages that the distribution's newest kernel consists of."""
    def depends(pattern, *names):
        return re.findall(f"Depends: ({pattern})", apt([], folder, lists, "apt-cache", "depends", *names))

    for wanted in PACKAGES:
        with contextlib.suppress(subprocess.CalledProcessError):
            names = depends(r"linux-image-\d\S*", wanted)
            if names:
                return names + depends(r"linux-modules-\d\S*", *names)
    causes.append(f"no package {' or '.join(PACKAGES)} is known")
    raise subprocess.CalledProcessError(1, "apt-cache")


def unpack(package, folder):
    """Takes from a package what may be needed: a tenth of it."""
    try:
        with subprocess.Popen([*DIES_WITH_US, "dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as data:
            with tarfile.open(fileobj=data.stdout, mode="r|") as archive:
                for member in archive:
                    if member.isreg() and IN_PACKAGE.match(member.name):
                        archive.extract(member, folder)
        trouble = data.returncode and f"status {data.returncode}"
    except tarfile.TarError as error:
        trouble = error
    if trouble:
        raise Trouble(f"dpkg-deb cannot unpack {os.path.basename(package)}: {trouble}")
    os.remove(package)
