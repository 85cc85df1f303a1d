
/* SPDX-License-Identifier: Apache-2.0 */
/* Shows /status.json, then each event of /events. Names come from a database: they are text, and never HTML. */
"use strict";

const POINTS = 600, CELLS = 120, COPY_TABLES = 60, ROWS = 300, QUIET_MS = 5000, AGAIN_MS = 2000;
const byId = id => document.getElementById(id);

/* ---- elements ---- */

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(child => child !== null));
  return node;
}

function drawn(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const shownKeys = new WeakMap();

/* Builds the children anew only when what they show has changed: a selection and a reader's place stay. */
function show(node, key, build) {
  const text = JSON.stringify(key);
  if (shownKeys.get(node) === text) return;
  shownKeys.set(node, text);
  node.replaceChildren(...[build()].flat());
}

/* ---- numbers for people; the exact value is in the title ---- */

const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", {notation: "compact", maximumSignificantDigits: 3});

function count(value) {
  return value < 100000 ? whole.format(value) : short.format(value);
}

function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

function bytes(value) {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0, amount = Number(value);
  for (; amount >= 1000 && unit < units.length - 1; unit++) amount /= 1000;
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toPrecision(2)} ${units[unit]}`;
}

function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

function exact(text, title, attributes) {
  return element("span", {title, ...attributes}, text);
}

function number(value) {
  return exact(count(value), whole.format(value), value === 0 ? {class: "zero"} : {});
}

function moment(us) {
  return new Date(us / 1000).toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC");
}

function place(lsn) {
  const [high, low] = lsn.split("/");
  return BigInt("0x" + high) * 4294967296n + BigInt("0x" + low);
}

/* ---- warnings ---- */

const LEVELS = {stop: ["✖", "Changes do not arrive"], cost: ["▲", "Changes flow, but"], note: ["ℹ", "For your information"]};

function showWarnings(status) {
  const warnings = status.warnings;
  show(byId("warnings"), warnings, () => {
    if (warnings.length === 0) return element("p", {class: "fine"}, "✔ Nothing. Changes flow to every sink.");
    return element("ul", {class: "warnings"}, ...warnings.map(warning => {
      const [sign, kind] = LEVELS[warning.level];
      return element("li", {class: `warning ${warning.level}`}, element("span", {class: "sign", "aria-hidden": "true"}, sign),
        element("span", {class: "kind"}, kind), element("p", {}, warning.text));
    }));
  });
}

/* ---- the sinks ---- */

const STATES = {starting: "is being opened", copying: "is being copied to", streaming: "streams", retrying: "failed, and is tried again",
  ended: "has ended"};

function fact(label, value, title) {
  return element("div", {}, element("dt", {}, label), element("dd", {title}, value));
}

function lastRate(name) {
  const rates = history.get(name)?.rows_per_s || [];
  return rates.length > 0 ? rates[rates.length - 1] : null;
}

function sinkCard(sink, rate) {
  return element("div", {class: "card"},
    element("div", {class: "sink-head"}, element("h3", {}, sink.name), element("span", {class: "muted small"}, `${sink.type}, ${STATES[sink.state]}`)),
    element("dl", {class: "facts"},
      fact("Lag", sink.lag_ms === null ? "not known" : sink.lag_ms === 0 ? "none" : duration(sink.lag_ms), sink.lag_ms === null ? null : `${whole.format(sink.lag_ms)} ms`),
      fact("Waiting WAL", sink.lag_bytes === 0 ? "none" : bytes(sink.lag_bytes), `${whole.format(sink.lag_bytes)} bytes`),
      fact("Rows a second", rate === null ? "not known" : count(rate), rate === null ? null : whole.format(rate))),
    element("p", {class: "muted small"}, exact(plural(sink.changes, "change"), whole.format(sink.changes)), " in ",
      exact(plural(sink.transactions, "transaction"), whole.format(sink.transactions)),
      sink.left_out > 0 ? `, ${plural(sink.left_out, "row")} left out by conditions` : "", " since the start"));
}

function showSinks(status) {
  const seen = status.sinks.map(sink => ({...sink, tables: null, rate: lastRate(sink.name)}));
  show(byId("sinks"), seen, () => seen.map(sink => sinkCard(sink, sink.rate)));
}

/* ---- stages ---- */

function step(label, lsn, source, title, isCurrent) {
  const gap = lsn && source ? source - place(lsn) : null;
  const late = gap !== null && gap > 0n && !isCurrent;
  const behind = lsn === null ? "not known yet" : gap === null ? "" : late ? `${bytes(gap)} to go` : "nothing waits";
  return element("li", {class: late ? "step late" : "step", title}, element("span", {class: "label"}, label),
    element("span", {class: "lsn"}, lsn || "–"),
    element("span", {class: "behind", title: late ? `${whole.format(gap)} bytes before the end of the source's WAL` : null}, behind));
}

function lane(sink, source) {
  const isCurrent = sink.lag_bytes === 0;
  return element("div", {class: "lane"}, element("h3", {}, sink.name), element("ol", {class: "steps"},
    step("Written", sink.written, source, "The sink was given all whole transactions before here", isCurrent),
    step("Visible", sink.visible, source, "Readers of the sink see all before here", isCurrent),
    step("Durable", sink.durable, source, "All before here survives a crash of the sink", isCurrent)));
}

function showStages(status) {
  const stages = status.stages, slot = status.slot;
  const isCurrent = status.sinks.every(sink => sink.lag_bytes === 0);
  const lanes = status.sinks.map(({name, lag_bytes, written, visible, durable}) => ({name, lag_bytes, written, visible, durable}));
  show(byId("stages"), [stages, slot, lanes], () => {
    const source = stages.source ? place(stages.source) : null;
    const first = element("ol", {class: "steps"}, step("Source", stages.source, null, "The end of the source's WAL", true),
      step("Received", stages.received, source, "What the source has sent, or has said to contain nothing for us", isCurrent),
      stages.buffered ? step("Buffered", stages.buffered, source, "What the buffer on disk holds", isCurrent) : null);
    const last = element("ol", {class: "steps"},
      step("Stored", stages.checkpoint, source, "The position that is on disk, of all sinks", isCurrent),
      step("Confirmed", stages.confirmed, source, "What the slot was told: the source may remove WAL before here", isCurrent));
    return [element("div", {class: "way"}, first, element("div", {class: "lane-box"}, element("div", {class: "lanes"}, ...lanes.map(sink => lane(sink, source)))), last),
      slotLine(slot)];
  });
}

function slotLine(slot) {
  if (slot === null) return element("p", {class: "muted small under"}, "The source's slot is not known.");
  const line = element("p", {class: "muted small under"});
  if (slot.lost) line.append("The slot is lost. ");
  if (slot.retained_bytes !== null)
    line.append("The source keeps ", exact(bytes(slot.retained_bytes), `${whole.format(slot.retained_bytes)} bytes`), " of WAL for the slot. ");
  line.append(slot.safe_bytes === null ? "It has no limit (max_slot_wal_keep_size)." : "The slot is lost after ",
    slot.safe_bytes === null ? "" : exact(bytes(slot.safe_bytes), `${whole.format(slot.safe_bytes)} bytes`), slot.safe_bytes === null ? "" : " more.");
  return line;
}

/* ---- charts ---- */

const history = new Map();

/* Points have numbers, so those of two answers fit together. True: none is missing in between. */
function remember(parts) {
  let isWhole = true;
  for (const part of parts) {
    let known = history.get(part.sink);
    if (!known || part.first > known.first + known.lag_ms.length || part.first + part.lag_ms.length < known.first + known.lag_ms.length) {
      isWhole = isWhole && (!known || part.lag_ms.length > 10);
      history.set(part.sink, known = {first: part.first, lag_ms: [], rows_per_s: []});
    }
    const fresh = known.first + known.lag_ms.length - part.first;
    known.lag_ms.push(...part.lag_ms.slice(fresh));
    known.rows_per_s.push(...part.rows_per_s.slice(fresh));
    const extra = Math.max(0, known.lag_ms.length - POINTS);
    known.lag_ms.splice(0, extra);
    known.rows_per_s.splice(0, extra);
    known.first += extra;
  }
  return isWhole;
}

/* How many points a chart has room for: a minute, five or ten, whichever the history fills. */
function room() {
  const longest = Math.max(0, ...[...history.values()].map(part => part.lag_ms.length));
  return longest <= 60 ? 60 : longest <= 300 ? 300 : POINTS;
}

/* The next of 1, 2, 5, 10 … that is not below the value. */
function roundUp(value, least) {
  let power = 10 ** Math.floor(Math.log10(Math.max(value, least)));
  for (const factor of [1, 2, 5, 10]) if (factor * power >= value && factor * power >= least) return factor * power;
  return 10 * power;
}

function curve(values, top, points, width, height) {
  let path = "", isOpen = false;
  values.forEach((value, i) => {
    if (value === null) { isOpen = false; return; }
    const x = width * (points - values.length + i) / (points - 1), y = height - height * Math.min(value, top) / top;
    path += `${isOpen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isOpen = true;
  });
  return path;
}

function drawChart(box, what, least, words, caption) {
  const points = room(), start = points === 60 ? "a minute ago" : `${points / 60} minutes ago`;
  const all = [...history.values()].flatMap(part => part[what]).filter(value => value !== null);
  const highest = all.reduce((a, b) => Math.max(a, b), 0), top = roundUp(highest, least);
  const width = Math.max(box.clientWidth, 200), height = Math.max(box.clientHeight, 100), left = 62, bottom = 22, above = 8;
  const inner = drawn("g", {transform: `translate(${left} ${above})`}), w = width - left - 4, h = height - bottom - above;
  for (const part of [0, .5, 1]) {
    inner.append(drawn("line", {class: "grid", x1: 0, x2: w, y1: h - h * part, y2: h - h * part}));
    inner.append(drawn("text", {x: -8, y: h - h * part + 4, "text-anchor": "end"}, part === 0 ? "0" : words(top * part)));
  }
  [[start, 0, "start"], ["now", 1, "end"]].forEach(([text, at, anchor]) =>
    inner.append(drawn("text", {x: w * at, y: h + 17, "text-anchor": anchor}, text)));
  [...history.values()].forEach((part, i) => inner.append(drawn("path", {class: `curve curve-${i % 4}`, d: curve(part[what], top, points, w, h)})));
  const svg = drawn("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${caption}: at most ${words(highest)} since ${start}`});
  svg.append(inner);
  box.replaceChildren(svg);
}

function showCharts() {
  drawChart(byId("lag-chart"), "lag_ms", 1000, duration, "Lag");
  drawChart(byId("rows-chart"), "rows_per_s", 10, count, "Rows a second");
  const names = [...history.keys()];
  show(byId("legend"), names, () => names.length < 2 ? [] : names.map((name, i) => {
    const sample = drawn("svg", {viewBox: "0 0 32 10", "aria-hidden": "true"});
    sample.append(drawn("path", {class: `curve curve-${i % 4}`, d: "M0 5H32"}));
    return element("li", {}, sample, name);
  }));
}

/* ---- the copy ---- */

function cells(table) {
  const scale = Math.min(1, CELLS / table.chunks), box = element("div", {class: "cells", role: "img",
    "aria-label": `${table.done} of ${table.chunks} chunks done, ${table.running} running`});
  const total = Math.max(1, Math.round(table.chunks * scale)), done = table.done === table.chunks ? total : Math.floor(table.done * scale);
  const running = Math.min(total - done, Math.ceil(table.running * scale));
  for (let i = 0; i < total; i++)
    box.append(element("span", {class: `cell ${i < done ? "done" : i < done + running ? "running" : "waiting"}`}));
  return box;
}

function copyTable(table, hasSinks) {
  const waiting = Math.max(0, table.chunks - table.done - table.running);
  const words = table.done === table.chunks ? `complete: ${plural(table.chunks, "chunk")}` :
    `${count(table.done)} of ${plural(table.chunks, "chunk")} done, ${count(table.running)} running, ${count(waiting)} waiting`;
  return element("div", {class: "copy-table"}, element("h3", {}, table.name, hasSinks ? element("span", {class: "muted small"}, ` to ${table.sink}`) : null), cells(table),
    element("p", {class: "muted small"}, words),
    element("p", {class: "muted small"}, exact(plural(table.rows, "row"), whole.format(table.rows)), ", ",
      exact(`${bytes(table.bytes_done)} of ${bytes(table.bytes_estimate)}`, `${whole.format(table.bytes_done)} of ${whole.format(table.bytes_estimate)} bytes`),
      table.left_ms !== null ? `, ${duration(table.left_ms)} left` : ""));
}

function copyKey() {
  const key = (name, text) => element("span", {class: "key"}, element("span", {class: `cell ${name}`}), text);
  return element("p", {class: "legend"}, key("done", "done"), key("running", "running"), key("waiting", "waiting"));
}

function copyTotal(copy) {
  const part = copy.bytes_estimate > 0 ? Math.min(1, copy.bytes_done / copy.bytes_estimate) : 0;
  const bar = element("span", {}), words = [`${count(copy.tables_done)} of ${plural(copy.table_count, "table")}`];
  bar.style.width = `${(part * 100).toFixed(1)}%`;
  if (copy.chunk_count > 0) words.push(`${count(copy.chunks_done)} of ${plural(copy.chunk_count, "chunk")}`);
  words.push(plural(copy.rows, "row"), `${bytes(copy.bytes_done)} of about ${bytes(copy.bytes_estimate)}`);
  if (copy.bytes_per_s !== null) words.push(`${bytes(copy.bytes_per_s)} a second`);
  if (copy.left_ms !== null) words.push(`${duration(copy.left_ms)} left`);
  return [element("p", {}, `Running, ${Math.floor(part * 100)} % done`),
    element("div", {class: "meter", role: "progressbar", "aria-label": "Copy", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(part * 100)}, bar),
    element("p", {class: "muted small"}, words.join(", ")), copy.table ? element("p", {class: "muted small"}, `Now: ${copy.table}`) : null];
}

function showCopy(status) {
  const copy = status.copy, hasSinks = status.sinks.length > 1;
  byId("copy-section").hidden = !copy.runs && copy.tables.length === 0 && copy.rows_copied === 0;
  show(byId("copy"), [copy, hasSinks], () => {
    /* Those in work first, then those that wait, then those that are complete. */
    const rank = table => table.running > 0 ? 0 : table.done < table.chunks ? 1 : 2;
    const tables = [...copy.tables].sort((a, b) => rank(a) - rank(b));
    const isWhole = tables.every(table => table.done === table.chunks);
    const head = copy.runs ? copyTotal(copy) : isWhole ?
      [element("p", {}, "✔ Complete: ", exact(plural(copy.rows_copied, "row"), whole.format(copy.rows_copied)), " copied since the start")] :
      [element("p", {}, "Interrupted. It goes on when the pipeline streams again.")];
    const more = tables.length - COPY_TABLES;
    return [...head, tables.length > 0 ? copyKey() : null,
      tables.length > 0 ? element("div", {class: "copy-tables"}, ...tables.slice(0, COPY_TABLES).map(table => copyTable(table, hasSinks))) : null,
      more > 0 ? element("p", {class: "muted"}, `and ${plural(more, "more table")}`) : null].filter(node => node !== null);
  });
}

/* ---- tables ---- */

const OPERATIONS = [["insert", "Inserts"], ["update", "Updates"], ["delete", "Deletes"], ["truncate", "Truncates"]];

function proof(table, status) {
  if (table.differs) return element("span", {class: "bad"}, "✖ differs from the source");
  if (table.equal_us === null) return element("span", {class: "zero"}, "never");
  const ago = (status.now_us - table.equal_us) / 1000;
  return exact(`✔ ${ago < 1000 ? "just now" : `${duration(ago)} ago`}`, `equal at ${table.equal_lsn}, ${moment(table.equal_us)}`);
}

function tableRow(table, sinkName, status) {
  const cell = (label, kind, node) => element("td", {"data-label": label, class: kind}, node);
  return element("tr", {}, cell("Table", "text name", table.name === "*" ? "all other tables" : table.name),
    sinkName === null ? null : cell("Sink", "text wide", sinkName), ...OPERATIONS.map(([op, label]) => cell(label, "", number(table[op]))),
    cell("Proven equal", "text wide", proof(table, status)));
}

function showTables(status) {
  const hasSinks = status.sinks.length > 1, wanted = byId("filter").value.toLowerCase();
  const all = status.sinks.flatMap(sink => sink.tables.map(table => ({sink: sink.name, ...table})))
    .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.sink < b.sink ? -1 : 1);
  const tables = all.filter(table => table.name.toLowerCase().includes(wanted)), body = byId("tables-body");
  byId("filter-line").hidden = all.length <= 12;
  byId("tables").hidden = tables.length === 0;
  byId("tables-note").textContent = all.length === 0 ? "No change has arrived since the start." : tables.length === 0 ? "No table has such a name." :
    "Changes that each sink has committed since the start." +
    (tables.length > ROWS ? ` The first ${ROWS} of ${tables.length} tables.` : "") +
    (status.verifies ? "" : " Tables are proven equal while it runs when verify.continuous is set.");
  show(byId("tables-head"), hasSinks, () => element("tr", {}, ...["Table", ...(hasSinks ? ["Sink"] : []), ...OPERATIONS.map(op => op[1]), "Proven equal"]
    .map((label, i) => element("th", {scope: "col", class: ["Table", "Sink", "Proven equal"].includes(label) ? "text" : ""}, label))));
  const visible = tables.slice(0, ROWS);
  while (body.children.length > visible.length) body.lastChild.remove();
  visible.forEach((table, i) => {
    if (!body.children[i]) body.append(element("tr", {}));
    const built = tableRow(table, hasSinks ? table.sink : null, status);
    if (body.children[i].isEqualNode(built)) return;
    body.children[i].replaceWith(built);
  });
}

/* ---- retries, conflicts, dead letters ---- */

function sum(items) {
  const sums = new Map();
  for (const {kind, count: value} of items) sums.set(kind, (sums.get(kind) || 0) + value);
  return [...sums];
}

function counted(title, items, none) {
  return element("div", {}, element("h3", {}, title), items.length === 0 ? element("p", {class: "muted"}, none) :
    element("ul", {}, ...items.map(([kind, value]) => element("li", {}, element("code", {}, kind), " ", exact(`${count(value)} ×`, whole.format(value))))));
}

function deadLetters(sinks) {
  const box = element("div", {}, element("h3", {}, "Dead letters"));
  let failed = 0;
  for (const {name, dead} of sinks) {
    if (dead === null) continue;
    failed += dead.failed + dead.waiting;
    box.append(element("p", {class: dead.failed + dead.waiting > 0 ? "" : "muted"}, `${name}: ${plural(dead.failed, "change")} did not fit, ` +
      `${count(dead.waiting)} ${dead.waiting === 1 ? "waits" : "wait"} behind, ${count(dead.skipped)} skipped`));
  }
  if (box.children.length === 1) box.append(element("p", {class: "muted"}, "None is known."));
  if (failed > 0) box.append(element("p", {}, "To see and to mend them: ", element("code", {}, "pgcdc dead list -c FILE")));
  return box;
}

function showTrouble(status) {
  const sinks = status.sinks.map(({name, dead, conflicts}) => ({name, dead, conflicts}));
  show(byId("trouble"), [sinks, status.retries], () => [
    counted("Retries, by SQLSTATE", sum(status.retries), "None since the start."),
    counted("Conflicts that stopped it", sum(sinks.flatMap(sink => sink.conflicts)), "None."),
    deadLetters(sinks)]);
}

/* ---- the whole page ---- */

let latest = null;

function showProcess(status) {
  const sinks = status.sinks, states = new Set(sinks.map(sink => sink.state));
  const state = status.copy.runs ? (states.has("streaming") ? "streaming and copying" : "copying") : states.size === 1 ? [...states][0] : "mixed";
  const worst = status.warnings.length > 0 ? status.warnings[0].level : "fine";
  document.title = `${worst === "stop" ? "✖ " : worst === "cost" ? "▲ " : ""}${status.pipeline} – pgcdc`;
  byId("name").textContent = status.pipeline;
  byId("state").textContent = `${status.ready ? "Ready" : "Not ready"}, ${state}`;
  byId("process").textContent = `pgcdc ${status.version}` +
    (status.started_us > 0 ? `, up for ${duration((status.now_us - status.started_us) / 1000)}` : "");
  byId("process").title = status.started_us > 0 ? `since ${moment(status.started_us)}` : "";
}

function showAll(status) {
  latest = status;
  byId("main").hidden = false;
  showProcess(status);
  showWarnings(status);
  showSinks(status);
  showCopy(status);
  showStages(status);
  showTables(status);
  showTrouble(status);
  if (!document.hidden) showCharts();
}

/* ---- the connection ---- */

let heardMs = 0, events = null;

function say(text, kind) {
  const line = byId("connection");
  if (line.textContent !== text) line.textContent = text;
  line.className = kind;
  document.body.classList.toggle("lost", kind === "lost");
}

function again(text, kind) {
  if (events) events.close();
  events = null;
  say(text, kind);
  setTimeout(begin, AGAIN_MS);
}

async function begin() {
  try {
    const answer = await fetch("/status.json", {cache: "no-store"});
    if (!answer.ok) throw new Error(String(answer.status));
    const status = await answer.json();
    remember(status.history);
    showAll(status);
  } catch (error) {
    again("The connection is lost. Trying again …", "lost");
    return;
  }
  heardMs = performance.now();
  let hasHeard = false;
  const mine = events = new EventSource("/events");
  mine.onmessage = event => {
    const status = JSON.parse(event.data);
    heardMs = performance.now();
    hasHeard = true;
    say("Live", "");
    if (!remember(status.history)) { again("Live", ""); return; }
    showAll(status);
  };
  mine.onerror = () => {
    if (events === mine) again(hasHeard ? "The connection is lost. Trying again …" : "Asking every few seconds: as many pages are open as may be", hasHeard ? "lost" : "waiting");
  };
}

setInterval(() => {
  if (events && performance.now() - heardMs > QUIET_MS) again("Nothing was heard for 5 seconds. Trying again …", "lost");
}, 1000);
byId("filter").addEventListener("input", () => latest && showTables(latest));
window.addEventListener("resize", () => latest && showCharts());
document.addEventListener("visibilitychange", () => !document.hidden && latest && showCharts());
begin();
