// All about one task: its schedule, its place, its last runs.

import { details, facts } from "./dialog.js";
import { clear, h } from "./dom.js";
import { count, duration, exactly, moment } from "./format.js";
import { mark } from "./icons.js";
import { openRun } from "./rundialog.js";
import { state } from "./store.js";
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

/** Opens it; the parts that must be asked for come when they come. */
export function openTask(name) {
  const task = state.tasks.get(name);
  if (!task) return;
  const runs = h("ul", { class: "list", "aria-label": `Last runs of ${name}` }, h("li", { class: "muted" }, "Reading…"));
  const why = h("div", null, h("p", { class: "muted" }, "Reading…"));
  details(name, (body) => {
    const find = () => state.tasks.get(name) ?? task;
    const kinds = task.running ? ["cancel"] : task.paused || task.retiredAt ? [] : ["run"];
    kinds.push(task.paused ? "resume" : "pause");
    body.append(
      facts([
        ["Schedule", task.schedule], ["Function", h("code", null, task.function)],
        ["Owner", task.owner ?? "nobody"],
        ["Next", task.nextRunAt ? `${nextWords(task)} (${exactly(task.nextRunAt)})` : nextWords(task)],
        ["Skipped times", task.skippedTicks ? `${task.skippedTicks}, last ${moment(task.lastSkip?.at)}: ${task.lastSkip?.reason ?? ""}` : "none"],
        ["Retired", task.retiredAt ? exactly(task.retiredAt) : null],
      ]),
      task.retiredAt ? "" : h("div", { class: "acts" }, kinds.map((kind) => button(kind, find))),
      h("section", null, h("h3", null, "Why it is where it is"), why),
      h("section", null, h("h3", null, "Last runs"), runs),
    );
  });
  get(`/tasks/${encodeURIComponent(name)}/placement`).then((found) => {
    clear(why).append(h("p", null, `${found.reason} ${shareWords(found)}`), placementTable(found));
  }).catch((problem) => clear(why).append(h("p", { class: "said" }, problem.message)));
  get(`/runs?limit=${RUNS}&task=${encodeURIComponent(name)}`).then((page) => {
    clear(runs).append(...(page.runs.length ? page.runs.map(runLine) : [h("li", { class: "muted" }, "It has not run yet.")]));
  }).catch((problem) => clear(runs).append(h("li", { class: "said" }, problem.message)));
}
