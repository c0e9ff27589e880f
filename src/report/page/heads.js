// Attention by head: small maps of all heads, and of a text the one that was chosen, token by token.
"use strict";

/** The weights of a map in thousandths, as `grid` takes them. */
function weightsOf({ width, data: text }) {
  const bytes = decode(text);
  const row = (at) => Array.from(bytes.subarray(at * width, (at + 1) * width), (byte) => (byte / 255) ** 2 * 1000);
  return Array.from({ length: bytes.length / width }, (_, at) => row(at));
}

/** The maps of a layer; a click, Enter or Space on one of a text shows it large. */
function headRow(layer, { read, written, picture: image }, show) {
  const [asks, asked] = [layer.writes ? written : read, layer.reads ? read : written];
  const map = (of, head) => {
    const label = `layer ${layer.number}, head ${head + 1}, up to ${percent(layer.largest[head], 0)}`;
    const small = picture(of, label, image ? 56 : 84);
    if (image) return small;
    const large = () => show(label, { source: asked.map(visible), translation: asks.map(visible), weights: weightsOf(of), texts: [asked.join(""), asks.join("")] });
    const button = el("button", { class: "map", "aria-label": label }, small);
    button.addEventListener("click", large);
    return button;
  };
  const what = !layer.writes ? "" : layer.reads ? ", at the source" : ", at what is written so far";
  return el("div", { class: "layer" }, el("h3", {}, `layer ${layer.number}${what}`), el("div", { class: "tiles" }, layer.maps.map(map)));
}

function heads({ heads: found, missing }) {
  const title = "Attention by head";
  if (missing.heads) return section("heads", title, missing.heads);
  if (!found) return null;
  const large = el("div", { class: "alignments", "aria-live": "polite" });
  const show = (label, of) => large.replaceChildren(el("figure", {}, el("figcaption", { class: "small soft" }, label), grid(of)));
  const what = found.picture ? `How much the patches of the first image of the ${measured()} set look at each, in the mean. Each map has its own scale, from 0 to its largest weight.`
    : `The first tokens of the ${measured()} set: a row for each token that looks, a column for each that it looks at. The shades of these small maps go by the square root of the weight. Choose one to see its tokens.`;
  return section("heads", title, what,
    found.picture ? el("div", { class: "tiles" }, picture(found.picture, "the input", 84)) : null,
    el("div", { class: "between" }, found.layers.map((layer) => headRow(layer, found, show))), large);
}
