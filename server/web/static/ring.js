// The ring: nodes on a circle, the tasks that they own around them, the runs that they hold inside.

import { h, keyed, s, say, set, style } from "./dom.js";
import { count } from "./format.js";
import { arcs, at, bend, placeTasks, RUN_RADIUS, sizeOf, spread } from "./ringlayout.js";
import { GLYPH_SIZE_MIN, makeNode, makeTask, updateNode, updateTask } from "./ringmarks.js";
import { Tip } from "./ringtip.js";
import { state } from "./store.js";
import { openTask } from "./taskdialog.js";

const DEAD_SHOWN_MAX = 6;
const NAMES_MAX = 24;
const NODE_NAMES_MAX = 14;
const NODE_NAMES_MAX_NARROW = 8;
const NODE_NOTES_MAX = 8;
const LINES_MAX = 40; // more would be a tangle
const NARROW_PIXELS = 640; // below, names around the ring could not be read
const NAME_PIXELS = 19; // as in views.css, and on a wide ring
const NAME_PIXELS_WIDE = 15;
const WIDE_PIXELS = 1000;

/** The nodes on the ring: all that live, and those whose death somebody here should see. */
export function onTheRing(nodes, diedHere) {
  const all = [...nodes.values()];
  const dead = all.filter((node) => node.state === "dead");
  const shown = dead.length <= DEAD_SHOWN_MAX ? dead : dead.filter((node) => diedHere.has(node.name)).slice(-DEAD_SHOWN_MAX);
  const names = new Set(shown.map((node) => node.name));
  return all.filter((node) => node.state !== "dead" || names.has(node.name)).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

function runningByNode() {
  const found = new Map();
  for (const task of state.tasks.values()) {
    if (task.running) found.set(task.running.node, [...(found.get(task.running.node) ?? []), task]);
  }
  return found;
}

/** Where the runs of each node lie: below their task where the node owns it, else further inside, with a line. */
function placeRuns(nodeArcs, places, byNode, isNarrow) {
  const found = [];
  for (const arc of nodeArcs) {
    const tasks = byNode.get(arc.name) ?? [];
    const size = tasks.length > 6 ? 3.4 : isNarrow ? 11 : 7;
    const guests = tasks.filter((task) => task.owner !== arc.name);
    const inner = spread(arc, guests.length, RUN_RADIUS, size);
    for (const task of tasks) {
      const from = places.get(task.name);
      if (!from) continue;
      const isGuest = task.owner !== arc.name;
      const place = isGuest ? inner[guests.indexOf(task)] : at(RUN_RADIUS + 34, from.angle);
      found.push({ task, place, size, isGuest, line: isGuest ? bend(from, place) : "" });
    }
  }
  return found;
}

export class Ring {
  constructor() {
    this.layers = { lines: s("g"), nodes: s("g"), runs: s("g"), tasks: s("g") };
    this.kept = { lines: new Map(), nodes: new Map(), runs: new Map(), tasks: new Map() };
    this.big = s("text", { class: "middle", "text-anchor": "middle", y: -6 });
    this.small = s("text", { class: "middle-note", "text-anchor": "middle", y: 24 });
    this.svg = s("svg", { class: "ring", viewBox: "-530 -405 1060 810", role: "group", "aria-label": "Ring of nodes and tasks. Arrow keys go from task to task, Enter opens one." },
      this.layers.lines, this.layers.nodes, this.layers.runs, this.layers.tasks, this.big, this.small);
    this.box = h("div", { class: "ring-box" }, this.svg);
    this.tip = new Tip(this.box);
    this.order = [];
    this.isNarrow = false;
    this.isWide = false;
    this.listen();
    // Asked for in each drawing, the width would make the browser lay out everything at once.
    new ResizeObserver(([entry]) => {
      const { width } = entry.contentRect;
      const [isNarrow, isWide] = [width < NARROW_PIXELS, width >= WIDE_PIXELS];
      if (width === 0 || (isNarrow === this.isNarrow && isWide === this.isWide)) return;
      Object.assign(this, { isNarrow, isWide });
      this.draw();
    }).observe(this.box);
  }

  listen() {
    const over = (event) => {
      const task = event.target.closest("[data-task]");
      const node = event.target.closest("[data-node]");
      if (task) this.tip.task(task.dataset.task, task);
      else if (node) this.tip.node_(node.dataset.node, node.parts.label.textContent ? node.parts.label : node.parts.arc);
      else this.tip.hide();
    };
    this.svg.addEventListener("pointerover", over);
    this.svg.addEventListener("pointerleave", () => this.tip.hide());
    this.svg.addEventListener("focusin", (event) => {
      const mark = event.target.closest("[data-task]");
      if (!mark) return;
      set(mark, "aria-describedby", "ring-tip");
      this.current = mark.dataset.task;
      this.tip.task(mark.dataset.task, mark);
    });
    this.svg.addEventListener("focusout", () => this.tip.hide());
    this.svg.addEventListener("click", (event) => {
      const mark = event.target.closest("[data-task]");
      if (mark) openTask(mark.dataset.task);
    });
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.key === "Escape") this.tip.hide();
    const mark = event.target.closest("[data-task]");
    if (!mark) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const index = this.order.indexOf(mark.dataset.task);
    let next = null;
    if (step) next = this.order[(index + step + this.order.length) % this.order.length];
    else if (event.key === "Home") next = this.order[0];
    else if (event.key === "End") next = this.order.at(-1);
    else if (event.key === "Enter" || event.key === " ") openTask(mark.dataset.task);
    else return;
    event.preventDefault();
    if (next) this.focus(next);
  }

  focus(name) {
    this.current = name;
    this.rove();
    this.kept.tasks.get(name)?.focus();
  }

  /** One task alone is in the order of the Tab key. */
  rove() {
    if (!this.order.includes(this.current)) this.current = this.order[0];
    for (const [name, group] of this.kept.tasks) set(group, "tabindex", name === this.current ? "0" : "-1");
  }

  draw() {
    const nodes = onTheRing(state.nodes, state.diedHere);
    const nodeArcs = arcs(nodes.map((node) => node.name));
    const arcOf = new Map(nodeArcs.map((arc) => [arc.name, arc]));
    const tasks = [...state.tasks.values()].filter((task) => !task.retiredAt).sort((a, b) => (a.name < b.name ? -1 : 1));
    const owned = new Map();
    const orphans = [];
    for (const task of tasks) {
      if (!arcOf.has(task.owner)) orphans.push(task.name);
      else if (owned.has(task.owner)) owned.get(task.owner).push(task.name);
      else owned.set(task.owner, [task.name]);
    }
    const size = sizeOf(tasks.length, this.isNarrow);
    const places = placeTasks(nodeArcs, owned, orphans, size);
    const isNarrow = this.isNarrow;
    const named = tasks.length <= NAMES_MAX && !isNarrow;
    set(this.svg, "viewBox", named ? "-530 -405 1060 810" : isNarrow && size > GLYPH_SIZE_MIN ? "-385 -385 770 770" : "-425 -425 850 850");
    set(this.svg, "data-narrow", isNarrow);
    set(this.svg, "data-wide", this.isWide);
    const byNode = runningByNode();
    this.drawNodes(nodes, arcOf, byNode, isNarrow);
    this.drawTasks(tasks, places, size, named);
    this.drawRuns(placeRuns(nodeArcs, places, byNode, isNarrow));
    const live = nodes.filter((node) => node.state === "live").length;
    const running = tasks.filter((task) => task.running).length;
    const isCrowded = orphans.length > 0;
    const [big, small] = isNarrow ? [`${running}/${tasks.length}`, "running"] : [`${running} running`, `${count(tasks.length, "task")} on ${count(live, "node")}`];
    say(this.big, isCrowded || !nodes.length ? "" : big);
    set(this.small, "y", isNarrow ? 32 : 24);
    say(this.small, isCrowded ? `${orphans.length} without an owner` : nodes.length ? small : "no nodes yet");
  }

  drawNodes(nodes, arcOf, byNode, isNarrow) {
    const named = nodes.length <= (isNarrow ? NODE_NAMES_MAX_NARROW : NODE_NAMES_MAX);
    set(this.svg, "data-crowd", !named);
    const items = nodes.map((node) => ({ name: node.name, node, arc: arcOf.get(node.name), named, running: (byNode.get(node.name) ?? []).length, isNarrow, isCrowded: nodes.length > NODE_NOTES_MAX }));
    keyed(this.layers.nodes, this.kept.nodes, items, {
      key: (item) => item.name, make: makeNode, update: updateNode,
    });
  }

  drawTasks(tasks, places, size, named) {
    const letters = this.isWide ? NAME_PIXELS_WIDE : NAME_PIXELS;
    const items = tasks.map((task) => ({ name: task.name, task, place: places.get(task.name), size, named, letters }));
    const order = [...items].sort((a, b) => a.place.angle - b.place.angle).map((item) => item.name);
    keyed(this.layers.tasks, this.kept.tasks, items, { key: (item) => item.name, make: makeTask, update: updateTask });
    if (order.join() !== this.order.join()) {
      this.order = order;
      this.rove();
    }
  }

  drawRuns(runs) {
    keyed(this.layers.runs, this.kept.runs, runs, {
      key: (item) => item.task.running.runId,
      make: () => s("circle", { class: "run" }),
      update: (node, { place, size }) => {
        set(node, "r", size);
        style(node, "transform", `translate(${place.x.toFixed(1)}px, ${place.y.toFixed(1)}px)`);
      },
    });
    const guests = runs.filter((run) => run.isGuest);
    keyed(this.layers.lines, this.kept.lines, guests.length > LINES_MAX ? [] : guests, {
      key: (item) => item.task.running.runId,
      make: () => s("path", { class: "line" }),
      update: (node, { line }) => set(node, "d", line),
    });
  }
}
