"""What the parts of with-kvm share."""
import os
import shutil
import sys

# Before a command: it ends when with-kvm ends, however that happens; also where that was before it began.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))
# Where programs are that belong to no PATH.
FOLDERS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/libexec", "/usr/lib/qemu",
                           "/usr/lib"))


class Trouble(Exception):
    """The nested machine cannot be had; the text says why and what to do."""


def say(text):
    print(f"with-kvm: {text}", file=sys.stderr, flush=True)


def tool(name, purpose, packages):
    """The path of a program; PACKAGES has it in Debian, in Fedora, in Arch."""
    path = shutil.which(name, path=FOLDERS)
    if not path:
        for manager, command, package in (("apt-get", "sudo apt-get install", packages[0]),
                                          ("dnf", "sudo dnf install", packages[1]),
                                          ("pacman", "sudo pacman -S", packages[2])):
            if shutil.which(manager):
                raise Trouble(f"{name}, {purpose}, is missing: {command} {package}")
        raise Trouble(f"{name}, {purpose}, is missing: install it (Debian's package: {packages[0]})")
    return path
