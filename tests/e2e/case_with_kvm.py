"""scripts/with-kvm: a command in the nested machine is as one that was started here."""
import contextlib
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from case_terminal import Terminal
from harness import (SIGNAL, Failed, Skip, case, environment, expect, expect_status, expect_text, kvm_trouble, run, scratch,
                     text)

WITH_KVM = os.path.abspath("scripts/with-kvm")
NESTED = (WITH_KVM, "--nested")
PATIENCE = 30  # seconds
# Before a script that mounts, and is the only one to see it.
MOUNTING = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c"]


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
    """More than once, because the host may be busy."""
    for _ in range(5):
        start = time.monotonic()
        expect_status(run([*NESTED, "true"]), 0)
        took = time.monotonic() - start
        if took < 8:
            return
    raise Failed(f"expected less than 8 s, not {took:.1f} s")


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
    for command, status, message in (([], 125, "no command"), (["no-such"], 127, "no-such: No such file"),
                                     ([""], 127, ": No such file"), (["/etc/passwd"], 126, "passwd: Permission denied")):
        ended = run([*NESTED, *command])
        expect_status(ended, status)
        expect_text(ended.err, rf"^with-kvm: .*{message}", ended)


@case("cli", "with-kvm: mistakes on its command line", asan=False, nested=False)
def mistakes(_binary):
    """The status is not one that the command could be thought to have, as with timeout(1) and env(1)."""
    for options, message in (([], "no command"), (["--"], "no command"), (["--foo", "true"], "--foo"),
                             (["--timeout", "nan", "true"], "nan is no number"), (["--timeout"], "--timeout")):
        ended = run([WITH_KVM, *options])
        expect_status(ended, 125)
        expect(ended.out == "" and ended.err.count("\n") == 1, "expected one line on stderr", ended)
        expect_text(ended.err, rf"^with-kvm: .*{message}", ended)


@case("with-kvm", "a command that a signal ends; what it left running ends too")
def death_by_signal(_binary):
    ended = run([*NESTED, "sh", "-c", "sleep 1000 & echo said; kill -TERM $$"])
    expect_status(ended, -signal.SIGTERM)
    expect(ended.out == "said\n" and ended.err == "", "expected what the command said", ended)


def ends_in_time(command, seconds, script):
    """The time limit ends the script, and all that it started."""
    mark = new_mark()
    start = time.monotonic()
    ended = run([*command, "--timeout", str(seconds), "sh", "-c", script], env=marked(mark))
    took = time.monotonic() - start
    expect_status(ended, 124)
    expect(seconds - 0.1 < took < seconds + PATIENCE, f"expected the end after {seconds} s, not after {took:.1f} s", ended)
    expect(ended.out == "begun\n", "expected what the command said", ended)
    expect(ended.err == f"with-kvm: time limit: sh has not ended after {seconds} s\n", "expected one line", ended)
    expect(not processes(mark), f"left running: {processes(mark)}", ended)


@case("with-kvm", "time limit")
def time_limit(_binary):
    ends_in_time(NESTED, 10, "echo begun; sleep 100")


@case("kvm", "with-kvm: time limit where /dev/kvm is usable", asan=False, nested=False)
def time_limit_here(_binary):
    ends_in_time([WITH_KVM], 1, "echo begun; setsid sleep 100 & sleep 100 & sleep 100")
    ends_in_time([WITH_KVM], 1, "trap '' TERM; echo begun; while :; do sleep 0.1; done")
    for script, status in (("exit 7", 7), ("kill -KILL $$", -signal.SIGKILL), ("exec no-such-command", 127)):
        expect_status(run([WITH_KVM, "--timeout", "50", "sh", "-c", script]), status)
    for command, status in (("no-such", 127), ("/etc/passwd", 126)):
        expect_status(run([WITH_KVM, "--timeout", "50", command]), status)
    no_name("--timeout", "50")


@case("cli", "with-kvm: time limit of a program with more rights", asan=False, nested=False)
def time_limit_setuid(_binary):
    """It cannot be ended, like sudo for who is not root; the limit is kept all the same."""
    if os.geteuid() != 0:
        raise Skip("it takes root to make a program of root's")
    with tempfile.TemporaryDirectory() as folder:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            raise Skip(f"{folder} gives no program more rights")
        os.chmod(folder, 0o755)
        program = f"{folder}/program"
        shutil.copy(shutil.which("setpriv"), program)
        os.chmod(program, 0o4755)
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        limited = ("import sys; sys.path.insert(0, 'scripts/nested'); import limit; "
                   "sys.exit(124 if limit.run(sys.argv[1:], 1) is None else 1)")
        command = [*user, "/usr/bin/python3", "-Bc", limited, program, "--reuid=0", "sleep", "15"]
        if run([*user, "/usr/bin/python3", "-c", "open('scripts/nested/limit.py')"]).status != 0:
            raise Skip("the tree or python3 is closed to other users")
        start = time.monotonic()
        ended = run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # the program keeps them open
        took = time.monotonic() - start
        expect_status(ended, 124)
        expect(took < 14, f"expected an end before the program's: {took:.1f} s", ended)


@case("with-kvm", "what changes on the host is seen")
def fresh_files(_binary):
    """Contents, names and programs, in the machine's caches for a second at most."""
    with scratch() as folder:
        program, moved = f"{folder}/program", f"{folder}/new"
        script = f"while read line; do {program}; ls {folder}; done"

        def write(path, text_):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{text_}\n")
            os.chmod(path, 0o755)

        def round_trip(process):
            process.stdin.write(b"\n")
            return [text(process.stdout.readline()).rstrip("\n") for _ in range(2)]

        write(program, "echo first")
        with subprocess.Popen([*NESTED, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment(), bufsize=0) as process:
            expect(round_trip(process) == ["first", "program"], "expected the program as it was")
            write(program, "echo other")
            time.sleep(1.5)
            expect(round_trip(process) == ["other", "program"], "expected the program as it is now")
            write(moved, "echo third; rm -f $0.bak")
            os.rename(moved, program)
            os.symlink("program", f"{folder}/a-link")
            time.sleep(1.5)
            expect(round_trip(process) == ["third", "a-link"], "expected the program that took its place")
            process.stdin.close()
            expect(process.wait(PATIENCE) == 0, f"expected status 0, not {process.returncode}")


@case("with-kvm", "a reader that goes away")
def broken_pipe(_binary):
    with subprocess.Popen([*NESTED, "yes"], stdout=subprocess.PIPE, env=environment()) as process:
        process.stdout.read(2)
        process.stdout.close()
        expect(process.wait(PATIENCE) == -signal.SIGPIPE, f"expected the end by SIGPIPE, not {process.returncode}")


@case("with-kvm", "SIGTERM reaches the command")
def terminated_nested(_binary):
    terminated(NESTED)


def terminated(command):
    script = "trap 'echo trapped; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen([*command, "sh", "-c", script], stdout=subprocess.PIPE, env=environment()) as process:
        expect(process.stdout.readline() == b"ready\n", "expected the command to start")
        process.send_signal(signal.SIGTERM)
        expect(process.stdout.read() == b"trapped\n", "expected the command to catch the signal")
        expect(process.wait(PATIENCE) == 3, f"expected the command's status 3, not {process.returncode}")


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


@case("kvm", "with-kvm: the command just runs where /dev/kvm is usable", asan=False, nested=False)
def here(_binary):
    """Inside a nested machine it is."""
    ended = run([WITH_KVM, "sh", "-c", "cat /proc/sys/kernel/random/boot_id; exit 3"])
    expect_status(ended, 3)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        expect(ended.out == file.read() and ended.err == "", "expected this machine", ended)
    ended = run([WITH_KVM, "sh", "-c", "kill -PIPE $$; echo not reached"])
    expect_status(ended, -signal.SIGPIPE)
    expect_status(run([WITH_KVM, "no-such"]), 127)
    no_name()


def no_name(*options):
    """`with-kvm "$UNSET"`"""
    ended = run([WITH_KVM, *options, ""])
    expect_status(ended, 127)
    expect(ended.err == "with-kvm: : No such file or directory\n", "expected one line", ended)


def run_hidden(*command):
    """Runs a command that sees no usable /dev/kvm."""
    if not os.path.exists("/dev/kvm"):
        return run(command)
    hide = [*MOUNTING, 'mount --bind /dev/null /dev/kvm && exec "$@"', "sh"]
    if run([*hide, "true"]).status != 0:
        raise Skip("a mount namespace is not allowed")
    return run([*hide, *command], timeout=120)


@case("with-kvm", "hidden /dev/kvm: one line says why")
def hidden(_binary):
    ended = run_hidden(WITH_KVM, "build/kvmlens", "check")
    expect_status(ended, 0)
    expect_text(ended.out, r"backend: svm", ended)
    expect_text(ended.err, r"^with-kvm: /dev/kvm.*: (Inappropriate ioctl|No such file).*; running in a nested machine "
                r"\(Linux .*, AMD SVM emulated by QEMU\)$", ended)
    expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)


@case("with-kvm", "make run without /dev/kvm")
def make_run(_binary):
    ended = run_hidden("scripts/run.sh")
    expect_status(ended, 0)
    expect_text(ended.out, r"exits, of the serial port +\| ", ended)
    expect_text(ended.out, r"^Exit status 0\.", ended)
    expect_text(ended.err, "^run.sh: /dev/kvm(: No such file| is not KVM).*; running in a nested machine", ended)
    expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)


@case("with-kvm", "tests without /dev/kvm run nested, and each names its backend")
def tests_name_backend(_binary):
    one = [sys.executable, "tests/run", "kvm", "qemu", "-k", "exit status of value 42"]
    ended = run_hidden(*one)
    expect_status(ended, 0)
    for pattern in (r"^      kvm: /dev/kvm.*; in a nested machine instead$", r"^2 passed, 0 failed, 0 skipped$",
                    r"^ok    kvm/guest: exit status of value 42  \[nested svm\]$",
                    r"^ok    qemu/guest: exit status of value 42  \[qemu-tcg\]$"):
        expect_text(ended.out, pattern, ended)
    ended = run_hidden(sys.executable, "tests/run", "with-kvm", "-k", "does not run without it")
    expect_text(ended.out, r"^ok    with-kvm/what it starts does not run without it  \[nested svm\]$", ended)
    if not kvm_trouble():
        ended = run(one)
        expect_text(ended.out, r"value 42  \[/dev/kvm \((software|vmx|svm)\)\]$", ended)


def nested_terminal(script, **keywords):
    return Terminal([*NESTED, "bash", "-c", script], **keywords)


@case("with-kvm", "terminal: a window, raw keys, and the mode as it was")
def terminal_window(_binary):
    script = ('for i in 0 1 2; do test -t $i || echo "not $i"; done; stty size; trap "stty size; resized=1" WINCH; '
              'echo ready; until [ "$resized" ]; do sleep 0.1; done; read -r line; echo "got <$line>"; stty raw -echo; '
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


@case("with-kvm", "terminal: make shell without /dev/kvm")
def terminal_shell(_binary):
    """with-kvm finds this host's usable, where kvmlens does not."""
    with Terminal(["scripts/run.sh", "shell"], env={"KVMLENS_DEV_KVM": "/dev/null"}) as terminal:
        terminal.wait_for("running in a nested machine")
        terminal.wait_for("> ")
        terminal.type("echo a\tb\r")
        terminal.wait_for(r"a\s*b")
        terminal.type("\x01x")
        terminal.ends(SIGNAL)


def interrupted_pipe(command, status):
    """Ctrl-C, which the terminal turns into a signal, because stdin is a pipe."""
    script = "trap 'echo trapped; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    with Terminal(["bash", "-c", f'echo in | "$@" bash -c "{script}"; exit $?', "bash", *command]) as terminal:
        terminal.wait_for("ready")
        terminal.type("\x03")
        terminal.wait_for("trapped")
        terminal.ends(status)


@case("with-kvm", "terminal: Ctrl-C where stdin is a pipe")
def terminal_interrupt_pipe(_binary):
    interrupted_pipe(NESTED, 3)


@case("kvm", "with-kvm: Ctrl-C and signals with a time limit", asan=False, nested=False)
def interrupt_here(_binary):
    interrupted_pipe([WITH_KVM, "--timeout", "50"], 3)
    with Terminal([WITH_KVM, "--timeout", "50", "sh", "-c", "test -t 0 && read line && echo got $line; exec sleep 50"]
                  ) as terminal:
        terminal.type("word\r")
        terminal.wait_for("got word")
        terminal.type("\x03")
        terminal.ends(-signal.SIGINT)
    terminated([WITH_KVM, "--timeout", "50"])
