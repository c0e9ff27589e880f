// The live page: asks for news once a second, and lets a person draw a digit.
"use strict";

const SIDE = 280;
const strokes = { drawn: false, busy: false, again: false };
let weights = -1;

/** Asks the trainer for news until the run has ended. */
async function follow() {
  let wait = 1000;
  try {
    const answer = await fetch(`/state?weights=${weights}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(await answer.text());
    news(await answer.json());
    if (!data.live) return;
  } catch {
    data.progress = { ...data.progress, status: "wgrad does not answer; this is the last that it told" };
    refreshProgress();
    wait = 5000;
  }
  setTimeout(follow, document.hidden ? Math.max(wait, 3000) : wait);
}

function refreshProgress() {
  const old = document.getElementById("progress");
  const fresh = progressOf(data.progress);
  if (old && fresh) old.replaceWith(fresh);
}

/** Takes over what has changed, and draws those sections anew. */
function news(state) {
  const stale = [];
  const run = data.runs[0];
  data.progress = state.progress;
  if (state.epochs.length !== run.epochs.length) stale.push("head");
  if (state.epochs.length !== run.epochs.length || state.steps.length !== run.steps.length) stale.push("curves");
  [run.epochs, run.steps] = [state.epochs, state.steps];
  if (state.weights !== weights && state.filters) {
    weights = state.weights;
    data.findings.filters = state.filters;
    stale.push("filters");
    if (strokes.drawn) ask();
    else {
      data.findings.maps = state.maps;
      stale.push("maps");
    }
  }
  if (state.ended) {
    data.live = false;
    if (state.findings) {
      data.findings = { ...state.findings, maps: strokes.drawn ? data.findings.maps : state.findings.maps };
      stale.push("confusion", "mistakes", "filters", "maps", "timings");
    }
    stale.push("head");
  }
  refresh(...new Set(stale));
  refreshProgress();
}

/** The board to draw on, and beside it what the net makes of the drawing. */
function drawing() {
  const board = el("canvas", { id: "board", width: SIDE, height: SIDE, tabindex: "0", "aria-label": "Draw a digit here with mouse, finger or pen" });
  const clear = el("button", { type: "button", id: "clear" }, "Clear");
  clear.addEventListener("click", () => wipe(board));
  pen(board);
  return section("draw", "Draw a digit", "The net as it is at this moment reads it, again and again while it learns.",
    el("div", { class: "draw" },
      el("div", {}, board, clear),
      el("div", { class: "verdict", id: "verdict", "aria-live": "polite" }, el("p", { class: "guess soft" }, "Nothing is drawn yet.")),
      el("div", { class: "seen", id: "seen" })));
}

const ink = () => getComputedStyle(document.body).color;

/** Draws with mouse, finger or pen; a drawing is the opacity of its canvas. */
function pen(board) {
  // The drawing is read back after every stroke.
  const brush = board.getContext("2d", { willReadFrequently: true });
  let from = null;
  const place = (event) => {
    const box = board.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  const stroke = (to) => {
    Object.assign(brush, { lineWidth: SIDE / 13, lineCap: "round", lineJoin: "round", strokeStyle: ink() });
    brush.beginPath();
    brush.moveTo(...from);
    // A line of no length leaves no mark, but a person who taps makes a dot.
    brush.lineTo(to[0], to[1] + (to[0] === from[0] && to[1] === from[1] ? 0.01 : 0));
    brush.stroke();
    from = to;
    strokes.drawn = true;
    ask();
  };
  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    board.setPointerCapture(event.pointerId);
    from = place(event);
    stroke(from);
  });
  board.addEventListener("pointermove", (event) => {
    if (!from) return;
    for (const one of event.getCoalescedEvents?.() ?? []) stroke(place(one));
    stroke(place(event));
  });
  for (const end of ["pointerup", "pointercancel"]) board.addEventListener(end, () => (from = null));
  document.addEventListener("colours", () => {
    Object.assign(brush, { globalCompositeOperation: "source-in", fillStyle: ink() });
    brush.fillRect(0, 0, SIDE, SIDE);
    brush.globalCompositeOperation = "source-over";
  });
}

function wipe(board) {
  board.getContext("2d").clearRect(0, 0, SIDE, SIDE);
  strokes.drawn = false;
  weights = -1;
  document.getElementById("verdict").replaceChildren(el("p", { class: "guess soft" }, "Nothing is drawn yet."));
  document.getElementById("seen").replaceChildren();
}

/** Sends the drawing and shows the answer; while one is on its way, the next one waits. */
async function ask() {
  if (strokes.busy) {
    strokes.again = true;
    return;
  }
  strokes.busy = true;
  const board = document.getElementById("board");
  const rgba = board.getContext("2d").getImageData(0, 0, SIDE, SIDE).data;
  const grey = new Uint8Array(SIDE * SIDE).map((_, i) => rgba[4 * i + 3]);
  try {
    const answer = await fetch("/draw", { method: "POST", body: grey, headers: { "Content-Type": "application/octet-stream" } });
    if (!answer.ok) throw new Error(await answer.text());
    if (strokes.drawn) verdict(await answer.json());
  } catch (error) {
    document.getElementById("verdict").replaceChildren(el("p", { class: "soft" }, `No answer: ${error.message}`));
  }
  strokes.busy = false;
  if (strokes.again) {
    strokes.again = false;
    if (strokes.drawn) ask();
  }
}

function verdict({ probabilities, classes, prepared, saliency, maps: found, step }) {
  const guesses = probabilities.map((p, at) => [at, p]);
  const top = guesses.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  const shown = guesses.length > 12 ? guesses.sort((a, b) => b[1] - a[1]).slice(0, 12) : guesses;
  document.getElementById("verdict").replaceChildren(
    el("p", { class: "guess" }, `${classes[top]}, ${percent(probabilities[top])}`),
    el("p", { class: "small soft" }, `with the weights behind step ${grouped(step)}`),
    odds(shown, classes, top));
  const shownAs = (image, label, caption) => el("figure", {}, picture(image, label), el("figcaption", { class: "small soft" }, caption));
  document.getElementById("seen").replaceChildren(
    shownAs(prepared, "the drawing as the net sees it", "as the net sees it"),
    shownAs(saliency, `gradient of the logit of ${classes[top]}`, `what would speak for ${classes[top]}: brighter where it is blue, darker where orange`));
  data.findings.maps = found;
  refresh("maps");
}
