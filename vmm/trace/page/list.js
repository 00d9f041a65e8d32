/*
 * list.js: the exits one by one. Only the rows in sight are elements, however many there are.
 */

const ROW_HEIGHT = 24, LIST_MOST = 8e6; /* px: browsers do not lay out much more */

class ListView {
    constructor(page) {
        this.page = page;
        this.panel = element("exits");
        this.view = new Uint32Array(0);
        this.at = 0; /* the chosen row */
        this.space = make("div.space");
        this.rows = make("div.rows");
        this.box = make("div.list", { role: "listbox", tabindex: 0, "aria-label": "Exits", id: "list" }, this.space, this.rows);
        const head = ["exit at/ms", "cpu", "exit", "device register", "data", "guest+KVM", "VMM", "code", "source, instruction"];
        this.panel.append(make("div.list-head", { "aria-hidden": "true" },
            head.map((name, column) => make(`span.c${column}`, name))), this.box);
        const longest = page.trace.groups.reduce((most, group) => Math.max(most, group.target.length), 15);
        this.panel.style.setProperty("--register", `${longest + 1}ch`);
        this.box.addEventListener("scroll", () => this.draw());
        this.box.addEventListener("keydown", (event) => this.key(event));
        this.rows.addEventListener("click", (event) => {
            const row = event.target.closest("[data-row]");
            if (row)
                this.page.choose(this.view[Number(row.dataset.row)], { open: true });
        });
        new ResizeObserver(() => this.draw()).observe(this.box);
    }

    show(view) {
        this.view = view;
        this.space.style.height = `${Math.max(1, Math.min(view.length * ROW_HEIGHT, LIST_MOST))}px`;
        this.mark(this.page.chosen);
        this.draw();
    }

    get visible() {
        return Math.max(1, Math.floor(this.box.clientHeight / ROW_HEIGHT));
    }

    /* The scroll bar may stand for more rows than it has pixels. */
    get first() {
        const most = Math.max(1, this.space.offsetHeight - this.box.clientHeight);
        return (this.box.scrollTop / most) * Math.max(0, this.view.length - this.box.clientHeight / ROW_HEIGHT);
    }

    /* Makes event I the chosen row, if it is in the list. */
    mark(i) {
        const row = lowerBound(this.view, i);
        if (row >= this.view.length || this.view[row] !== i)
            return;
        this.at = row;
        const first = this.first;
        if (row < first || row > first + this.visible - 1) {
            const most = this.space.offsetHeight - this.box.clientHeight;
            const rows = Math.max(1, this.view.length - this.box.clientHeight / ROW_HEIGHT);
            this.box.scrollTop = (Math.max(0, row - (this.visible >> 1)) / rows) * most;
        }
        this.draw();
    }

    draw() {
        if (this.frame || this.panel.hidden)
            return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            this.paint();
        });
    }

    paint() {
        const first = this.first, from = Math.floor(first), to = Math.min(this.view.length, from + this.visible + 2);
        const rows = [];
        for (let row = from; row < to; row++)
            rows.push(this.row(row));
        if (!this.view.length)
            rows.push(make("p.empty", this.page.nothing));
        this.rows.style.transform = `translateY(${this.box.scrollTop - (first - from) * ROW_HEIGHT}px)`;
        this.rows.replaceChildren(...rows);
        this.box.setAttribute("aria-activedescendant", `row-${this.at}`);
    }

    row(row) {
        const { trace } = this.page, i = this.view[row], group = trace.groupOf(i), place = trace.place[i];
        const exit = trace.isExit(i), file = trace.text(trace.places.file[place]), remark = trace.text(trace.remark[i]);
        const nameless = group.family === KERNEL && !group.target, code = group.family === NOTE ? "" : trace.codeOf(i);
        const vcpu = trace.vcpu[i] === NO_VCPU ? "–" : trace.vcpu[i];
        const source = [file && `${file.split("/").pop()}:${trace.places.line[place]}`, trace.text(trace.places.insn[place])];
        return make("div.row", { role: "option", id: `row-${row}`, "data-row": row, "data-event": i,
            "aria-selected": String(i === this.page.chosen), "aria-posinset": row + 1, "aria-setsize": this.view.length },
        make("span.c0", moment(trace.exitAt(i))), make("span.c1", vcpu),
        make(`span.c2${nameless ? ".span2" : ""}`, make(`span.swatch.f${group.family}`), group.kind),
        nameless ? "" : make(`span.c3${group.target === "nobody" ? ".bad" : ""}`, { title: group.target }, group.target),
        !exit && !code ? make("span.said", remark ? make("em", remark) : trace.text(trace.textOf[i])) : [
            make(`span.c4${exit ? "" : ".span3"}`, dataText(trace, i, 4)),
            exit ? [timeCell(trace.guest[i], "span.c5"), timeCell(trace.vmm[i], "span.c6")] : [],
            make("span.c7", code),
            make("span.c8", remark ? make("em", remark) : source.filter(Boolean).join("  "))].flat());
    }

    key(event) {
        const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -this.visible, PageDown: this.visible, Home: -Infinity, End: Infinity };
        if (event.key === "Enter" && this.view.length) {
            event.preventDefault();
            this.page.choose(this.view[this.at], { open: true, focus: true });
        } else if (event.key in steps && this.view.length && !event.altKey && !event.ctrlKey) {
            event.preventDefault();
            event.stopPropagation();
            this.at = Math.max(0, Math.min(this.view.length - 1, this.at + steps[event.key]));
            this.page.choose(this.view[this.at], { open: false });
        }
    }
}
