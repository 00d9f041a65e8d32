"""All runs, in turn: A B A B, each in three ways, so that what counts does not disturb what is timed.

plain    nothing looks but the launcher: the times of the output and the end, CPU time, peak memory
phases   few trace events: KVM_CREATE_VM, the first KVM_RUN, the serial port, marks on the POST port
counts   system calls and exits by trace events, and /proc at the end, while the process stands still
"""
import contextlib

import run
import tracefs
from run import COUNTS, PHASES, PLAIN


class Instruments:
    """What can be looked with. A with block makes the trace instances."""

    def __init__(self, launcher, limit_s):
        self.launcher, self.limit_s = launcher, limit_s
        self.trouble = None  # why there are no trace events
        self._stack = contextlib.ExitStack()
        self._phases = self._counts = self._tally = None
        self._ioctls = tracefs.kvm_ioctls()

    def __enter__(self):
        try:
            with contextlib.ExitStack() as stack:
                self._phases = stack.enter_context(tracefs.Instance("phases", tracefs.PHASES))
                self._counts = stack.enter_context(tracefs.Instance("counts", tracefs.COUNTS))
                self._tally = stack.enter_context(tracefs.Instance("tally", tracefs.TALLY))
                self._stack = stack.pop_all()
        except tracefs.NoTracefs as reason:
            self.trouble = str(reason)
        return self

    def __exit__(self, *_):
        self._stack.close()

    def run(self, vmm, kind, ram_bytes):
        """One run: {fact: value}."""
        found = {}
        instances = {PHASES: [self._phases], COUNTS: [self._counts, self._tally]}.get(kind, []) \
            if not self.trouble else []

        def started(pid):
            for instance in instances:
                instance.start(pid)

        def exiting(pid):  # once for each thread that ends; some of what there was has gone by the last
            for name, value in (run.look(pid, ram_bytes) or {}).items():
                found[name] = value if name == "mapped" else max(found.get(name) or 0, value or 0)

        ended, facts = self.launcher.run(vmm.words, self.limit_s, kind == COUNTS, started, exiting)
        found.update(ended=ended, facts=facts)
        if instances:
            events, lost = instances[0].stop()
            found["lost"] = lost
            if kind == PHASES:
                found["moments"] = {name: (time - facts["start"]) / 1e6
                                    for name, time in tracefs.phases(events).items()}
            else:
                found.update(tracefs.counts(events, self._ioctls), instructions=self._tally.tally())
        return found


def rounds(vmms, instruments, count, ram_bytes, progress):
    """{title: [round]}; a round is {kind: facts}. The first run of each warms up, and is not kept. A VMM that
    reached the time limit is not run again."""
    kept = {vmm.title: [] for vmm in vmms}
    stuck = set()
    for number in range(count + 1):
        for vmm in vmms:
            kinds = (PLAIN,) if number == 0 else (PLAIN, PHASES, COUNTS) if vmm.uses_kvm else (PLAIN, COUNTS)
            found = {}
            for kind in kinds:
                if vmm.title in stuck:
                    break
                progress(f"round {number} of {count}, {vmm.title}: {kind}" if number else f"{vmm.title} warms up")
                found[kind] = instruments.run(vmm, kind, ram_bytes)
                if found[kind]["ended"].limited:
                    stuck.add(vmm.title)
            if found and (number or vmm.title in stuck):
                kept[vmm.title].append(found)
    return kept
