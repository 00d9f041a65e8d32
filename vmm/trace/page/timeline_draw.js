/*
 * timeline_draw.js: the timeline on its canvas.
 *
 * A vCPU has two rows: exits (as slices where they can be told apart, or else how many there are in
 * each pixel), and under them how its time divides between guest+KVM, VMM, and neither.
 */

const ROW = { vcpu: 46, kvm: 18, device: 18 }, GAP = 6, AXIS = 22;

/* Steps between marks of the axis: 1, 2, 5 times a power of ten. */
function axisStep(least) {
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((part) => part * power).find((step) => step >= least);
}

class TimelinePainter {
    constructor(timeline) {
        this.timeline = timeline;
        this.canvas = timeline.canvas;
        this.context = this.canvas.getContext("2d");
        this.selection = null;
        this.left = 0;
        this.width = 1;
    }

    get nsPerPixel() {
        return (this.timeline.to - this.timeline.from) / this.width;
    }
    timeOf(x) {
        return this.timeline.from + (x - this.left) * this.nsPerPixel;
    }
    xOf(t) {
        return this.left + (t - this.timeline.from) / this.nsPerPixel;
    }

    trackAt(y) {
        let top = AXIS;
        for (const track of this.timeline.tracks) {
            if (y >= top && y < top + ROW[track.kind] + GAP / 2)
                return track;
            top += ROW[track.kind] + GAP;
        }
        return null;
    }

    paint() {
        const { timeline, canvas, context } = this, style = getComputedStyle(document.documentElement);
        const colour = (name) => style.getPropertyValue(`--${name}`).trim();
        this.colours = {
            family: ["pio", "mmio", "cpu", "failure", "note", "kernel"].map(colour),
            ink: colour("ink"), faint: colour("faint"), line: colour("line"), lane: colour("lane"),
            guest: colour("guest"), vmm: colour("vmm"), accent: colour("accent"), panel: colour("panel"),
        };
        const width = canvas.parentElement.clientWidth, ratio = window.devicePixelRatio || 1;
        const height = AXIS + timeline.tracks.reduce((sum, track) => sum + ROW[track.kind] + GAP, 0) + 2;
        if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
            canvas.width = Math.round(width * ratio);
            canvas.height = Math.round(height * ratio);
            canvas.style.height = `${height}px`;
        }
        this.left = width < 600 ? 84 : 124;
        this.width = Math.max(1, width - this.left - 8);
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.clearRect(0, 0, width, height);
        this.paintAxis(height);
        let top = AXIS;
        for (const track of timeline.tracks) {
            this.paintLabel(track, top);
            context.save();
            context.beginPath();
            context.rect(this.left, top, this.width, ROW[track.kind]);
            context.clip();
            this.paintTrack(track, top);
            context.restore();
            top += ROW[track.kind] + GAP;
        }
        this.paintChosen(height);
        if (this.selection) {
            context.globalAlpha = 0.15;
            context.fillStyle = this.colours.accent;
            context.fillRect(this.selection[0], AXIS, this.selection[1] - this.selection[0], height);
            context.globalAlpha = 1;
        }
    }

    paintAxis(height) {
        const { context, colours } = this, { from, to } = this.timeline;
        const step = axisStep(90 * this.nsPerPixel);
        context.font = "11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
        context.textBaseline = "middle";
        context.textAlign = "left";
        context.fillStyle = colours.faint;
        context.fillText("ms", this.left - 22, AXIS / 2);
        for (let t = Math.ceil(Math.max(0, from) / step) * step; t <= to; t += step) {
            const x = Math.round(this.xOf(t)) + 0.5;
            context.strokeStyle = colours.line;
            context.beginPath();
            context.moveTo(x, AXIS - 6);
            context.lineTo(x, height);
            context.stroke();
            const text = moment(t, step);
            if (x + 4 + context.measureText(text).width < this.left + this.width)
                context.fillText(text, x + 4, AXIS / 2);
        }
    }

    paintLabel(track, top) {
        const { context, colours } = this;
        context.font = `${track.kind === "vcpu" ? "600 " : ""}12px system-ui, sans-serif`;
        context.textAlign = "left";
        context.fillStyle = track.kind === "vcpu" ? colours.ink : colours.faint;
        let text = track.label;
        while (text.length > 2 && context.measureText(text).width > this.left - 16)
            text = `${text.slice(0, -2)}…`;
        context.fillText(text, 8, top + (track.kind === "vcpu" ? 15 : ROW[track.kind] / 2 + 1));
        if (track.kind === "vcpu") {
            context.font = "11px system-ui, sans-serif";
            context.fillStyle = colours.faint;
            context.fillText("time", 8, top + ROW.vcpu - 7);
        }
    }

    paintTrack(track, top) {
        const { context, colours, timeline } = this, tall = ROW[track.kind];
        const strip = track.kind === "vcpu" ? 12 : 0, row = tall - strip - (strip ? 3 : 0);
        context.fillStyle = colours.lane;
        context.fillRect(this.left, top, this.width, row);
        if (strip)
            context.fillRect(this.left, top + tall - strip, this.width, strip);
        const first = Math.max(0, track.index(timeline.from) - 1), last = track.index(timeline.to) + 1;
        if (last - first < this.width / 3)
            this.paintSlices(track, first, Math.min(last, track.events.length), top, row, strip);
        else
            this.paintRates(track, top, row);
        if (strip && last - first >= this.width / 3)
            this.paintShares(track, top + tall - strip, strip);
    }

    /* Each event by itself. */
    paintSlices(track, first, last, top, row, strip) {
        const { context, colours } = this, { trace } = this.timeline, below = top + ROW[track.kind] - strip;
        context.font = "11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
        for (let k = first; k < last; k++) {
            /* Whole pixels: half ones would have half the colour. */
            const i = track.events[k], group = trace.groupOf(i), x = Math.round(this.xOf(track.at[k]));
            const wide = Math.max(2, Math.round(trace.vmm[i] / this.nsPerPixel));
            context.fillStyle = colours.family[group.family];
            context.fillRect(x, top, wide, row);
            if (strip) {
                const begin = this.xOf(trace.start[i]);
                context.fillStyle = colours.guest;
                context.fillRect(begin, below, Math.max(0.5, x - begin), strip);
                context.fillStyle = colours.vmm;
                context.fillRect(x, below, Math.max(1, trace.vmm[i] / this.nsPerPixel), strip);
                this.paintName(group, begin, x, wide, top, row);
            }
        }
    }

    /* The name of an exit, in it or in the time before it. */
    paintName(group, begin, x, wide, top, row) {
        const { context, colours } = this;
        const before = x - Math.max(begin, this.left), names = [group.target, group.reg, group.kind];
        const text = names.find((name) => name && context.measureText(name).width + 8 < Math.max(wide, before));
        if (!text)
            return;
        const inside = context.measureText(text).width + 8 < wide;
        context.fillStyle = inside ? colours.panel : colours.ink;
        context.textAlign = inside ? "left" : "right";
        context.fillText(text, inside ? Math.max(x, this.left) + 4 : x - 4, top + row / 2 + 1);
        context.textAlign = "left";
    }

    /* How many there are in each pixel, by family. */
    paintRates(track, top, row) {
        const { context, colours } = this, columns = Math.ceil(this.width), edges = new Uint32Array(columns + 1);
        let most = 1;
        edges[0] = track.index(this.timeOf(this.left));
        for (let c = 0; c < columns; c++) {
            edges[c + 1] = track.index(this.timeOf(this.left + c + 1), edges[c]);
            most = Math.max(most, edges[c + 1] - edges[c]);
        }
        for (let c = 0; c < columns; c++) {
            if (edges[c + 1] === edges[c])
                continue;
            let bottom = top + row;
            for (let family = 0; family < FAMILIES; family++) {
                const sums = track.sums[family], count = sums ? sums[edges[c + 1]] - sums[edges[c]] : 0;
                if (count === 0)
                    continue;
                const height = Math.max(1, (count / most) * row);
                context.fillStyle = colours.family[family];
                context.fillRect(this.left + c, bottom - height, 1, height);
                bottom -= height;
            }
        }
    }

    /* How each pixel's time divides. */
    paintShares(track, top, tall) {
        const { context, colours } = this, { trace } = this.timeline, columns = Math.ceil(this.width);
        let t = this.timeOf(this.left), k = track.index(t), before = track.spentUntil(trace, t, k);
        for (let c = 0; c < columns; c++) {
            t = this.timeOf(this.left + c + 1);
            k = track.index(t, k);
            const after = track.spentUntil(trace, t, k);
            const guest = (tall * (after[0] - before[0])) / this.nsPerPixel, vmm = (tall * (after[1] - before[1])) / this.nsPerPixel;
            const high = Math.min(tall, Math.max(0, vmm)), low = Math.min(tall - high, Math.max(0, guest));
            context.fillStyle = colours.guest;
            context.fillRect(this.left + c, top + tall - low - high, 1, low);
            context.fillStyle = colours.vmm;
            context.fillRect(this.left + c, top + tall - high, 1, high);
            before = after;
        }
    }

    /* A line through the chosen exit. */
    paintChosen(height) {
        const { page, trace } = this.timeline, i = page.chosen;
        if (!(i >= 0))
            return;
        const x = Math.round(this.xOf(trace.exitAt(i))) + 0.5;
        if (x < this.left || x > this.left + this.width)
            return;
        const { context } = this;
        context.strokeStyle = this.colours.accent;
        context.lineWidth = 1.5;
        context.beginPath();
        context.moveTo(x, AXIS - 8);
        context.lineTo(x, height);
        context.stroke();
        context.fillStyle = this.colours.accent;
        context.beginPath();
        context.moveTo(x - 5, AXIS - 10);
        context.lineTo(x + 5, AXIS - 10);
        context.lineTo(x, AXIS - 3);
        context.fill();
        context.lineWidth = 1;
    }
}
