// Line charts: axes, ticks, legend with the last values, and under the pointer the values of all charts of one axis.
"use strict";

const charts = new Set();
/** Where the pointer is, by the label of the axis: charts over epochs show the same epoch. */
const hovered = new Map();

/** Round numbers between two ends, about `count` of them. */
function ticks(from, to, count) {
  const raw = (to - from) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) ?? raw;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

/** The ends of an axis around values, with some air. */
function range(values, least) {
  let from = Math.min(...values);
  let to = Math.max(...values);
  if (!(to > from)) [from, to] = [from - Math.abs(from || 1) * 0.1, to + Math.abs(to || 1) * 0.1];
  const air = (to - from) * 0.06;
  return [Math.max(least, from - air), to + air];
}

/** The values that set the y axis: all of them, but that faint ones reach no higher than three times what the others span. */
function spanned(seen, firm) {
  const ys = (lines) => lines.flatMap((line) => line.points.map((p) => p[1]));
  const main = ys(firm);
  if (main.length < 2 || !(Math.max(...main) > Math.min(...main))) return ys(seen);
  const [from, to] = [Math.min(...main), Math.max(...main)];
  const [least, most] = [from - 2 * (to - from), to + 2 * (to - from)];
  return [...main, ...ys(seen).map((y) => Math.min(most, Math.max(least, y)))];
}

/**
 * A chart. `series` are {name, colour, points: [[x, y], …], faint, dots}; points of dots are not joined. `mark` is a place on
 * the x axis with a label, {x, label}.
 */
function chart({ id, title, series, xLabel, mark = null }) {
  const legend = el("div", { class: "legend" });
  const plot = el("div", { class: "plot" });
  const figure = el("figure", { id }, el("h3", {}, title), legend, plot);
  const lines = series.map((s) => ({ ...s, points: s.points.filter(([x, y]) => isNumber(x) && isNumber(y)) }));
  const me = { figure, xLabel, toX: null };
  me.draw = () => (me.toX = draw(plot, legend, lines, { id, title, xLabel, mark }));
  charts.add(me);
  const redraw = () => charts.forEach((one) => one.xLabel === xLabel && one.figure.isConnected && one.draw());
  const point = (event) => {
    if (!me.toX) return;
    hovered.set(xLabel, me.toX(event.clientX - plot.getBoundingClientRect().left));
    redraw();
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", () => (hovered.delete(xLabel), redraw()));
  if (resized) resized.observe(plot);
  return figure;
}

const resized = "ResizeObserver" in window ? new ResizeObserver(() => drawCharts()) : null;

/** Draws all charts that are on the page, at the width that they have there. */
function drawCharts() {
  for (const one of charts) one.figure.isConnected ? one.draw() : charts.delete(one);
}

/** The value nearest to x. */
function nearest(points, x) {
  let best = null;
  for (const point of points) if (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  return best;
}

/** Draws a chart; returns how a place of the pointer becomes a value of the x axis. */
function draw(plot, legend, lines, { id, title, xLabel, mark }) {
  const [width, height] = [plot.clientWidth, plot.clientHeight];
  const seen = lines.filter((line) => line.points.length > 0);
  if (!width || seen.length === 0) {
    plot.replaceChildren(el("p", { class: "soft small" }, "Nothing has been measured yet."));
    return null;
  }
  const firm = seen.filter((line) => !line.faint);
  const xs = seen.flatMap((line) => line.points.map((p) => p[0]));
  let [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const single = x1 - x0 < 1e-9 ? x0 : null;
  if (single !== null) [x0, x1] = [x0 - 0.5, x1 + 0.5];
  const ys = spanned(seen, firm);
  const [y0, y1] = range(ys, Math.min(...ys) >= 0 ? 0 : -Infinity);
  const yTicks = ticks(y0, y1, 5);
  const digits = yTicks.length > 1 ? Math.max(0, -Math.floor(Math.log10(yTicks[1] - yTicks[0]) + 1e-9)) : 3;
  const labels = yTicks.map((y) => (digits > 6 ? short(y) : fixed(y, digits)));
  const box = { left: 10 + 7 * Math.max(...labels.map((label) => label.length)), right: width - 8, top: 16, bottom: height - 40 };
  const X = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
  const Y = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);

  const clip = `clip-${id}`;
  const picture = svg("svg", { role: "img", "aria-label": `${title}, from ${short(x0)} to ${short(x1)} ${xLabel}` },
    svg("clipPath", { id: clip }, svg("rect", { x: box.left - 4, y: box.top - 4, width: box.right - box.left + 8, height: box.bottom - box.top + 6 })));
  yTicks.forEach((y, i) => picture.append(
    svg("line", { class: "grid", x1: box.left, x2: box.right, y1: Y(y), y2: Y(y) }),
    svg("text", { x: box.left - 8, y: Y(y) + 4, "text-anchor": "end" }, labels[i])));
  const whole = x1 - x0 >= 3 || xs.every(Number.isInteger);
  const xTicks = single !== null ? [single] : ticks(x0, x1, Math.max(2, Math.min(10, Math.floor((box.right - box.left) / 60))));
  for (const x of xTicks) {
    if (whole && x !== Math.round(x)) continue;
    picture.append(
      svg("line", { class: "axis", x1: X(x), x2: X(x), y1: box.bottom, y2: box.bottom + 4 }),
      svg("text", { x: X(x), y: box.bottom + 18, "text-anchor": "middle" }, whole ? fixed(x, 0) : String(+x.toFixed(3))));
  }
  picture.append(
    svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    svg("text", { x: box.right, y: box.bottom + 35, "text-anchor": "end" }, xLabel));
  if (mark && mark.x >= x0 && mark.x <= x1) {
    // The label stands where there is room for it.
    const end = X(mark.x) > (box.left + box.right) / 2;
    picture.append(
      svg("line", { class: "mark", x1: X(mark.x), x2: X(mark.x), y1: box.top - 6, y2: box.bottom }),
      svg("text", { class: "mark", x: X(mark.x) + (end ? -5 : 5), y: box.top - 3, "text-anchor": end ? "end" : "start" }, mark.label));
  }
  for (const line of [...seen].sort((a, b) => !!b.faint - !!a.faint)) {
    const path = line.points.map(([x, y], i) => `${i ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
    const dot = ([x, y], r, more = {}) => svg("circle", { cx: X(x), cy: Y(y), r, style: `fill:${line.colour}`, "clip-path": `url(#${clip})`, ...more });
    if (line.dots) {
      line.points.forEach((p) => picture.append(dot(p, 2, { opacity: 0.55 })));
      continue;
    }
    picture.append(svg("path", { d: path, style: `stroke:${line.colour}`, class: line.faint && firm.length ? "faint" : null, "stroke-dasharray": line.dash, "clip-path": `url(#${clip})` }));
    if (line.faint) continue;
    if (line.points.length <= 30) line.points.forEach((p) => picture.append(dot(p, 2.5)));
    const best = mark && line.best ? line.points.find(([x]) => x === mark.x) : null;
    if (best) picture.append(dot(best, 4.5, { class: "best" }));
  }

  let at = null;
  if (hovered.has(xLabel)) {
    at = nearest(firm.length ? firm.flatMap((line) => line.points) : seen[0].points, hovered.get(xLabel))[0];
    picture.append(svg("line", { class: "hair", x1: X(at), x2: X(at), y1: box.top, y2: box.bottom }));
  }
  legend.replaceChildren(...seen.map((line) => {
    const point = at === null ? line.points[line.points.length - 1] : nearest(line.points, at);
    const there = at === null || Math.abs(point[0] - at) < 0.5;
    // A cloud of points has no last value.
    const value = line.dots || lines.some((other) => other.dots) ? null : el("b", {}, there ? short(point[1]) : nothing);
    return el("span", {}, swatch(line), line.name, value);
  }), at === null ? "" : el("span", {}, `at ${String(+at.toFixed(2))}`));
  plot.replaceChildren(picture);
  return (place) => x0 + ((place - box.left) / (box.right - box.left)) * (x1 - x0);
}

function swatch({ colour, dash, faint }) {
  return svg("svg", { "aria-hidden": "true", viewBox: "0 0 18 10" },
    svg("line", { x1: 0, x2: 18, y1: 5, y2: 5, "stroke-width": faint ? 1 : 2.5, "stroke-dasharray": dash, opacity: faint ? 0.6 : 1, style: `stroke:${colour}` }));
}
