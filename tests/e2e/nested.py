"""Test groups in the nested machine, which scripts/with-kvm boots: their results passed on.

The machine has one processor, so each of the host's runs a machine of its own with its part of the
tests; results come as they arrive. QEMU's emulation of SVM stands still once in a while: the tests that
such a machine has not run are run in a new one, once, and a line says so.
"""
import os
import queue
import re
import subprocess
import threading

import harness
from harness import Result

BACKEND = "nested svm"  # its name in docs/backends.md
WITH_KVM = "scripts/with-kvm"
LIMIT = 400  # seconds for one machine
WITHOUT = "build/nested-done"  # files with the names of tests that have run
LINE = re.compile(r"(ok|FAIL|skip) +(.*)$")
DETAIL = "      | "
CLOSING = re.compile(r"\d+ passed, \d+ failed, \d+ skipped$")


def is_nested():
    """True inside the nested machine."""
    return os.environ.get("WITH_KVM") == "nested"


def groups(*names, again=False):
    """The results of these groups, run there; AGAIN: the host has run them."""
    count = max(1, min(4, os.cpu_count()))
    found = queue.Queue()
    options = ["--again"] if again else []
    readers = [threading.Thread(target=_run_part, args=(["--part", f"{part}/{count}", *options], names, found.put))
               for part in range(count)]
    for reader in readers:
        reader.start()
    running = count
    while running:
        result = found.get()
        if result is None:
            running -= 1
        else:
            yield result


class Stalled(Exception):
    """The machine has ended, or was ended, before its tests had."""


def _run_part(options, names, put):
    done = []
    try:
        for last_try in (False, True):
            try:
                for result in _results(options, names, done):
                    done.append(result.name)
                    put(result)
                break
            except Stalled as reason:
                put(Result(f"nested machine {' '.join(options)}: all its tests", "FAIL" if last_try else "skip",
                           f"{reason}" if last_try else f"{str(reason).splitlines()[0]}; the rest runs in a new one"))
    except Exception as error:  # pylint: disable=broad-except
        put(Result(f"nested machine {' '.join(options)}", "FAIL", repr(error)))
    put(None)


def _result(status, rest, labels):
    """Of a line "NAME  [BACKEND]: WHY": a name may have colons and blanks of its own."""
    name = max((label for label in labels if rest.startswith(label)), key=len, default=rest)
    where, why = re.match(r"(?:  \[(.*?)\])?(?:: (.*))?", rest[len(name):]).groups()
    return Result(name, status, why or "", where=where or BACKEND)


def _results(options, names, done):
    """The results but those in DONE, as they come."""
    labels = harness.labels(*names)
    command = [WITH_KVM, "--nested", "--timeout", str(LIMIT), "tests/run", *options, *names]
    if harness.only:
        command += ["-k", harness.only]
    if done:
        path = f"{WITHOUT}-{os.getpid()}-{options[1].partition('/')[0]}"
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in done))
        command += ["--without", path]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as run:
        result, tail, closed = None, [], False
        for line in run.stdout:
            begin = LINE.match(line)
            if begin:
                if result:
                    yield result
                result = _result(begin[1], begin[2], labels)
            elif result and line.startswith(DETAIL):
                result.detail += line[len(DETAIL):]
            else:
                closed = closed or bool(CLOSING.match(line))
                tail = tail[-20:] + [line]
        if result:
            yield result
    if not closed or run.returncode not in (0, 1):
        raise Stalled(f"ended early, with status {run.returncode}\n{''.join(tail)}")
