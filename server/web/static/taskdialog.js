// All about one task: its schedule, its place, its last runs.

import { details, facts } from "./dialog.js";
import { clear, h, unbroken } from "./dom.js";
import { count, duration, exactly, moment } from "./format.js";
import { mark } from "./icons.js";
import { openRun } from "./rundialog.js";
import { state, watch } from "./store.js";
import { button, nextWords } from "./taskrow.js";
import { get } from "./wire.js";

const RUNS = 12;

function runLine(run) {
  return h("li", null, h("button", { type: "button", class: "row-button", onclick: () => openRun(run.id) },
    mark(run.status), h("span", null, `Run ${run.id} on ${run.node}`),
    h("span", { class: "muted" }, moment(run.startedAt)),
    h("span", { class: "muted" }, run.durationSeconds === null ? "" : duration(run.durationSeconds))));
}

function placementTable(placement) {
  return h("div", { class: "scroll" }, h("table", null,
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Node"), h("th", { scope: "col" }, "Rank by hash"), h("th", { scope: "col" }, "Owns"), h("th", { scope: "col" }, "Knows it"))),
    h("tbody", null, placement.candidates.slice(0, 12).map((one) => h("tr", null,
      h("td", null, one.node === placement.owner ? h("strong", null, `${one.node} (owner)`) : one.node),
      h("td", null, one.rank === null ? (one.state === "live" ? "far" : one.state) : String(one.rank)),
      h("td", null, String(one.owns)), h("td", null, one.knows ? "yes" : "no"))))));
}

export function shareWords(placement) {
  const { tasks, nodes, least, most } = placement;
  const share = least === most ? String(most) : `${least} or ${most}`;
  return `${count(tasks, "task")} on ${count(nodes, "node")}: ${share} each.`;
}

/** What changes while somebody looks. Returns whether it did. */
function drawHead(head, task) {
  const drawn = [task.owner, task.running?.runId, task.paused, task.retiredAt, task.nextRunAt, task.skippedTicks].join();
  if (head.drawn === drawn) return false;
  head.drawn = drawn;
  const kinds = task.running ? ["cancel"] : task.paused || task.retiredAt ? [] : ["run"];
  kinds.push(task.paused ? "resume" : "pause");
  const find = () => state.tasks.get(task.name) ?? task;
  const had = head.contains(document.activeElement);
  clear(head).append(
    facts([
      ["Schedule", task.schedule], ["Function", h("code", null, task.function)],
      ["Owner", task.owner ?? "nobody"],
      ["Runs", task.running ? `on ${task.running.node}, since ${exactly(task.running.startedAt)}` : null],
      ["Next", task.nextRunAt ? exactly(task.nextRunAt) : nextWords(task)],
      ["Skipped times", task.skippedTicks ? `${task.skippedTicks}, last ${moment(task.lastSkip?.at)}: ${task.lastSkip?.reason ?? ""}` : "none"],
      ["Retired", task.retiredAt ? exactly(task.retiredAt) : null],
    ]),
    task.retiredAt ? "" : h("div", { class: "acts" }, kinds.map((kind) => button(kind, find))),
  );
  if (had) head.querySelector("button")?.focus(); // or the keyboard would be lost with the button
  return true;
}

/** Opens it; the parts that must be asked for come when they come. */
export function openTask(name) {
  const task = state.tasks.get(name);
  if (!task) return;
  const runs = h("ul", { class: "list", "aria-label": `Last runs of ${name}` }, h("li", { class: "muted" }, "Reading…"));
  const why = h("div", null, h("p", { class: "muted" }, "Reading…"));
  const head = h("div", { class: "task-head" });
  drawHead(head, task);
  const dialog = details(name, (body) => body.append(
    head, h("section", null, h("h3", null, "Why it is where it is"), why), h("section", null, h("h3", null, "Last runs"), runs)));
  const readRuns = () => get(`/runs?limit=${RUNS}&task=${encodeURIComponent(name)}`).then((page) => {
    clear(runs).append(...(page.runs.length ? page.runs.map(runLine) : [h("li", { class: "muted" }, "It has not run yet.")]));
  }).catch((problem) => clear(runs).append(h("li", { class: "said" }, problem.message)));
  const unwatch = watch((kinds) => kinds.has("tasks") && state.tasks.has(name) && drawHead(head, state.tasks.get(name)) && readRuns());
  dialog.addEventListener("close", unwatch);
  readRuns();
  get(`/tasks/${encodeURIComponent(name)}/placement`).then((found) => {
    clear(why).append(h("p", null, unbroken(`${found.reason} ${shareWords(found)}`)), placementTable(found));
  }).catch((problem) => clear(why).append(h("p", { class: "said" }, problem.message)));
}
