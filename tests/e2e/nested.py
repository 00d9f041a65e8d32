"""Where guests run in a test: the backend's name, and the emulated machine in the place of a missing KVM.

The names are those of docs/backends.md.
"""
import os
import re
import subprocess

import harness
from harness import Result

IN_NESTED = os.environ.get("WITH_KVM") == "nested"
LIMIT = 1200  # seconds for one group


def backend(group):
    """What executes the guests of a group of tests, or None: it has none."""
    if group == "qemu":
        return "qemu-tcg"
    if group not in ("kvm", "asan", "tsan", "qemu-kvm") or harness.kvm_trouble():
        return None
    return "nested svm" if IN_NESTED else f"/dev/kvm ({harness.kvm_backend()})"


def kvm_group():
    """The guests on /dev/kvm; where there is none, in the emulated machine that has one."""
    if harness.kvm_trouble() and not IN_NESTED:
        print(f"      kvm: {harness.kvm_trouble()}; in an emulated machine instead", flush=True)
        ran = yield from elsewhere("kvm")
        if ran:
            return
    yield from harness.group("kvm")


def elsewhere(group):
    """Runs a group there and passes its results on; returns False if that machine cannot be had."""
    command = ["scripts/with-kvm", "--nested", "--timeout", str(LIMIT), "tests/run", group]
    with subprocess.Popen(command + (["-k", harness.only] if harness.only else []), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as run:
        result, rest = None, []
        for line in run.stdout:
            begin = re.match(rf"(ok|FAIL|skip) +{group}/(.*?)  \[(.*?)\](?:: (.*))?$", line)
            if begin:
                if result:
                    yield result
                result = Result(begin[2], begin[1], begin[4] or "", where=begin[3])
            elif result and line.startswith("      | "):
                result.detail += line[8:]
            else:
                rest.append(line)
    if not result:
        print("".join(rest[-4:]), end="", flush=True)
        return False
    yield result
    if run.returncode not in (0, 1):
        yield Result("the emulated machine", "FAIL", f"ended with status {run.returncode}\n{''.join(rest[-20:])}")
    return True
