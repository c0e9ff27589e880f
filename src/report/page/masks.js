// Masks: pictures of the test set with their true and their predicted classes beside each other, and the colours of the classes.
"use strict";

/** Class numbers, a byte each in base64, as a canvas in the colours of the classes; 255 beyond the colours is not a class. */
function maskPicture({ width, height }, classes, colours, label) {
  const canvas = el("canvas", { width, height, role: "img", "aria-label": label, title: label });
  const image = new ImageData(width, height);
  const bytes = atob(classes);
  for (let at = 0; at < bytes.length; at += 1) {
    const colour = colours[bytes.charCodeAt(at)] ?? [232, 232, 232];
    image.data.set([...colour, 255], at * 4);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The colours of the classes that are shown, with their names. */
function maskLegend(found, classes) {
  const shown = new Set(found.samples.flatMap((one) => [one.truth, one.predicted].flatMap((mask) => [...atob(mask)].map((letter) => letter.charCodeAt(0)))));
  const entry = (at) => el("li", {}, el("i", { class: "colour", style: `background: rgb(${found.colours[at].join(" ")})` }), named(classes[at] ?? String(at)));
  const all = [...shown].filter((at) => at < found.colours.length).sort((a, b) => a - b).map(entry);
  if ([...shown].some((at) => at >= found.colours.length)) all.push(el("li", {}, el("i", { class: "colour", style: "background: rgb(232 232 232)" }), "no class (ignored)"));
  return el("ul", { class: "mask-legend" }, all);
}

/** Some of the test set: picture, true mask, predicted mask. */
function masks({ masks: found, classes }) {
  if (!found) return byPixel() ? section("masks", "Predicted masks", later()) : null;
  const one = (sample) => {
    const name = sample.name ?? `image ${grouped(sample.index)} of the ${measured()} set`;
    const part = (picture, what) => el("figure", {}, picture, el("figcaption", { class: "small soft" }, what));
    return el("div", { class: "mask-row" },
      part(picture(sample.picture, name), "picture"),
      part(maskPicture(sample, sample.truth, found.colours, `true classes of ${name}`), "true"),
      part(maskPicture(sample, sample.predicted, found.colours, `predicted classes of ${name}`), "predicted"),
      el("p", { class: "small soft" }, source(sample.name, sample.index), `: ${percent(sample.accuracy)} of the pixels are correct`));
  };
  return section("masks", "Predicted masks",
    `The first ${found.samples.length} images of the ${measured()} set: picture, true mask and predicted mask.`,
    maskLegend(found, classes), el("div", { class: "mask-rows" }, found.samples.map(one)));
}
