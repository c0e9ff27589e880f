// Asking the net on the live page: a digit is drawn, or a picture is dropped, and it answers with the weights of this moment.
"use strict";

const SIDE = 280;
/** Whether there is anything to ask about, the picture where it is a file, and whether an answer is on its way. */
const given = { any: false, file: null, busy: false, again: false };

/** The board to draw on, and beside it what the net makes of the drawing. */
function drawing() {
  const board = el("canvas", { id: "board", width: SIDE, height: SIDE, tabindex: "0", "aria-label": "Draw a digit here with mouse, finger or pen" });
  const clear = el("button", { type: "button", id: "clear" }, "Clear");
  clear.addEventListener("click", () => wipe(board));
  pen(board);
  return asking("Draw a digit", "Nothing is drawn yet.", el("div", {}, board, clear));
}

/** A place where a picture is dropped or chosen, and beside it what the net makes of it. */
function dropping() {
  const file = el("input", { type: "file", id: "file", accept: "image/*" });
  const zone = el("label", { id: "drop", for: "file" }, el("b", {}, "Drop a picture here"), el("span", { class: "small soft" }, "or choose a file; it is prepared as in training"), file);
  const take = (files) => {
    if (!files?.length) return;
    [given.file, given.any] = [files[0], true];
    ask();
  };
  file.addEventListener("change", () => take(file.files));
  const over = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    take(event.dataTransfer?.files);
  });
  return asking("Try a picture", "No picture yet.", zone);
}

/** The section where the net is asked, with what it answers. */
function asking(title, none, board) {
  return section("draw", title, "The net answers with its current weights; the answer is updated during training.",
    el("div", { class: "draw" }, board,
      el("div", { class: "verdict", id: "verdict", "aria-live": "polite" }, el("p", { class: "guess soft" }, none)),
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
    // A line of no length leaves no mark, but a tap makes a dot.
    brush.lineTo(to[0], to[1] + (to[0] === from[0] && to[1] === from[1] ? 0.01 : 0));
    brush.stroke();
    from = to;
    given.any = true;
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
  given.any = false;
  weights = -1;
  document.getElementById("verdict").replaceChildren(el("p", { class: "guess soft" }, "Nothing is drawn yet."));
  document.getElementById("seen").replaceChildren();
}

/** Sends the drawing or the picture and shows the answer; while one is on its way, the next one waits. */
async function ask() {
  if (given.busy) {
    given.again = true;
    return;
  }
  given.busy = true;
  try {
    const [place, body] = given.file ? ["/picture", given.file] : ["/draw", drawn()];
    const answer = await fetch(place, { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } });
    if (!answer.ok) throw new Error(await answer.text());
    if (given.any) verdict(await answer.json());
  } catch (error) {
    document.getElementById("verdict").replaceChildren(el("p", { class: "soft" }, `No answer: ${error.message}`));
    document.getElementById("seen").replaceChildren();
  }
  given.busy = false;
  if (given.again) {
    given.again = false;
    if (given.any) ask();
  }
}

/** The ink of the drawing, a byte for each point. */
function drawn() {
  const rgba = document.getElementById("board").getContext("2d").getImageData(0, 0, SIDE, SIDE).data;
  return new Uint8Array(SIDE * SIDE).map((_, i) => rgba[4 * i + 3]);
}

/** Shows what the net makes of what it was given: the most likely classes, or the class of each pixel. */
function verdict({ probabilities, classes, prepared, how, saliency, mask, shares, maps: found, step }) {
  const guesses = (shares ?? probabilities).map((p, at) => [at, p]);
  const top = guesses.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  const shown = guesses.length > 12 ? [...guesses].sort((a, b) => b[1] - a[1]).slice(0, 12) : guesses;
  document.getElementById("verdict").replaceChildren(
    el("p", { class: "guess" }, `${classes[top]}, ${percent(guesses[top][1])}${mask ? " of the pixels" : ""}`),
    el("p", { class: "small soft" }, `with the weights of step ${grouped(step)}${how ? `; prepared: ${how}` : ""}`),
    odds(shown, classes, top));
  const shownAs = (image, label, caption) => el("figure", {}, picture(image, label), el("figcaption", { class: "small soft" }, caption));
  const key = (one) => el("span", { class: "key" }, el("i", { style: `background:rgb(${one.colour.join()})` }), named(one.name));
  document.getElementById("seen").replaceChildren(
    shownAs(prepared, "the picture as the net sees it", "as the net sees it"),
    mask ? shownAs(mask.picture, "the class of each pixel", mask.legend.map(key))
      : shownAs(saliency, `gradient of the logit of ${classes[top]}`, `saliency for ${classes[top]}: brighter pixels raise its logit where blue, lower it where orange`));
  data.findings.maps = { ...found, given: true };
  refresh("maps");
}
