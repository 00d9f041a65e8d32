"""What KVM itself tells: its trace events (-trace kernel), its counters, and the ioctls that make a VM."""
import glob
import json
import os
import re
import signal
import stat
import subprocess
import time

from harness import POWEROFF, Skip, boot, case, expect, expect_status, expect_text, guest_command, mount_tracefs, scratch

INSTANCES = "/sys/kernel/tracing/instances"


def need_tracefs():
    if os.geteuid() != 0:
        raise Skip("only root reads tracefs")
    mount_tracefs()
    if not os.path.isdir("/sys/kernel/tracing/events/kvm"):
        raise Skip("this kernel has no tracefs with KVM's events")


def instances(pid=""):
    return glob.glob(f"{INSTANCES}/kvmlens-{pid}*")


def records(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@case("kvm", "trace: the kernel's events between the exits")
def kernel_events(binary):
    """As many exits to userspace as the trace has, in its order; the vCPU is told; nothing stays behind."""
    need_tracefs()
    with scratch() as folder:
        ended = boot(binary, "run=zoo,poweroff", options=("-trace", f"kernel,format=jsonl,file={folder}/t"))
        expect_status(ended, POWEROFF)
        expect(ended.err == "", "expected silence on stderr", ended)
        header, *events, footer = records(f"{folder}/t")
    expect(header["kernel"] is True, "expected a header that promises the kernel's events")
    kernel = [event for event in events if event["k"] == "kernel"]
    exits = [event for event in events if event["k"] not in ("kernel", "note")]
    left = [event for event in kernel if event["raw"] == "kvm_userspace_exit"]
    expect(len(left) == len(exits) == footer["exits"],
           f"expected as many kvm_userspace_exit as exits: {len(left)}, {len(exits)}, {footer['exits']}")
    expect({event["c"] for event in left} == {0}, "expected the exits on vCPU 0")
    named = {(event.get("dev"), event.get("reg")) for event in kernel}
    expect({("PIT", "channel"), ("PIC", "master data"), ("LAPIC", "ID"), ("IOAPIC", "IOWIN")} <= named,
           f"expected KVM's devices by name: {named}")
    names = {event["raw"] for event in kernel}
    expect("kvm_set_irq" in names and ("kvm_entry" in names or "kvm_emulate_insn" in names),
           f"expected interrupts and entries or instructions, found {names}")
    # An exit is shown once its handling is over: behind the kernel's event of it.
    seen = 0
    for event in events:
        if event["k"] == "kernel":
            seen += event["raw"] == "kvm_userspace_exit"
        elif event["k"] != "note":
            seen -= 1
            expect(seen == 0, f"an exit out of order: {event}")
    times = [event["t"] for event in kernel]
    expect(times == sorted(times), "expected the kernel's events in the order of time")
    expect(all(os.path.exists(f"/proc/{re.search(r'-([0-9]+)', path).group(1)}") for path in instances()),
           f"expected no instance of an ended run: {instances()}")


@case("kvm", "trace: devices that are not in the kernel have no name there")
def kernel_devices(binary):
    need_tracefs()
    with scratch() as folder:
        ended = boot(binary, "run=zoo,poweroff", machine=",kernel-irqchip=off",
                     options=("-trace", f"kernel,format=jsonl,file={folder}/t,filter=exit=kvm_pio"))
        expect_status(ended, POWEROFF)
        events = records(f"{folder}/t")[1:-1]
    expect(len(events) > 100, f"expected accesses to ports, found {len(events)}")
    expect(not any("dev" in event for event in events), "expected no device of KVM's")


@case("kvm", "trace: every vCPU's kernel events")
def kernel_events_smp(binary):
    need_tracefs()
    with scratch() as folder:
        ended = boot(binary, "run=smp,poweroff",
                     options=("-smp", "3", "-trace", f"kernel,format=jsonl,file={folder}/t"))
        expect_status(ended, POWEROFF)
        events = records(f"{folder}/t")[1:-1]
    for kind in ("kvm_userspace_exit", None):
        vcpus = {event.get("c") for event in events if event["k"] == "kernel" and event["raw"] == (kind or event["raw"])}
        expect({0} <= vcpus, f"expected vCPU 0 among {vcpus}")
    expect({0, 1, 2} <= vcpus, f"expected all three vCPUs among {vcpus}")


@case("kvm", "trace: KVM's own count of exits")
def statistics(binary):
    with scratch() as folder:
        few, many = (footer_of(binary, folder, f"run=bench+{count},poweroff") for count in (1000, 3000))
    if not few["stats"]:
        raise Skip("this KVM has no statistics")
    expect(few["stats"]["exits"] >= few["exits"] > 1000, f"expected KVM to count each exit: {few}")
    for counts in (few, many):  # the guest's FPU is loaded once for each KVM_RUN
        expect(abs(counts["stats"]["fpu_reload"] - counts["exits"]) <= 1, f"expected one count of KVM_RUN: {counts}")
    more = many["stats"]["exits"] - few["stats"]["exits"]
    expect(more > 1900, f"expected that KVM counts 2000 exits more, found {more}")


def footer_of(binary, folder, append):
    ended = boot(binary, append, options=("-trace", f"exits,format=jsonl,file={folder}/t"))
    expect_status(ended, POWEROFF)
    return records(f"{folder}/t")[-1]


@case("kvm", "trace: an instance that a killed run left is removed")
def killed(binary):
    need_tracefs()

    def another_run():
        expect_status(boot(binary, kernel="build/guest/lessons/hello.elf", options=("-trace", "kernel,file=/dev/null")),
                      POWEROFF)

    command = guest_command(binary, append="", options=("-trace", "kernel,file=/dev/null"), machine=",timeout=20")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as running:
        end = time.monotonic() + 10
        while not instances(running.pid) and time.monotonic() < end:
            time.sleep(0.01)
        expect(len(instances(running.pid)) == 1, "expected an instance of the running guest")
        # Another run leaves it alone.
        another_run()
        expect(len(instances(running.pid)) == 1, "expected that the running guest keeps its instance")
        running.send_signal(signal.SIGKILL)
        running.wait()
    expect(len(instances(running.pid)) == 1, "expected an instance that nobody removed")
    another_run()
    expect(not instances(running.pid), "expected the next run to remove it")


@case("kvm", "trace: a signal ends the guest, and its instance")
def ended_by_signal(binary):
    need_tracefs()
    command = guest_command(binary, append="", options=("-trace", "kernel,file=/dev/null"), machine=",timeout=20")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as running:
        running.stdout.read(1)
        running.send_signal(signal.SIGTERM)
        running.stdout.read()
    expect(not instances(running.pid), "expected no instance after SIGTERM")


def give_kvm(folder):
    """A /dev/kvm for everybody."""
    try:
        os.mknod(f"{folder}/kvm", stat.S_IFCHR, os.stat("/dev/kvm").st_rdev)
        os.chmod(f"{folder}/kvm", 0o666)
        os.close(os.open(f"{folder}/kvm", os.O_RDWR))
    except OSError as error:
        raise Skip(f"no device node can be made here: {error.strerror}") from error


def without_rights(binary, prefix, words):
    """The line that says so, and the exits all the same."""
    with scratch() as folder:
        os.chmod(folder, 0o777)
        if os.geteuid() == 0:
            give_kvm(folder)
        command = guest_command(binary, append="run=poweroff", machine=",timeout=20",
                                options=("-trace", f"kernel,file={folder}/t"))
        ended = subprocess.run([*prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, check=False,
                               env={**os.environ, "KVMLENS_DEV_KVM": f"{folder}/kvm"} if os.geteuid() == 0 else None)
        expect(ended.returncode == POWEROFF, f"expected the guest to run: {ended.stderr}")
        expect(ended.stderr.count("\n") == 1 and re.search(words, ended.stderr),
               f"expected one line with {words}: {ended.stderr}")
        with open(f"{folder}/t", encoding="utf-8") as file:
            text = file.read()
    expect_text(text, r"serial THR")
    expect("kvm_" not in text, "expected no events of the kernel")


# Not with the sanitizers: libtracefs forgets memory where it fails.
@case("kvm", "trace: the kernel's events without the right to see them", asan=False)
def not_root(binary):
    if os.geteuid() == 0:
        mount_tracefs()
        without_rights(binary, ["setpriv", "--reuid=65534", "--clear-groups"], r"Permission denied.*root")
    else:
        without_rights(binary, [], r"root")


@case("kvm", "trace: the kernel's events without tracefs", asan=False)
def no_tracefs(binary):
    if os.geteuid() != 0:
        raise Skip("only root hides tracefs from a child")
    hide = 'mount -t tmpfs none /sys/kernel && exec "$@"'
    without_rights(binary, ["unshare", "-m", "sh", "-c", hide, "sh"], r"mount -t tracefs")


@case("kvm", "trace: the life of a VM")
def setup(binary):
    """Its ioctls in order, with arguments, results and reasons; and nothing else."""
    ended = boot(binary, "run=poweroff", options=("-trace", "setup", "-smp", "2"))
    expect_status(ended, POWEROFF)
    expect_text(ended.err, r"(?s)KVM_GET_API_VERSION .* = 12 .*KVM_CREATE_VM .*type 0 = fd \d+  # .*"
                r"KVM_SET_USER_MEMORY_REGION .*slot 0, gpa 0x0, size 0x\w+, host 0x\w+ = 0  #.*KVM_CREATE_IRQCHIP .*"
                r"KVM_SET_CPUID2.*KVM_SET_SREGS .*cr0 0x.*KVM_SET_REGS .*rip 0x", ended)
    expect(len(re.findall(r"KVM_CREATE_VCPU .*id [01] = fd", ended.err)) == 2, "expected two vCPUs", ended)
    expect("KVM_RUN" not in ended.err and "serial" not in ended.err, "expected ioctls alone, without KVM_RUN", ended)
    with scratch() as folder:
        ended = boot(binary, "run=poweroff", options=("-trace", f"setup,format=jsonl,file={folder}/t"))
        expect_status(ended, POWEROFF)
        calls = records(f"{folder}/t")[1:-1]
    expect(calls[0]["reg"] == "KVM_GET_API_VERSION" and calls[0]["text"].endswith("= 12") and calls[0]["rem"],
           f"expected the first ioctl as an object: {calls[0]}")
