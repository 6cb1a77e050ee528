// The view of the stream: filtered, paused and searched.

import { h, say, set } from "./dom.js";
import { detail, KINDS, sentence } from "./eventwords.js";
import { count, exactly, moment, words } from "./format.js";
import { mark, remark } from "./icons.js";
import { openRun } from "./rundialog.js";
import { EVENTS_MAX, state } from "./store.js";
import { openTask } from "./taskdialog.js";
import { WindowedList } from "./windowed.js";

const NARROW_PIXELS = 760;
const TROUBLE = ["failed", "timed_out", "lost", "interrupted", "cancelled", "skipped", "dead"];
const GROUPS = {
  "": "All kinds", trouble: "Trouble alone", runs: "Starts and endings", nodes: "Nodes",
};
const RUNS = new Set(["started", "succeeded", "failed", "cancelled", "timed_out", "interrupted", "lost"]);

/** Where an event leads: to its run, its task, or the nodes. */
export function openEvent(event) {
  if (event.run) openRun(event.run);
  else if (event.task) openTask(event.task);
  else location.hash = "nodes";
}

function makeRow() {
  const icon = mark("idle", "");
  const parts = { icon, text: h("span", { class: "clip" }), more: h("span", { class: "muted clip" }), when: h("span", { class: "muted" }), id: h("span", { class: "muted code" }) };
  const row = h("li", { class: "event-row" });
  row.append(h("button", { type: "button", class: "row-button event", onclick: () => openEvent(row.item) }, parts.when, icon, h("span", { class: "grow" }, parts.text, parts.more), parts.id));
  row.parts = parts;
  return row;
}

function updateRow(row, event) {
  const { icon, text, more, when, id } = row.parts;
  row.item = event;
  remark(icon, event.event, words(event.event));
  say(text, sentence(event));
  say(more, detail(event));
  say(when, moment(event.at));
  set(when, "title", exactly(event.at));
  say(id, `#${event.id}`);
}

function matches(event, search, kind) {
  if (kind === "trouble" && !TROUBLE.includes(event.event)) return false;
  if (kind === "runs" && !RUNS.has(event.event)) return false;
  if (kind === "nodes" && event.channel !== "node_events") return false;
  if (kind && !(kind in GROUPS) && event.event !== kind) return false;
  if (!search) return true;
  return `${sentence(event)} ${event.detail ?? ""} ${event.event} #${event.id}`.toLowerCase().includes(search);
}

export function create(root) {
  let search = "";
  let kind = "";
  let frozen = null; // the events as they were when the list was paused
  const found = h("p", { class: "muted end", role: "status" });
  const empty = h("p", { class: "empty", hidden: true });
  const list = new WindowedList({ label: "Events, newest first", make: makeRow, update: updateRow, rowHeight: () => (innerWidth < NARROW_PIXELS ? 84 : 44) });
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    frozen = frozen ? null : [...state.events];
    set(pause, "aria-pressed", String(frozen !== null));
    say(pause, frozen ? "Go on" : "Pause");
    draw();
  } }, "Pause");
  const box = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the events", oninput: (event) => {
    search = event.target.value.trim().toLowerCase();
    draw();
  } });
  const choose = h("select", { "aria-label": "Which kinds", onchange: (event) => {
    kind = event.target.value;
    draw();
  } }, Object.entries(GROUPS).map(([value, text]) => h("option", { value }, text)),
  h("optgroup", { label: "One kind" }, KINDS.map((value) => h("option", { value }, words(value)))));
  root.append(h("section", { class: "panel", "aria-label": "Events" }, h("div", { class: "tools" }, box, choose, pause, found), empty, list.node));

  function draw() {
    const events = frozen ?? state.events;
    const shown = events.filter((event) => matches(event, search, kind)).reverse();
    const behind = frozen && state.events.length ? state.events.filter((event) => event.id > (frozen.at(-1)?.id ?? 0)).length : 0;
    const kept = events.length >= EVENTS_MAX ? `the last ${EVENTS_MAX}` : count(events.length, "event");
    say(found, frozen ? `Paused; ${count(behind, "event")} since` : shown.length === events.length ? kept : `${shown.length} of ${kept}`);
    empty.hidden = shown.length > 0;
    say(empty, events.length ? "No event is like that." : "Nothing has happened since this page was opened.");
    list.draw(shown);
  }

  return {
    show: () => {
      list.show();
      draw();
    },
    hide: () => list.hide(),
    update: (kinds) => kinds.has("events") && draw(),
    tick: () => {},
  };
}
