"""The exit trace and the summary: what they show, and that the guest's output stays clean."""
import json
import re

from harness import CRASH, DEBUG_EXIT, POWEROFF, TIMEOUT, USAGE, boot, case, expect, expect_one_line, expect_status, \
    expect_text, golden, guest_command, run, scratch
from roms import RESET, rom


@case("kvm", "trace: stdout is the guest's alone")
def clean_stdout(binary):
    plain = boot(binary, "run=zoo,poweroff")
    traced = boot(binary, "run=zoo,poweroff", options=("-trace", "exits", "-trace", "summary"))
    expect_status(traced, POWEROFF)
    expect(traced.out == plain.out, "expected the same words with and without a trace", traced)
    expect("\x1b" not in traced.err, "expected no colour in a pipe", traced)


@case("kvm", "trace: every animal of the zoo")
def zoo(binary):
    """Each exit that the zoo provokes has its line: kind, address, data, device and register, symbol."""
    ended = boot(binary, "run=zoo,poweroff", options=("-trace", "exits"))
    expect_status(ended, POWEROFF)
    for line in (r"\bout +0x3ff +1 +0x5a 'Z' .* serial SCR +pio_out\+0x",
                 r"\bin +0x3ff +1 +0x5a 'Z' .* serial SCR +pio_in\+0x",
                 r"\bouts? +0x3f8 +1\b.* serial THR +string_out\+0x",  # KVM may split it into bytes
                 r"\bins +0x3ff +1x4 +5a 5a 5a 5a \|ZZZZ\| .* serial SCR +string_in\+0x",
                 r"\bout +0x80 +1 +0x42 'B' .* post .*post_code\+0x",
                 r"\bin +0x2a0 +1 +0xff .* nobody +unclaimed_port\+0x",
                 r"\bmmio read +0xfea00201 1 +0x00 .* power sleep status +mmio_read\+0x",
                 r"\bmmio write 0xfd000000 4 +0x12345678 .* nobody +mmio_write\+0x"):
        expect_text(ended.err, line, ended)
    lines = [line for line in ended.err.splitlines() if re.search(r"\bserial\b", line)]
    expect(len(lines) > 100, "expected the characters of the guest's text as exits", ended)


def milestones(path="include/post_codes.h"):
    """The table of the header: (value, name) in its order."""
    with open(path, encoding="ascii") as file:
        rows = re.findall(r"MILESTONE\(POST_\w+, (0x[0-9a-f]+), \"(.+?)\"\)", file.read())
    return [(int(value, 16), name) for value, name in rows]


@case("kvm", "trace: milestones of a boot", machine="", lacking=())
@case("kvm", "trace: milestones with a virtio device", machine="", device="virtio-rng-device", cpus=2, lacking=())
@case("kvm", "trace: milestones without a serial port", machine=",isa-serial=off",
      lacking=("serial port ready",))
@case("kvm", "trace: milestones without interrupts", machine=",kernel-irqchip=off",
      lacking=("interrupts ready",))
def boot_milestones(binary, machine, lacking, device=None, cpus=1):
    """What the kernel passes, in the table's order, once each, with its name; `bench` and `zoo` add none."""
    with scratch() as folder:
        options = ("-trace", f"exits,file={folder}/exits.jsonl,format=jsonl,filter=device=post", "-smp", str(cpus),
                   *(("-device", device) if device else ()))
        ended = boot(binary, "run=rng+8,smp,bench+300,zoo,poweroff", options=options, machine=machine)
        expect_status(ended, POWEROFF)
        with open(f"{folder}/exits.jsonl", encoding="utf-8") as file:
            events = [json.loads(line) for line in file if '"dev"' in line]
    seen = [(int(event["d"], 16), event.get("rem")) for event in events if event["d"] not in ("00", "42")]
    wanted = [row for row in milestones() if row[1] not in lacking]
    expect(len(milestones()) == 8 and seen == wanted, f"expected {wanted}, found {seen}", ended)
    others = [event["d"] for event in events if "rem" not in event]
    expect(others == ["00"] * 300 + ["42"], "expected nothing of bench's 300 writes and the zoo's one but their values",
           ended)


# Times; how far into a function, and lines of the source; the compiler's way to a load or a store; counts.
GOLDEN_MASKS = ((r"^ *[\d.]+ ", "<time> "), (r" +[\d.]+[um]?s +[\d.]+[um]?s  ", " <guest+KVM> <VMM> "), (r"\+0x[0-9a-f]+ +", "+<n> "),
                (r"\.([ch]|S):\d+", r".\1:<line>"), (r"(mov)[a-z]* .*?  guest", r"\1 <operands>  guest"), (r"\b\d+ (more|exits)", r"<n> \1"),
                (r"; KVM counted \d+ in all", ""))


@case("kvm", "trace: the zoo, line by line")
def zoo_lines(binary):
    """The same lines on each backend. How the guest's text goes out depends on when interrupts come: not that."""
    ended = boot(binary, "run=zoo,poweroff", options=("-trace", "exits,filter=!reg=THR|IER|IIR|LSR"))
    expect_status(ended, POWEROFF)
    golden("trace-zoo", ended.err, GOLDEN_MASKS)


@case("kvm", "trace: the line of the source is the one that does it")
def source_lines(binary):
    """Of the inline functions around `in` and `out`, the line that calls them; also where the compiler split a function."""
    with scratch() as folder:
        ended = boot(binary, "run=hlt", machine=",kernel-irqchip=off", options=("-trace", f"exits,file={folder}/t,format=jsonl"))
        expect_status(ended, POWEROFF)
        with open(f"{folder}/t", encoding="utf-8") as file:
            exits = [json.loads(line) for line in file][1:-1]
    named = set()
    for event in exits:
        with open(event["file"], encoding="utf-8") as file:
            text = file.read().splitlines()[event["line"] - 1]
        for register in re.findall(r"reg_(?:read|write)\(UART_(\w+)", text):
            expect(event["reg"] == register, f"{event}: line {text.strip()!r}")
            named.add(register)
    expect(len(named) >= 7, f"expected lines that name registers, found {named}")
    expect(exits[-1]["k"] == "hlt" and '"hlt"' in text, f"expected the line of hlt, found {text.strip()!r}")


@case("kvm", "trace: to a file")
def to_file(binary):
    with scratch() as folder:
        ended = boot(binary, "run=poweroff", options=("-trace", f"exits,file={folder}/exits", "-trace",
                                                      f"summary,file={folder}/summary"))
        expect_status(ended, POWEROFF)
        expect(ended.err == "", "expected silence on stderr", ended)
        with open(f"{folder}/exits", encoding="utf-8") as file:
            expect_text(file.read(), r"serial")
        with open(f"{folder}/summary", encoding="utf-8") as file:
            expect_text(file.read(), r"p99")


@case("kvm", "trace: summary")
def summary(binary):
    """1000 writes to the POST port are counted as such, and the 7 milestones of a boot without virtio."""
    ended = boot(binary, "run=bench+1000,poweroff", options=("-trace", "summary"))
    expect_status(ended, POWEROFF)
    expect_text(ended.err, r"exits  share  total  mean   p50   p95   p99   max", ended)
    expect_text(ended.err, r"^post .*, out +1007 ", ended)
    expect_text(ended.err, r"^command_bench +1000 ", ended)
    expect_text(ended.err, r"^Wall time: guest and KVM \d", ended)
    expect_text(ended.err, r"in-kernel irqchip", ended)
    expect(max(map(len, ended.err.splitlines())) <= 120, "expected 120 columns at the most", ended)


@case("kvm", "trace: a ROM has no symbols")
def rom_trace(binary):
    with scratch() as folder:
        ended = boot(binary, kernel=rom(f"{folder}/test.rom", RESET), options=("-trace", "exits"))
    expect_status(ended, POWEROFF)
    expect_text(ended.err, r"0x0*64\b.*fe\b.*i8042", ended)


@case("kvm", "trace: file on a full disk")
def full_disk(binary):
    """The guest goes on and its status counts; the loss is said in one line."""
    ended = boot(binary, "run=poweroff", options=("-trace", "exits,file=/dev/full"))
    expect_status(ended, POWEROFF)
    expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)
    expect_text(ended.err, r"^kvmlens: .*/dev/full.*No space", ended)


@case("kvm", "trace: reader goes away")
def reader_goes(binary):
    command = guest_command(binary, append="run=zoo,poweroff", options=("-trace", "exits"), machine=",timeout=20")
    ended = run(["bash", "-c", '"$@" 2> >(exec head -n 1 >&2)', "bash", *command])
    expect_status(ended, POWEROFF)


@case("kvm", "trace: four processors")
def processors(binary):
    ended = boot(binary, "run=smp,poweroff", options=("-smp", "4", "-trace", "exits", "-trace", "summary", *DEBUG_EXIT))
    expect_status(ended, 1)


@case("kvm", "trace: crash")
def crash(binary):
    ended = boot(binary, "run=fault+triple", options=("-trace", "exits"))
    expect_status(ended, CRASH)
    expect_text(ended.err, r"(?i)shutdown", ended)


@case("cli", "trace: too many")
def too_many(binary):
    ended = run([binary, "-kernel", "x", *["-trace", "exits"] * 5])
    expect_status(ended, USAGE)


@case("cli", "trace: bad filters and forms")
def bad_filters(binary):
    for value, words in (("exits,filter=devise=serial", "did you mean device"), ("exits,filter=cost>10us", "cost>=10us"),
                         ("exits,filter=port=9-8", "ends before it begins"), ("exits,format=yaml", "no format 'yaml'")):
        expect_one_line(run([binary, "-kernel", "x", "-trace", value]), USAGE, words)


SERIAL = r" serial [A-Z]{3} "  # the device, with its register


def lines_of(text):
    """The exits of a text trace; how wide its columns are depends on what else is in it."""
    return [re.sub(" +", " ", line) for line in text.splitlines() if re.match(r" *[0-9.]+ +\d+ (?!note)", line)]


@case("kvm", "trace: filters, and what is counted")
def filters(binary):
    """Each line is in one of two files by its filter; together they are all, and as many as the summary says."""
    with scratch() as folder:
        ended = boot(binary, "run=zoo,poweroff", options=(
            "-smp", "2", "-trace", f"exits,file={folder}/all", "-trace", f"exits,file={folder}/serial,filter=device=serial",
            "-trace", f"exits,file={folder}/rest,filter=!device=serial", "-trace", "summary"))
        expect_status(ended, POWEROFF)
        texts = {}
        for name in ("all", "serial", "rest"):
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                texts[name] = file.read()
    whole, serial, rest = (lines_of(texts[name]) for name in ("all", "serial", "rest"))
    expect(len(serial) > 100 and len(rest) > 5, "expected exits in both files", ended)
    expect(all(re.search(SERIAL, line) for line in serial), "expected the serial port's alone", texts["serial"])
    expect(not any(re.search(SERIAL, line) for line in rest), "expected none of the serial port's", texts["rest"])
    expect(sorted(serial + rest) == sorted(whole), "expected each line in one of the two files")
    expect_text(texts["serial"], rf"^\({len(rest)} more did not pass the filter\)$")
    expect_text(ended.err, rf"^{len(whole)} exits to kvmlens", ended)
    kinds = re.findall(r"^all +(\d+) 100.0%", ended.err, re.M)
    expect(kinds == [str(len(whole))], "expected the same count in the summary's table", ended)


@case("kvm", "trace: goes on over resets of the guest")
def resets(binary):
    """One file with the exits of each boot, in the order of time."""
    with scratch() as folder:
        command = guest_command(binary, append="run=reboot", machine=",timeout=2",
                                options=("-trace", f"exits,file={folder}/exits", "-trace", "summary"))
        command.remove("-no-reboot")
        ended = run(command, timeout=30)
        with open(f"{folder}/exits", encoding="utf-8") as file:
            lines = lines_of(file.read())
    expect_status(ended, TIMEOUT)
    boots = ended.out.count("kvmlens guest:")
    ends = sum(" power sleep control " in line or " i8042 " in line for line in lines)
    expect(boots >= 3 and ends >= boots - 1, f"expected the end of {boots} boots, found {ends}", ended)
    times = [sum(map(milliseconds, (line.split()[0] + "ms", *re.findall(r" ([0-9.]+[um]?s) +([0-9.]+[um]?s) ", line)[0])))
             for line in lines]
    expect(all(b > a - 0.2 for a, b in zip(times, times[1:])), "expected the order of time (but for what rounding does)")
    expect_text(ended.err, rf"^{len(lines)} exits to kvmlens", ended)


def milliseconds(text):
    """A time of the trace: "8.3us"."""
    number, unit = re.fullmatch(r"([0-9.]+)([um]?s)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


@case("kvm", "trace: a page, made at once or later")
def page(binary):
    """The page that a run writes and the one that `kvmlens report` makes of the run's JSON lines are the same file."""
    with scratch() as folder:
        ended = boot(binary, "run=zoo,poweroff", options=("-trace", f"exits,file={folder}/a.html,format=html", "-trace",
                                                          f"exits,file={folder}/a.jsonl,format=jsonl"))
        expect_status(ended, POWEROFF)
        expect_status(run([binary, "report", f"{folder}/a.jsonl", "--html", f"{folder}/b.html"]), 0)
        with open(f"{folder}/a.html", "rb") as file, open(f"{folder}/b.html", "rb") as other:
            expect(file.read() == other.read(), "expected the same page", ended)


@case("cli", "trace: a page needs a file")
def page_without_file(binary):
    ended = run([binary, "-kernel", "x", "-trace", "exits,format=html"])
    expect_status(ended, USAGE)
    expect_text(ended.err, r"-trace: format=html makes a page: it needs file=PATH$")
