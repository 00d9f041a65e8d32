"""The page of scripts/compare-qemu, in headless Chromium."""
import json
import os
import shutil
import sys

import harness
from harness import expect
from page import FOLDER, case, quiet, same, show, text

sys.path.append("scripts/compare")

import document  # noqa: E402

ODD = "<img src=x onerror=alert(1)> & \"it\""  # a part of the command line, so it stands on the page
ENOUGH_CONTRAST = 4.5  # WCAG 2.2, 1.4.3


def compared(name):
    """(the page, the report it was made of), of a run; made once."""
    path = f"{FOLDER}/{name}"
    if not shutil.which(harness.QEMU):
        raise harness.Skip(f"{harness.QEMU} is not installed")
    if harness.kvm_trouble():
        raise harness.Skip(harness.kvm_trouble())
    if not os.path.exists(f"{path}.json"):
        command = ["scripts/compare-qemu", "--pairs", "2", "--accel", "kvm,tcg", "--html", f"{path}.html", "--json",
                   f"{path}.json", "--", "-M", "microvm", "-nographic", "-no-reboot", "-kernel", harness.KERNEL,
                   "-append", "run=poweroff", "-vnc", ":87", "-name", "it's"]
        ended = harness.run(command, timeout=120)
        expect(ended.status == 0, "expected a comparison", ended)
    with open(f"{path}.json", encoding="utf-8") as file:
        return f"{path}.html", json.load(file)


@case("comparison: what was measured is what the page shows")
def comparison(browser):
    for old in ("html", "json"):
        if os.path.exists(f"{FOLDER}/comparison.{old}"):
            os.remove(f"{FOLDER}/comparison.{old}")
    path, report = compared("comparison")
    show(browser, path)
    rows = [row for group in report["groups"] for row in group["rows"]]
    same("rows", browser.run("return document.querySelectorAll('tr:not(.reason) > th[scope=row]').length"), len(rows))
    same("reasons", browser.run("return document.querySelectorAll('tr.reason').length"),
         sum(1 for row in rows if row["reason"]))
    same("columns", browser.run("return [...document.querySelector('.compared thead tr').children].map((e) => e.innerText)"),
         ["", "kvmlens", "qemu kvm", "× kvmlens", "qemu tcg", "× kvmlens"])
    rss = next(row for row in rows if row["key"] == "rss")
    shown = browser.run("return [...document.querySelectorAll('tr')].find((e) => e.innerText.startsWith('peak resident'))"
                        ".querySelector('td').innerText").split("\n")[0]
    same("peak memory", shown, rss["cells"][0].split(" (")[0])
    # The bars of a row are as long as its figures are large.
    lengths = browser.run("return [...[...document.querySelectorAll('tr')].find((e) => "
                          "e.innerText.startsWith('peak resident')).querySelectorAll('.measure')].map((e) => "
                          "parseFloat(e.style.width))")
    middle = [sorted(values)[0] + (sorted(values)[1] - sorted(values)[0]) / 2 for values in rss["values"]]
    expect(all(abs(a - 100 * b / max(middle)) < 0.1 for a, b in zip(lengths, middle)), f"bars of {lengths} for {middle}", "")
    phases = browser.run("return [...document.querySelectorAll('.track')].map((t) => [...t.children].map((e) => "
                         "e.getBoundingClientRect().width).reduce((a, b) => a + b, 0) / t.getBoundingClientRect().width)")
    same("phase bars", len(phases), 3)
    expect(max(phases) > 0.98 and min(phases) > 0, f"expected bars from exec to the end: {phases}", "")
    expect("-vnc :87" in text(browser, ".ran"), "expected what was left out", text(browser, ".ran"))
    expect("the same text and status" in text(browser, ".facts"), "expected the verdict", "")
    same("requests", [url for url in browser.requests() if not url.startswith("data:")], ["file://" + os.path.abspath(path)])
    quiet(browser)
    browser.screenshot(f"{FOLDER}/comparison.png")


@case("comparison: keys, themes, a narrow window")
def comparison_looks(browser):
    path, _ = compared("comparison")
    show(browser, path)
    visible = "return getComputedStyle(document.querySelector('tr.reason')).display !== 'none'"
    expect(browser.run(visible), "expected reasons", "")
    browser.press("w")
    expect(not browser.run(visible), "expected w to hide the reasons", "")
    same("the button says so", browser.run("return document.getElementById('why').getAttribute('aria-pressed')"), "false")
    browser.click("#why")
    expect(browser.run(visible), "expected the button to show them", "")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.press("t", "t")
    expect(browser.run(ground) != light, "expected t to lead to the dark theme", "")
    show(browser, path, scheme="dark")
    expect(browser.run(ground) != light, "expected the system's dark theme", "")
    browser.screenshot(f"{FOLDER}/comparison-dark.png")
    for theme in ("light", "dark"):
        contrast = browser.run("""document.documentElement.dataset.theme = arguments[0];
            const parse = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => { v /= 255;
                return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            const light = (c) => { const [r, g, b] = parse(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const a = light(getComputedStyle(document.querySelector('.reason p')).color),
                b = light(getComputedStyle(document.body).backgroundColor);
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)""", theme)
        expect(contrast >= ENOUGH_CONTRAST, f"the reasons' contrast is {contrast:.1f} in {theme}", "")
    show(browser, path, 390, 844)
    same("width", browser.run("return document.documentElement.scrollWidth"), 390)
    browser.screenshot(f"{FOLDER}/comparison-narrow.png")
    quiet(browser)


@case("comparison: differences, and texts that are no markup")
def comparison_differs(browser):
    _, report = compared("comparison")
    report["output"].update(same=False)
    report["output"]["columns"][1].update(same_text=False, difference=["--- a", "+++ b", "@@ -1 +1 @@", "-one", f"+{ODD}"])
    report["columns"][0]["command"].append(ODD)
    path = f"{FOLDER}/comparison-differs.html"
    with open(path, "w", encoding="utf-8") as file:
        file.write(document.html(report))
    show(browser, path)
    same("images", browser.run("return document.querySelectorAll('img').length"), 0)
    expect(ODD in text(browser, ".difference"), "expected the difference, letter by letter", text(browser, ".difference"))
    expect("not the same" in text(browser, ".facts"), "expected the verdict", "")
    quiet(browser)
    browser.screenshot(f"{FOLDER}/comparison-differs.png")

