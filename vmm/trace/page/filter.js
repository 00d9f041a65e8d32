/*
 * filter.js: the filter box: the terms of -trace's filter= (vmm/trace/filter.h), divided by + or
 * blanks, and words that are looked for in names, instructions and remarks.
 */

const FILTER_HELP = "device=serial  exit=out|in  symbol=serial_*  cost>=10us  vmm>=1us  cpu=0  port=0x3f8-0x3ff  !reg=THR  words";
const TIME_UNITS = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9 };

/* A shell pattern as a regular expression over the whole name. */
function glob(pattern) {
    const source = pattern.replace(/\*|\?|\[[^\]]+\]|[.+^${}()|\\[\]]/g, (part) =>
        part === "*" ? ".*" : part === "?" ? "." : part.length > 1 ? part.replace("[!", "[^") : `\\${part}`);
    return new RegExp(`^${source}$`, "i");
}

function ranges(values) {
    return values.map((value) => {
        const found = /^(0x[0-9a-f]+|\d+)(?:-(0x[0-9a-f]+|\d+))?$/i.exec(value);
        if (!found)
            throw new Error(`"${value}" is no number or range FROM-TO`);
        return [BigInt(found[1]), BigInt(found[2] ?? found[1])];
    });
}

/* For each row of a table, whether TEST holds. */
function rows(count, test) {
    const result = new Uint8Array(count);
    for (let row = 0; row < count; row++)
        result[row] = test(row) ? 1 : 0;
    return result;
}

/* A test of event I for each name on the left of "=". */
const FILTER_NAMES = {
    exit: (trace, values) => byName(trace, values, trace.whats.kind),
    device: (trace, values) => byName(trace, values, trace.whats.device),
    reg: (trace, values) => byName(trace, values, trace.whats.reg),
    port: (trace, values) => byAddress(trace, values, PIO),
    gpa: (trace, values) => byAddress(trace, values, MMIO),
    cpu(trace, values) {
        const wanted = ranges(values);
        return (i) => trace.vcpu[i] !== NO_VCPU &&
            wanted.some(([from, to]) => from <= trace.vcpu[i] && trace.vcpu[i] <= to);
    },
    symbol(trace, values) {
        const patterns = values.map(glob), names = trace.places.symbol;
        const match = rows(names.length, (p) => patterns.some((pattern) => names[p] && pattern.test(trace.text(names[p]))));
        return (i) => match[trace.place[i]];
    },
};

function byName(trace, values, names) {
    const patterns = values.map(glob);
    const match = rows(names.length, (w) => names[w] && patterns.some((pattern) => pattern.test(trace.text(names[w]))));
    return (i) => match[trace.what[i]];
}

function byAddress(trace, values, family) {
    const wanted = ranges(values), whats = trace.whats;
    const match = rows(whats.addr.length, (w) => whats.family[w] === family &&
        wanted.some(([from, to]) => whats.addr[w] <= to && whats.addr[w] + BigInt(Math.max(1, whats.size[w])) > from));
    return (i) => match[trace.what[i]];
}

/* Words without a name: anywhere in the names of what happened, where, and what was said of it. */
function byWord(trace, word) {
    const has = (...texts) => texts.some((text) => text.toLowerCase().includes(word));
    const { whats, places } = trace, said = new Map();
    const inWhat = rows(whats.family.length, (w) => has(trace.groups[trace.groupOfWhat[w]].label,
        trace.text(whats.raw[w]), trace.text(whats.detailName[w]), whats.family[w] <= MMIO ? hex(whats.addr[w]) : ""));
    const inPlace = rows(places.rip.length, (p) => has(trace.text(places.symbol[p]), trace.text(places.insn[p]),
        `${trace.text(places.file[p])}:${places.line[p]}`, hex(places.rip[p])));
    const inText = (number) => {
        if (number === 0)
            return false;
        if (!said.has(number))
            said.set(number, has(trace.text(number)));
        return said.get(number);
    };
    return (i) => inWhat[trace.what[i]] || inPlace[trace.place[i]] || inText(trace.remark[i]) || inText(trace.textOf[i]);
}

function byTime(trace, name, operator, value) {
    const found = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s)$/i.exec(value);
    if (!found)
        throw new Error(`"${value}" is no time: a number and ns, us, ms or s`);
    const limit = found[1] * TIME_UNITS[found[2].toLowerCase()], { guest, vmm } = trace;
    const cost = { cost: (i) => guest[i] + vmm[i], guest: (i) => guest[i], vmm: (i) => vmm[i] }[name];
    return operator === ">=" ? (i) => cost(i) >= limit : (i) => cost(i) <= limit;
}

const TERM = /(!?)(?:(cost|guest|vmm)(>=|<=)([^\s+]*)|([a-z]+)=("[^"]*"|mmio (?:read|write)|[^\s+]*)|"([^"]*)"|([^\s+]+))/iy;

/* The tests of EXPRESSION, all of which have to hold; throws an Error that says what is wrong. */
function compileFilter(trace, expression) {
    const tests = [], text = expression.trim();
    for (let at = 0; at < text.length;) {
        if (/[\s+]/.test(text[at])) {
            at++;
            continue;
        }
        TERM.lastIndex = at;
        const term = TERM.exec(text);
        if (!term)
            throw new Error(`"${text.slice(at)}" is no term`);
        at = TERM.lastIndex;
        const [, not, time, operator, limit, name, value] = term;
        let test;
        if (time) {
            test = byTime(trace, time.toLowerCase(), operator, limit);
        } else if (name) {
            const make = FILTER_NAMES[name.toLowerCase()];
            if (!make)
                throw new Error(`"${name}": there are ${Object.keys(FILTER_NAMES).join(", ")}, cost>=, guest>=, vmm>=`);
            const values = value.replace(/^"|"$/g, "");
            if (!values)
                throw new Error(`${name}= needs a value`);
            test = make(trace, values.split("|"));
        } else {
            test = byWord(trace, (term[7] ?? term[8]).toLowerCase());
        }
        tests.push(not ? (i) => !test(i) : test);
    }
    return tests;
}

/* The events that pass, by number; FROM and TO (ns) limit the time. */
function applyFilter(trace, tests, from = -Infinity, to = Infinity) {
    const found = new Uint32Array(trace.count), limited = from > -Infinity || to < Infinity;
    let n = 0;
    for (let i = 0; i < trace.count; i++) {
        if (limited && !(trace.start[i] <= to && trace.exitAt(i) + trace.vmm[i] >= from))
            continue;
        let passes = true;
        for (let t = 0; t < tests.length && passes; t++)
            passes = tests[t](i);
        if (passes)
            found[n++] = i;
    }
    return found.slice(0, n);
}
