"""Character devices: sockets, the terminal shared out, what is wrong with an option; the window's size."""
import fcntl
import os
import socket
import stat
import struct
import subprocess
import termios
import time

from case_terminal import Terminal
from harness import (DEBUG_EXIT, KERNEL, POWEROFF, QEMU, SIGNAL, TIMEOUT, USAGE, boot, case, environment, expect,
                     expect_one_line, expect_status, expect_text, run, scratch, text)

PATIENCE = 30  # seconds
PORT = ("-device", "virtio-serial-device", "-device")


def command_of(binary, *options):
    """Both kvmlens and QEMU understand it; the serial port goes where OPTIONS say."""
    qemu = ("-accel", "tcg", "-global", "virtio-mmio.force-legacy=false") if binary == QEMU else ()
    return [binary, *qemu, "-M", "microvm,acpi=off", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", KERNEL, *options]


class Peer:
    """The other end of a UNIX socket that somebody is about to make."""

    def __init__(self, path):
        self.path, self.seen = path, b""
        end = time.monotonic() + PATIENCE
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                expect(time.monotonic() < end, f"nobody listens on {path}")
                time.sleep(0.01)
        self.socket.settimeout(PATIENCE)

    def wait_for(self, words):
        while words not in self.seen:
            try:
                part = self.socket.recv(65536)
            except OSError:
                part = b""
            expect(part, f"expected {words!r} on {self.path}, found {self.seen[-2000:]!r}")
            self.seen += part
        self.seen = self.seen[self.seen.index(words) + len(words):]

    def type(self, words):
        self.socket.sendall(words)

    def close(self):
        self.socket.close()


def start(command):
    return subprocess.Popen(  # pylint: disable=consider-using-with
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def ends(process, status):
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    expect(process.returncode == status, f"expected status {status}, not {process.returncode}\n{text(err)}")
    expect("Sanitizer" not in text(err), text(err))
    return text(out), text(err)


def serial_socket(binary):
    with scratch() as folder:
        path = f"{folder}/s"
        with start(command_of(binary, *DEBUG_EXIT, "-serial", f"unix:{path},server=on,wait=off")) as process:
            first = Peer(path)
            first.type(b"echo one\r")
            first.wait_for(b"\none")
            first.close()
            second = Peer(path)  # the guest has gone on meanwhile
            second.type(b"echo two\r")
            second.wait_for(b"\ntwo")
            second.type(b"poweroff\r")
            ends(process, 1)  # by isa-debug-exit, which both have
            expect(binary == QEMU or not os.path.exists(path), "expected the socket's file to be gone")


@case("kvm", "chardev: the serial port on a socket, one client after the other")
def serial_socket_kvmlens(binary):
    serial_socket(binary)


@case("qemu", "chardev: the serial port on a socket, one client after the other")
def serial_socket_qemu(_):
    serial_socket(QEMU)


@case("kvm", "chardev: wait=on starts the guest when somebody has connected")
def socket_wait(binary):
    with scratch() as folder:
        path = f"{folder}/s"
        with start(command_of(binary, "-append", "run=poweroff", "-serial", "chardev:c", "-chardev",
                              f"socket,id=c,path={path},server=on")) as process:
            time.sleep(0.3)
            expect(process.poll() is None, "expected kvmlens to wait")
            peer = Peer(path)
            peer.wait_for(b"kvmlens guest")  # from its first word on
            peer.wait_for(b"power off")
            _, err = ends(process, POWEROFF)
            expect_text(err, "socket,id=c.*waiting for somebody to connect")


@case("kvm", "chardev: a dead socket is replaced, one in use is not")
def socket_stale(binary):
    with scratch() as folder:
        path = f"{folder}/s"
        old = socket.socket(socket.AF_UNIX)
        old.bind(path)
        old.listen()
        line = command_of(binary, "-append", "run=poweroff", "-serial", f"unix:{path},server=on,wait=off")
        expect_one_line(run(line), USAGE, "-serial unix:.*exists already")
        old.close()
        expect(stat.S_ISSOCK(os.stat(path).st_mode), "expected the dead socket's file")
        expect_status(run(line), POWEROFF)
        expect(not os.path.exists(path), "expected the socket's file to be gone")


@case("kvm", "chardev: -serial chardev:ID is the terminal's as without it")
def serial_chardev(binary):
    ended = run(command_of(binary, "-append", "run=echo+hello,poweroff", "-serial", "chardev:c", "-chardev",
                           "stdio,id=c"))
    expect_status(ended, POWEROFF)
    expect_text(ended.out, "^hello")


@case("kvm", "chardev: a console and a pseudo-terminal that nobody opens")
def console_pty(binary):
    ended = boot(binary, "run=con+write+hello,poweroff",
                 options=(*PORT, "virtconsole,chardev=c", "-chardev", "pty,id=c"))
    expect_status(ended, POWEROFF)
    expect_text(ended.err, r"redirected to /dev/pts/\d+ \(label c\)", ended)
    expect_text(ended.out, "6 bytes written", ended)


def port_reconnects(binary):
    with scratch() as folder:
        path = f"{folder}/s"
        with start(command_of(binary, "-append", "run=con+1+write+lost,con+1+read,con+1+write+pong,con+1+read,poweroff",
                              "-serial", "stdio", *PORT, "virtserialport,chardev=c,name=agent", "-chardev",
                              f"socket,id=c,path={path},server=on,wait=off")) as process:
            time.sleep(0.2)
            for words in b"first", b"second":
                peer = Peer(path)
                peer.type(words + b"\n")
                if words == b"first":
                    peer.wait_for(b"pong")
                peer.close()
            out, _ = ends(process, POWEROFF)
            expect_text(out, "first")
            expect_text(out, "second")


@case("kvm", "chardev: a port's far end leaves, and another comes")
def port_reconnects_kvmlens(binary):
    port_reconnects(binary)


def processor_time(process):
    """Seconds that PROCESS has computed."""
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case("kvm", "chardev: clients that leave a port that no program reads", nested=False)
def deaf_port(binary):
    """The last of them hears the guest nevertheless, and kvmlens idles meanwhile."""
    with scratch() as folder:
        path, serial = f"{folder}/p", f"{folder}/s"
        with start(command_of(binary, "-M", "timeout=60", "-serial", f"unix:{serial},server=on,wait=off", *PORT,
                              "virtserialport,chardev=c,name=agent", "-chardev",
                              f"socket,id=c,path={path},server=on,wait=off")) as process:
            shell = Peer(serial)
            shell.type(b"echo ready\r")
            shell.wait_for(b"\nready")
            for _ in range(3):
                peer = Peer(path)
                peer.type(b"x" * 5000)
                peer.close()
            before = processor_time(process)
            time.sleep(1)
            expect(processor_time(process) - before < 0.5, "expected kvmlens to idle")
            peer = Peer(path)
            time.sleep(0.5)
            shell.type(b"con 1 write hello\r")
            peer.wait_for(b"hello")
            shell.type(b"poweroff\r")
            ends(process, POWEROFF)


@case("kvm", "chardev: the window's size, and its changes, reach the device")
def window_size(binary):
    with scratch() as folder:
        trace = f"{folder}/trace"
        command = command_of(binary, "-append", "run=con+write+hello,con+read,con+read", "-serial", "null",
                             *PORT, "virtconsole,chardev=c", "-chardev", "stdio,id=c,signal=off,mux=on",
                             "-trace", f"exits,file={trace}")
        with Terminal(command) as terminal:
            terminal.wait_for("hello")
            fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
            terminal.type("line\r")
            time.sleep(0.3)
            terminal.type("\x01x")
            terminal.ends(SIGNAL)
        with open(trace, encoding="utf-8") as file:
            expect_text(file.read(), "port 0: the window has 77 columns and 33 rows")


@case("kvm", "chardev: a source of entropy that ends is said once, and holds nobody up but the guest's request")
def rng_ends(binary):
    ended = boot(binary, "run=rng", machine=",timeout=3",
                 options=("-device", "virtio-rng-device,rng=r", "-object", "rng-random,id=r,filename=/dev/null"))
    expect_status(ended, TIMEOUT)
    expect(ended.err.count("/dev/null: it has ended") == 1, "expected to hear of it once", ended)


@case("cli", "chardev: mistakes")
def mistakes(binary):
    guest = [binary, "-kernel", KERNEL]
    for options, status, pattern in (
            (("-chardev", "stdio,id=a"), USAGE, "-chardev stdio,id=a.*-serial null"),
            (("-serial", "null", "-chardev", "stdio,id=a", "-chardev", "stdio,id=b"), USAGE, "in use already.*id=a"),
            (("-chardev", "file,id=a,path=/nonexistent/x"), USAGE,
             "-chardev file,id=a,path=/nonexistent/x: No such file"),
            (("-chardev", "socket,id=a,server=on,wait=off,path=/nonexistent/x"), USAGE, "socket,id=a.*No such file"),
            (("-chardev", "socket,id=a,server=on,path=" + "x" * 200), USAGE, "200 bytes, a socket's at most 107"),
            (("-chardev", "socket,id=a,path=x"), USAGE, "server=on is missing"),
            (("-device", "virtconsole,chardev=a"), USAGE, "virtconsole: .*virtio-serial-device"),
            ((*PORT, "virtconsole,chardev=a"), USAGE, "virtconsole: there is no -chardev with id=a"),
            (("-object", "rng-random,id=r,filename=/nonexistent/x"), USAGE, "rng-random,id=r.*No such file"),
            (("-device", "virtio-rng-device,rng=r"), USAGE, "virtio-rng-device: there is no -object")):
        expect_one_line(run(guest + list(options)), status, pattern)
