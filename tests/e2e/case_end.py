"""How a run ends: time-outs, signals, crashes without a kernel, KVM's refusals."""
import signal
import socket
import subprocess
import time

from harness import (CRASH, KVM_FAIL, POWEROFF, SIGNAL, TIMEOUT, Skip, boot, case, environment, expect,
                     expect_status, expect_text, guest_command, kvm_backend, scratch, text, check_sanitizers, Ended)
from roms import HALT, LOOP, RESET, TRIPLE, UD2, rom

VMCALL = "build/guest/lessons/vmcall.elf"


def boot_code(binary, code, machine="", options=()):
    with scratch() as folder:
        return boot(binary, kernel=rom(f"{folder}/test.rom", code), machine=machine, options=options)


@case("kvm", "a post-mortem is written line by line")
def whole_lines(binary):
    """Another program's lines on the same terminal or log come between lines, not between words."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    with ours, scratch() as folder:
        with theirs, subprocess.Popen(guest_command(binary, kernel=rom(f"{folder}/test.rom", TRIPLE)), stderr=theirs,
                                      stdin=subprocess.DEVNULL, env=environment()) as process:
            theirs.close()
            writes = list(iter(lambda: text(ours.recv(1 << 16)), ""))
    ended = check_sanitizers(Ended(process.args, process.returncode, "", "".join(writes)))
    expect_status(ended, CRASH)
    expect(len(writes) > 5, "expected a report of several lines", ended)
    expect(all(written.endswith("\n") for written in writes), f"expected whole lines: {writes}")


@case("kvm", "time-out of a looping guest", code=LOOP, where="was running at RIP")
@case("kvm", "time-out of a halted guest", code=HALT, where="halted with interrupts off")
def time_out(binary, code, where):
    start = time.monotonic()
    ended = boot_code(binary, code, machine=",timeout=1")
    took = time.monotonic() - start
    expect_status(ended, TIMEOUT)
    expect(0.9 < took < 20, f"expected the end after 1 s, not after {took:.1f} s", ended)
    expect_text(ended.err, where, ended)


@case("kvm", "time-out of a kernel names the symbol")
def time_out_symbol(binary):
    ended = boot(binary, machine=",timeout=1")
    expect_status(ended, TIMEOUT)
    expect_text(ended.err, r"\([a-z_]+\+0x[0-9a-f]+\)", ended)


@case("kvm", "ROM resets with -no-reboot")
def rom_reset(binary):
    expect_status(boot_code(binary, RESET), POWEROFF)


@case("kvm", "ROM in 1M of RAM")
def rom_small(binary):
    expect_status(boot_code(binary, RESET, options=("-m", "1M")), POWEROFF)


@case("kvm", "ROM without an interrupt controller")
def rom_without_irqchip(binary):
    expect_status(boot_code(binary, RESET, machine=",kernel-irqchip=off"), POWEROFF)


@case("kvm", "halt for ever without an interrupt controller")
def halt_without_irqchip(binary):
    """Nothing can wake this guest, so HLT is its end."""
    ended = boot_code(binary, HALT, machine=",kernel-irqchip=off,timeout=10")
    expect_status(ended, POWEROFF)


@case("kvm", "triple fault of a ROM")
def rom_crash(binary):
    ended = boot_code(binary, TRIPLE)
    expect_status(ended, CRASH)
    expect_text(ended.err, r"(?i)triple fault", ended)
    if kvm_backend() != "svm":  # it resets the vCPU: no registers are left to show
        expect_text(ended.err, r"(?i)protected mode", ended)


@case("kvm", "instruction that KVM cannot emulate")
def kvm_refuses(binary):
    if kvm_backend() != "software":
        raise Skip("only a software KVM refuses instructions")
    ended = boot_code(binary, UD2)
    expect_status(ended, KVM_FAIL)
    expect_text(ended.err, r"\b0f 0b\b", ended)


def by_signal(number, command, prompt=b""):
    """Sends the signal half a second after the guest has printed PROMPT; returns how it ended."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment()) as process:
        out = b""
        while prompt not in out:
            more = process.stdout.read1()
            expect(more, f"the guest ended before the signal: {text(out)}")
            out += more
        time.sleep(0.5)
        process.send_signal(number)
        try:
            rest, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    ended = check_sanitizers(Ended(command, process.returncode, text(out + rest), text(err)))
    expect_status(ended, SIGNAL)
    return ended


@case("kvm", "SIGTERM", number=signal.SIGTERM)
@case("kvm", "SIGINT", number=signal.SIGINT)
@case("kvm", "SIGHUP", number=signal.SIGHUP)
@case("kvm", "SIGQUIT", number=signal.SIGQUIT)
def ended_by_signal(binary, number):
    ended = by_signal(number, guest_command(binary), b"type help")
    expect_text(ended.err, rf"\Akvmlens: .*signal {int(number)}\b.*\n\Z", ended)


@case("kvm", "SIGTERM of a guest that never exits")
def ended_by_signal_in_loop(binary):
    with scratch() as folder:
        by_signal(signal.SIGTERM, guest_command(binary, rom(f"{folder}/test.rom", LOOP)))


@case("kvm", "SIGINT of a guest that KVM hangs on")
def ended_by_signal_in_kvm(binary):
    """Without a time limit it is a person who ends it, and learns the same."""
    if kvm_backend() != "software":
        raise Skip("only a software KVM hangs, and that on vmcall")
    ended = by_signal(signal.SIGINT, guest_command(binary, VMCALL), b"POLL_IRQ)\r\n")
    expect_text(ended.out, r"^next: vmm?call.*\n\Z", ended)
    expect_text(ended.err, r"^vCPU 0 was running at RIP .*\(hypercall\+0x", ended)
    expect_text(ended.err, "`vmcall` there never returns", ended)


@case("kvm", "SIGTERM with 4 processors running")
def ended_by_signal_smp(binary):
    by_signal(signal.SIGTERM, guest_command(binary, append="run=smp", options=("-smp", "4")), b"type help")
