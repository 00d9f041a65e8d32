"""Is it the same? The guest's text, its exit status, the machine that it saw, the device tree."""
import difflib
import os
import re
import shutil
import subprocess
import tempfile

from run import PLAIN

# What may differ between two runs of one guest: (why, pattern, replacement). Applied to both texts.
MASKS = [
    ("a serial line ends its lines with CR LF", r"\r\n", "\n"),
    ("times depend on the machine", r"\b\d+(?:\.\d+)? (ms|us|s)\b", r"N \1"),
    ("so do cycles", r"\b\d+ cycles", "N cycles"),
    ("how often a device interrupts depends on when it is looked at", r"\b\d+ (notifications|interrupts)\b", r"N \1"),
]
GUEST_HELLO = "kvmlens guest:"  # the first line of kvmlens's own guest kernel
MACHINE_COMMANDS = "run=info,cpuid+all,poweroff"
TREE_MAX = 16 << 20  # bytes
TREE_COMMANDS = "run=fwcfg+etc/fdt,poweroff"


def masked(text, extra=()):
    for _, pattern, replacement in [*MASKS, *extra]:
        text = re.sub(pattern, replacement, text)
    return text


def difference(texts, names):
    """A unified diff of two texts, as lines; [] where they are the same."""
    return list(difflib.unified_diff(*(text.splitlines() for text in texts), *names, lineterm="", n=2))


def outcome(measured, extra_masks):
    """[(title, status, text)]: how each column's guest ended, in its last plain run."""
    ends = [(title, rounds[-1][PLAIN]["ended"]) for title, rounds in measured.items() if rounds]
    return [(title, ended.status, masked(ended.output, extra_masks)) for title, ended in ends]


def steady(measured, extra_masks):
    """The titles whose guest did not end every run in the same way."""
    return [title for title, rounds in measured.items()
            if len({(found[kind]["ended"].status, masked(found[kind]["ended"].output, extra_masks))
                    for found in rounds for kind in found}) > 1]


def is_own_guest(text):
    return any(line.startswith(GUEST_HELLO) for line in text.splitlines())


def seen_machine(vmm, instruments):
    """What the guest says of the machine that it runs on."""
    ended = instruments.launcher.run(vmm.with_words("-append", MACHINE_COMMANDS), instruments.limit_s)[0]
    return masked(ended.output)


def tree_of_kvmlens(vmm, instruments):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/tree.dtb"
        machine = vmm.line.value("machine", "microvm")
        ended = instruments.launcher.run(vmm.with_words("-M", f"{machine},dumpdtb={path}"), instruments.limit_s)[0]
        if not os.path.exists(path):
            return None, f"{vmm.title} gave none: {ended.errors.strip()[:200]}"
        with open(path, "rb") as file:
            return source_of(file.read())


def tree_of_qemu(vmm, instruments):
    """QEMU gives its tree to the guest, as a file of fw_cfg; the guest prints it."""
    ended = instruments.launcher.run(vmm.with_words("-append", TREE_COMMANDS), instruments.limit_s)[0]
    data = bytearray()
    for offset, dump in re.findall(r"^([0-9a-f]{8})  ((?:[0-9a-f]{2} +){1,16})\|", ended.output, re.M):
        data.extend(data[-16:] * ((int(offset, 16) - len(data)) // 16))  # a `*`: lines like the one before
        data.extend(bytes.fromhex(dump))
    if len(data) < 8:
        return None, f"{vmm.title} has none for its guest (fw_cfg has no etc/fdt)"
    # QEMU makes room for more (devicetree specification 5.2: totalsize); what the guest leaves out are zeroes.
    data.extend(bytes(min(max(int.from_bytes(data[4:8], "big") - len(data), 0), TREE_MAX)))
    return source_of(bytes(data))


def source_of(blob):
    """(device tree source, None), or (None, why not)."""
    if not shutil.which("dtc"):
        return None, "dtc is not installed (Debian: sudo apt-get install device-tree-compiler)"
    done = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-"], input=blob, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode:
        return None, f"dtc cannot read it: {done.stderr.decode(errors='replace').strip()[:200]}"
    return done.stdout.decode(errors="replace"), None
