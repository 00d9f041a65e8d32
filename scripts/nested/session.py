"""One command in the nested machine: its streams, its terminal, signals, and its end.

The other side is command.c; frame.h says what the two send each other.
"""
import errno
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
import tty

from common import Trouble

BOOT_SECONDS = 120
CREDIT = 65536  # INPUT_SIZE of frame.h
ESCAPE, ESCAPES, ESCAPE_SECONDS = b"\x1d", 3, 1.0
TICK = 0.1
FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3  # seconds between a forwarded SIGTERM and the end of all


class TimedOut(Exception):
    """The time limit was reached."""


class Interrupted(Exception):
    """A signal ends with-kvm."""

    def __init__(self, number):
        super().__init__(number)
        self.signal = number


class NotRun(Exception):
    """The command cannot be run; error: an OSError that says why."""

    def __init__(self, number):
        super().__init__(number)
        self.error = OSError(number, os.strerror(number))


def raise_timed_out(_number, _frame):
    raise TimedOut


def raise_interrupted(number, _frame):
    raise Interrupted(number)


def watch_signals(seconds):
    """From now on signals and the end of SECONDS (or None) are exceptions."""
    for number in FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's stay ignored
            signal.signal(number, raise_interrupted)
    signal.signal(signal.SIGALRM, raise_timed_out)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)


class Session:
    """run() returns the command's status, as wait(2) has it."""

    def __init__(self, machine, command, verbose):
        self.machine, self.command, self.verbose = machine, command, verbose
        self.port = machine.port
        self.incoming, self.outgoing = bytearray(), bytearray()
        self.started, self.status = False, None
        self.credit, self.escapes = CREDIT, []
        self.terminals = sum(1 << stream for stream in (0, 1, 2) if os.isatty(stream))
        self.terminal = None  # where the nested pseudo-terminal's output goes
        self.saved_mode = None
        self.broken = set()  # outputs that nobody reads any more
        self.shown = 0  # bytes of the console
        self.begin = time.monotonic()
        self.progress = not verbose and os.isatty(2)

    def run(self):
        self.port.setblocking(False)
        if self.terminals:
            self.terminal = next((stream for stream in (1, 2) if os.isatty(stream)), None)
            if self.terminal is None:
                self.terminal = os.open(os.ttyname(0), os.O_WRONLY | os.O_NOCTTY)
        try:
            while self.status is None:
                self.turn()
        finally:
            self.show_progress(False)
            if self.saved_mode:
                termios.tcsetattr(0, termios.TCSADRAIN, self.saved_mode)
            self.show_console()
        return self.status

    def turn(self):
        reading = self.started and self.credit > 0
        readable, writable, _ = select.select([self.port] + ([0] if reading else []),
                                              [self.port] if self.outgoing else [], [], TICK)
        try:
            if writable:
                del self.outgoing[:self.port.send(self.outgoing)]
            if self.port in readable:
                self.receive()
        except (BrokenPipeError, ConnectionResetError):
            raise self.machine.died() from None
        if 0 in readable:
            self.read_input()
        self.show_console()
        if self.status is None and not readable and not self.machine.is_whole():
            raise self.machine.died()
        if not self.started:
            self.show_progress(True)
            if time.monotonic() - self.begin > BOOT_SECONDS:
                raise Trouble(f"the nested machine did not start within {BOOT_SECONDS} s; --verbose shows its messages")

    def send(self, kind, data=b""):
        self.outgoing += struct.pack("<II", ord(kind), len(data)) + data

    def receive(self):
        data = self.port.recv(1 << 18)
        if not data:
            raise self.machine.died()
        self.incoming += data
        at = 0
        while self.status is None and len(self.incoming) - at >= 8:
            kind, length = struct.unpack_from("<II", self.incoming, at)
            if len(self.incoming) - at - 8 < length:
                break
            self.handle(chr(kind), bytes(self.incoming[at + 8:at + 8 + length]))
            at += 8 + length
        del self.incoming[:at]

    def handle(self, kind, data):
        if kind == "B":
            self.send("C", self.setup())
        elif kind == "R":
            self.start()
        elif kind in "OET":
            self.write({"O": 1, "E": 2, "T": self.terminal}[kind], data)
        elif kind == "K":
            self.credit += struct.unpack("<I", data)[0]
        elif kind == "X":
            self.status = struct.unpack("<I", data)[0]
        elif kind == "N":
            raise NotRun(struct.unpack("<I", data)[0])
        elif kind == "F":
            raise Trouble(f"the nested machine: {data.decode('utf-8', 'replace')}")
        else:
            raise Trouble(f"the nested machine sent a frame of the unknown kind {kind!r}")

    def setup(self):
        """What init.c applies: strings of a letter and a value."""
        try:
            folder = os.getcwd()
        except OSError as error:
            raise Trouble(f"the current folder: {error.strerror}") from error
        strings = [f"u{os.geteuid()}", f"g{os.getegid()}", *(f"G{group}" for group in os.getgroups()),
                   f"h{socket.gethostname()}", f"T{self.terminals}", f"t{time.time():.6f}"]
        if self.terminals:
            size = os.get_terminal_size(self.terminal)
            strings += [f"r{size.lines}", f"l{size.columns}"]
        # The machine has its own /tmp and /run; what is at work there on the host is shown.
        tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
        strings += [f"s{path}" for path in sorted({folder, tree}) if path.startswith(("/tmp/", "/run/", "/dev/shm/"))]
        strings.append(f"c{folder}")
        strings += [f"a{argument}" for argument in self.command]
        strings += [f"e{name}={value}" for name, value in os.environ.items()] + ["eWITH_KVM=nested"]
        return b"".join(os.fsencode(text) + b"\0" for text in strings)

    def start(self):
        """The command runs: from here on the terminal and signals are its own."""
        self.started = True
        self.show_progress(False)
        for number in FORWARDED:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.forward)
        if self.terminals:
            signal.signal(signal.SIGWINCH, self.resize)
        if self.terminals & 1:
            self.saved_mode = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)
            if not self.terminals & 2:  # Another program's lines go to this terminal, perhaps.
                mode = termios.tcgetattr(0)
                mode[1] = self.saved_mode[1]
                termios.tcsetattr(0, termios.TCSADRAIN, mode)

    def forward(self, number, _frame):
        """Once: the command may end in its own way. The second time it is ended."""
        signal.signal(number, raise_interrupted)
        self.send("S", struct.pack("<I", number))
        if number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal.SIGALRM, lambda *_: raise_interrupted(number, None))
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def resize(self, _number, _frame):
        size = os.get_terminal_size(self.terminal)
        self.send("W", struct.pack("<HH", size.lines, size.columns))

    def read_input(self):
        try:
            data = os.read(0, min(self.credit, 32768))
        except OSError:  # The terminal is gone, or a folder is in its place.
            data = b""
        if self.terminals & 1:
            self.watch_escape(data)
        self.credit -= len(data)
        self.send("I", data)
        if not data:
            self.credit = -1 << 62  # Nothing more is read.

    def watch_escape(self, data):
        now = time.monotonic()
        if data.strip(ESCAPE):
            self.escapes = []
        self.escapes += [now] * data.count(ESCAPE)
        if len([when for when in self.escapes if now - when < ESCAPE_SECONDS]) >= ESCAPES:
            raise Interrupted(signal.SIGTERM)

    def write(self, stream, data):
        if stream in self.broken:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(stream, view):]
        except BlockingIOError:
            select.select([], [stream], [])
            self.write(stream, view)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise Trouble(f"cannot write what the command says: {error.strerror}") from error
            self.broken.add(stream)
            self.send("S", struct.pack("<I", signal.SIGPIPE))

    def show_progress(self, booting):
        if self.progress:
            text = f"with-kvm: booting the nested machine, {time.monotonic() - self.begin:.1f} s" if booting else ""
            os.write(2, f"\r{text}\x1b[K".encode())
            self.progress = booting

    def show_console(self):
        if self.verbose:
            data = os.pread(self.machine.console, 1 << 20, self.shown)
            self.shown += len(data)
            sys.stderr.buffer.write(data)
            sys.stderr.flush()
