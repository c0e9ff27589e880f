// The prompt box of the live page: the net continues, classifies or translates a text with the weights of this moment.
"use strict";

/** Whether a question is on its way, whether another one waits, whether any was asked, and the seed of the next one. */
const asked = { busy: false, again: false, any: false, seed: 0 };

/** What the box says for each task: a title, what to do, the button, and an example. */
const PROMPTS = {
  continues: ["Continue a text", "Write how a text begins; the net continues it with its current weights.", "Generate", "the beginning of a line"],
  classifies: ["Classify a text", "The net classifies the text as you write, with its current weights; the answer is updated during training.", "Classify", "a text"],
  translates: ["Translate a text", "The net translates the text as you write, with its current weights; the answer is updated during training.", "Translate", "a text"],
};

/** The box with its settings, and beside it the answer. */
function prompting() {
  const [title, lead, action, placeholder] = PROMPTS[model().text];
  const goesOn = model().text === "continues";
  const area = el("textarea", { id: "prompt", rows: goesOn ? 5 : 3, maxlength: 4000, spellcheck: "false", placeholder, "aria-label": title });
  const number = (id, label, value, more) => el("label", { for: id }, label, el("input", { id, type: "number", value, ...more }));
  const settings = goesOn ? [number("temperature", "temperature", 0.8, { min: 0, max: 5, step: 0.1 }), number("tokens", "tokens", 200, { min: 1, max: 2000 })] : [];
  const button = el("button", { type: "button", id: "send" }, action);
  button.addEventListener("click", question);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    question();
  });
  if (!goesOn) area.addEventListener("input", question);
  return section("prompting", title, lead,
    el("div", { class: "prompting" },
      el("div", { class: "asking" }, area, el("div", { class: "options" }, settings, button),
        el("p", { class: "small soft" }, goesOn ? "Ctrl+Enter generates too. At temperature 0 the net takes the most likely token each time." : "Ctrl+Enter asks again.")),
      el("div", { class: "reply", id: "reply", "aria-live": "polite" }, el("p", { class: "soft" }, "Nothing was asked yet."))));
}

/** Sends what is in the box and shows the answer; while a question is on its way, the next one waits. */
async function question() {
  if (asked.busy) {
    asked.again = true;
    return;
  }
  const value = (id) => document.getElementById(id)?.value;
  const text = value("prompt");
  const reply = document.getElementById("reply");
  asked.any = model().text === "continues" || text.trim() !== "";
  if (!asked.any) {
    reply.replaceChildren(el("p", { class: "soft" }, "Nothing was asked yet."));
    return;
  }
  const body = { text };
  if (model().text === "continues") Object.assign(body, { tokens: Math.round(Number(value("tokens"))), temperature: Number(value("temperature")), seed: asked.seed });
  asked.busy = true;
  reply.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/text", { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    if (!answer.ok) throw new Error(await answer.text());
    if (asked.any) reply.replaceChildren(...replied(await answer.json()));
    asked.seed += 1;
  } catch (error) {
    reply.replaceChildren(el("p", { class: "soft" }, `No answer: ${error.message}`));
  }
  reply.removeAttribute("aria-busy");
  asked.busy = false;
  if (asked.again) {
    asked.again = false;
    question();
  }
}

/** Asks the same again with newer weights, where the answer is one and not a draw. */
function askedAgain() {
  if (asked.any && model().text !== "continues") question();
}

/** An answer as elements. */
function replied({ step, ...found }) {
  const facts = (...more) => el("p", { class: "small soft" }, [`with the weights of step ${grouped(step)}`, ...more.filter(Boolean)].join("; "));
  if (model().text === "continues") {
    const how = found.temperature > 0 ? `temperature ${found.temperature}, seed ${found.seed}` : "temperature 0";
    return [el("pre", {}, el("span", { class: "soft" }, found.prompt), found.text),
      facts(`${grouped(found.tokens)} ${found.unit}`, how, found.stopped ? `stopped after ${found.stopped} s` : null)];
  }
  const read = facts(`the net reads: ${found.read}`, ...found.notes);
  if (model().text === "translates") {
    const written = found.pair.weights.length > 0 ? el("div", { class: "alignments" }, el("figure", {}, grid(found.pair))) : null;
    return [el("p", { class: "guess" }, found.pair.texts[1] || nothing), read, written];
  }
  const guesses = found.probabilities.map((p, at) => [at, p]);
  const top = guesses.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  const shown = guesses.length > 12 ? [...guesses].sort((a, b) => b[1] - a[1]).slice(0, 12) : guesses;
  return [el("p", { class: "guess" }, `${found.classes[top]}, ${percent(found.probabilities[top])}`), read, el("div", { class: "verdict" }, odds(shown, found.classes, top))];
}
