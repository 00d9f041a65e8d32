"""KVM's and the system calls' trace events of one process and its threads, in an instance of its own
(the kernel's Documentation/trace/ftrace.rst, "Instances", "set_event_pid")."""
import collections
import fcntl
import glob
import os
import re
import subprocess

BUFFERS_KB = 256 * 1024  # all processors' together
BUFFER_MAX_KB = 64 * 1024  # one's
PORT_SERIAL, PORT_POST = 0x3F8, 0x80
LCR, LCR_DLAB = PORT_SERIAL + 3, 0x80  # 16550A: while DLAB is set, port 0 is the baud rate's divisor
KVM_CREATE_VM, KVM_RUN = 0xAE01, 0xAE80

# Which events a run records. In a phase run only what marks a moment: little else would be disturbed.
PHASES = {
    "syscalls/sys_enter_ioctl": f"cmd == {KVM_CREATE_VM} || cmd == {KVM_RUN}",
    "kvm/kvm_pio": f"rw == 1 && (port == {PORT_SERIAL} || port == {LCR} || (port == {PORT_POST} && val != 0))",
}
COUNTS = {"syscalls/sys_enter_*": None, "kvm/kvm_exit": None, "kvm/kvm_userspace_exit": None,
          "kvm/kvm_inj_virq": None, "kvm/kvm_apic_accept_irq": None}
TALLY = {"kvm/kvm_emulate_insn": None}  # too many to be kept: they are counted as they go by

_LINE = re.compile(r"^.+-\d+ +\[\d+\] \S+ +(\d+)\.(\d+): (.*)$")
_IOCTL = re.compile(r"sys_ioctl\(fd: \w+, cmd: (?:0x)?(\w+)")
_PIO = re.compile(r"kvm_pio: pio_write at 0x(\w+) size \d+ count \d+ val 0x(\w+)")


class NoTracefs(Exception):
    """The events cannot be had; the text says why and what to do."""


def folder():
    """The folder of tracefs. Root mounts it where nobody has."""
    path = "/sys/kernel/tracing"
    if os.geteuid() != 0:
        raise NoTracefs("only root may read the kernel's trace events: run compare-qemu as root (sudo)")
    if not os.path.isdir(f"{path}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", path], stderr=subprocess.DEVNULL, check=False)
    if not os.path.isdir(f"{path}/events/kvm"):
        raise NoTracefs(f"{path} has no events of KVM's: as root, mount -t tracefs tracefs {path}; modprobe kvm")
    if not os.path.isdir(f"{path}/events/syscalls"):
        raise NoTracefs("this kernel has no trace events of system calls (CONFIG_FTRACE_SYSCALLS)")
    return path


class Instance:
    """One selection of events. A with block makes the instance and removes it again."""

    def __init__(self, name, events):
        # kvmlens removes instances with this prefix that nobody has locked: those of killed runs.
        self.path = f"{folder()}/instances/kvmlens-compare-{name}-{os.getpid()}"
        self.events, self.lock = events, None

    def __enter__(self):
        try:
            os.mkdir(self.path)
            self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            self._write("trace_clock", "mono")
            self._write("options/event-fork", "1")
            if self.events is not TALLY:
                self._write("buffer_size_kb", str(min(BUFFER_MAX_KB, BUFFERS_KB // os.cpu_count())))
            self._write("tracing_on", "0")
            for pattern, condition in self.events.items():
                for path in glob.glob(f"{self.path}/events/{pattern}"):
                    if condition:
                        self._write(f"{path}/filter", condition)
                    self._write(f"{path}/enable", "1")
        except OSError as error:
            self.__exit__()
            raise NoTracefs(f"{error.filename or self.path}: {error.strerror}") from error
        return self

    def __exit__(self, *_):
        if os.path.isdir(self.path):
            self._write("events/enable", "0")
            os.rmdir(self.path)
        if self.lock is not None:
            os.close(self.lock)

    def _write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(text)

    def start(self, pid):
        """From here on, what PID and its children do."""
        self._write("set_event_pid", str(pid))
        self._write("trace", "")
        self._write("tracing_on", "1")

    def _statistics(self, names):
        """The sum of these lines of all processors' statistics."""
        total = 0
        for cpu in os.listdir(f"{self.path}/per_cpu"):
            with open(f"{self.path}/per_cpu/{cpu}/stats", encoding="ascii") as file:
                total += sum(int(n) for n in re.findall(rf"^(?:{names}): (\d+)", file.read(), re.M))
        return total

    def tally(self):
        """Ends the recording: how many events there were, those that were overwritten included."""
        self._write("tracing_on", "0")
        return self._statistics("entries|overrun")

    def stop(self):
        """Ends the recording: ([(ns of CLOCK_MONOTONIC, event's text)], how many were lost)."""
        self._write("tracing_on", "0")
        events, lost = [], self._statistics("overrun|dropped events")
        with open(f"{self.path}/trace", encoding="utf-8", errors="replace") as file:
            for line in file:
                found = _LINE.match(line)
                if found:
                    events.append((int(found[1]) * 10**9 + int(found[2].ljust(9, "0")), found[3]))
        self._write("trace", "")
        return events, lost


def phases(events):
    """{phase: ns}: the first time of each; a mark on the POST port is (`mark`, value)."""
    moments, divisor = {}, False
    for time, text in events:
        ioctl, pio = _IOCTL.match(text), _PIO.match(text)
        if ioctl:
            moments.setdefault("create_vm" if int(ioctl[1], 16) == KVM_CREATE_VM else "first_run", time)
        elif pio:
            port, value = int(pio[1], 16), int(pio[2], 16)
            if port == LCR:
                divisor = bool(value & LCR_DLAB)
            elif port == PORT_POST:
                moments.setdefault(("mark", value & 0xFF), time)
            elif not divisor:
                moments.setdefault("first_serial", time)
    return moments


def kvm_ioctls(header="/usr/include/linux/kvm.h"):
    """{(direction, number): name} of KVM's ioctls, as the C library's headers have them."""
    directions = {"_IO": 0, "_IOW": 1, "_IOR": 2, "_IOWR": 3}
    names = {}
    try:
        with open(header, encoding="utf-8") as file:
            for found in re.finditer(r"^#define\s+(KVM_\w+)\s+(_IO[RW]*)\(KVMIO,\s*(0x\w+)", file.read(), re.M):
                names.setdefault((directions[found[2]], int(found[3], 16)), found[1])
    except OSError:
        pass  # they are shown as numbers then
    return names


def counts(events, names):
    """What was called and why the guest left, as Counters, from exec on."""
    count = {key: collections.Counter()
             for key in ("syscalls", "before_run", "ioctls", "userspace", "kernel", "interrupts")}
    running = started = False
    for _, text in events:
        if text.startswith("sys_"):
            name = text[4:text.index("(")]
            if not started:  # the launcher's own, up to the exec
                started = name in ("execve", "execveat")
                continue
            code = int(_IOCTL.match(text)[1], 16) & 0xFFFFFFFF if name == "ioctl" else 0
            if code >> 8 & 0xFF == 0xAE:
                running = running or code == KVM_RUN
                count["ioctls"][names.get((code >> 30, code & 0xFF), f"KVM ioctl {code:#x}")] += 1
            count["syscalls"][name] += 1
            if not running:
                count["before_run"][name] += 1
        elif text.startswith("kvm_userspace_exit:"):
            count["userspace"][re.search(r"reason (.+?)(?: \(-?\d+\))?$", text)[1]] += 1
        elif text.startswith("kvm_exit:"):
            count["kernel"][re.search(r"reason (.+?) rip ", text)[1]] += 1
        elif text.startswith("kvm_inj_virq:"):
            count["interrupts"]["injected into the vCPU"] += 1
        elif text.startswith("kvm_apic_accept_irq:"):
            count["interrupts"]["accepted by the local APIC"] += 1
    return count
