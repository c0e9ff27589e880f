// The live page: asks for the state once a second, and redraws what has changed.
"use strict";

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
    data.progress = { ...data.progress, status: "wgrad does not answer; this is its last known state" };
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

/** Applies what has changed and redraws those sections. */
function news(state) {
  const stale = [];
  const run = data.runs[0];
  data.progress = state.progress;
  if (state.epochs.length !== run.epochs.length) stale.push("head");
  if (state.epochs.length !== run.epochs.length || state.steps.length !== run.steps.length) stale.push("curves");
  [run.epochs, run.steps] = [state.epochs, state.steps];
  if (state.texts.length !== run.texts.length) {
    run.texts = state.texts;
    stale.push("texts");
  }
  if (state.weights !== undefined && state.weights !== weights && model()?.text) {
    weights = state.weights;
    askedAgain();
  }
  if (state.weights !== weights && state.filters) {
    weights = state.weights;
    data.findings.filters = state.filters;
    stale.push("filters");
    if (given.any) ask();
    else {
      data.findings.maps = state.maps;
      stale.push("maps");
    }
  }
  if (state.ended) {
    data.live = false;
    if (state.findings) {
      data.findings = { ...state.findings, maps: given.any ? data.findings.maps : state.findings.maps };
      stale.push("alignments", "heads", "passages", "confusion", "masks", "mistakes", "embeddings", "filters", "maps", "timings");
    }
    stale.push("head");
  }
  refresh(...new Set(stale));
  refreshProgress();
}
