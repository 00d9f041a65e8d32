"""Guests that misbehave, and hosts that run short: kvmlens ends when it is told to, and says why."""
import contextlib
import os
import random
import resource
import select
import signal
import subprocess
import time

from case_terminal import Terminal
from harness import (INTERNAL, KERNEL, POWEROFF, SIGNAL, TIMEOUT, Ended, case, check_sanitizers, environment, expect,
                     expect_one_line, expect_status, guest_command, run, scratch, text)
from roms import LOOP, RESET, rom

PATIENCE = 30  # seconds

PRINT = b"\xba\xf8\x03\xb0\x41\xee\xeb\xfd"  # mov dx, 0x3f8; mov al, 'A'; 1: out dx, al; jmp 1b
POST = b"\xe6\x80\xeb\xfc"  # 1: out 0x80, al; jmp 1b


def started(command, **streams):
    streams.setdefault("stdout", subprocess.DEVNULL)
    streams.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment(), **streams)


def ends(process, status):
    """Waits for the end of a process that was told to end."""
    try:
        err = text(process.communicate(timeout=PATIENCE)[1])
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        err = f"still running after {PATIENCE} s"
    expect_status(check_sanitizers(Ended(process.args, process.returncode, "", err)), status)


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, f"expected {what}")
        time.sleep(0.01)


def wait_for_signals(process):
    """Until SIGTERM is an event of kvmlens's loop: it is caught then."""
    def is_caught():
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            caught = next(line.split()[1] for line in file if line.startswith("SigCgt:"))
        return int(caught, 16) >> (signal.SIGTERM - 1) & 1

    wait_until(is_caught, "kvmlens to wait for signals")


@case("kvm", "SIGTERM of a guest that resets for ever")
def reset_loop(binary):
    """The signal may come while a machine is made, runs, or has just asked for its reset."""
    with scratch() as folder:
        command = [binary, "-nographic", "-bios", rom(f"{folder}/test.rom", RESET)]
        for _ in range(25):
            with started(command) as process:
                wait_for_signals(process)
                time.sleep(random.random() / 50)
                process.send_signal(signal.SIGTERM)
                ends(process, SIGNAL)


@case("kvm", "time-out of a guest that resets for ever")
def reset_loop_time_out(binary):
    with scratch() as folder:
        ended = run([binary, "-M", "microvm,timeout=1", "-nographic", "-bios", rom(f"{folder}/test.rom", RESET)])
        expect_status(ended, TIMEOUT)


@case("kvm", "resets leave no descriptor and no memory behind")
def reset_leaks(binary):
    def descriptors(process):
        return len(os.listdir(f"/proc/{process.pid}/fd"))

    with scratch() as folder:
        command = [binary, "-nographic", "-bios", rom(f"{folder}/test.rom", RESET), "-trace", f"exits,file={folder}/trace"]
        with started(command) as process:
            wait_for_signals(process)
            seen = []
            for _ in range(20):
                seen.append(descriptors(process))
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            ends(process, SIGNAL)
        with open(f"{folder}/trace", encoding="utf-8") as file:
            resets = sum("i8042" in line for line in file)
        expect(resets > 20, f"expected more than {resets} resets")
        expect(max(seen) < 20, f"descriptors while the guest was reset {resets} times: {seen}")


@case("kvm", "SIGTERM while nobody reads the trace", code=POST, which="stderr", options=("-trace", "exits"))
@case("kvm", "SIGTERM while nobody reads stdout", code=PRINT, which="stdout")
def nobody_reads(binary, code, which, options=()):
    with scratch() as folder:
        reader, writer = os.pipe()
        command = guest_command(binary, rom(f"{folder}/test.rom", code), options=options)
        with started(command, **{which: writer}) as process:
            wait_until(lambda: not select.select([], [writer], [], 0)[1], "a full pipe")
            wait_for_signals(process)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            ends(process, SIGNAL)
        os.close(reader)
        os.close(writer)


@case("kvm", "time-out while nobody reads the trace")
def nobody_reads_time_out(binary):
    with scratch() as folder:
        reader, writer = os.pipe()
        command = guest_command(binary, rom(f"{folder}/test.rom", POST), machine=",timeout=1", options=("-trace", "exits"))
        with started(command, stderr=writer) as process:
            ends(process, TIMEOUT)
        os.close(reader)
        os.close(writer)


def fill(pipe):
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    os.set_blocking(pipe, True)


@case("kvm", "SIGTERM while nobody reads a message", asan=False)
def nobody_reads_messages(binary):
    """It is the event loop's thread that is held up. (ThreadSanitizer keeps signals back until it returns.)"""
    reader, writer = os.pipe()
    fill(writer)
    with subprocess.Popen([binary, "-nographic", "-kernel", KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=writer, env=environment()) as process:
        for line in process.stdout:
            if b"type help" in line:
                break
        process.stdin.write(b"\x01h")
        process.stdin.flush()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        ends(process, SIGNAL)
    os.close(reader)
    os.close(writer)


HANG = """
#include <fcntl.h>
#include <unistd.h>
long pwritev(int fd, const void *part, int count, long offset) { creat(SIGN, 0600); for (;;) pause(); }
long pwritev64(int fd, const void *part, int count, long offset) { return pwritev(fd, part, count, offset); }
"""


@case("kvm", "SIGTERM while a reset waits for a disk that hangs", asan=False, reset=True, status=SIGNAL)
@case("kvm", "time-out while a reset waits for a disk that hangs", asan=False, reset=True, limit=3, status=TIMEOUT)
@case("kvm", "time-out while a disk hangs", asan=False, reset=False, limit=3, status=TIMEOUT)
def disk_hangs(binary, reset, status, limit=0):
    """As one on a server that does not answer; a reset waits for it with the devices locked."""
    with scratch() as folder:
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", f'-DSIGN="{folder}/hangs"', "-x", "c", "-o",
                        f"{folder}/hang.so", "-"], input=HANG.encode(), check=True)
        with open(f"{folder}/disk", "wb") as file:
            file.truncate(1 << 20)
        command = guest_command(binary, "build/guest/lessons/hostile-blk.elf" if reset else KERNEL,
                                append="" if reset else "run=blk+write+0+x", machine=f",timeout={limit}",
                                options=("-drive", f"if=virtio,format=raw,file={folder}/disk", "-device", "virtio-rng-device"))
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env=environment({"LD_PRELOAD": f"{folder}/hang.so"})) as process:
            wait_until(lambda: os.path.exists(f"{folder}/hangs"), "a write that hangs")
            if not limit:
                time.sleep(0.5)
                process.send_signal(signal.SIGTERM)
            ends(process, status)


@case("kvm", "serial line to a FIFO that nobody opens or reads")
def serial_fifo(binary):
    with scratch() as folder:
        fifo = f"{folder}/fifo"
        os.mkfifo(fifo)
        command = [binary, "-M", "microvm", "-bios", rom(f"{folder}/test.rom", PRINT), "-serial", f"file:{fifo}"]
        with started(command) as process:
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            ends(process, -signal.SIGTERM)  # it has not begun
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with started(command) as process:
            wait_for_signals(process)
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            ends(process, SIGNAL)
        os.close(reader)


@case("kvm", "every signal blocked by the parent")
def blocked_signals(binary):
    with scratch() as folder:
        kernel = rom(f"{folder}/test.rom", LOOP)

        def block():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        ended = run(guest_command(binary, kernel, machine=",timeout=1"), preexec_fn=block)
        expect_status(ended, TIMEOUT)
        with started(guest_command(binary, kernel), preexec_fn=block) as process:
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            ends(process, SIGNAL)


@case("kvm", "terminal: Ctrl-A x without a serial port")
def quit_key_without_serial(binary):
    with scratch() as folder:
        with Terminal([binary, "-M", "microvm,isa-serial=off", "-nographic", "-bios",
                       rom(f"{folder}/test.rom", LOOP)]) as terminal:
            terminal.wait_until(terminal.is_raw, "a raw terminal")
            terminal.type("\x01x")
            terminal.ends(SIGNAL)


@case("kvm", "terminal: SIGUSR1, which nobody expects", number=signal.SIGUSR1)
@case("kvm", "terminal: SIGALRM, which nobody expects", number=signal.SIGALRM)
def other_signal(binary, number):
    with scratch() as folder:
        with Terminal([binary, "-nographic", "-bios", rom(f"{folder}/test.rom", LOOP)]) as terminal:
            terminal.wait_until(terminal.is_raw, "a raw terminal")
            terminal.process.send_signal(number)
            terminal.ends(-number)


@case("kvm", "few descriptors")
def few_descriptors(binary):
    """Each step that finds none left says so, and the last of them is past."""
    needed = None
    for limit in range(7, 30):
        ended = run(guest_command(binary, append="run=poweroff", options=("-smp", "2")),
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        if ended.status == POWEROFF:
            needed = limit
            break
        expect_one_line(ended, INTERNAL, "Too many open files")
    expect(needed, "expected a guest that runs with 29 descriptors")


@case("kvm", "no memory for the guest", asan=False)  # whose own memory passes the limit
def no_memory(binary):
    limit = 256 << 20
    ended = run(guest_command(binary, options=("-m", "1G")),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    expect_one_line(ended, INTERNAL, "cannot get 1024 MiB of guest memory")


@case("kvm", "file sizes are limited", asan=False)  # which writes its counters to files
def file_limit(binary):
    with scratch() as folder:
        path = f"{folder}/serial"
        ended = run([binary, "-M", "microvm,timeout=20", "-kernel", KERNEL, "-append", "run=zoo,poweroff", "-serial",
                     f"file:{path}"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
        expect_status(ended, POWEROFF)
        expect(os.path.getsize(path) == 100, "expected as much of the guest's words as may be written", ended)


def random_code(seed):
    """Straight real-mode code that pokes ports and the ROM with every size, then starts again. It
    does not reset the machine: that would be its end, always at the same place."""
    chance = random.Random(seed)
    ports = [0x60, 0x64, 0x70, 0x71, 0x80, 0xf4, 0x61, 0x40, 0x20, 0xcf8, 0xffff, 0xfffd, 0x5f, 0x62,
             *range(0x3f6, 0x402)]
    code = b"\xfa\xb8\x00\xf0\x8e\xd8\x31\xc0\x8e\xc0"  # cli; ds = 0xf000, the ROM; es = 0
    while len(code) < 0xe000:
        port = chance.choice(ports) if chance.random() < 0.9 else chance.randrange(0x10000)
        value = chance.randrange(1 << 32)
        resets = port in range(0x61, 0x65)
        if resets:
            value &= 0x7f7f7f7f
        code += b"\xba" + port.to_bytes(2, "little") + b"\x66\xb8" + value.to_bytes(4, "little")
        code += b"\xb9" + chance.randrange(chance.choice((2, 20, 5000))).to_bytes(2, "little")  # cx
        code += b"\xbf\x00\x10\xbe" + chance.randrange(0xfff0).to_bytes(2, "little")  # di = 0x1000; si
        pokes = [b"\xec", b"\xed", b"\x66\xed", b"\xee", b"\xef", b"\x66\xef",  # in, out
                 b"\xf3\x6c", b"\xf3\x6d", b"\xf3\x66\x6d",  # rep ins
                 b"\x88\x04", b"\x89\x04", b"\x66\x89\x04"]  # writes to the ROM
        if not resets:
            pokes += [b"\xb5\x00\xf3\x6e", b"\xb5\x00\xf3\x66\x6f"]  # rep outs of 255 at the most
        code += chance.choice(pokes)
    return code + b"\xe9" + (-len(code) - 3 & 0xffff).to_bytes(2, "little")


@case("kvm", "random pokes at every device")
def random_pokes(binary):
    with scratch() as folder:
        for seed in range(3):
            command = [binary, "-M", "microvm,timeout=1", "-nographic", "-bios",
                       rom(f"{folder}/test.rom", random_code(seed)), "-trace", f"exits,file={folder}/trace"]
            ended = run(command)
            expect_status(ended, TIMEOUT)
            expect(os.path.getsize(f"{folder}/trace") > 10000, "expected a long trace", ended)
