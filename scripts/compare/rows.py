"""The rows of the comparison: what each is called, and how its value comes out of a round's facts."""
import collections
import re

import stats
from run import COUNTS, PHASES, PLAIN

# key: also of its reasons; value(round) is a number or None; whole: a count
Row = collections.namedtuple("Row", "key title unit value whole")
Group = collections.namedtuple("Group", "title rows note")
# values: of each column, a number a round
Line = collections.namedtuple("Line", "key title unit whole values cells ratios")

TOP = 8  # of names by count


def _at(kind, *path):
    """What takes the value at PATH of a kind of run; None where there is none."""
    def take(found):
        value = found.get(kind)
        for name in path:
            value = value.get(name) if value is not None else None
        return value
    return take


def _plain_ms(end):
    """Milliseconds from the exec to a moment that the launcher saw; None where it saw one of them only."""
    def take(found):
        facts = found[PLAIN]["facts"]
        return (facts[end] - facts["start"]) / 1e6 if facts[end] and facts["start"] else None
    return take


def _total(name):
    def take(found):
        counter = _at(COUNTS, name)(found)
        return sum(counter.values()) if counter is not None else None
    return take


def _one(name, key):
    def take(found):
        counter = _at(COUNTS, name)(found)
        return counter[key] if counter is not None else None
    return take


def _mapped(found, first, last=None):
    sizes = _at(COUNTS, "mapped")(found)
    return sum(list(sizes.values())[first:last]) / 1024 if sizes else None


TIMES = [
    Row("create_vm", "to KVM_CREATE_VM", "ms", _at(PHASES, "moments", "create_vm"), False),
    Row("first_run", "to the first KVM_RUN", "ms", _at(PHASES, "moments", "first_run"), False),
    Row("first_serial", "to the guest's first byte to its serial port", "ms", _at(PHASES, "moments", "first_serial"),
        False),
    Row("first_output", "to the first byte of standard output", "ms", _plain_ms("first"), False),
    Row("end", "to the end of the process", "ms", _plain_ms("end"), False),
]
COSTS = [
    Row("user", "CPU time, user", "ms", lambda found: found[PLAIN]["facts"]["user"] / 1000, False),
    Row("system", "CPU time, system", "ms", lambda found: found[PLAIN]["facts"]["system"] / 1000, False),
    Row("guest", "of it in the guest (in ticks of the kernel's clock)", "ms", _at(COUNTS, "guest_ms"), False),
    Row("rss", "peak resident memory", "KiB", _at(PLAIN, "facts", "rss"), True),
    Row("pss", "most proportional memory, as threads end", "KiB", _at(COUNTS, "pss_kib"), True),
    Row("touched", "guest RAM that the host had to provide", "KiB", _at(COUNTS, "touched_kib"), True),
    Row("threads", "threads started", "", _at(COUNTS, "facts", "threads"), True),
    Row("files", "most open files, as threads end", "", _at(COUNTS, "files"), True),
    Row("switches", "waits (voluntary context switches)", "", _at(PLAIN, "facts", "voluntary"), True),
    Row("binary", "size of the program", "KiB", lambda found: _mapped(found, 0, 1), True),
    Row("libraries", "size of the libraries that it loaded", "KiB", lambda found: _mapped(found, 1), True),
]


def _names(measured, counter):
    """The names of a counter, of all columns, the most frequent first."""
    most = collections.Counter()
    for rounds in measured.values():
        for found in rounds:
            for name, count in (_at(COUNTS, counter)(found) or {}).items():
                most[name] = max(most[name], count)
    return [name for name, _ in most.most_common()]


def _marks(measured, names):
    """A row for each mark that a guest wrote to the POST port."""
    codes = {name[1] for rounds in measured.values() for found in rounds
             for name in _at(PHASES, "moments")(found) or {} if isinstance(name, tuple)}
    return [Row("mark", f"to the guest's mark {code:#04x}" + (f" ({names[code]})" if code in names else ""), "ms",
                _at(PHASES, "moments", ("mark", code)), False) for code in sorted(codes)]


def mark_names(header):
    """{code: name} of the marks that kvmlens's own guest makes, from the header that both sides include."""
    try:
        with open(header, encoding="utf-8") as file:
            return {int(found[1], 16): found[2] for found in
                    re.finditer(r'MILESTONE\(\w+, (0x\w+), "([^"]+)"\)', file.read())}
    except OSError:
        return {}


def _counted(measured, counter, title, limit=None):
    """The total of a counter, and its most frequent names."""
    names = _names(measured, counter)
    total = [Row(counter, title, "", _total(counter), True)] if names else []
    return total + [Row(f"{counter}:{name}", f"  {name}", "", _one(counter, name), True) for name in names[:limit]]


def _before_run(found):
    ran = _at(COUNTS, "ioctls", "KVM_RUN")(found)
    return _total("before_run")(found) if ran else None


def groups(measured, trouble, marks, lines_of_code):
    """The groups of the report. MEASURED: {title: [round]}; TROUBLE: why there are no trace events, or None;
    LINES_OF_CODE: {title: number or None}."""
    lost = sum(_at(kind, "lost")(found) or 0 for rounds in measured.values() for found in rounds
               for kind in (PHASES, COUNTS))
    note = trouble or (f"{lost} trace events were lost: these counts are too low" if lost else None)
    software = None if _names(measured, "kernel") or not _names(measured, "userspace") else \
        "This KVM tells of no exits to the kernel (kvm_exit): its backend is a software one, which emulates the guest."
    times = TIMES[:3] + _marks(measured, marks) + TIMES[3:]
    exits = _counted(measured, "userspace", "exits to userspace") + \
        _counted(measured, "kernel", "exits to the kernel") + \
        [Row("instructions", "instructions that KVM emulated", "", _at(COUNTS, "instructions"), True)] + \
        _counted(measured, "interrupts", "interrupts")
    calls = _counted(measured, "syscalls", "system calls", TOP) + \
        [Row("before_run", "before the first KVM_RUN", "", _before_run, True)] + \
        _counted(measured, "ioctls", "KVM ioctls", TOP)
    found = [Group("Time from exec", times, trouble), Group("Cost", COSTS, None),
             Group("System calls", calls, note), Group("Exits and interrupts", exits, note or software)]
    made = [Group(group.title, [line for line in (evaluate(row, measured) for row in group.rows) if line], group.note)
            for group in found]
    code = Line("code", "lines of code (C and headers)", "", True, [[lines_of_code.get(title)] for title in measured],
                [f"{lines_of_code[title]:,}".replace(",", "\u2009") if lines_of_code.get(title) else "not known"
                 for title in measured], [""] * len(measured))
    made[1].rows.append(code)
    return [group for group in made if group.rows or group.note]


def evaluate(row, measured):
    """A Row's Line, or None where nobody has a value."""
    values = [[row.value(found) if PLAIN in found else None for found in rounds] for rounds in measured.values()]
    found = [stats.summary(column) for column in values]
    if not any(found) or (row.key == "instructions" and not any(median for median, *_ in filter(None, found))):
        return None
    return Line(row.key, row.title, row.unit, row.whole, values, [stats.shown(column, row.whole) for column in found],
                [stats.shown_ratio(stats.ratios(column, values[0])) for column in values])
