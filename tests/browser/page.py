"""The page of -trace format=html, in headless Chromium. Screenshots land in build/browser/ to be looked at."""
import os
import subprocess
import time
import traceback

import harness
from harness import Failed, Result, expect
from webdriver import Browser, BrowserError, missing

FOLDER = "build/browser"
GENERATE = "build/tests/browser/generate"
READY = "document.documentElement.dataset.ready"
MANY = 200000
LOAD_SECONDS = 3

_cases = []


def case(name):
    def add(function):
        _cases.append((name, function))
        return function
    return add


def generate(count):
    path = f"{FOLDER}/made-up-{count}.html"
    with open(path, "wb") as file:
        subprocess.run([GENERATE, str(count)], stdout=file, stdin=subprocess.DEVNULL, timeout=60, check=True)
    return path


def show(browser, path, width=1280, height=800, scheme="light"):
    """A page, anew, without complaints. Returns the seconds until it was painted."""
    browser.call("POST", "/url", {"url": "about:blank"})
    browser.size(width, height)
    browser.prefer(scheme)
    browser.requests()
    browser.errors()
    start = time.monotonic()
    browser.open(path)
    browser.wait(READY, "the page is ready", 20)
    return time.monotonic() - start


def quiet(browser):
    errors = browser.errors()
    expect(not errors, f"expected a console without complaints, found {errors}", "")


def text(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).innerText", selector)


def same(what, found, wanted):
    expect(found == wanted, f"{what}: found {found!r}, expected {wanted!r}", "")


def focus_is(browser, selector):
    found = browser.run("const e = document.activeElement; return [e.matches(arguments[0]), e.outerHTML.slice(0, 120)]", selector)
    expect(found[0], f"expected the focus at {selector}, found it at {found[1]}", "")


@case("a real trace: what the file says is what the page shows")
def real_trace(browser):
    path = f"{FOLDER}/toy.html"
    if harness.kvm_trouble():
        raise harness.Skip(harness.kvm_trouble())
    ended = harness.boot(harness.KVMLENS, "run=zoo,poweroff", options=(
        "-trace", f"exits,file={path},format=html", "-trace", f"exits,file={FOLDER}/toy.txt"))
    expect(ended.status == harness.POWEROFF, "expected a power-off", ended)
    with open(f"{FOLDER}/toy.txt", encoding="utf-8") as file:
        lines = [line.split() for line in file.read().splitlines()[1:] if not line.startswith("(")]
    exits = [line for line in lines if "note" not in line[:3]]
    show(browser, path)
    same("exits", browser.run("return [...kvmlens.trace.what].filter((_, i) => kvmlens.trace.isExit(i)).length"), len(exits))
    counts = browser.run("return kvmlens.trace.groups.map((g, at) => [g.kind + ' ' + g.target, "
                         "[...kvmlens.trace.what].filter((w) => kvmlens.trace.groupOfWhat[w] === at).length])")
    thr = sum(1 for line in exits if "THR" in line)
    same("writes to THR", sum(n for name, n in counts if name.endswith("serial THR")), thr)
    browser.call("POST", "/refresh")
    browser.wait(READY, "the page is ready")
    browser.run("kvmlens.setFilter('reg=SCR+symbol=pio_out')")
    browser.press("4")
    browser.wait("document.querySelector('.row')", "rows")
    browser.click(".row")
    facts = text(browser, "#inspector")
    for wanted in ("out serial SCR", "0x03ff", "pio_out", "Registers", "RAX", "Scratch"):
        expect(wanted.replace(" ", "") in facts.replace("\n", "").replace(" ", ""), f"expected {wanted!r} of the exit", facts)
    browser.screenshot(f"{FOLDER}/toy.png")


@case(f"{MANY} events are there in under {LOAD_SECONDS} s")
def many(browser):
    path = generate(MANY)
    seconds = min(show(browser, path), show(browser, path))
    quiet(browser)
    expect(seconds < LOAD_SECONDS, f"expected {MANY} events within {LOAD_SECONDS} s, it took {seconds:.2f} s", "")
    same("events", browser.run("return kvmlens.trace.count"), MANY)
    # A picture of all of them, and one list, are made within a few frames.
    spent = browser.run("""const t = kvmlens.timeline, start = performance.now();
        for (let i = 0; i < 20; i++) { t.zoom(0.97); t.painter.paint(); }
        return (performance.now() - start) / 20""")
    expect(spent < 50, f"expected to paint the timeline within 50 ms, it took {spent:.1f} ms", "")
    browser.press("4", "End")
    browser.wait(f"document.querySelector('#row-{MANY - 1}')", "the last row is in sight")
    expect(browser.run("return document.querySelectorAll('.row').length") < 100, "expected few elements for many rows", "")
    return f"loaded in {seconds:.2f} s, painted in {spent:.1f} ms"


@case("nothing is asked of a network, and nothing complains")
def alone(browser):
    path = generate(3000)
    show(browser, path)
    browser.screenshot(f"{FOLDER}/light.png")
    for tab in ("cost", "code", "exits", "about"):
        browser.click(f"#tab-{tab}")
        browser.wait(f"!document.getElementById('{tab}').hidden", tab)
        browser.screenshot(f"{FOLDER}/light-{tab}.png")
    requests = browser.requests()
    same("requests", [url for url in requests if not url.startswith("data:")], ["file://" + os.path.abspath(path)])
    quiet(browser)


@case("names are text, whatever they are")
def hostile_names(browser):
    show(browser, generate(3000))
    browser.run("kvmlens.setFilter('nobody')")
    browser.press("4")
    browser.wait("document.querySelector('.row')", "rows")
    browser.click(".row")
    expect("probe</script><b>" in text(browser, "#inspector"), "expected the symbol as it is", text(browser, "#inspector"))
    same("elements made by a name", browser.run("return document.querySelectorAll('#inspector i:not(.bar i), .row i').length"), 0)
    quiet(browser)


@case("filter: the terms of filter=, words, and what is wrong with it")
def filters(browser):
    show(browser, generate(3000))
    all_ = browser.run("return kvmlens.view.length")
    for expression, condition in (
            ("device=serial", "g.device === 'serial'"), ("!device=serial", "g.device !== 'serial'"),
            ("exit=mmio write+device=virtio-*", "g.kind === 'mmio write' && g.device.startsWith('virtio-')"),
            ("reg=thr|lsr", "['THR', 'LSR'].includes(g.reg)"),
            ("cost>=20us", "t.guest[i] + t.vmm[i] >= 20000"), ("vmm<=500ns", "t.vmm[i] <= 500"),
            ("cpu=1", "t.vcpu[i] === 1"), ("port=0x3f8-0x3ff", "g.device === 'serial'"),
            ("gpa=0xfeb00052", "g.reg === 'QueueNotify'"), ("symbol=serial_*", "t.symbolOf(i).startsWith('serial_')"),
            ("sector", "g.reg === 'QueueNotify'"), ('"vector 48"', "g.kind === 'kvm_inj_virq'")):
        found, wanted = browser.run(f"""kvmlens.setFilter(arguments[0]);
            const t = kvmlens.trace; let n = 0;
            for (let i = 0; i < t.count; i++) {{ const g = t.groupOf(i); n += ({condition}) ? 1 : 0; }}
            return [kvmlens.view.length, n]""", expression)
        same(expression, found, wanted)
        expect(0 < found < all_, f"{expression}: expected some of {all_}, found {found}", "")
    for expression, complaint in (("cost>=fast", "no time"), ("port=x", "no number"), ("nonsense=1", "there are")):
        browser.run("kvmlens.setFilter(arguments[0])", expression)
        expect(complaint in text(browser, "#filter-says"), f"{expression}: expected {complaint!r}", text(browser, "#filter-says"))
        same("invalid", browser.run("return document.getElementById('filter').getAttribute('aria-invalid')"), "true")
    browser.run("kvmlens.setFilter('nothing-is-so')")
    expect("No exit passes" in text(browser, "#summary"), "expected an empty summary that says so", text(browser, "#summary"))
    quiet(browser)


@case("filter: lets through what filter= does")
def same_filter(browser):
    """The filter box and `kvmlens report --filter` are two programs for one language."""
    if harness.kvm_trouble():
        raise harness.Skip(harness.kvm_trouble())
    lines = f"{FOLDER}/toy.jsonl"
    ended = harness.boot(harness.KVMLENS, "run=zoo,smp,poweroff", options=(
        "-smp", "2", "-trace", f"exits,file={lines},format=jsonl"))
    harness.expect_status(ended, harness.POWEROFF)
    report = [harness.KVMLENS, "report", lines]
    harness.expect_status(harness.run([*report, "--html", f"{FOLDER}/toy-smp.html"]), 0)
    show(browser, f"{FOLDER}/toy-smp.html")
    for expression in ("device=serial", "!device=serial", "device=SER*", "exit=out|ins", "exit=mmio read", "exit=mmio*", "reg=THR|lsr",
                       "reg=?CR", "reg=[TI]*R", "reg=[!TI]*R", "cpu=1", "!cpu=0", "cpu=0-1", "port=0x3f9", "port=0x3f8-0x3ff|0x80",
                       "gpa=0xfd000002", "gpa=4261412864-0xffffffff", "symbol=serial_*|pio_in", "cost>=30us", "!cost>=0.1ms",
                       "device=serial+cost>=20us+!reg=THR", "symbol=*", "!symbol=*"):
        told = harness.run([*report, "--text", "--filter", expression]).out.splitlines()[1:]
        wanted = sum(not line.startswith("(") for line in told)
        same(expression, browser.run("kvmlens.setFilter(arguments[0]); return kvmlens.view.length", expression), wanted)


@case("times: no digit that the noise does not allow")
def digits(browser):
    show(browser, generate(3000))  # in which measuring costs 64 ns
    for ns, wanted in ((0, "0 ns"), (1, "<64 ns"), (63.9, "<64 ns"), (66, "70 ns"), (994, "990 ns"), (996, "1.00 µs"), (12345, "12.3 µs"),
                       (999499, "999 µs"), (999500, "1.00 ms"), (61234567890, "61.2 s")):
        same(ns, browser.run("return duration(arguments[0])", ns).replace("\u202f", " "), wanted)


@case("summary: the table's figures are those of the events")
def summary(browser):
    show(browser, generate(3000))
    rows = browser.run("""const t = kvmlens.trace, rows = {};
        for (const entry of summarise(t, kvmlens.view)) {
            const times = []; let n = 0;
            for (let i = 0; i < t.count; i++) if (t.groupOf(i) === entry.group) { n++; times.push(t.guest[i]); }
            times.sort((a, b) => a - b);
            rows[entry.group.label] = [entry.count, n, percentile(entry.guest, 950), times[Math.ceil(n * 0.95) - 1]];
        } return rows""")
    expect(len(rows) >= 9, f"expected all groups, found {list(rows)}", "")
    for name, (count, counted, p95, sorted95) in rows.items():
        same(f"{name}: count", count, counted)
        same(f"{name}: p95", p95, sorted95)
    browser.click("#summary-table th[aria-sort] button[data-key='count']")
    counts = browser.run("return [...document.querySelectorAll('#summary-table tbody tr')].map((r) => "
                         "Number(r.cells[2].innerText.replace(/\\D/g, '')))")
    same("sorted by count", counts, sorted(counts, reverse=True))


def cut_off(browser, cells):
    """The texts of CELLS that have not the room they need."""
    return browser.run("""const whole = document.querySelector('[role=tabpanel]:not([hidden])');
        const end = whole.getBoundingClientRect().left + whole.clientWidth;
        return [...document.querySelectorAll(arguments[0])].filter((cell) =>
            cell.scrollWidth > cell.clientWidth || cell.getBoundingClientRect().right > end).map((cell) => cell.innerText)""", cells)


@case("what the tables say is there whole, in a window of 1200 pixels")
def room(browser):
    if harness.kvm_trouble():
        raise harness.Skip(harness.kvm_trouble())
    path = f"{FOLDER}/devices.html"
    devices = [word for name in ("rng", "balloon", "serial") for word in ("-device", f"virtio-{name}-device")]
    ended = harness.boot(harness.KVMLENS, "run=zoo,rng+8,balloon+4,poweroff", options=(*devices, "-trace", f"exits,file={path},format=html"))
    harness.expect_status(ended, harness.POWEROFF)
    show(browser, path, 1200 - 15)  # a scrollbar
    same("summary: cut off", cut_off(browser, "#summary-table th, #summary-table td"), [])
    panel = browser.run("const p = document.getElementById('summary'); return p.scrollWidth - p.clientWidth")
    expect(panel <= 0, f"expected no scrolling sideways, by {panel} pixels", "")
    names = browser.run("return [...document.querySelectorAll('#summary-table td:nth-child(2)')].map((cell) => cell.innerText)")
    expect("virtio-balloon0 DriverFeaturesSel" in names, "expected the longest name to be there", names)
    browser.screenshot(f"{FOLDER}/devices.png")
    browser.run("kvmlens.setFilter('device=virtio-*')")
    browser.press("4")
    browser.wait("document.querySelectorAll('.row').length > 10", "rows")
    same("exits: cut off", cut_off(browser, ".row .c3"), [])
    browser.screenshot(f"{FOLDER}/devices-exits.png")


@case("summary: how the wall time splits, where all exits are there")
def split(browser):
    show(browser, generate(1))  # of one vCPU; the other made none
    rest = browser.run("return duration(2 * kvmlens.wall - kvmlens.trace.guest[0] - kvmlens.trace.vmm[0])")
    expect(rest in text(browser, ".split"), f"expected {rest} of two vCPUs' time in neither", text(browser, ".split"))
    show(browser, generate(3000))
    exits, out = browser.run("kvmlens.setFilter('!device=serial');"
                             "return [kvmlens.exits, kvmlens.exits - [...kvmlens.view].filter((i) => kvmlens.trace.isExit(i)).length]")
    expect(0 < out < exits, f"expected a filter to hide some of {exits}, not {out}", "")

    def says():
        return text(browser, "#summary .note").replace("\u202f", "")

    same("splits while a filter is typed in", browser.run("return document.querySelectorAll('.split').length"), 0)
    same("why", says(), f"How the wall time splits is not known: a filter left out {out} exits.")
    browser.run("kvmlens.setFilter('!exit=note')")
    same("splits while all exits are there", browser.run("return document.querySelectorAll('.split').length"), 1)
    browser.run("kvmlens.trace.footer.filtered = 1; kvmlens.setFilter('')")
    same("splits of a trace that was recorded with a filter", browser.run("return document.querySelectorAll('.split').length"), 0)
    same("why", says(), "How the wall time splits is not known: a filter left out 1 event.")
    quiet(browser)


@case("by keyboard alone")
def keyboard(browser):
    show(browser, generate(3000))
    browser.press("/")
    focus_is(browser, "#filter")
    browser.press(*"device=serial")
    browser.wait("kvmlens.view.length < 3000 && kvmlens.view.length > 0", "the filter works")
    browser.press("Escape", "4")
    focus_is(browser, "#list")
    browser.press("ArrowDown", "ArrowDown", "Enter")
    focus_is(browser, "#inspector")
    chosen = browser.run("return kvmlens.chosen")
    same("chosen", chosen, browser.run("return kvmlens.view[2]"))
    browser.press("]")
    same("next", browser.run("return kvmlens.chosen"), browser.run("return kvmlens.view[3]"))
    browser.press("Escape")
    same("inspector closed", browser.run("return document.getElementById('inspector').hidden"), True)
    browser.press("l")
    focus_is(browser, "#timeline")
    whole = browser.run("return kvmlens.timeline.to - kvmlens.timeline.from")
    browser.press("+", "+", "ArrowRight")
    expect(browser.run("return kvmlens.timeline.to - kvmlens.timeline.from") < whole / 2, "expected to be nearer", "")
    browser.press("0")
    same("all of it", browser.run("return kvmlens.timeline.whole"), True)
    browser.press("3", "ArrowRight")
    focus_is(browser, "#tab-exits")
    # Tab reaches everything, and what has the focus can be seen.
    seen = set()
    for _ in range(40):
        browser.press("Tab")
        found = browser.run("const e = document.activeElement; return [e.id || e.tagName, getComputedStyle(e).outlineStyle]")
        if found[0] not in ("BODY", "HTML"):
            expect(found[1] != "none", f"expected {found[0]} to show its focus", "")
        seen.add(found[0])
    for wanted in ("filter", "limit", "timeline", "list", "tab-exits", "theme", "help"):
        expect(wanted in seen, f"expected Tab to reach {wanted}, it reached {sorted(seen)}", "")
    browser.press("?")
    same("the keys", browser.run("return document.getElementById('keys').open"), True)
    browser.press("Escape")
    quiet(browser)


@case("events are in the order of the exits, each with its own data and registers")
def order(browser):
    show(browser, generate(20000))
    wrong = browser.run("""const t = kvmlens.trace, wrong = [];
        for (let i = 0; i < t.count; i += 7) {
            const registers = t.registersOf(i), whats = t.whats, what = t.what[i];
            if (i > 6 && t.exitAt(i) < t.exitAt(i - 1)) wrong.push(`${i}: exits before ${i - 1}`);
            if (t.bytesOf(i).length !== whats.size[what]) wrong.push(`${i}: data of another`);
            if (t.isExit(i) !== (registers !== null)) wrong.push(`${i}: registers of another`);
            if (registers && registers[2] !== whats.addr[what]) wrong.push(`${i}: RDX is ${registers[2]}`);
        } return wrong""")
    same("wrong", wrong[:5], [])
    expect(browser.run("return kvmlens.trace.stored !== null"), "expected the file to have another order", "")


# Compares a line of pixels in each track with the events that should be there: all that belong to that pixel, when a
# pixel has many, or those whose slices reach over it.
PAINTED = """const t = kvmlens.trace, timeline = kvmlens.timeline, painter = timeline.painter, wrong = [];
    const number = (text) => parseInt(text.slice(1), 16);
    const at = (x, y) => { const d = painter.context.getImageData(x, y, 1, 1).data; return (d[0] << 16) + (d[1] << 8) + d[2]; };
    painter.paint();
    const lane = number(painter.colours.lane), colours = painter.colours.family.map(number), from = painter.left, to = from + painter.width;
    let top = 22, events = 0;
    for (const track of timeline.tracks) {
        const tall = { vcpu: 46, kvm: 18, device: 18 }[track.kind], bottom = top + (track.kind === "vcpu" ? 30 : 17), there = new Map();
        const inView = track.index(timeline.to) + 1 - Math.max(0, track.index(timeline.from) - 1), slices = inView < painter.width / 3;
        for (let k = 0; k < track.events.length; k++) {
            const i = track.events[k], x = slices ? Math.round(painter.xOf(track.at[k])) : Math.floor(painter.xOf(track.at[k]));
            const wide = slices ? Math.max(2, Math.round(t.vmm[i] / painter.nsPerPixel)) : 1;
            for (let p = Math.max(x, from); p < Math.min(x + wide, to); p++)
                there.set(p, (there.get(p) ?? new Set()).add(colours[t.familyOf(i)]));
        }
        for (let x = from + 1; x < to - 1; x++) {
            const found = at(x, bottom), wanted = there.get(x);
            if (wanted ? !wanted.has(found) : found !== lane)
                wrong.push(`${track.label}: ${found.toString(16)} at ${x}`);
        }
        events += there.size;
        top += tall + 6;
    }
    return [wrong.length, wrong.slice(0, 3), timeline.tracks.length, events]"""


@case("timeline: what is painted is what there is")
def painted(browser):
    for scheme in ("light", "dark"):
        show(browser, generate(3000), scheme=scheme)
        count, wrong, tracks, events = browser.run(PAINTED)
        same(f"{scheme}, all of it", (count, wrong), (0, []))
        expect(tracks == 7 and events > 1000, f"expected tracks of 2 vCPUs, KVM's events, 3 devices: {tracks}, {events} pixels", "")
        browser.run("kvmlens.timeline.setView(3e6, 3.2e6)")
        count, wrong, _, events = browser.run(PAINTED)
        same(f"{scheme}, 0.2 ms of it", (count, wrong), (0, []))
        expect(events > 30, f"expected slices, found {events} pixels of them", "")


@case("timeline: wheel, drag and click")
def mouse(browser):
    show(browser, generate(3000))
    browser.wheel(700, 130, -400)
    browser.wait("kvmlens.timeline.to - kvmlens.timeline.from < kvmlens.timeline.length * 0.8", "the wheel zooms")
    before = browser.run("return kvmlens.timeline.from")
    browser.pointer({"type": "pointerMove", "x": 700, "y": 130}, {"type": "pointerDown", "button": 0},
                    {"type": "pointerMove", "x": 600, "y": 130}, {"type": "pointerUp", "button": 0})
    expect(browser.run("return kvmlens.timeline.from") > before, "expected to move by dragging", "")
    x, y, wanted = browser.run("""const t = kvmlens.timeline, box = t.canvas.getBoundingClientRect(), track = t.tracks[0];
        const i = track.events[20]; t.reveal(i, true);
        return [Math.round(box.left + t.painter.xOf(kvmlens.trace.exitAt(i)) + 1), Math.round(box.top + 40), i]""")
    browser.click_at(x, y)
    same("the exit that was clicked", browser.run("return kvmlens.chosen"), wanted)
    browser.wait("document.querySelector('#inspector h2')", "its facts")
    browser.click("#limit")
    browser.wait("kvmlens.view.length < 200", "the views show the time in view")
    browser.screenshot(f"{FOLDER}/light-exit.png")
    quiet(browser)


@case("light, dark, narrow")
def looks(browser):
    def ground():
        return browser.run("return getComputedStyle(document.body).backgroundColor")
    path = generate(3000)
    show(browser, path, scheme="dark")
    dark = ground()
    browser.screenshot(f"{FOLDER}/dark.png")
    browser.click("#theme")
    light = ground()
    expect(light != dark, "expected another ground in light", "")
    browser.click("#theme")
    same("dark by the button", ground(), dark)
    browser.press("4")
    browser.run("kvmlens.choose(40, { open: true })")
    chosen = ".row[aria-selected='true']"
    browser.wait(f'document.querySelector("{chosen}")', "its row")
    same("a note says what happened", "request done, status 0" in text(browser, chosen), True)
    browser.screenshot(f"{FOLDER}/dark-exit.png")
    show(browser, path, 390, 844)
    same("width", browser.run("return document.documentElement.scrollWidth"), 390)
    browser.screenshot(f"{FOLDER}/narrow.png")
    browser.run("kvmlens.openView('exits'); kvmlens.choose(kvmlens.trace.what.findIndex((_, i) => kvmlens.trace.isExit(i)), { open: true })")
    browser.wait("document.getElementById('inspector').getBoundingClientRect().top < 400", "the exit is in sight")
    browser.screenshot(f"{FOLDER}/narrow-exit.png")
    quiet(browser)


@case("a trace without events, and one that was cut short")
def incomplete(browser):
    show(browser, generate(0))
    same("summary", text(browser, "#summary"), "This trace has no exits.")
    for tab in ("cost", "code", "exits"):
        browser.click(f"#tab-{tab}")
        browser.wait("document.querySelector('[role=tabpanel]:not([hidden]) .empty')", "an empty view")
        same(tab, text(browser, f"#{tab} .empty"), "This trace has no exits.")
    browser.click("#tab-about")
    quiet(browser)
    with open(generate(20000), "rb") as file:
        whole = file.read()
    path = f"{FOLDER}/cut.html"
    with open(path, "wb") as file:
        file.write(whole[:whole.rindex(b"<script") - 1000])
    show(browser, path)
    same("events of the blocks that are whole", browser.run("return kvmlens.trace.count"), 8192)
    expect("no end" in text(browser, "#about") or browser.run("kvmlens.openView('about'); return true"), "", "")
    expect("no end" in text(browser, "#about"), "expected the page to say that the end is missing", text(browser, "#about"))
    quiet(browser)


def group():
    if missing():
        yield Result("page", "skip", f"{missing()} is not installed (scripts/setup.sh browser)")
        return
    os.makedirs(FOLDER, exist_ok=True)
    with Browser() as browser:
        for name, function in _cases:
            if harness.only and harness.only not in name:
                continue
            try:
                said = function(browser)
                yield Result(name + (f": {said}" if said else ""))
            except harness.Skip as reason:
                yield Result(name, "skip", str(reason))
            except (Failed, BrowserError) as reason:
                yield Result(name, "FAIL", str(reason))
            except Exception:  # pylint: disable=broad-except
                yield Result(name, "FAIL", traceback.format_exc())
