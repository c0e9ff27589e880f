// The sections on how well a run did: headline figures, curves, what was taken for what, and the surest mistakes.
"use strict";

const lineColour = (n) => `var(--c${n % 8})`;
const lineDash = (n) => (n < 8 ? undefined : n < 16 ? "6 3" : "2 3");
const last = (run) => run.epochs[run.epochs.length - 1] ?? {};
const sum = (run, key) => run.epochs.reduce((total, epoch) => total + (epoch[key] ?? 0), 0);

const figure = (value, what, main = false) => el("div", { class: main ? "main" : null }, el("b", {}, value), el("span", {}, what));

/** The page's title and the figures of the last epoch. */
function head(run) {
  const epoch = last(run);
  const model = run.settings.model ?? "";
  document.title = `${data.live ? "training" : "report"}: ${run.name}`;
  const things = isTable() ? "samples" : "images";
  const numbers = isNumber(epoch.val_loss) && !isNumber(epoch.val_accuracy);
  const apart = validatedApart(run);
  const set = apart ? "validation" : "test";
  const tested = apart ? data.findings.confusion ?? data.findings.answers : null;
  const main = numbers
    ? [figure(isNumber(epoch.val_mae) ? short(epoch.val_mae) : fixed(epoch.val_r2, 4), isNumber(epoch.val_mae) ? `mean absolute error${data.findings.numbers?.length ? ` of ${data.findings.numbers[0].score.name}` : ""}` : "R², mean of the targets", true), isNumber(epoch.val_mae) ? figure(fixed(epoch.val_r2, 4), "R²") : null]
    : [tested ? figure(percent(tested.accuracy, 2), `of the test ${data.findings.answers ? "answers" : things} right`, true) : null,
       figure(percent(epoch.val_accuracy, 2), `of the ${set} ${data.findings.answers ? "answers" : things} right`, !tested)];
  const figures = [
    ...main.filter(Boolean),
    figure(numbers ? short(epoch.val_loss) : fixed(epoch.val_loss, 4), "val_loss"),
    numbers ? null : figure(percent(epoch.accuracy, 2), "accuracy in training"),
    figure(numbers ? short(epoch.loss) : fixed(epoch.loss, 4), "loss in training"),
    figure(epoch.epoch ? `${epoch.epoch} of ${run.settings["train.epochs"] ?? nothing}` : nothing, "epochs"),
    figure(epoch.epoch ? duration(sum(run, "seconds")) : nothing, "of training"),
    figure(grouped(epoch.images_per_second), `${things} per second`),
  ].filter(Boolean);
  return el("header", { id: "head" },
    el("h1", {}, run.name),
    el("p", { class: "soft" }, `${model} on ${run.settings.data ?? nothing} · ${run.device.device?.name ?? nothing}`),
    progressOf(data.progress),
    el("div", { class: "figures" }, figures),
    el("p", { class: "small soft" },
      epoch.epoch ? `All figures are those of the last epoch, ${epoch.epoch}. ` : "No epoch has ended yet. ",
      apart ? "All val_ figures are measured on validation samples, apart from those of training and of the test set."
        : "There is no validation split: all val_ figures are measured on the test set, so a best epoch chosen by val_loss is chosen on test data."));
}

/** Whether epochs were validated on other samples than the test set's. */
const validatedApart = (run) => Boolean(data.findings.validated_apart || run.settings["train.validation_split"]);

/** How far a run is that goes on. */
function progressOf(progress) {
  if (!progress) return null;
  const { status, epoch, epochs, done, of } = progress;
  const words = [status];
  if (data.live && of) words.push(`epoch ${epoch} of ${epochs}`, `step ${grouped(done)} of ${grouped(of)}`);
  if (data.live && isNumber(progress.loss)) words.push(`loss ${short(progress.loss)}`, ...(isNumber(progress.accuracy) ? [`accuracy ${percent(progress.accuracy)}`] : []));
  if (data.live && isNumber(progress.seconds_left)) words.push(`${duration(progress.seconds_left)} left of this epoch`);
  return el("div", { id: "progress" },
    el("progress", { max: Math.max(1, epochs * of), value: data.live ? (epoch - 1) * of + done : Math.max(1, epochs * of), "aria-label": "progress" }),
    el("div", { class: "status" }, words.map((word) => el("span", {}, word))));
}

const column = (run, key) => run.epochs.map((epoch) => [epoch.epoch, epoch[key]]);

/** Loss and accuracy over the epochs. */
function curves(run) {
  const pair = (id, title, key, extra = []) => chart({
    id, title, xLabel: "epochs",
    series: [...extra,
      { name: key, colour: lineColour(0), points: column(run, key) },
      { name: `val_${key}`, colour: lineColour(1), points: column(run, `val_${key}`) }],
  });
  const steps = run.steps.length ? [{ name: "step by step", colour: "var(--soft)", points: run.steps, faint: true }] : [];
  const known = ["epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy", "val_mae", "val_r2", "seconds", "images_per_second"];
  const has = (key) => run.epochs.some((epoch) => isNumber(epoch[key]));
  const keys = known.filter((key) => run.epochs.length === 0 || has(key));
  const numbers = run.epochs.length > 0 && !has("val_accuracy");
  const second = numbers
    ? chart({ id: "r2", title: "R²", xLabel: "epochs", series: [{ name: "val_r2", colour: lineColour(1), points: column(run, "val_r2") }] })
    : pair("accuracy", "Accuracy", "accuracy");
  const cell = (key, x) => (["epoch", "step", "images_per_second"].includes(key) ? grouped(x) : fixed(x, key === "seconds" ? 1 : 4));
  const rows = run.epochs.map((epoch) => keys.map((key) => cell(key, epoch[key])));
  return section("curves", "Curves", `${numbers ? "The loss is that of standardised targets; in training it is the mean" : "Loss and accuracy in training are means"} over an epoch, each batch before its update; val_ is the ${validatedApart(run) ? "validation" : "test"} set after the epoch.`,
    el("div", { class: "charts" }, pair("loss", "Loss", "loss", steps), second),
    rows.length ? fold("Every epoch in numbers", table(keys, rows, [])) : null);
}

/** The classes that were most often taken for each other. */
function mixups(counts, classes) {
  const all = counts.flatMap((row, label) => row.map((count, answer) => ({ label, answer, count })));
  const wrong = all.filter((one) => one.label !== one.answer && one.count > 0).sort((a, b) => b.count - a.count);
  return wrong.slice(0, 6).map((one) => `${classes[one.label]} for ${classes[one.answer]} (${one.count})`);
}

/** The confusion matrix as a table; with many classes as a picture. */
function matrix(counts, classes) {
  const most = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, answer) => answer !== label)));
  if (classes.length > 24) {
    const bytes = counts.flatMap((row, label) => row.map((count, answer) => {
      const share = label === answer ? count / Math.max(1, ...row) : Math.sqrt(count / most);
      return Math.round(128 + (label === answer ? 1 : -1) * 127 * share);
    }));
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    const canvas = picture({ width: classes.length, height: classes.length, scale: "signed", data: btoa(text) }, "confusion matrix");
    canvas.classList.add("heat");
    return el("div", {}, canvas, el("p", { class: "small soft" }, "Rows are what the images are, columns what the net took them for; blue is right, orange wrong."));
  }
  const cell = (count, label, answer) => {
    const right = label === answer;
    const strength = right ? 0.28 : 0.12 + 0.68 * Math.sqrt(count / most);
    return el("td", { class: [right ? "right" : "", count === 0 ? "zero" : ""].join(" ").trim() || null, title: `${classes[label]} taken for ${classes[answer]}: ${count}` },
      count ? el("i", { style: `opacity:${strength.toFixed(3)}` }) : null, el("span", {}, String(count)));
  };
  return el("table", { class: "matrix", style: `max-width:${3 + 3.9 * classes.length}rem` },
    el("caption", { class: "small soft", style: "text-align:left;padding-bottom:0.4rem" }, `Rows: what the ${isTable() ? "sample" : "image"} is. Columns: what the net took it for.`),
    el("thead", {}, el("tr", {}, el("th"), classes.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, counts.map((row, label) => el("tr", {}, el("th", { scope: "row" }, classes[label]), row.map((count, answer) => cell(count, label, answer))))));
}

/** Whether the net reads rows of a table. */
const isTable = () => data.findings.model?.input.length === 1;

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
    return chart({ id: `target-${at}`, title: score.name, xLabel: `true ${score.name}`, series: [
      { name: "given = true", colour: "var(--soft)", points: line, faint: true },
      { name: "given", colour: lineColour(0), points: [...points].sort((a, b) => a[0] - b[0]), dots: true }] });
  };
  const rows = found.map(({ score }) => [score.name, grouped(score.samples), short(score.mae), short(score.rmse), isNumber(score.r2) ? fixed(score.r2, 4) : nothing]);
  return section("confusion", "Given and true numbers",
    "Each point is a test sample: the target to the right, the net's number upwards. Errors are in the target's own units; R² is 1 where every number is right, 0 where the mean of the targets would do as well.",
    el("div", { class: "charts" }, found.map(one)), table(["target", "samples", "mean absolute error", "root mean squared error", "R²"], rows));
}

/** Yes-or-no answers, counted. */
function answers(found) {
  const rows = found.answers.map(([name, rate]) => [name, grouped(rate.samples), grouped(rate.predicted), percent(rate.precision), percent(rate.recall), percent(rate.f1)]);
  return section("confusion", "Yes or no",
    `${percent(found.accuracy, 2)} of the answers to ${grouped(found.samples)} test samples are right; of ${percent(found.all_right, 2)} of the samples all are. A probability above one half says yes.`,
    el("div", { class: rows.length > 24 ? "tall" : null }, table(["answer", "yes", "answered yes", "precision", "recall", "F1"], rows)));
}

function confusion({ confusion: found, classes, missing }) {
  const title = "What was taken for what";
  if (!found) return section("confusion", title, missing.confusion ?? later());
  const things = isTable() ? "samples" : "images";
  const rows = found.rates.map((rate, at) => [classes[at], grouped(rate.samples), percent(rate.precision), percent(rate.recall), percent(rate.f1)]);
  const pairs = mixups(found.counts, classes);
  const wrong = found.samples - Math.round(found.accuracy * found.samples);
  return section("confusion", title,
    `${grouped(wrong)} of ${grouped(found.samples)} test ${things} were taken for another class${pairs.length ? `, most often ${pairs.join(", ")}` : ""}.`,
    el("div", { class: "halves" }, el("div", {}, matrix(found.counts, classes)),
      el("div", { class: rows.length > 24 ? "tall" : null }, table(["class", things, "precision", "recall", "F1"], rows))));
}

function mistakes({ mistakes: found, classes, confusion: counted, missing }) {
  const title = "Most confidently wrong";
  if (missing.mistakes) return section("mistakes", title, missing.mistakes);
  if (!counted) return section("mistakes", title, later());
  if (found.length === 0) return section("mistakes", title, "No test image was taken for another class.");
  const card = ({ index, label, guesses, picture: image, saliency }) => el("div", { class: "mistake" },
    el("div", { class: "pair" }, picture(image, `test image ${index}, a ${classes[label]}`), picture(saliency, `gradient of the logit of ${classes[guesses[0][0]]}`)),
    el("p", {}, "is ", el("b", {}, classes[label]), ", taken for ", el("b", {}, classes[guesses[0][0]])),
    odds(guesses, classes, guesses[0][0], (at) => (at === label ? "" : at === guesses[0][0] ? "wrong" : "other")),
    el("p", { class: "small soft" }, `test image ${grouped(index)}`));
  return section("mistakes", title,
    "The test images that the net was surest of and wrong about, with what it thought. Beside each its saliency, the gradient of the answer's logit with respect to the input: where it is blue a brighter pixel would speak for the answer, where it is orange a darker one.",
    el("div", { class: "mistakes" }, found.map(card)),
    scaleBar("darker", "brighter", true));
}

const later = () => (data.live ? "This is worked out when the training has ended." : "This run left nothing to work it out from.");
