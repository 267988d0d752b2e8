// The figures: from the page's JSON to plotly traces. Every figure is drawn when it comes near the
// screen and again when the colour scheme or the width class changes. Numbers are never computed here.
"use strict";
const page = JSON.parse(document.getElementById("data").textContent);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = () => window.innerWidth < 640;

// Control and direction characters are shown as \uXXXX, never obeyed.
const visible = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, (c) =>
  c === "\n" || c === "\t" ? c : "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
// plotly reads a little HTML in its texts: names must stay names.
const label = (text, most = 34) => {
  const shown = visible(text);
  const cut = shown.length > most ? shown.slice(0, most - 1) + "…" : shown;
  return cut.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
};
// A long name in two lines, broken at the space nearest its middle; each line is cut to what fits.
const twoLines = (text, most) => {
  if (text.length <= most) return label(text, most);
  const spaces = [...text.matchAll(/ /g)].map((found) => found.index);
  if (!spaces.length) return label(text, most);
  const at = spaces.reduce((best, i) => Math.abs(i - text.length / 2) < Math.abs(best - text.length / 2) ? i : best);
  return `${label(text.slice(0, at), most)}<br>${label(text.slice(at + 1), most)}`;
};
const percent = (value) => value === null || value === undefined ? null : 100 * value;
const minus = (text) => text.replace("-", "−");
const fixed = (value, digits = 1) => value === null || value === undefined ? "–" : minus(value.toFixed(digits));
const signed = (value) => value === null ? "–" : (value > 0 ? "+" : "") + fixed(value);
const dose = (value) => (value > 0 ? "+" : "") + minus(String(value));
const span = (ci) => ci ? ` [${fixed(ci[0])}, ${fixed(ci[1])}]` : "";
const byName = (run) => Object.fromEntries(run.arms.map((arm) => [arm.name, arm]));
const unique = (values) => [...new Set(values)];

function palette() {
  const names = ["paper", "raised", "ink", "muted", "faint", "rule", "suffix", "vector", "both", "base", "control",
    "up", "down", "middle", "depth"];
  return Object.fromEntries(names.map((name) => [name, css("--" + name)]));
}
const LOOKS = {
  baseline: ["base", "circle"], suffix: ["suffix", "diamond"], cell: ["vector", "circle"],
  both: ["both", "square"], adapter: ["both", "triangle-up"], control: ["control", "circle"],
};
const look = (arm, c) => ({ color: c[(LOOKS[arm.kind] || LOOKS.control)[0]], symbol: (LOOKS[arm.kind] || LOOKS.control)[1] });

// Baseline and the suffixes that were asked for; other wordings and placings would only crowd a figure.
const plainArms = (run) => run.arms.filter((a) => ["baseline", "suffix"].includes(a.kind) && !/paraphrase| by builder/.test(a.name)).slice(0, 6);

const axis = (c, more) => ({
  fixedrange: true, gridcolor: c.rule, zeroline: false, linecolor: c.rule, tickcolor: c.rule, ticklen: 4,
  tickfont: { color: c.muted, size: 12 }, title: { font: { color: c.muted, size: 12 }, standoff: 8 }, ...more,
});
const title = (c, text) => ({ text, font: { color: c.muted, size: 12 }, standoff: 8 });
const base = (c, height, more) => ({
  height, margin: { l: 8, r: 14, t: 10, b: 48, pad: 4 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: css("--font"), size: 13, color: c.ink }, showlegend: false, hovermode: "closest", dragmode: false,
  hoverlabel: { bgcolor: c.raised, bordercolor: c.rule, font: { color: c.ink, size: 12 }, align: "left" }, ...more,
});
const across = (c, x, more) => ({ type: "line", yref: "paper", y0: 0, y1: 1, x0: x, x1: x, layer: "below", line: { color: c.faint, width: 1 }, ...more });
const note = (c, text, more) => ({ text, showarrow: false, font: { size: 11, color: c.muted }, ...more });
const bare = (c) => ({ bgcolor: c.paper, borderpad: 1 }); // a note that no line strikes through

// Rows of estimates with intervals: marks are {row, x, ci, color, symbol, open, shift, arm, hover}.
function estimates(c, names, marks, xaxis, more = {}) {
  const y = (mark) => names.length - 1 - mark.row + (mark.shift || 0);
  const traces = marks.filter((m) => m.x !== null && m.x !== undefined).map((m) => ({
    type: "scatter", mode: "markers", cliponaxis: false, x: [m.x], y: [y(m)], customdata: [m.arm || ""],
    marker: { size: m.size || 10, symbol: m.symbol + (m.open ? "-open" : ""), color: m.color, line: { width: m.open ? 1.6 : 0, color: m.color } },
    error_x: m.ci ? { type: "data", symmetric: false, array: [m.ci[1] - m.x], arrayminus: [m.x - m.ci[0]], color: m.faint ? m.color + "66" : m.color, thickness: m.thin || (m.open ? 1 : 2), width: 0 } : undefined,
    hovertemplate: m.hover + "<extra></extra>",
  }));
  const shown = names.map((n) => (narrow() ? twoLines(n, 17) : label(n)));
  const rowHeight = shown.some((n) => n.includes("<br>")) ? Math.max(36, more.rowHeight || 0) : more.rowHeight || 34;
  return {
    traces,
    layout: base(c, (xaxis.title ? 74 : 58) + rowHeight * names.length, {
      xaxis: axis(c, xaxis),
      yaxis: axis(c, { tickvals: names.map((_, i) => names.length - 1 - i), ticktext: shown,
        range: [-0.6, names.length - 0.4], showgrid: false, automargin: true, ticklen: 0, tickfont: { color: c.ink, size: 13 } }),
      shapes: more.shapes || [], annotations: more.annotations || [],
    }),
  };
}

const draw = {};

draw.arms = (run, c) => {
  const arms = run.arms.filter((a) => a.main && (a.kind !== "both" || !run.tug)).slice(0, 60);
  const marks = arms.flatMap((arm, row) => [
    { row, arm: arm.name, x: percent(arm.rate_all), ci: arm.rate_all_ci && arm.rate_all_ci.map(percent), ...look(arm, c), shift: 0.13,
      hover: `${label(arm.name)}<br>${fixed(percent(arm.rate_all))} % of all${span(arm.rate_all_ci && arm.rate_all_ci.map(percent))}` },
    { row, arm: arm.name, x: percent(arm.rate_valid), ci: arm.rate_valid_ci && arm.rate_valid_ci.map(percent), ...look(arm, c), open: true, shift: -0.17, size: 8,
      hover: `${label(arm.name)}<br>${fixed(percent(arm.rate_valid))} % of valid${span(arm.rate_valid_ci && arm.rate_valid_ci.map(percent))}` },
  ]);
  const reference = arms.find((a) => a.kind === "baseline");
  const shapes = reference && reference.rate_all !== null ? [across(c, percent(reference.rate_all), { line: { color: c.faint, width: 1, dash: "dot" } })] : [];
  return estimates(c, arms.map((a) => a.name), marks, { range: [-2, 102], ticksuffix: " %" }, { shapes });
};

draw.gaps = (run, c) => {
  const names = Object.keys(run.gaps);
  const arms = byName(run);
  const reference = (run.arms.find((a) => a.kind === "baseline") || {}).name;
  const marks = names.flatMap((name, row) => {
    const gap = run.gaps[name];
    const steered = gap.first === reference ? gap.second : gap.first;
    const style = look(arms[steered] || { kind: "cell" }, c);
    return [
      { row, arm: gap.first, x: gap.points_all, ci: gap.ci_all, ...style, shift: 0.13, hover: `${label(name)}<br>${signed(gap.points_all)} points of all${span(gap.ci_all)}` },
      { row, arm: gap.first, x: gap.points_valid, ci: gap.ci_valid, ...style, open: true, size: 8, shift: -0.17, hover: `${label(name)}<br>${signed(gap.points_valid)} points of valid${span(gap.ci_valid)}` },
    ];
  });
  return estimates(c, names, marks, { title: title(c, "percentage points") }, { shapes: [across(c, 0)] });
};

// Points and interval of a gap, a difference of gaps, or a bare estimate.
const estimateOf = (found) => found.points_all !== undefined ? { x: found.points_all, ci: found.ci_all }
  : found.over_all ? { x: found.over_all.points, ci: found.over_all.ci } : { x: found.points === undefined ? null : found.points, ci: found.ci };

draw.sides = (run, c) => {
  const sides = run.side_by_side;
  const rows = [["suffix", "suffix gap"], ["suffix_tuned", "suffix gap, tuned"], ["suffix_paraphrase_mean_all", "mean of wordings"],
    ["vector", "vector gap"], ["difference", "suffix − vector"], ["difference_up", "… upwards"], ["difference_down", "… downwards"]].filter(([key]) => sides[key]);
  const marks = rows.map(([key, name], row) => {
    const found = estimateOf(sides[key]);
    const style = key.startsWith("difference") ? { color: c.ink, symbol: "square" } : key === "vector" ? { color: c.vector, symbol: "circle" } : { color: c.suffix, symbol: "diamond" };
    return { row, ...found, ...style, size: key.includes("_") ? 9 : 12, hover: `${name}<br>${signed(found.x)} points${span(found.ci)}` };
  });
  const annotations = marks.filter((m) => m.x !== null).map((m) => note(c, signed(m.x), { x: m.x, y: rows.length - 1 - m.row + 0.36, font: { size: 12, color: m.color } }));
  return estimates(c, rows.map((r) => r[1]), marks, { title: title(c, "percentage points") }, { shapes: [across(c, 0)], annotations, rowHeight: 42 });
};

// The scale's colour at t in 0..1 as [r, g, b], and black or white, whichever is read better on it.
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
function shade(scale, t) {
  const above = Math.max(1, scale.findIndex(([at]) => at >= t));
  const [[from, low], [to, high]] = [scale[above - 1], scale[above]];
  return rgb(low).map((part, i) => part + (rgb(high)[i] - part) * (t - from) / (to - from));
}
function inkOn(parts) {
  const linear = parts.map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 ? "#101214" : "#ffffff";
}

// Heat maps: one group of cells (vector, span, operation) at a time.
function heat(c, { x, y, z, text, hover, arms, xtitle, ytitle, scale, range, outlines = [], height }) {
  const fit = x.length <= (narrow() ? 6 : 14);
  const cells = z.flatMap((row, j) => row.map((v, i) => [i, j, v])).filter(([, , v]) => v !== null && v !== undefined);
  const place = (v) => Math.min(1, Math.max(0, (v - range[0]) / (range[1] - range[0])));
  const words = {
    type: "scatter", mode: "text", hoverinfo: "skip", x: cells.map(([i]) => String(x[i])), y: cells.map(([, j]) => String(y[j])),
    text: cells.map(([i, j]) => text[j][i]), textfont: { size: 11, color: cells.map(([, , v]) => inkOn(shade(scale, place(v)))) },
  };
  return {
    traces: [{
      type: "heatmap", x: x.map(String), y: y.map(String), z, customdata: arms, colorscale: scale, zmin: range[0], zmax: range[1], xgap: 2, ygap: 2,
      text, hovertext: hover || text, hoverongaps: false, // %{text} below is hovertext where there is one
      hovertemplate: `${ytitle} %{y}, ${xtitle} %{x}<br>%{text}<extra></extra>`,
      colorbar: { thickness: 7, outlinewidth: 0, len: 0.9, tickfont: { size: 10, color: c.muted }, xpad: 6, nticks: 5 }, showscale: !narrow(),
    }, ...(fit ? [words] : [])],
    layout: base(c, height || 76 + 30 * y.length, {
      xaxis: axis(c, { type: "category", showgrid: false, title: title(c, xtitle), tickangle: 0, automargin: true }),
      yaxis: axis(c, { type: "category", showgrid: false, title: title(c, ytitle), automargin: true }),
      shapes: outlines.map(([column, row]) => ({ type: "rect", x0: column - 0.5, x1: column + 0.5, y0: row - 0.5, y1: row + 0.5, line: { color: c.ink, width: 2.5 }, fillcolor: "rgba(0,0,0,0)" })),
    }),
  };
}
const diverging = (c) => [[0, c.down], [0.5, c.middle], [1, c.up]];
const sequential = (c) => [[0, c.middle], [1, c.depth]];
const groupOf = (cell) => [cell.vector, cell.span, cell.operation].join(" · ");

draw.heat = (run, c, measure, host) => {
  const groups = unique(run.cells.map(groupOf));
  const wanted = chooseGroup(host, groups);
  const cells = run.cells.filter((cell) => groupOf(cell) === wanted);
  const arms = byName(run);
  const value = (cell) => measure === "points" ? cell.points_all : measure === "broken_all" ? percent(arms[cell.arm].broken_all) : arms[cell.arm][measure];
  if (!cells.some((cell) => value(cell) !== null && value(cell) !== undefined)) return null;
  const magnitudes = unique(cells.map((cell) => cell.magnitude)).sort((a, b) => a - b);
  const layers = unique(cells.map((cell) => cell.layer)).sort((a, b) => a - b);
  const at = (layer, magnitude) => cells.find((cell) => cell.layer === layer && cell.magnitude === magnitude);
  const grid = (of) => layers.map((layer) => magnitudes.map((m) => { const cell = at(layer, m); return cell ? of(cell) : null; }));
  const known = cells.map(value).filter((v) => v !== null && v !== undefined);
  const reference = run.arms.find((a) => a.kind === "baseline");
  // The scale reaches at least this far, so that differences too small to matter look small.
  const least = { points: 10, broken_all: 10, drift: 0.1 };
  const start = measure === "fluency" ? (reference && reference.fluency) || Math.min(...known) : 0;
  const most = Math.max(...known.map(Math.abs), measure === "fluency" ? start + 0.5 : least[measure]);
  const shown = (v) => v === null || v === undefined ? "–" : measure === "points" ? signed(Math.round(v)).replace(".0", "") : measure === "broken_all" ? fixed(v, 0) : v >= 10 ? fixed(v, 0) : fixed(v, v >= 1 ? 1 : v >= 0.1 || v === 0 ? 2 : 3);
  const outlines = [];
  layers.forEach((layer, row) => magnitudes.forEach((m, column) => {
    const cell = at(layer, m);
    if (cell && arms[cell.arm] && arms[cell.arm].chosen) outlines.push([column, row]);
  }));
  return heat(c, {
    x: magnitudes.map(dose), y: layers, z: grid(value), text: grid((cell) => shown(value(cell))), arms: grid((cell) => cell.arm),
    xtitle: "magnitude", ytitle: "layer", scale: measure === "points" ? diverging(c) : sequential(c),
    range: measure === "points" ? [-most, most] : [start, most],
    outlines,
  });
};

function chooseGroup(host, groups) {
  if (groups.length === 1) return groups[0];
  let select = host.querySelector("select");
  if (!select) {
    select = document.createElement("select");
    select.setAttribute("aria-label", "vector, span and operation");
    groups.forEach((name) => select.append(new Option(visible(name), name)));
    select.addEventListener("change", () => show(host));
    host.prepend(select);
  }
  return select.value;
}

draw.dose = (run, c, _, host) => {
  const groups = unique(run.cells.map(groupOf));
  const wanted = chooseGroup(host, groups);
  const cells = run.cells.filter((cell) => groupOf(cell) === wanted);
  const arms = byName(run);
  const baseline = run.arms.find((a) => a.kind === "baseline");
  const folds = (run.choice && run.choice.folds) || [];
  const chosen = new Set(folds.map((f) => f.layer).concat(run.cells.filter((cell) => arms[cell.arm].chosen).map((cell) => cell.layer)));
  const layers = unique(cells.map((cell) => cell.layer)).sort((a, b) => a - b);
  const hues = [c.vector, c.both, c.down, c.up];
  const traces = [];
  const annotations = [];
  let hue = 0;
  for (const layer of [...layers.filter((l) => !chosen.has(l)), ...layers.filter((l) => chosen.has(l))]) {
    const strong = chosen.has(layer);
    const color = strong ? hues[hue++ % hues.length] : c.control;
    const row = cells.filter((cell) => cell.layer === layer).map((cell) => ({ m: cell.magnitude, arm: arms[cell.arm] }));
    if (baseline && !row.some((p) => p.m === 0)) row.push({ m: 0, arm: baseline });
    row.sort((a, b) => a.m - b.m);
    const x = row.map((p) => p.m);
    const names = row.map((p) => p.arm.name);
    if (strong) {
      const band = row.filter((p) => p.arm.rate_all_ci);
      traces.push({ type: "scatter", mode: "lines", x: [...band.map((p) => p.m), ...band.map((p) => p.m).reverse()],
        y: [...band.map((p) => percent(p.arm.rate_all_ci[1])), ...band.map((p) => percent(p.arm.rate_all_ci[0])).reverse()],
        fill: "toself", fillcolor: color, opacity: 0.14, line: { width: 0 }, hoverinfo: "skip" });
    }
    const style = { color, width: strong ? 2.6 : 1 };
    const hover = row.map((p) => `layer ${layer}, ${dose(p.m)}<br>${fixed(percent(p.arm.rate_all))} % ${run.words.verb}, ${fixed(percent(p.arm.broken_all))} % nonsense`);
    const common = { type: "scatter", mode: "lines+markers", cliponaxis: false, x, customdata: names, text: hover, hovertemplate: "%{text}<extra></extra>", line: style, marker: { size: strong ? 7 : 4, color }, opacity: strong ? 1 : 0.75 };
    const ring = row.map((p) => (p.arm.chosen ? 2 : 0));
    traces.push({ ...common, y: row.map((p) => percent(p.arm.rate_all)), marker: { color, size: row.map((p) => (p.arm.chosen ? 12 : strong ? 7 : 4)), line: { color: c.ink, width: ring } } });
    traces.push({ ...common, y: row.map((p) => percent(p.arm.broken_all)), yaxis: "y2", marker: { size: strong ? 5 : 3, color }, line: { ...style, width: strong ? 2 : 1 } });
    if (strong && row[row.length - 1].arm.rate_all !== null) annotations.push(note(c, `layer ${layer}`, { x: x[x.length - 1], y: percent(row[row.length - 1].arm.rate_all), xanchor: "left", xshift: 9, font: { color, size: 12 }, ...bare(c) }));
  }
  const lines = plainArms(run).filter((a) => a.rate_all !== null);
  const shapes = lines.map((arm) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: percent(arm.rate_all), y1: percent(arm.rate_all), layer: "below",
    line: { color: look(arm, c).color, width: 1.3, dash: arm.kind === "baseline" ? "dot" : "dash" } }));
  let last = -Infinity; // labels of lines that lie close together are spread out
  for (const arm of [...lines].sort((a, b) => a.rate_all - b.rate_all)) {
    const place = Math.max(percent(arm.rate_all), last + 6.5);
    last = place;
    annotations.push(note(c, label(arm.name, 16), { xref: "paper", x: 0.004, xanchor: "left", y: place, yanchor: "bottom", yshift: 2, font: { size: 11, color: look(arm, c).color }, ...bare(c) }));
  }
  return { traces, layout: base(c, 460, {
    margin: { l: 8, r: 66, t: 12, b: 46, pad: 4 }, shapes, annotations,
    xaxis: axis(c, { title: title(c, "magnitude"), anchor: "y2" }),
    yaxis: axis(c, { domain: [0.3, 1], range: [-4, 112], ticksuffix: " %", title: title(c, run.words.noun), automargin: true, dtick: 25 }),
    yaxis2: axis(c, { domain: [0, 0.2], range: [-0.5, 1.1 * Math.max(10, ...cells.map((cell) => percent(arms[cell.arm].broken_all)))], ticksuffix: " %", title: title(c, "nonsense"), automargin: true, nticks: 3 }),
  }) };
};

// The three gaps of the vector and of each control in its place; the random directions' 95th percentile is shaded.
draw.controls = (run, c) => {
  const controls = run.controls_out_of_fold;
  const kinds = unique(controls.map((k) => k.kind));
  const titles = { "plus-minus": "+ against −", plus: "+ against baseline", minus: "baseline against −" };
  const names = [], marks = [], shapes = [across(c, 0)];
  for (const [gap, name] of Object.entries(titles)) {
    const { points_all, ci_all } = run.choice[gap];
    marks.push({ row: names.length, x: points_all, ci: ci_all, color: c.vector, symbol: "circle", size: 12, hover: `the vector, ${name}<br>${signed(points_all)} points${span(ci_all)}` });
    controls.forEach((one, i) => marks.push({ row: names.length + 1 + kinds.indexOf(one.kind), x: one[gap].points, color: c.base, symbol: "circle", open: true, size: 8,
      shift: ((i % 5) - 2) * 0.08, hover: `${label(one.control)}, ${name}<br>${signed(one[gap].points)} points${span(one[gap].ci)}` }));
    names.push(`vector, ${name}`, ...kinds.map((k) => ({ random: "random directions", label: "shuffled labels", concept: "another concept" })[k] || k));
  }
  const total = names.length;
  Object.keys(titles).forEach((gap, i) => {
    const bound = run.beyond_random[gap].abs_points_95, first = i * (1 + kinds.length);
    if (bound !== null) shapes.push({ type: "rect", y0: total - first - 0.6, y1: total - first - 1.4 - kinds.length, x0: -bound, x1: bound, layer: "below", fillcolor: c.control, opacity: 0.22, line: { width: 0 } });
  });
  return estimates(c, names, marks, { title: title(c, "points") }, { shapes, rowHeight: 30 });
};

// A line with its band: points are {x, y, ci}.
function curve(points, color, dash, name) {
  const known = points.filter((p) => p.y !== null && p.y !== undefined);
  const band = known.filter((p) => p.ci);
  return [
    { type: "scatter", mode: "lines", x: [...band.map((p) => p.x), ...band.map((p) => p.x).reverse()], y: [...band.map((p) => p.ci[1]), ...band.map((p) => p.ci[0]).reverse()],
      fill: "toself", fillcolor: color, opacity: 0.13, line: { width: 0 }, hoverinfo: "skip" },
    { type: "scatter", mode: "lines+markers", cliponaxis: false, x: known.map((p) => p.x), y: known.map((p) => p.y), customdata: known.map((p) => p.arm || ""), line: { color, width: 2.2, dash }, marker: { size: 6 },
      text: known.map((p) => `${label(name)}<br>at ${p.x}: ${signed(p.y)} points${span(p.ci)}`), hovertemplate: "%{text}<extra></extra>" },
  ];
}
// The lines' names at their right ends, pushed apart where the ends are close; curves are [points, colour, name].
function ends(c, ...curves) {
  const known = curves.map(([points, color, name]) => [points.filter((p) => p.y !== null && p.y !== undefined), color, name]).filter(([points]) => points.length);
  const every = known.flatMap(([points]) => points.flatMap((p) => [p.y, ...(p.ci || [])]));
  const room = 0.07 * (Math.max(...every) - Math.min(...every) || 1);
  let last = -Infinity;
  return known.map(([points, color, name]) => ({ end: points[points.length - 1], color, name })).sort((a, b) => a.end.y - b.end.y).map(({ end, color, name }) => {
    last = Math.max(end.y, last + room);
    return note(c, label(name, 18), { x: end.x, y: last, xanchor: "left", xshift: 8, font: { size: 12, color }, ...bare(c) });
  });
}

draw.tug = (run, c, name) => {
  const entry = run.tug[name];
  const points = (part) => entry.curve.map((p) => ({ x: p.size, y: p[part] && p[part].points, ci: p[part] && p[part].ci }));
  const [alone, under] = [points("alone"), points("under_defence")];
  return {
    traces: [...curve(alone, c.vector, "solid", "attack alone"), ...curve(under, c.both, "dash", `under ${entry.defence}`)],
    layout: base(c, 300, {
      margin: { l: 8, r: 92, t: 10, b: 48, pad: 4 }, annotations: ends(c, [alone, c.vector, "alone"], [under, c.both, `under ${entry.defence}`]),
      xaxis: axis(c, { title: title(c, "|magnitude|") }),
      yaxis: axis(c, { title: title(c, "effect, points"), zeroline: true, zerolinecolor: c.faint, zerolinewidth: 1, automargin: true }),
    }),
  };
};

draw.tugarms = (run, c) => {
  const arms = byName(run);
  const few = run.tug.table.length <= 16; // else the doses are in the curves above
  const rows = run.tug.table.filter((r) => few || / by |neutral|random/.test(r.arm)).slice(0, 40);
  if (!rows.length) return null;
  const references = run.arms.filter((a) => ["baseline", "pro", "anti"].includes(a.name));
  const names = [...references.map((a) => a.name), ...rows.map((r) => r.arm)];
  const marks = names.map((name, row) => {
    const arm = arms[name];
    const ci = arm.rate_all_ci && arm.rate_all_ci.map(percent);
    return { row, arm: name, x: percent(arm.rate_all), ci, ...look(arm, c), hover: `${label(name)}<br>${fixed(percent(arm.rate_all))} % of all${span(ci)}` };
  });
  return estimates(c, names, marks, { range: [-2, 102], ticksuffix: " %" }, { rowHeight: names.length > 14 ? 22 : 30 });
};

draw.frontier = (run, c, effect) => {
  const points = run.frontier.filter((p) => p.side_effect === effect && p.value !== null && p.effect_points !== null);
  if (!points.length) return null;
  const arms = byName(run);
  const scale = effect.startsWith("broken") || effect.startsWith("refusal") ? 100 : 1;
  const name = effect.startsWith("broken") ? "nonsense, %" : effect.startsWith("refusal") ? "refusal, %" : effect;
  const height = (p) => p.direction === "down" ? -p.effect_points : p.effect_points;
  const group = (test, marker) => {
    const some = points.filter(test);
    return { type: "scatter", mode: "markers", cliponaxis: false, x: some.map((p) => scale * p.value), y: some.map(height), customdata: some.map((p) => p.arm),
      text: some.map((p) => `${label(p.arm)}<br>${signed(height(p))} points<br>${name} ${fixed(scale * p.value, 2)}`), hovertemplate: "%{text}<extra></extra>", marker };
  };
  const suffix = (p) => (arms[p.arm] || {}).kind === "suffix";
  // From 0 for what counts from 0, and wide enough that a trifle looks like one.
  const values = points.map((p) => scale * p.value);
  const low = effect === "fluency" ? Math.min(...values) : 0;
  const high = Math.max(...values, scale === 100 ? 10 : low + 0.1);
  const room = 0.05 * (high - low);
  return {
    traces: [
      group((p) => !suffix(p) && !p.undominated, { size: 6, color: c.control, opacity: 0.8 }),
      group((p) => !suffix(p) && p.undominated, { size: 9, color: c.vector }),
      group((p) => suffix(p), { size: 11, color: c.suffix, symbol: points.filter(suffix).map((p) => p.undominated ? "diamond" : "diamond-open"), line: { color: c.suffix, width: 1.6 } }),
    ],
    layout: base(c, 300, {
      xaxis: axis(c, { title: title(c, name), range: [low - room, high + room] }),
      yaxis: axis(c, { title: title(c, "points against baseline"), zeroline: true, zerolinecolor: c.faint, zerolinewidth: 1, automargin: true }),
      annotations: points.filter((p) => ["pro", "anti"].includes(p.arm)).map((p) => note(c, label(p.arm, 14), { x: scale * p.value, y: height(p), yshift: height(p) < 0 ? -14 : 14, font: { size: 11, color: c.suffix }, ...bare(c) })),
    }),
  };
};

draw.spill = (run, c, broad) => {
  const rows = Object.entries(run.spillover[broad]).filter(([, found]) => found.narrow_points !== null && found.broad_points !== null);
  if (!rows.length) return null;
  const arms = byName(run);
  const traces = rows.map(([name, found]) => {
    const { color, symbol } = look(arms[name] || {}, c);
    return { type: "scatter", mode: "markers", cliponaxis: false, x: [found.narrow_points], y: [found.broad_points], customdata: [name], marker: { size: 9, color, symbol },
      error_x: { type: "data", symmetric: false, array: [found.narrow_ci[1] - found.narrow_points], arrayminus: [found.narrow_points - found.narrow_ci[0]], color: color + "55", thickness: 1, width: 0 },
      error_y: { type: "data", symmetric: false, array: [found.broad_ci[1] - found.broad_points], arrayminus: [found.broad_points - found.broad_ci[0]], color: color + "55", thickness: 1, width: 0 },
      text: [`${label(name)}<br>narrow ${signed(found.narrow_points)}${span(found.narrow_ci)}<br>broad ${signed(found.broad_points)}${span(found.broad_ci)}`], hovertemplate: "%{text}<extra></extra>" };
  });
  const most = Math.max(...rows.map(([, f]) => Math.max(f.narrow_points, f.broad_points)), 1);
  const least = Math.min(...rows.map(([, f]) => Math.min(f.narrow_points, f.broad_points)), 0);
  const zero = { zeroline: true, zerolinecolor: c.faint, zerolinewidth: 1 };
  return { traces, layout: base(c, 340, {
    shapes: [{ type: "line", x0: least, y0: least, x1: most, y1: most, layer: "below", line: { color: c.faint, width: 1, dash: "dot" } }],
    xaxis: axis(c, { title: title(c, "narrow, points"), ...zero }), yaxis: axis(c, { title: title(c, "broad, points"), automargin: true, ...zero }),
  }) };
};

draw.dial = (run, c, dial) => {
  const rows = run.dials.filter((r) => r.dial === dial);
  const doubling = ["k", "epochs"].includes(dial); // 1, 2, 4, ...: on a logarithmic axis, whose notes stand at log10
  const ticks = unique(rows.map((r) => r.value));
  const colors = [c.vector, c.suffix, c.both, c.down, c.up, c.base];
  const traces = [];
  const named = [];
  unique(rows.map((r) => r.method)).forEach((method, i) => {
    const own = rows.filter((r) => r.method === method);
    unique(own.map((r) => r.broad_set)).forEach((broad, k) => {
      const some = own.filter((r) => r.broad_set === broad).sort((a, b) => a.value - b.value);
      const points = (part) => some.map((r) => ({ x: r.value, y: r[part], ci: r[part.replace("points", "ci")], arm: r.arm }));
      if (k === 0) {
        traces.push(curve(points("narrow_points"), colors[i % 6], "solid", `${method}, narrow`)[1]);
        named.push([points("narrow_points"), colors[i % 6], method]);
      }
      traces.push(curve(points("broad_points"), colors[i % 6], k ? "dot" : "dash", `${method}, ${broad}`)[1]);
    });
  });
  return { traces, layout: base(c, 300, { annotations: ends(c, ...named).map((a) => (doubling ? { ...a, x: Math.log10(a.x) } : a)), margin: { l: 8, r: 92, t: 10, b: 48, pad: 4 },
    xaxis: axis(c, { title: title(c, dial), ...(doubling ? { type: "log", tickvals: ticks, ticktext: ticks.map(String) } : {}) }), yaxis: axis(c, { title: title(c, "points against baseline"), zeroline: true, zerolinecolor: c.faint, automargin: true }) }) };
};

// Across the runs of the page: the same three ways on each model.
draw.models = (_, c) => {
  const rows = page.runs.filter((run) => run.spillover).flatMap((run) => ["trained", "mean-difference", "lora"]
    .filter((arm) => Object.values(run.spillover)[0][arm]).map((arm) => ({ run, arm })));
  const marks = rows.flatMap(({ run, arm }, row) => {
    const style = look(byName(run)[arm], c);
    const broad = Object.entries(run.spillover);
    const narrow = broad[0][1][arm];
    return [
      { row, x: narrow.narrow_points, ci: narrow.narrow_ci, ...style, shift: 0.16, hover: `${label(run.model)}, ${arm}<br>narrow ${signed(narrow.narrow_points)}${span(narrow.narrow_ci)}` },
      ...broad.map(([name, arms], k) => ({ row, x: arms[arm].broad_points, ci: arms[arm].broad_ci, ...style, open: true, size: 8, shift: -0.12 - 0.16 * k,
        hover: `${label(run.model)}, ${arm}<br>${label(name)} ${signed(arms[arm].broad_points)}${span(arms[arm].broad_ci)}` })),
    ];
  });
  return estimates(c, rows.map(({ run, arm }) => `${run.model} · ${arm}`), marks, { title: title(c, "points against baseline") }, { shapes: [across(c, 0)] });
};

draw.transfer = (run, c) => {
  const { from, to, points, ci } = run.transfer;
  const most = Math.max(1, ...points.flat().filter((v) => v !== null).map(Math.abs));
  const rows = from.map((_, i) => from.length - 1 - i);
  return heat(c, { x: to.map((t) => label(t, narrow() ? 7 : 14)), y: rows.map((i) => label(from[i], narrow() ? 10 : 20)), z: rows.map((i) => points[i]), text: rows.map((i) => points[i].map((v) => v === null ? "" : signed(Math.round(v)).replace(".0", ""))),
    hover: rows.map((i) => points[i].map((v, j) => v === null ? "" : `${signed(v)} points${span(ci[i][j])}`)),
    xtitle: "measured on", ytitle: "vector of", scale: diverging(c), range: [-most, most], height: 110 + 38 * from.length });
};

draw.categories = (run, c) => {
  const names = Object.keys(run.categories);
  const all = byName(run);
  const arms = run.arms.filter((a) => (plainArms(run).includes(a) || a.chosen) && names.some((n) => run.categories[n][a.name])).slice(0, 8);
  const step = Math.min(0.16, 0.7 / arms.length);
  const marks = names.flatMap((category, row) => arms.map((arm, i) => {
    const found = run.categories[category][arm.name];
    if (!found) return { x: null };
    const ci = found.rate_all_ci && found.rate_all_ci.map(percent);
    return { row, arm: arm.name, x: percent(found.rate_all), ci, ...look(all[arm.name], c), symbol: symbolOf(arm), open: hollow(arm), size: 10, thin: 1, faint: true, shift: ((arms.length - 1) / 2 - i) * step,
      hover: `${label(category)}<br>${label(arm.name)}: ${fixed(percent(found.rate_all))} %${span(ci)}, n = ${found.n}` };
  }));
  const drawn = estimates(c, names, marks, { range: [-2, 102], ticksuffix: " %" }, { rowHeight: Math.max(40, 15 * arms.length) });
  drawn.traces.push(...arms.map((arm) => ({ type: "scatter", mode: "markers", x: [null], y: [null], name: label(arm.name, 24), showlegend: true, hoverinfo: "skip",
    marker: { size: 9, color: look(arm, c).color, symbol: symbolOf(arm) + (hollow(arm) ? "-open" : ""), line: { width: hollow(arm) ? 1.6 : 0, color: look(arm, c).color } } })));
  drawn.traces.forEach((t) => { if (t.showlegend === undefined) t.showlegend = false; });
  const rows = narrow() ? Math.ceil(arms.length / 2) : 1;
  Object.assign(drawn.layout, { showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12, color: c.muted }, itemclick: false, itemdoubleclick: false }, height: drawn.layout.height + 24 * rows });
  drawn.layout.margin.t = 10 + 24 * rows;
  return drawn;
};
// Up is a filled triangle, down a hollow one: pro against anti without relying on colour.
const downward = (arm) => arm.kind === "suffix" ? /^anti/.test(arm.name) : /-[\d.]+$/.test(arm.name);
const symbolOf = (arm) => arm.kind === "baseline" ? "line-ns" : arm.name.includes("neutral") ? "circle" : downward(arm) ? "triangle-left" : "triangle-right";
const hollow = (arm) => arm.kind === "baseline" || downward(arm) || arm.name.includes("neutral");

// A figure's room is kept before it is drawn, so that nothing moves while one scrolls.
function prepare(figure) {
  const [name, detail] = figure.dataset.figure.split(/:(.*)/s);
  const made = draw[name](page.runs[Number(figure.dataset.run)], palette(), detail, figure);
  figure.hidden = made === null;
  if (made) figure.querySelector(".plot").style.minHeight = `${made.layout.height}px`;
  return made;
}

function show(figure) {
  const made = prepare(figure);
  if (!made) return;
  const host = figure.querySelector(".plot");
  Plotly.react(host, made.traces, made.layout, { displayModeBar: false, responsive: true, showTips: false, doubleClick: false }).then(() => {
    if (host.dataset.live) return;
    host.dataset.live = "1";
    host.on("plotly_click", (event) => {
      const arm = event.points[0].customdata;
      if (arm) openReader(Number(figure.dataset.run), arm);
    });
  });
}

const figures = [...document.querySelectorAll("figure[data-figure]")];
const seen = new Set();
const watcher = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
  watcher.unobserve(e.target);
  seen.add(e.target);
  show(e.target);
}), { rootMargin: "900px 0px" });
figures.forEach((figure) => {
  if (prepare(figure)) watcher.observe(figure);
});
const again = () => figures.forEach((figure) => (seen.has(figure) ? show(figure) : prepare(figure)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
matchMedia("(max-width: 639px)").addEventListener("change", again);
window.addEventListener("beforeprint", () => figures.forEach((figure) => { seen.add(figure); show(figure); }));
