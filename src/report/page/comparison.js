// Several runs side by side: their figures by the set that they are measured on, curves, and the settings that differ.
"use strict";

/** A table whose cells may break. */
function wrapped(scroll) {
  scroll.firstChild.classList.add("wrap");
  return scroll;
}

/** Kinds of figures: key, title, how it is shown, and whether more is better. */
const KINDS = [
  ["perplexity", "perplexity", short, false],
  ["accuracy", "accuracy", (x) => percent(x, 2), true],
  ["top5_accuracy", "top-5 accuracy", (x) => percent(x, 2), true],
  ["mean_iou", "mean IoU", (x) => fixed(x, 4), true],
  ["mae", "mean absolute error", short, false],
  ["r2", "R²", (x) => fixed(x, 4), true],
  ["loss", "loss", (x) => fixed(x, 4), false],
];

/** A figure of a run on one set; val_ figures are those of the set that the run was validated on. */
function figureOf(run, set, key) {
  if (set === "training") return left(run)[key];
  if (set === validated(run)) return left(run)[`val_${key}`];
  return set === "test" ? run.test?.[key] : undefined;
}

/** The columns of the table of figures: {title, note, value, show, more}; without `more` none is the best. */
function figureColumns(runs) {
  const of = (set, [key, title, show, more]) => ({ id: `${set}_${key}`, title, note: `${set} set`, value: (run) => figureOf(run, set, key), show, more: set === "training" ? null : more });
  const best = { title: "best epoch", note: "smallest val_loss", value: (run) => bestEpoch(run)?.epoch, show: String };
  const all = [...KINDS.flatMap((kind) => [of("validation", kind), of("test", kind)]), ...KINDS.map((kind) => of("training", kind))];
  const measured = all.filter((column) => runs.some((run) => isNumber(column.value(run))));
  return [...measured, best,
    { title: "epochs", note: "", value: (run) => last(run).epoch, show: grouped },
    { title: "total time", note: "", value: (run) => run.seconds ?? sum(run, "seconds"), show: duration, more: false },
    { title: "samples/s", note: "training set", value: (run) => last(run).images_per_second, show: grouped, more: true }];
}

/** The run that wins by a column; none if values are missing or all alike. */
function winner(runs, { value, more }) {
  const values = runs.map(value).filter(isNumber);
  if (more === null || more === undefined || values.length < 2 || Math.max(...values) === Math.min(...values)) return null;
  return more ? Math.max(...values) : Math.min(...values);
}

/** The table of figures, sorted by a column on a click on its head. */
function figures(runs) {
  const columns = figureColumns(runs);
  const mark = (run, n) => el("span", { class: "run" }, swatch({ colour: lineColour(n), dash: lineDash(n) }), named(run.name));
  const all = runs.map((run, n) => ({ run, n }));
  // Until a head is clicked the first figure decides, the best run first.
  let sorted = { at: 0, up: !columns[0].more };
  const scroll = el("div", { class: "scroll" });
  const by = (at) => () => {
    sorted = { at, up: sorted.at === at ? !sorted.up : at < 0 || !columns[at].more };
    paint();
  };
  const paint = () => {
    const { at, up } = sorted;
    const value = ({ run, n }) => (at < 0 ? n : columns[at].value(run));
    const order = [...all].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      // What is missing comes last either way.
      if (!isNumber(x) || !isNumber(y)) return isNumber(y) - isNumber(x);
      return (up ? 1 : -1) * (x - y);
    });
    const header = (title, note, own, kind = null) => {
      const button = el("button", { type: "button", class: "sort" }, title, own === at ? (up ? " ▲" : " ▼") : "", el("div", { class: "small" }, note));
      button.addEventListener("click", by(own));
      return el("th", { scope: "col", class: kind, "aria-sort": own === at ? (up ? "ascending" : "descending") : null }, button);
    };
    const cell = (column, run) => {
      const x = column.value(run);
      const wins = isNumber(x) && x === winner(runs, column);
      return el("td", { class: wins ? "wins" : null, "data-column": column.id, title: wins ? "the best of these runs" : null }, isNumber(x) ? column.show(x) : nothing, wins ? " ★" : "");
    };
    scroll.replaceChildren(el("table", { class: "sortable" },
      el("thead", {}, el("tr", {}, header("run", "", -1, "text"), columns.map((column, own) => header(column.title, column.note, own)), el("th", { class: "text" }, "begun"), el("th", { class: "text" }, "device"))),
      el("tbody", {}, order.map(({ run, n }) => el("tr", {}, el("td", { class: "text" }, mark(run, n)), columns.map((column) => cell(column, run)),
        el("td", { class: "text" }, run.begun ? when(run.begun) : nothing), el("td", { class: "text" }, run.device.device?.name ?? nothing))))));
  };
  paint();
  return scroll;
}

/** Several runs side by side. */
function comparison(runs, differences) {
  document.title = `comparison of ${runs.length} runs`;
  const apart = runs.filter((run) => run.validated_apart).map((run) => run.name);
  const onTest = "is measured on the test set, so the best epoch is chosen by test data";
  const measured = apart.length === 0 ? `val_ ${onTest}: there is no validation set.`
    : apart.length === runs.length ? "val_ is measured on each run's validation set, which is used for neither training nor testing."
      : `For ${apart.join(", ")}, val_ is measured on the validation set; for the others it ${onTest}.`;
  const has = (key) => runs.some((run) => run.epochs.some((epoch) => isNumber(epoch[key])));
  const set = apart.length === 0 ? "test set" : apart.length === runs.length ? "validation set" : "validation or test set";
  const titles = KINDS.flatMap(([key, title]) => [[`val_${key}`, `${title}, ${set}`], [key, `${title}, training set`]]).filter(([key]) => has(key));
  const lines = (key) => runs.map((run, n) => ({ name: run.name, colour: lineColour(n), dash: lineDash(n), points: column(run, key) }));
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const differ = differences.map(({ key, values }) => [key, ...values]);
  return [
    el("header", { id: "head" }, el("h1", {}, `${runs.length} runs compared`), el("p", { class: "soft facts" }, runs.map((run) => el("span", {}, run.name)))),
    section("final", "Metrics", `Training and val_ metrics are from each run's last epoch, or with --keep best from its best; test metrics are measured at the end of the run. ★ marks the best value of a column; click a heading to sort. ${measured}`, figures(runs)),
    section("curves", "Curves", null, el("div", { class: "charts" }, titles.map(([key, title]) => chart({ id: key, title: capital(title), xLabel: "epochs", series: lines(key) })))),
    section("differences", "Settings that differ", differ.length ? null : "The runs have the same settings.",
      differ.length ? wrapped(table(["setting", ...runs.map((run) => named(run.name))], differ, [0])) : null),
  ];
}
