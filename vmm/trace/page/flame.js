/*
 * flame.js: which of the guest's code made the exits: symbols, and under each what it did; the
 * width is time or count.
 */

const FLAME_LEAST = 0.0025; /* of the whole width; what is narrower is put together */

class CodeView {
    constructor(page) {
        this.page = page;
        this.panel = element("code");
        this.measure = "time";
        this.symbol = null; /* the one that is enlarged */
    }

    /* Symbols with their groups, the greatest first. */
    count(view) {
        const { trace } = this.page, symbols = new Map();
        for (let k = 0; k < view.length; k++) {
            const i = view[k];
            if (!trace.isExit(i))
                continue;
            const name = trace.places.symbol[trace.place[i]], g = trace.groupOfWhat[trace.what[i]];
            let node = symbols.get(name);
            if (!node)
                symbols.set(name, (node = { name: trace.text(name) || "no symbol", known: name > 0, time: 0, count: 0, groups: new Map() }));
            let leaf = node.groups.get(g);
            if (!leaf)
                node.groups.set(g, (leaf = { group: trace.groups[g], time: 0, count: 0 }));
            const time = trace.guest[i] + trace.vmm[i];
            node.time += time;
            leaf.time += time;
            node.count++;
            leaf.count++;
        }
        const greatest = (a, b) => b[this.measure] - a[this.measure];
        const nodes = [...symbols.values()].sort(greatest);
        nodes.forEach((node) => (node.leaves = [...node.groups.values()].sort(greatest)));
        return nodes;
    }

    show(view) {
        let nodes = this.count(view);
        const whole = nodes.find((node) => node.name === this.symbol);
        if (whole)
            nodes = [whole];
        const all = nodes.reduce((sum, node) => sum + node[this.measure], 0);
        if (!nodes.length || all === 0) {
            this.panel.replaceChildren(make("p.empty", nodes.length ? "No time was measured; the width can be the count." : this.page.nothing),
                nodes.length ? this.choice() : "");
            return;
        }
        const columns = [], rest = { name: "", time: 0, count: 0, symbols: 0 };
        for (const node of nodes) {
            if (node[this.measure] / all >= FLAME_LEAST)
                columns.push(this.column(node, all));
            else
                for (const key of ["time", "count"])
                    rest[key] += node[key], (rest.symbols += key === "time" ? 1 : 0);
        }
        if (rest.symbols)
            columns.push(this.restColumn(rest, all));
        const root = make("button.cell.root", { type: "button", disabled: !whole, onclick: () => this.enlarge(null) },
            whole ? "← all symbols" : `all exits: ${this.amount(nodes.reduce((sum, node) => ({ time: sum.time + node.time, count: sum.count + node.count }), { time: 0, count: 0 }))}`);
        this.panel.replaceChildren(this.choice(), make("div.flame", root, make("div.columns", columns)), this.table(nodes, all));
    }

    amount(node) {
        return `${duration(node.time)} in ${grouped(node.count)} ${node.count === 1 ? "exit" : "exits"}`;
    }

    choice() {
        const radio = (value, label) => make("label.check",
            make("input", { type: "radio", name: "measure", value, checked: this.measure === value,
                onchange: () => { this.measure = value; this.show(this.page.view); this.panel.querySelector(":checked").focus(); } }), label);
        return make("fieldset.choice", make("legend", "Exits by the guest's code; width is"), radio("time", "time"), radio("count", "count"));
    }

    column(node, all) {
        const share = node[this.measure] / all;
        const top = make("button.cell.symbol", { type: "button", title: `${node.name}: ${this.amount(node)}`,
            onclick: () => this.enlarge(node.name) }, share > 0.03 ? node.name : "\u00a0");
        const leaves = node.leaves.filter((leaf) => leaf[this.measure] / all >= FLAME_LEAST / 2).map((leaf) => {
            const width = (share * leaf[this.measure]) / node[this.measure];
            const name = width < 0.03 ? "\u00a0" : (width < 0.14 && leaf.group.reg) || leaf.group.target || leaf.group.kind;
            const cell = make(`button.cell.f${leaf.group.family}`, { type: "button", title: `${leaf.group.label}: ${this.amount(leaf)}`,
                onclick: () => this.page.setFilter(`${node.known ? `symbol=${node.name}+` : ""}${groupFilter(leaf.group)}`) },
                name);
            cell.style.flexGrow = leaf[this.measure] / node[this.measure];
            return cell;
        });
        const column = make("div.column", top, make("div.leaves", leaves));
        column.style.flexGrow = share;
        return column;
    }

    restColumn(rest, all) {
        const column = make("div.column", make("span.cell.rest", { title: `${rest.symbols} symbols: ${this.amount(rest)}` }, rest[this.measure] / all > 0.02 ? "…" : "\u00a0"));
        column.style.flexGrow = Math.max(rest[this.measure] / all, FLAME_LEAST);
        return column;
    }

    table(nodes, all) {
        return make("table.grid.small", make("thead", make("tr", make("th.text", { scope: "col" }, "symbol"),
            make("th.number", { scope: "col" }, "exits"), make("th.number", { scope: "col" }, "guest+KVM+VMM"),
            make("th.number", { scope: "col" }, "share"), make("th.text", { scope: "col" }, "mostly"))),
        make("tbody", nodes.slice(0, 200).map((node) => make("tr",
            make("th.text", { scope: "row" }, make("button.link", { type: "button", onclick: () => this.enlarge(node.name) }, node.name)),
            make("td.number", grouped(node.count)), timeCell(node.time),
            make("td.number", percent(node[this.measure], all), make("span.unit", "%")),
            make("td.text", node.leaves[0].group.label)))));
    }

    enlarge(name) {
        this.symbol = name;
        this.show(this.page.view);
        this.panel.querySelector(".flame .cell:not(:disabled)")?.focus();
    }
}
