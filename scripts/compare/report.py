"""The comparison as one object of lists, dictionaries, texts and numbers: all forms are made from it."""
import datetime
import os
import re
import subprocess

import rows
import verdict
from reasons import REASONS

SCHEMA = 1  # of the JSON form
UNKNOWN = "The cause is not known here."


def host(kvmlens):
    """What the figures depend on."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    check = subprocess.run([kvmlens, "check"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
                           check=False).stdout if kvmlens else ""
    backend = re.search(r"backend: (\w+)", check)
    return {"date": datetime.date.today().isoformat(), "kernel": " ".join(os.uname()[i] for i in (0, 2, 4)),
            "processor": model[1] if model else "not known", "processors": os.cpu_count(),
            "kvm": backend[1] if backend else "none"}


def lines_of_code(folders):
    """In C sources and headers; None where the sources are not here."""
    count = 0
    for folder in folders or ():
        for place, _, names in os.walk(folder):
            for name in names:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(place, name), "rb") as file:
                        count += sum(1 for _ in file)
    return count or None


def column(vmm):
    return {"title": vmm.title, "command": vmm.words, "version": vmm.version() if vmm.path else None,
            "missing": None if vmm.path else vmm.missing,
            "left_out": [list(pair) for pair in vmm.line.left_out], "added": vmm.line.added}


def row(line):
    found = {"key": line.key, "title": line.title, "unit": line.unit, "whole": line.whole, "values": line.values,
             "cells": line.cells, "ratios": line.ratios, "reason": None, "sources": []}
    reason = REASONS.get(line.key)
    if reason:
        found.update(reason=reason.text, sources=list(reason.sources))
    elif ":" not in line.key:
        found["reason"] = UNKNOWN
    return found


def reasoned(lines):
    """Rows with their reasons; several of one kind that follow each other have it once, under the last."""
    made = [row(line) for line in lines]
    for this, following in zip(made, made[1:]):
        if this["key"] == following["key"]:
            this.update(reason=None, sources=[])
    return made


def output_of(measured, masks):
    """How the guests ended, and whether they said the same."""
    ends = verdict.outcome(measured, masks)
    first = ends[0] if ends else None
    columns = [{"title": title, "status": status, "same_status": status == first[1], "same_text": text == first[2],
                "difference": verdict.difference((first[2], text), (first[0], title))} for title, status, text in ends]
    errors = {title: found[-1]["plain"]["ended"].errors.strip() for title, found in measured.items() if found}
    unsteady = verdict.steady(measured, masks)
    # A guest that hangs everywhere in the same way has not been compared.
    limited = [title for title, status, _ in ends if status == "time limit"]
    return {"same": all(c["same_status"] and c["same_text"] for c in columns) and not unsteady and not limited,
            "columns": columns, "errors": errors, "unsteady": unsteady, "limited": limited,
            "masks": [why for why, *_ in verdict.MASKS] + [f"asked for: {pattern}" for _, pattern, _ in masks]}


def machine_of(vmms, measured, instruments):
    """The machine that the guest saw, as a difference from the first column's."""
    running = [vmm for vmm in vmms if measured.get(vmm.title)]
    if not running or not verdict.is_own_guest(measured[running[0].title][-1]["plain"]["ended"].output):
        return {"note": "only kvmlens's own guest tells what machine it sees", "differences": []}
    texts = [(vmm.title, verdict.seen_machine(vmm, instruments)) for vmm in running]
    return {"note": None, "differences": [verdict.difference((texts[0][1], text), (texts[0][0], title))
                                          for title, text in texts[1:]]}


def tree_of(vmms, measured, instruments):
    """kvmlens's device tree and QEMU's."""
    ours = next((vmm for vmm in vmms if vmm.name == "kvmlens" and measured.get(vmm.title)), None)
    theirs = next((vmm for vmm in vmms if vmm.name == "qemu" and measured.get(vmm.title)), None)
    if not ours or not theirs:
        return {"note": "it takes kvmlens and QEMU to compare", "differences": []}
    if not verdict.is_own_guest(measured[theirs.title][-1]["plain"]["ended"].output):
        return {"note": "only kvmlens's own guest prints what QEMU gives it", "differences": []}
    trees = [verdict.tree_of_kvmlens(ours, instruments), verdict.tree_of_qemu(theirs, instruments)]
    trouble = next((note for _, note in trees if note), None)
    if trouble:
        return {"note": trouble, "differences": []}
    return {"note": None,
            "differences": [verdict.difference([tree for tree, _ in trees], (ours.title, theirs.title))]}


def build(vmms, measured, instruments, options, marks):
    """The whole report. VMMS: all columns, also those that are missing; MEASURED: of those that ran."""
    code = {vmm.title: lines_of_code(options.qemu_source if vmm.name.startswith("qemu") else vmm.sources)
            for vmm in vmms if vmm.title in measured}
    groups = rows.groups(measured, instruments.trouble, marks, code)
    return {
        "schema": SCHEMA,
        "host": host(next((vmm.path for vmm in vmms if vmm.name == "kvmlens"), None)),
        "arguments": options.arguments,
        "rounds": options.pairs,
        "columns": [column(vmm) for vmm in vmms],
        "measured": list(measured),
        "groups": [{"title": group.title, "note": group.note, "rows": reasoned(group.rows)} for group in groups],
        "output": output_of(measured, options.masks),
        "machine": machine_of(vmms, measured, instruments) if options.machine else None,
        "tree": tree_of(vmms, measured, instruments) if options.machine else None,
    }
