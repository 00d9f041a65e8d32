"use strict";
/*
 * data.js: the trace, out of the blocks that vmm/trace/html_block.c wrote (columns in LEB128, base64;
 * html_internal.h says which).  Everything is kept in typed arrays; strings are made when shown.
 */

const COLUMNS = [
    "strings",
    "whatFamily", "whatKind", "whatDevice", "whatReg", "whatAddr", "whatSize", "whatCount",
    "whatDetail", "whatDetailName", "whatRaw", "whatWhyKind", "whatWhyReg",
    "placeRip", "placeSymbol", "placeOffset", "placeFile", "placeLine", "placeInsn",
    "whyName", "whyCause", "whyEffect", "whySource",
    "start", "guest", "vmm", "vcpu", "what", "place", "text", "remark", "dataLen", "data", "registers",
];
const WIDE = new Set(["whatAddr", "whatDetail", "placeRip", "placeOffset"]); /* may exceed 2^53 */
const PIO = 0, MMIO = 1, CPU = 2, FAILURE = 3, NOTE = 4, KERNEL = 5, FAMILIES = 6;
const FAMILY_NAMES = ["port I/O", "MMIO", "processor", "failure", "note", "KVM event"];
const NO_VCPU = 0xffff;

/* One number at a time out of LEB128 bytes. */
class Reader {
    constructor(bytes) {
        this.bytes = bytes;
        this.at = 0;
    }
    next() {
        let value = 0, scale = 1, byte;
        do {
            byte = this.bytes[this.at++];
            value += (byte & 0x7f) * scale;
            scale *= 128;
        } while (byte > 0x7f);
        return value;
    }
    nextWide() {
        let value = 0n, shift = 0n, byte;
        do {
            byte = this.bytes[this.at++];
            value |= BigInt(byte & 0x7f) << shift;
            shift += 7n;
        } while (byte > 0x7f);
        return value;
    }
    get more() {
        return this.at < this.bytes.length;
    }
}

function countNumbers(bytes) {
    let count = 0;
    for (let i = 0; i < bytes.length; i++)
        count += bytes[i] < 0x80 ? 1 : 0;
    return count;
}

/* The columns of one block by name, or null if the file was cut short in it. */
function readBlock(text) {
    let binary;
    try {
        binary = atob(text);
    } catch {
        return null;
    }
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++)
        bytes[i] = binary.charCodeAt(i);
    const reader = new Reader(bytes), block = {};
    for (const name of COLUMNS) {
        const length = reader.next(), from = reader.at;
        if (!(from + length <= bytes.length))
            return null;
        block[name] = bytes.subarray(from, from + length);
        reader.at = from + length;
    }
    return block;
}

/* Strings lie end to end as UTF-8; number 0 is none. */
class Strings {
    constructor(blocks) {
        const size = blocks.reduce((sum, block) => sum + block.strings.length, 0);
        this.bytes = new Uint8Array(size);
        let at = 0;
        for (const block of blocks) {
            this.bytes.set(block.strings, at);
            at += block.strings.length;
        }
        let count = 0;
        for (let i = 0; i < size; i++)
            count += this.bytes[i] === 0 ? 1 : 0;
        this.starts = new Uint32Array(count + 1);
        for (let i = 0, n = 0; i < size; i++)
            if (this.bytes[i] === 0)
                this.starts[++n] = i + 1;
        this.count = count;
        this.decoder = new TextDecoder();
        this.made = new Map();
    }
    get(number) {
        if (!(number > 0 && number <= this.count))
            return "";
        let text = this.made.get(number);
        if (text === undefined) {
            text = this.decoder.decode(this.bytes.subarray(this.starts[number - 1], this.starts[number] - 1));
            this.made.set(number, text);
        }
        return text;
    }
}

/* One column of all blocks. */
function column(blocks, name, ArrayType) {
    const count = blocks.reduce((sum, block) => sum + countNumbers(block[name]), 0);
    const values = new ArrayType(count);
    let n = 0;
    for (const block of blocks) {
        const reader = new Reader(block[name]);
        while (reader.more)
            values[n++] = WIDE.has(name) ? reader.nextWide() : reader.next();
    }
    return values;
}

class Trace {
    constructor(root) {
        const of = (kind) => [...root.querySelectorAll(`script[type="application/x-kvmlens-${kind}"]`)];
        const facts = of("facts").map((element) => JSON.parse(element.textContent));
        const elements = of("block"), blocks = elements.map((element) => readBlock(element.textContent));
        elements.forEach((element) => element.remove());
        this.cut = blocks.includes(null);
        this.blocks = blocks.filter((block) => block);
        this.strings = new Strings(this.blocks);
        this.header = facts[0] ?? {};
        this.footer = facts[1] ?? null;
        this.readEvents();
        this.sort();
        this.readTables();
        this.group();
    }

    text(number) {
        return this.strings.get(number);
    }

    readEvents() {
        const read = (name, ArrayType) => column(this.blocks, name, ArrayType);
        this.guest = read("guest", Float64Array);
        this.vmm = read("vmm", Float64Array);
        this.count = this.vmm.length;
        this.vcpu = read("vcpu", Uint16Array).map((vcpu) => (vcpu === 0 ? NO_VCPU : vcpu - 1));
        this.what = read("what", Uint32Array).map((number) => number - 1);
        this.place = read("place", Uint32Array).map((number) => number - 1);
        this.textOf = read("text", Uint32Array);
        this.remark = read("remark", Uint32Array);
        this.dataAt = new Uint32Array(this.count + 1);
        read("dataLen", Uint8Array).forEach((length, i) => (this.dataAt[i + 1] = this.dataAt[i] + length));
        this.data = new Uint8Array(this.dataAt[this.count]);
        this.firstOf = []; /* the first event of each block */
        let at = 0, first = 0;
        for (const block of this.blocks) {
            this.data.set(block.data, at);
            at += block.data.length;
            this.firstOf.push(first);
            first += countNumbers(block.what);
        }
        this.registerBytes = this.blocks.map((block) => block.registers);
        this.readTimes();
    }

    /* Absolute times. What was not timed (start 0) stands where the event before it does. */
    readTimes() {
        const steps = column(this.blocks, "start", Float64Array);
        this.start = new Float64Array(this.count);
        this.end = 0;
        for (let i = 0, now = 0, shown = 0; i < this.count; i++) {
            now += steps[i] % 2 ? -(steps[i] + 1) / 2 : steps[i] / 2;
            shown = now > 0 ? now : shown;
            this.start[i] = shown;
            this.end = Math.max(this.end, shown + this.guest[i] + this.vmm[i]);
        }
    }

    /* Into the order in which the vCPUs left the guest: the file has that in which exits were done. */
    sort() {
        let sorted = true;
        for (let i = 1; i < this.count && sorted; i++)
            sorted = this.exitAt(i - 1) <= this.exitAt(i);
        this.stored = null; /* where event I stands in the file */
        if (sorted)
            return;
        const at = Float64Array.from(this.start, (start, i) => start + this.guest[i]);
        this.stored = Uint32Array.from(at, (_, i) => i).sort((a, b) => at[a] - at[b] || a - b);
        for (const name of ["start", "guest", "vmm", "vcpu", "what", "place", "textOf", "remark"]) {
            const from = this[name];
            this[name] = from.map((_, i) => from[this.stored[i]]);
        }
    }

    readTables() {
        const read = (name, ArrayType) => column(this.blocks, name, ArrayType);
        this.whats = {
            family: read("whatFamily", Uint8Array), kind: read("whatKind", Uint32Array),
            device: read("whatDevice", Uint32Array), reg: read("whatReg", Uint32Array),
            addr: read("whatAddr", BigUint64Array), size: read("whatSize", Uint8Array),
            count: read("whatCount", Uint32Array), detail: read("whatDetail", BigUint64Array),
            detailName: read("whatDetailName", Uint32Array), raw: read("whatRaw", Uint32Array),
            whyKind: read("whatWhyKind", Uint32Array), whyReg: read("whatWhyReg", Uint32Array),
        };
        this.places = {
            rip: read("placeRip", BigUint64Array), symbol: read("placeSymbol", Uint32Array),
            offset: read("placeOffset", BigUint64Array), file: read("placeFile", Uint32Array),
            line: read("placeLine", Uint32Array), insn: read("placeInsn", Uint32Array),
        };
        this.whys = {
            name: read("whyName", Uint32Array), cause: read("whyCause", Uint32Array),
            effect: read("whyEffect", Uint32Array), source: read("whySource", Uint32Array),
        };
        this.blocks = null;
    }

    /* Groups: what the tables and pictures count together, (kind, device, register). */
    group() {
        const seen = new Map(), whats = this.whats, n = whats.family.length;
        this.groups = [];
        this.groupOfWhat = new Uint32Array(n);
        for (let w = 0; w < n; w++) {
            const kind = this.text(whats.kind[w]), device = this.text(whats.device[w]), reg = this.text(whats.reg[w]);
            const family = whats.family[w], access = family === PIO || family === MMIO;
            const key = `${kind}\0${device}\0${reg}`;
            if (!seen.has(key)) {
                seen.set(key, this.groups.length);
                const target = device ? (reg ? `${device} ${reg}` : device) : access ? "nobody" : "";
                this.groups.push({ kind, device, reg, family, target, label: target ? `${kind}  ${target}` : kind });
            }
            this.groupOfWhat[w] = seen.get(key);
        }
    }

    familyOf(i) {
        return this.whats.family[this.what[i]];
    }
    isExit(i) {
        return this.whats.family[this.what[i]] < NOTE;
    }
    groupOf(i) {
        return this.groups[this.groupOfWhat[this.what[i]]];
    }
    /* When the vCPU left the guest. */
    exitAt(i) {
        return this.start[i] + this.guest[i];
    }
    bytesOf(i) {
        const stored = this.stored ? this.stored[i] : i;
        return this.data.subarray(this.dataAt[stored], this.dataAt[stored + 1]);
    }
    symbolOf(i) {
        return this.text(this.places.symbol[this.place[i]]);
    }
    /* "serial_put+0x12", or the address. */
    codeOf(i) {
        const place = this.place[i], symbol = this.text(this.places.symbol[place]);
        if (!symbol)
            return this.familyOf(i) < NOTE || this.places.rip[place] ? hex(this.places.rip[place]) : "";
        return this.places.offset[place] ? `${symbol}+${hex(this.places.offset[place])}` : symbol;
    }

    /* The general registers and RFLAGS of event I as BigInts, or null. */
    registersOf(i) {
        const stored = this.stored ? this.stored[i] : i;
        let block = this.firstOf.length - 1;
        while (block > 0 && this.firstOf[block] > stored)
            block--;
        const reader = new Reader(this.registerBytes[block]), values = new Array(17).fill(0n);
        let has = false;
        for (let at = this.firstOf[block]; at <= stored; at++) {
            const mask = reader.next();
            has = mask !== 0;
            for (let r = 0; r < 17; r++)
                if (mask & (1 << r))
                    values[r] ^= reader.nextWide();
        }
        return has ? values : null;
    }
}
