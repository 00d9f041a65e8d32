"""scripts/with-kvm: what it keeps, what it leaves behind, what it needs, and of whom."""
import contextlib
import glob
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from unittest import mock

import harness
import nested
from case_with_kvm import MOUNTING, NESTED, PATIENCE, WITH_KVM, marked, new_mark, processes
from harness import Skip, case, environment, expect, expect_status, expect_text, run, scratch

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kvmlens")


@contextlib.contextmanager
def cache():
    """A cache folder of its own, that has a kernel already: (its XDG_CACHE_HOME, it)."""
    with scratch() as folder:
        os.mkdir(f"{folder}/kvmlens")
        if os.path.exists(f"{CACHE}/kernel"):
            shutil.copytree(f"{CACHE}/kernel", f"{folder}/kvmlens/kernel")
        yield os.path.abspath(folder), f"{folder}/kvmlens"


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


def write_program(path, script):
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o755)


@contextlib.contextmanager
def without_kernel(*tools):
    """An environment with an empty cache folder, and TOOLS (name, script) in place of the host's."""
    if glob.glob("/lib/modules/*/kernel"):
        raise Skip("this host has a kernel of its own, so none is downloaded")
    with scratch() as folder:
        place = os.path.abspath(folder)
        os.mkdir(f"{place}/bin")
        for name in os.listdir("/usr/bin"):
            if not re.match(r"apt|dpkg|dnf|pacman", name):
                os.symlink(f"/usr/bin/{name}", f"{place}/bin/{name}")
        for name, script in tools:
            write_program(f"{place}/bin/{name}", script)
        yield {"PATH": f"{place}/bin", "XDG_CACHE_HOME": f"{place}/cache"}, f"{place}/cache/kvmlens"


@case("with-kvm", "a kernel that cannot be downloaded")
def download_fails(_binary):
    failing = ("apt-get", 'echo "E: Failed to fetch the package" >&2; exit 100')
    known = ("apt-cache", "echo '  Depends: linux-image-6.1.0-1-cloud-amd64'")
    with without_kernel(failing, known, ("dpkg-deb", "exit 1")) as (env, folder):
        ended = run([*NESTED, "true"], env=env)
        expect_status(ended, 125)
        for pattern in (r"downloading linux-image-cloud-amd64 to .*/kvmlens$", r"apt-get download: Failed to fetch",
                        r"; apt-get update: Failed to fetch the package\. .* apt-get install linux-image-cloud-amd64"):
            expect_text(ended.err, pattern, ended)
        expect(ended.err.count("\n") == 2, "expected two lines", ended)
        expect(os.listdir(folder) == ["lock"], f"left in the cache: {os.listdir(folder)}")


@contextlib.contextmanager
def downloaded_kernel(unpack='exec tar -C "$KERNELS" -cf - .'):
    """As without_kernel(), but the download succeeds: with the kernel that the cache folder has."""
    with without_kernel(("apt-get", "touch linux-image.deb"), ("dpkg-deb", unpack),
                        ("apt-cache", "echo '  Depends: linux-image-6.1.0-1-cloud-amd64'")) as (env, folder):
        yield {**env, "KERNELS": f"{CACHE}/kernel"}, folder


def prepare(env, scripts="scripts"):
    """All that with-kvm does before it boots: (the initramfs that it would boot from, whether a kernel was downloaded)."""
    program = (f"import sys; sys.path.insert(0, '{scripts}/nested'); sys.dont_write_bytecode = True; import kernel; "
               "print(kernel.prepare()[2])")
    ended = run([sys.executable, "-c", program], env=env)
    expect_status(ended, 0)
    expect(re.fullmatch("(with-kvm: .*; downloading .*\n)?", ended.err), "expected one line at most", ended)
    return ended.out.strip(), ended.err != ""


@case("with-kvm", "a downloaded kernel is kept; one that was damaged is replaced")
def kept_kernel(_binary):
    with downloaded_kernel() as (env, folder):
        expect(prepare(env)[1], "expected a download")
        initramfs, again = prepare(env)
        expect(not again, "expected the kernel to be there")
        module, = glob.glob(f"{folder}/kernel/**/kvm-amd.ko*", recursive=True)
        for damaged in (module, f"{folder}/kernel/boot"):
            os.remove(initramfs)
            os.rename(damaged, f"{folder}/taken-away")
            initramfs, again = prepare(env)
            expect(again and os.path.exists(damaged), f"expected {damaged} to be there again")
            (shutil.rmtree if os.path.isdir(damaged) else os.remove)(f"{folder}/taken-away")
        with open(module, "wb"):
            os.remove(initramfs)
        expect(prepare(env)[1] and os.path.getsize(module) > 0, f"expected {module} to be whole again")
        expect_status(run([*NESTED, "true"], env=env), 0)
        expect(not left_in(folder), f"left in the cache: {left_in(folder)}")


@case("with-kvm", "a package that cannot be unpacked")
def damaged_package(_binary):
    for unpack in ("echo nonsense", "exit 2"):
        with downloaded_kernel(unpack) as (env, folder):
            ended = run([*NESTED, "true"], env=env)
            expect_status(ended, 125)
            expect_text(ended.err, r"^with-kvm: dpkg-deb cannot unpack linux-image\.deb: ", ended)
            expect(os.listdir(folder) == ["lock"], f"left in the cache: {os.listdir(folder)}")


@case("with-kvm", "the initramfs follows what it is made of")
def initramfs_content(_binary):
    with cache() as (home, folder):
        shutil.copytree("scripts", f"{home}/scripts")
        made = [prepare({"XDG_CACHE_HOME": home}, f"{home}/scripts")[0] for _ in range(2)]
        expect(made[0] == made[1] and made[0].startswith(os.path.abspath(folder)), f"expected one initramfs, found {made}")
        for source in ("init.c", "build.py"):
            with open(f"{home}/scripts/nested/{source}", "a", encoding="utf-8") as file:
                file.write("\n")
            made.append(prepare({"XDG_CACHE_HOME": home}, f"{home}/scripts")[0])
            expect(made[-1] not in made[:-1], f"expected {source} to make another initramfs")


@case("with-kvm", "a full disk, a current folder that is gone")
def no_room(_binary):
    with scratch() as folder:
        place = os.path.abspath(folder)
        run_there = f'cd "{place}" && mkdir gone && cd gone && rmdir ../gone && exec "$@"'
        ended = run(["sh", "-c", run_there, "sh", sys.executable, *NESTED, "true"])
        expect_status(ended, 125)
        expect(re.fullmatch("with-kvm: the current folder: No such file or directory\n", ended.err),
               "expected one line", ended)
        full = f'mount -t tmpfs -o size=2m tmpfs "{place}" && mkdir "{place}/kvmlens" && exec "$@"'
        if run([*MOUNTING, full, "sh", "true"]).status != 0:
            raise Skip("a mount namespace is not allowed")
        if os.path.exists(f"{CACHE}/kernel"):
            full = full.replace("&& exec", f'&& ln -s "{CACHE}/kernel" "{place}/kvmlens" && exec')
        ended = run([*MOUNTING, full, "sh", *NESTED, "true"], env={"XDG_CACHE_HOME": place})
        expect_status(ended, 125)
        expect(re.fullmatch("with-kvm: cannot make what the nested machine boots from in .*: No space left on device\n",
                            ended.err), "expected one line", ended)


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


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, f"expected {what}")
        time.sleep(0.05)


def left_in(folder):
    return [name for name in os.listdir(folder) if not re.match("(kernel|lock|initramfs-.*|groups.so-.*)$", name)]


@case("with-kvm", "killed half-way", number=signal.SIGKILL)
@case("with-kvm", "terminated half-way", number=signal.SIGTERM)
def killed(_binary, number):
    """Nothing stays: at the start, while the kernel boots, while the command runs."""
    with cache() as (home, folder):
        for wait in (0.15, 0.5, 2, None):
            mark = new_mark()
            with subprocess.Popen([*NESTED, "sh", "-c", "echo begun; sleep 1000"], stdout=subprocess.PIPE,
                                  env=environment(marked(mark, XDG_CACHE_HOME=home, TMPDIR=home))) as process:
                if wait:
                    time.sleep(wait)
                else:
                    expect(process.stdout.readline() == b"begun\n", "expected the command to start")
                    expect(len(processes(mark)) >= 3, f"expected QEMU and more, found {processes(mark)}")
                process.send_signal(number)
                expect(process.wait(PATIENCE) == -number, f"expected the end by signal {number}")
            wait_until(lambda mark=mark: not processes(mark), f"no process {processes(mark)}")
            expect(number == signal.SIGKILL or not left_in(folder), f"left in the cache: {left_in(folder)}")
        # What SIGKILL left half made, the next run removes.
        expect_status(run([*NESTED, "true"], env={"XDG_CACHE_HOME": home}), 0)
        expect(os.listdir(home) == ["kvmlens"], f"left in TMPDIR: {os.listdir(home)}")
        expect(not left_in(folder), f"left in the cache: {left_in(folder)}")


@case("with-kvm", "what it starts does not run without it")
def orphan(_binary):
    """Also if with-kvm is killed before its child has asked to be ended with it."""
    program = ("import os, subprocess, sys; sys.path.insert(0, 'scripts/nested'); sys.dont_write_bytecode = True\n"
               "from common import DIES_WITH_US\n"
               "if sys.argv[1] == 'stranger' and os.fork(): sys.exit(os.wait()[1] != 0)\n"
               "sys.exit(subprocess.run([*DIES_WITH_US, 'echo', 'runs']).returncode)")
    for who, said in (("itself", "runs\n"), ("stranger", "")):
        ended = run([sys.executable, "-c", program, who])
        expect_status(ended, 0 if said else 1)
        expect(ended.out == said, f"expected {said!r}", ended)


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
        if os.path.exists("/usr/lib/qemu/virtiofsd") and not os.path.exists("/usr/libexec/virtiofsd"):
            write_program(f"{home}/unshare", 'echo "unshare: Operation not permitted" >&2; exit 1')
            ended = run([*become, *NESTED, "true"],
                        env={"XDG_CACHE_HOME": home, "PATH": f"{home}:{os.environ['PATH']}"})
            expect_status(ended, 125)
            expect_text(ended.err, "needs a user name space, .* sysctl kernel.unprivileged_userns_clone", ended)


FAKE_MACHINE = """
plan=$(head -n1 {0}/plan); sed -i 1d {0}/plan
while read -r label; do
    echo "ok    $label  [nested svm]"
    case $plan in dies) echo 'a last word'; exit 124;; hangs) exec sleep 100;; esac
done
echo '9 passed, 0 failed, 0 skipped'
"""


@case("cli", "tests go on in a new nested machine where one stands still", asan=False, nested=False)
def goes_on(_binary):
    """Each machine has two tests at once, and dies, or says no more, when one has ended."""
    cases = [known for known in harness.cases().values() if known.nested]
    gone, again, left = "; another runs", "a second machine stands still with it: ended early", "no nested machine was left"
    for plan, tests, ok, others in (
            ("works", 6, 6, []), ("dies works", 6, 6, [("skip", "ended early, with status 124; another runs")]),
            ("hangs works", 6, 6, [("skip", "no result for 3 s; another runs")]),
            ("dies dies", 4, 2, [("skip", gone), ("skip", gone), ("FAIL", again), ("FAIL", again)]),
            ("dies dies", 6, 2, [("skip", gone), ("skip", gone), *[("FAIL", left)] * 4])):
        with scratch() as folder:
            write_program(f"{folder}/with-kvm", FAKE_MACHINE.format(folder))
            with open(f"{folder}/plan", "w", encoding="ascii") as file:
                file.write("\n".join(plan.split()) + "\n")
            with mock.patch.multiple(nested, WITH_KVM=f"{folder}/with-kvm", SILENCE=3, MACHINES=1, prepare=lambda: None), \
                    mock.patch.object(harness, "chosen", lambda *_: cases[:tests]):  # pylint: disable=cell-var-from-loop
                found = list(nested.groups("kvm"))
        expect(sum(result.status == "ok" for result in found) == ok, f"{plan}: expected {ok} ok: {shown(found)}")
        bad = [result for result in found if result.status != "ok"]
        expect(len(bad) == len(others) and all(result.status == status and part in result.detail
                                               for result, (status, part) in zip(bad, others)),
               f"{plan}: expected {others}: {shown(found)}")


def shown(results):
    return "\n".join(f"{result.status} {result.name}: {result.detail}" for result in results)
