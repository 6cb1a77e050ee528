// The view of all tasks.

import { h, say } from "./dom.js";
import { count } from "./format.js";
import { state } from "./store.js";
import { makeRow, standing, updateRow } from "./taskrow.js";
import { WindowedList } from "./windowed.js";

const KINDS = [["", "All"], ["running", "Running"], ["paused", "Paused"], ["trouble", "In trouble"]];
const HEADS = ["Task and schedule", "Owner", "Now", "Next, and last outcome", "Last 30 durations"];
const TROUBLE = new Set(["failed", "timed_out", "lost", "retired"]);
/** As in views.css: one height for each form of a row. */
const NARROW_PIXELS = 760;
const MIDDLE_PIXELS = 1240;

function rowHeight() {
  if (innerWidth < NARROW_PIXELS) return 214;
  return innerWidth < MIDDLE_PIXELS ? 138 : 84;
}

export function create(root) {
  let search = "";
  let kind = "";
  const found = h("p", { class: "muted end" });
  const empty = h("p", { class: "empty", hidden: true });
  const list = new WindowedList({ label: "Tasks", make: makeRow, update: updateRow, rowHeight });
  const choose = h("select", { "aria-label": "Which tasks", onchange: (event) => {
    kind = event.target.value;
    draw();
  } }, KINDS.map(([value, words]) => h("option", { value }, words)));
  const box = h("input", { type: "search", placeholder: "Search by name", "aria-label": "Search by name", oninput: (event) => {
    search = event.target.value.trim().toLowerCase();
    draw();
  } });
  // For eyes alone: each row says to a screen reader what its parts are.
  const heads = h("div", { class: "heads", "aria-hidden": "true" }, HEADS.map((words) => h("span", null, words)));
  root.append(h("section", { class: "panel", "aria-label": "Tasks" }, h("div", { class: "tools" }, box, choose, found), empty, heads, list.node));

  function wanted(task) {
    if (search && !task.name.toLowerCase().includes(search)) return false;
    if (kind === "trouble") return TROUBLE.has(standing(task));
    return !kind || standing(task) === kind;
  }

  function draw() {
    const all = [...state.tasks.values()].filter(wanted).sort((a, b) => (a.name < b.name ? -1 : 1));
    say(found, state.tasks.size ? (all.length === state.tasks.size ? count(all.length, "task") : `${all.length} of ${count(state.tasks.size, "task")}`) : "");
    empty.hidden = all.length > 0;
    heads.hidden = all.length === 0;
    say(empty, state.tasks.size ? "No task is like that." : "There are no tasks yet. Give one a function and a schedule below tasks: in config.yaml, and restart.");
    list.draw(all);
  }

  return {
    show: () => {
      list.show();
      draw();
    },
    hide: () => list.hide(),
    update: (kinds) => {
      if (kinds.has("tasks") || kinds.has("session") || kinds.has("link")) draw();
      else if (kinds.has("progress")) list.tick();
    },
    tick: () => list.tick(),
  };
}
