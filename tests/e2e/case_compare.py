"""scripts/compare-qemu: what it measures, what it says of a QEMU that is not there, fails, hangs or differs."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import IMAGE, KERNEL, KVMLENS, QEMU, USAGE, Ended, Skip, case, environment, expect, expect_status, expect_text, \
    has_tracefs, kvm_trouble, run, scratch

COMPARE = "scripts/compare-qemu"
ARGUMENTS = ("-M", "microvm", "-nographic", "-no-reboot", "-kernel", KERNEL, "-append", "run=poweroff")
SAME, DIFFERENT, MISSING, FAILED = 0, 1, 69, 70
sys.path.insert(0, "scripts/compare")

import commandline  # noqa: E402
import document  # noqa: E402
from report import UNKNOWN  # noqa: E402
import rows  # noqa: E402
import run as one_run  # noqa: E402
import stats  # noqa: E402
import table  # noqa: E402
import tracefs  # noqa: E402
import verdict  # noqa: E402


def need_kvm():
    if kvm_trouble():
        raise Skip(kvm_trouble())


def need_qemu():
    need_kvm()
    if not shutil.which(QEMU):
        raise Skip(f"{QEMU} is not installed")


def compare(*options, arguments=ARGUMENTS, prefix=(), env=None, pairs=2):
    """Runs it; returns how it ended, and the report as an object (None without one)."""
    with scratch() as folder:
        command = [*prefix, COMPARE, "--pairs", str(pairs), "--html", f"{folder}/page.html", "--json",
                   f"{folder}/report.json", *options, "--", *arguments]
        ended = run(command, timeout=120, env=env)
        if not os.path.exists(f"{folder}/report.json"):
            return ended, None
        with open(f"{folder}/report.json", encoding="utf-8") as file:
            report = json.load(file)
        with open(f"{folder}/page.html", encoding="utf-8") as file:
            expect("<!-- " not in file.read(), "expected a page without open places", ended)
    return ended, report


def program(folder, text, name="vmm"):
    """A shell script in the place of a VMM."""
    path = f"{folder}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return os.path.abspath(path)


def is_running(*command):
    """Is there a process with these words?"""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                if file.read().split(b"\0")[:-1] == [word.encode() for word in command]:
                    return True
        except OSError:
            pass  # it has just ended
    return False


def rows_of(report):
    return {row["key"]: row for group in report["groups"] for row in group["rows"]}


def medians(report, key):
    return [stats.summary(column)[0] for column in rows_of(report)[key]["values"]]


# --- figures -----------------------------------------------------------------------------------------------------------

@case("compare", "figures against worked examples", asan=False)
def figures(_):
    """Medians, spreads and ratios worked out by hand; digits that stay within the noise."""
    for values, wanted in (([5, 1, 4], (4, 1, 5)), ([4, 2, 8, 6], (5, 2, 8)), ([7], (7, 7, 7)), ([None, 3], (3, 3, 3)),
                           ([None], None), ([], None)):
        expect(stats.summary(values) == wanted, f"summary of {values}: {stats.summary(values)}, expected {wanted}")
    # Pair by pair: 10/1, 30/2, 20/4, and no pair where a side is missing or 0.
    expect(stats.ratios([10, 30, 20], [1, 2, 4]) == (10, 5, 15), "expected ratios of pairs, not of medians")
    expect(stats.ratios([10, None, 20], [0, 2, 4]) == (5, 5, 5), "expected only the pairs that there are")
    expect(stats.ratios([1], [0]) is None and stats.ratios([], []) is None, "expected no ratio without a pair")
    for found, text in (((1.4237, 1.4237, 1.4237), "1.42"), ((1.4237, 1.31, 1.52), "1.42 (1.31 – 1.52)"),
                        ((31.72, 22, 48), "32 (22 – 48)"), ((123.4, 120, 131), "123 (120 – 131)"), ((0, 0, 0), "0"),
                        ((0.0123, 0.0101, 0.02), "0.0123 (0.0101 – 0.0200)"), (None, "")):
        expect(stats.shown(found) == text, f"{found} is shown as {stats.shown(found)!r}, expected {text!r}")
    expect(stats.shown((12345, 12345, 12345), whole=True) == "12\u2009345", "expected counts in full")
    for found, text in (((11.6, 9.2, 14), "× 12 (9.2 – 14)"), ((0.5, 0.5, 0.5), "× 0.5"), (None, "")):
        expect(stats.shown_ratio(found) == text, f"{found} is shown as {stats.shown_ratio(found)!r}, expected {text!r}")


@case("compare", "trace events are taken apart", asan=False)
def events(_):
    """The divisor's low byte is no serial output; marks count once; exits by reason as VMX, SVM and older kernels print."""
    lines = [(10, "sys_ioctl(fd: 6, cmd: 0xae01, arg: 0)"), (20, "sys_ioctl(fd: 8, cmd: ae80, arg: 0)"),
             (25, "kvm_pio: pio_write at 0x80 size 1 count 1 val 0x10 "),
             (30, "kvm_pio: pio_write at 0x3fb size 1 count 1 val 0x80 "),
             (31, "kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x1 "),
             (32, "kvm_pio: pio_write at 0x3fb size 1 count 1 val 0x3 "),
             (33, "kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x6b "),
             (34, "kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x76 "),
             (40, "kvm_pio: pio_write at 0x80 size 1 count 1 val 0x10 "), (50, "sys_ioctl(fd: 8, cmd: 0xae80, arg: 0)")]
    found = tracefs.phases(lines)
    expect(found == {"create_vm": 10, "first_run": 20, ("mark", 0x10): 25, "first_serial": 33}, f"found {found}")
    lines = [(0, "sys_read(fd: 3, buf: 7ffd, count: 1)"), (1, "sys_execve(filename: 0x1, argv: 0x2, envp: 0x3)"),
             (2, "sys_mmap(addr: 0, len: 2000)"), (3, "sys_ioctl(fd: 0, cmd: 0x5401, arg: 0x7ffd)"),
             (4, "sys_ioctl(fd: 8, cmd: 0xffffffffc008ae67, arg: 0x7ffd)"),
             (5, "sys_ioctl(fd: 8, cmd: 0xae80, arg: 0)"), (6, "kvm_userspace_exit: reason KVM_EXIT_IO (2)"),
             (7, "kvm_userspace_exit: reason restart (4)"), (8, "sys_ioctl(fd: 8, cmd: 0xae80, arg: 0)"),
             (9, "kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0x1000 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0"),
             (10, "kvm_exit: reason PF excp rip 0x1000 info 0 0"), (11, "kvm_inj_virq: IRQ 0x20")]
    names = tracefs.kvm_ioctls()
    found = tracefs.counts(lines, names)
    expect(found["syscalls"] == {"mmap": 1, "ioctl": 4} and found["before_run"] == {"mmap": 1, "ioctl": 2},
           f"expected the calls from the exec on, found {found}")
    expect(found["ioctls"] == {"KVM_IRQ_LINE_STATUS": 1, "KVM_RUN": 2}, f"expected ioctls by name, found {found}")
    expect(found["userspace"] == {"KVM_EXIT_IO": 1, "restart": 1}, f"expected reasons, found {found}")
    expect(found["kernel"] == {"EPT_VIOLATION": 1, "PF excp": 1}, f"expected both makers' exits, found {found}")
    expect(found["interrupts"] == {"injected into the vCPU": 1}, f"expected an interrupt, found {found}")


@case("compare", "guest RAM among the mappings", asan=False)
def ram_mapping(_):
    smaps = ("7f00-7f01 rw-p 0 00:00 0 \nSize:             131072 kB\nKernelPageSize:        4 kB\nRss:                 184 kB\n"
             "Pss:                 184 kB\n7f02-7f03 rw-p 0 00:00 0 \nSize:               8192 kB\nRss:                  12 kB\n")
    expect(one_run.touched(smaps, 128 << 20) == 184, "expected the mapping as large as the RAM")
    expect(one_run.touched(smaps, 64 << 20) is None, "expected none of that size")


@case("compare", "a run that ends before it has started", asan=False)
def no_start(_):
    """Its end is none: from the clock's beginning it would be a time of days."""
    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
    with scratch() as folder:
        launcher = one_run.Launcher(os.path.abspath(folder))
        ended, facts = launcher.run(["true"], 0.2, started=stop)
        expect(ended.limited and not facts["start"] and not facts["end"], f"expected no times: {ended}, {facts}")
        late, _facts = launcher.run(["echo", "said"], 0.5, started=lambda _pid: time.sleep(1))
        expect(late.output == "said\n", f"expected the limit to count from the start: {late}")
        expect(launcher.run(["sleep", "100"], 1e-5)[0].limited, "expected the least of limits to be one")
    for start, end, wanted in ((0, 5_000_000, []), (2_000_000, 5_000_000, ["3.00"])):
        facts.update(start=start, end=end)
        made = rows.groups({"x": [{one_run.PLAIN: {"ended": ended, "facts": facts}}]}, "no events", {}, {})
        cells = [line.cells[0] for group in made for line in group.rows if line.key == "end"]
        expect(cells == wanted, f"expected {wanted}, found {cells}")
        expect(list(document.timeline({"measured": ["x"], "groups": []})), "expected a page all the same")


# --- command lines -------------------------------------------------------------------------------------------------------

def fitted(name, words, accelerator="kvm"):
    known = commandline.known_options(KVMLENS)
    return commandline.Vmm(name, commandline.options_of(words, known), known, accelerator)


@case("compare", "each VMM gets the words that it takes", asan=False)
def words(_):
    line = ["-M", "microvm", "-enable-kvm", "-kernel", "K", "-vnc", ":1", "--trace", "summary", "-display", "gtk", "-m", "1G"]
    ours, theirs = fitted("kvmlens", line), fitted("qemu", line, "tcg")
    expect(ours.words[1:] == ["-M", "microvm", "-enable-kvm", "-kernel", "K", "--trace", "summary", "-m", "1G"],
           f"kvmlens gets {ours.words}")
    expect([left for left, _ in ours.line.left_out] == ["-vnc :1", "-display gtk"], f"left out {ours.line.left_out}")
    expect(theirs.words[1:] == ["-M", "microvm", "-kernel", "K", "-vnc", ":1", "-display", "gtk", "-m", "1G", "-accel",
                                "tcg", "-global", "virtio-mmio.force-legacy=false"], f"QEMU gets {theirs.words}")
    theirs = fitted("qemu", ["-accel", "kvm,kernel-irqchip=on", "-accel", "tcg", "-kernel", "K"])
    expect(theirs.words[1:5] == ["-accel", "kvm,kernel-irqchip=on", "-kernel", "K"], f"QEMU gets {theirs.words}")
    expect(commandline.ram_bytes(ours.line) == 1 << 30, "expected 1 GiB")
    kvmtool = fitted("kvmtool", ["-kernel", "K", "-append", "a b", "-smp", "cpus=2", "-m", "256M", "-nographic"])
    expect(kvmtool.words[1:] == ["run", "--console", "serial", "--kernel", "K", "--params", "a b", "--cpus", "2",
                                 "--mem", "256"], f"kvmtool gets {kvmtool.words}")
    expect("-M pc" in " ".join(fitted("qemu-pc", line).words), "expected another machine")


@case("compare", "mistakes on its command line", asan=False)
def mistakes(_):
    for options, pattern in ((["--pairs", "2"], "behind --"), (["--pairs", "0", "--", "-kernel", "K"], "below 1"),
                             *((["--limit", limit, "--", "-kernel", "K"], f"limit: {limit} is no number of seconds above 0")
                               for limit in ("0", "-5", "nan", "inf", "1e7")),
                             (["--accel", "xen", "--", "-kernel", "K"], "kvm, tcg"),
                             (["--with", "bochs", "--", "-kernel", "K"], "no adapter bochs.*kvmtool"),
                             (["--accel", "kvm,tcg,kvm", "--", "-kernel", "K"], "would be qemu kvm: each is expected once"),
                             (["--with", "qemu", "--", "-kernel", "K"], "two columns would be qemu kvm"),
                             (["--with", "kvmlens", "--", "-kernel", "K"], "two columns would be kvmlens"),
                             (["--with", "qemu-pc", "--with", "qemu-pc", "--", "-kernel", "K"], "would be qemu-pc"),
                             (["--mask", "(=x", "--", "-kernel", "K"], r"\(")):
        ended = run([COMPARE, *options])
        expect_status(ended, USAGE)
        expect(ended.out == "" and ended.err.count("\n") == 1, "expected one line on stderr", ended)
        expect_text(ended.err, pattern, ended)


@case("compare", "files that cannot be written are refused before anything is measured", asan=False)
def refused_files(_):
    with scratch() as folder:
        kept, link = f"{folder}/kept", f"{folder}/link"
        with open(kept, "w", encoding="ascii") as file:
            file.write("kept")
        os.symlink("nothing", link)
        good = ["--html", kept, "--json", f"{folder}/new/json", "--markdown", link]
        for option, path, why in (("html", "/proc/x", "No such file"), ("json", f"{folder}/", "Is a directory"),
                                  ("markdown", folder, "Is a directory"), ("markdown", f"{kept}/x", "File exists"),
                                  ("json", "", "No such file")):
            ended = run([COMPARE, *good, f"--{option}", path, "--", "-kernel", "/no/such/kernel"])
            expect_status(ended, USAGE)
            expect(ended.out == "" and ended.err.count("\n") == 1, "expected one line on stderr", ended)
            expect_text(ended.err, f"^compare-qemu: --{option} {path}: {why}.*; expected a file", ended)
        with open(kept, encoding="ascii") as file:
            expect(file.read() == "kept", "expected the file as it was")
        found = sorted(os.listdir(folder) + os.listdir(f"{folder}/new"))
        expect(found == ["kept", "link", "new"], f"expected no file to be left, found {found}")


@case("compare", "a full disk, no compiler: the host has failed", asan=False)
def host_fails(_):
    need_kvm()
    with scratch() as folder:
        arguments = ["--pairs", "1", "--no-machine", "--qemu", program(folder, "exit 0")]
        for options, redirect, env, why in (
                (["--markdown", "/dev/full"], "", {}, "/dev/full: No space left on device"),
                ([], ">/dev/full", {}, "standard output: No space left on device"),
                ([], "", {"CC": "/no/such/cc"}, "cannot compile .*launch.c: .*/no/such/cc")):
            ended = run(["sh", "-c", f'exec "$@" {redirect}', "sh", COMPARE, *arguments, "--html", f"{folder}/page.html",
                         *options, "--", *ARGUMENTS], env=env)
            expect_status(ended, FAILED)
            expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)
            expect_text(ended.err, f"^compare-qemu: {why}", ended)
            expect(env or os.path.getsize(f"{folder}/page.html"), "expected the other file all the same", ended)


# --- whole comparisons ---------------------------------------------------------------------------------------------------

@case("compare", "boot and power off, with QEMU on KVM and without", asan=False)
def whole(_):
    need_qemu()
    ended, report = compare("--accel", "kvm,tcg")
    expect_status(ended, SAME)
    expect("\033" not in ended.out and "\r" not in ended.err, "expected no colours and no progress in a pipe", ended)
    expect_text(ended.out, r"text and exit status are the same", ended)
    expect(report["measured"] == ["kvmlens", "qemu kvm", "qemu tcg"], f"found {report['measured']}")
    found = rows_of(report)
    for key in ("end", "first_output", "user", "system", "rss", "binary", "libraries", "code"):
        expect(key in found, f"expected a row {key}", ended)
    expect(len(found["end"]["values"][0]) == report["rounds"] == 2, "expected a value for each round")
    ours, theirs, emulated = medians(report, "rss")
    expect(500 < ours < theirs / 5 and emulated > theirs / 2, f"unlikely peaks of memory: {ours}, {theirs}, {emulated} KiB")
    seen = {"pss", "touched", "threads", "files"}
    expect(seen <= set(found), f"expected what /proc tells: {seen - set(found)}", ended)
    expect(all(medians(report, "first_output")[i] < medians(report, "end")[i] for i in range(3)),
           "expected output before the end", ended)
    for row in found.values():  # of several marks, the last one's
        expect(row["reason"] or ":" in row["key"], f"expected a reason, or that it is not known: {row['key']}")
        expect(row["sources"] or row["reason"] in (None, UNKNOWN), f"expected sources: {row['key']}")
    expect(report["machine"]["note"] is None and len(report["machine"]["differences"]) == 2, "expected machines", ended)
    expect_text("\n".join(report["machine"]["differences"][1]), r"^\+.*TCG")
    expect(not report["output"]["unsteady"], "expected runs that are alike", ended)


@case("compare", "both layers: the same trace events for both", asan=False)
def layers(_):
    need_qemu()
    if not has_tracefs():
        raise Skip("no right to read tracefs")
    ended, report = compare(arguments=[*ARGUMENTS[:-1], "run=bench+500,poweroff"])
    expect_status(ended, SAME)
    found = rows_of(report)
    order = [medians(report, key) for key in ("create_vm", "first_run", "first_serial")]
    expect(all(0 < early[i] < late[i] for early, late in zip(order, order[1:]) for i in range(2)),
           f"expected the phases in their order: {order}", ended)
    marks = [row["title"] for row in found.values() if row["key"] == "mark"]
    expect(any(row for row in marks), "expected the guest's marks", ended)
    for i in range(2):
        exits, ran, calls = (medians(report, key)[i] for key in ("userspace", "ioctls:KVM_RUN", "syscalls"))
        expect(500 < exits <= ran < calls, f"expected the 500 exits, each from a KVM_RUN: {exits}, {ran}, {calls}", ended)
    expect(medians(report, "syscalls")[0] > medians(report, "before_run")[0] > 50, "expected system calls", ended)
    instances = os.listdir("/sys/kernel/tracing/instances")
    expect(not [name for name in instances if "compare" in name and not _lives(name)], f"left behind: {instances}")


def _lives(name):
    return os.path.exists(f"/proc/{name.rpartition('-')[2]}")


@case("compare", "without the right to see trace events", asan=False)
def no_tracefs(_):
    need_qemu()
    if os.geteuid() != 0:
        raise Skip("only root hides tracefs from a child")
    hide = 'mount -t tmpfs none /sys/kernel && exec "$@"'
    ended, report = compare(prefix=["unshare", "-m", "sh", "-c", hide, "sh"], pairs=1)
    expect_status(ended, SAME)
    groups = {group["title"]: group for group in report["groups"]}
    for title in ("Time from exec", "System calls", "Exits and interrupts"):
        expect_text(groups[title]["note"] or "", "tracefs")
    expect("syscalls" not in rows_of(report) and "end" in rows_of(report), "expected the rest of the rows", ended)


@case("compare", "QEMU is missing", asan=False)
def missing(_):
    need_kvm()
    ended, report = compare("--qemu", "/no/such/qemu", pairs=1)
    expect_status(ended, MISSING)
    expect_text(ended.err, r"/no/such/qemu is not installed.*; the others are measured", ended)
    expect(report["measured"] == ["kvmlens"] and medians(report, "end")[0] > 0, "expected kvmlens's figures", ended)


@case("compare", "kvmlens is missing", asan=False)
def not_built(_):
    ended, _report = compare("--kvmlens", "/no/such/kvmlens")
    expect_status(ended, MISSING)
    expect(ended.err.count("\n") == 1, "expected one line", ended)
    expect_text(ended.err, "/no/such/kvmlens: No such file.*make", ended)


@case("compare", "another VMM, by an adapter", asan=False)
def adapter(_):
    need_qemu()
    with scratch() as folder:
        program(folder, f'for last; do :; done; exec {QEMU} -accel tcg {" ".join(ARGUMENTS)}', "lkvm")
        ended, report = compare("--with", "kvmtool", env={"PATH": f"{os.path.abspath(folder)}:{os.environ['PATH']}"}, pairs=1)
    expect_status(ended, SAME)
    expect(report["measured"] == ["kvmlens", "qemu kvm", "kvmtool"], f"found {report['measured']}", ended)


@case("compare", "QEMU prints another text", asan=False, text="echo something else", pattern=r"(?m)^\+something else")
@case("compare", "QEMU fails", asan=False, text="echo no luck >&2; exit 3", pattern=r"qemu kvm: exit status 3\n  no luck")
@case("compare", "QEMU hangs", asan=False, text="exec sleep 987", pattern="qemu kvm: ended by time limit")
@case("compare", "QEMU dies", asan=False, text="kill -SEGV $$", pattern="qemu kvm: ended by SIGSEGV")
def differs(_, text, pattern):
    need_kvm()
    with scratch() as folder:
        ended, report = compare("--qemu", program(folder, text), "--limit", "2", pairs=1)
    expect_status(ended, DIFFERENT)
    expect(re.search(pattern, ended.out), f"expected to find {pattern}", ended)
    expect(report["output"]["same"] is False and report["output"]["columns"][0]["status"] == "0",
           "expected kvmlens's column to be well", ended)
    if "sleep" in text:  # the others run beside this one
        expect(not is_running("sleep", "987"), "expected no process left behind")


@case("compare", "kvmlens fails, alone or as QEMU does", asan=False)
def ours_fails(_):
    """What it says is shown, as QEMU's is: the others are compared with it, but it is not well for that."""
    need_kvm()
    arguments = ("-M", "microvm", "-nographic", "-no-reboot", "-kernel", "/no/such/kernel")
    with scratch() as folder:
        for qemu in ("exit 0", f"echo no luck >&2; exit {IMAGE}"):
            ended, report = compare("--no-machine", "--no-why", "--qemu", program(folder, qemu), arguments=arguments, pairs=1)
            expect_status(ended, DIFFERENT if qemu == "exit 0" else SAME)
            expect_text(ended.out, rf"^kvmlens: exit status {IMAGE}\n  kvmlens: /no/such/kernel: cannot open: No such file", ended)
            expect("no luck" not in qemu or re.search(rf"qemu kvm: exit status {IMAGE}\n  no luck", ended.out),
                   "expected what QEMU says too", ended)
            expect("/no/such/kernel" in report["output"]["errors"]["kvmlens"], "expected it as JSON", ended)


@case("compare", "what it is asked to mask", asan=False)
def asked_to_mask(_):
    need_kvm()
    with scratch() as folder:
        other = program(folder, f"{os.path.abspath(KVMLENS)} -kernel {KERNEL} -append run=poweroff | sed s/kernel/zebra/")
        ended, _report = compare("--qemu", other, pairs=1)
        expect_status(ended, DIFFERENT)
        ended, _report = compare("--qemu", other, "--mask", "zebra|kernel=X", pairs=1)
        expect_status(ended, SAME)


@case("compare", "Ctrl-C leaves nothing behind", asan=False)
def interrupted(_):
    need_kvm()
    with scratch() as folder:
        other = program(folder, "exec sleep 986")
        command = [COMPARE, "--html", f"{folder}/page.html", "--qemu", other, "--", *ARGUMENTS]
        with subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            end = time.monotonic() + 20
            while not is_running("sleep", "986") and time.monotonic() < end:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        ended = Ended(command, process.returncode, out.decode(), err.decode())
        expect_status(ended, 130)
        expect("Traceback" not in ended.err, "expected no traceback", ended)
        time.sleep(0.2)
        expect(not is_running("sleep", "986"), "expected no process left behind")


@case("compare", "the device trees", asan=False)
def trees(_):
    need_qemu()
    known = commandline.known_options(KVMLENS)
    options = commandline.options_of(ARGUMENTS, known)
    with scratch() as folder:
        class Instruments:
            launcher, limit_s = one_run.Launcher(os.path.abspath(folder)), 30
        ours, trouble = verdict.tree_of_kvmlens(commandline.Vmm("kvmlens", options, known), Instruments)
        expect(ours, f"expected a tree: {trouble}")
        theirs, trouble = verdict.tree_of_qemu(commandline.Vmm("qemu", options, known), Instruments)
        expect(theirs, f"expected a tree: {trouble}")
    expect_text(ours, r"serial@3f8")
    expect_text(theirs, r"microvm")


@case("compare", "colours on a terminal alone", asan=False)
def colours(_):
    class Terminal:
        @staticmethod
        def isatty():
            return True
    saved = os.environ.pop("NO_COLOR", None)
    try:
        expect(table.Style(Terminal).bold("x") == "\033[1mx\033[0m", "expected colours on a terminal")
        os.environ["NO_COLOR"] = "1"
        expect(table.Style(Terminal).bold("x") == "x", "expected NO_COLOR to be respected")
    finally:
        os.environ.pop("NO_COLOR", None)
        if saved is not None:
            os.environ["NO_COLOR"] = saved


@case("with-kvm", "compare-qemu counts exits to the kernel", asan=False)
def nested_layers(_):
    """Where a processor runs the guest, KVM tells of each exit; here that is the nested machine's SVM."""
    need_qemu()
    ended, report = compare("--no-machine", "--no-why", "--limit", "50", prefix=["scripts/with-kvm", "--nested"], pairs=1)
    expect_status(ended, SAME)
    for i in range(2):
        kernel, userspace, io, injected = (medians(report, key)[i] for key in (
            "kernel", "userspace", "kernel:io", "interrupts:injected into the vCPU"))
        expect(kernel > userspace > 50, f"expected more exits to the kernel than to userspace: {kernel}, {userspace}", ended)
        expect(kernel > io > 50 and injected > 0, f"expected exits for I/O, and interrupts: {io}, {injected}", ended)
