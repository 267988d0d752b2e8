// The reader: an arm's answers beside another arm's, with the judge's reasons. Texts reach the page
// through textContent alone.
"use strict";
const PAGE_SIZE = 10;
const reader = document.getElementById("reader");
const part = (name) => document.getElementById("reader-" + name);
const unpacked = new Map();
let open = null; // {run, arm, beside, only, shown}

async function answersOf(at, arm) {
  if (arm.piece === null) return new Map();
  const key = `${at}-${arm.piece}`;
  if (!unpacked.has(key)) {
    const packed = Uint8Array.from(atob(document.getElementById(`answers-${key}`).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const rows = JSON.parse(await new Response(stream).text());
    unpacked.set(key, new Map(rows.map((row) => [`${row[0]}/${row[1]}`, row])));
  }
  return unpacked.get(key);
}

function node(tag, attributes, ...children) {
  const made = document.createElement(tag);
  Object.entries(attributes || {}).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}

const statusOf = (run, code) => run.statuses[code];
const words = (run, status, label) => (label || run.labels[status] || status).replaceAll("_", " ");
const chip = (run, status, label) => node("span", { class: `label ${["hit", "miss", "refusal"].includes(status) ? status : "other"}` }, words(run, status, label));

const FILTERS = [
  ["all", () => "everything", () => true],
  ["changed", () => "label differs", (a, b) => b !== undefined && a !== b],
  ["up", (run) => `${words(run, "hit")} only here`, (a, b) => a === "hit" && b !== "hit"],
  ["down", (run) => `${words(run, "hit")} only beside`, (a, b) => a !== "hit" && b === "hit"],
  ["hit", (run) => words(run, "hit"), (a) => a === "hit"],
  ["miss", (run) => words(run, "miss"), (a) => a === "miss"],
  ["refusal", () => "refusal", (a) => a === "refusal"],
  ["broken", () => "nonsense", (a) => a === "broken"],
  ["unlabelled", () => "no label", (a) => ["invalid", "truncated", "failed", "missing"].includes(a)],
];

function side(run, arm, status, row) {
  const made = node("div", { class: "side" });
  made.append(node("h4", {}, node("span", {}, visible(arm.name)), chip(run, status, row && row[8])));
  if (!row) {
    made.append(node("p", { class: "reason" }, "This answer is not in the file's sample; the run folder holds it."));
    return made;
  }
  const [, , answer, thinking, reason, finish, error, applied] = row;
  if (thinking) made.append(node("details", {}, node("summary", {}, "Thinking"), node("div", { class: "answer", dir: "auto", tabindex: "0" }, visible(thinking))));
  made.append(node("div", { class: "answer", dir: "auto", tabindex: "0", role: "region", "aria-label": `Answer under ${visible(arm.name)}` }, visible(answer || (error ? "" : "(empty)"))));
  const facts = [];
  if (error) facts.push(`failed: ${visible(error)}`);
  if (finish === "length") facts.push("cut by the token limit");
  applied.forEach(([layer, positions, relative]) => facts.push(`layer ${layer}: ${positions} positions steered, mean |Δ|/|h| ${relative}`));
  made.append(node("p", { class: "reason" }, node("b", {}, "Judge: "), visible(reason || "no reason given")));
  if (facts.length) made.append(node("p", { class: "reason" }, facts.join(" · ")));
  return made;
}

async function fill() {
  const { at, arm, beside } = open;
  const run = page.runs[at];
  part("title").textContent = visible(arm.name);
  const carried = arm.shown === arm.rows ? "all in this file" : `${arm.shown} of ${arm.rows} in this file, a seeded sample`;
  part("settings").textContent = visible(arm.settings) + ` · ${fixed(arm.percent)} % of ${arm.n}: ${run.words.verb} · ${carried}`;
  const mine = await answersOf(at, arm);
  const theirs = beside ? await answersOf(at, beside) : new Map();
  const other = new Map(beside ? beside.statuses.map(([s, k, code]) => [`${s}/${k}`, statusOf(run, code)]) : []);
  const test = FILTERS.find(([name]) => name === part("filter").value)[2];
  const category = part("category").value;
  const rows = arm.statuses.filter(([s, k, code]) => test(statusOf(run, code), other.get(`${s}/${k}`)) && (!category || run.scenarios[s][1] === category));
  rows.sort((a, b) => mine.has(`${b[0]}/${b[1]}`) - mine.has(`${a[0]}/${a[1]}`));
  part("count").textContent = `${rows.length} of ${arm.statuses.length} answers`;
  const list = part("list");
  list.replaceChildren(...rows.slice(0, open.shown).map(([s, k, code]) => {
    const [id, , system, user] = run.scenarios[s];
    const item = node("article", { class: "item" });
    item.append(node("h3", {}, visible(id) + (k ? `, sample ${k + 1}` : "")));
    item.append(node("div", { class: "ask", dir: "auto" }, visible(user)));
    if (system) item.append(node("details", { class: "table" }, node("summary", {}, "System message"), node("div", { class: "ask", dir: "auto" }, visible(system))));
    const pair = node("div", { class: "pair" });
    if (beside) pair.append(side(run, beside, other.get(`${s}/${k}`) || "missing", theirs.get(`${s}/${k}`)));
    pair.append(side(run, arm, statusOf(run, code), mine.get(`${s}/${k}`)));
    item.append(pair);
    return item;
  }));
  part("more").hidden = rows.length <= open.shown;
  reader.dataset.ready = `${at}/${arm.name}`;
}

function referenceOf(run, arm) {
  const found = run.arms.find((a) => a.kind === "baseline" && a.temperature === arm.temperature);
  return found && found !== arm ? found : null;
}

function openReader(at, name) {
  const run = page.runs[at];
  const arm = run.arms.find((a) => a.name === name);
  if (!arm) return;
  open = { at, arm, beside: referenceOf(run, arm), shown: PAGE_SIZE };
  const arms = (select, chosen, none) => {
    select.replaceChildren(...(none ? [new Option("nothing", "")] : []), ...run.arms.map((a) => new Option(visible(a.name), a.name, false, a === chosen)));
    if (none && !chosen) select.value = "";
  };
  arms(part("arm"), arm, false);
  arms(part("beside"), open.beside, true);
  part("filter").replaceChildren(...FILTERS.map(([value, text]) => new Option(text(run), value)));
  part("category").replaceChildren(new Option("all", ""), ...unique(run.scenarios.map((s) => s[1])).map((c) => new Option(visible(c), c)));
  delete reader.dataset.ready;
  if (!reader.open) reader.showModal();
  reader.scrollTop = 0;
  part("title").focus();
  fill();
}

part("arm").addEventListener("change", (e) => { open.arm = page.runs[open.at].arms.find((a) => a.name === e.target.value); open.shown = PAGE_SIZE; fill(); });
part("beside").addEventListener("change", (e) => { open.beside = page.runs[open.at].arms.find((a) => a.name === e.target.value) || null; open.shown = PAGE_SIZE; fill(); });
["filter", "category"].forEach((name) => part(name).addEventListener("change", () => { open.shown = PAGE_SIZE; fill(); }));
part("more").addEventListener("click", () => { open.shown += 2 * PAGE_SIZE; fill(); });
part("close").addEventListener("click", () => reader.close());
reader.addEventListener("click", (e) => { if (e.target === reader) reader.close(); });
document.addEventListener("click", (e) => {
  const button = e.target.closest("button.link");
  if (button) openReader(Number(button.dataset.run), button.dataset.arm);
});
