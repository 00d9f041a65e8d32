/*
 * timeline.js: the tracks of the timeline (one for each vCPU, for KVM's events on it, and for each
 * device), and what is in view.  However many events there are, a pixel costs two binary searches:
 * counts and times are added up once, from the left.
 */

const DEVICES_MOST = 40; /* with a track of their own */

class Track {
    /* EVENTS are numbers of events; AT is when they are. */
    constructor(trace, label, kind, events) {
        this.label = label;
        this.kind = kind; /* "vcpu", "device", "kvm" */
        const n = events.length;
        this.events = events;
        this.at = new Float64Array(n);
        let sorted = true;
        for (let k = 0; k < n; k++) {
            this.at[k] = trace.exitAt(events[k]);
            sorted &&= k === 0 || this.at[k] >= this.at[k - 1];
        }
        if (!sorted) {
            this.events = Uint32Array.from(events).sort((a, b) => trace.exitAt(a) - trace.exitAt(b) || a - b);
            for (let k = 0; k < n; k++)
                this.at[k] = trace.exitAt(this.events[k]);
        }
        this.sums = []; /* by family: how many of the first K events are of it */
        this.guestSum = new Float64Array(n + 1);
        this.vmmSum = new Float64Array(n + 1);
        const counts = Array.from({ length: FAMILIES }, () => null), totals = new Uint32Array(FAMILIES);
        for (let k = 0; k < n; k++)
            totals[trace.familyOf(this.events[k])]++;
        for (let family = 0; family < FAMILIES; family++)
            counts[family] = totals[family] ? new Uint32Array(n + 1) : null;
        for (let k = 0; k < n; k++) {
            const i = this.events[k], own = trace.familyOf(i);
            for (let family = 0; family < FAMILIES; family++)
                if (counts[family])
                    counts[family][k + 1] = counts[family][k] + (family === own ? 1 : 0);
            this.guestSum[k + 1] = this.guestSum[k] + trace.guest[i];
            this.vmmSum[k + 1] = this.vmmSum[k] + trace.vmm[i];
        }
        this.sums = counts;
    }

    /* The first event at T or later. */
    index(t, from = 0) {
        return lowerBound(this.at, t, from);
    }

    /* Time in the guest and KVM, and in the VMM, from the track's begin to T, where K = index(T). */
    spentUntil(trace, t, k) {
        let guest = this.guestSum[k], vmm = this.vmmSum[k];
        if (k > 0) { /* its handling may last beyond T */
            const left = this.at[k - 1] + trace.vmm[this.events[k - 1]] - t;
            vmm -= Math.max(0, left);
        }
        if (k < this.events.length) { /* the guest may have been entered before T */
            const i = this.events[k];
            guest += Math.max(0, Math.min(t - trace.start[i], trace.guest[i]));
        }
        return [guest, vmm];
    }
}

/* The tracks of the events in VIEW. */
function makeTracks(trace, view) {
    const vcpus = new Map(), kvm = new Map(), devices = new Map();
    const add = (map, key, i) => {
        const list = map.get(key);
        if (list)
            list.push(i);
        else
            map.set(key, [i]);
    };
    for (let k = 0; k < view.length; k++) {
        const i = view[k], family = trace.familyOf(i);
        if (family === KERNEL)
            add(kvm, trace.vcpu[i], i);
        else if (family !== NOTE && trace.vcpu[i] !== NO_VCPU)
            add(vcpus, trace.vcpu[i], i);
        const target = family === KERNEL ? 0 : trace.whats.device[trace.what[i]];
        if (target)
            add(devices, trace.text(target), i);
    }
    const tracks = [], known = [...new Set([...vcpus.keys(), ...kvm.keys()])].sort((a, b) => a - b);
    for (const vcpu of known) {
        if (vcpus.has(vcpu))
            tracks.push(new Track(trace, `vCPU ${vcpu}`, "vcpu", vcpus.get(vcpu)));
        if (kvm.has(vcpu))
            tracks.push(new Track(trace, vcpu === NO_VCPU ? "KVM, no vCPU" : "KVM", "kvm", kvm.get(vcpu)));
    }
    const byCount = [...devices].sort((a, b) => b[1].length - a[1].length), others = byCount.splice(DEVICES_MOST);
    if (others.length)
        byCount.push([`${others.length} others`, others.flatMap(([, events]) => events)]);
    for (const [name, events] of byCount)
        tracks.push(new Track(trace, name, "device", events));
    return tracks;
}

class Timeline {
    constructor(page) {
        this.page = page;
        this.trace = page.trace;
        this.canvas = element("timeline");
        this.tip = element("tip");
        this.tracks = [];
        this.painter = new TimelinePainter(this);
        this.length = Math.max(this.trace.end, page.trace.footer?.wall_ns ?? 0, 1000);
        this.from = 0;
        this.to = this.length;
        this.listen();
        new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
    }

    show(view) {
        this.tracks = makeTracks(this.trace, view);
        this.draw();
    }

    draw() {
        if (this.frame)
            return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            this.painter.paint();
        });
    }

    setView(from, to) {
        const span = Math.min(Math.max(to - from, 200), this.length * 1.02);
        from = Math.min(Math.max(from, -0.01 * this.length), 1.01 * this.length - span);
        this.from = from;
        this.to = from + span;
        this.draw();
        this.page.timeMoved();
    }

    zoom(factor, at = (this.from + this.to) / 2) {
        this.setView(at - (at - this.from) * factor, at + (this.to - at) * factor);
    }

    pan(share) {
        const by = share * (this.to - this.from);
        this.setView(this.from + by, this.to + by);
    }

    showAll() {
        this.setView(0, this.length);
    }

    get whole() {
        return this.from <= 0 && this.to >= this.length;
    }

    /* Moves so that event I is in view; with NEAR, so that it can be seen. */
    reveal(i, near = false) {
        const { trace } = this, begin = trace.start[i], end = trace.exitAt(i) + trace.vmm[i];
        if (near) {
            const span = Math.max(end - begin, 1000) * 8;
            this.setView((begin + end - span) / 2, (begin + end + span) / 2);
        } else if (end < this.from || begin > this.to) {
            const span = this.to - this.from;
            this.setView(begin - span / 2, begin + span / 2);
        } else {
            this.draw();
        }
    }

    /* The event at a point of the canvas: the nearest, or the longest of those that share it. */
    eventAt(x, y) {
        const track = this.painter.trackAt(y);
        if (!track || track.events.length === 0 || x < this.painter.left)
            return null;
        const { trace } = this, t = this.painter.timeOf(x), reach = 3 * this.painter.nsPerPixel;
        const from = track.index(t - reach), to = track.index(t + reach, from);
        const cost = (k) => trace.vmm[track.events[k]] + (track.kind === "vcpu" ? trace.guest[track.events[k]] : 0);
        let best = -1;
        for (let k = from; k < to; k++)
            if (best < 0 || cost(k) > cost(best))
                best = k;
        /* Or the slice that T is in. */
        const k = track.index(t);
        if (best < 0 && k > 0 && t <= track.at[k - 1] + trace.vmm[track.events[k - 1]])
            best = k - 1;
        if (best < 0 && k < track.events.length && track.kind === "vcpu" && t >= trace.start[track.events[k]])
            best = k;
        return best < 0 ? null : { track, i: track.events[best], count: to - from };
    }

    listen() {
        const canvas = this.canvas, pointers = new Map();
        let drag = null;
        canvas.addEventListener("wheel", (event) => {
            event.preventDefault();
            if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
                this.pan((event.deltaX || event.deltaY) / 800);
            else
                this.zoom(Math.exp(Math.max(-200, Math.min(200, event.deltaY)) * 0.002), this.painter.timeOf(event.offsetX));
        }, { passive: false });
        canvas.addEventListener("pointerdown", (event) => {
            canvas.setPointerCapture(event.pointerId);
            pointers.set(event.pointerId, event.offsetX);
            drag = { x: event.offsetX, from: this.from, to: this.to, moved: false, select: event.shiftKey };
        });
        canvas.addEventListener("pointermove", (event) => {
            if (!drag) {
                this.hover(event.offsetX, event.offsetY);
                return;
            }
            if (pointers.size === 2) {
                const others = [...pointers].find(([id]) => id !== event.pointerId), before = pointers.get(event.pointerId);
                const was = Math.abs(before - others[1]), is = Math.abs(event.offsetX - others[1]);
                if (was > 4 && is > 4)
                    this.zoom(was / is, this.painter.timeOf((event.offsetX + others[1]) / 2));
                drag.moved = true;
            } else {
                drag.moved ||= Math.abs(event.offsetX - drag.x) > 3;
                this.painter.selection = drag.select && drag.moved ? [drag.x, event.offsetX] : null;
                const by = ((drag.x - event.offsetX) / this.painter.width) * (drag.to - drag.from);
                if (drag.select)
                    this.draw();
                else if (drag.moved)
                    this.setView(drag.from + by, drag.to + by);
            }
            pointers.set(event.pointerId, event.offsetX);
        });
        const release = (event) => {
            pointers.delete(event.pointerId);
            if (!drag || pointers.size > 0)
                return;
            if (drag.select && drag.moved) {
                const ends = [this.painter.timeOf(drag.x), this.painter.timeOf(event.offsetX)].sort((a, b) => a - b);
                this.setView(...ends);
            } else if (!drag.moved && event.type === "pointerup") {
                const found = this.eventAt(event.offsetX, event.offsetY);
                if (found)
                    this.page.choose(found.i, { open: true });
            }
            this.painter.selection = drag = null;
            this.draw();
        };
        canvas.addEventListener("pointerup", release);
        canvas.addEventListener("pointercancel", release);
        canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
        canvas.addEventListener("dblclick", (event) => this.zoom(0.25, this.painter.timeOf(event.offsetX)));
        canvas.addEventListener("keydown", (event) => this.key(event));
        canvas.addEventListener("focus", () => this.draw());
        canvas.addEventListener("blur", () => this.draw());
    }

    key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey)
            return;
        const keys = {
            ArrowLeft: () => this.pan(-0.15), ArrowRight: () => this.pan(0.15),
            PageUp: () => this.pan(-0.9), PageDown: () => this.pan(0.9),
            ArrowUp: () => this.zoom(0.6), ArrowDown: () => this.zoom(1 / 0.6),
            "+": () => this.zoom(0.6), "=": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6),
            "0": () => this.showAll(),
            Home: () => this.setView(0, this.to - this.from),
            End: () => this.setView(this.length - (this.to - this.from), this.length),
            Enter: () => this.page.chosen >= 0 && this.page.choose(this.page.chosen, { open: true, focus: true }),
        };
        if (!keys[event.key])
            return;
        event.preventDefault();
        event.stopPropagation();
        keys[event.key]();
    }

    hover(x, y) {
        const found = this.eventAt(x, y), tip = this.tip;
        tip.hidden = !found;
        if (!found)
            return;
        const { trace } = this, { i, count, track } = found;
        const cost = trace.isExit(i) ? `guest+KVM ${duration(trace.guest[i])}, VMM ${duration(trace.vmm[i])}` : "";
        tip.replaceChildren(make("strong", trace.groupOf(i).label), make("span", `at ${moment(trace.exitAt(i))} ms`),
            make("span", cost), make("span", trace.text(trace.remark[i]) || trace.text(trace.textOf[i])),
            count > 1 ? make("em", `the longest of ${grouped(count)} here, ${track.label}`) : "");
        const box = this.canvas.getBoundingClientRect();
        tip.style.left = `${Math.min(box.left + x + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
        tip.style.top = `${Math.min(box.top + y + 16, window.innerHeight - tip.offsetHeight - 8)}px`;
    }
}
