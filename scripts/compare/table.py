"""The report as text for a terminal, and as Markdown."""
import os
import shlex
import shutil
import textwrap

INDENT = "      "


class Style:
    """Colours where they are wanted: on a terminal, without NO_COLOR (https://no-color.org)."""

    def __init__(self, stream):
        self.on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.on and text else text

    def bold(self, text):
        return self._paint(1, text)

    def dim(self, text):
        return self._paint(2, text)

    def bad(self, text):
        return self._paint(31, text)

    def difference(self, line):
        return self._paint({"-": 31, "+": 32}.get(line[:1], 0), line)


def heading(report):
    host = report["host"]
    yield f"{host['date']}, {host['kernel']}, {host['processors']} × {host['processor']}, KVM: {host['kvm']}"
    yield f"{report['rounds']} rounds in turn, after a warm-up; median (least – most)"
    for column in report["columns"]:
        yield ""
        yield f"{column['title']}: {column['missing'] or shlex.join(column['command'])}"
        if column["version"]:
            yield f"  {column['version']}"
        for words in column["added"]:
            yield f"  added: {words}"
        for words, why in column["left_out"]:
            yield f"  left out: {words} ({why})"


def widths(report):
    """Of the titles, of each column's cells, of each column's ratios."""
    rows = [row for group in report["groups"] for row in group["rows"]]
    title = max([len(title_of(row)) for row in rows] + [20])
    cells = [max([len(row["cells"][i]) for row in rows] + [len(name)]) for i, name in enumerate(report["measured"])]
    ratios = [max([len(row["ratios"][i]) for row in rows] + [5]) for i in range(len(report["measured"]))]
    return title, cells, ratios


def title_of(row):
    return row["title"] + (f", {row['unit']}" if row["unit"] else "")


def text(report, style, why=True):
    """The lines of the table."""
    yield from heading(report)
    title, cells, ratios = widths(report)
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)

    def columns(values, compared):
        parts = [f"{values[0]:>{cells[0]}}"] if values else []
        for i in range(1, len(values)):
            parts.append(f"{values[i]:>{cells[i]}}  {compared[i]:<{ratios[i]}}")
        return "   ".join(parts).rstrip()

    for group in report["groups"]:
        yield ""
        yield style.bold(f"{group['title']:{title}}  {columns(report['measured'], ['ratio'] * len(ratios))}")
        if group["note"]:
            yield style.dim(f"  {group['note']}")
        for row in group["rows"]:
            yield f"{title_of(row):{title}}  {columns(row['cells'], row['ratios'])}"
            if why and row["reason"] and len(report["measured"]) > 1:
                for line in textwrap.wrap(row["reason"], width - len(INDENT)):
                    yield style.dim(INDENT + line)
    yield ""
    yield from verdict_lines(report, style)


def verdict_lines(report, style):
    output = report["output"]
    for column in output["columns"]:
        says = f"{column['title']}: exit status {column['status']}" if column["status"].isdigit() else \
            f"{column['title']}: ended by {column['status']}"
        yield says if column["same_status"] and column["title"] not in output["limited"] else style.bad(says)
        if output["errors"][column["title"]] and (column["status"] != "0" or not column["same_status"]):
            yield from (f"  {line}" for line in output["errors"][column["title"]].splitlines()[-5:])
    for title in output["unsteady"]:
        yield style.bad(f"{title}: the runs differ among themselves")
    for column in output["columns"]:
        if column["difference"]:
            yield style.bad("The guest's text is not the same:")
            yield from (style.difference(line) for line in column["difference"])
    if output["same"] and len(output["columns"]) > 1:
        yield "The guest's text and exit status are the same."
    for title, part in (("The machine that the guest saw", report["machine"]), ("The device tree", report["tree"])):
        if part:
            lines = sum(1 for lines in part["differences"] for line in lines
                        if line[:1] in "+-" and not line.startswith(("+++", "---")))
            yield f"{title}: {part['note'] or f'{lines} lines differ' if part['note'] or lines else 'the same'}"


def markdown(report):
    """Tables, one a group, without the reasons."""
    names = report["measured"]
    for group in report["groups"]:
        yield f"**{group['title']}**" + (f" ({group['note']})" if group["note"] else "")
        yield ""
        yield "| | " + " | ".join([names[0], *(part for name in names[1:] for part in (name, "ratio"))]) + " |"
        yield "| --- | " + " | ".join(["---:"] * (2 * len(names) - 1)) + " |"
        for row in group["rows"]:
            title = title_of(row)
            title = f"&nbsp;&nbsp;{title.strip()}" if title.startswith(" ") else title
            cells = [row["cells"][0], *(part for pair in zip(row["cells"][1:], row["ratios"][1:]) for part in pair)]
            yield f"| {title} | " + " | ".join(cells) + " |"
        yield ""
