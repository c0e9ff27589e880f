// Small pictures: bytes in base64, drawn in the colours of the page.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Where zero lies, and the ends of the scale. */
function palette() {
  return dark.matches
    ? { zero: [33, 37, 42], positive: [136, 194, 255], negative: [255, 168, 92] }
    : { zero: [240, 238, 233], positive: [20, 76, 140], negative: [186, 78, 6] };
}

function decode(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

const mix = (from, to, share) => from.map((a, i) => a + (to[i] - a) * share);

/** The colour of a byte on a scale. */
function colour(scale, byte, { zero, positive, negative }) {
  if (scale === "grey") return [byte, byte, byte];
  if (scale === "positive") return mix(zero, positive, byte / 255);
  const value = (byte - 128) / 127;
  return mix(zero, value < 0 ? negative : positive, Math.min(1, Math.abs(value)));
}

function paint(canvas) {
  const { width, height, scale, data: text } = canvas.picture;
  const bytes = decode(text);
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const colours = palette();
  for (let i = 0; i < width * height; i++) {
    const rgb = scale === "rgb" ? bytes.subarray(3 * i, 3 * i + 3) : colour(scale, bytes[i], colours);
    image.data.set([...rgb, 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A canvas with a picture; `side` is its longer side on the page in pixels, else the style decides. */
function picture(of, label, side = null) {
  const canvas = el("canvas", { role: "img", "aria-label": label, title: label });
  canvas.picture = of;
  if (side) {
    const factor = side / Math.max(of.width, of.height);
    canvas.style.width = `${of.width * factor}px`;
    canvas.style.height = `${of.height * factor}px`;
  }
  paint(canvas);
  return canvas;
}

/** What the colours mean. */
function scaleBar(least, most, signed) {
  const bytes = Array.from({ length: 65 }, (_, i) => (signed ? 1 + Math.round((i / 64) * 254) : Math.round((i / 64) * 255)));
  const strip = { width: 65, height: 1, scale: signed ? "signed" : "positive", data: btoa(String.fromCharCode(...bytes)) };
  return el("div", { class: "scale" }, el("span", {}, least), picture(strip, "scale of the colours"), el("span", {}, most));
}

dark.addEventListener("change", () => {
  document.querySelectorAll("canvas").forEach((canvas) => canvas.picture && paint(canvas));
  document.dispatchEvent(new Event("colours"));
});
