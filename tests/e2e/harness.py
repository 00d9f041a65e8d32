"""What the end-to-end tests stand on: cases, guests run and compared, terminals, masks.

A case is a function of one argument, the binary under test, marked with @case(GROUP). It returns
when all is well, and raises Failed or Skip otherwise. $KVMLENS names another binary to test.
"""
import concurrent.futures
import difflib
import functools
import glob
import importlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import traceback

only = None  # tests/run -k
bless = False  # tests/run --bless

KERNEL = "build/guest/kernel.elf"
KVMLENS = os.environ.get("KVMLENS", "build/kvmlens")
ASAN_KVMLENS = "build/asan/kvmlens"
TSAN_KVMLENS = "build/tsan/kvmlens"
TSAN_SUPPRESSIONS = os.path.abspath("tests/tsan.txt")
LSAN_SUPPRESSIONS = os.path.abspath("tests/lsan.txt")
SANITIZED = (ASAN_KVMLENS, TSAN_KVMLENS)
QEMU = "qemu-system-x86_64"
QEMU_KVM = f"{QEMU} on KVM"  # in the place of a binary: QEMU with the other accelerator

MANY = 64  # tests at once, where another says which

# vmm/status.h
POWEROFF, USAGE, IMAGE, NO_KVM, INTERNAL, CRASH, KVM_FAIL, SIGNAL, TIMEOUT = (
    0, 64, 66, 68, 70, 72, 74, 76, 124)


class Failed(Exception):
    pass


class Skip(Exception):
    pass


class Result:
    """status is ok, FAIL or skip; info: the detail is worth printing even when all is well; where:
    the backend that ran it, if not that of its group."""

    def __init__(self, name, status="ok", detail="", info=False, where=None):
        self.name, self.status, self.detail, self.info, self.where = name, status, detail, info, where


class Ended:
    """How a process ended: exit status (or -signal), and what it wrote."""

    def __init__(self, command, status, out, err):
        self.command, self.status, self.out, self.err = command, status, out, err

    def __str__(self):
        return (f"$ {' '.join(self.command)}\nstatus {self.status}\n"
                f"--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-6000:]}")


class Case:
    """run: called with the binary under test; label: what tests/run prints, and no other case has."""

    def __init__(self, group_name, name, run_it, asan, nested):
        self.group, self.name, self.run, self.asan, self.nested = group_name, name, run_it, asan, nested
        self.label = f"{group_name}/{name}"


_cases = {}


def case(group_name, name=None, asan=True, nested=True, **keywords):
    """Adds a function as a case of a group; KEYWORDS are handed to it. asan: it is run again with
    the sanitized binaries; nested: it is worth another run on another KVM."""

    def add(function):
        new = Case(group_name, name or function.__name__.replace("_", "-"),
                   functools.partial(function, **keywords), asan, nested)
        if new.label in _cases:
            raise ValueError(f"two tests are called {new.label}")
        _cases[new.label] = new
        return function

    return add


def cases():
    """All, by their labels."""
    if not _cases:
        for path in sorted(glob.glob("tests/e2e/case_*.py")):
            importlib.import_module(os.path.basename(path)[:-3])
    return _cases


def chosen(*groups):
    """The cases of these groups, but what tests/run -k leaves out."""
    return [known for known in cases().values() if known.group in groups and (not only or only in known.name)]


@functools.lru_cache
def kvm_trouble():
    """Why kvmlens cannot run guests here, or None."""
    check = run([KVMLENS, "check"])
    if check.status == 0:
        return None
    bad = re.search(r"^ *BAD +(.*)", check.out, re.M)
    return f"{bad.group(1) if bad else 'KVM cannot be used'} (kvmlens check: status {check.status})"


@functools.lru_cache
def kvm_backend():
    """What `kvmlens check` takes the host's KVM for: vmx, svm or software."""
    found = re.search(r"backend: (\w+)", run([KVMLENS, "check"]).out)
    return found.group(1) if found else "unknown"


@functools.lru_cache
def mount_tracefs():
    """Mounts it where nobody has, as `kvmlens -trace kernel` does for root."""
    if os.geteuid() == 0 and not os.path.isdir("/sys/kernel/tracing/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=False,
                       stderr=subprocess.DEVNULL)


def has_tracefs():
    """Can root's own view of KVM's events be had?"""
    mount_tracefs()
    return os.geteuid() == 0 and os.path.isdir("/sys/kernel/tracing/events/kvm")


def _perform(known, binary):
    try:
        if known.group in ("kvm", "qemu-kvm") and kvm_trouble():
            raise Skip(kvm_trouble())
        if known.group.startswith("qemu") and not shutil.which(QEMU):
            raise Skip(f"{QEMU} is not installed")
        known.run(binary)
        return Result(known.name)
    except Skip as reason:
        return Result(known.name, "skip", str(reason))
    except Failed as reason:
        return Result(known.name, "FAIL", str(reason))
    except Exception:  # pylint: disable=broad-except
        return Result(known.name, "FAIL", traceback.format_exc())


def group(wanted, binary=KVMLENS):
    """Runs the cases of a group, as many at once as there are processors; results in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_perform, known, binary)
                for known in chosen(wanted) if known.asan or binary not in SANITIZED]
        for job in jobs:
            yield job.result()


def labelled(lines):
    """Runs the cases whose labels come in LINES, each at once: (case, result) as they end."""
    found = queue.Queue()

    def run_all():
        try:
            with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
                for line in lines:
                    pool.submit(lambda known: found.put((known, _perform(known, KVMLENS))), cases()[line.rstrip("\n")])
        finally:
            found.put(None)

    threading.Thread(target=run_all, daemon=True).start()
    yield from iter(found.get, None)


def asan_group():
    yield from group("cli", ASAN_KVMLENS)
    yield from group("kvm", ASAN_KVMLENS)


def environment(extra=None):
    env = {name: value for name, value in os.environ.items()
           if name not in ("NO_COLOR", "KVMLENS_DEV_KVM")}
    env.update(ASAN_OPTIONS="exitcode=99", UBSAN_OPTIONS="print_stacktrace=1:exitcode=99",
               TSAN_OPTIONS=f"suppressions={TSAN_SUPPRESSIONS}",
               LSAN_OPTIONS=f"suppressions={LSAN_SUPPRESSIONS}:print_suppressions=0",
               TERM="xterm")
    env.update(extra or {})
    return env


def check_sanitizers(ended):
    """No test passes with a sanitizer's complaint."""
    if re.search(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:", ended.err + ended.out):
        raise Failed(f"a sanitizer complains\n{ended}")
    return ended


def run(command, stdin=None, timeout=60, env=None, **streams):
    """Runs a command to its end. stdin: text, or None for /dev/null; streams: as for Popen."""
    streams.setdefault("stdin", subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    streams.setdefault("stdout", subprocess.PIPE)
    streams.setdefault("stderr", subprocess.PIPE)
    with subprocess.Popen(command, env=environment(env), **streams) as process:
        try:
            out, err = process.communicate(stdin.encode() if stdin is not None else None, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            ended = Ended(command, "killed by the test", text(out), text(err))
            raise Failed(f"still running after {timeout} s\n{ended}") from None
    return check_sanitizers(Ended(command, process.returncode, text(out), text(err)))


def text(data):
    return (data or b"").decode("utf-8", "replace")


def expect(condition, message, ended=""):
    if not condition:
        raise Failed(f"{message}\n{ended}")


def expect_status(ended, status):
    expect(ended.status == status, f"expected exit status {status}, not {ended.status}", ended)


def expect_text(where, pattern, ended=""):
    expect(re.search(pattern, where, re.M), f"expected to find: {pattern}", ended)


def expect_one_line(ended, status, *patterns):
    """The end of a bad start: one line on stderr, nothing on stdout."""
    expect_status(ended, status)
    expect(ended.out == "", "expected nothing on stdout", ended)
    expect(ended.err.count("\n") == 1 and ended.err.endswith("\n") and ended.err.startswith("kvmlens: "),
           "expected one line 'kvmlens: ...' on stderr", ended)
    for pattern in patterns:
        expect_text(ended.err, pattern, ended)


def guest_command(binary, kernel=KERNEL, append=None, options=(), machine=""):
    """The one command line that both kvmlens and QEMU understand."""
    command = [binary]
    if binary in (QEMU, QEMU_KVM):
        command = [QEMU, "-accel", "tcg" if binary == QEMU else "kvm", "-global", "virtio-mmio.force-legacy=false"]
    command += ["-M", "microvm" + machine, "-nodefaults", "-no-user-config", "-display", "none",
                "-serial", "stdio", "-no-reboot", "-bios" if kernel.endswith(".rom") else "-kernel", kernel]
    if append is not None:
        command += ["-append", append]
    return command + list(options)


DEBUG_EXIT = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")


def boot(binary, append=None, kernel=KERNEL, options=(), machine="", stdin=None, timeout=60, env=None):
    """Boots a guest with its serial line on stdin and stdout."""
    return run(guest_command(binary, kernel, append, options, machine), stdin=stdin, timeout=timeout, env=env)


def masked(found, masks):
    found = found.replace("\r\n", "\n")
    for pattern, replacement in masks:
        found = re.sub(pattern, replacement, found, flags=re.M)
    return found


def golden_text(name):
    with open(f"tests/e2e/golden/{name}.txt", encoding="utf-8") as file:
        return file.read()


def golden(name, found, masks=()):
    """Compares with tests/e2e/golden/NAME.txt after MASKS, (pattern, replacement) pairs."""
    found = masked(found, masks)
    path = f"tests/e2e/golden/{name}.txt"
    if bless:
        with open(path, "w", encoding="utf-8") as file:
            file.write(found)
    wanted = golden_text(name)
    if found != wanted:
        raise Failed("".join(difflib.unified_diff(wanted.splitlines(True), found.splitlines(True),
                                                  path, "found")))


def scratch():
    """A folder of its own under build/, removed at the end of the with block."""
    os.makedirs("build/tests", exist_ok=True)
    return tempfile.TemporaryDirectory(dir="build/tests")
