"""What kvmlens says of QEMU's options (`kvmlens -h options`, docs/qemu.md), beside the QEMU that is installed."""
import concurrent.futures
import os
import re
import shutil

from harness import QEMU, Skip, case, expect, expect_status, expect_text, run

RELATIONS = ("same", "limits", "ignored", "own", "absent")
OTHER_VERSIONS = re.compile(r"\((?:before|after) QEMU 7\.2\)$")


def listed(binary):
    """{name: (arg or flag, relation, note)}; an alias has the entry of its option."""
    ended = run([binary, "-h", "options"])
    expect_status(ended, 0)
    expect(ended.err == "", "expected nothing on stderr", ended)
    options = {}
    for line in ended.out.splitlines():
        fields = line.split("\t")
        expect(len(fields) == 5, f"expected five fields: {line}")
        name, others, argument, relation, note = fields
        expect(re.fullmatch(r"\w[\w-]*", name) and argument in ("arg", "flag") and relation in RELATIONS and
               note.endswith((".", "7.2)")), f"expected an option: {line}")
        for word in [name, *filter(None, others.split(","))]:
            expect(word not in options, f"expected -{word} once")
            options[word] = (argument, relation, note)
    return options


def need_qemu():
    if not shutil.which(QEMU):
        raise Skip(f"{QEMU} is not installed")


def qemu_takes(name):
    """arg or flag; None: QEMU knows no such option. Words are looked up before any is obeyed, so QEMU ends at
    -version, or before it where an argument is missing."""
    ended = run([QEMU, "-version", f"-{name}"], timeout=60)
    if "requires an argument" in ended.err:
        return "arg"
    if "invalid option" in ended.err:
        return None
    expect_status(ended, 0)
    expect_text(ended.out, "^QEMU emulator", ended)
    return "flag"


@case("cli", "the list of options is for programs, and so is its page")
def the_list(binary):
    options = listed(binary)
    expect({relation for _, relation, _ in options.values()} == set(RELATIONS), "expected each relation")
    for name, expected in (("M", ("arg", "limits")), ("h", ("flag", "same")), ("vnc", ("arg", "absent")),
                           ("enable-kvm", ("flag", "same")), ("trace", ("arg", "own")), ("vga", ("arg", "ignored"))):
        expect(options.get(name, ())[:2] == expected, f"-{name}: expected {expected}, found {options.get(name)}")
    page = run([binary, "-h", "qemu"])
    expect_status(page, 0)
    for name in options:
        expect(re.search(rf"`-{name}[` ]", page.out), f"-{name} is not in `kvmlens -h qemu`")


@case("cli", "each option that QEMU's help names is listed", asan=False)
def the_help_of_qemu(binary):
    need_qemu()
    options = listed(binary)
    ended = run([QEMU, "-help"])
    expect_status(ended, 0)
    names = set()
    for first, second in re.findall(r"^--?([\w-]+)(?:(?:/| or )-([\w-]+))?", ended.out, re.M):
        names |= {first, second} - {""}
    expect(len(names) > 100, f"expected QEMU's options in its help, found {sorted(names)}", ended)
    unknown = sorted(names - set(options))
    expect(not unknown, f"expected these options of QEMU's in the list (vmm/options_absent.c): {unknown}")


@case("cli", "each listed option is QEMU's, with or without an argument as there", asan=False, nested=False)
def the_arguments_of_qemu(binary):
    need_qemu()
    options = listed(binary)
    is_7_2 = "version 7.2." in run([QEMU, "-version"]).out
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        taken = dict(zip(options, pool.map(qemu_takes, options)))
    wrong = [f"-{name} ({argument}, QEMU: {taken[name]})" for name, (argument, _, _) in options.items()
             if taken[name] not in (None, argument)]
    if is_7_2:
        wrong += [f"-{name} (QEMU 7.2: {taken[name]})" for name, (_, _, note) in options.items()
                  if (taken[name] is None) != bool(OTHER_VERSIONS.search(note))]
    expect(not wrong, f"expected what {QEMU} says of {', '.join(wrong)}")
