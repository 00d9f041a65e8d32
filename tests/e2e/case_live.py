"""-trace live: a view of the exits on the terminal, which is as it was on every way out."""
import fcntl
import os
import re
import signal
import struct
import termios
import time

from case_terminal import Shell, Terminal
from harness import CRASH, KERNEL, POWEROFF, SIGNAL, USAGE, case, environment, expect, expect_one_line, run

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
BUSY = "run=bench+50000000,poweroff"  # does not end by itself


class View(Terminal):
    """Keeps all that was printed, and takes it apart into frames."""

    def __init__(self, binary, append, *options, serial="null", **keywords):
        self.all = ""
        super().__init__([binary, "-M", "microvm", "-nodefaults", "-no-reboot", "-serial", serial, "-kernel", KERNEL,
                          "-append", append, "-trace", "live", *options], env={"TERM": "xterm"}, **keywords)

    def _read(self, seconds):
        before = len(self.seen)
        super()._read(seconds)
        self.all += self.seen[before:]

    def resize(self, lines, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def frames(self):
        """Each picture that is complete, as lines."""
        return [[re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", line) for line in frame.split("\n")]
                for frame in re.findall(r"\x1b\[H(?!\x1b\[2J)(.*?)\x1b\[J", self.all, re.S)]

    def frame_with(self, pattern):
        """Waits for a new picture in which PATTERN is."""
        self.seen = ""
        found = []

        def arrived():
            found[:] = [f for f in self.frames()[known:] if re.search(pattern, "\n".join(f), re.M)]
            return bool(found) or self.process.poll() is not None

        known = len(self.frames())
        self.wait_until(arrived, f"a picture with {pattern!r}, not\n" + "\n".join((self.frames() or [[]])[-1]))
        expect(bool(found), f"it ended, but expected a picture with {pattern!r}\n{self.all[-2000:]}")
        return found[0]

    def was_left(self):
        expect(self.all.count(ENTER) == 1, f"expected the alternate screen once\n{self.all[:300]!r}")
        expect(self.all.rfind(LEAVE) > self.all.rfind(ENTER), f"expected the screen as it was\n{self.all[-300:]!r}")


@case("kvm", "live: figures, keys, and out by q while the guest goes on", nested=False)
def keys(binary):
    with View(binary, BUSY) as view:
        frame = view.frame_with(r"^post POST code, out +\d[\d.]*k? +\d+\.\d%")
        expect(frame[0].startswith("kvmlens: ") and "1 vCPU," in frame[0], frame[0])
        expect("exits/s to kvmlens" in frame[1], frame[1])
        expect("(by rate)" in frame[2], frame[2])
        view.frame_with(r"^command_bench +\d")
        expect(view.is_raw(), "expected keys that come at once")
        view.type("k")
        view.frame_with(r"^kind of exit .*\n(.*\n)*out +\d")
        view.type("k")
        frame = view.frame_with(r"^device register ")
        expect(not any(line.startswith("guest symbol") for line in frame), frame)
        view.type("k")
        view.frame_with(r"^guest symbol ")
        view.type("kn")
        frame = view.frame_with(r"\(by name\)")
        names = [line.split(",")[0] for line in frame if re.search(r", (in|out|read|write) ", line)]
        expect(len(names) > 3 and names == sorted(names), names)
        view.type("c")
        view.frame_with(r"\(by cost\)")
        view.type("p")
        frozen = view.frame_with(r" paused")
        expect(view.frame_with(r" paused")[1] == frozen[1], "expected figures that stand still")
        view.type("p")
        view.type("q")
        view.wait_until(lambda: LEAVE in view.all, "the screen as it was")
        view.wait_until(lambda: not view.is_raw(), "the terminal as it was")
        count = len(view.frames())
        expect(view.process.poll() is None, "expected that the guest goes on")
        view.type("\x03")
        view.ends(SIGNAL)
        expect(len(view.frames()) == count, "expected no picture after q")
        view.was_left()


@case("kvm", "live: never larger than the window", nested=False)
def window(binary):
    with View(binary, BUSY) as view:
        for lines, columns in ((24, 120), (10, 40), (2, 9), (1, 1), (60, 200)):
            view.resize(lines, columns)
            view.frame_with(r".")  # may have been under way
            frame = view.frame_with(r".")
            expect(len(frame) <= lines and max(map(len, frame)) <= columns,
                   f"expected at most {lines} lines of {columns}, not {len(frame)} of {max(map(len, frame))}\n"
                   + "\n".join(frame))
            expect(lines < 24 or any(line.startswith("guest symbol") for line in frame), "\n".join(frame))
        view.type("\x03")
        view.ends(SIGNAL)
        view.was_left()


@case("kvm", "live: the guest has the terminal's keys", nested=False)
def no_keys(binary):
    with View(binary, "", serial="mon:stdio") as view:
        view.frame_with(r"^no keys: .*-serial null")
        view.type("\x01x")
        view.ends(SIGNAL)
        view.was_left()


@case("kvm", "live: out by power-off", append="run=bench+100000,poweroff", status=POWEROFF, nested=False)
@case("kvm", "live: out by a crash of the guest", append="run=bench+50000,fault+triple", status=CRASH, after="Likely cause", nested=False)
def ends(binary, append, status, after=""):
    with View(binary, append) as view:
        view.frame_with("exits/s")
        view.ends(status)
        view.was_left()
        expect(after in view.all[view.all.rfind(LEAVE):], f"expected {after!r} on the screen that stays")


@case("kvm", "live: out by a signal", number=signal.SIGTERM, status=SIGNAL, nested=False)
@case("kvm", "live: out by a crash of kvmlens", asan=False, number=signal.SIGSEGV, status=-signal.SIGSEGV, nested=False)
def signals(binary, number, status):
    with View(binary, BUSY) as view:
        view.frame_with("exits/s")
        view.process.send_signal(number)
        view.ends(status)
        view.was_left()


@case("kvm", "live: out by a signal while output is stopped", asan=False, numbers=(signal.SIGTERM,), nested=False)
@case("kvm", "live: out by a signal in the middle of a stop while output is stopped", asan=False,
      numbers=(signal.SIGTSTP, signal.SIGTERM, signal.SIGCONT), nested=False)
def output_stopped(binary, numbers):
    """Ctrl-S: the screen cannot be left any more, but the shell has its modes. (ThreadSanitizer keeps signals back
    until a write returns.)"""
    with View(binary, BUSY) as view:
        view.frame_with("exits/s")
        view.type("\x13")
        time.sleep(0.5)  # the terminal obeys in its own time
        for number in numbers:
            view.process.send_signal(number)
            time.sleep(0.5)
        view.ends(SIGNAL)


@case("kvm", "live: stopped and continued", nested=False)
def stopped(binary):
    with View(binary, BUSY) as view:
        view.frame_with("exits/s")
        view.process.send_signal(signal.SIGTSTP)
        view.wait_until(lambda: LEAVE in view.all, "the screen as it was")
        view.wait_until(lambda: not view.is_raw(), "the terminal as it was")
        view.wait_until(view.is_stopped, "a stopped process")  # a stop forgets a SIGCONT that came before it
        view.process.send_signal(signal.SIGCONT)
        view.wait_until(lambda: view.all.count(ENTER) == 2, "the view again")
        view.frame_with("exits/s")
        view.process.send_signal(signal.SIGTERM)
        view.ends(SIGNAL)
        expect(view.all.count(LEAVE) == 2, "expected the screen as it was")


@case("kvm", "live: the time of a stop is nobody's cost", nested=False)
def stopped_long(binary):
    with View(binary, BUSY) as view:
        view.frame_with("exits/s")
        for seconds in (0.4, 0.7, 1.5):
            view.process.send_signal(signal.SIGTSTP)
            view.wait_until(lambda: view.all.count(LEAVE) == view.all.count(ENTER), "the screen as it was")
            time.sleep(seconds)
            view.process.send_signal(signal.SIGCONT)
            for _ in range(3):
                view.frame_with("exits/s")
        view.type("\x03")
        view.ends(SIGNAL)
        for frame in view.frames():
            guest, vmm = map(float, re.search(r"guest\+KVM (\S+)%, kvmlens (\S+)%", frame[1]).groups())
            expect(guest + vmm <= 100.1 and vmm < 25, "\n".join(frame))


@case("kvm", "live: nothing on the screen from the background", nested=False)
def background(binary):
    command = f"{binary} -serial null -kernel {KERNEL} -append run=bench+60000,poweroff -trace live"
    with Terminal(["bash", "-c", f"set -m; {command} & wait $!; echo status $?"]) as terminal:
        terminal.ends(0)
        expect("status 0" in terminal.seen and "\x1b" not in terminal.seen, terminal.seen)


class Job(View, Shell):
    """The view as a job of a shell."""

    def __init__(self, binary):  # pylint: disable=super-init-not-called
        self.all = ""
        self.job = f"{binary} -M microvm -serial null -kernel {KERNEL} -append {BUSY} -trace live"
        Shell.__init__(self)

    def ends_after(self, keys):
        super().ends_after(keys)
        expect(self.all.count(LEAVE) == self.all.count(ENTER), f"expected the screen as it was\n{self.all[-300:]!r}")


@case("kvm", "live: started in the background, fg brings the view", nested=False)
def foreground(binary):
    with Job(binary) as shell:
        shell.type(shell.job + " &\n")
        shell.wait_for(r"\[1\] \d+")
        time.sleep(0.5)  # long enough for a view
        shell.type("\n")
        shell.wait_for("sh> ")
        expect(ENTER not in shell.all, f"expected no view in the background\n{shell.all!r}")
        shell.type("fg\n")
        shell.frame_with("exits/s")
        shell.type("p")
        shell.frame_with(" paused")
        shell.ends_after("\x03")


@case("kvm", "live: stopped, continued in the background, fg brings the view", nested=False)
def foreground_again(binary):
    with Job(binary) as shell:
        shell.type(shell.job + "\n")
        shell.frame_with("exits/s")
        shell.type("\x1a")
        shell.wait_for("Stopped.*\n.*sh> ")
        expect(shell.all.count(LEAVE) == 1, "expected the screen as it was")
        shell.type("bg\n")
        shell.wait_for("sh> ")
        count = len(shell.frames())
        time.sleep(1.5)  # long enough for a picture
        shell.type("\n")
        shell.wait_for("sh> ")
        expect(shell.all.count(ENTER) == 1 and len(shell.frames()) == count, "expected no view in the background")
        shell.type("fg\n")
        shell.frame_with("exits/s")
        shell.type("k")
        shell.frame_with("^kind of exit")
        shell.ends_after("\x03")


@case("kvm", "live: a guest that cannot start says so on the screen that stays", nested=False)
def no_guest(binary):
    with View(binary, "", "-initrd", "/no/such/file") as view:
        view.ends(66)
        expect(ENTER not in view.all and "/no/such/file" in view.all, view.all)


@case("cli", "live: no terminal", env={"TERM": "xterm"})
@case("cli", "live: a terminal that cannot", env={"TERM": "dumb"}, terminal=True)
def no_terminal(binary, env, terminal=False):
    command = [binary, "-kernel", KERNEL, "-serial", "null", "-trace", "live"]
    if not terminal:
        expect_one_line(run(command, env=env), USAGE, "-trace live", "terminal", "-trace summary")
        return
    with Terminal(command, env=environment(env)) as view:
        view.ends(USAGE)
        expect("-trace live" in view.seen and "\x1b" not in view.seen, view.seen)


@case("cli", "live: has the terminal for itself", options=("-trace", "live", "-trace", "exits"), pattern="file=PATH")
@case("cli", "live: only once", options=("-trace", "live", "-trace", "live"), pattern="there can be one -trace live")
@case("cli", "live: no file", options=("-trace", f"live,file={os.devnull}"), pattern="neither file nor format")
@case("cli", "live: no format", options=("-trace", "live,format=text"), pattern="neither file nor format")
def refused(binary, options, pattern):
    expect_one_line(run([binary, "-kernel", KERNEL, *options]), USAGE, pattern)
