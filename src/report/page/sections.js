// The sections on the test set: the confusion matrix, the most frequent confusions, given numbers, and the most confident mistakes.
"use strict";

/** The most classes whose matrix is a table; with more it is a picture. */
const TABLE_CLASSES = 24;
/** Whether the matrix shows shares of its rows. */
let asShares = false;

/** The confusions, the most frequent first. */
function confusions(counts) {
  const all = counts.flatMap((row, label) => row.map((count, answer) => ({ label, answer, count, of: row.reduce((a, b) => a + b, 0) })));
  return all.filter((one) => one.label !== one.answer && one.count > 0).sort((a, b) => b.count - a.count);
}

/** The most frequent confusions as a list, such as "7 → 2 (14×)". */
function frequent(counts, classes) {
  const all = confusions(counts);
  if (all.length === 0) return null;
  const item = ({ label, answer, count, of }) => el("li", {},
    named(classes[label]), " → ", named(classes[answer]), el("span", { class: "soft" }, ` (${grouped(count)}×, ${percent(count / of, 0)})`));
  const more = all.length > 12 ? el("p", { class: "small soft" }, `and ${grouped(all.length - 12)} more pairs`) : null;
  return el("div", {}, el("h3", {}, "Most frequent confusions"),
    el("p", { class: "small soft" }, `true class → predicted class (number of ${counted()} in the ${measured()} set, per cent of the true class)`),
    el("ol", { class: "confusions" }, all.slice(0, 12).map(item)), more);
}

/** A picture of the confusion matrix of many classes; the values of the cell under the pointer are shown below it. */
function heat(counts, classes) {
  const most = Math.max(1, ...confusions(counts).slice(0, 1).map((one) => one.count));
  const bytes = counts.flatMap((row, label) => row.map((count, answer) => {
    const share = label === answer ? count / Math.max(1, ...row) : Math.sqrt(count / most);
    return Math.round(128 + (label === answer ? 1 : -1) * 127 * share);
  }));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const canvas = picture({ width: classes.length, height: classes.length, scale: "signed", data: btoa(text) }, "confusion matrix");
  canvas.classList.add("heat");
  canvas.removeAttribute("title");
  const hint = "Point at a cell to see its values.";
  const told = el("p", { class: "small told" }, hint);
  const tell = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (at, size) => Math.min(classes.length - 1, Math.max(0, Math.floor((at / size) * classes.length)));
    const [answer, label] = [place(event.clientX - box.left, box.width), place(event.clientY - box.top, box.height)];
    const of = counts[label].reduce((a, b) => a + b, 0);
    told.replaceChildren(el("b", {}, classes[label]), " → ", el("b", {}, classes[answer]), ` ${grouped(counts[label][answer])} of ${grouped(of)}${of ? `, ${percent(counts[label][answer] / of)}` : ""}`);
  };
  canvas.addEventListener("pointermove", tell);
  canvas.addEventListener("pointerdown", tell);
  canvas.addEventListener("pointerleave", () => told.replaceChildren(hint));
  return el("div", {}, el("p", { class: "small soft" }, "Rows: true class, columns: predicted class. Blue is correct, orange is wrong."), canvas, told);
}

/** The confusion matrix as a table, in counts or in shares of each row. */
function matrix(counts, classes) {
  if (classes.length > TABLE_CLASSES) return heat(counts, classes);
  const most = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, answer) => answer !== label)));
  const totals = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const largest = Math.max(...counts.flat());
  const compact = (count) => (count < 1e4 ? String(count) : count < 1e6 ? `${fixed(count / 1e3, 0)}k` : `${fixed(count / 1e6, count < 1e7 ? 1 : 0)}M`);
  const shown = (count, label) => (asShares ? (totals[label] ? fixed((count / totals[label]) * 100, 0) : nothing) : compact(count));
  const cell = (count, label, answer) => {
    const right = label === answer;
    const strength = asShares ? 0.12 + 0.68 * Math.sqrt(count / Math.max(1, totals[label])) : right ? 0.28 : 0.12 + 0.68 * Math.sqrt(count / most);
    return el("td", { class: [right ? "right" : "", count === 0 ? "zero" : ""].join(" ").trim() || null, title: `${classes[label]} → ${classes[answer]}: ${grouped(count)} of ${grouped(totals[label])}` },
      count ? el("i", { style: `opacity:${strength.toFixed(3)}` }) : null, el("span", {}, shown(count, label)));
  };
  const longest = Math.max(...classes.map((name) => name.length));
  const first = Math.min(9, 1.4 + 0.5 * longest);
  const width = Math.max(1.9, 0.9 + 0.5 * (asShares ? 3 : compact(largest).length));
  const kind = ["matrix", longest > 3 ? "long" : ""].join(" ").trim();
  const style = `min-width:${first + width * classes.length}rem;max-width:${first + Math.max(3.4, width) * classes.length}rem`;
  const view = (name, shares) => {
    const button = el("button", { type: "button", "aria-pressed": String(asShares === shares) }, name);
    button.addEventListener("click", () => ((asShares = shares), refresh("confusion")));
    return button;
  };
  return el("div", {},
    el("div", { class: "views" }, view("Counts", false), view("Per cent of the row", true)),
    el("p", { class: "small soft" }, `Rows: true class, columns: predicted class. ${asShares ? "Per cent of the row" : `Number of ${counted()} in the ${measured()} set`}.`),
    el("div", { class: "scroll" }, el("table", { class: kind, style },
      el("colgroup", {}, el("col", { style: `width:${first}rem` }), classes.map(() => el("col"))),
      el("thead", {}, el("tr", {}, el("th"), classes.map((name) => el("th", { scope: "col" }, named(name))))),
      el("tbody", {}, counts.map((row, label) => el("tr", {}, el("th", { scope: "row" }, named(classes[label])), row.map((count, answer) => cell(count, label, answer))))))));
}

/** What the net makes of the test set. */
function results(findings) {
  if (findings.numbers?.length) return numbers(findings.numbers);
  return findings.answers ? answers(findings.answers) : confusion(findings);
}

/** Numbers beside their targets. */
function numbers(found) {
  const one = ({ score, points }, at) => {
    const ends = points.flat();
    const line = [Math.min(...ends), Math.max(...ends)].map((x) => [x, x]);
    return chart({ id: `target-${at}`, title: score.name, xLabel: `true ${score.name}, ${measured()} set`, series: [
      { name: "predicted = true", colour: "var(--soft)", points: line, faint: true },
      { name: "predicted", colour: lineColour(0), points: [...points].sort((a, b) => a[0] - b[0]), dots: true }] });
  };
  const rows = found.map(({ score }) => [score.name, grouped(score.samples), short(score.mae), short(score.rmse), isNumber(score.r2) ? fixed(score.r2, 4) : nothing]);
  return section("confusion", "Predicted and true values",
    `Each point is a sample of the ${measured()} set; x: true value, y: predicted value. Errors are in the units of the target. R² is 1 if every prediction is exact, and 0 if predicting the mean would do as well.`,
    el("div", { class: "charts" }, found.map(one)), table(["target", "test samples", "mean absolute error", "root mean squared error", "R²"], rows));
}

/** Yes-or-no answers, counted. */
function answers(found) {
  const rows = found.answers.map(([name, rate]) => [name, grouped(rate.samples), grouped(rate.predicted), percent(rate.precision), percent(rate.recall), percent(rate.f1)]);
  return section("confusion", "Yes or no",
    `${percent(found.accuracy, 2)} of the answers for ${grouped(found.samples)} samples of the ${measured()} set are correct; for ${percent(found.all_right, 2)} of the samples all answers are. A probability above 0.5 means yes.`,
    el("div", { class: rows.length > 24 ? "tall" : null }, table(["answer", "yes", "answered yes", "precision", "recall", "F1"], rows)));
}

function confusion({ confusion: found, classes, missing }) {
  const title = "Confusion matrix";
  if (!found) return section("confusion", title, missing.confusion ?? later());
  const ious = found.ious;
  const rows = found.rates.map((rate, at) => [named(classes[at]), grouped(rate.samples), percent(rate.precision), percent(rate.recall), percent(rate.f1), ...(ious ? [fixed(ious[at], 4)] : [])]);
  const wrong = found.samples - Math.round(found.accuracy * found.samples);
  return section("confusion", title,
    `${grouped(wrong)} of ${grouped(found.samples)} ${counted()} of the ${measured()} set are misclassified.`,
    el("div", { class: "halves" }, matrix(found.counts, classes), frequent(found.counts, classes)),
    el("h3", { class: "below" }, `Per class, ${measured()} set`),
    el("div", { class: rows.length > 24 ? "tall" : null }, table(["class", counted(), "precision", "recall", "F1", ...(ious ? ["IoU"] : [])], rows, [0], null, ious ? [4] : [])));
}

/** The file of a sample, or its place in the test set. */
const source = (name, index) => (name ? el("span", { class: "file", title: name }, name.split(/[\\/]/).pop()) : `image ${grouped(index)} of the ${measured()} set`);

function mistakes({ mistakes: found, classes, confusion: counts, missing }) {
  const title = "Most confident mistakes";
  if (missing.mistakes) return section("mistakes", title, missing.mistakes);
  if (!counts) return section("mistakes", title, later());
  if (found.length === 0) return section("mistakes", title, `No image of the ${measured()} set is misclassified.`);
  const card = ({ index, name, label, guesses, picture: image, saliency }) => el("div", { class: "mistake" },
    el("div", { class: "pair" }, picture(image, `${name ?? `${measured()} image ${index}`}, ${classes[label]}`), picture(saliency, `gradient of the logit of ${classes[guesses[0][0]]}`)),
    el("p", {}, el("b", {}, classes[label]), " → ", el("b", {}, classes[guesses[0][0]])),
    odds(guesses, classes, guesses[0][0], (at) => (at === label ? "" : at === guesses[0][0] ? "wrong" : "other")),
    el("p", { class: "small soft" }, source(name, index)));
  return section("mistakes", title,
    `Misclassified images of the ${measured()} set, highest confidence first: true class → predicted class, with the most likely classes. Beside each image is its saliency map, the gradient of the predicted class's logit with respect to the input: a brighter pixel raises the logit where it is blue, and lowers it where it is orange.`,
    el("div", { class: "mistakes" }, found.map(card)),
    scaleBar("darker", "brighter", true));
}

/** Texts of the test set that were classified wrongly. */
function wrongTexts({ wrong_texts: found, classes }) {
  if (found.length === 0) return null;
  const card = ({ label, guesses, text }) => el("figure", { class: "text" },
    el("figcaption", {}, el("b", {}, classes[label]), " → ", el("b", {}, classes[guesses[0][0]])),
    el("pre", {}, text),
    odds(guesses, classes, guesses[0][0], (at) => (at === label ? "" : at === guesses[0][0] ? "wrong" : "other")));
  return section("mistakes", "Most confident mistakes",
    `Misclassified texts of the ${measured()} set, as the net reads them, highest confidence first: true class → predicted class, with the most likely classes.`,
    el("div", { class: "texts" }, found.map(card)));
}

/** Whether the net writes texts, of which no confusion matrix is made. */
const continues = () => ["continues", "translates"].includes(model()?.text) || data.runs[0].texts.length > 0;

/** The texts that the net generated after each epoch, the last three expanded. */
function texts(run) {
  if (run.texts.length === 0) return null;
  const translates = run.texts.some(({ source }) => source !== undefined);
  const shown = ({ text, source, reference }) => (source === undefined ? text : `> ${source}\n= ${reference}\n< ${text}`);
  const one = (sample) => el("figure", { class: "text" }, el("figcaption", { class: "small soft" }, `after epoch ${sample.epoch}`), el("pre", {}, shown(sample)));
  const all = [...run.texts].reverse().map(one);
  // Of translations those of the last epoch.
  const first = translates ? run.texts.filter(({ epoch }) => epoch === run.texts[run.texts.length - 1].epoch).length : 3;
  return section("texts", translates ? "Translations after each epoch" : "Texts after each epoch",
    translates ? "The first pairs that the run is validated on: > the source, = the reference, < the most likely translation."
      : "Text that the net generates from the beginning of a line, at temperature 0.8.",
    el("div", { class: "texts" }, all.slice(0, first)),
    all.length > first ? el("details", {}, el("summary", {}, `${all.length - first} earlier ${translates ? "translations" : "texts"}`), el("div", { class: "texts" }, all.slice(first))) : null);
}

const later = () => (data.live ? "This is computed when training has ended." : "This run has no data for it.");
