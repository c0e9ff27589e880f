// Assembles the page, and redraws a section when its data has changed.
"use strict";

if (data.live) data.progress = { status: "connecting", epoch: 1, epochs: 1, done: 0, of: 0 };
const page = document.getElementById("page");

/** The sections of a single run by name, in the page's order. */
const sections = {
  head: () => head(data.runs[0]),
  prompting: () => (data.live && model()?.text ? prompting() : null),
  draw: () => (data.live && model() && !isTable() ? (model().digits ? drawing() : dropping()) : null),
  curves: () => curves(data.runs[0]),
  texts: () => texts(data.runs[0]),
  alignments: () => alignments(data.findings),
  heads: () => heads(data.findings),
  passages: () => passages(data.findings),
  confusion: () => (continues() ? null : results(data.findings)),
  masks: () => masks(data.findings),
  mistakes: () => (data.findings.wrong_texts.length ? wrongTexts(data.findings) : isTable() || byPixel() || data.findings.answers || data.findings.numbers?.length ? null : mistakes(data.findings)),
  embeddings: () => embeddings(data.findings),
  filters: () => (isTable() ? null : filters(data.findings)),
  maps: () => (isTable() ? null : maps(data.findings)),
  timings: () => timings(data.findings),
  layers: () => layers(data.findings),
  device: () => device(data.runs[0]),
  settings: () => settings(data.runs[0]),
};

/** Redraws some sections in place; one that was not there comes before the next that is. */
function refresh(...names) {
  const order = Object.keys(sections);
  for (const name of names) {
    const old = document.getElementById(name);
    const fresh = sections[name]();
    if (!fresh) continue;
    if (old) {
      old.replaceWith(fresh);
      continue;
    }
    const next = order.slice(order.indexOf(name) + 1).map((later) => document.getElementById(later)).find(Boolean);
    page.insertBefore(fresh, next ?? page.querySelector("footer"));
    document.getElementById("contents").replaceWith(contents([...page.children]));
  }
  drawCharts();
}

/** Links to the sections. */
function contents(parts) {
  const link = (part) => el("a", { href: `#${part.id}` }, part.querySelector("h2").textContent);
  return el("nav", { id: "contents", "aria-label": "contents" }, parts.filter((part) => part.matches("section")).map(link));
}

const parts = (data.runs.length > 1 ? comparison(data.runs, data.differences) : Object.values(sections).map((make) => make())).flat().filter(Boolean);
page.replaceChildren(parts[0], contents(parts), ...parts.slice(1), el("footer", {}, `Made by wgrad ${data.version}.`));
drawCharts();
if (data.live) follow();
