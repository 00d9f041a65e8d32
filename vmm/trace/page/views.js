/*
 * views.js: the summary table and the histograms, of the events that pass the filter.
 */

/* Counts and sorted times of each group. */
function summarise(trace, view) {
    const counts = new Uint32Array(trace.groups.length);
    for (let k = 0; k < view.length; k++)
        counts[trace.groupOfWhat[trace.what[view[k]]]]++;
    const result = trace.groups.map((group, g) => ({
        group, count: counts[g], filled: 0, exit: group.family < NOTE,
        guest: new Float64Array(counts[g]), vmm: new Float64Array(counts[g]), guestSum: 0, vmmSum: 0,
    }));
    for (let k = 0; k < view.length; k++) {
        const i = view[k], entry = result[trace.groupOfWhat[trace.what[i]]];
        entry.guest[entry.filled] = trace.guest[i];
        entry.vmm[entry.filled++] = trace.vmm[i];
        entry.guestSum += trace.guest[i];
        entry.vmmSum += trace.vmm[i];
    }
    for (const entry of result) {
        entry.guest.sort();
        entry.vmm.sort();
    }
    return result.filter((entry) => entry.count > 0);
}

/* The smallest of SORTED values that at least PERMILLE of 1000 do not exceed. */
function percentile(sorted, permille) {
    return sorted.length ? sorted[Math.max(0, Math.ceil((sorted.length * permille) / 1000) - 1)] : 0;
}

const ROWS_MOST = 500, HISTOGRAMS_MOST = 60;
const MEASURES = [["total", "total"], ["mean", "mean"], ["p50", 500], ["p95", 950], ["p99", 990], ["max", 1000]];

function measure(entry, side, what) {
    if (what === "total")
        return entry[`${side}Sum`];
    return what === "mean" ? entry[`${side}Sum`] / entry.count : percentile(entry[side], what);
}

class SummaryView {
    constructor(page) {
        this.page = page;
        this.panel = element("summary");
        this.order = { key: "cost", down: true };
    }

    show(view) {
        const { trace } = this.page, entries = summarise(trace, view);
        const exits = entries.filter((entry) => entry.exit), others = entries.filter((entry) => !entry.exit);
        this.all = exits.reduce((sum, entry) => sum + entry.guestSum + entry.vmmSum, 0);
        const parts = exits.length ? [this.split(exits), this.table(exits)] : [make("p.empty", this.page.nothing)];
        if (others.length)
            parts.push(this.otherTable(others));
        this.panel.replaceChildren(...parts);
    }

    /* Where the vCPUs' time went; the time of exits that are left out would be nobody's. */
    split(exits) {
        const { page } = this, out = page.trace.footer?.filtered ?? 0;
        const hidden = page.exits - exits.reduce((sum, entry) => sum + entry.count, 0), left = out + hidden;
        if (left > 0)
            return make("p.note", `How the wall time splits is not known: a filter ${page.limited ? "or the time in view " : ""}left out ${
                grouped(left)} ${out ? "event" : "exit"}${left === 1 ? "" : "s"}.`);
        const guest = exits.reduce((sum, entry) => sum + entry.guestSum, 0);
        const vmm = exits.reduce((sum, entry) => sum + entry.vmmSum, 0);
        const whole = Math.max(guest + vmm, page.wall * page.vcpus);
        const rest = whole - guest - vmm, idle = Math.min(guest, page.idle), part = (name, label, ns) => [
            make(`span.swatch.${name}`), make("span", label), make("b.number", duration(ns)),
            make("span.share", `${percent(ns, whole)} %`)];
        const bar = make("div.bar", { "aria-hidden": "true" }, [["guest", guest - idle], ["idle", idle], ["vmm", vmm], ["rest", rest]].map(
            ([name, ns]) => {
                const piece = make(`i.${name}`);
                piece.style.flexGrow = ns / Math.max(whole, 1);
                return piece;
            }));
        return make("section.split", bar, make("p", make("span", part("guest", "guest+KVM", guest - idle)),
            idle > 0 ? make("span", part("idle", "idle (hlt in KVM)", idle)) : "", make("span", part("vmm", "VMM", vmm)),
            make("span", part("rest", "neither", rest))));
    }

    columns() {
        const times = (side) => MEASURES.map(([name, what]) => ({
            key: `${side} ${name}`, name, side, value: (entry) => measure(entry, side, what) }));
        return [
            { key: "label", name: "exit", text: true, value: (entry) => entry.group.kind },
            { key: "target", name: "device register", text: true, value: (entry) => entry.group.target },
            { key: "count", name: "count", value: (entry) => entry.count },
            { key: "cost", name: "time", title: "share of the time of all exits shown, guest+KVM and VMM", value: (entry) => entry.guestSum + entry.vmmSum },
            ...times("guest"), ...times("vmm")];
    }

    table(exits) {
        const columns = this.columns(), { order } = this;
        const chosen = columns.find((column) => column.key === order.key);
        const compare = (a, b) => (chosen.text ? chosen.value(a).localeCompare(chosen.value(b)) : chosen.value(a) - chosen.value(b));
        exits.sort((a, b) => (order.down ? -1 : 1) * compare(a, b));
        const head = (column) => make(`th.${column.text ? "text" : "number"}`, {
            scope: "col", "aria-sort": column.key === order.key ? (order.down ? "descending" : "ascending") : "none",
        }, make("button", { type: "button", title: column.title, "data-key": column.key, onclick: () => this.sortBy(column) }, column.name));
        return make("table.grid", { id: "summary-table" },
            make("caption.hidden", "Exits by kind and device register"),
            make("thead",
                make("tr.over", make("td", { colspan: 4 }), make("th", { colspan: 6, scope: "colgroup" }, "guest+KVM"),
                    make("th", { colspan: 6, scope: "colgroup" }, "VMM")),
                make("tr", columns.map(head))),
            make("tbody", exits.slice(0, ROWS_MOST).map((entry) => this.row(entry)), exits.length > ROWS_MOST
                ? make("tr", make("td.text", { colspan: 16 }, `${grouped(exits.length - ROWS_MOST)} more; filter to see them`)) : ""));
    }

    row(entry) {
        const { group } = entry;
        const name = make("button.link", { type: "button", title: "show only these", onclick: () => this.page.only(group) }, group.kind);
        const target = make(`td.text${group.target === "nobody" ? ".bad" : ""}`, group.target);
        return make("tr", make("th.text", { scope: "row" }, make(`span.swatch.f${group.family}`), name), target,
            make("td.number", grouped(entry.count)), make("td.number", percent(entry.guestSum + entry.vmmSum, this.all), make("span.unit", "%")),
            ["guest", "vmm"].flatMap((side) => MEASURES.map(([name, what]) =>
                timeCell(measure(entry, side, what), name === "total" ? "td.number.first" : "td.number"))));
    }

    sortBy(column) {
        const { order } = this;
        this.order = { key: column.key, down: order.key === column.key ? !order.down : !column.text };
        this.show(this.page.view);
        this.panel.querySelector(`[data-key="${column.key}"]`).focus();
    }

    /* KVM's own events, and notes: counted, not timed. */
    otherTable(others) {
        others.sort((a, b) => b.count - a.count);
        return make("section", make("h3", "Beside the exits"), make("table.grid.small",
            make("thead", make("tr", make("th.text", { scope: "col" }, "event"), make("th.text", { scope: "col" }, "of"),
                make("th.number", { scope: "col" }, "count"))),
            make("tbody", others.slice(0, ROWS_MOST).map((entry) => make("tr",
                make("th.text", { scope: "row" }, make(`span.swatch.f${entry.group.family}`),
                    make("button.link", { type: "button", onclick: () => this.page.only(entry.group) }, entry.group.kind)),
                make("td.text", entry.group.target), make("td.number", grouped(entry.count)))))));
    }
}

/* Histograms: a row for each group, all over one logarithmic axis. */
class CostView {
    constructor(page) {
        this.page = page;
        this.panel = element("cost");
        this.side = "both";
    }

    show(view) {
        const { trace } = this.page;
        const entries = summarise(trace, view).filter((entry) => entry.exit)
            .sort((a, b) => b.guestSum + b.vmmSum - a.guestSum - a.vmmSum);
        const sides = { both: ["guest", "vmm"], guest: ["guest"], vmm: ["vmm"] }[this.side];
        const timed = entries.flatMap((entry) => sides.map((side) => entry[side])).filter((times) => times[times.length - 1] > 0);
        if (!timed.length) {
            this.panel.replaceChildren(make("p.empty", entries.length ? "Nothing to show: no exit that passes the filter was timed." : this.page.nothing));
            return;
        }
        const least = timed.reduce((least, times) => Math.min(least, times[lowerBound(times, 1)]), Infinity);
        const most = timed.reduce((most, times) => Math.max(most, times[times.length - 1]), 0);
        const low = Math.floor(Math.log10(least)), high = Math.ceil(Math.log10(most + 1));
        this.axis = { low, high: Math.max(high, low + 1) };
        const shown = entries.slice(0, HISTOGRAMS_MOST);
        this.panel.replaceChildren(this.choice(), make("div.histograms", this.scale(), shown.map((entry) => this.row(entry, sides))),
            entries.length > HISTOGRAMS_MOST ? make("p.note", `The ${grouped(entries.length - HISTOGRAMS_MOST)} groups with the least time are not shown; filter to see them.`) : "");
    }

    choice() {
        const radio = (value, sides, label) => make("label.check",
            make("input", { type: "radio", name: "side", value, checked: this.side === value,
                onchange: () => { this.side = value; this.show(this.page.view); this.panel.querySelector(":checked").focus(); } }),
            sides.map((side) => make(`span.swatch.${side}`)), label);
        return make("fieldset.choice", make("legend", "How often an exit cost how much"), radio("both", ["guest", "vmm"], "guest+KVM and VMM"),
            radio("guest", ["guest"], "guest+KVM"), radio("vmm", ["vmm"], "VMM"));
    }

    share(ns) {
        const { low, high } = this.axis;
        return (100 * (Math.log10(Math.max(ns, 10 ** low)) - low)) / (high - low);
    }

    scale() {
        const { low, high } = this.axis, marks = make("div.scale", { "aria-hidden": "true" });
        for (let power = low; power <= high; power++) {
            const mark = make("span", durationWhole(10 ** power));
            mark.style.left = `${this.share(10 ** power)}%`;
            marks.append(mark);
        }
        return make("div.histogram.head", make("span.name", "exit", make("span", "count; bars are logarithmic")), marks);
    }

    row(entry, sides) {
        const { group } = entry, bars = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const { low, high } = this.axis, bins = (high - low) * 16;
        bars.setAttribute("viewBox", `0 0 ${bins} 100`);
        bars.setAttribute("preserveAspectRatio", "none");
        bars.setAttribute("aria-hidden", "true");
        for (const side of sides)
            this.fill(bars, entry[side], side, bins);
        const says = sides.map((side) => `${side === "guest" ? "guest+KVM" : "VMM"} p50 ${duration(percentile(entry[side], 500))}, ` +
            `p99 ${duration(percentile(entry[side], 990))}, max ${duration(percentile(entry[side], 1000))}`);
        return make("div.histogram", { role: "img", "aria-label": `${group.label}: ${says.join("; ")}` },
            make("span.name", make("button.link", { type: "button", onclick: () => this.page.only(group), title: group.label },
                make(`span.swatch.f${group.family}`), make("span.kind", group.kind), group.target), make("span.number", grouped(entry.count))),
            make("div.plot", { title: says.join("\n"), style: `--decades: ${high - low}` }, bars));
    }

    /* Heights are logarithmic too, so that one exit among a million can be seen. */
    fill(svg, times, side, bins) {
        const { low, high } = this.axis, counts = new Uint32Array(bins);
        for (let k = 0; k < times.length; k++) {
            const at = Math.floor(((Math.log10(Math.max(times[k], 10 ** low)) - low) / (high - low)) * bins);
            counts[Math.min(bins - 1, at)]++;
        }
        const most = Math.log2(1 + Math.max(...counts));
        let path = "";
        counts.forEach((count, bin) => {
            if (count)
                path += `M${bin + 0.06} 100V${(100 - Math.max(6, (96 * Math.log2(1 + count)) / most)).toFixed(1)}h0.88V100z`;
        });
        const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
        shape.setAttribute("d", path);
        shape.setAttribute("class", side);
        svg.append(shape);
    }
}

/* 1000 ns as "1 µs". */
function durationWhole(ns) {
    const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]], [scale, unit] = units.find(([least]) => ns >= least) ?? units[3];
    return `${ns / scale}\u202f${unit}`;
}
