"""scripts/with-kvm: a command in the nested machine is as one that was started here."""
import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import termios
import threading
import time

from case_terminal import Terminal
from harness import (Skip, case, environment, expect, expect_status, expect_text, kvm_trouble, run, scratch, text)

WITH_KVM = os.path.abspath("scripts/with-kvm")
NESTED = (WITH_KVM, "--nested")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kvmlens")
PATIENCE = 30  # seconds


@contextlib.contextmanager
def cache():
    """A cache folder of its own, that has a kernel already: (its XDG_CACHE_HOME, it)."""
    expect_status(run([*NESTED, "true"], timeout=300), 0)
    with scratch() as folder:
        os.mkdir(f"{folder}/kvmlens")
        if os.path.exists(f"{CACHE}/kernel"):
            shutil.copytree(f"{CACHE}/kernel", f"{folder}/kvmlens/kernel")
        yield os.path.abspath(folder), f"{folder}/kvmlens"


def processes(mark):
    """Those that have MARK in their environment: {number: command line}."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/environ", "rb") as file:
                if mark.encode() in file.read():
                    with open(f"/proc/{entry}/cmdline", "rb") as command:
                        found[int(entry)] = text(command.read()).replace("\0", " ")[:80]
    return {pid: line for pid, line in found.items() if line}  # one that ended, not waited for, has none


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, f"expected {what}")
        time.sleep(0.05)


def new_mark():
    return f"KVMLENS_TEST_MARK={random.getrandbits(64):x}"


def marked(mark, **more):
    name, value = mark.split("=")
    return {name: value, **more}


@case("with-kvm", "streams, folder, environment, arguments and status")
def streams(_binary):
    script = ('cat; pwd; echo "$A_VALUE|$WITH_KVM|$#|$1|$2" >&2; ls -l /dev/kvm | cut -c1-10; '
              'id -u; echo "$(hostname)"; cat "$3"; exit 85')
    ended = run([*NESTED, "sh", "-c", script, "name", "a  b'\"\\$\n", "ü", "tests/e2e/roms.py"],
                stdin="one\ntwo\n", env={"A_VALUE": "x\ny 'z'"})
    expect_status(ended, 85)
    with open("tests/e2e/roms.py", encoding="utf-8") as file:
        roms = file.read()
    wanted = f"one\ntwo\n{os.getcwd()}\ncrw-rw-rw-\n{os.geteuid()}\n{os.uname().nodename}\n{roms}"
    expect(ended.out == wanted, f"expected on stdout:\n{wanted}", ended)
    wanted = "x\ny 'z'|nested|3|a  b'\"\\$\n|ü\n"
    expect(ended.err == wanted, f"expected on stderr:\n{wanted}", ended)


@case("with-kvm", "true takes less than 8 s")
def fast(_binary):
    times = []
    for _ in range(3):
        start = time.monotonic()
        expect_status(run([*NESTED, "true"], timeout=300), 0)
        times.append(time.monotonic() - start)
    expect(min(times) < 8, f"expected less than 8 s, not {min(times):.1f} s")


@case("with-kvm", "10 MB go in and come out unbroken")
def ten_megabytes(_binary):
    data = random.Random(1).randbytes(10_000_000)
    done = subprocess.run([*NESTED, "sh", "-c", "tee /dev/stderr"], input=data, capture_output=True, timeout=120,
                          env=environment(), check=False)
    expect(done.returncode == 0, f"expected status 0, not {done.returncode}")
    for name, found in (("stdout", done.stdout), ("stderr", done.stderr)):
        expect(found == data, f"{name}: {len(found)} bytes differ from the {len(data)} that went in")


@case("with-kvm", "the tree is written to, at names with a space")
def tree(_binary):
    with scratch() as folder:
        place = os.path.abspath(f"{folder}/a folder")
        os.mkdir(place)
        program = f"{place}/it's a program"
        with open(program, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\npwd >"the result"; touch empty; echo "$1" >"/tmp/$1"; cat "/tmp/$1"; exit 1\n')
        os.chmod(program, 0o755)
        ended = run([*NESTED, program, "with-kvm test"], cwd=place)
        expect_status(ended, 1)
        expect(ended.out == "with-kvm test\n", "expected the line that went through /tmp", ended)
        expect(not os.path.exists("/tmp/with-kvm test"), "expected a /tmp of the machine's own")
        with open(f"{place}/the result", encoding="utf-8") as file:
            expect(file.read() == place + "\n", "expected the program to run in its folder")
        expect(os.stat(f"{place}/empty").st_uid == os.geteuid(), "expected to own what the program made")
        expect(abs(os.stat(f"{place}/empty").st_mtime - time.time()) < 60, "expected the machine to know the time")


@case("with-kvm", "a folder under /tmp is there")
def tree_in_tmp(_binary):
    path = f"/tmp/with-kvm test {os.getpid()}"
    os.mkdir(path)
    try:
        ended = run([*NESTED, "sh", "-c", "pwd; echo hello >file; exit 124"], cwd=path)
        expect_status(ended, 124)
        expect(ended.out == f"{path}\n" and ended.err == "", "expected the folder's name alone", ended)
        expect(os.path.exists(f"{path}/file"), "expected the file that the command made")
    finally:
        shutil.rmtree(path)


@case("with-kvm", "no command, no such command")
def no_command(_binary):
    for command, status, message in (([], 2, "no command"), (["no-such"], 127, "no-such: No such file"),
                                     (["/etc/passwd"], 126, "passwd: Permission denied")):
        ended = run([*NESTED, *command])
        expect_status(ended, status)
        expect_text(ended.err, rf"^with-kvm: .*{message}", ended)


@case("with-kvm", "a command that a signal ends; what it left running ends too")
def death_by_signal(_binary):
    ended = run([*NESTED, "sh", "-c", "sleep 1000 & echo said; kill -TERM $$"])
    expect_status(ended, -signal.SIGTERM)
    expect(ended.out == "said\n" and ended.err == "", "expected what the command said", ended)


@case("with-kvm", "time limit")
def time_limit(_binary):
    mark = new_mark()
    for command in ((*NESTED, "--timeout", "8"), (WITH_KVM, "--timeout", "8")):
        start = time.monotonic()
        ended = run([*command, "sh", "-c", "echo begun; sleep 100"], env=marked(mark))
        took = time.monotonic() - start
        expect_status(ended, 124)
        expect(7.5 < took < 15, f"expected the end after 8 s, not after {took:.1f} s", ended)
        expect(ended.out == "begun\n", "expected what the command said", ended)
        if "--nested" in command:
            expect_text(ended.err, r"^with-kvm: time limit: sh has not ended after 8 s$", ended)
        expect(not processes(mark), f"left running: {processes(mark)}", ended)


@case("with-kvm", "a reader that goes away")
def broken_pipe(_binary):
    with subprocess.Popen([*NESTED, "yes"], stdout=subprocess.PIPE, env=environment()) as process:
        process.stdout.read(2)
        process.stdout.close()
        expect(process.wait(PATIENCE) == -signal.SIGPIPE, f"expected the end by SIGPIPE, not {process.returncode}")


@case("with-kvm", "SIGTERM reaches the command")
def terminated(_binary):
    script = "trap 'echo trapped; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen([*NESTED, "sh", "-c", script], stdout=subprocess.PIPE, env=environment()) as process:
        expect(process.stdout.readline() == b"ready\n", "expected the command to start")
        process.send_signal(signal.SIGTERM)
        expect(process.stdout.read() == b"trapped\n", "expected the command to catch the signal")
        expect(process.wait(PATIENCE) == 3, f"expected the command's status 3, not {process.returncode}")


@case("with-kvm", "killed half-way")
def killed(_binary):
    """Nothing stays: at the start, while the kernel boots, while the command runs."""
    with cache() as (home, folder):
        for wait in (0.15, 1.5, None):
            mark = new_mark()
            with subprocess.Popen([*NESTED, "sh", "-c", "echo begun; sleep 1000"], stdout=subprocess.PIPE,
                                  env=environment(marked(mark, XDG_CACHE_HOME=home, TMPDIR=home))) as process:
                if wait:
                    time.sleep(wait)
                else:
                    expect(process.stdout.readline() == b"begun\n", "expected the command to start")
                    expect(len(processes(mark)) >= 3, f"expected QEMU and more, found {processes(mark)}")
                process.kill()
                process.wait()
            wait_until(lambda mark=mark: not processes(mark), f"no process {processes(mark)}")
        expect_status(run([*NESTED, "true"], env={"XDG_CACHE_HOME": home}), 0)
        expect(os.listdir(home) == ["kvmlens"], f"left in TMPDIR: {os.listdir(home)}")
        left = [name for name in os.listdir(folder) if not re.match("(kernel|lock|initramfs-.*|groups.so-.*)$", name)]
        expect(not left, f"left in the cache: {left}")


@case("with-kvm", "a part of the machine dies")
def part_dies(_binary):
    for part in ("qemu-system", "virtiofsd"):
        mark = new_mark()
        with subprocess.Popen([*NESTED, "sh", "-c", "echo begun; sleep 1000"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment(marked(mark))) as process:
            expect(process.stdout.readline() == b"begun\n", "expected the command to start")
            for pid, command in processes(mark).items():
                if command.split()[0].rpartition("/")[2].startswith(part):
                    os.kill(pid, signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE)
        expect(process.returncode == 125, f"expected status 125, not {process.returncode}", text(err))
        expect_text(text(err), "^with-kvm: the nested machine ended before the command did:$")
        expect(not processes(mark), f"left running: {processes(mark)}")


@case("with-kvm", "two at once, the first time; what is old is cleared away")
def two_at_once(_binary):
    with cache() as (home, folder):
        ends = []
        with open(f"{folder}/initramfs-of-old", "w", encoding="ascii"):
            os.utime(f"{folder}/initramfs-of-old", (0, 0))

        def one(number):
            ends.append((number, run([*NESTED, "sh", "-c", f"echo {number}; exit {number}"],
                                     env={"XDG_CACHE_HOME": home})))

        threads = [threading.Thread(target=one, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(len(ends) == 2, "expected two ends")
        for number, ended in ends:
            expect_status(ended, number)
            expect(ended.out == f"{number}\n", "expected its own output", ended)
        made = [name for name in os.listdir(folder) if name.startswith("initramfs")]
        expect(len(made) == 1, f"expected one initramfs, found {made}")


@contextlib.contextmanager
def without_kernel(*tools):
    """An environment with an empty cache folder, and TOOLS (name, script) in place of the host's."""
    if any(os.path.isdir(f"/lib/modules/{name}/kernel") for name in os.listdir("/lib/modules")
           ) if os.path.isdir("/lib/modules") else False:
        raise Skip("this host has a kernel of its own, so none is downloaded")
    with scratch() as folder:
        place = os.path.abspath(folder)
        os.mkdir(f"{place}/bin")
        for name in os.listdir("/usr/bin"):
            if not re.match(r"apt|dpkg|dnf|pacman", name):
                os.symlink(f"/usr/bin/{name}", f"{place}/bin/{name}")
        for name, script in tools:
            with open(f"{place}/bin/{name}", "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{script}\n")
            os.chmod(f"{place}/bin/{name}", 0o755)
        yield {"PATH": f"{place}/bin", "XDG_CACHE_HOME": f"{place}/cache"}, f"{place}/cache/kvmlens"


@case("with-kvm", "a kernel that cannot be downloaded")
def download_fails(_binary):
    failing = ("apt-get", 'echo "E: Failed to fetch the package" >&2; exit 100')
    known = ("apt-cache", "echo '  Depends: linux-image-6.1.0-1-cloud-amd64'")
    with without_kernel(failing, known, ("dpkg-deb", "exit 1")) as (env, folder):
        ended = run([*NESTED, "true"], env=env)
        expect_status(ended, 125)
        for pattern in (r"downloading linux-image-cloud-amd64 to .*/kvmlens$", r"apt-get download: Failed to fetch",
                        r"apt-get update: Failed to fetch", r"apt-get install linux-image-cloud-amd64"):
            expect_text(ended.err, pattern, ended)
        expect(ended.err.count("\n") == 2, "expected two lines", ended)
        expect(os.listdir(folder) == ["lock"], f"left in the cache: {os.listdir(folder)}")


@case("with-kvm", "a distribution without apt")
def other_distribution(_binary):
    with without_kernel(("dnf", "exit 1")) as (env, _):
        ended = run([*NESTED, "true"], env=env)
        expect_status(ended, 125)
        expect_text(ended.err, r"^with-kvm: there is no kernel .*Fedora: sudo dnf install .*Arch: sudo pacman", ended)
        expect(ended.err.count("\n") == 1, "expected one line", ended)


@case("with-kvm", "a program is missing")
def missing_tool(_binary):
    with without_kernel(("dnf", "exit 1")) as (env, folder):
        os.makedirs(folder)
        if os.path.exists(f"{CACHE}/kernel"):
            os.symlink(f"{CACHE}/kernel", f"{folder}/kernel")
        os.remove(f"{env['PATH']}/qemu-system-x86_64")
        ended = run([*NESTED, "true"], env=env)
        expect_status(ended, 125)
        expect_text(ended.err, r"^with-kvm: qemu-system-x86_64, .* is missing: sudo dnf install qemu", ended)


@case("with-kvm", "usable /dev/kvm: the command just runs")
def here(_binary):
    if kvm_trouble():
        raise Skip(kvm_trouble())
    ended = run([WITH_KVM, "sh", "-c", 'echo "${WITH_KVM-here}"; exit 3'], timeout=3)
    expect_status(ended, 3)
    expect(ended.out == "here\n" and ended.err == "", "expected no nested machine", ended)
    ended = run([WITH_KVM, "sh", "-c", "kill -PIPE $$; echo not reached"])
    expect_status(ended, -signal.SIGPIPE)
    expect_status(run([WITH_KVM, "no-such"]), 127)


@case("with-kvm", "hidden /dev/kvm: one line says why")
def hidden(_binary):
    hide = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c"]
    if os.path.exists("/dev/kvm"):
        if run([*hide, "mount --bind /dev/null /dev/kvm"]).status != 0:
            raise Skip("a mount namespace is not allowed")
        ended = run([*hide, f"mount --bind /dev/null /dev/kvm && exec '{WITH_KVM}' build/kvmlens check"])
    else:
        ended = run([WITH_KVM, "build/kvmlens", "check"])
    expect_status(ended, 0)
    expect_text(ended.out, r"backend: svm", ended)
    expect_text(ended.err, r"^with-kvm: /dev/kvm.*: (Inappropriate ioctl|No such file).*; running in a nested machine "
                r"\(Linux .*, AMD SVM emulated by QEMU\)$", ended)
    expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)


@case("with-kvm", "a user without rights")
def as_user(_binary):
    nobody = 65534
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    with cache() as (home, folder):
        for path, folders, files in os.walk(home):
            for name in [".", *folders, *files]:
                os.chown(f"{path}/{name}", nobody, nobody)
        become = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", "--"]
        if run([*become, "test", "-x", WITH_KVM]).status != 0:
            raise Skip("the tree is closed to other users")
        ended = run([*become, *NESTED, "sh", "-c", "id -u; build/kvmlens check >$XDG_CACHE_HOME/found; "
                     "head -c1 /etc/shadow"], env={"XDG_CACHE_HOME": home})
        expect_status(ended, 1)
        expect(ended.out == f"{nobody}\n", "expected the same user inside", ended)
        expect_text(ended.err, "shadow.*Permission denied", ended)
        expect(os.stat(f"{home}/found").st_uid == nobody, "expected the file to be the user's")
        with open(f"{home}/found", encoding="utf-8") as file:
            expect_text(file.read(), "Yes: this host can run guests", ended)
        expect(stat.S_ISREG(os.stat(f"{folder}/lock").st_mode), "expected the user's cache to be used")


def nested_terminal(script, **keywords):
    return Terminal([*NESTED, "bash", "-c", script], **keywords)


@case("with-kvm", "terminal: a window, raw keys, and the mode as it was")
def terminal_window(_binary):
    script = ('for i in 0 1 2; do test -t $i || echo "not $i"; done; stty size; trap "stty size" WINCH; '
              'echo ready; while ! read -t 0.2 -r line; do :; done; echo "got <$line>"; stty raw -echo; '
              'echo; head -c 1 | od -An -tx1; stty sane; exit 5')
    with nested_terminal(script) as terminal:
        terminal.wait_for("booting the nested machine, ")
        terminal.wait_for("24 120\r\nready\r\n")
        expect("not " not in terminal.seen, f"expected three terminals: {terminal.seen}")
        expect(terminal.is_raw(), "expected a raw terminal while the command runs")
        fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        terminal.wait_for("30 100\r\n")
        terminal.type("worx\x7fd\r")
        terminal.wait_for("got <word>\r\n")
        terminal.wait_for("\n")
        terminal.type("\x03")
        terminal.wait_for("03")
        terminal.ends(5)


@case("with-kvm", "terminal: Ctrl-C interrupts the command")
def terminal_interrupt(_binary):
    with nested_terminal('echo ready; sleep 1000') as terminal:
        terminal.wait_for("ready")
        terminal.wait_until(terminal.is_raw, "a raw terminal")
        terminal.type("\x03")
        terminal.ends(-signal.SIGINT)


@case("with-kvm", "terminal: Ctrl-C while the machine boots")
def terminal_interrupt_boot(_binary):
    with nested_terminal("echo ready") as terminal:
        terminal.wait_for("booting")
        terminal.type("\x03")
        terminal.ends(-signal.SIGINT)


@case("with-kvm", "terminal: Ctrl-] three times ends what does not listen")
def terminal_escape(_binary):
    with nested_terminal("trap '' INT TERM HUP; stty raw; echo ready; while :; do sleep 1; done") as terminal:
        terminal.wait_for("ready")
        terminal.type("\x03\x1d\x1d")
        terminal.type("x\x1d\x1d\x1d")
        terminal.ends(-signal.SIGTERM)


@case("with-kvm", "terminal: only stderr is one")
def terminal_stderr(_binary):
    """As in `echo ... | with-kvm ... | cat`."""
    with Terminal(["bash", "-c", f"echo in | '{WITH_KVM}' --nested bash -c "
                   "'cat; for i in 0 1 2; do test -t $i && echo tty $i >&2; done; exit 6' | "
                   "cat; exit ${PIPESTATUS[1]}"]) as terminal:
        terminal.wait_for("(?s)in\r?\n.*tty 2|tty 2.*in\r?\n")
        terminal.ends(6)
