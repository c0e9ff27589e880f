// Attention: which source token a translating net looks at for each token that it writes.
"use strict";

const CELL = 22;

/** A grid of weights: a column for each source token, a row for each written one. */
function grid({ source, translation, weights, texts }) {
  const widest = (words) => Math.max(...words.map((word) => word.length), 1) * 7.5 + 8;
  const [left, top] = [widest(translation), widest(source)];
  const label = (text, x, y, turned) => svg("text", { x, y, "text-anchor": turned ? "start" : "end", transform: turned ? `rotate(-90 ${x} ${y})` : null }, text);
  const columns = source.map((word, at) => label(word, left + (at + 0.65) * CELL, top - 5, true));
  const rows = translation.map((word, at) => label(word, left - 5, top + (at + 0.65) * CELL, false));
  const cell = (weight, row, column) => svg("rect", { x: left + column * CELL + 1, y: top + row * CELL + 1, width: CELL - 2, height: CELL - 2, class: "weight", "fill-opacity": (0.04 + 0.96 * weight / 1000).toFixed(3) },
    svg("title", {}, `${translation[row]} ← ${source[column]}: ${percent(weight / 1000)}`));
  const cells = weights.flatMap((row, at) => row.map((weight, column) => cell(weight, at, column)));
  const [width, height] = [left + source.length * CELL, top + translation.length * CELL];
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "alignment", "aria-label": `attention of “${texts[1]}” over “${texts[0]}”` }, columns, rows, cells);
}

/** Test pairs with their translations and the weights of the attention. */
function alignments({ alignments: found }) {
  if (!found || found.length === 0) return null;
  const looked = found.some(({ weights }) => weights.length > 0);
  const card = (pair) => el("figure", { class: "text" },
    el("figcaption", {}, el("b", {}, pair.texts[0]), el("br"), el("span", { class: "soft" }, `reference: ${pair.reference}`)),
    pair.weights.length > 0 ? grid(pair) : el("pre", {}, pair.texts[1]));
  return section("alignments", looked ? "Attention" : "Translations",
    looked ? "The first pairs of the test set. Each row is a token that the net writes; the stronger a cell, the more the attention looks at that token of the source."
      : "The first pairs of the test set.",
    el("div", { class: "alignments" }, found.map(card)));
}
