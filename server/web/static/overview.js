// The first view: the ring, what runs now, and what happened last.

import { h, keyed, say, set, style } from "./dom.js";
import { openEvent } from "./events.js";
import { brief } from "./eventwords.js";
import { moment, whole } from "./format.js";
import { mark, remark } from "./icons.js";
import { Ring } from "./ring.js";
import { state } from "./store.js";
import { openTask } from "./taskdialog.js";
import { elapsed, progressBar, progressWords } from "./taskrow.js";

const RUNNING_MAX = 14;
const SHRINK_MILLISECONDS = 15_000;
const EVENTS_SHOWN = 10;
const EVENTS_SHOWN_WIDE = 20;
const WIDE_PIXELS = 1800; // as in views.css

function makeRunning(task) {
  const name = h("button", { type: "button", class: "name clip", onclick: () => openTask(task.name) }, task.name);
  const where = h("span", { class: "muted whole" });
  const detail = h("p", { class: "muted clip" });
  const bar = progressBar();
  const row = h("li", { class: "running" }, h("div", { class: "line" }, name, where), bar, detail);
  row.parts = { where, detail, bar };
  return row;
}

function updateRunning(row, task) {
  const { where, detail, bar } = row.parts;
  say(where, `${task.running.node} · ${whole(elapsed(task.running))}`);
  const words = [progressWords(task), task.running.progress?.message].filter(Boolean).join(" · ") || "no progress told yet";
  say(detail, words);
  set(detail, "title", words);
  bar.update(task);
}

function makeEvent(event) {
  const icon = mark(event.event, "");
  remark(icon, event.event, "");
  return h("li", null, h("button", { type: "button", class: "row-button event", onclick: () => openEvent(event) },
    icon, h("span", { class: "grow clip" }, brief(event)), h("span", { class: "muted" }, moment(event.at))));
}

const LEGEND = [["idle", "waits"], ["running", "runs"], ["paused", "paused"], ["failed", "last run failed"], ["timed_out", "last run timed out"], ["lost", "last run lost"]];

export function create(root) {
  const ring = new Ring();
  const running = h("ul", { class: "list", "aria-label": "Running now" });
  const events = h("ul", { class: "list", "aria-label": "Latest events" });
  const nothing = h("p", { class: "muted over" });
  const quiet = h("p", { class: "muted" }, "Nothing has happened lately.");
  const more = h("p", { class: "muted" });
  const kept = { running: new Map(), events: new Map() };
  let rows = 1; // as high as the list is
  let fullAt = 0; // when it was full last
  const legend = h("p", { class: "legend" }, LEGEND.map(([status, words]) => mark(status, words)),
    h("span", { class: "muted" }, "Inside the ring: the runs that a node holds. Point at a task to learn why it is there."));
  root.append(h("div", { class: "overview" },
    h("section", { class: "panel ring-panel", "aria-label": "Ring" }, ring.box, legend),
    h("div", { class: "side" },
      h("section", { class: "panel", "aria-labelledby": "h-running" }, h("header", null, h("h2", { id: "h-running" }, "Running now")), nothing, running, more),
      h("section", { class: "panel latest", "aria-labelledby": "h-latest" }, h("header", null, h("h2", { id: "h-latest" }, "Latest"), h("a", { href: "#events" }, "All events")), quiet, events))));

  function drawRunning() {
    const all = [...state.tasks.values()].filter((task) => task.running).sort((a, b) => a.running.runId - b.running.runId);
    const next = [...state.tasks.values()].length ? "Nothing runs at this moment." : "There are no tasks yet.";
    nothing.hidden = all.length > 0;
    say(nothing, next);
    // It grows at once and shrinks late, so that what is below does not jump as runs come and go.
    const count = Math.min(all.length, RUNNING_MAX);
    if (count >= rows || performance.now() > fullAt + SHRINK_MILLISECONDS) rows = Math.max(1, count);
    if (count >= rows) fullAt = performance.now();
    style(running, "min-height", `calc(${rows} * var(--running-row))`);
    keyed(running, kept.running, all.slice(0, RUNNING_MAX), { key: (task) => task.name, make: makeRunning, update: updateRunning });
    say(more, all.length > RUNNING_MAX ? `and ${all.length - RUNNING_MAX} more` : "");
  }

  function drawEvents() {
    const latest = state.events.slice(innerWidth < WIDE_PIXELS ? -EVENTS_SHOWN : -EVENTS_SHOWN_WIDE).reverse();
    quiet.hidden = latest.length > 0;
    keyed(events, kept.events, latest, { key: (event) => event.id, make: makeEvent, update: () => {} });
  }

  return {
    show: () => {
      ring.draw();
      drawRunning();
      drawEvents();
    },
    hide: () => ring.tip.hide(),
    update: (kinds) => {
      if (kinds.has("nodes") || kinds.has("tasks")) ring.draw();
      else if (kinds.has("progress")) ring.draw();
      if (kinds.has("tasks") || kinds.has("progress")) drawRunning();
      if (kinds.has("events")) drawEvents();
    },
    tick: drawRunning,
  };
}
