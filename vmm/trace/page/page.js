/*
 * page.js: the page as a whole: filter, views, the chosen exit, keys and colours.
 */

const VIEWS = ["summary", "cost", "code", "exits", "about"];

/* The filter that GROUP alone passes. */
function groupFilter(group) {
    const quote = (name) => (/[\s+|"*?[]/.test(name) ? `"${name.replace(/"/g, "?")}"` : name);
    const parts = [`exit=${/^mmio (read|write)$/.test(group.kind) ? group.kind : quote(group.kind)}`];
    if (group.device)
        parts.push(`device=${quote(group.device)}`);
    if (group.reg)
        parts.push(`reg=${quote(group.reg)}`);
    return parts.join("+");
}

class Page {
    constructor() {
        this.trace = new Trace(document);
        const { header, footer } = this.trace;
        clockCost = header.clock_ns > 0 ? header.clock_ns : 0;
        clockStep = clockCost > 0 ? 10 ** Math.floor(Math.log10(clockCost)) : 1;
        this.wall = footer?.wall_ns || this.trace.end;
        this.idle = (footer?.stats ?? []).find(([name]) => this.trace.text(name) === "halt_wait_ns")?.[1] ?? 0;
        this.vcpus = header.vcpus || 1;
        this.exits = this.trace.what.reduce((sum, _, i) => sum + (this.trace.isExit(i) ? 1 : 0), 0);
        this.chosen = -1;
        this.tests = [];
        this.stale = new Set();
        this.timeline = new Timeline(this);
        this.inspector = new Inspector(this);
        this.views = { summary: new SummaryView(this), cost: new CostView(this), code: new CodeView(this), exits: new ListView(this) };
        this.showHead();
        showAbout(this);
        this.listen();
        this.openView("summary");
        this.filterChanged();
    }

    get filtered() {
        return this.view.length < this.trace.count;
    }

    /* Why a view is empty. */
    get nothing() {
        return this.exits || this.trace.footer?.filtered ? "No exit passes the filter." : "This trace has no exits.";
    }

    showHead() {
        const { trace } = this, { header, footer } = trace, guest = trace.text(header.guest);
        element("guest").textContent = guest.split("/").pop() || "exit trace";
        document.title = `${guest.split("/").pop() || "exit trace"}: kvmlens`;
        const fact = (value, name, bad) => make(`li${bad ? ".bad" : ""}`, make("b", value), ` ${name}`);
        const lost = footer?.dropped ?? 0, out = footer?.filtered ?? 0;
        element("facts").append(fact(grouped(this.exits), this.exits === 1 ? "exit" : "exits"), fact(duration(this.wall), footer ? "in all" : "until the trace breaks off", !footer),
            fact(grouped(lost), "dropped", lost > 0), out > 0 ? fact(grouped(out), "filtered out") : "",
            header.backend ? fact(trace.text(header.backend), "KVM") : "", trace.cut ? fact("cut", "file", true) : "");
        const present = new Set(trace.whats.family);
        element("legend").append(...[...present].sort().map((family) => make("li", make(`span.swatch.f${family}`), FAMILY_NAMES[family])),
            make("li", make("span.swatch.guest"), "guest+KVM"), make("li", make("span.swatch.vmm"), "VMM"));
    }

    /* --- what passes --- */

    setFilter(text) {
        element("filter").value = text;
        this.filterChanged();
    }

    only(group) {
        this.setFilter(groupFilter(group));
    }

    filterChanged() {
        const input = element("filter"), says = element("filter-says");
        element("filter-clear").hidden = !input.value;
        try {
            this.tests = compileFilter(this.trace, input.value);
        } catch (error) {
            input.setAttribute("aria-invalid", "true");
            says.textContent = error.message;
            return;
        }
        input.removeAttribute("aria-invalid");
        this.timeline.show(applyFilter(this.trace, this.tests));
        this.limitChanged();
    }

    /* The views follow the filter, and the time in view if they shall. */
    limitChanged() {
        this.limited = element("limit").checked && !this.timeline.whole;
        this.view = applyFilter(this.trace, this.tests, ...(this.limited ? [this.timeline.from, this.timeline.to] : []));
        element("filter-says").textContent = this.filtered
            ? `${grouped(this.view.length)} of ${grouped(this.trace.count)} events` : `${grouped(this.trace.count)} events`;
        this.stale = new Set(Object.keys(this.views));
        this.showView();
    }

    timeMoved() {
        if (!element("limit").checked)
            return;
        clearTimeout(this.moved);
        this.moved = setTimeout(() => this.limitChanged(), 120);
    }

    /* --- views --- */

    openView(name, focus = false) {
        this.open = name;
        for (const view of VIEWS) {
            const tab = element(`tab-${view}`), selected = view === name;
            tab.setAttribute("aria-selected", String(selected));
            tab.tabIndex = selected ? 0 : -1;
            element(view).hidden = !selected;
        }
        this.showView();
        if (focus)
            (name === "exits" ? element("list") : element(`tab-${name}`)).focus();
    }

    /* A view is made when it is seen. */
    showView() {
        if (!this.stale.delete(this.open))
            return;
        this.views[this.open].show(this.view);
    }

    /* --- the chosen exit --- */

    choose(i, { open, focus = false }) {
        if (!(i >= 0 && i < this.trace.count))
            return;
        this.chosen = i;
        this.inspector.show(i);
        if (!this.stale.has("exits"))
            this.views.exits.mark(i);
        this.timeline.reveal(i);
        if (focus)
            this.inspector.panel.focus();
        if (open && window.matchMedia("(max-width: 760px)").matches)
            this.inspector.panel.scrollIntoView({ block: "start" });
    }

    /* The event that passes the filter before (-1) or after (1) I; or -1. */
    neighbour(i, step) {
        const row = lowerBound(this.view, i), found = this.view[row] === i;
        const next = step < 0 ? row - 1 : found ? row + 1 : row;
        return next >= 0 && next < this.view.length ? this.view[next] : -1;
    }

    step(by) {
        this.choose(this.chosen < 0 ? (this.view.length ? this.view[0] : -1) : this.neighbour(this.chosen, by), { open: false });
    }

    /* --- keys and colours --- */

    listen() {
        const input = element("filter");
        input.placeholder = FILTER_HELP;
        input.title = FILTER_HELP;
        input.addEventListener("input", () => {
            clearTimeout(this.typed);
            this.typed = setTimeout(() => this.filterChanged(), 150);
        });
        element("filter-form").addEventListener("submit", (event) => {
            event.preventDefault();
            this.filterChanged();
        });
        element("filter-clear").addEventListener("click", () => {
            this.setFilter("");
            input.focus();
        });
        element("limit").addEventListener("change", () => this.limitChanged());
        element("help").addEventListener("click", () => element("keys").showModal());
        element("theme").addEventListener("click", () => this.nextTheme());
        window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.timeline.draw());
        for (const [at, view] of VIEWS.entries()) {
            const tab = element(`tab-${view}`);
            tab.addEventListener("click", () => this.openView(view));
            tab.addEventListener("keydown", (event) => {
                const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
                if (by === undefined)
                    return;
                event.preventDefault();
                const next = VIEWS[(at + by + VIEWS.length) % VIEWS.length];
                this.openView(next);
                element(`tab-${next}`).focus();
            });
        }
        document.addEventListener("keydown", (event) => this.key(event));
        this.theme = "";
        this.nextTheme("system");
    }

    key(event) {
        const input = element("filter");
        if (event.ctrlKey || event.metaKey || event.altKey || element("keys").open)
            return;
        if (event.target === input) {
            if (event.key === "Escape") {
                element("list").offsetParent ? element("list").focus() : element(`tab-${this.open}`).focus();
                event.preventDefault();
            }
            return;
        }
        const view = VIEWS[Number(event.key) - 1], keys = {
            "/": () => input.focus(), "[": () => this.step(-1), "]": () => this.step(1), l: () => this.timeline.canvas.focus(),
            z: () => this.chosen >= 0 && this.timeline.reveal(this.chosen, true), t: () => this.nextTheme(),
            "?": () => element("keys").showModal(), Escape: () => this.inspector.close(),
        };
        if (view)
            this.openView(view, true);
        else if (keys[event.key])
            keys[event.key]();
        else
            return;
        event.preventDefault();
    }

    nextTheme(theme) {
        const order = ["system", "light", "dark"], signs = { system: "◐", light: "☀", dark: "☾" };
        this.theme = theme ?? order[(order.indexOf(this.theme) + 1) % order.length];
        document.documentElement.dataset.theme = this.theme;
        const button = element("theme");
        button.textContent = signs[this.theme];
        button.title = `Theme: ${this.theme}`;
        button.setAttribute("aria-label", `Theme: ${this.theme}`);
        this.timeline.draw();
    }
}

document.addEventListener("DOMContentLoaded", () => {
    window.kvmlens = new Page();
    document.documentElement.dataset.ready = "true";
});
