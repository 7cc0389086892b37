"use strict";
// Shows one pair after another, keeps the answers in this browser, and hands them out as a file.
const study = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
let rater = 0;
let answers = [];
let shownAt = 0;

const place = () => `study:${study.study}:${rater}`;
const sequence = () => study.plans[rater - 1];

// Storage can be switched off; the study then works, but a closed page loses its answers.
function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(place()) || "[]");
    return Array.isArray(kept) ? kept : [];
  } catch (error) {
    return [];
  }
}

function keep() {
  try {
    localStorage.setItem(place(), JSON.stringify(answers));
  } catch (error) {
    element("progress").title = "This browser keeps no answers: finish without closing the page.";
  }
}

function show() {
  const finished = answers.length >= sequence().length;
  element("start").hidden = true;
  element("pair").hidden = finished;
  element("done").hidden = !finished;
  if (finished) return;
  const [trial, first, second, caption] = current();
  element("progress").textContent = `${answers.length + 1} of ${sequence().length}`;
  element("caption").textContent = caption;
  element("pair").dataset.trial = trial;
  element("first").firstChild.src = study.pictures[first];
  element("second").firstChild.src = study.pictures[second];
  element("back").disabled = answers.length === 0;
  shownAt = Date.now();
}

function current() {
  const code = sequence()[answers.length];
  const [trial, one, other, caption] = study.trials[code >> 1];
  return code & 1 ? [trial, other, one, caption] : [trial, one, other, caption];
}

function answer(choice) {
  if (element("pair").hidden || (choice === "tie" && !study.ties)) return;
  const [trial, first, second] = current();
  answers.push({ trial, first, second, choice, ms: Date.now() - shownAt });
  keep();
  show();
}

function back() {
  if (rater === 0 || answers.length === 0) return;
  answers.pop();
  keep();
  show();
}

function save() {
  const text = JSON.stringify({ schema: 1, study: study.study, rater, answers }, null, 1);
  const link = document.createElement("a");
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.href = address;
  link.download = `answers-${study.study}-${rater}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

const KEYS = {
  ArrowLeft: () => answer("first"), ArrowUp: () => answer("first"),
  ArrowRight: () => answer("second"), ArrowDown: () => answer("second"),
  0: () => answer("tie"), Backspace: back,
};
document.addEventListener("keydown", (event) => {
  // A key held down must not answer the next pair.
  if (rater === 0 || !Object.hasOwn(KEYS, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!event.repeat) KEYS[event.key]();
});
for (const choice of ["first", "second", "tie"]) {
  element(choice).addEventListener("click", () => {
    // A button that keeps the focus would take the next press of Enter or Space for an answer.
    element(choice).blur();
    answer(choice);
  });
}
element("back").addEventListener("click", back);
element("reopen").addEventListener("click", back);
element("save").addEventListener("click", save);
element("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  rater = Number(element("rater").value);
  element("rater").blur();
  answers = load().slice(0, sequence().length);
  show();
});

element("asked").textContent = study.question;
element("question").textContent = study.question;
element("total").textContent = study.trials.length;
element("rater").max = study.plans.length;
element("tie").hidden = !study.ties;
element("tie-help").hidden = !study.ties;
element("pictures").classList.toggle("wide", study.wide);
element("first").lastChild.textContent = study.wide ? "up" : "left";
element("second").lastChild.textContent = study.wide ? "down" : "right";
