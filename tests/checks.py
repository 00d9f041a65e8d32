"""The groups that boot no guest: lint, unit tests, fuzz corpora, coverage."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess

import harness
from harness import Result

C_FILES = ("include/*.h", "vmm/*.[ch]", "vmm/*/*.[ch]", "guest/*.[ch]", "guest/*/*.[ch]",
           "tests/*/*.[ch]", "scripts/*/*.[ch]")
FILE_LINES, FUNCTION_LINES = 500, 60
COVERAGE_PERCENT = 85
# The guest's virtio is to be read in one sitting: its core, and a driver.
GUEST_LINES = {"guest/virtio.c": 249,
               **{f"guest/{driver}.c": 149 for driver in ("balloon", "blk", "console", "net", "rng")}}


def files(*patterns):
    return sorted(path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path))


def command(name, words, tool=None):
    """A command that has to end with status 0; skipped where the tool is missing."""
    tool = tool or words[0]
    if not shutil.which(tool):
        return Result(name, "skip", f"{tool} is not installed")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        return Result(name, "FAIL", f"$ {' '.join(words)[:200]}\n{harness.text(done.stdout)[-4000:]}")
    return Result(name)


def verdict(name, complaints):
    return Result(name, "FAIL" if complaints else "ok", "\n".join(complaints))


def version_of(tool):
    """The major version of a tool, as text, or None where it is missing."""
    if not shutil.which(tool):
        return None
    found = re.search(r"version (\d+)", subprocess.getoutput(f"{tool} --version"))
    return found.group(1) if found else "unknown"


def layout():
    version = version_of("clang-format")
    if version != "14":
        return Result("clang-format", "skip", f"the layout is that of clang-format 14, found: {version}")
    return command("clang-format", ["clang-format", "--dry-run", "-Werror", *files(*C_FILES)])


def scripts():
    """Every tracked or new file whose first line names a shell."""
    listed = subprocess.getoutput("git ls-files -co --exclude-standard").split("\n")
    found = []
    for path in listed:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                if re.match(rb"#!.*\b(ba|da)?sh\b", file.readline()):
                    found.append(path)
    return found


def blanks():
    done = subprocess.run(["git", "grep", "-nIP", r"[ \t]+$|^ +\t", "--", ":!tests/e2e/golden"],
                          stdout=subprocess.PIPE, check=False)
    return verdict("trailing-blanks", harness.text(done.stdout).splitlines()[:20])


def file_sizes():
    long = []
    for path in files(*C_FILES, "guest/*.S", "guest/*/*.S", "scripts/*", "scripts/*/*", "tests/*.py", "tests/*/*.py"):
        with open(path, encoding="utf-8") as file:
            lines = sum(1 for _ in file)
        limit = GUEST_LINES.get(path, FILE_LINES)
        if lines > limit:
            long.append(f"{path}: {lines} lines; over {limit} a file asks to be split")
    return verdict("file-size", long)


def function_sizes():
    words = ["ctags", "--c-kinds=f", "--fields=+ne", "-o", "-", *files(*C_FILES)]
    if version_of("ctags") is None or "Universal" not in subprocess.getoutput("ctags --version"):
        return Result("function-size", "skip", "universal-ctags is not installed")
    listed = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    long, seen = [], 0
    for line in harness.text(listed.stdout).splitlines():
        found = re.search(r"^(\S+)\t(\S+)\t.*\tline:(\d+).*\tend:(\d+)", line)
        if not found:
            continue
        seen += 1
        size = int(found[4]) - int(found[3]) + 1
        if size > FUNCTION_LINES:
            long.append(f"{found[2]}:{found[3]}: {found[1]}() has {size} lines of {FUNCTION_LINES}")
    if seen == 0:
        long.append("ctags found no function at all")
    return verdict("function-size", long)


def statuses():
    """vmm/status.h, the manual page and README.md give the same exit statuses."""
    with open("vmm/status.h", encoding="utf-8") as file:
        values = set(re.findall(r"STATUS_\w+ = (\d+)", file.read()))
    complaints = []
    for path, pattern in (("docs/kvmlens.1", r"^\.It (?:Cm |Li |Sy )?(\d+)$"), ("README.md", r"^\| (\d+) \|")):
        if not os.path.exists(path):
            complaints.append(f"{path} is missing")
            continue
        with open(path, encoding="utf-8") as file:
            listed = set(re.findall(pattern, file.read(), re.M))
        if listed != values:
            complaints.append(f"{path} lists the exit statuses {sorted(listed, key=int)}, "
                              f"vmm/status.h {sorted(values, key=int)}")
    return verdict("exit-statuses", complaints)


def documented_names():
    """The functions that these documents name exist, and so do the tests."""
    complaints = []
    for path in ("docs/threats.md", "docs/virtio.md", "docs/qemu.md"):
        with open(path, encoding="utf-8") as file:
            listed = re.findall(r"`([^`\n]+)`", file.read())
        named = [word for word in listed if re.match(r"(unit|kvm|cli|fuzz)/.|[\w/]+\.c:\w+\(\)$", word)]
        complaints += [f"{path}: there is no {word}" for word in named if not is_there(word)]
        if not named:
            complaints.append(f"{path} names no function at all")
    return verdict("documented-names", complaints)


def is_there(word):
    """`unit/virtq: name`, `kvm/the name of a case`, `fuzz/virtq`, or `virtio/virtq.c:name()`."""
    group, _, name = word.partition("/")
    if group in ("kvm", "cli") and not word.endswith("()"):
        return word in harness.cases()
    if group == "fuzz":
        return os.path.exists(f"tests/fuzz/fuzz_{name}.c")
    source, _, function = word.removesuffix("()").partition(":")
    if group == "unit":
        source = f"tests/unit/test_{source[len('unit/'):]}.c"
    else:
        source = source if source.startswith("guest/") else f"vmm/{source}"
    if not os.path.exists(source):
        return False
    with open(source, encoding="utf-8") as file:
        return re.search(rf"^[a-z].*\b{function.strip()}\(", file.read(), re.M) is not None


def lint():
    yield layout()
    yield command("shellcheck", ["shellcheck", *scripts()])
    yield command("cppcheck", ["cppcheck", "-q", "-j2", "--std=c11", "--error-exitcode=1", "--inline-suppr",
                               "--enable=warning,portability", "--suppressions-list=tests/cppcheck.txt",
                               "-Iinclude", "-D__x86_64__", "vmm", "guest"])
    yield command("clang-warnings", ["make", "-s", "clang-warnings"], "clang")
    yield command("manual-page", ["mandoc", "-T", "lint", "-W", "warning", "docs/kvmlens.1"])
    yield blanks()
    yield file_sizes()
    yield function_sizes()
    yield command("dependency-rules", ["scripts/check-deps.sh"])
    yield command("dependency-rules-can-fail", ["scripts/check-deps.sh", "--self-test"])
    yield command("machine.md-is-fresh", ["scripts/machine-doc.sh", "--check"])
    yield command("exits.md-is-fresh", ["scripts/tables-doc.sh", "--check", "docs/exits.md", "docs/registers.md"])
    yield command("qemu.md-is-fresh", ["scripts/tables-doc.sh", "--check", "docs/qemu.md"])
    yield command("README.md's-options-are-fresh", ["scripts/tables-doc.sh", "--check", "README.md"])
    yield statuses()
    yield documented_names()


def tap(program):
    """Runs a cmocka program; each of its tests is a result."""
    env = harness.environment({"CMOCKA_MESSAGE_OUTPUT": "TAP", "TSAN_OPTIONS": ""})
    name = os.path.basename(program)[len("test_"):]
    try:
        done = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False)
    except subprocess.TimeoutExpired as late:
        yield Result(name, "FAIL", f"still running after 120 s\n{harness.text(late.stdout)}")
        return
    output = harness.text(done.stdout)
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", output, re.M))
    failed = seen = 0
    for line in re.finditer(r"^(not )?ok \d+ (- |# SKIP ?)(.*)$", output, re.M):
        seen += 1
        status = "skip" if line[2] != "- " else "FAIL" if line[1] else "ok"  # a skipped one is "not ok"
        failed += status == "FAIL"
        yield Result(f"{name}: {line[3]}", status, "skipped by itself" if status == "skip" else output[-4000:])
    if seen == 0 or seen != planned or (done.returncode != 0) != (failed != 0):
        yield Result(name, "FAIL", f"{seen} of {planned} tests ended, status {done.returncode}\n{output[-6000:]}")


def unit():
    for old in glob.glob("build/asan/**/*.gcda", recursive=True):
        os.remove(old)
    programs = ["build/" + source[:-2] for source in files("tests/unit/test_*.c")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(lambda program: list(tap(program)), programs):
            yield from results


def tsan():
    """What starts threads, under ThreadSanitizer: unit tests, and guests with several processors."""
    probe = harness.run([harness.TSAN_KVMLENS, "-version"])
    if probe.status != 0: # older run-time libraries do not start where the kernel spreads addresses wide
        yield Result("all", "skip", f"ThreadSanitizer does not run here: {probe.err.strip()[:120]}")
        return
    for program in files("build/tests/tsan/test_*"):
        if os.access(program, os.X_OK):
            yield from tap(program)
    for result in harness.group("kvm", harness.TSAN_KVMLENS):
        yield result


def fuzz():
    """Each fuzzer runs its corpus once; `make fuzz` looks for more."""
    for source in files("tests/fuzz/fuzz_*.c"):
        name = os.path.basename(source)[len("fuzz_"):-2]
        program, corpus = "build/" + source[:-2], f"tests/fuzz/corpus/{name}"
        if not os.path.exists(program):
            yield Result(name, "skip", "not built: clang is not installed")
        elif not glob.glob(f"{corpus}/*"):
            yield Result(name, "FAIL", f"{corpus} is missing or empty")
        else:
            result = command(name, [program, "-runs=0", "-timeout=10", corpus])
            result.name = f"{name}: {len(os.listdir(corpus))} inputs"
            yield result


def coverage():
    """Line coverage of vmm/ by what has run in the sanitized build since `unit` began."""
    notes = [path for path in files("build/asan/vmm/*.gcno", "build/asan/vmm/*/*.gcno")
             if os.path.exists(path[len("build/asan/"):-len(".gcno")] + ".c")]
    if not glob.glob("build/asan/vmm/*.gcda"):
        yield Result("vmm", "skip", "the sanitized build has not run, or its compiler keeps no counts")
        return
    output = subprocess.run(["gcov", "-n", *notes], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            check=True)
    found = re.findall(r"File '(vmm/[^']*\.c)'\nLines executed:([\d.]+)% of (\d+)", harness.text(output.stdout))
    lines = {path: (round(float(percent) * int(total) / 100), int(total)) for path, percent, total in found}
    covered, total = (sum(pair[i] for pair in lines.values()) for i in (0, 1))
    percent = 100 * covered / max(total, 1)
    table = [f"{100 * hit / all_:6.1f} %  {hit:5} of {all_:5}  {path}" for path, (hit, all_) in sorted(lines.items())]
    table.append(f"{percent:6.1f} %  {covered:5} of {total:5}  lines of vmm/")
    trouble = harness.kvm_trouble()
    if trouble:
        yield Result("vmm", "skip", f"{percent:.1f} % of the lines of vmm/, without KVM: {trouble}")
    else:
        table.append(f"wanted: {COVERAGE_PERCENT} %")
        yield Result(f"vmm: {percent:.1f} % of lines", "ok" if percent >= COVERAGE_PERCENT else "FAIL",
                     "\n".join(table), info=True)
