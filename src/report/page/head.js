// The title of a run with its headline figures, each of which names the set that it is measured on, and the curves.
"use strict";

const lineColour = (n) => `var(--c${n % 8})`;
const lineDash = (n) => (n < 8 ? undefined : n < 16 ? "6 3" : "2 3");
const last = (run) => run.epochs[run.epochs.length - 1] ?? {};
const sum = (run, key) => run.epochs.reduce((total, epoch) => total + (epoch[key] ?? 0), 0);
const model = () => data.findings.model;

/** Whether the net reads rows of a table. */
const isTable = () => model()?.input.length === 1;
/** Whether it tells the class of each pixel. */
const byPixel = () => Boolean(model()?.by_pixel);
/** What is counted in a confusion matrix. */
const counted = () => (byPixel() ? "pixels" : isTable() ? "samples" : "images");
/** What is trained on. */
const things = () => (isTable() ? "samples" : "images");

/** The set that val_ figures of a run are measured on. */
const validated = (run) => (run.validated_apart ? "validation" : "test");

/** The set that the findings about the trained net are measured on: the test set, or of data without tests the validation set. */
const measured = (run = data.runs[0]) => (run.samples?.test === 0 ? "validation" : "test");

/** The epoch with the smallest val_loss, the first of them. */
function bestEpoch(run) {
  const all = run.epochs.filter((epoch) => isNumber(epoch.val_loss));
  return all.reduce((best, epoch) => (!best || epoch.val_loss < best.val_loss ? epoch : best), null);
}

/** What the test set says of the net that a run left: what the run told at its end, or else what was found out for the page. */
function tested(run) {
  const { confusion, answers, numbers = [] } = data.findings;
  const found = confusion ?? answers ?? {};
  const one = numbers.length === 1 ? numbers[0].score : {};
  return {
    accuracy: run.test?.accuracy ?? found.accuracy, loss: run.test?.loss ?? found.loss,
    perplexity: run.test?.perplexity, top5_accuracy: run.test?.top5_accuracy ?? data.findings.top5_accuracy,
    mean_iou: run.test?.mean_iou ?? found.mean_iou, mae: one.mae, r2: one.r2,
  };
}

/** The epoch whose weights the run leaves: the last, or with --keep best the best. */
const left = (run) => (run.settings["train.keep"] === "best" ? bestEpoch(run) ?? last(run) : last(run));

/** The figures of a run, the one that says most first: {key, set, value, show, what}. */
function headline(run) {
  const epoch = left(run);
  const target = data.findings.numbers?.length === 1 ? ` of ${data.findings.numbers[0].score.name}` : "";
  const numbers = isNumber(epoch.val_loss) && !isNumber(epoch.val_accuracy);
  const kinds = [
    ["mean_iou", (x) => fixed(x, 4), "mean IoU"],
    ["mae", short, `mean absolute error${target}`],
    ["r2", (x) => fixed(x, 4), "R²"],
    ["perplexity", short, "perplexity"],
    ["accuracy", (x) => percent(x, 2), `accuracy${data.findings.answers ? " of the answers" : byPixel() ? " of the pixels" : ""}`],
    ["top5_accuracy", (x) => percent(x, 2), "top-5 accuracy"],
    ["loss", numbers ? short : (x) => fixed(x, 4), "loss"],
  ];
  const test = tested(run);
  // Top-5 accuracy is counted at the end alone.
  const ofEpoch = (key) => epoch[`val_${key}`] ?? (key === "top5_accuracy" && !run.validated_apart ? test[key] : undefined);
  const sets = [
    run.validated_apart && measured(run) === "test" ? ["test", (key) => test[key], "test_"] : null,
    [validated(run), ofEpoch, "val_"],
    ["training", (key) => epoch[key], ""],
  ].filter(Boolean);
  const all = sets.flatMap(([set, value, prefix]) => kinds.map(([key, show, what]) => ({ key: prefix + key, set, value: value(key), show, what })));
  return all.filter((one) => isNumber(one.value));
}

const figure = (value, what, { main = false, key, set } = {}) =>
  el("div", { class: main ? "main" : null, "data-key": key, "data-set": set }, el("b", {}, value), el("span", {}, set ? `${what}, ${set} set` : what));

/** The page's title and the figures of the last epoch. */
function head(run) {
  const epoch = last(run);
  const best = bestEpoch(run);
  document.title = `${data.live ? "training" : "report"}: ${run.name}`;
  const figures = [
    ...headline(run).map((one, at) => figure(one.show(one.value), one.what, { main: at === 0, ...one })),
    figure(epoch.epoch ? `${epoch.epoch} of ${run.settings["train.epochs"] ?? nothing}` : nothing, "epochs"),
    best ? figure(String(best.epoch), `best epoch: loss ${short(best.val_loss)}, ${validated(run)} set`) : null,
    figure(duration(run.seconds ?? sum(run, "seconds")), isNumber(run.seconds) ? "total time" : "training time"),
    figure(grouped(epoch.images_per_second), `training ${things()} per second`),
  ];
  const samples = run.samples;
  const counts = samples ? [`${grouped(samples.train)} training ${things()}`, isNumber(samples.validation) ? `${grouped(samples.validation)} validation` : null, samples.test > 0 ? `${grouped(samples.test)} test` : null] : [];
  const facts = [run.begun ? when(run.begun) : null, `${run.settings.model ?? nothing} on ${run.settings.data ?? nothing}`, run.device.device?.name, counts.filter(Boolean).join(", ")];
  return el("header", { id: "head" },
    el("h1", {}, run.name),
    el("p", { class: "soft facts" }, facts.filter(Boolean).map((fact) => el("span", {}, fact))),
    run.commands.map((line) => el("pre", { class: "command" }, line.split(/ (?=-)/).map((part) => [el("span", {}, part), " "]))),
    progressOf(data.progress),
    el("div", { class: "figures" }, figures.filter(Boolean)),
    el("p", { class: "small soft" },
      epoch.epoch ? `Metrics of the training set${run.validated_apart ? " and the validation set" : ""} are from ${left(run) === epoch ? "the last epoch" : "the best epoch, whose weights are kept"}, ${left(run).epoch}. ` : "No epoch has finished yet. ",
      measured(run) === "validation" ? "val_ metrics are measured on the validation set. There is no test set: what is said of the trained net below is measured on the validation set too."
        : run.validated_apart ? "val_ metrics are measured on the validation set, which is used for neither training nor testing."
        : "There is no validation set: val_ metrics are measured on the test set, so the best epoch is chosen by test data."));
}

/** The progress of a run. */
function progressOf(progress) {
  if (!progress) return null;
  const { status, epoch, epochs, done, of } = progress;
  const words = [status];
  if (data.live && of) words.push(`epoch ${epoch} of ${epochs}`, `step ${grouped(done)} of ${grouped(of)}`);
  if (data.live && isNumber(progress.loss)) words.push(`training loss ${short(progress.loss)}`, ...(isNumber(progress.accuracy) ? [`training accuracy ${percent(progress.accuracy)}`] : []));
  if (data.live && progress.seconds_left > 0) words.push(`${duration(progress.seconds_left)} left in this epoch`);
  return el("div", { id: "progress" },
    el("progress", { max: Math.max(1, epochs * of), value: data.live ? (epoch - 1) * of + done : Math.max(1, epochs * of), "aria-label": "progress" }),
    el("div", { class: "status" }, words.map((word) => el("span", {}, word))));
}

const column = (run, key) => run.epochs.map((epoch) => [epoch.epoch, epoch[key]]);

/** Loss, accuracy and the learning rate over the epochs, with the best epoch marked. */
function curves(run) {
  const set = validated(run);
  const best = bestEpoch(run);
  const mark = best ? { x: best.epoch, label: `best: epoch ${best.epoch}` } : null;
  const has = (key) => run.epochs.some((epoch) => isNumber(epoch[key]));
  const training = (key) => ({ name: `${key}, training set`, colour: lineColour(0), points: column(run, key) });
  const val = (key) => ({ name: `val_${key}, ${set} set`, colour: lineColour(1), points: column(run, `val_${key}`), best: true });
  const over = (id, title, series) => chart({ id, title, xLabel: "epochs", series, mark });
  const steps = run.steps.length ? [{ name: "loss per step, training set", colour: "var(--soft)", points: run.steps, faint: true }] : [];
  const numbers = run.epochs.length > 0 && !has("val_accuracy");
  const all = [
    over("loss", "Loss", [...steps, training("loss"), val("loss")]),
    numbers ? null : over("accuracy", "Accuracy", [training("accuracy"), val("accuracy")]),
    ...[["perplexity", "Perplexity"], ["mean_iou", "Mean IoU"], ["mae", "Mean absolute error"], ["r2", "R²"]].map(([key, title]) => (has(`val_${key}`) ? over(key, title, [val(key)]) : null)),
    has("lr") ? over("lr", "Learning rate", [{ name: "at the last step of each epoch", colour: lineColour(2), points: column(run, "lr") }]) : null,
  ];
  const sets = { epoch: "", step: "", seconds: "", images_per_second: "training", lr: "" };
  const known = ["epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy", "val_perplexity", "val_mean_iou", "val_mae", "val_r2", "lr", "seconds", "images_per_second"];
  const keys = known.filter((key) => run.epochs.length === 0 || has(key));
  const title = (key) => [key, (sets[key] ?? (key.startsWith("val_") ? set : "training")) || null].filter(Boolean);
  const cell = (key, x) => (["epoch", "step", "images_per_second"].includes(key) ? grouped(x) : key === "lr" ? short(x) : fixed(x, key === "seconds" ? 1 : 4));
  const rows = run.epochs.map((epoch) => keys.map((key) => (epoch === best && key === "epoch" ? el("b", {}, `best ${cell(key, epoch[key])}`) : cell(key, epoch[key]))));
  return section("curves", "Curves", `${numbers ? "The loss is computed on standardised targets. The training loss is the mean" : "Training loss and accuracy are means"} over an epoch, each batch measured before its update. The ${set} set is measured after each epoch.`,
    el("div", { class: "charts" }, all.filter(Boolean)),
    rows.length ? fold("Table of all epochs", table(keys.map((key) => title(key).map((part, at) => (at ? el("div", { class: "small" }, part) : part))), rows, [])) : null);
}
