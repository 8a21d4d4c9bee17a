"use strict";
// Whoever opens the page without looking at it (a test) reads here whether it was drawn.
addEventListener("error", event => { document.documentElement.dataset.error = event.message; });

const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const share = (part, whole) => whole > 0 ? part / whole : 0;

/** Texts of the run go in as texts only, never as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const fixed = number => number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2);

/** Seconds as people read them. */
function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return "0";
  const sign = seconds < 0 ? "\u2212" : "";
  if (size >= 0.9995) return `${sign}${fixed(size)} s`;
  if (size >= 0.9995e-3) return `${sign}${fixed(size * 1e3)} ms`;
  return `${sign}${fixed(size * 1e6)} \u00b5s`;
}

const percent = part => `${(part * 100).toFixed(part > 0 && part < 0.0995 ? 2 : 1)} %`;
const grouped = number => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");

function bytes(count) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (count >= size) return `${fixed(count / size)} ${unit}`;
  }
  return `${count} B`;
}

// The word under the pointer.
const tip = byId("tip");
function explain(target, text) {
  target.addEventListener("pointermove", event => {
    tip.textContent = typeof text === "function" ? text(event) : text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
  });
  target.addEventListener("pointerleave", () => { tip.hidden = true; });
}

function fill(table, heads, rows) {
  const head = element("tr");
  for (const [name, kind] of heads) head.append(element("th", { class: kind }, name));
  const body = rows.map(cells => {
    const row = element("tr");
    cells.forEach((cell, index) => {
      const made = element("td", { class: heads[index][1] }, cell);
      if (heads[index][1].includes("name") && typeof cell === "string") made.title = cell;
      row.append(made);
    });
    return row;
  });
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
}

/** Parts of a whole beside each other, in a cell of a table. */
function bar(parts, whole) {
  const svg = shape("svg", { viewBox: "0 0 220 14", preserveAspectRatio: "none", role: "img" });
  svg.append(shape("rect", { x: 0, y: 1, width: 220, height: 12, fill: "var(--line)", opacity: 0.5 }));
  let from = 0;
  for (const part of parts) {
    const width = share(part.seconds, whole) * 220;
    if (width > 0) svg.append(shape("rect", { x: from, y: 1, width, height: 12, fill: `var(--${part.colour})`, class: "part" }));
    from += width;
  }
  svg.setAttribute("aria-label", spoken(parts));
  explain(svg, spoken(parts));
  return svg;
}

const spoken = parts => parts.filter(part => part.seconds > 0).map(part => `${part.name}: ${duration(part.seconds)}`).join("\n") || "nothing";

/** Exposed time by cause as the parts of a bar. */
const causes = exposed => data.causes.map((cause, index) => ({ name: cause.name, colour: cause.key, seconds: exposed[index] }));

function legend(target, entries) {
  target.replaceChildren(...entries.map(([name, colour, kind = "", opacity = 1, explanation = ""]) => {
    const made = element("span", {}, element("i", { class: kind, style: `background: var(--${colour}); opacity: ${opacity}` }), name);
    if (explanation) explain(made, explanation);
    return made;
  }));
}

/** Round numbers from 0 or `from` to `to`, about `count` of them. */
function ticks(from, to, count) {
  const rough = (to - from) / count;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
  const found = [];
  for (let tick = Math.ceil(from / step - 1e-9) * step; tick <= to + step * 1e-6; tick += step) found.push(Math.abs(tick) < step * 1e-6 ? 0 : tick);
  return found;
}

/** Title, facts and what a reader must know first. */
function drawHead(title, facts, note) {
  byId("title").textContent = title;
  byId("title").title = title;
  byId("facts").append(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", { title: value }, value))));
  byId("note").textContent = note ?? "";
  byId("note").hidden = !note;
  byId("footer").textContent = data.footer;
}

/** Key figures: a name, a value, and what more there is to say. */
function drawTiles(tiles) {
  byId("figures").replaceChildren(...tiles.map(([name, value, more]) => element(
    "div", { class: "tile" }, element("div", { class: "name" }, name), element("div", { class: "value" }, value), element("div", { class: "more" }, more))));
}

/** Draws a page, and again when it has become wider or narrower. */
function keepDrawn(draw) {
  draw();
  let drawnWidth = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== drawnWidth) { drawnWidth = innerWidth; draw(); } });
  document.documentElement.dataset.drawn = "yes";
}
