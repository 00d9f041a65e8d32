"""What the guest can tell of the machine that it finds itself in, for a comparison of two: `cpuid all`, and
the files of QEMU's fw_cfg device."""
import re
import struct

from case_guest import both
from harness import POWEROFF, QEMU, QEMU_KVM, boot, case, expect, expect_status, expect_text, run, scratch

RANGES = (0, 0x40000000, 0x80000000)
LINE = re.compile(r"^cpuid (0x[0-9a-f]+) (0x[0-9a-f]+): eax ([0-9a-f]{8})  ebx ([0-9a-f]{8})  ecx ([0-9a-f]{8})  "
                  r"edx ([0-9a-f]{8})\r?$", re.M)


def leaves(text):
    """The lines of cpuid, in their order: ((leaf, subleaf), (eax, ebx, ecx, edx))."""
    return [((int(line[0], 16), int(line[1], 16)), tuple(int(register, 16) for register in line[2:]))
            for line in LINE.findall(text)]


def in_range(found, base):
    return [row for row in found if base <= row[0][0] < base + 0x10000]


def cpuid_all(binary):
    """All that single questions find, by a rule that knows no leaf: where the answer to subleaf 1 is that to
    subleaf 0, the leaf has none."""
    found = leaves(boot(binary, "run=cpuid+all,poweroff").out)
    places = [place for place, _ in found]
    expect(places == sorted(set(places)), f"expected an order, and nothing twice: {places}")
    expect(all(any(registers) for _, registers in found), f"expected no line of zeroes: {found}")
    expect({base for base in RANGES if in_range(found, base)} == set(RANGES), f"expected three ranges: {found}")
    questions = [(leaf, subleaf) for base in RANGES for leaf in range(base, dict(found)[base, 0][0] + 1)
                 for subleaf in range(3)]
    ended = boot(binary, stdin="".join(f"cpuid {leaf} {subleaf}\r" for leaf, subleaf in questions) + "poweroff\r",
                 timeout=120)
    expect_status(ended, POWEROFF)
    answers = dict(leaves(ended.out))
    expect(set(answers) == set(questions), "expected an answer to each question", ended)
    wanted = set()
    for leaf, subleaf in questions:
        registers = answers[leaf, subleaf]
        has_subleaves = answers[leaf, 1] != answers[leaf, 0]
        is_level = leaf not in (0xb, 0x1f) or registers[2] & 0xff00  # else it echoes the subleaf
        if any(registers) and is_level and (subleaf == 0 or has_subleaves):
            wanted.add(((leaf, subleaf), registers))
    asked = {row for row in found if row[0][1] < 3}
    expect(asked == wanted, f"only in `cpuid all`: {asked - wanted}, only by single questions: {wanted - asked}", ended)


both("cpuid all", cpuid_all)


@case("qemu", "guest: cpuid all does not trust a maximum")
def cpuid_absurd(_binary):
    ended = boot(QEMU, "run=cpuid+all,poweroff", options=("-cpu", "max,level=0xfffffffe,xlevel=0xfffffffe"))
    expect_status(ended, POWEROFF)
    found = leaves(ended.out)
    expect(in_range(found, 0)[0][1][0] == 0xfffffffe, "expected the absurd maximum", ended)
    expect(all(leaf & 0xfffffff < 0x100 for (leaf, _), _ in found), "expected 256 leaves of a range at the most", ended)
    for first in ("0x100", "0x80000100"):
        expect_text(ended.out, rf"^cpuid: leaves {first} to 0xfffffffe are left out", ended)


@case("kvm", "guest: no fw_cfg device")
def no_fw_cfg(binary):
    ended = boot(binary, "run=fwcfg,fwcfg+etc/fdt,poweroff")
    expect_status(ended, POWEROFF)
    expect(ended.out.count("\nno fw_cfg device\r\n") == 2, "expected the same answer twice", ended)


def dumped(text, name):
    """The size of a file that the command `fwcfg NAME` dumped, and its bytes, as many as it showed."""
    text = text.replace("\r\n", "\n").partition(f"> fwcfg {name}\n")[2].partition("> ")[0]
    size, lines = re.match(rf"fwcfg: {name}, (\d+) bytes\n((?:[0-9a-f]{{8}}  .*\n|\*\n)*)", text).groups()
    data, shown = b"", int(size)
    cut = re.search(r"^fwcfg: only the first (\d+) bytes are shown", text, re.M)
    if cut:
        shown = int(cut[1])
    for line in lines.splitlines():
        if line == "*":
            continue
        offset = int(line[:8], 16)
        data += data[-16:] * ((offset - len(data)) // 16)  # what a * stands for
        data += bytes.fromhex(line[10:57])
        printable = "".join(chr(byte) if 0x20 <= byte < 0x7f else "." for byte in data[offset:])
        expect(line[58:] == f" |{printable}|", f"expected the same bytes as characters: {line}")
    data += data[-16:] * ((shown - len(data)) // 16)
    expect(len(data) == shown, f"expected {shown} bytes, found {len(data)}", text)
    return int(size), data


def fw_cfg_files(binary):
    """Files that QEMU is given: an empty one, one that ends within a line, one of equal lines, one that is
    larger than what is shown."""
    files = {"opt/none": b"", "opt/some": bytes(range(37)), "opt/same": b"0123456789abcdef" * 8,
             "opt/much": b"".join(f"page {page:<11}".encode().ljust(4096, b"\0") for page in range(17))}
    with scratch() as folder:
        options = []
        for name, content in files.items():
            path = f"{folder}/{name[4:]}"
            with open(path, "wb") as file:
                file.write(content)
            options += ["-fw_cfg", f"name={name},file={path}"]
        ended = boot(binary, f"run=fwcfg,{','.join('fwcfg+' + name for name in files)},fwcfg+opt/other,poweroff",
                     options=options)
    expect_status(ended, POWEROFF)
    expect_text(ended.out, r"^> fwcfg\r\nfwcfg: signature QEMU\r?$", ended)
    for name, content in files.items():
        expect(ended.out.count(f"\nfwcfg: {name}, {len(content)} bytes\r\n") == 2, f"expected {name} twice", ended)
        expect(dumped(ended.out, name) == (len(content), content[:65536]), f"expected the bytes of {name}", ended)
    expect(ended.out.count("\n*\r\n") == 17, "expected a * for equal lines alone", ended)
    expect_text(ended.out, r"^fwcfg: no file opt/other\r?$", ended)


@case("qemu", "guest: fwcfg looks at so many files only")
def fw_cfg_many(_binary):
    options = ["-global", "fw_cfg_io.x-file-slots=400"]
    for number in range(300):
        options += ["-fw_cfg", f"name=opt/file-{number:03},string=x"]
    ended = boot(QEMU, "run=fwcfg,poweroff", options=options)
    expect_status(ended, POWEROFF)
    expect_text(ended.out, r"^fwcfg: 3\d\d files; only the first 256 are looked at\r?$", ended)
    expect(len(re.findall(r"^fwcfg: \S+, \d+ bytes\r?$", ended.out, re.M)) == 256, "expected 256 files", ended)


def fw_cfg_fdt(binary):
    """The device tree of QEMU's microvm: all of it is in what was shown, and dtc can read it."""
    ended = boot(binary, "run=fwcfg+etc/fdt,poweroff")
    expect_status(ended, POWEROFF)
    size, data = dumped(ended.out, "etc/fdt")
    magic, total, structs, strings = struct.unpack(">4I", data[:16])
    strings_size, structs_size = struct.unpack(">2I", data[32:40])
    expect(magic == 0xd00dfeed and total == size, "expected the header of a device tree", ended)
    expect(max(structs + structs_size, strings + strings_size) <= len(data), "expected the whole tree", ended)
    with scratch() as folder:
        with open(f"{folder}/fdt", "wb") as file:
            file.write(data)
            file.truncate(size)
        source = run(["dtc", "-q", "-I", "dtb", "-O", "dts", f"{folder}/fdt"])
    expect_status(source, 0)
    expect_text(source.out, r'compatible = "linux,microvm"', source)
    expect_text(source.out, r"serial@3f8 \{", source)


for _group in ("qemu", "qemu-kvm"):
    for _label, _function in (("files of fw_cfg", fw_cfg_files), ("the device tree in fw_cfg", fw_cfg_fdt)):
        case(_group, f"guest: {_label}")(
            lambda _binary, group=_group, function=_function: function({"qemu": QEMU, "qemu-kvm": QEMU_KVM}[group]))
