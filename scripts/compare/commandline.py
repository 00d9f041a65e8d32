"""QEMU's command line, taken apart, and fitted to one VMM by its adapter (scripts/adapters/NAME.py)."""
import collections
import importlib.util
import os
import shutil
import subprocess

ADAPTERS = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "adapters")

# name: as kvmlens's table has it; words: as they were typed
Option = collections.namedtuple("Option", "name words")
# relation: of kvmlens's option to QEMU's: same, limits, ignored, own (kvmlens's alone), absent (QEMU's alone)
Known = collections.namedtuple("Known", "name argument relation note")


class Unfit(Exception):
    """This VMM cannot be given these arguments; the text says why."""


def known_options(kvmlens):
    """{name or alias: Known}, of kvmlens's options and of QEMU's."""
    listed = subprocess.run([kvmlens, "-h", "options"], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    known = {}
    for line in listed.splitlines():
        name, aliases, kind, relation, note = line.split("\t")
        for spelling in (name, *filter(None, aliases.split(","))):
            known[spelling] = Known(name, kind == "arg", relation, note)
    return known


def options_of(words, known):
    """The words as Options. One without a dash is a disk, as in QEMU."""
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        name = word[2:] if word.startswith("--") else word[1:]
        if not word.startswith("-") or len(word) == 1:
            found.append(Option("hda", [word]))
            continue
        option = known.get(name, Known(name, False, "unknown", ""))
        taken = [rest.pop(0)] if option.argument and rest else []
        found.append(Option(option.name, [word, *taken]))
    return found


class Line:
    """The arguments for one VMM; an adapter changes them, and what it changes is told."""

    def __init__(self, options, known, accelerator):
        self.options, self.known, self.accelerator = list(options), known, accelerator
        self.left_out, self.added = [], []

    def values(self, name):
        """The arguments of all options NAME."""
        return [option.words[-1] for option in self.options if option.name == name and len(option.words) > 1]

    def value(self, name, default=None):
        return (self.values(name) or [default])[-1]

    def has(self, *names):
        return any(option.name in names for option in self.options)

    def leave_out(self, unwanted, why):
        """Takes away the options for which UNWANTED(option) is true. WHY: a text, or a function of the option."""
        for option in [option for option in self.options if unwanted(option)]:
            self.options.remove(option)
            self.left_out.append((" ".join(option.words), why(option) if callable(why) else why))

    def add(self, *words):
        self.options.append(Option(words[0].lstrip("-"), list(words)))
        self.added.append(" ".join(words))

    def replace_machine(self, name, why):
        """Another -M, without its properties."""
        self.leave_out(lambda option: option.name == "machine", why)
        self.add("-M", name)

    def choose_accelerator(self):
        """QEMU's -accel is this column's; with its properties, where the arguments have it already."""
        def another(option):
            return option.name == "enable-kvm" or (option.name == "accel" and
                                                   option.words[-1].split(",")[0] != self.accelerator)
        self.leave_out(another, f"this column's is {self.accelerator}")
        if not self.has("accel"):
            self.add("-accel", self.accelerator)

    def words(self):
        return [word for option in self.options for word in option.words]


class Vmm:
    """One column of the comparison: a program and its words."""

    def __init__(self, name, options, known, accelerator="kvm", program=None):
        adapter = load_adapter(name)
        self.line = Line(options, known, accelerator)
        words = adapter.adapt(self.line)
        self.name = name
        self.title = f"{name} {accelerator}" if name == "qemu" else name
        self.uses_kvm = accelerator == "kvm"
        self.program = program or adapter.PROGRAM
        self.path = shutil.which(self.program)
        self.sources = getattr(adapter, "SOURCES", None)
        self.missing = f"{self.program} is not installed{getattr(adapter, 'INSTALL', '')}"
        self.words = [self.path or self.program, *(words or self.line.words())]

    def with_words(self, *more):
        """The command with other words for the same options; the last one counts."""
        return [*self.words, *more]

    def version(self):
        """The first line of what --version prints, if that is the program's answer."""
        try:
            done = subprocess.run([self.path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace", timeout=5, check=False)
        except (subprocess.TimeoutExpired, OSError):
            return None
        return done.stdout.split("\n", 1)[0] if done.returncode == 0 else None


def adapters():
    """The names of all of them."""
    return sorted(name[:-3] for name in os.listdir(ADAPTERS) if name.endswith(".py"))


def load_adapter(name):
    path = os.path.join(ADAPTERS, f"{name}.py")
    if not os.path.exists(path):
        raise Unfit(f"there is no adapter {name}: one of {', '.join(adapters())}, or write {path}")
    spec = importlib.util.spec_from_file_location(f"adapter_{name.replace('-', '_')}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ram_bytes(line):
    """What -m asks for; QEMU's default for a microvm otherwise."""
    text = line.value("m", "128").removeprefix("size=").split(",")[0]
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(text[-1:].upper())
    try:
        return int(float(text[:-1] if unit else text) * (unit or 1 << 20))
    except ValueError:
        return 0  # the VMMs say what is wrong with it
