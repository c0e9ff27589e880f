// Texts from inside: the loss of each token as shading, and embeddings along their principal components.
"use strict";

/** Characters that leave no mark, as signs. */
const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };
const visible = (name) => [...name].map((c) => SIGNS[c] ?? c).join("");

/** The loss of an even guess among all tokens, from where on the shading grows no darker. */
const evenGuess = () => Math.log(Math.max(2, data.findings.classes.length));

/** What is said of a token: its loss, and the most likely tokens in its place. */
function tokenFacts({ name, loss, likely }) {
  const one = ([other, p]) => [el("b", {}, visible(other)), ` ${percent(p)}`];
  const list = likely.flatMap((entry, at) => [at ? ", " : "", ...one(entry)]);
  if (loss === null) return [el("b", {}, visible(name) || "unknown"), ": nothing is predicted here"];
  return [el("b", {}, visible(name)), `: loss ${fixed(loss, 3)}, probability ${percent(Math.exp(-loss))}; most likely: `, ...list];
}

/** A passage whose tokens are shaded by their losses; the pointer, a finger or the arrow keys choose one. */
function shaded({ tokens, source }, place) {
  const hint = place === 0 ? "Point at a token, or use the arrow keys, to see its loss and the most likely tokens." : "";
  const told = el("p", { class: "small told", "aria-live": "polite" }, hint);
  const shown = ({ name, text, loss }, at) => {
    const signed = text === "" ? (name.startsWith("<") ? ` ${name}` : "·") : text.replace(/[\n\r\t]/g, (c) => (c === "\n" ? "↵\n" : SIGNS[c]));
    return el("span", { "data-at": at, style: loss === null ? null : `--loss:${Math.min(1, loss / evenGuess()).toFixed(3)}` }, signed);
  };
  const passage = el("div", { class: "passage", tabindex: "0", role: "group", "aria-label": "a passage, each token shaded by its loss" }, tokens.map(shown));
  let chosen = null;
  const choose = (at) => {
    if (chosen !== null) passage.children[chosen].classList.remove("chosen");
    chosen = at;
    if (at !== null) passage.children[at].classList.add("chosen");
    told.replaceChildren(...(at === null ? [hint] : tokenFacts(tokens[at])));
  };
  const point = (event) => {
    const at = event.target.dataset?.at;
    if (at !== undefined) choose(Number(at));
  };
  passage.addEventListener("pointermove", point);
  passage.addEventListener("pointerdown", point);
  passage.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && choose(null));
  passage.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(tokens.length - 1, chosen === null ? 0 : chosen + step)));
  });
  return el("figure", { class: "shaded" }, source === undefined ? null : el("figcaption", { class: "small soft" }, source), passage, told);
}

/** Passages of the test set. */
function passages({ passages: found, missing }) {
  if (missing.passages) return section("passages", "Loss of each token", missing.passages);
  if (!found?.length) return null;
  const count = found.reduce((all, { tokens }) => all + tokens.filter(({ loss }) => loss !== null).length, 0);
  const mean = found.reduce((all, { tokens, loss }) => all + loss * tokens.filter((token) => token.loss !== null).length, 0) / Math.max(1, count);
  const what = found[0].source !== undefined ? `The first ${grouped(found.length)} translations of the ${measured()} set, each token given the source (above it) and the tokens before it.`
    : found.length > 1 ? `The first ${grouped(found.length)} texts of the ${measured()} set, each token given those before it.`
    : `The beginning of the ${measured()} set, each token given those before it.`;
  const legend = el("div", { class: "scale" }, "loss 0, certain", el("i", { class: "shades" }), `${fixed(evenGuess(), 2)} and more, an even guess among ${grouped(data.findings.classes.length)} tokens`);
  return section("passages", "Loss of each token",
    `${what} The stronger the colour, the larger the loss. Mean of these ${grouped(count)} tokens: loss ${fixed(mean, 4)}, perplexity ${short(Math.exp(mean))}.`,
    legend, el("div", { class: found.length > 1 ? "texts" : null }, found.map(shaded)));
}

/** Kinds of tokens that are told apart by colour, where an embedding has several. */
const LETTERS = [["lower case", /^[^\p{L}]*\p{Ll}/u, 0], ["upper case", /^[^\p{L}]*\p{Lu}/u, 1], ["other letters", /\p{L}/u, 3], ["digits", /\p{N}/u, 2], ["others", /^/u, 7]];
const kindOf = (name) => LETTERS.findIndex(([, pattern]) => pattern.test(name));

/** Points with their names, as many as there is room for; the others are dots that show their names under the pointer. */
function scatter(plot, { points, layer }) {
  const [width, height, edge] = [plot.clientWidth, plot.clientHeight, 22];
  if (!width) return;
  const ends = [0, 1].map((axis) => [Math.min(...points.map(([, place]) => place[axis])), Math.max(...points.map(([, place]) => place[axis]))]);
  // One scale for both axes: distances are those of the projection.
  const unit = Math.min(...[width, height].map((size, axis) => (size - 2 * edge) / Math.max(1e-9, ends[axis][1] - ends[axis][0])));
  const middle = ends.map(([from, to]) => (from + to) / 2);
  const at = ([x, y]) => [width / 2 + (x - middle[0]) * unit, height / 2 - (y - middle[1]) * unit];
  const taken = [];
  const marks = points.map(([name, place, count]) => {
    const [x, y] = at(place);
    const [text, colour] = [visible(name), `fill:var(--c${LETTERS[kindOf(name)][2]})`];
    const half = text.length * 3.7 + 2;
    const box = [x - half, y - 7, x + half, y + 7];
    const free = box[0] > 0 && box[2] < width && taken.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
    if (free) taken.push(box);
    const mark = free ? svg("text", { x, y: y + 4, "text-anchor": "middle", style: colour }, text) : svg("circle", { cx: x, cy: y, r: 2.5, style: colour, opacity: 0.55 });
    mark.append(svg("title", {}, `${text}, ${grouped(count)} times in the training text`));
    return mark;
  });
  // Dots lie below the names.
  marks.sort((a, b) => (a.tagName === "text") - (b.tagName === "text"));
  plot.replaceChildren(svg("svg", { role: "img", "aria-label": `tokens of ${layer} along two principal components` }, marks));
}

/** Each embedding, along the two directions in which its rows differ most. */
function embeddings({ embeddings: found, missing }) {
  if (missing.embeddings) return section("embeddings", "Embeddings", missing.embeddings);
  if (!found?.length) return null;
  const one = (embedding, at) => {
    const { layer, size, compared, tokens, shares, points } = embedding;
    const plot = el("div", { class: "plot scatter" });
    const kinds = [...new Set(points.map(([name]) => kindOf(name)))].sort();
    const key = (kind) => el("span", { class: "key" }, el("i", { style: `background:var(--c${LETTERS[kind][2]})` }), LETTERS[kind][0]);
    const some = `${grouped(points.length)} tokens${points.length < compared ? ` of ${grouped(compared)} compared` : ""}, the commonest of the training text`;
    const figure = el("figure", { id: `embedding-${at}` }, el("h3", {}, layer),
      el("p", { class: "small soft" }, `${some} (${grouped(tokens)} in the vocabulary), ${grouped(size)} numbers each. Share of the variance: ${percent(shares[0])} from left to right, ${percent(shares[1])} from bottom to top.`),
      kinds.length > 1 ? el("div", { class: "legend" }, kinds.map(key)) : null, plot);
    charts.add({ figure, xLabel: null, toX: null, draw: () => scatter(plot, embedding) });
    if (resized) resized.observe(plot);
    return figure;
  };
  return section("embeddings", "Embeddings",
    "The rows of the embedding along their first two principal components. Tokens that are near each other here may still differ along the other components. A dot is a token whose name has no room: point at it.",
    el("div", { class: found.length > 1 ? "charts" : null }, found.map(one)));
}
