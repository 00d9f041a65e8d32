"""Test groups in nested machines, which scripts/with-kvm boots: their results passed on.

A machine has one processor, so each of the host's has a machine. Tests are handed out by label, a new
one for each that has ended. QEMU's emulation of SVM stands still once in a while: what such a machine
has not finished is run in another, once, and a line says so.
"""
import collections
import functools
import itertools
import os
import queue
import re
import subprocess
import sys
import threading

import harness
from harness import Result

BACKEND = "nested svm"  # its name in docs/backends.md
WITH_KVM = "scripts/with-kvm"
MACHINES = max(1, min(4, os.cpu_count()))
AT_ONCE = 2  # tests in a machine: there is one that works while another waits
SILENCE = 180  # seconds without a result, longer than any test's own patience, after which a machine stands still
LINE = re.compile(r"(ok|FAIL|skip) +(.*)$")
DETAIL = "      | "
CLOSING = re.compile(r"\d+ passed, \d+ failed, \d+ skipped$")


def is_nested():
    """True inside the nested machine."""
    return os.environ.get("WITH_KVM") == "nested"


@functools.lru_cache
def prepare():
    """Where a kernel has to be downloaded, that is done before a test looks at what is said, and how long it takes."""
    subprocess.run([sys.executable, "-Bc", "import kernel; kernel.prepare()"], check=False,
                   env=dict(os.environ, PYTHONPATH="scripts/nested"))


def groups(*names, again=False):
    """The results of these groups, run there; AGAIN: the host has run them, and what asks nothing of KVM is left out."""
    cases = harness.chosen(*names)
    if again:
        for known in cases:
            if not known.nested:
                yield Result(known.label, "skip", "it asks nothing of KVM, and has run on the host", where=BACKEND)
    prepare()
    work = Work([known.label for known in cases if known.nested or not again])
    servers = [threading.Thread(target=work.serve, daemon=True) for _ in range(MACHINES)]
    for server in servers:
        server.start()
    for _ in servers:
        yield from iter(work.found.get, None)
    for label in work.todo:
        yield Result(label, "FAIL", "no nested machine was left to run it", where=BACKEND)


class Stalled(Exception):
    """The machine has ended, or was ended, before its tests had."""


class Work:
    """todo: labels of tests; found: their results, and None when a server has ended."""

    def __init__(self, labels):
        self.todo, self.found = collections.deque(labels), queue.Queue()
        self.lost = set()  # labels that a machine has not finished

    def serve(self):
        """A machine; where it stands still, another."""
        try:
            for _ in range(2):
                running = set()
                try:
                    if self.todo:
                        self.machine(running)
                    break
                except Stalled as reason:
                    self.give_back(running, str(reason))
        except Exception as error:  # pylint: disable=broad-except
            self.found.put(Result("nested machine", "FAIL", repr(error), where=BACKEND))
        self.found.put(None)

    def give_back(self, labels, reason):
        self.found.put(Result("nested machine", "skip", f"{reason.splitlines()[0]}; another runs {', '.join(labels)}",
                              where=BACKEND))
        for label in sorted(labels):
            if label in self.lost:
                self.found.put(Result(label, "FAIL", f"a second machine stands still with it: {reason}", where=BACKEND))
            else:
                self.lost.add(label)
                self.todo.append(label)

    def machine(self, running):
        """Runs tests in a machine until there are none; RUNNING has those that have begun."""
        with subprocess.Popen([WITH_KVM, "--nested", "tests/run", "--labels"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            lines = queue.Queue()
            threading.Thread(target=lambda: [lines.put(line) for line in itertools.chain(process.stdout, [None])],
                             daemon=True).start()
            try:
                self.converse(process, iter(lambda: lines.get(timeout=SILENCE), None), running)
            except queue.Empty:
                raise Stalled(f"no result for {SILENCE} s") from None
            finally:
                process.terminate()

    def converse(self, process, lines, running):
        result, tail, closed = None, [], False
        try:
            self.hand_out(process, running)
            for line in lines:
                begin = LINE.match(line)
                if begin:
                    if result:
                        self.found.put(result)
                    result = to_result(begin[1], begin[2], running)
                    running.discard(result.name)
                    self.hand_out(process, running)
                elif result and line.startswith(DETAIL):
                    result.detail += line[len(DETAIL):]
                else:
                    closed = closed or bool(CLOSING.match(line))
                    tail = tail[-20:] + [line]
        finally:
            if result:
                self.found.put(result)
        if running or not closed or process.wait() not in (0, 1):
            raise Stalled(f"ended early, with status {process.wait()}\n{''.join(tail)}")

    def hand_out(self, process, running):
        while len(running) < AT_ONCE:
            try:
                label = self.todo.popleft()
            except IndexError:
                break
            running.add(label)
            try:
                os.write(process.stdin.fileno(), f"{label}\n".encode())
            except BrokenPipeError:  # the end of its lines will say more
                break
        if not running:
            process.stdin.close()


def to_result(status, rest, labels):
    """Of a line "LABEL  [BACKEND]: WHY": a label may have colons and blanks of its own."""
    label = max((known for known in labels if rest.startswith(known)), key=len, default=rest)
    where, why = re.match(r"(?:  \[(.*?)\])?(?:: (.*))?", rest[len(label):]).groups()
    return Result(label, status, why or "", where=where or BACKEND)
