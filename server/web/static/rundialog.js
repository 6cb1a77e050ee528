// One run with its output and its traceback.

import { details, facts } from "./dialog.js";
import { clear, h } from "./dom.js";
import { duration, exactly, fraction, percent } from "./format.js";
import { mark } from "./icons.js";
import { state, watch } from "./store.js";
import { button } from "./taskrow.js";
import { get } from "./wire.js";

const TRIGGERS = {
  schedule: "its schedule", manual: "somebody, by hand", retry: "a failure before it",
  lost: "the loss of the run before it", interrupted: "the interruption of the run before it",
};

function other(id, words) {
  return id ? h("button", { type: "button", class: "name", onclick: () => openRun(id) }, `Run ${id}: ${words}`) : null;
}

function text(title, value) {
  return value ? h("section", null, h("h3", null, title), h("pre", { tabindex: "0", "aria-label": title }, value)) : "";
}

function show(body, run) {
  const part = fraction(run.progress);
  const task = state.tasks.get(run.task);
  const isUnderWay = run.status === "running" && task?.running?.runId === run.id;
  clear(body).append(
    facts([
      ["Outcome", mark(run.status)], ["Task", run.task], ["Node", run.node],
      ["Made due by", TRIGGERS[run.trigger] ?? run.trigger],
      ["Scheduled for", exactly(run.scheduledFor)],
      ["Started", `${exactly(run.startedAt)}, ${duration(run.latenessSeconds)} after it was due`],
      ["Ended", run.finishedAt ? exactly(run.finishedAt) : null],
      ["Took", run.durationSeconds === null ? null : duration(run.durationSeconds)],
      ["Attempt", run.attempt > 1 ? String(run.attempt) : null],
      ["Progress", part === null ? null : `${percent(part)}${run.progress.message ? `, ${run.progress.message}` : ""}`],
      ["Repeats", other(run.predecessor, "the one that it repeats")],
      ["Successor", other(run.successor, "the one that took over")],
    ]),
    isUnderWay ? h("div", { class: "acts" }, button("cancel", () => state.tasks.get(run.task))) : "",
    text("Error and traceback", run.error),
    text("Result", run.result === null ? null : JSON.stringify(run.result, null, 2)),
    run.output ? text("Output", run.output) : h("p", { class: "muted" }, run.status === "running" ? "Its output is kept when it ends." : "It printed nothing."),
  );
}

export function openRun(id) {
  const place = h("div", { class: "run-details" }, h("p", { class: "muted" }, "Reading…"));
  let status = null; // as it was shown
  const read = () => get(`/runs/${id}`).then((run) => {
    status = run.status;
    show(place, run);
  }).catch((problem) => {
    clear(place).append(h("p", { class: "said" }, problem.message));
  });
  const dialog = details(`Run ${id}`, (body) => body.append(place));
  // It is looked at until it ends, and then shows how.
  const unwatch = watch((kinds) => {
    const now = state.runs.get(id)?.status;
    if (kinds.has("runs") && status === "running" && now && now !== status) {
      status = now;
      read();
    }
  });
  dialog.addEventListener("close", unwatch);
  read();
}
