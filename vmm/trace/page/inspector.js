/*
 * inspector.js: all that is known of one exit; and the page "About": what the whole trace is, and what
 * it cannot show.
 */

const AROUND = 8; /* events of KVM's that are shown before an exit, and behind it */

class Inspector {
    constructor(page) {
        this.page = page;
        this.panel = element("inspector");
    }

    close() {
        const inside = this.panel.contains(document.activeElement);
        this.panel.hidden = true;
        if (inside)
            this.page.timeline.canvas.focus();
    }

    show(i) {
        this.panel.hidden = false;
        const { trace } = this.page, group = trace.groupOf(i), whats = trace.whats, what = trace.what[i];
        this.panel.replaceChildren(
            this.heading(i, group),
            group.family < NOTE ? this.cost(i) : "",
            this.list(this.facts(i)),
            this.why(whats.whyReg[what], group.target), this.why(whats.whyKind[what], group.kind),
            this.registers(i), this.around(i));
        this.panel.scrollTop = 0;
    }

    heading(i, group) {
        const go = (label, name, to) => make("button", { type: "button", "aria-label": name, title: name, disabled: to < 0,
            onclick: () => this.page.choose(to, { open: true }) }, label);
        return make("header", make("p.over", make(`span.swatch.f${group.family}`), FAMILY_NAMES[group.family],
            make("span.number", `#${grouped(i + 1)}`),
            make("button.close", { type: "button", "aria-label": "Close", title: "close", onclick: () => this.close() }, "×")),
        make("h2", { id: "exit-title" }, group.kind, group.target ? make(`span${group.target === "nobody" ? ".bad" : ""}`, group.target) : ""),
        make("div.buttons", go("←", "the exit before", this.page.neighbour(i, -1)), go("→", "the exit after", this.page.neighbour(i, 1)),
            make("button", { type: "button", onclick: () => this.page.timeline.reveal(i, true) }, "in the timeline"),
            make("button", { type: "button", onclick: () => this.page.only(group) }, "only these")));
    }

    cost(i) {
        const { trace } = this.page, guest = trace.guest[i], vmm = trace.vmm[i];
        const bar = make("div.bar", { "aria-hidden": "true" }, [["guest", guest], ["vmm", vmm]].map(([name, ns]) => {
            const piece = make(`i.${name}`);
            piece.style.flexGrow = ns / Math.max(guest + vmm, 1);
            return piece;
        }));
        return make("section.split", bar, make("p",
            make("span", make("span.swatch.guest"), make("span", "guest+KVM"), make("b.number", duration(guest))),
            make("span", make("span.swatch.vmm"), make("span", "VMM"), make("b.number", duration(vmm)))));
    }

    facts(i) {
        const { trace } = this.page, { whats, places } = trace, what = trace.what[i], place = trace.place[i];
        const family = whats.family[what], access = family <= MMIO, code = family !== NOTE;
        const bytes = [...trace.bytesOf(i)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
        const count = whats.count[what], all = whats.size[what] * count, file = trace.text(places.file[place]);
        return [
            ["remark", trace.text(trace.remark[i])],
            [family === KERNEL ? "fields" : "text", trace.text(trace.textOf[i])],
            ["in the guest", family < NOTE ? `from ${moment(trace.start[i])} ms` : ""],
            [family < NOTE ? "left it" : "at", `${family < NOTE ? "at " : ""}${moment(trace.exitAt(i))} ms`],
            ["vCPU", trace.vcpu[i] === NO_VCPU ? "" : String(trace.vcpu[i])],
            [family === PIO ? "port" : "address", access ? hex(whats.addr[what], family === PIO ? 4 : 8) : ""],
            ["size", access ? `${whats.size[what]} byte${whats.size[what] === 1 ? "" : "s"}${count > 1 ? `, ${grouped(count)} times` : ""}` : ""],
            ["data", access ? dataText(trace, i, 16) : ""],
            ["bytes", access && bytes && count > 1 ? bytes + (all > trace.bytesOf(i).length ? " …" : "") : ""],
            ["detail", access || family === KERNEL ? "" : detailText(trace, i)],
            ["KVM says", trace.text(whats.raw[what]) === trace.groupOf(i).kind ? "" : trace.text(whats.raw[what])],
            ["instruction", code ? trace.text(places.insn[place]) : ""],
            ["symbol", code && places.symbol[place] ? trace.codeOf(i) : ""],
            ["source", code && file ? `${file}:${places.line[place]}` : ""],
            ["RIP", code && places.rip[place] ? hex(places.rip[place]) : ""],
        ].filter(([, value]) => value);
    }

    list(facts) {
        return make("dl.facts-of", facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
    }

    /* The explanation with that number, if there is one. */
    why(number, name) {
        const { trace } = this.page, { whys } = trace;
        if (!number)
            return "";
        const [cause, effect, source] = [whys.cause, whys.effect, whys.source].map((column) => trace.text(column[number - 1]));
        return make("section.why", make("h3", name), make("p", cause), effect ? make("p", effect) : "", source ? make("p.source", source) : "");
    }

    registers(i) {
        const values = this.page.trace.registersOf(i);
        if (!values)
            return "";
        return make("section", make("h3", "Registers"), make("dl.registers",
            values.flatMap((value, r) => [make("dt", GPR[r]), make("dd", value.toString(16).padStart(16, "0"))])));
    }

    /* What KVM did on this vCPU, since the exit before. */
    around(i) {
        const { trace } = this.page;
        if (!trace.header.kernel)
            return "";
        const near = [];
        for (let k = i - 1; k >= 0 && near.length < AROUND; k--) {
            if (trace.vcpu[k] !== trace.vcpu[i])
                continue;
            if (trace.isExit(k))
                break;
            if (trace.familyOf(k) === KERNEL)
                near.unshift(k);
        }
        const until = trace.exitAt(i) + trace.vmm[i];
        for (let k = i + 1, after = 0; k < trace.count && k < i + 200 && after < AROUND && trace.start[k] <= until + 1e6; k++) {
            if (trace.vcpu[k] !== trace.vcpu[i])
                continue;
            if (trace.isExit(k))
                break;
            if (trace.familyOf(k) === KERNEL)
                near.push(k), after++;
        }
        if (!near.length)
            return "";
        const row = (k) => make("li", make("button.link", { type: "button", onclick: () => this.page.choose(k, { open: true }) },
            make("span.number", `${k < i ? "−" : "+"}${duration(Math.abs(trace.exitAt(k) - trace.exitAt(i)))}`),
            make("b", trace.groupOf(k).kind), make("span", trace.text(trace.textOf[k]))));
        return make("section", make("h3", "KVM around it"), make("ol.around", near.map(row)));
    }
}

/* What was traced, how, and what could not be seen. */
function showAbout(page) {
    const { trace } = page, { header, footer } = trace, text = (number) => trace.text(number);
    const row = (name, value) => (value || value === 0 ? [make("dt", name), make("dd", value)] : []);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < trace.count; i++)
        counts[trace.familyOf(i)]++;
    const exits = counts[PIO] + counts[MMIO] + counts[CPU] + counts[FAILURE];
    const run = make("dl.facts-of",
        row("command", text(header.command)), row("guest", text(header.guest)), row("host", text(header.host)),
        row("KVM's backend", text(header.backend)), row("vCPUs", header.vcpus),
        row("began", header.started_ms > 0 ? new Date(header.started_ms).toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC") : ""),
        row("lasted", footer ? `${moment(footer.wall_ns)} ms` : ""),
        row("ended", footer ? `${text(footer.end) || "–"}, exit status ${footer.status}` : "no end: the run was killed, or the file was cut short"),
        row("measuring", header.clock_ns > 0 ? `costs ${clockCost} ns an exit, which is part of the times: what is shorter is not told apart, and no digit is finer than ${clockStep} ns` : ""));
    const stat = (wanted) => grouped((footer?.stats ?? []).find(([name]) => text(name) === wanted)?.[1] ?? "");
    const lost = make("dl.facts-of", row("exits shown", grouped(exits)),
        row("exits that kvmlens handled", footer ? grouped(footer.exits) : ""), row("exits that KVM counted", stat("exits")), row("dropped", footer ? grouped(footer.dropped) : ""),
        row("filtered out", footer ? grouped(footer.filtered) : ""), row("notes", grouped(counts[NOTE])),
        row("events of KVM", header.kernel ? grouped(counts[KERNEL]) : "not recorded (-trace kernel records them)"));
    /* The command line's last word on a property that is on unless it says off. */
    const isOff = (property) => text(header.command).split(property).slice(1).pop()?.startsWith("=off");
    const hidden = make("ul",
        isOff("kernel-irqchip") ? "" : make("li", make("b", "PIC, I/O APIC, local APIC, PIT, hlt: "), "devices of KVM's own (in-kernel irqchip). Their registers, their interrupts, and a halt that an interrupt ends make no exit; the time of a halt is in guest+KVM. -M kernel-irqchip=off has none of them."),
        isOff("ioeventfd") ? "" : make("li", make("b", "QueueNotify of virtio devices: "), "KVM takes the write and wakes the device's thread (ioeventfd). -global virtio-mmio.ioeventfd=off makes each an exit."),
        make("li", make("b", "What KVM handles alone: "), "cpuid, MSRs, control registers, first touches of RAM, interrupts of the host. ", header.kernel ? "They are in this trace, as events of KVM." : "-trace kernel shows them."),
        make("li", make("b", "Coalesced MMIO "), "is not used: no store is held back."));
    const stats = footer?.stats ?? [];
    element("about").replaceChildren(make("div.about",
        make("section", make("h3", "The run"), run), make("section", make("h3", "Counted and lost"), lost),
        make("section", make("h3", "What a trace of userspace exits cannot show"), hidden),
        stats.length ? make("section", make("h3", "KVM's own counters, all vCPUs together"), make("dl.stats",
            stats.filter(([, value]) => value > 0).flatMap(([name, value]) => [make("dt", text(name)), make("dd", grouped(value))]))) : ""));
}
