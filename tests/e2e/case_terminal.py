"""The terminal: raw while the guest runs, and as it was on every way out."""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import (CRASH, IMAGE, KERNEL, POWEROFF, SIGNAL, TIMEOUT, case, environment, expect, guest_command, run,
                     scratch, text)
from roms import HALT, TRIPLE, rom

PATIENCE = 20  # seconds


class Terminal:
    """A program on a pseudo-terminal of its own, which is its controlling terminal."""

    def __init__(self, command, stderr=None, env=None):
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.command = command
        # setsid(1) makes the terminal the session's, as a login does, and becomes the command.
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["setsid", "--ctty", *command], stdin=self.slave, stdout=self.slave,
            stderr=stderr or self.slave, env=environment(env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.seen += text(os.read(self.master, 65536))

    def wait_for(self, pattern):
        """Until PATTERN has been printed, since the last wait_for found something."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            expect(time.monotonic() < end and self.process.poll() is None,
                   f"{' '.join(self.command)}\nexpected {pattern!r} on the terminal, found\n{self.seen[-3000:]}")
            self._read(0.1)
        self.seen = self.seen[found.end():]

    def type(self, keys):
        os.write(self.master, keys.encode())

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def is_stopped(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def wait_until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            expect(time.monotonic() < end, f"{' '.join(self.command)}\nexpected {what}")
            self._read(0.02)

    def ends(self, status, restored=True):
        """Waits for the end: the exit status, and the terminal as it was."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            expect(time.monotonic() < end, f"{' '.join(self.command)}\nstill running\n{self.seen[-3000:]}")
            self._read(0.05)
        self._read(0)
        expect(self.process.returncode == status,
               f"{' '.join(self.command)}\nexpected status {status}, not {self.process.returncode}\n{self.seen[-3000:]}")
        expect("Sanitizer" not in self.seen, self.seen)
        if restored:
            expect(termios.tcgetattr(self.slave) == self.before, "expected the terminal to be as it was")


def interactive(binary, *options, **keywords):
    command = [binary, "-M", "microvm", "-nographic", "-kernel", KERNEL, *options]
    terminal = Terminal(command, **keywords)
    return terminal


@case("kvm", "terminal: power-off")
def power_off(binary):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        expect(terminal.is_raw(), "expected a raw terminal while the guest runs")
        terminal.type("echo a\tb\r")
        terminal.wait_for(r"a\s*b")
        terminal.type("poweroff\r")
        terminal.ends(POWEROFF)


@case("kvm", "terminal: Ctrl-A x")
def quit_key(binary):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.type("\x01x")
        terminal.ends(SIGNAL)


@case("kvm", "terminal: Ctrl-A x while the guest does not listen")
def quit_key_deaf(binary):
    with scratch() as folder:
        with Terminal([binary, "-nographic", "-bios", rom(f"{folder}/rom", HALT)]) as terminal:
            terminal.wait_until(terminal.is_raw, "a raw terminal")
            for _ in range(20):
                terminal.type("nobody reads this line\r")
            terminal.type("\x01x")
            terminal.ends(SIGNAL)


@case("kvm", "terminal: Ctrl-A h helps, Ctrl-A Ctrl-A is sent")
def help_key(binary):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.type("\x01h")
        terminal.wait_for(r"C-a x")
        terminal.type("echo p\x01\x01q\r")
        terminal.wait_for("p")
        terminal.type("poweroff\r")
        terminal.ends(POWEROFF)


@case("kvm", "terminal: Ctrl-C is the guest's with mon:stdio")
def interrupt_key_guest(binary):
    with interactive(binary, "-serial", "mon:stdio") as terminal:
        terminal.wait_for("> ")
        terminal.type("echo lost\x03")
        terminal.wait_for("> ")
        terminal.type("poweroff\r")
        terminal.ends(POWEROFF)


@case("kvm", "terminal: Ctrl-C ends -serial stdio")
def interrupt_key_stdio(binary):
    with interactive(binary, "-serial", "stdio") as terminal:
        terminal.wait_for("> ")
        terminal.type("\x03")
        terminal.ends(SIGNAL)


@case("kvm", "terminal: crash")
def crash(binary):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.type("fault triple\r")
        terminal.wait_for("(?i)triple fault")
        terminal.ends(CRASH)


@case("kvm", "terminal: crash before the first word")
def crash_early(binary):
    with scratch() as folder:
        with Terminal([binary, "-nographic", "-bios", rom(f"{folder}/rom", TRIPLE)]) as terminal:
            terminal.ends(CRASH)


@case("kvm", "terminal: time-out")
def time_out(binary):
    with interactive(binary, "-M", "microvm,timeout=1") as terminal:
        terminal.ends(TIMEOUT)


@case("kvm", "terminal: SIGTERM", number=signal.SIGTERM)
@case("kvm", "terminal: SIGHUP", number=signal.SIGHUP)
@case("kvm", "terminal: SIGINT", number=signal.SIGINT)
@case("kvm", "terminal: SIGQUIT", number=signal.SIGQUIT)
def by_signal(binary, number):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.process.send_signal(number)
        terminal.ends(SIGNAL)


@case("kvm", "terminal: SIGSEGV of kvmlens itself", asan=False, number=signal.SIGSEGV)
@case("kvm", "terminal: SIGABRT of kvmlens itself", asan=False, number=signal.SIGABRT)
@case("kvm", "terminal: SIGPWR", asan=False, number=signal.SIGPWR)
@case("kvm", "terminal: SIGSTKFLT", asan=False, number=16)
@case("kvm", "terminal: the second real-time signal", asan=False, number=signal.SIGRTMIN + 1)
@case("kvm", "terminal: the last real-time signal", asan=False, number=signal.SIGRTMAX)
def by_own_fault(binary, number):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.process.send_signal(number)
        terminal.ends(-number)


@case("kvm", "terminal: stopped and continued")
def stopped(binary):
    with interactive(binary) as terminal:
        terminal.wait_for("> ")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.wait_until(terminal.is_stopped, "a stopped process")
        expect(termios.tcgetattr(terminal.slave) == terminal.before, "expected the terminal as it was, while stopped")
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_until(terminal.is_raw, "a raw terminal again")
        terminal.type("poweroff\r")
        terminal.ends(POWEROFF)


class Shell(Terminal):
    """A shell with job control."""

    def __init__(self):
        super().__init__(["bash", "--norc", "--noprofile", "-i"], env={"TERM": "xterm", "PS1": "sh> ", "HISTFILE": ""})
        self.wait_for("sh> ")

    def ends_after(self, keys):
        """KEYS end the job, and the shell finds the terminal in order."""
        self.type(keys)
        self.wait_for("sh> ")
        self.type("stty -a | tr -d '\\n'; exit 3\n")
        self.wait_for(r" icanon .* echo ")
        self.ends(3, restored=False)


@case("kvm", "terminal: brought to the foreground by a script")
def foreground(binary):
    command = f"{binary} -M microvm,timeout=60 -serial mon:stdio -kernel {KERNEL}"
    with Terminal(["bash", "-c", f"set -m; {command} & sleep 1; fg; echo status $?"]) as terminal:
        terminal.wait_for("type help for the commands")
        terminal.wait_until(terminal.is_raw, "a raw terminal in the foreground")
        terminal.type("echo one''two\r")
        terminal.wait_for("\none''two")
        terminal.type("\x01x")
        terminal.wait_for(f"status {SIGNAL}")
        terminal.ends(0)


@case("kvm", "terminal: in the background, what is typed is the shell's")
def background(binary):
    with Shell() as shell:
        shell.type(f"{binary} -M microvm,timeout=60 -serial stdio -kernel {KERNEL} &\n")
        shell.wait_for("type help for the commands")
        for key in "true\n":
            shell.type(key)
            time.sleep(0.1)  # for a reader that would be stopped by it
        shell.type("jobs\n")
        shell.wait_for(r"\[1\]\+ +Running")
        shell.type("fg\n")
        shell.wait_for("-kernel.*\n")
        shell.wait_until(shell.is_raw, "a raw terminal in the foreground")
        shell.type("echo to the guest\r")
        shell.wait_for("\nto the guest\r")
        shell.type("\x1a")
        shell.wait_for("Stopped.*\n.*sh> ")
        shell.type("bg\n")
        shell.wait_for("sh> ")
        shell.type("fg\n")
        shell.wait_for("-kernel.*\n")
        shell.wait_until(shell.is_raw, "a raw terminal again")
        shell.type("echo still there\r")
        shell.wait_for("\nstill there\r")
        shell.ends_after("\x03")


@case("kvm", "terminal: the other end hangs up")
def hang_up(binary):
    terminal = interactive(binary, stderr=subprocess.DEVNULL)
    try:
        terminal.wait_for("> ")
    finally:
        os.close(terminal.slave)
        os.close(terminal.master)
        try:
            status = terminal.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            terminal.process.kill()
            terminal.process.wait()
            status = "still running"
    expect(status == SIGNAL, f"expected status {SIGNAL} after a hang-up, not {status}")


@case("cli", "terminal: untouched by a bad image")
def bad_image(binary):
    with Terminal([binary, "-kernel", "Makefile"]) as terminal:
        terminal.ends(IMAGE)


@case("kvm", "terminal: colour in the trace, and none with NO_COLOR")
def colour(binary):
    for env, wanted in (({}, True), ({"NO_COLOR": "1"}, False)):
        with interactive(binary, "-append", "run=poweroff", "-trace", "exits", env=env) as terminal:
            terminal.ends(POWEROFF)
            expect(("\x1b[" in terminal.seen) == wanted, f"colour with {env}: expected {wanted}\n{terminal.seen[-500:]}")


@case("kvm", "serial line on a pty")
def serial_pty(binary):
    """A name is printed; who opens it has the guest's terminal."""
    command = [binary, "-M", "microvm,timeout=30", "-nodefaults", "-display", "none", "-no-reboot", "-kernel", KERNEL,
               "-serial", "pty"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment()) as process:
        line = text(process.stdout.readline())
        found = re.search(r"redirected to (/dev/pts/\d+)", line)
        expect(found, f"expected the pty's name, found {line}")
        pty = os.open(found[1], os.O_RDWR | os.O_NOCTTY)
        os.write(pty, b"echo over the pty\r")
        seen, end = "", time.monotonic() + PATIENCE
        while "\nover the pty" not in seen:
            expect(time.monotonic() < end, f"expected the guest's answer on the pty, found {seen!r}")
            if select.select([pty], [], [], 0.2)[0]:
                seen += text(os.read(pty, 4096))
        os.write(pty, b"poweroff\r")
        rest = text(process.communicate(timeout=PATIENCE)[0])
        os.close(pty)
        expect(process.returncode == POWEROFF, f"expected status 0, not {process.returncode}\n{rest}")


@case("kvm", "serial line in a file")
def serial_file(binary):
    with scratch() as folder:
        path = f"{folder}/serial"
        ended = run([binary, "-M", "microvm", "-kernel", KERNEL, "-append", "run=poweroff", "-serial", f"file:{path}"])
        with open(path, encoding="utf-8") as file:
            expect("power off" in file.read(), "expected the guest's words in the file", ended)
        expect(ended.status == POWEROFF and ended.out == "", "expected silence and status 0", ended)


@case("kvm", "serial line to nowhere", where="null")
@case("kvm", "no serial line", where="none")
def serial_nowhere(binary, where):
    ended = run([binary, "-M", "microvm,timeout=20", "-kernel", KERNEL, "-append", "run=poweroff", "-serial", where])
    expect(ended.status == POWEROFF and ended.out == "" and ended.err == "", "expected silence and status 0", ended)


def shell_run(binary, redirection, append="run=zoo,poweroff", options=()):
    """Runs it under bash with REDIRECTION, for what a test cannot hand over itself."""
    command = guest_command(binary, append=append, options=options, machine=",timeout=20")
    return run(["bash", "-c", f'"$@" {redirection}', "bash", *command])


@case("kvm", "stdin closed", redirection="<&-")
@case("kvm", "stdin from a file", redirection="<Makefile")
@case("kvm", "stdin from a pipe that ends", redirection="< <(true)")
@case("kvm", "stdin from a pipe that stays", redirection="< <(exec sleep 5)")
@case("kvm", "stdin write-only", redirection="0>/dev/null")
@case("kvm", "stdin a folder", redirection="</")
@case("kvm", "stdout closed", redirection=">&-")
@case("kvm", "stdout a closed pipe", redirection="> >(exec true)")
@case("kvm", "stdout full", redirection=">/dev/full")
@case("kvm", "stdout read-only", redirection="1</dev/null")
@case("kvm", "stderr closed", redirection="2>&-")
@case("kvm", "stderr full", redirection="2>/dev/full")
@case("kvm", "all closed", redirection="<&- >&- 2>&-")
def odd_streams(binary, redirection):
    """The guest runs to its end and its status counts, wherever its words go."""
    ended = shell_run(binary, redirection)
    expect(ended.status == POWEROFF, f"expected status 0 with {redirection}", ended)
    expect(ended.err.count("\n") <= 1, "expected one line at most on stderr", ended)


@case("kvm", "crash with stderr closed", redirection="2>&-")
@case("kvm", "crash with stdout and stderr in a closed pipe", redirection="> >(exec true) 2>&1")
@case("kvm", "crash with stderr full", redirection="2>/dev/full")
def crash_streams(binary, redirection):
    ended = shell_run(binary, redirection, append="run=fault+triple")
    expect(ended.status == CRASH, f"expected status {CRASH} with {redirection}", ended)
