"""kvmlens report, and the forms that it reads and writes: JSON lines and the Trace Event Format."""
import json
import os
import re
import signal
import subprocess
import time

from harness import IMAGE, KVMLENS, POWEROFF, USAGE, boot, case, expect, expect_one_line, expect_status, expect_text, \
    guest_command, run, scratch

HEADER = {"kvmlens_trace": 1, "command": "c", "guest": "g", "host": "h", "backend": "vmx", "started_ns": 1,
          "clock_ns": 60, "vcpus": 1, "kernel": False}
FOOTER = {"end": "reset", "status": 0, "wall_ns": 50000, "exits": 3, "dropped": 0, "filtered": 0, "stats": {}}


def out(number):
    return {"k": "out", "c": 0, "t": number * 10000, "g": 5000, "v": 900, "a": "0x80", "n": 1, "d": "42",
            "dev": "post", "reg": "POST code", "rip": "0x100000"}


def trace(path, *lines):
    """Writes a trace by hand."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def traced(binary, folder, append="run=zoo,poweroff", options=()):
    """A guest's trace, as jsonl, and its lines."""
    path = f"{folder}/trace.jsonl"
    ended = boot(binary, append, options=("-trace", f"exits,format=jsonl,file={path}", *options))
    expect_status(ended, POWEROFF)
    with open(path, encoding="utf-8") as file:
        return path, [json.loads(line) for line in file]


@case("kvm", "report: jsonl of every animal of the zoo", nested=False)
def zoo(binary):
    """Every line is an object; the footer counts the lines; the same lines come back as text and summary."""
    with scratch() as folder:
        path, lines = traced(binary, folder, options=("-trace", f"exits,file={folder}/text",
                                                      "-trace", f"summary,file={folder}/summary"))
        header, footer = lines[0], lines[-1]
        exits = [line for line in lines[1:-1] if line["k"] not in ("note", "kernel")]
        expect(header["kvmlens_trace"] == 1 and header["vcpus"] == 1, f"expected a header: {header}")
        expect(footer["end"] == "power-off" and footer["status"] == 0, f"expected a footer: {footer}")
        expect(len(exits) + footer["dropped"] == footer["exits"], f"expected {footer['exits']} exits: {len(exits)}")
        expect(any(line["k"] == "out" and line.get("dev") == "post" and line["d"] == "42" and "sym" in line
                   for line in exits), "expected the POST code")
        expect(all(len(line["regs"].split()) == 17 for line in exits), "expected registers in each exit")
        with open(f"{folder}/text", encoding="utf-8") as file:
            text = file.read()
        ended = run([binary, "report", path, "--text"])
        expect_status(ended, 0)
        expect(ended.err == "", "expected silence on stderr", ended)
        counted = f"; KVM counted {footer['stats']['exits']} in all" if footer["stats"] else ""
        expect_text(ended.out, rf"^\({len(exits)} exits came to kvmlens{counted}; 0 records dropped\)\n\Z", ended)
        expect(ended.out == text, "expected the very lines of the running trace", ended)
        with open(f"{folder}/summary", encoding="utf-8") as file:
            expect(run([binary, "report", path]).out == file.read(), "expected the summary of the running trace")


@case("kvm", "report: of a run that was killed", nested=False)
def killed(binary):
    """What was written until then is read; one line says that the end is missing."""
    with scratch() as folder:
        path = f"{folder}/trace.jsonl"
        command = guest_command(binary, options=("-trace", f"exits,format=jsonl,file={path}"))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as guest:
            until = time.monotonic() + 30
            while (not os.path.exists(path) or os.path.getsize(path) < 2000) and time.monotonic() < until:
                time.sleep(0.05)
            guest.send_signal(signal.SIGKILL)
        ended = run([binary, "report", path])
        expect_status(ended, 0)
        expect(ended.err.count("\n") == 1, "expected one line on stderr", ended)
        expect_text(ended.err, r"is not whole: shown are \d+ events; the last line is missing", ended)
        expect_text(ended.out, "serial", ended)
        expect_text(ended.out, "The end of the trace is missing, with KVM's statistics", ended)


def check_slices(events):
    """Slices of a track are disjoint or nested."""
    tracks = {}
    for event in events:
        if event["ph"] == "X":
            tracks.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
    for track, slices in tracks.items():
        slices.sort(key=lambda times: (times[0], -times[1]))
        open_ends = []
        for begin, end in slices:
            while open_ends and open_ends[-1] <= begin + 0.0005:
                open_ends.pop()
            expect(not open_ends or end <= open_ends[-1] + 0.0005, f"track {track}: {begin} overlaps")
            open_ends.append(end)
    return tracks


def check_chrome(path):
    """The rules of the Trace Event Format for the kinds of events that are in the file."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)
    for event in events:
        expect(event["ph"] in "MXiC" and isinstance(event["name"], str), f"unexpected: {event}")
        expect(isinstance(event["pid"], int) and isinstance(event["tid"], int), f"unexpected: {event}")
        if event["ph"] == "M":
            expect(event["args"].get("name") or event["args"].get("labels"), f"unexpected: {event}")
            continue
        expect(event["ts"] >= 0 and event.get("dur", 0) >= 0, f"unexpected: {event}")
        expect(("dur" in event) == (event["ph"] == "X"), f"unexpected: {event}")
        expect(event["ph"] != "i" or event["s"] in "tpg", f"unexpected: {event}")
        expect(event["ph"] != "C" or all(isinstance(value, int) for value in event["args"].values()), f"{event}")
    return events, check_slices(events)


@case("kvm", "report: Trace Event Format", nested=False)
def chrome(binary):
    """A track for each vCPU and each device, named; the same file from the running trace and from the report."""
    with scratch() as folder:
        path, lines = traced(binary, folder, "run=smp,poweroff",
                             ("-smp", "3", "-trace", f"exits,format=chrome,file={folder}/live.json"))
        expect_status(run([binary, "report", path, "--chrome", f"{folder}/later.json"]), 0)
        events, tracks = check_chrome(f"{folder}/live.json")
        names = {event["args"]["name"]: (event["pid"], event["tid"]) for event in events
                 if event["name"] == "thread_name"}
        devices = {line["dev"] for line in lines[1:-1] if "dev" in line}
        expect(len(devices) > 1 and set(names) == {"vCPU 0", "vCPU 1", "vCPU 2"} | devices,
               f"expected a track for each vCPU and each of {devices}: {names}")
        expect(all(names[device] in tracks for device in devices), f"expected slices: {list(tracks)}")
        rates = [event["args"]["exits/s"] for event in events if event["ph"] == "C" and event["name"] == "exits/s"]
        expect(max(rates) > 0 and rates[-1] == 0, f"expected a counter that ends with 0: {rates}")
        exits = sum(line["k"] not in ("note", "kernel") for line in lines[1:-1])
        guest = sum(event.get("cat") == "guest" for event in events)
        expect(guest == exits, f"expected a slice for each of {exits} exits: {guest}")
        later, _ = check_chrome(f"{folder}/later.json")
        expect(events == later, "expected the same events from both")


@case("cli", "report: forms, filter, standard input")
def forms(binary):
    with scratch() as folder:
        lines = [HEADER, out(1), {**out(2), "reg": "other"}, {"k": "note", "t": 25000, "dev": "rtc", "rem": "alarm"},
                 out(3), FOOTER]
        path = trace(f"{folder}/a.jsonl", *lines)
        ended = run([binary, "report", "-", "--text", "--summary", f"--chrome={folder}/a.json", "--html",
                     f"{folder}/a.html"], stdin="".join(json.dumps(line) + "\n" for line in lines))
        expect_status(ended, 0)
        expect(ended.err == "", "expected silence on stderr", ended)
        expect_text(ended.out, r"(?s)post POST code.*post other.*rtc .*alarm.*3 exits", ended)
        expect("\x1b" not in ended.out, "expected no colour in a pipe", ended)
        check_chrome(f"{folder}/a.json")
        with open(f"{folder}/a.html", encoding="utf-8") as file:
            expect_text(file.read(), r"(?si)^<!doctype html>.*</html>\s*$")
        ended = run([binary, "report", path, "-text", "-filter", "reg=other"])
        expect_text(ended.out, r"\A.*\n.*post other.*\n.3 more did not pass the filter.\n"
                    r"\(3 exits came to kvmlens; 0 records dropped\)\n\Z", ended)
        ended = run([binary, "report", path, "--text", "--filter", "cpu=9"])
        expect_text(ended.out, r"\A.*\n.4 more .*\n\(3 exits came to kvmlens; 0 records dropped\)\n\Z", ended)


@case("cli", "report: what changed")
def difference(binary):
    with scratch() as folder:
        first = trace(f"{folder}/a.jsonl", HEADER, *(out(i + 1) for i in range(100)), FOOTER)
        second = trace(f"{folder}/b.jsonl", HEADER, *(out(i + 1) for i in range(10)),
                       {**out(11), "reg": "other"}, {"k": "hlt", "c": 0, "t": 999999, "g": 1, "v": 1}, FOOTER)
        ended = run([binary, "report", first, "--diff", second])
        expect_status(ended, 0)
        expect_text(ended.out, r"post POST code, out +100 +10 +-90%", ended)
        expect_text(ended.out, r"only in B", ended)
        expect_text(ended.out, r"post other, out +0 +1 +new", ended)
        expect(not re.search("hlt", ended.out), "expected one hlt to be noise", ended)
        expect_text(run([binary, "report", first, "--diff", first]).out, "Nothing changed")


@case("cli", "report: files that are no whole traces")
def bad_files(binary):
    with scratch() as folder:
        newer = trace(f"{folder}/newer", {**HEADER, "kvmlens_trace": 2})
        expect_one_line(run([binary, "report", newer]), IMAGE, "version 2", "reads version 1")
        expect_one_line(run([binary, "report", KVMLENS]), IMAGE, "no trace of kvmlens", "format=jsonl")
        expect_one_line(run([binary, "report", "/dev/null"]), IMAGE, "no trace of kvmlens")
        expect_one_line(run([binary, "report", f"{folder}/missing"]), IMAGE, "missing", "No such file")
        expect_one_line(run([binary, "report", folder]), IMAGE, "Is a directory")
        whole = trace(f"{folder}/a", HEADER, out(1), FOOTER)
        expect_one_line(run([binary, "report", whole, "--diff", newer]), IMAGE, "version 2")
        damaged = trace(f"{folder}/damaged", HEADER, out(1), [], out(2), FOOTER)
        ended = run([binary, "report", damaged, "--text"])
        expect_status(ended, 0)
        expect(ended.out.count("post POST code") == 2, "expected what is good", ended)
        expect_text(ended.err, r"^kvmlens: .*2 events; 1 damaged line was passed over, the first is line 3\n$", ended)


@case("cli", "report: bad command lines")
def bad_words(binary):
    with scratch() as folder:
        path = trace(f"{folder}/a.jsonl", HEADER, out(1), FOOTER)
        for words, *patterns in (
                ([], "FILE.jsonl"),
                ([path, path], "too much"),
                ([path, "--txet"], "unknown option", "--text"),
                ([path, "--xyzzy"], "unknown option", "--help"),
                ([path, "--html"], "--html", "argument"),
                ([path, "--filter", "colour=red"], "colour"),
                ([path, "--diff", path, "--text"], "--diff"),
                (["-", "--diff", "-"], "one of the two"),
                ([path, "--chrome", "-", "--text"], "--chrome"),
                ([path, "--chrome", path], "the trace itself"),
                ([path, "--chrome", f"{folder}/x", "--html", f"{folder}/../{os.path.basename(folder)}/x"],
                 "/x' has another form already"),
                ([path, "--chrome", "/no/such/folder/x"], "/no/such/folder/x")):
            ended = run([binary, "report", *words])
            expect_one_line(ended, USAGE, *patterns)
        with open(path, encoding="utf-8") as file:
            expect(len(file.readlines()) == 3, "expected the trace to be whole")
        expect_status(run([binary, "report", path, "--chrome", "/dev/null", "--html", "/dev/null"]), 0)
        expect_one_line(run([binary, "report", path, "--chrome", "/dev/full"]), 70, "/dev/full", "No space")
        ended = run([binary, "report", "--help"])
        expect_status(ended, 0)
        expect_text(ended.out, r"^usage: kvmlens report", ended)
