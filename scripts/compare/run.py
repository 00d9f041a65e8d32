"""One run of one VMM, and what can be known of it."""
import collections
import math
import os
import re
import signal
import socket
import subprocess
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
PLAIN, PHASES, COUNTS = "plain", "phases", "counts"  # the kinds of runs

Ended = collections.namedtuple("Ended", "status output errors limited")


class Failed(Exception):
    """The host does not let us measure; the text says why."""


class Launcher:
    """The program launch.c, compiled into FOLDER."""

    def __init__(self, folder):
        self.folder = folder
        self.program = os.path.join(folder, "launch")
        source = os.path.join(HERE, "launch.c")
        command = [os.environ.get("CC", "gcc"), "-std=gnu17", "-O2", "-static", "-D_GNU_SOURCE", "-o", self.program,
                   source]
        try:
            subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", None) or "").strip() or error
            raise Failed(f"cannot compile {source}: {reason}") from error

    def run(self, words, limit_s, watch=False, started=None, exiting=None):
        """Runs a command; STARTED(pid) is called before it begins, EXITING(pid) while its last thread
        ends. Returns (Ended, {what the launcher tells})."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            output, errors = f"{folder}/output", f"{folder}/errors"
            ours, theirs = socket.socketpair()
            command = [self.program, str(theirs.fileno()), str(int(watch)), str(math.ceil(limit_s * 1000)), output, errors,
                       *words]
            with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL) as process:
                theirs.close()
                try:
                    facts = self._converse(ours, started, exiting)
                except BaseException:
                    process.kill()  # and its child with it
                    raise
            if facts is None:
                raise Failed("launch has ended without a word")
            return Ended(status_text(facts), text_of(output), text_of(errors), bool(facts["limited"])), facts

    @staticmethod
    def _converse(ours, started, exiting):
        pid = None
        with ours.makefile("rw", encoding="ascii") as lines:
            for line in lines:
                word, *rest = line.split()
                if word == "done":
                    return {key: int(value) for key, value in (item.split("=") for item in rest)}
                if word == "pid":
                    pid = int(rest[0])
                    if started:
                        started(pid)
                elif exiting and os.path.isdir(f"/proc/{pid}/task/{rest[0]}"):
                    exiting(pid)
                lines.write("\n")
                lines.flush()
        return None


def status_text(facts):
    """The exit status, or what ended it."""
    if facts["limited"]:
        return "time limit"
    if os.WIFSIGNALED(facts["status"]):
        return signal.Signals(os.WTERMSIG(facts["status"])).name
    return str(os.WEXITSTATUS(facts["status"]))


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


# --- /proc, of a process that stands still at its end ---------------------------------------------------------------

def look(pid, ram_bytes):
    """What /proc tells of PID; None where its memory is already gone."""
    facts = {}
    try:
        rollup = text_of(f"/proc/{pid}/smaps_rollup")
        facts["pss_kib"] = int(re.search(r"^Pss: +(\d+)", rollup, re.M)[1])
        facts["touched_kib"] = touched(text_of(f"/proc/{pid}/smaps"), ram_bytes)
        facts["files"] = len(os.listdir(f"/proc/{pid}/fd"))
        facts["mapped"] = mapped(pid)
        ticks = int(text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()[40])  # guest_time, proc(5)
        facts["guest_ms"] = ticks * 1000 / os.sysconf("SC_CLK_TCK")
    except (OSError, TypeError):
        return None
    return facts


def touched(smaps, ram_bytes):
    """KiB of guest RAM that the host had to provide: of the mappings that are as large as it. None: there is none."""
    low = 3 << 30  # what does not fit below the devices may be a mapping of its own
    sizes = {ram_bytes // 1024} | ({low // 1024, (ram_bytes - low) // 1024} if ram_bytes > low else set())
    found = [int(rss) for size, rss in re.findall(r"^Size: +(\d+) kB\n(?:\w+: .*\n)*?Rss: +(\d+) kB", smaps, re.M)
             if int(size) in sizes]
    return sum(found) if found else None


def mapped(pid):
    """{path: bytes} of the program and the libraries that it has loaded."""
    program = os.readlink(f"/proc/{pid}/exe")
    paths = {line.split(maxsplit=5)[5] for line in text_of(f"/proc/{pid}/maps").splitlines()
             if re.match(r"\S+ ..x", line) and "/" in line}
    return {path: os.path.getsize(path) for path in sorted(paths, key=lambda path: (path != program, path))
            if os.path.isfile(path)}
