// Elements and numbers: what all other scripts of the page build on.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes and children; text is always text, never markup. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const nothing = "–";
const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
const fixed = (x, digits) => (isNumber(x) ? x.toFixed(digits).replace("-", "−") : nothing);
const percent = (x, digits = 1) => (isNumber(x) ? `${fixed(x * 100, digits)} %` : nothing);
const grouped = (x) => (isNumber(x) ? Math.round(x).toLocaleString("en-GB") : nothing);
const sizes = (shape) => shape.join(" × ");

/** A number in four significant digits, without an exponent where it can be read. */
function short(x) {
  if (!isNumber(x)) return nothing;
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return x.toExponential(2).replace("-", "−");
  return fixed(x, size >= 100 ? 1 : size >= 1 ? 3 : 4);
}

/** Seconds as a person says them. */
function duration(seconds) {
  if (!isNumber(seconds)) return nothing;
  if (seconds < 59.5) return `${fixed(seconds, seconds < 1 ? 2 : seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

/** A date of RFC 3339 at the reader's place. */
function when(date) {
  const time = new Date(date);
  return Number.isNaN(time.getTime()) ? date : time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** A table from a head and rows; columns named in `text` are set to the left, those in `roomy` left out on a phone. */
function table(head, rows, text = [0], foot = null, roomy = []) {
  const kind = (at) => [text.includes(at) ? "text" : "", roomy.includes(at) ? "roomy" : ""].join(" ").trim() || null;
  const cell = (tag) => (value, at) => el(tag, { class: kind(at) }, value ?? nothing);
  const row = (cells) => el("tr", {}, cells.map(cell("td")));
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, head.map(cell("th")))),
    el("tbody", {}, rows.map(row)),
    foot ? el("tfoot", {}, row(foot)) : null));
}

/** A bar that is filled to a share. */
const bar = (share, kind = "") => el("span", { class: `bar ${kind}`, "aria-hidden": "true" },
  el("i", { style: `width:${Math.max(0, Math.min(1, share || 0)) * 100}%` }));

/** Classes with their probabilities; `top` is set off, and `kind` says how the bar of a class is coloured. */
function odds(guesses, classes, top, kind = () => "") {
  const row = ([at, p]) => {
    const mark = at === top ? "top" : null;
    return [el("span", { class: mark, title: classes[at] }, classes[at] ?? String(at)), bar(p, kind(at)), el("span", { class: mark }, percent(p))];
  };
  const long = guesses.some(([at]) => (classes[at] ?? "").length > 9);
  return el("div", { class: long ? "odds long" : "odds" }, guesses.flatMap(row));
}

/** Whether expanded parts stay expanded when their section is redrawn. */
const unfolded = new Set();
function fold(title, ...children) {
  const details = el("details", { open: unfolded.has(title) ? "" : null }, el("summary", {}, title), children);
  details.addEventListener("toggle", () => (details.open ? unfolded.add(title) : unfolded.delete(title)));
  return details;
}

/** The same with children that are made when it is first opened. */
function lazily(title, make, ...beside) {
  const details = el("details", { open: unfolded.has(title) ? "" : null }, el("summary", {}, title, beside));
  const open = () => {
    if (details.open && details.children.length === 1) details.append(...[make()].flat());
    details.open ? unfolded.add(title) : unfolded.delete(title);
  };
  details.addEventListener("toggle", open);
  if (details.open) open();
  return details;
}

/** A name that is cut where there is no room; the whole of it shows under the pointer. */
const named = (name, kind = "name") => el("span", { class: kind, title: name }, name);

/** A section with a heading and a sentence; without content, the reason why there is none. */
function section(id, title, lead, ...children) {
  return el("section", { id }, el("h2", {}, title), lead ? el("p", { class: "lead" }, lead) : null, children);
}
