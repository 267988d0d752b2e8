// The figures: a Vega-Lite specification each, drawn when it comes near the screen and again when the
// colour scheme or the width class changes. What they show was put into them in Python.
"use strict";
const page = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const phone = matchMedia("(max-width: 639px)");
const figures = [...document.querySelectorAll("figure[data-figure]")];
const drawn = new Map(); // figure: what vega-embed made of it

// Control and direction characters are shown as \uXXXX, never obeyed.
const visible = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, (c) =>
  c === "\n" || c === "\t" ? c : "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
const fixed = (value) => value === null ? "–" : value.toFixed(1);
const unique = (values) => [...new Set(values)];

// What a mark says of itself, beside the pointer and within the window.
const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.hidden = true;
function say(_, event, item, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - width - 8);
  const top = event.clientY + 14 + height < innerHeight ? event.clientY + 14 : event.clientY - height - 10;
  tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
}

async function show(figure, scheme = dark.matches ? "dark" : "light") {
  const { figure: name, run } = figure.dataset;
  const config = page.looks[scheme][phone.matches ? "phone" : "screen"];
  // ast: expressions are walked, not compiled, as the page's policy wants it
  const options = { config, ast: true, actions: false, defaultStyle: false, renderer: "svg", tooltip: say };
  drawn.get(figure)?.finalize();
  const made = await vegaEmbed(figure.querySelector(".plot"), page.figures[`${run}/${name}`], options);
  drawn.set(figure, made);
  made.view.addEventListener("click", (_, item) => {
    if (item?.datum?.arm) openReader(Number(run), item.datum.arm);
  });
}

const watcher = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
  watcher.unobserve(e.target);
  show(e.target);
}), { rootMargin: "900px 0px" });
figures.forEach((figure) => watcher.observe(figure));
const again = () => [...drawn.keys()].forEach((figure) => show(figure));
dark.addEventListener("change", again);
phone.addEventListener("change", again);
addEventListener("beforeprint", () => figures.forEach((figure) => {
  watcher.unobserve(figure);
  show(figure, "light"); // as the style sheet has it on paper
}));
addEventListener("afterprint", again);
