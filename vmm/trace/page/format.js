/*
 * format.js: numbers and elements as text.  Times have three digits at most, and none finer than the
 * power of ten of what measuring costs; what is shorter than that cost is not told apart.
 */

const GPR = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RFLAGS"];

let clockCost = 0; /* ns: what measuring costs, an exit; page.js sets both */
let clockStep = 1; /* ns: the finest digit that is shown */

function hex(value, digits = 1) {
    return "0x" + value.toString(16).padStart(digits, "0");
}

/* 1234567 as "1 234 567", with narrow spaces. */
function grouped(value) {
    return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/* A duration in ns: number and unit. */
function durationParts(ns) {
    const [scale, unit] = ns < 1e3 - clockStep / 2 ? [1, "ns"] : ns < 999.5e3 ? [1e3, "µs"] : ns < 999.5e6 ? [1e6, "ms"] : [1e9, "s"];
    if (ns > 0 && ns < clockCost)
        return [`<${clockCost}`, "ns"];
    const value = Number((ns / scale).toPrecision(3)), whole = value < 1 ? 1 : Math.floor(Math.log10(value)) + 1;
    const finest = Math.max(0, Math.round(Math.log10(scale / clockStep)));
    const digits = Math.max(0, Math.min(3 - whole, finest));
    const rounded = scale === 1 ? Math.round(ns / clockStep) * clockStep : value;
    return [rounded.toFixed(digits), unit];
}

function duration(ns) {
    return durationParts(ns).join("\u202f");
}

/* A point in time, ns since the trace began, with the digits that STEP (ns) needs. */
function moment(ns, step = 1e3) {
    const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step / 1e6) + 1e-9)));
    const [whole, part] = (ns / 1e6).toFixed(digits).split(".");
    return grouped(whole) + (part ? "." + part : "");
}

function percent(part, all) {
    if (!(all > 0))
        return "–";
    const value = (100 * part) / all;
    return value > 0 && value < 0.1 ? "<0.1" : value.toFixed(1);
}

/* What was transferred: a value with the character or word it stands for, or bytes. */
function dataText(trace, i, limit = 8) {
    const bytes = trace.bytesOf(i), what = trace.what[i], whats = trace.whats;
    if (whats.family[what] > MMIO)
        return detailText(trace, i);
    if (bytes.length === 0)
        return "";
    const letters = [...bytes].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    const size = whats.size[what];
    if (whats.count[what] > 1 || bytes.length > 8 || bytes.length < size) {
        const shown = [...bytes].slice(0, limit).map((byte) => byte.toString(16).padStart(2, "0"));
        const all = size * whats.count[what];
        return `${shown.join(" ")}${all > shown.length ? "…" : ""}  |${letters.slice(0, limit).join("")}|`;
    }
    let value = 0n;
    for (let b = bytes.length - 1; b >= 0; b--)
        value = (value << 8n) | BigInt(bytes[b]);
    if (trace.text(whats.reg[what]) === "QueueNotify")
        return `${hex(value, 2 * size)} queue ${value}`;
    const controls = { 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r" };
    const control = size === 1 ? controls[bytes[0]] : undefined;
    const readable = (size === 1 || size === 4) && !letters.includes(".");
    const word = control ?? (readable ? letters.join("") : "");
    return hex(value, 2 * size) + (word ? (size === 1 ? ` '${word}'` : ` "${word}"`) : "");
}

function detailText(trace, i) {
    const what = trace.what[i], whats = trace.whats;
    if (trace.textOf[i])
        return trace.text(trace.textOf[i]);
    const name = trace.text(whats.detailName[what]), detail = whats.detail[what];
    return name || (detail ? hex(detail) : "");
}

/* An element: make("td.number", "12"), make("button", { type: "button" }, child, ...). */
function make(name, ...rest) {
    const [tag, ...classes] = name.split("."), element = document.createElement(tag);
    if (classes.length)
        element.className = classes.join(" ");
    for (const item of rest.flat()) {
        if (item === null || item === undefined || item === false)
            continue;
        if (typeof item !== "object")
            element.append(String(item));
        else if (item instanceof Node)
            element.append(item);
        else
            for (const [key, value] of Object.entries(item))
                if (key.startsWith("on"))
                    element.addEventListener(key.slice(2), value);
                else if (value !== false && value !== undefined)
                    element.setAttribute(key, value === true ? "" : value);
    }
    return element;
}

/* A duration with its unit apart, so that numbers line up. */
function timeCell(ns, name = "td.number") {
    const [value, unit] = durationParts(ns);
    return make(name, value, make("span.unit", unit));
}

const element = (id) => document.getElementById(id);

/* The first index of sorted array VALUES whose value is at least LIMIT, from FROM on. */
function lowerBound(values, limit, from = 0, to = values.length) {
    while (from < to) {
        const middle = (from + to) >>> 1;
        if (values[middle] < limit)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}
