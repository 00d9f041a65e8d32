"""The report as one HTML page that needs no network, in the look of `kvmlens report --html`."""
import html as markup
import os
import shlex

import stats

HERE = os.path.dirname(os.path.realpath(__file__))
LOOK = os.path.join(os.path.dirname(os.path.dirname(HERE)), "vmm/trace/page/page.css")
PHASES = (("create_vm", "start, to KVM_CREATE_VM"), ("first_run", "machine made, to the first KVM_RUN"),
          ("first_serial", "guest boots, to its first serial byte"), ("end", "the rest, to the end"))
# Rows whose figures are drawn as well as told.
DRAWN = {"ms", "KiB"}


def esc(text):
    return markup.escape(str(text))


def file_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def median(row, column):
    found = stats.summary(row["values"][column])
    return found[0] if found else None


def timeline(report):
    """A bar for each column: how far it was when."""
    rows = {row["key"]: row for group in report["groups"] for row in group["rows"]}
    ends = [median(rows["end"], i) or 0 if "end" in rows else 0 for i in range(len(report["measured"]))]
    full = max(ends + [1e-9])
    known = [(key, name) for key, name in PHASES if key in rows]
    yield '<section class="phases" aria-label="When what happened"><h2>From exec to the end</h2>'
    for i, title in enumerate(report["measured"]):
        yield f'<div class="phase"><span class="who">{esc(title)}</span><div class="track">'
        last = 0
        for number, (key, name) in enumerate(PHASES):
            at = median(rows[key], i) if key in rows else None
            if at is None or at <= last:
                continue
            share = (at - last) / full * 100
            yield (f'<i class="p{number}" style="width:{share:.3f}%" title="{esc(title)}: {esc(name)}, at '
                   f'{at:.3g} ms, {at - last:.3g} ms long"></i>')
            last = at
        yield f'</div><span class="number">{ends[i]:.3g}<span class="unit">ms</span></span></div>'
    yield '<ul class="legend">'
    for number, (key, name) in enumerate(PHASES):
        if (key, name) in known:
            yield f'<li><i class="swatch p{number}"></i>{esc(name)}</li>'
    yield "</ul>"
    if len(known) < len(PHASES):
        yield '<p class="note">The phases before the end are seen by trace events, which need root.</p>'
    elif any(median(rows["first_run"], i) is None for i in range(len(report["measured"]))):
        yield '<p class="note">Without KVM there are no KVM_CREATE_VM, no KVM_RUN and no trace of the serial port.</p>'
    yield ('<p class="note">Medians: the end of runs in which nothing looks, the phases before it of runs under a few '
           'trace events.</p></section>')


def figure(row, column):
    """A cell, with a bar where the row is drawn."""
    found = stats.summary(row["values"][column])
    if found is None:
        return f'<span class="none">{esc(row["cells"][column])}</span>'
    value, spread = found[0], stats.parts(found, row["whole"])[1]
    cell = f'<span class="number">{esc(stats.parts(found, row["whole"])[0])}</span>'
    cell += f'<span class="spread">{esc(spread)}</span>' if spread else ""
    most = max([median(row, i) or 0 for i in range(len(row["values"]))])
    if row["unit"] in DRAWN and most:
        cell += f'<i class="measure" style="width:{value / most * 100:.2f}%"></i>'
    return cell


def ratio(text):
    value, _, spread = text.rstrip(")").partition(" (")
    return esc(value) + (f'<span class="spread">{esc(spread)}</span>' if spread else "")


def tables(report):
    names = report["measured"]
    for group in report["groups"]:
        yield f'<section><h2>{esc(group["title"])}</h2>'
        if group["note"]:
            yield f'<p class="note">{esc(group["note"])}</p>'
        yield '<div class="scroll"><table class="grid compared"><thead><tr><th class="text"></th>'
        for i, name in enumerate(names):
            yield f'<th>{esc(name)}</th>' + (f'<th class="ratio">× {esc(names[0])}</th>' if i else "")
        yield "</tr></thead><tbody>"
        for row in group["rows"]:
            inner = " inner" if row["title"].startswith(" ") else ""
            unit = f' <span class="unit">{esc(row["unit"])}</span>' if row["unit"] else ""
            yield f'<tr><th class="text{inner}" scope="row">{esc(row["title"].strip())}{unit}</th>'
            for i in range(len(names)):
                yield f"<td>{figure(row, i)}</td>"
                if i:
                    yield f'<td class="number ratio">{ratio(row["ratios"][i])}</td>'
            yield "</tr>"
            if row["reason"] and len(names) > 1:
                sources = "".join(f"<li>{esc(source)}</li>" for source in row["sources"])
                yield (f'<tr class="reason{inner}"><td class="text" colspan="{2 * len(names)}">'
                       f'<p>{esc(row["reason"])}</p><ul class="source">{sources}</ul></td></tr>')
        yield "</tbody></table></div></section>"


def difference(lines):
    yield '<pre class="difference">'
    for line in lines:
        kind = "less" if line.startswith("-") else "more" if line.startswith("+") else "place" if \
            line.startswith("@@") else ""
        yield f'<span class="{kind}">{esc(line)}</span>\n' if kind else f"{esc(line)}\n"
    yield "</pre>"


def comparisons(report):
    """What the guests said, the machines they saw, the trees."""
    output = report["output"]
    yield "<section><h2>The guest's text and exit status</h2>"
    for column in output["columns"]:
        same = column["same_text"] and column["same_status"]
        yield (f'<p class="{"" if same else "bad"}">{esc(column["title"])}: exit status {esc(column["status"])}, '
               f'{"the same text" if column["same_text"] else "another text"}</p>')
        if column["difference"]:
            yield from difference(column["difference"])
        if output["errors"][column["title"]]:
            yield (f'<details><summary>what {esc(column["title"])} itself said</summary>'
                   f'<pre>{esc(output["errors"][column["title"]])}</pre></details>')
    for title in output["unsteady"]:
        yield f'<p class="bad">{esc(title)}: the runs differ among themselves</p>'
    masks = "".join(f"<li>{esc(why)}</li>" for why in output["masks"])
    yield f'<details><summary>what is not compared</summary><ul class="masks">{masks}</ul></details></section>'
    for title, part in (("The machine that the guest saw", report["machine"]),
                        ("The device tree", report["tree"])):
        if not part:
            continue
        yield f"<section><h2>{title}</h2>"
        yield f'<p class="note">{esc(part["note"])}</p>' if part["note"] else ""
        for lines in part["differences"]:
            yield from difference(lines) if lines else ["<p>the same</p>"]
        yield "</section>"


def commands(report):
    yield '<section><h2>What ran</h2><dl class="ran">'
    for column in report["columns"]:
        yield f'<dt>{esc(column["title"])}</dt><dd>'
        yield f'<p class="bad">{esc(column["missing"])}</p>' if column["missing"] else \
            f'<code>{esc(shlex.join(column["command"]))}</code><p class="note">{esc(column["version"] or "")}</p>'
        for words in column["added"]:
            yield f'<p>added: <code>{esc(words)}</code></p>'
        for words, why in column["left_out"]:
            yield f'<p>left out: <code>{esc(words)}</code> <span class="note">{esc(why)}</span></p>'
        yield "</dd>"
    yield "</dl></section>"


def chips(report):
    """The facts of the head."""
    host, output = report["host"], report["output"]
    verdict = "the same text and status" if output["same"] else "not the same"
    yield f'<li class="{"" if output["same"] else "bad"}"><b>{verdict}</b></li>'
    yield f'<li><b>{report["rounds"]}</b> rounds in turn, after a warm-up</li>'
    yield f'<li>KVM: <b>{esc(host["kvm"])}</b></li><li>{esc(host["kernel"])}</li>'
    yield f'<li>{host["processors"]} × {esc(host["processor"])}</li><li>{esc(host["date"])}</li>'


def html(report):
    body = "\n".join([*timeline(report), *tables(report), *comparisons(report), *commands(report)])
    page = file_text(os.path.join(HERE, "page.html"))
    for name, part in (("style", file_text(LOOK) + file_text(os.path.join(HERE, "page.css"))),
                       ("script", file_text(os.path.join(HERE, "page.js"))), ("facts", "".join(chips(report))),
                       ("guest", esc(" · ".join(report["measured"]))), ("body", body)):
        page = page.replace(f"<!-- {name} -->", part)
    return page
