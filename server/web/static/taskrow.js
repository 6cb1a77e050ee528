// One task as a row: how it stands, what runs where, what comes next, and what may be done.

import { act, enable, label, obstacle } from "./actions.js";
import { h, say, set, style, tell } from "./dom.js";
import { countdown, duration, exactly, fraction, moment, percent, remaining, whole, words } from "./format.js";
import { mark, remark } from "./icons.js";
import { drawSparkline, sparkline } from "./sparkline.js";
import { now } from "./store.js";
import { openTask } from "./taskdialog.js";

/** How a task stands, in one word. */
export function standing(task) {
  if (task.running) return "running";
  if (task.retiredAt) return "retired";
  if (task.paused) return "paused";
  return ["failed", "timed_out", "lost"].includes(task.lastRun?.status) ? task.lastRun.status : "idle";
}

export function elapsed(running) {
  return Math.max(0, (now() - Date.parse(running.startedAt)) / 1000);
}

/** What a progress bar shows: "42 %, about 1 min 20 s left". */
export function progressWords(task) {
  const part = fraction(task.running.progress);
  const left = remaining(task.running.progress, elapsed(task.running), task.durations);
  const parts = [part === null ? null : percent(part), left === null ? null : `about ${whole(left)} left`];
  return parts.filter(Boolean).join(", ");
}

/** A bar with its job's own message. */
export function progressBar() {
  const fillBar = h("i");
  const bar = h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, fillBar);
  bar.update = (task) => {
    const part = fraction(task.running?.progress);
    bar.classList.toggle("unknown", part === null);
    set(bar, "aria-label", `Progress of ${task.name}`);
    set(bar, "aria-valuenow", part === null ? null : Math.floor(part * 100));
    set(bar, "aria-valuetext", task.running?.progress?.message || null);
    style(fillBar, "transform", part === null ? "" : `scaleX(${part.toFixed(4)})`);
  };
  return bar;
}

export function button(kind, find) {
  const node = h("button", {
    type: "button",
    onclick: () => {
      const why = obstacle(kind);
      if (why) tell(why, true);
      else act(kind, find(), find().running?.runId);
    },
  }, label(kind));
  if (kind === "cancel") node.classList.add("hurts");
  return node;
}

export function makeRow() {
  const row = h("li", { class: "task" });
  const find = () => row.item;
  const p = (row.parts = {
    name: h("button", { type: "button", class: "name clip", onclick: () => openTask(row.item.name) }),
    schedule: h("p", { class: "muted clip" }),
    owner: h("p", { class: "clip" }),
    status: mark("idle"),
    detail: h("p", { class: "muted clip" }),
    bar: progressBar(),
    more: h("p", { class: "muted clip" }),
    next: h("p", { class: "clip" }),
    last: mark("idle", ""),
    spark: sparkline(),
    run: button("run", find), cancel: button("cancel", find), pause: button("pause", find), resume: button("resume", find),
  });
  row.append(
    h("div", { class: "c-name" }, p.name, p.schedule),
    h("div", { class: "c-owner" }, h("span", { class: "unseen" }, "Owner "), p.owner),
    h("div", { class: "c-now" }, h("div", { class: "line" }, p.status, p.detail), p.bar, p.more),
    h("div", { class: "c-next" }, p.next, h("span", { class: "unseen" }, "Last run "), p.last),
    h("div", { class: "c-spark" }, p.spark),
    h("div", { class: "c-acts" }, p.run, p.cancel, p.pause, p.resume),
  );
  return row;
}

function drawLast(node, task) {
  const run = task.lastRun;
  if (run) remark(node, run.status, `${words(run.status)}, ${duration(run.durationSeconds)}`);
  else remark(node, "idle", "has not run yet");
  set(node, "title", run?.finishedAt ? `Run ${run.id} ended ${exactly(run.finishedAt)}` : null);
}

function nowWords(task) {
  if (task.running) {
    const { running } = task;
    return `on ${running.node} for ${whole(elapsed(running))}`;
  }
  if (task.dueSoon) return "due now; waits for its owner";
  if (task.retiredAt) return "no configuration names it";
  if (task.paused) return "starts nothing until it is resumed";
  return "";
}

export function nextWords(task) {
  if (task.retiredAt) return "Retired";
  if (task.paused) return "Paused";
  return task.nextRunAt ? `Next ${countdown((Date.parse(task.nextRunAt) - now()) / 1000)}` : "";
}

export function updateRow(row, task) {
  const p = row.parts;
  row.item = task;
  say(p.name, task.name);
  set(p.name, "title", task.name);
  say(p.schedule, task.schedule);
  set(p.schedule, "title", task.schedule);
  say(p.owner, task.owner ?? "nobody");
  const status = standing(task);
  const rests = ["running", "paused", "retired"].includes(status);
  remark(p.status, rests ? status : "idle", rests ? words(status) : "waiting");
  const detail = nowWords(task);
  say(p.detail, detail);
  set(p.detail, "title", detail || null);
  p.bar.hidden = !task.running;
  p.more.hidden = !task.running;
  if (task.running) {
    p.bar.update(task);
    const more = [progressWords(task), task.running.progress?.message].filter(Boolean).join(" · ") || "no progress told yet";
    say(p.more, more);
    set(p.more, "title", more);
  }
  say(p.next, nextWords(task));
  set(p.next, "title", task.nextRunAt ? `${moment(task.nextRunAt)}; ${exactly(task.nextRunAt)}` : null);
  drawLast(p.last, task);
  drawSparkline(p.spark, task.durations);
  set(p.spark.parentNode, "title", p.spark.getAttribute("aria-label"));
  p.run.hidden = Boolean(task.running || task.retiredAt || task.paused);
  p.cancel.hidden = !task.running;
  p.pause.hidden = Boolean(task.paused || task.retiredAt);
  p.resume.hidden = !task.paused;
  for (const kind of ["run", "cancel", "pause", "resume"]) {
    set(p[kind], "aria-label", `${label(kind)}: ${task.name}`);
    enable(p[kind], kind);
  }
}
